/* The broker's view: the registered tables (broker/view/table.h), and pages of them.
 *
 * A page goes over the sources of a table in the order of their registration, and in each over the
 * workers: a slice at a time, which is a task of that worker (SQ_TURN_REST): one in a turn, when what
 * the turn had to do for messages is written.  Nobody waits for it. */
#ifndef SQ_BROKER_VIEW_VIEW_H
#define SQ_BROKER_VIEW_VIEW_H

#include "broker/view/slice.h"
#include "core/buf.h"
#include "web/worker.h"

struct sq_view;

enum {
	SQ_VIEW_PAGE_MAX = 1000,     /* rows */
	SQ_VIEW_SLICE_ROWS = 4,      /* of a slice, which takes a worker some 10 µs */
	SQ_VIEW_SLICE_VISITS = 32,   /* things that a slice looks at */
	SQ_VIEW_PAGE_VISITS = 16384, /* and all slices of a page */
};

/* 'workers' outlive the view. */
struct sq_view *sq_view_new(struct sq_worker *const *workers, size_t n_workers);
/* Frees the view, of which no page is under way; nulls the pointer. */
void sq_view_free(struct sq_view **);
/* Registers a source, whose table is static, before the first page. */
void sq_view_add(struct sq_view *, const struct sq_view_source *);

/* The i-th of the tables, in the order of their first sources; NULL: there are no more.  Thread:
 * any. */
const struct sq_view_table *sq_view_table(const struct sq_view *, size_t i);
/* The table of that name, or NULL.  Thread: any. */
const struct sq_view_table *sq_view_find(const struct sq_view *, const char *name);

/* Where a page begins.  Zeroed: at the first row. */
struct sq_view_cursor {
	uint32_t source, worker;
	struct sq_view_place place;
};

/* A page; the caller's, zeroed but for the first part, until done() has run. */
struct sq_view_page {
	const struct sq_view_table *table;
	struct sq_view_filter filter;
	size_t limit; /* rows */
	struct sq_view_cursor at;
	/* The page is complete: 'rows' has what there is, 'more' says whether the next page begins
	 * at 'at'.  Thread: a worker, which goes on when it returns. */
	void (*done)(struct sq_view_page *);

	struct sq_view_rows rows;
	bool more;

	struct sq_view *view;
	struct sq_task task;
	unsigned visits;
};

/* Begins a page; done() follows.  Thread: any. */
void sq_view_ask(struct sq_view *, struct sq_view_page *);
/* Frees what a page that is done holds. */
void sq_view_page_fini(struct sq_view_page *);

/* Appends the text of a cursor, which only this view reads. */
void sq_view_cursor_put(const struct sq_view *, const struct sq_view_table *,
    const struct sq_view_filter *, const struct sq_view_cursor *, struct sq_buf *);
/* Reads one; false: it is none of this view's, for this table with this name and space.  Thread:
 * any. */
bool sq_view_cursor_read(const struct sq_view *, const struct sq_view_table *,
    const struct sq_view_filter *, const char *text, struct sq_view_cursor *);

#endif
