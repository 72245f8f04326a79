/* Requests for taps and what they answer, as JSON (docs/view.md). */
#ifndef SQ_BROKER_FRONT_TAP_TAP_JSON_H
#define SQ_BROKER_FRONT_TAP_TAP_JSON_H

#include <jansson.h>

#include "broker/publish/tap.h"
#include "core/buf.h"

/* Reads {"filter", "space", "payload"}; '*root' is the document then, into which 'cfg' has views,
 * and the caller's.  False: '*why', static, says what is wrong. */
bool
sq_tap_json_read(struct sq_bytes body, struct sq_tap_cfg *cfg, json_t **root, const char **why);
/* Appends {"messages": [...], "lost": N}. */
void sq_tap_json_write(struct sq_buf *out, const struct sq_list *all, uint64_t lost, bool payloads);

#endif
