/* Named queues as answers have them, and what a request says of them (docs/http.md, "Queues").
 * Pure. */
#ifndef SQ_BROKER_FRONT_HTTP_INFO_H
#define SQ_BROKER_FRONT_HTTP_INFO_H

#include "broker/front/http/problem.h"
#include "broker/port/queue.h"

enum { SQ_HTTP_ETAG_MAX = 24 }; /* bytes of an entity tag, with a NUL */

/* Appends a queue as a JSON object. */
void sq_http_info_json(const struct sq_queue_info *, struct sq_buf *out);
/* Appends what came of a TEST as a JSON object. */
void sq_http_info_tested(const struct sq_queue_out *, struct sq_buf *out);
/* Writes the entity tag of a revision. */
void sq_http_info_etag(uint64_t revision, char out[SQ_HTTP_ETAG_MAX]);
/* Reads If-Match: one entity tag of ours.  Another text is none of ours, and matches nothing:
 * '*revision' is then one that no queue has. */
void sq_http_info_match(struct sq_bytes text, uint64_t *revision);
/* Reads the JSON object of a binding: filter, tag, qos.  'out' is zeroed before; its texts are the
 * caller's to free, either way. */
int sq_http_info_binding(struct sq_bytes body, struct sq_declared_binding *out,
    struct sq_http_fault *fault) SQ_MUST_CHECK;

#endif
