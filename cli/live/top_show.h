/* A snapshot as text for people, and as a line of JSON. */
#ifndef SQ_CLI_LIVE_TOP_SHOW_H
#define SQ_CLI_LIVE_TOP_SHOW_H

#include "cli/live/snapshot.h"

struct sq_top_how {
	bool by_change;
	size_t queues;        /* so many at most */
	size_t columns, rows; /* of the screen; 0: any number */
};

/* Appends the text, no line longer than 'columns' and no more than 'rows'. 'trouble': a line that
 * stands at its top, NULL: none. */
void sq_top_text(
    struct sq_buf *out, const struct sq_snapshot *, const struct sq_top_how *, const char *trouble);
/* Appends a JSON object and a line feed. */
void sq_top_json(struct sq_buf *out, const struct sq_snapshot *, const struct sq_top_how *);

#endif
