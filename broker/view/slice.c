#include "broker/view/slice.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/htab.h"
#include "core/mem.h"

enum { SPACE_MAX = 256 }; /* bytes of the name of a space */

/* Filters. */

void
sq_view_filter_fini(struct sq_view_filter *f)
{
	free(f->space);
	free(f->name);
	free(f->queue);
	*f = (struct sq_view_filter){0};
}

bool
sq_view_wants(const struct sq_view_slice *s, const char *space, const char *name)
{
	const struct sq_view_filter *f = s->filter;

	if (f->name != NULL &&
	    (f->prefix ? strncmp(name, f->name, f->name_len) : strcmp(name, f->name)) != 0)
		return false;
	if (f->space != NULL && strcmp(f->space, space) != 0)
		return false;
	return f->may == NULL || f->may(f->arg, space);
}

bool
sq_view_wants_bytes(const struct sq_view_slice *s, struct sq_bytes space, struct sq_bytes name)
{
	const struct sq_view_filter *f = s->filter;
	char text[SPACE_MAX + 1] = "";

	if (f->name != NULL &&
	    (name.p == NULL || name.len < f->name_len || (!f->prefix && name.len != f->name_len) ||
		memcmp(name.p, f->name, f->name_len) != 0))
		return false;
	if (f->space != NULL && !sq_bytes_are(space, f->space))
		return false;
	if (space.len > SPACE_MAX)
		return f->may == NULL;
	if (space.len > 0)
		memcpy(text, space.p, space.len);
	return f->may == NULL || f->may(f->arg, text);
}

bool
sq_view_wants_queue(const struct sq_view_slice *s, const char *space, const char *queue)
{
	const struct sq_view_filter *f = s->filter;

	if (f->queue != NULL && strcmp(f->queue, queue) != 0)
		return false;
	if (f->space != NULL && strcmp(f->space, space) != 0)
		return false;
	return f->may == NULL || f->may(f->arg, space);
}

const char *
sq_view_name(const struct sq_view_slice *s)
{
	return s->filter->prefix ? NULL : s->filter->name;
}

/* Places. */

struct sq_view_place
sq_view_from(const struct sq_view_slice *s)
{
	return s->from;
}

bool
sq_view_visit(struct sq_view_slice *s, struct sq_view_place place)
{
	assert(place.of > s->from.of || (place.of == s->from.of && place.inner >= s->from.inner));
	s->from = place;
	if (s->visits == 0 || s->rows->n >= s->rows_max ||
	    sq_buf_len(&s->rows->text) >= SQ_VIEW_PAGE_TEXT)
		return false;
	s->visits--;
	return true;
}

bool
sq_view_walk_htab(struct sq_view_slice *s, const struct sq_htab *t,
    void (*row)(struct sq_view_slice *, struct sq_hnode *, void *), void *arg)
{
	uint64_t from = s->from.of;

	for (;;) {
		struct sq_hnode *node = sq_htab_seek(t, from);

		if (node == NULL)
			return true;
		from = sq_hnode_place(node);
		if (!sq_view_visit(s, (struct sq_view_place){from, 0}))
			return false;
		for (; node != NULL; node = sq_htab_next_same(node)) /* of one place: together */
			row(s, node, arg);
		if (++from == 0)
			return true;
	}
}

bool
sq_view_walk_htab_rows(struct sq_view_slice *s, const struct sq_htab *t,
    bool (*rows)(struct sq_view_slice *, struct sq_hnode *, struct sq_view_place))
{
	struct sq_view_place at = s->from;
	struct sq_hnode *node;

	while ((node = sq_htab_seek(t, at.of)) != NULL) {
		if (sq_hnode_place(node) != at.of)
			at = (struct sq_view_place){sq_hnode_place(node), 0};
		if (!rows(s, node, at))
			return false;
		at = (struct sq_view_place){at.of + 1, 0};
		if (at.of == 0)
			break;
	}
	return true;
}

/* Rows. */

void
sq_view_rows_fini(struct sq_view_rows *rows)
{
	free(rows->cells);
	sq_buf_fini(&rows->text);
	*rows = (struct sq_view_rows){0};
}

void
sq_view_row(struct sq_view_slice *s)
{
	struct sq_view_rows *rows = s->rows;
	size_t columns = rows->table->n_columns;

	if (rows->n == rows->cap) {
		rows->cap = rows->cap > 0 ? 2 * rows->cap : 16;
		rows->cells = sq_xrealloc(rows->cells, rows->cap * columns * sizeof *rows->cells);
	}
	memset(rows->cells + rows->n * columns, 0, columns * sizeof *rows->cells);
	rows->n++;
}

/* The cell of the present row. */
static struct sq_view_cell *
row_cell(struct sq_view_slice *s, unsigned column)
{
	struct sq_view_rows *rows = s->rows;

	assert(rows->n > 0 && column < rows->table->n_columns);
	return &rows->cells[(rows->n - 1) * rows->table->n_columns + column];
}

static enum sq_view_type
row_type(const struct sq_view_slice *s, unsigned column)
{
	return s->rows->table->columns[column].type;
}

/* Appends to the cell's text, which is the last. */
static void
row_append(struct sq_view_slice *s, struct sq_view_cell *c, const void *p, size_t len)
{
	struct sq_buf *text = &s->rows->text;

	if (!c->known || c->len == 0)
		c->at = sq_buf_len(text);
	assert(c->at + c->len == sq_buf_len(text));
	sq_buf_append(text, p, len);
	c->len += (uint32_t)len;
	c->known = true;
}

void
sq_view_bytes(struct sq_view_slice *s, unsigned column, struct sq_bytes text)
{
	assert(row_type(s, column) == SQ_VIEW_TEXT);
	row_append(s, row_cell(s, column), text.p, text.len);
}

void
sq_view_text(struct sq_view_slice *s, unsigned column, const char *text)
{
	sq_view_bytes(s, column, sq_bytes_of(text));
}

void
sq_view_number(struct sq_view_slice *s, unsigned column, uint64_t n)
{
	struct sq_view_cell *c = row_cell(s, column);
	enum sq_view_type type = row_type(s, column);

	assert(type == SQ_VIEW_NUMBER || type == SQ_VIEW_TIME || type == SQ_VIEW_SPAN);
	c->known = true;
	c->n = n;
}

void
sq_view_truth(struct sq_view_slice *s, unsigned column, bool truth)
{
	struct sq_view_cell *c = row_cell(s, column);

	assert(row_type(s, column) == SQ_VIEW_TRUTH);
	c->known = true;
	c->n = truth;
}

void
sq_view_count(struct sq_view_slice *s, unsigned column, const char *name, uint64_t n)
{
	struct sq_view_cell *c = row_cell(s, column);

	assert(row_type(s, column) == SQ_VIEW_COUNTS);
	c->known = true;
	if (n == 0)
		return;
	row_append(s, c, name, strlen(name) + 1);
	row_append(s, c, &n, sizeof n);
}

void
sq_view_no_texts(struct sq_view_slice *s, unsigned column)
{
	assert(row_type(s, column) == SQ_VIEW_TEXTS);
	row_cell(s, column)->known = true;
}

void
sq_view_add_text(struct sq_view_slice *s, unsigned column, struct sq_bytes text)
{
	struct sq_view_cell *c = row_cell(s, column);

	assert(row_type(s, column) == SQ_VIEW_TEXTS);
	row_append(s, c, text.p, text.len);
	row_append(s, c, "", 1);
}
