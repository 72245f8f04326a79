/* What passes in a broker, as it passes: the verb tail. */
#ifndef SQ_CLI_LIVE_TAIL_H
#define SQ_CLI_LIVE_TAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

struct sq_remote;

struct sq_tail_ask {
	const char *filter, *space; /* 'space' NULL: any */
	bool payloads, json;
	size_t count; /* messages, after which it ends; 0: none */
};

/* Whether it can be asked for at all; else appends to 'why' what is wrong. */
bool sq_tail_good(const struct sq_tail_ask *, struct sq_buf *why);
/* Opens a tap (docs/view.md), writes a line for each message to standard output, until there are
 * 'count' or a signal comes, and ends the tap.  0; else 'err' has a line. */
int sq_tail(struct sq_remote *, const struct sq_tail_ask *, struct sq_buf *err);

#endif
