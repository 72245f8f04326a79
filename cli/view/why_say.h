/* The sentences of why (why.h), and how it looks things up in the view. */
#ifndef SQ_CLI_VIEW_WHY_SAY_H
#define SQ_CLI_VIEW_WHY_SAY_H

#include <stdint.h>

#include "cli/view/reader.h"

/* What is being told. */
struct sq_why_told {
	struct sq_tables *view;
	struct sq_buf *out;
	json_t *beside;    /* what was asked, and what is no column: for texts of why_rule.h */
	uint64_t now_ms;   /* of the wall clock */
	unsigned troubles; /* findings so far */
	long long
	    coming; /* messages that wait for their commit, in the queues that were looked at */
};

/* Append a line, in which all that a terminal would take for more than text is escaped: a fact; a
 * finding, which stands in the way; what mends the finding before it. */
void sq_why_fact(struct sq_why_told *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void
sq_why_trouble(struct sq_why_told *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sq_why_mend(struct sq_why_told *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets what texts have as {*name}; NULL: nothing. */
void sq_why_beside(struct sq_why_told *, const char *name, const char *text);

/* The row's text in that column, "" where there is none. */
const char *sq_why_text(const json_t *row, const char *column);
/* The row's number, 0 where there is none. */
long long sq_why_number(const json_t *row, const char *column);
/* Finds the row whose 'column' is that text or number, by asking for the name where 'column' is the
 * table's; the caller's.  'is' NULL: the first row.  NULL: there is none, or the view does not tell. */
json_t *sq_why_find(
    struct sq_why_told *, const char *table, const char *space, const char *column, const char *is);
/* Calls 'each' with the rows that are wanted, until it returns false; a table that is not there or
 * not to be seen has none.  Looks at SQ_WHY_ROWS_MAX rows at most; false: there are more. */
enum { SQ_WHY_ROWS_MAX = 200000 };
bool sq_why_rows(struct sq_why_told *, const struct sq_wanted *,
    bool (*each)(void *arg, const json_t *row), void *arg);

#endif
