#include "broker/front/view/json.h"

#include <string.h>

#include "proto/json/write.h"

/* "name\0" and 8 bytes each. */
static void
json_counts(struct sq_buf *out, struct sq_bytes text)
{
	const char *separator = "{";

	for (size_t i = 0; i < text.len;) {
		const char *name = (const char *)text.p + i;
		uint64_t n;

		i += strlen(name) + 1;
		memcpy(&n, text.p + i, sizeof n);
		i += sizeof n;
		sq_buf_printf(out, "%s\"%s\":%llu", separator, name, (unsigned long long)n);
		separator = ",";
	}
	sq_json_put_raw(out, text.len > 0 ? "}" : "{}");
}

/* A NUL behind each. */
static void
json_texts(struct sq_buf *out, struct sq_bytes text)
{
	sq_json_put_raw(out, "[");
	for (size_t i = 0; i < text.len;) {
		size_t len = strlen((const char *)text.p + i);

		if (i > 0)
			sq_json_put_raw(out, ",");
		sq_json_put_string(out, (struct sq_bytes){text.p + i, len});
		i += len + 1;
	}
	sq_json_put_raw(out, "]");
}

static void
json_cell(struct sq_buf *out, const struct sq_view_rows *rows, enum sq_view_type type,
    const struct sq_view_cell *c)
{
	struct sq_bytes text = sq_view_cell_text(rows, c);

	if (!c->known)
		sq_json_put_raw(out, "null");
	else if (type == SQ_VIEW_TEXT)
		sq_json_put_string(out, text);
	else if (type == SQ_VIEW_TRUTH)
		sq_json_put_raw(out, c->n != 0 ? "true" : "false");
	else if (type == SQ_VIEW_COUNTS)
		json_counts(out, text);
	else if (type == SQ_VIEW_TEXTS)
		json_texts(out, text);
	else
		sq_json_put_number(out, c->n);
}

static void
json_heads(struct sq_view_json *j, const struct sq_view_table *t, const bool *shown)
{
	char separator = '{';

	for (size_t k = 0; k < t->n_columns; k++) {
		j->head_at[k] = sq_buf_len(&j->heads);
		if (shown[k]) {
			sq_buf_printf(&j->heads, "%c\"%s\":", separator, t->columns[k].name);
			separator = ',';
		}
	}
	j->head_at[t->n_columns] = sq_buf_len(&j->heads);
}

static void
json_row(struct sq_view_json *j, size_t i)
{
	const struct sq_view_table *t = j->rows->table;

	for (size_t k = 0; k < t->n_columns; k++) {
		size_t at = j->head_at[k], len = j->head_at[k + 1] - at;

		if (len == 0)
			continue;
		sq_buf_append(&j->out, sq_buf_data(&j->heads) + at, len);
		json_cell(&j->out, j->rows, t->columns[k].type, sq_view_cell(j->rows, i, k));
	}
	sq_json_put_raw(&j->out, "}");
}

void
sq_view_json_begin(struct sq_view_json *j, const struct sq_view_rows *rows, const bool *shown)
{
	*j = (struct sq_view_json){.rows = rows};
	json_heads(j, rows->table, shown);
	sq_buf_printf(&j->out, "{\"table\":\"%s\",\"rows\":[", rows->table->name);
}

bool
sq_view_json_more(struct sq_view_json *j, size_t most)
{
	for (; most > 0 && j->n < j->rows->n; most--) {
		sq_json_put_raw(&j->out, j->n > 0 ? ",\n" : "\n");
		json_row(j, j->n++);
	}
	return j->n < j->rows->n;
}

void
sq_view_json_end(struct sq_view_json *j, const char *next, struct sq_buf *out)
{
	sq_json_put_raw(&j->out, "\n],\"next\":");
	if (next != NULL)
		sq_buf_printf(&j->out, "\"%s\"}\n", next);
	else
		sq_json_put_raw(&j->out, "null}\n");
	*out = j->out;
	j->out = (struct sq_buf){0};
	sq_view_json_fini(j);
}

void
sq_view_json_fini(struct sq_view_json *j)
{
	sq_buf_fini(&j->heads);
	sq_buf_fini(&j->out);
}

static void
json_member(struct sq_buf *out, const char *name, const char *value)
{
	sq_buf_printf(out, "\"%s\":", name);
	sq_json_put_string(out, sq_bytes_of(value));
}

static void
json_column(struct sq_buf *out, const struct sq_view_column *c)
{
	static const char *const types[] = {
#define JSON_TYPE(symbol, name) [SQ_VIEW_##symbol] = name,
	    SQ_VIEW_TYPES(JSON_TYPE)
#undef JSON_TYPE
	};

	sq_json_put_raw(out, "{");
	json_member(out, "column", c->name);
	sq_json_put_raw(out, ",");
	json_member(out, "type", types[c->type]);
	sq_json_put_raw(out, ",");
	json_member(out, "unit", c->unit);
	sq_json_put_raw(out, ",");
	json_member(out, "help", c->help);
	sq_json_put_raw(out, "}");
}

void
sq_view_json_table(struct sq_buf *out, const struct sq_view_table *t)
{
	sq_json_put_raw(out, "{");
	json_member(out, "table", t->name);
	sq_json_put_raw(out, ",");
	json_member(out, "help", t->help);
	sq_json_put_raw(out, ",");
	json_member(out, "name", t->named);
	sq_json_put_raw(out, ",\"columns\":[");
	for (size_t i = 0; i < t->n_columns; i++) {
		sq_json_put_raw(out, i > 0 ? ",\n" : "\n");
		json_column(out, &t->columns[i]);
	}
	sq_json_put_raw(out, "]}");
}
