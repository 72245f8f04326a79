/* Deeds of an operator at a broker's admin endpoint (docs/view.md, "Deeds"), done to their end. */
#ifndef SQ_CLI_VIEW_DEEDS_H
#define SQ_CLI_VIEW_DEEDS_H

#include <jansson.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_remote;

struct sq_deeds_done {
	uint64_t done;
	uint64_t stayed; /* dead letters that nobody takes */
};

/* Has 'deed', "queues/purge", done with the members of 'body', an object that is changed: asks again
 * until all is done, or 'most' messages (0: all).  Blocks.  0, or an error with a line in 'err';
 * 'out' has what was done by then. */
int sq_deeds_do(struct sq_remote *, const char *deed, json_t *body, uint64_t most,
    struct sq_deeds_done *out, struct sq_buf *err) SQ_MUST_CHECK;

#endif
