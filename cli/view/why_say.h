/* The sentences of why (why.h), and the facts of the view that stand behind them. */
#ifndef SQ_CLI_VIEW_WHY_SAY_H
#define SQ_CLI_VIEW_WHY_SAY_H

#include <stdint.h>

#include "cli/view/reader.h"

/* What is being told. */
struct sq_why_told {
	struct sq_tables *view;
	struct sq_buf *out;
	uint64_t now_ms;   /* of the wall clock */
	unsigned troubles; /* findings so far */
};

/* Append a line, in which all that a terminal would take for more than text is escaped: a fact; a
 * finding, which stands in the way; what mends the finding before it. */
void sq_why_fact(struct sq_why_told *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void
sq_why_trouble(struct sq_why_told *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sq_why_mend(struct sq_why_told *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The row's text in that column, "" where there is none. */
const char *sq_why_text(const json_t *row, const char *column);
/* Finds the row whose 'column' is that text or number, by asking for the name where 'column' is the
 * table's; the caller's.  'is' NULL: the first row.  NULL: there is none, or the view does not tell. */
json_t *sq_why_find(
    struct sq_why_told *, const char *table, const char *space, const char *column, const char *is);

/* Tells what stands in the queue, who takes from it, and what is wrong with it. */
void sq_why_queue(struct sq_why_told *, const char *space, const char *name);
/* Tells whether the session takes what comes. */
void sq_why_session(struct sq_why_told *, const char *space, const char *name);
/* Tells what is wrong with the space, and with the broker as a whole. */
void sq_why_broker(struct sq_why_told *, const char *space);

#endif
