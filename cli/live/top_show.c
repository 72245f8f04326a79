/* Snapshots in words; see cli/live/top_show.h. */
#include "cli/live/top_show.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/view/cell.h"
#include "cli/view/safe.h"
#include "cli/view/table.h"
#include "core/mem.h"

enum { TOP_NAME_MAX = 48 }; /* columns of a cell */

static const struct {
	const char *title, *column, *type, *unit;
} cells[] = {
    {"QUEUE", "queue", "text", ""},
    {"DEPTH", "depth", "number", ""},
    {"CHANGE", NULL, "number", ""}, /* the snapshot's own */
    {"BYTES", "bytes", "number", "bytes"},
    {"AGE", "age", "span", "ms"},
    {"TAKERS", "members", "number", ""},
    {"FULL", "full", "truth", ""},
    {"REFUSED", "refused", "counts", ""},
    {"LEFT", "left", "counts", ""},
};

static void
top_change(struct sq_buf *out, double change)
{
	if (change == 0)
		sq_buf_printf(out, "0/s");
	else
		sq_buf_printf(out, fabs(change) < 10 ? "%+.1f/s" : "%+.0f/s", change);
}

/* ---- the queues ---- */

static void
top_cell(struct sq_table *t, const struct sq_snapshot_queue *q, size_t i, uint64_t now_ms)
{
	struct sq_buf cell = {0};
	size_t len;

	if (cells[i].column != NULL)
		sq_cell(&cell, json_object_get(q->row, cells[i].column), cells[i].type,
		    cells[i].unit, now_ms);
	else if (q->is_new)
		sq_buf_printf(&cell, "-");
	else
		top_change(&cell, q->change);
	len = sq_buf_len(&cell);
	sq_table_cell(t, (char *)sq_buf_data(&cell), len);
	sq_buf_fini(&cell);
}

static void
top_queues(
    struct sq_buf *out, const struct sq_snapshot *s, const struct sq_snapshot_queue **by, size_t n)
{
	struct sq_table t;

	sq_table_init(&t, SQ_ARRAY_LEN(cells), TOP_NAME_MAX);
	for (size_t i = 0; i < SQ_ARRAY_LEN(cells); i++) {
		sq_table_cell(&t, cells[i].title, strlen(cells[i].title));
		t.right[i] = sq_cell_right(cells[i].type);
	}
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < SQ_ARRAY_LEN(cells); i++)
			top_cell(&t, by[k], i, s->wall_ms);
	sq_table_print(&t, out);
	sq_table_fini(&t);
}

/* ---- what is said above them ---- */

static const char *
top_text(const json_t *row, const char *column)
{
	const char *text = json_string_value(json_object_get(row, column));

	return text != NULL ? text : "-";
}

static void
top_title(struct sq_buf *out, const struct sq_snapshot *s)
{
	time_t t = (time_t)(s->wall_ms / 1000);
	struct tm at;
	char text[32];

	(void)localtime_r(&t, &at);
	(void)strftime(text, sizeof text, "%H:%M:%S", &at);
	sq_buf_printf(out, "%s  %s%zu queue%s, %lld message%s", text,
	    s->more_queues ? "more than " : "", s->n_queues, s->n_queues == 1 ? "" : "s",
	    (long long)s->depth, s->depth == 1 ? " waits" : "s wait");
	if (s->since_ms > 0) {
		sq_buf_printf(out, " (");
		top_change(out, s->change);
		sq_buf_printf(out, ")");
	}
	sq_buf_printf(out, ", ");
	sq_cell_bytes(out, (uint64_t)(s->bytes > 0 ? s->bytes : 0));
	sq_buf_u8(out, '\n');
}

static void
top_of(struct sq_buf *out, const json_t *row, const char *used, const char *most)
{
	int64_t n = json_integer_value(json_object_get(row, used));
	int64_t max = json_integer_value(json_object_get(row, most));

	sq_cell_bytes(out, (uint64_t)(n > 0 ? n : 0));
	if (max > 0) {
		sq_buf_printf(out, " of ");
		sq_cell_bytes(out, (uint64_t)max);
	}
}

static void
top_store(struct sq_buf *out, const json_t *row, double commits)
{
	bool healthy = json_is_true(json_object_get(row, "healthy"));

	if (row == NULL)
		return;
	sq_buf_printf(out, "store: %s", healthy ? "healthy" : "NOT HEALTHY");
	if (json_is_true(json_object_get(row, "stalled")))
		sq_buf_printf(out, ", STALLED");
	if (json_is_true(json_object_get(row, "full")))
		sq_buf_printf(out, ", FULL");
	sq_buf_printf(out, ", journal ");
	top_of(out, row, "journal_bytes", "journal_max");
	sq_buf_printf(out, ", tables ");
	top_of(out, row, "table_bytes", "table_max");
	if (commits >= 0)
		sq_buf_printf(out, ", %.0f commits/s", commits);
	if (!healthy) {
		const char *why = top_text(row, "why");

		sq_buf_printf(out, ": ");
		sq_safe(out, why, strlen(why));
	}
	sq_buf_u8(out, '\n');
}

static void
top_cell_of(
    struct sq_buf *out, const json_t *row, const char *column, const char *type, const char *unit)
{
	sq_cell(out, json_object_get(row, column), type, unit, 0);
}

static void
top_links(struct sq_buf *out, const json_t *links)
{
	const json_t *row;
	size_t i;

	json_array_foreach(links, i, row)
	{
		sq_buf_printf(out, "slow link ");
		top_cell_of(out, row, "peer", "text", "");
		sq_buf_printf(out, " of ");
		top_cell_of(out, row, "identity", "text", "");
		sq_buf_printf(out, ": ");
		top_cell_of(out, row, "waiting", "number", "bytes");
		sq_buf_printf(out, " wait, ");
		top_cell_of(out, row, "sessions", "number", "");
		sq_buf_printf(out, " sessions\n");
	}
}

static void
top_spaces(struct sq_buf *out, const json_t *spaces)
{
	const json_t *row;
	size_t i;

	json_array_foreach(spaces, i, row)
	{
		sq_buf_printf(out, "space ");
		top_cell_of(out, row, "space", "text", "");
		sq_buf_printf(out, " may have no more of: ");
		top_cell_of(out, row, "full", "texts", "");
		sq_buf_u8(out, '\n');
	}
}

/* ---- the whole ---- */

/* Appends the lines of 'text' that fit. */
static void
top_fit(struct sq_buf *out, const struct sq_buf *text, const struct sq_top_how *how)
{
	const char *p = (const char *)sq_buf_data(text);
	size_t left = sq_buf_len(text);

	for (size_t n = 0; left > 0 && (how->rows == 0 || n < how->rows); n++) {
		const char *end = memchr(p, '\n', left);
		size_t len = end != NULL ? (size_t)(end - p) : left;
		size_t fits = how->columns == 0 ? len : sq_safe_cut(p, len, how->columns);

		sq_buf_append(out, p, fits);
		sq_buf_u8(out, '\n');
		p += len + (end != NULL);
		left -= len + (end != NULL);
	}
}

static const struct sq_snapshot_queue **
top_ranked(const struct sq_snapshot *s, const struct sq_top_how *how, size_t *n)
{
	const struct sq_snapshot_queue **by = sq_xcalloc(s->n_queues + 1, sizeof *by);

	sq_snapshot_rank(s, how->by_change, by);
	*n = s->n_queues < how->queues ? s->n_queues : how->queues;
	return by;
}

void
sq_top_text(struct sq_buf *out, const struct sq_snapshot *s, const struct sq_top_how *how,
    const char *trouble)
{
	struct sq_buf text = {0};
	const struct sq_snapshot_queue **by;
	size_t n;

	top_title(&text, s);
	if (trouble != NULL)
		sq_buf_printf(&text, "! %s\n", trouble);
	top_store(&text, s->store, s->commits);
	top_spaces(&text, s->spaces);
	top_links(&text, s->links);
	sq_buf_u8(&text, '\n');
	by = top_ranked(s, how, &n);
	top_queues(&text, s, by, n);
	free(by);
	top_fit(out, &text, how);
	sq_buf_fini(&text);
}

/* ---- JSON ---- */

static json_t *
top_json_queue(const struct sq_snapshot_queue *q)
{
	json_t *row = json_copy(q->row);

	json_object_set_new(row, "change", q->is_new ? json_null() : json_real(q->change));
	return row;
}

static json_t *
top_json_or_null(json_t *value)
{
	return value != NULL ? json_incref(value) : json_null();
}

void
sq_top_json(struct sq_buf *out, const struct sq_snapshot *s, const struct sq_top_how *how)
{
	json_t *o = json_object(), *queues = json_array();
	const struct sq_snapshot_queue **by;
	char *text;
	size_t n;

	by = top_ranked(s, how, &n);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(queues, top_json_queue(by[i]));
	free(by);
	json_object_set_new(o, "time", json_integer((json_int_t)s->wall_ms));
	json_object_set_new(o, "queues", json_integer((json_int_t)s->n_queues));
	json_object_set_new(o, "depth", json_integer(s->depth));
	json_object_set_new(o, "bytes", json_integer(s->bytes));
	json_object_set_new(o, "change", s->since_ms > 0 ? json_real(s->change) : json_null());
	json_object_set_new(o, "first", queues);
	json_object_set_new(o, "slow_links", top_json_or_null(s->links));
	json_object_set_new(o, "full_spaces", top_json_or_null(s->spaces));
	json_object_set_new(o, "store", top_json_or_null(s->store));
	json_object_set_new(o, "commits", s->commits >= 0 ? json_real(s->commits) : json_null());
	text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(o);
	if (text != NULL)
		sq_safe(out, text, strlen(text));
	free(text);
	sq_buf_u8(out, '\n');
}
