#include "cli/view/list.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/view/cell.h"
#include "cli/view/safe.h"
#include "cli/view/table.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"

enum {
	LIST_WIDTH_MAX = 72,       /* columns of a cell */
	LIST_BYTES_MAX = 64 << 20, /* of what is printed */
};

/* What people see of a table without --wide, of those columns that the broker has. */
static const struct {
	const char *table, *columns;
} shown[] = {
    {"sessions", " session state since link subscriptions inflight queued queued_bytes "},
    {"queues", " queue kind depth bytes leased parked paused age members full refused left "},
    {"subscriptions", " session filter tag kind queue qos "},
    {"bindings", " queue filter tag qos id "},
    {"messages", " number topic key qos bytes age expires attempts "},
    {"refusals", " last count who kind topic queue code reason "},
    {"gone", " at queue topic why key attempts "},
    {"dead-letters", " queue letter topic from cause died key qos payload "},
    {"links", " link peer identity since sessions waiting slow leaving "},
    {"spaces",
	" space sessions connections subscriptions delayed dead_letters stored_bytes memory "
	"full "},
};

/* One column of what is printed. */
struct list_column {
	const char *name, *type, *unit;
};

struct list {
	const struct sq_list_ask *ask;
	struct sq_buf *out;
	struct list_column columns[SQ_TABLE_COLUMNS_MAX];
	size_t n_columns;
	const char *named;   /* the column of names */
	struct sq_buf names; /* of the columns, as the broker takes them */
	struct sq_table table;
	uint64_t now_ms;
	size_t n;
	bool too_big;
	const char *alias; /* a column whose value 'name' may be, too; NULL: none */
};

static const char *
list_member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static bool
list_shows(const struct sq_list_ask *ask, const char *column)
{
	char word[64];
	int len = snprintf(word, sizeof word, " %s ", column);

	if (ask->wide)
		return true;
	for (size_t i = 0; i < SQ_ARRAY_LEN(shown); i++)
		if (strcmp(ask->table, shown[i].table) == 0)
			return len < (int)sizeof word && strstr(shown[i].columns, word) != NULL;
	return true;
}

/* Takes the columns that are to be shown from the table's description. */
static bool
list_describe(struct list *l, struct sq_tables *r, bool all, struct sq_buf *err)
{
	const json_t *t = r->table(r->owner, l->ask->table, err), *c;
	size_t i;

	if (t == NULL)
		return false;
	l->named = list_member(t, "name");
	json_array_foreach(json_object_get(t, "columns"), i, c)
	{
		struct list_column column = {
		    list_member(c, "column"), list_member(c, "type"), list_member(c, "unit")};

		if (l->n_columns == SQ_TABLE_COLUMNS_MAX || column.name[0] == '\0' ||
		    (!all && !list_shows(l->ask, column.name)))
			continue;
		sq_buf_printf(&l->names, "%s%s", l->n_columns > 0 ? "," : "", column.name);
		l->columns[l->n_columns++] = column;
	}
	sq_buf_u8(&l->names, 0);
	if (l->n_columns == 0)
		sq_buf_printf(err, "/v1/view: the table %s has no columns", l->ask->table);
	return l->n_columns > 0;
}

static void
list_fini(struct list *l)
{
	sq_buf_fini(&l->names);
	sq_table_fini(&l->table);
}

/* ---- JSON ---- */

static bool
list_json_row(struct list *l, const json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT | JSON_PRESERVE_ORDER);

	sq_buf_printf(l->out, "%s\n", l->n++ > 0 ? "," : "");
	if (text != NULL)
		sq_safe(l->out, text, strlen(text));
	free(text);
	l->too_big = sq_buf_len(l->out) > LIST_BYTES_MAX;
	return !l->too_big;
}

/* ---- ls ---- */

static void
list_title(struct list *l)
{
	struct sq_buf title = {0};

	for (size_t i = 0; i < l->n_columns; i++) {
		for (const char *p = l->columns[i].name; *p != '\0'; p++)
			sq_buf_u8(&title, *p == '_' ? ' ' : (uint8_t)toupper((unsigned char)*p));
		sq_table_cell(&l->table, (char *)sq_buf_data(&title), sq_buf_len(&title));
		sq_buf_drain(&title, sq_buf_len(&title));
		l->table.right[i] = sq_cell_right(l->columns[i].type);
	}
	sq_buf_fini(&title);
}

static bool
list_row(void *arg, const json_t *row)
{
	struct list *l = arg;
	struct sq_buf cell = {0};

	if (l->ask->json)
		return list_json_row(l, row);
	for (size_t i = 0; i < l->n_columns; i++) {
		const struct list_column *c = &l->columns[i];

		sq_cell(&cell, json_object_get(row, c->name), c->type, c->unit, l->now_ms);
		sq_table_cell(&l->table, (char *)sq_buf_data(&cell), sq_buf_len(&cell));
		sq_buf_drain(&cell, sq_buf_len(&cell));
	}
	sq_buf_fini(&cell);
	l->n++;
	l->too_big = sq_buf_len(&l->table.text) > LIST_BYTES_MAX;
	return !l->too_big;
}

static enum sq_found
list_ended(struct list *l, int rc, struct sq_buf *err)
{
	if (rc == 0 && l->too_big)
		sq_buf_printf(err, "more than %d MiB: ask for less by --space, --prefix or --limit",
		    LIST_BYTES_MAX >> 20);
	if (rc == 0 && !l->too_big && l->ask->json)
		sq_buf_printf(l->out, "%s]\n", l->n > 0 ? "\n" : "");
	list_fini(l);
	return rc == 0 && !l->too_big ? SQ_FOUND : SQ_FOUND_ERROR;
}

static bool
list_queue_row(void *arg, const json_t *row)
{
	(void)row;
	*(bool *)arg = true;
	return false;
}

/* Whether the rows of a queue were asked for that is not there, as far as the caller may see queues;
 * 'err' has a line then. */
static bool
list_no_queue(struct sq_tables *r, const struct sq_list_ask *ask, struct sq_buf *err)
{
	struct sq_wanted w = {.table = "queues", .name = ask->queue, .columns = "queue"};
	struct sq_buf why = {0};
	bool there = ask->queue == NULL;

	if (!there && r->rows(r->owner, &w, list_queue_row, &there, &why) != 0)
		there = true;
	sq_buf_fini(&why);
	if (!there) {
		sq_buf_printf(err, "queues: nothing there with the name ");
		sq_safe(err, ask->queue, strlen(ask->queue));
	}
	return !there;
}

enum sq_found
sq_list(struct sq_tables *r, const struct sq_list_ask *ask, struct sq_buf *out, struct sq_buf *err)
{
	struct list l = {.ask = ask, .out = out, .now_ms = sq_clock_wall_ms()};
	struct sq_wanted w = {.table = ask->table,
	    .space = ask->space,
	    .name = ask->name,
	    .prefix = ask->prefix,
	    .queue = ask->queue,
	    .limit = ask->limit};
	int rc;

	if (!ask->json && !list_describe(&l, r, false, err)) {
		list_fini(&l);
		return SQ_FOUND_ERROR;
	}
	if (ask->json) {
		sq_buf_printf(out, "[");
	} else {
		w.columns = (const char *)sq_buf_data(&l.names);
		sq_table_init(&l.table, l.n_columns, ask->wide ? 0 : LIST_WIDTH_MAX);
		list_title(&l);
	}
	rc = r->rows(r->owner, &w, list_row, &l, err);
	if (rc == 0 && l.n == 0 && list_no_queue(r, ask, err)) {
		sq_buf_drain(out, sq_buf_len(out));
		list_fini(&l);
		return SQ_FOUND_NONE;
	}
	if (rc == 0 && !ask->json)
		sq_table_print(&l.table, out);
	return list_ended(&l, rc, err);
}

/* ---- show ---- */

static void
show_plain(struct list *l, const json_t *row)
{
	struct sq_buf cell = {0};
	struct sq_table t;

	sq_table_init(&t, 2, 0);
	for (size_t i = 0; i < l->n_columns; i++) {
		const struct list_column *c = &l->columns[i];

		sq_safe(&cell, c->name, strlen(c->name));
		sq_table_cell(&t, (char *)sq_buf_data(&cell), sq_buf_len(&cell));
		sq_buf_drain(&cell, sq_buf_len(&cell));
		sq_cell(&cell, json_object_get(row, c->name), c->type, c->unit, l->now_ms);
		sq_table_cell(&t, (char *)sq_buf_data(&cell), sq_buf_len(&cell));
		sq_buf_drain(&cell, sq_buf_len(&cell));
	}
	if (l->n++ > 0)
		sq_buf_printf(l->out, "\n");
	sq_table_print(&t, l->out);
	sq_table_fini(&t);
	sq_buf_fini(&cell);
	l->too_big = sq_buf_len(l->out) > LIST_BYTES_MAX;
}

/* Whether the value of that column is what is looked for. */
static bool
show_is(const json_t *row, const char *column, const char *wanted)
{
	const json_t *v = json_object_get(row, column);
	char number[24];

	if (json_is_string(v))
		return strcmp(json_string_value(v), wanted) == 0;
	snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
	return json_is_integer(v) && strcmp(number, wanted) == 0;
}

static bool
show_row(void *arg, const json_t *row)
{
	struct list *l = arg;

	if (l->ask->name != NULL && !show_is(row, l->named, l->ask->name) &&
	    (l->alias == NULL || !show_is(row, l->alias, l->ask->name)))
		return true;
	if (l->ask->letter != NULL && !show_is(row, "letter", l->ask->letter))
		return true;
	if (l->ask->json)
		return list_json_row(l, row);
	show_plain(l, row);
	return !l->too_big;
}

enum sq_found
sq_show(struct sq_tables *r, const struct sq_list_ask *ask, struct sq_buf *out, struct sq_buf *err)
{
	struct list l = {.ask = ask, .out = out, .now_ms = sq_clock_wall_ms()};
	struct sq_wanted w = {.table = ask->table, .space = ask->space, .name = ask->name};
	int rc;

	if (!list_describe(&l, r, true, err)) {
		list_fini(&l);
		return SQ_FOUND_ERROR;
	}
	if (ask->json)
		sq_buf_printf(out, "[");
	rc = r->rows(r->owner, &w, show_row, &l, err);
	if (rc == 0 && l.n == 0 && ask->name != NULL) {
		l.alias = strcmp(ask->table, "sessions") == 0 ? "client"
		    : strcmp(ask->table, "links") == 0        ? "link"
							      : NULL;
		w.name = NULL;
		if (l.alias != NULL)
			rc = r->rows(r->owner, &w, show_row, &l, err);
	}
	if (rc == 0 && l.n == 0) {
		sq_buf_drain(out, sq_buf_len(out));
		sq_buf_printf(err, "%s: nothing there with the name ", ask->table);
		sq_safe(err, ask->name != NULL ? ask->name : "",
		    ask->name != NULL ? strlen(ask->name) : 0);
		list_fini(&l);
		return SQ_FOUND_NONE;
	}
	return list_ended(&l, rc, err);
}
