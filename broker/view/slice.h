/* One slice of a walk, from the side of who has it walk (page.c); see table.h for the walk's. */
#ifndef SQ_BROKER_VIEW_SLICE_H
#define SQ_BROKER_VIEW_SLICE_H

#include "broker/view/rows.h"

/* Which rows a caller wants. */
struct sq_view_filter {
	char *name; /* NULL: any */
	size_t name_len;
	bool prefix; /* 'name' is the beginning */
	char *space; /* NULL: any */
	char *queue; /* the same */
	/* Whether the caller may see rows of that space; NULL: of all.  On the page's worker. */
	bool (*may)(void *arg, const char *space);
	void *arg;
};

void sq_view_filter_fini(struct sq_view_filter *);

struct sq_view_slice {
	struct sq_view_place from; /* where it begins, then where the next one does */
	const struct sq_view_filter *filter;
	struct sq_view_rows *rows;
	size_t rows_max; /* of 'rows', with those of earlier slices */
	unsigned visits; /* left */
};

#endif
