/* Fuzzes proto/json: the verdict is the same whatever is kept, tokens lie within each other and
 * within the text, and each string comes out of the writer as it went in. */
#include <stdlib.h>
#include <string.h>

#include "proto/json/json.h"
#include "proto/json/write.h"

enum { ROOM = 4096 };

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
check_string(const struct sq_json_tokens *t, uint32_t i)
{
	struct sq_buf text = {0}, written = {0};
	struct sq_json_token at[1];
	struct sq_json_tokens again = {.at = at, .room = 1};
	struct sq_json_error err;
	struct sq_bytes plain;

	sq_json_unescape(t, i, &text);
	plain = sq_buf_bytes(&text);
	must(sq_json_equals(t, i, plain));
	sq_json_put_string(&written, plain);
	must(sq_json_read(&again, sq_buf_bytes(&written), &err) == 0);
	must(sq_json_equals(&again, 0, plain));
	sq_buf_fini(&text);
	sq_buf_fini(&written);
}

static void
check_token(const struct sq_json_tokens *t, uint32_t i)
{
	const struct sq_json_token *token = &t->at[i];
	struct sq_bytes raw = sq_json_raw(t, i);
	uint32_t end = token->start;

	must(token->start <= token->end && token->end <= t->text.len);
	must(token->next > i && token->next <= t->n);
	for (uint32_t k = sq_json_first(t, i); k != 0; k = sq_json_next(t, i, k)) {
		must(t->at[k].start > end && t->at[k].end < token->end);
		end = t->at[k].end;
	}
	if (token->type == SQ_JSON_STRING) {
		must((memchr(raw.p, '\\', raw.len) != NULL) == token->escaped);
		check_string(t, i);
	}
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static struct sq_json_token at[ROOM], few[ROOM];
	struct sq_bytes text = {data, size};
	struct sq_json_tokens all = {.at = at, .room = ROOM, .depth = SQ_JSON_DEPTH_MAX};
	struct sq_json_tokens one = {.at = few, .room = ROOM, .depth = 1}, none = {0};
	struct sq_json_error err, other;
	int verdict = sq_json_read(&none, text, &err);

	if (verdict != 0) {
		must(err.offset <= size && err.why != NULL && *err.why != '\0');
		must(sq_json_read(&all, text, &other) != 0);
		return 0;
	}
	if (sq_json_read(&one, text, &err) == 0 && one.n > 0 && few[0].type <= SQ_JSON_ARRAY)
		for (uint32_t k = sq_json_first(&one, 0); k != 0; k = sq_json_next(&one, 0, k))
			must(few[k].next == k + 1);
	if (sq_json_read(&all, text, &err) == SQ_ETOOBIG)
		return 0;
	must(all.n > 0 && at[0].next == all.n);
	for (uint32_t i = 0; i < all.n; i++)
		check_token(&all, i);
	return 0;
}
