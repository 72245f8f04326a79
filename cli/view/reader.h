/* How the tables of a broker's view (docs/view.md) are read: a contract, of which remote.h is the one
 * that asks a broker. */
#ifndef SQ_CLI_VIEW_READER_H
#define SQ_CLI_VIEW_READER_H

#include <jansson.h>
#include <stdbool.h>

#include "core/buf.h"

/* What a command found. */
enum sq_found {
	SQ_FOUND,
	SQ_FOUND_NONE, /* there is no such thing */
	SQ_FOUND_ERROR,
};

/* Rows that are wanted.  NULL: any, and all columns. */
struct sq_wanted {
	const char *table;
	const char *space;
	const char *name;
	const char *prefix; /* with which the name begins; NULL where there is a 'name' */
	const char *queue;  /* of a table with rows of queues */
	const char *columns;
	size_t limit; /* rows of all pages; 0: no limit */
};

struct sq_tables {
	/* Calls 'each' with every row, an object, in the order of the pages, until it returns false.
	 * Blocks.  0; SQ_ENOTFOUND: there is no such table; SQ_EDENIED: the caller may not see it;
	 * or another error; 'err' has a line then. */
	int (*rows)(void *owner, const struct sq_wanted *,
	    bool (*each)(void *arg, const json_t *row), void *arg, struct sq_buf *err);
	/* The description of the table, with its columns, which lives as long as the reader; NULL:
	 * there is none, 'err' has a line.  Blocks. */
	const json_t *(*table)(void *owner, const char *name, struct sq_buf *err);
	void *owner;
};

#endif
