#include "broker/front/view/json.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"

enum { DUMP_FIRST = 256 }; /* bytes that most texts have room in */

static void
json_dump(struct sq_buf *out, json_t *value)
{
	size_t len = json_dumpb(
	    value, (char *)sq_buf_reserve(out, DUMP_FIRST), DUMP_FIRST, JSON_ENCODE_ANY);

	if (len > DUMP_FIRST)
		len = json_dumpb(value, (char *)sq_buf_reserve(out, len), len, JSON_ENCODE_ANY);
	assert(len > 0);
	sq_buf_commit(out, len);
	json_decref(value);
}

/* Whether the text stands in JSON as it is, as nearly all do. */
static bool
json_is_plain(struct sq_bytes text)
{
	bool plain = true;

	for (size_t i = 0; i < text.len; i++)
		plain &= text.p[i] >= 0x20 && text.p[i] < 0x7f && text.p[i] != '"' &&
		    text.p[i] != '\\';
	return plain;
}

static void
json_plain(struct sq_buf *out, const void *p, size_t len, char before, char behind)
{
	char *at = (char *)sq_buf_reserve(out, len + 2);

	at[0] = before;
	if (len > 0)
		memcpy(at + 1, p, len);
	at[len + 1] = behind;
	sq_buf_commit(out, len + 2);
}

static void
json_number(struct sq_buf *out, uint64_t n)
{
	char text[20];
	size_t at = sizeof text;

	do {
		text[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	sq_buf_append(out, text + at, sizeof text - at);
}

/* Others by jansson, which knows what is to be escaped. */
static void
json_text_escaped(struct sq_buf *out, struct sq_bytes text)
{
	struct sq_buf mended = {0};
	json_t *value = json_stringn(text.len > 0 ? (const char *)text.p : "", text.len);

	if (value == NULL) {
		sq_utf8_mend(&mended, text.p, text.len);
		value = json_stringn((const char *)sq_buf_data(&mended), sq_buf_len(&mended));
		sq_buf_fini(&mended);
	}
	if (value == NULL)
		abort(); /* no memory */
	json_dump(out, value);
}

static void
json_text(struct sq_buf *out, struct sq_bytes text)
{
	if (json_is_plain(text))
		json_plain(out, text.p, text.len, '"', '"');
	else
		json_text_escaped(out, text);
}

static void
json_literal(struct sq_buf *out, const char *text)
{
	sq_buf_append(out, text, strlen(text));
}

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
	json_literal(out, text.len > 0 ? "}" : "{}");
}

/* A NUL behind each. */
static void
json_texts(struct sq_buf *out, struct sq_bytes text)
{
	json_literal(out, "[");
	for (size_t i = 0; i < text.len;) {
		size_t len = strlen((const char *)text.p + i);

		if (i > 0)
			json_literal(out, ",");
		json_text(out, (struct sq_bytes){text.p + i, len});
		i += len + 1;
	}
	json_literal(out, "]");
}

static void
json_cell(struct sq_buf *out, const struct sq_view_rows *rows, enum sq_view_type type,
    const struct sq_view_cell *c)
{
	struct sq_bytes text = sq_view_cell_text(rows, c);

	if (!c->known)
		json_literal(out, "null");
	else if (type == SQ_VIEW_TEXT)
		json_text(out, text);
	else if (type == SQ_VIEW_TRUTH)
		json_literal(out, c->n != 0 ? "true" : "false");
	else if (type == SQ_VIEW_COUNTS)
		json_counts(out, text);
	else if (type == SQ_VIEW_TEXTS)
		json_texts(out, text);
	else
		json_number(out, c->n);
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
		json_plain(out, t->columns[k].name, strlen(t->columns[k].name), '"', '"');
		json_literal(out, ":");
		json_cell(out, rows, t->columns[k].type, sq_view_cell(rows, i, k));
		separator = ',';
	}
	json_literal(out, "}");
}

void
sq_view_json_page(
    struct sq_buf *out, const struct sq_view_rows *rows, const bool *shown, const char *next)
{
	sq_buf_printf(out, "{\"table\":\"%s\",\"rows\":[", rows->table->name);
	for (size_t i = 0; i < rows->n; i++) {
		json_literal(out, i > 0 ? ",\n" : "\n");
		json_row(out, rows, i, shown);
	}
	json_literal(out, "\n],\"next\":");
	if (next != NULL)
		sq_buf_printf(out, "\"%s\"}\n", next);
	else
		json_literal(out, "null}\n");
}

static void
json_member(struct sq_buf *out, const char *name, const char *value)
{
	sq_buf_printf(out, "\"%s\":", name);
	json_text(out, sq_bytes_of(value));
}

static void
json_column(struct sq_buf *out, const struct sq_view_column *c)
{
	static const char *const types[] = {
#define JSON_TYPE(symbol, name) [SQ_VIEW_##symbol] = name,
	    SQ_VIEW_TYPES(JSON_TYPE)
#undef JSON_TYPE
	};

	json_literal(out, "{");
	json_member(out, "column", c->name);
	json_literal(out, ",");
	json_member(out, "type", types[c->type]);
	json_literal(out, ",");
	json_member(out, "unit", c->unit);
	json_literal(out, ",");
	json_member(out, "help", c->help);
	json_literal(out, "}");
}

void
sq_view_json_table(struct sq_buf *out, const struct sq_view_table *t)
{
	json_literal(out, "{");
	json_member(out, "table", t->name);
	json_literal(out, ",");
	json_member(out, "help", t->help);
	json_literal(out, ",");
	json_member(out, "name", t->named);
	json_literal(out, ",\"columns\":[");
	for (size_t i = 0; i < t->n_columns; i++) {
		json_literal(out, i > 0 ? ",\n" : "\n");
		json_column(out, &t->columns[i]);
	}
	json_literal(out, "]}");
}
