/* Partial failures of batches, in the form of AWS Lambda; see broker/push/answer.h. */
#include <stdlib.h>
#include <string.h>

#include "broker/push/answer.h"
#include "core/mem.h"
#include "proto/json/json.h"

#define FAILURES "batchItemFailures"

enum {
	BODY_TOKENS = 128, /* of a body's own members */
	ITEM_TOKENS = 9,   /* of an item, and of four members */
};

struct failures {
	struct sq_bytes ids;
	size_t n;
	void (*failed)(void *arg, size_t i);
	void *arg;
};

/* Tells of each event with that id; false: there is none. */
static bool
failures_tell(const struct failures *f, const struct sq_json_tokens *t, uint32_t id)
{
	const unsigned char *at = f->ids.p;
	bool found = false;

	for (size_t i = 0; i < f->n; i++) {
		struct sq_bytes one = sq_bytes_of((const char *)at);

		if (sq_json_equals(t, id, one)) {
			f->failed(f->arg, i);
			found = true;
		}
		at += one.len + 1;
	}
	return found;
}

static int
failures_item(const struct failures *f, const struct sq_json_tokens *t, uint32_t item)
{
	static const char *const names[] = {"itemIdentifier"};
	struct sq_json_error err;
	uint32_t id;

	if (t->at[item].type != SQ_JSON_OBJECT ||
	    sq_json_members(t, item, names, 1, &id, &err) != SQ_OK || id == 0 ||
	    t->at[id].type != SQ_JSON_STRING || !failures_tell(f, t, id))
		return SQ_EINVAL;
	return SQ_OK;
}

/* Reads the list; one that names more than there are does not read. */
static int
failures_list(const struct failures *f, struct sq_bytes list)
{
	uint32_t room = (uint32_t)(1 + f->n * ITEM_TOKENS);
	struct sq_json_tokens t = {.at = sq_xcalloc(room, sizeof *t.at), .room = room, .depth = 2};
	struct sq_json_error err;
	size_t items = 0;
	int rc = sq_json_read(&t, list, &err);

	if (rc == SQ_OK)
		for (uint32_t i = sq_json_first(&t, 0); i != 0 && rc == SQ_OK;
		     i = sq_json_next(&t, 0, i))
			rc = items++ < f->n ? failures_item(f, &t, i) : SQ_EINVAL;
	free(t.at);
	return rc == SQ_OK ? SQ_OK : SQ_EINVAL;
}

int
sq_push_failures(struct sq_bytes body, struct sq_bytes ids, size_t n,
    void (*failed)(void *arg, size_t i), void *arg)
{
	static const char *const names[] = {FAILURES};
	const struct failures f = {ids, n, failed, arg};
	struct sq_json_token at[BODY_TOKENS];
	struct sq_json_tokens t = {.at = at, .room = BODY_TOKENS, .depth = 1};
	struct sq_json_error err;
	uint32_t list;
	bool meant;

	if (body.len == 0)
		return SQ_ENOTFOUND;
	/* What is cut off, or strange else, has failed if it speaks of failures. */
	meant = memmem(body.p, body.len, FAILURES, sizeof FAILURES - 1) != NULL;
	if (sq_json_read(&t, body, &err) != SQ_OK)
		return meant ? SQ_EINVAL : SQ_ENOTFOUND;
	if (t.at[0].type != SQ_JSON_OBJECT)
		return SQ_ENOTFOUND;
	if (sq_json_members(&t, 0, names, 1, &list, &err) != SQ_OK)
		return SQ_EINVAL;
	if (list == 0 || t.at[list].type == SQ_JSON_NULL)
		return SQ_ENOTFOUND;
	if (t.at[list].type != SQ_JSON_ARRAY)
		return SQ_EINVAL;
	return failures_list(&f, sq_json_raw(&t, list));
}
