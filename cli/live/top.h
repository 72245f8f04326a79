/* What a broker has, drawn again and again: the verb top. */
#ifndef SQ_CLI_LIVE_TOP_H
#define SQ_CLI_LIVE_TOP_H

#include "cli/view/reader.h"

struct sq_top_ask {
	const char *space; /* NULL: any */
	bool by_change;
	bool json;            /* a line for each snapshot */
	size_t queues;        /* that are shown at most; 0: as many as fit, or 20 */
	size_t count;         /* snapshots, after which it ends; 0: no end */
	uint64_t interval_ms; /* from the end of one to the next */
};

/* Shows a snapshot after the other until a signal, or the key q, ends it; one alone where standard
 * output is no terminal, and nothing else is asked for.  0; else the first one can't be had, or
 * standard output not be written: 'err' has a line.  A broker that goes away later is waited for. */
int sq_top(struct sq_tables *, const struct sq_top_ask *, struct sq_buf *err);

#endif
