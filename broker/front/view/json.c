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
json_row(struct sq_buf *out, const struct sq_view_rows *rows, size_t i, const bool *shown)
{
	const struct sq_view_table *t = rows->table;
	char separator = '{';

	for (size_t k = 0; k < t->n_columns; k++) {
		if (!shown[k])
			continue;
		sq_buf_append(out, &separator, 1);
		sq_json_put_plain(out, sq_bytes_of(t->columns[k].name));
		sq_json_put_raw(out, ":");
		json_cell(out, rows, t->columns[k].type, sq_view_cell(rows, i, k));
		separator = ',';
	}
	sq_json_put_raw(out, "}");
}

void
sq_view_json_page(
    struct sq_buf *out, const struct sq_view_rows *rows, const bool *shown, const char *next)
{
	sq_buf_printf(out, "{\"table\":\"%s\",\"rows\":[", rows->table->name);
	for (size_t i = 0; i < rows->n; i++) {
		sq_json_put_raw(out, i > 0 ? ",\n" : "\n");
		json_row(out, rows, i, shown);
	}
	sq_json_put_raw(out, "\n],\"next\":");
	if (next != NULL)
		sq_buf_printf(out, "\"%s\"}\n", next);
	else
		sq_json_put_raw(out, "null}\n");
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
