#include "broker/view/view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/htab.h"
#include "core/mem.h"

enum { SOURCES_MAX = 24 };

struct sq_view {
	struct sq_worker *const *workers;
	size_t n_workers;
	struct sq_view_source sources[SOURCES_MAX];
	size_t n;
	uint64_t secret[2]; /* of cursors */
};

struct sq_view *
sq_view_new(struct sq_worker *const *workers, size_t n_workers)
{
	struct sq_view *v = sq_xcalloc(1, sizeof *v);

	v->workers = workers;
	v->n_workers = n_workers;
	v->secret[0] = sq_random_u64();
	v->secret[1] = sq_random_u64();
	return v;
}

void
sq_view_free(struct sq_view **vp)
{
	free(*vp);
	*vp = NULL;
}

void
sq_view_add(struct sq_view *v, const struct sq_view_source *s)
{
	assert(v->n < SOURCES_MAX && s->table->n_columns <= SQ_VIEW_COLUMNS_MAX);
	v->sources[v->n++] = *s;
}

/* Tables. */

/* Whether the source is the first of its table. */
static bool
view_leads(const struct sq_view *v, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (v->sources[k].table == v->sources[i].table)
			return false;
	}
	return true;
}

const struct sq_view_table *
sq_view_table(const struct sq_view *v, size_t i)
{
	for (size_t k = 0; k < v->n; k++) {
		if (view_leads(v, k) && i-- == 0)
			return v->sources[k].table;
	}
	return NULL;
}

const struct sq_view_table *
sq_view_find(const struct sq_view *v, const char *name)
{
	for (size_t k = 0; k < v->n; k++) {
		if (strcmp(v->sources[k].table->name, name) == 0)
			return v->sources[k].table;
	}
	return NULL;
}

/* Pages. */

/* Moves the cursor to a source of the table, from where it is on; false: there is none. */
static bool
page_settle(struct sq_view_page *p)
{
	const struct sq_view *v = p->view;

	while (p->at.source < v->n && v->sources[p->at.source].table != p->table)
		p->at = (struct sq_view_cursor){.source = p->at.source + 1};
	return p->at.source < v->n;
}

/* Moves it behind the part that has been walked to its end; false: that was the last. */
static bool
page_next(struct sq_view_page *p)
{
	const struct sq_view *v = p->view;
	bool there = v->sources[p->at.source].everywhere && p->at.worker + 1 < v->n_workers;

	p->at = there ? (struct sq_view_cursor){p->at.source, p->at.worker + 1, {0}}
		      : (struct sq_view_cursor){.source = p->at.source + 1};
	return page_settle(p);
}

/* Walks a slice; false: the page is done. */
static bool
page_slice(struct sq_view_page *p)
{
	const struct sq_view_source *source = &p->view->sources[p->at.source];
	size_t room = p->limit - p->rows.n;
	struct sq_view_slice slice = {.from = p->at.place,
	    .filter = &p->filter,
	    .rows = &p->rows,
	    .rows_max = p->rows.n + (room < SQ_VIEW_SLICE_ROWS ? room : SQ_VIEW_SLICE_ROWS),
	    .visits = SQ_VIEW_SLICE_VISITS};
	bool end = source->walk(source->owner, p->at.worker, &slice);

	p->at.place = slice.from;
	p->visits += SQ_VIEW_SLICE_VISITS - slice.visits + 1;
	p->more = !end || page_next(p);
	return p->more && p->rows.n < p->limit && p->visits < SQ_VIEW_PAGE_VISITS &&
	    sq_buf_len(&p->rows.text) < SQ_VIEW_PAGE_TEXT;
}

/* Has the next slice made, behind what the worker has to do for messages. */
static void
page_post(struct sq_view_page *p)
{
	sq_worker_post_in(p->view->workers[p->at.worker], SQ_TURN_REST, &p->task);
}

static void
page_run(struct sq_task *t)
{
	struct sq_view_page *p = SQ_CONTAINER_OF(t, struct sq_view_page, task);

	if (page_slice(p))
		page_post(p);
	else
		p->done(p);
}

void
sq_view_ask(struct sq_view *v, struct sq_view_page *p)
{
	p->view = v;
	p->rows.table = p->table;
	p->task.run = page_run;
	if (!page_settle(p))
		abort(); /* the table is one of ours, and so is the cursor */
	page_post(p);
}

void
sq_view_page_fini(struct sq_view_page *p)
{
	sq_view_rows_fini(&p->rows);
	sq_view_filter_fini(&p->filter);
}

/* Cursors: source, worker, place, and a hash of these with what they are of. */

enum { CURSOR_SUM = 24, CURSOR_SIZE = CURSOR_SUM + 8 };

static uint64_t
cursor_sum(const struct sq_view *v, const struct sq_view_table *t, const struct sq_view_filter *f,
    const unsigned char *head)
{
	struct sq_buf of = {0};
	uint64_t sum;

	sq_buf_append(&of, head, CURSOR_SUM);
	sq_buf_append(&of, t->name, strlen(t->name) + 1);
	sq_buf_u8(&of,
	    (uint8_t)((f->space != NULL) | (f->name != NULL) << 1 | f->prefix << 2 |
		(f->queue != NULL) << 3));
	if (f->space != NULL)
		sq_buf_append(&of, f->space, strlen(f->space) + 1);
	if (f->queue != NULL)
		sq_buf_append(&of, f->queue, strlen(f->queue) + 1);
	if (f->name != NULL)
		sq_buf_append(&of, f->name, f->name_len);
	sum = sq_siphash(v->secret[0], v->secret[1], sq_buf_data(&of), sq_buf_len(&of));
	sq_buf_fini(&of);
	return sum;
}

void
sq_view_cursor_put(const struct sq_view *v, const struct sq_view_table *t,
    const struct sq_view_filter *f, const struct sq_view_cursor *c, struct sq_buf *out)
{
	unsigned char raw[CURSOR_SIZE];

	sq_put32(raw, c->source);
	sq_put32(raw + 4, c->worker);
	sq_put64(raw + 8, c->place.of);
	sq_put64(raw + 16, c->place.inner);
	sq_put64(raw + CURSOR_SUM, cursor_sum(v, t, f, raw));
	for (size_t i = 0; i < sizeof raw; i++)
		sq_buf_printf(out, "%02x", raw[i]);
}

/* -1: it is none. */
static int
cursor_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

bool
sq_view_cursor_read(const struct sq_view *v, const struct sq_view_table *t,
    const struct sq_view_filter *f, const char *text, struct sq_view_cursor *c)
{
	unsigned char raw[CURSOR_SIZE];

	if (strlen(text) != 2 * sizeof raw)
		return false;
	for (size_t i = 0; i < sizeof raw; i++) {
		int high = cursor_digit(text[2 * i]), low = cursor_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		raw[i] = (unsigned char)(high << 4 | low);
	}
	*c = (struct sq_view_cursor){.source = sq_get32(raw),
	    .worker = sq_get32(raw + 4),
	    .place = {sq_get64(raw + 8), sq_get64(raw + 16)}};
	return sq_get64(raw + CURSOR_SUM) == cursor_sum(v, t, f, raw);
}
