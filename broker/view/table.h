/* The contract of the view: tables of what the broker has, which whoever owns the things registers
 * (broker/view/view.h), and docs/view.md describes.
 *
 *   struct sq_view_table    a name and columns
 *   struct sq_view_source   rows of a table: a walk over the things of one owner
 *   struct sq_view_slice    what one call of the walk may do, and the rows that it makes
 *
 * A walk is read-only and goes in slices, each a task on the worker that owns the things.  A slice
 * looks at a bounded number of things and makes a bounded number of rows; then the worker turns,
 * and things come and go.  So a walk names a place for each thing, which never changes while the
 * thing is there, goes by ascending places, and begins a slice at the first place that is not
 * behind the last one.  What is there during the whole walk is met exactly once; what is made or
 * removed meanwhile may be met or not.  A walk takes a lock for one thing at a time at most. */
#ifndef SQ_BROKER_VIEW_TABLE_H
#define SQ_BROKER_VIEW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/msg.h"

struct sq_hnode;
struct sq_htab;
struct sq_view_slice;

/* X(symbol, name) */
#define SQ_VIEW_TYPES(X) \
	X(TEXT, "text") \
	X(NUMBER, "number") \
	X(TRUTH, "truth") \
	X(TIME, "time")     /* ms since 1970 */ \
	X(SPAN, "span")     /* ms */ \
	X(COUNTS, "counts") /* numbers by name */ \
	X(TEXTS, "texts")

#define SQ_VIEW_TYPE_ENUM(symbol, name) SQ_VIEW_##symbol,
enum sq_view_type { SQ_VIEW_TYPES(SQ_VIEW_TYPE_ENUM) SQ_VIEW_TYPE_COUNT };
#undef SQ_VIEW_TYPE_ENUM

struct sq_view_column {
	const char *name;
	enum sq_view_type type;
	const char *unit; /* "" */
	const char *help;
};

/* A row of a table of columns, X(symbol, name, type, unit, help): its struct sq_view_column. */
#define SQ_VIEW_COLUMN(symbol, name, type, unit, help) {name, SQ_VIEW_##type, unit, help},

enum { SQ_VIEW_COLUMNS_MAX = 32 };

struct sq_view_table {
	const char *name, *help;
	const char *named; /* the column that a search by name looks at */
	/* Shows what concerns all spaces, so it is for callers who may see any. */
	bool whole;
	const struct sq_view_column *columns;
	size_t n_columns;
	bool queues; /* rows are of queues, and a search may name one */
};

/* Where a walk is: a thing, and a place within it for things that have several rows. */
struct sq_view_place {
	uint64_t of, inner;
};

struct sq_view_source {
	const struct sq_view_table *table;
	/* Makes rows of things from sq_view_from() on; true: the last one was reached.  False:
	 * sq_view_visit() has said so.  Thread: the worker with that index; does not block. */
	bool (*walk)(void *owner, unsigned worker, struct sq_view_slice *);
	void *owner;
	bool everywhere; /* each worker has some of the things; else the first one walks over all */
};

/* --- for walks --- */

/* Where the slice begins. */
struct sq_view_place sq_view_from(const struct sq_view_slice *);
/* The walk is at a thing; places ascend.  False: the slice is full, and the next one begins
 * there. */
bool sq_view_visit(struct sq_view_slice *, struct sq_view_place);
/* Whether the caller wants the row of a thing of that space with that name (valid UTF-8 or
 * not). */
bool sq_view_wants(const struct sq_view_slice *, const char *space, const char *name);
/* The same of names in bytes; without 'p' it has none, which only a caller wants who wants any. */
bool sq_view_wants_bytes(const struct sq_view_slice *, struct sq_bytes space, struct sq_bytes name);
/* Whether the caller wants rows of that queue; what it wants of them is said by the above. */
bool sq_view_wants_queue(const struct sq_view_slice *, const char *space, const char *queue);
/* The exact name that the caller wants; NULL: several may be. */
const char *sq_view_name(const struct sq_view_slice *);
/* Begins a row, whose values are all unknown. */
void sq_view_row(struct sq_view_slice *);
/* Set a value of the row.  'column' is its place in the table; its type is the function's. */
void sq_view_text(struct sq_view_slice *, unsigned column, const char *text);
void sq_view_bytes(struct sq_view_slice *, unsigned column, struct sq_bytes text);
void sq_view_number(struct sq_view_slice *, unsigned column, uint64_t n); /* or a time, or span */
void sq_view_truth(struct sq_view_slice *, unsigned column, bool truth);
/* Adds a count under a static name without quotes, if it is not 0.  The counts of a column are set
 * in a row; 'n' 0 makes it known, too. */
void sq_view_count(struct sq_view_slice *, unsigned column, const char *name, uint64_t n);
/* Makes a column of texts known, so that it is empty where none is added. */
void sq_view_no_texts(struct sq_view_slice *, unsigned column);
/* Adds a text to a column of texts, which are set in a row. */
void sq_view_add_text(struct sq_view_slice *, unsigned column, struct sq_bytes text);

/* A walk over a hash table of the worker: 'row' is called for each node in its turn, and makes a row
 * of it or none.  The places are sq_hnode_place(). */
bool sq_view_walk_htab(struct sq_view_slice *, const struct sq_htab *,
    void (*row)(struct sq_view_slice *, struct sq_hnode *, void *arg), void *arg);
/* The same of things that have several rows each: 'rows' makes those of a node from 'at' on, whose
 * 'of' is the node's place and stays, and visits at least one place; false: a visit has said so.  Of
 * nodes of one place it is called for the first. */
bool sq_view_walk_htab_rows(struct sq_view_slice *, const struct sq_htab *,
    bool (*rows)(struct sq_view_slice *, struct sq_hnode *, struct sq_view_place at));

#endif
