/* Reads JSON with proto/json and writes it again from its tokens, without white space; test_json.py
 * compares both with another reader.  "!OFFSET WHY": the reader refuses the text. */
#include "proto/json/json.h"
#include "proto/json/write.h"
#include "asked.h"

enum { ROOM = 1 << 16 };

static void rewrite_value(struct sq_json_tokens *t, uint32_t i, struct sq_buf *out);

static void
rewrite_string(struct sq_json_tokens *t, uint32_t i, struct sq_buf *out)
{
	struct sq_buf text = {0};

	sq_json_unescape(t, i, &text);
	sq_json_put_string(out, sq_buf_bytes(&text));
	sq_buf_fini(&text);
}

static void
rewrite_container(struct sq_json_tokens *t, uint32_t container, struct sq_buf *out)
{
	bool object = t->at[container].type == SQ_JSON_OBJECT, name = object;
	const char *separator = object ? "{" : "[";
	uint32_t i = sq_json_first(t, container);

	for (; i != 0; i = sq_json_next(t, container, i)) {
		sq_json_put_raw(out, separator);
		rewrite_value(t, i, out);
		separator = name ? ":" : ",";
		name = object && !name;
	}
	if (sq_json_first(t, container) == 0)
		sq_json_put_raw(out, separator);
	sq_json_put_raw(out, object ? "}" : "]");
}

static void
rewrite_value(struct sq_json_tokens *t, uint32_t i, struct sq_buf *out)
{
	struct sq_bytes raw = sq_json_raw(t, i);

	if (t->at[i].type == SQ_JSON_OBJECT || t->at[i].type == SQ_JSON_ARRAY)
		rewrite_container(t, i, out);
	else if (t->at[i].type == SQ_JSON_STRING)
		rewrite_string(t, i, out);
	else
		sq_buf_append(out, raw.p, raw.len);
}

static void
rewrite(struct sq_bytes text, struct sq_buf *out)
{
	static struct sq_json_token at[ROOM];
	struct sq_json_tokens tokens = {.at = at, .room = ROOM, .depth = SQ_JSON_DEPTH_MAX};
	struct sq_json_error err;

	if (sq_json_read(&tokens, text, &err) != 0)
		sq_buf_printf(out, "!%zu %s", err.offset, err.why);
	else
		rewrite_value(&tokens, 0, out);
}

int
main(void)
{
	return asked_by_pipes(rewrite);
}
