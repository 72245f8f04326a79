#include "cli/api/shown.h"

#include <stdlib.h>
#include <string.h>

#include "cli/view/cell.h"
#include "cli/view/safe.h"
#include "cli/view/table.h"
#include "core/json_bounds.h"

enum { DEPTH_MAX = 16, VALUES_MAX = 200000, MEMBER_MAX_BYTES = 64 };

json_t *
sq_shown_parse(struct sq_bytes text)
{
	if (text.len == 0 ||
	    !sq_json_bounded((const char *)text.p, text.len, DEPTH_MAX, VALUES_MAX))
		return NULL;
	return json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
}

/* The value of a member, as text: "-" where there is none. */
static void
shown_value(struct sq_buf *out, const json_t *value)
{
	char *text;

	if (value == NULL || json_is_null(value)) {
		sq_buf_printf(out, "-");
	} else if (json_is_string(value)) {
		sq_safe(out, json_string_value(value), json_string_length(value));
	} else {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		sq_safe(out, text, strlen(text));
		free(text);
	}
}

/* "90000ms" as "1m 30s". */
static bool
shown_span(struct sq_buf *out, const json_t *value)
{
	const char *text = json_string_value(value);
	char *end = NULL;
	unsigned long long ms;

	if (text == NULL || *text < '0' || *text > '9')
		return false;
	ms = strtoull(text, &end, 10);
	if (strcmp(end, "ms") != 0)
		return false;
	sq_cell_span(out, ms);
	return true;
}

static void
shown_cell(struct sq_table *t, const char *member, const json_t *value)
{
	struct sq_buf text = {0};
	const char *dot = strrchr(member, '.'), *last = dot != NULL ? dot + 1 : member;

	if (strcmp(last, "oldestAge") != 0 || !shown_span(&text, value))
		shown_value(&text, value);
	sq_table_cell(t, (char *)sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
}

/* A member of the object, or of objects within it: "settings.push.url". */
static json_t *
shown_member(json_t *object, const char *path)
{
	char name[MEMBER_MAX_BYTES];
	size_t len;

	while (object != NULL && (len = strcspn(path, ".")) > 0 && path[len] == '.') {
		memcpy(name, path, len);
		name[len] = '\0';
		object = json_object_get(object, name);
		path += len + 1;
	}
	return json_object_get(object, path);
}

void
sq_shown_list(
    const json_t *all, const struct sq_shown_column *columns, size_t n, struct sq_buf *out)
{
	struct sq_table t;
	json_t *one;
	size_t i;

	sq_table_init(&t, n, 0);
	for (size_t k = 0; k < n; k++) {
		t.right[k] = columns[k].right;
		sq_table_cell(&t, columns[k].title, strlen(columns[k].title));
	}
	json_array_foreach(all, i, one)
	{
		for (size_t k = 0; k < n; k++)
			shown_cell(&t, columns[k].member, shown_member(one, columns[k].member));
	}
	sq_table_print(&t, out);
	sq_table_fini(&t);
}

/* Adds the members of an object as rows "NAME VALUE"; those of objects within it with a '.'. */
static void
shown_rows(struct sq_table *t, const char *within, json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		struct sq_buf full = {0};

		sq_buf_printf(&full, "%s%s", within, within[0] != '\0' ? "." : "");
		sq_safe(&full, name, strlen(name));
		if (json_is_object(value)) {
			sq_buf_u8(&full, '\0');
			shown_rows(t, (char *)sq_buf_data(&full), value);
		} else {
			sq_table_cell(t, (char *)sq_buf_data(&full), sq_buf_len(&full));
			shown_cell(t, name, value);
		}
		sq_buf_fini(&full);
	}
}

void
sq_shown_object(json_t *object, struct sq_buf *out)
{
	struct sq_table t;

	sq_table_init(&t, 2, 0);
	shown_rows(&t, "", object);
	sq_table_print(&t, out);
	sq_table_fini(&t);
}
