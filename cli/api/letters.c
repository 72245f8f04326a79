#include "cli/api/letters.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/view/safe.h"
#include "cli/view/table.h"
#include "core/json_bounds.h"
#include "core/mem.h"
#include "core/percent.h"
#include "proto/json/json.h"

enum {
	LETTERS_PAGE = 100,
	LETTERS_DEPTH_MAX = SQ_JSON_DEPTH_MAX + 4, /* a payload within its letter */
	LETTERS_VALUES_MAX = 4 << 20,
};

/* Appends the letters of a page to 'all'; what they had as payload is left out. */
static int
letters_add(json_t *all, json_t *page, struct sq_buf *err)
{
	static const char *const payloads[] = {"json", "text", "base64"};
	json_t *letters = json_object_get(page, "messages"), *letter;
	size_t i;

	if (!json_is_array(letters)) {
		sq_buf_printf(err, "the answer has no dead letters; is it a broker's HTTP API?");
		return SQ_EINVAL;
	}
	json_array_foreach(letters, i, letter)
	{
		for (size_t k = 0; k < SQ_ARRAY_LEN(payloads); k++)
			json_object_del(letter, payloads[k]);
		json_array_append(all, letter);
	}
	return SQ_OK;
}

/* Adds a page of 'n' letters at most; '*after' becomes where the next one begins, NULL: nowhere. */
static int
letters_page(struct sq_api *api, const char *space, uint64_t n, json_t *all, char **after,
    struct sq_buf *err)
{
	struct sq_buf path = {0};
	struct sq_api_request r = {.method = "GET"};
	struct sq_api_answer got;
	json_t *page = NULL;
	const char *next;
	int rc;

	sq_buf_printf(&path, "/v1/dead-letters/");
	sq_percent_put(&path, space);
	sq_buf_printf(&path, "/messages?peek=%llu&after=", (unsigned long long)n);
	sq_percent_put(&path, *after);
	sq_buf_u8(&path, '\0');
	r.path = (char *)sq_buf_data(&path);
	free(*after);
	*after = NULL;
	rc = sq_api_ask(api, &r, &got, err);
	sq_buf_fini(&path);
	if (rc != SQ_OK)
		return rc;
	if (sq_json_bounded(
		(const char *)got.body.p, got.body.len, LETTERS_DEPTH_MAX, LETTERS_VALUES_MAX))
		page = json_loadb((const char *)got.body.p, got.body.len, JSON_ALLOW_NUL, NULL);
	rc = letters_add(all, page, err);
	next = json_string_value(json_object_get(page, "next"));
	if (rc == SQ_OK && next != NULL)
		*after = sq_xstrdup(next);
	json_decref(page);
	return rc;
}

static void
letters_cell(struct sq_table *t, const json_t *value)
{
	struct sq_buf text = {0};

	if (json_is_integer(value))
		sq_buf_printf(&text, "%lld", (long long)json_integer_value(value));
	else if (json_is_string(value))
		sq_safe(&text, json_string_value(value), json_string_length(value));
	else
		sq_buf_u8(&text, '-');
	sq_table_cell(t, (char *)sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
}

static void
letters_print(const json_t *all, struct sq_buf *out)
{
	static const struct {
		const char *title, *member;
		bool right;
	} columns[] = {{"QUEUE", "queue", false}, {"LETTER", "seq", true},
	    {"TOPIC", "topic", false}, {"FROM", "from", false}, {"CAUSE", "reason", false},
	    {"DETAIL", "detail", false}, {"DIED", "died", false}, {"KEY", "key", false},
	    {"QOS", "qos", true}};
	struct sq_table t;
	json_t *letter;
	size_t i;

	sq_table_init(&t, SQ_ARRAY_LEN(columns), 0);
	for (size_t k = 0; k < SQ_ARRAY_LEN(columns); k++) {
		t.right[k] = columns[k].right;
		sq_table_cell(&t, columns[k].title, strlen(columns[k].title));
	}
	json_array_foreach(all, i, letter)
	{
		for (size_t k = 0; k < SQ_ARRAY_LEN(columns); k++)
			letters_cell(&t, json_object_get(letter, columns[k].member));
	}
	sq_table_print(&t, out);
	sq_table_fini(&t);
}

int
sq_api_letters(struct sq_api *api, const char *space, uint64_t limit, bool json, struct sq_buf *out,
    struct sq_buf *err)
{
	json_t *all = json_array();
	char *after = sq_xstrdup(""), *text;
	int rc = SQ_OK;

	while (rc == SQ_OK && after != NULL && json_array_size(all) < limit) {
		uint64_t left = limit - json_array_size(all);

		rc = letters_page(
		    api, space, left < LETTERS_PAGE ? left : LETTERS_PAGE, all, &after, err);
	}
	free(after);
	if (rc == SQ_OK && json) {
		text = json_dumps(all, JSON_INDENT(1));
		sq_buf_printf(out, "%s\n", text);
		free(text);
	} else if (rc == SQ_OK) {
		letters_print(all, out);
	}
	json_decref(all);
	return rc;
}
