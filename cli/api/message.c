#include "cli/api/message.h"

#include <stdlib.h>
#include <string.h>

#include "cli/view/safe.h"
#include "core/base64.h"
#include "core/mem.h"
#include "proto/json/json.h"

enum { MESSAGES_TOKENS = 4096, MESSAGE_TOKENS = 64 };

static const char *const names[] = {
    "lease", "id", "topic", "type", "key", "orderKey", "attempt", "json", "text", "base64"};
enum {
	M_LEASE,
	M_ID,
	M_TOPIC,
	M_TYPE,
	M_KEY,
	M_ORDER_KEY,
	M_ATTEMPT,
	M_JSON,
	M_TEXT,
	M_BASE64,
	M_ALL
};

static int
message_bad(struct sq_buf *err, const char *why)
{
	sq_buf_printf(err, "the answer has no messages: %s; is it a broker's HTTP API?", why);
	return SQ_EINVAL;
}

/* The text of a string, or of a number as it is written. */
static char *
message_text(const struct sq_json_tokens *t, uint32_t i)
{
	struct sq_buf out = {0};
	struct sq_bytes raw;

	if (i == 0)
		return sq_xstrdup("");
	if (t->at[i].type == SQ_JSON_STRING) {
		sq_json_unescape(t, i, &out);
	} else {
		raw = sq_json_raw(t, i);
		sq_buf_append(&out, raw.p, raw.len);
	}
	return sq_buf_take_text(&out);
}

static int
message_payload(const struct sq_json_tokens *t, const uint32_t *found, struct sq_buf *out)
{
	struct sq_bytes raw;

	if (found[M_JSON] != 0) {
		raw = sq_json_raw(t, found[M_JSON]);
		if (t->at[found[M_JSON]].type == SQ_JSON_STRING) { /* with its quotes */
			raw.p--;
			raw.len += 2;
		}
		sq_buf_append(out, raw.p, raw.len);
	} else if (found[M_TEXT] != 0 && t->at[found[M_TEXT]].type == SQ_JSON_STRING) {
		sq_json_unescape(t, found[M_TEXT], out);
	} else if (found[M_BASE64] != 0) {
		raw = sq_json_raw(t, found[M_BASE64]);
		return sq_base64_take(out, (const char *)raw.p, raw.len);
	}
	return SQ_OK;
}

static void
message_fini(struct sq_api_message *m)
{
	free(m->lease);
	free(m->id);
	free(m->topic);
	free(m->type);
	free(m->key);
	free(m->order_key);
	free(m->attempt);
	sq_buf_fini(&m->payload);
}

/* One message; 'each' has its views until it returns. */
static int
message_read(struct sq_bytes object, int (*each)(void *arg, const struct sq_api_message *),
    void *arg, struct sq_buf *err)
{
	struct sq_json_token at[MESSAGE_TOKENS];
	struct sq_json_tokens t = {.at = at, .room = MESSAGE_TOKENS, .depth = 1};
	struct sq_json_error why;
	struct sq_api_message m = {.object = object};
	uint32_t found[M_ALL];
	int rc;

	if (sq_json_read(&t, object, &why) != SQ_OK ||
	    sq_json_members(&t, 0, names, M_ALL, found, &why) != SQ_OK)
		return message_bad(err, why.why);
	m.lease = message_text(&t, found[M_LEASE]);
	m.id = message_text(&t, found[M_ID]);
	m.topic = message_text(&t, found[M_TOPIC]);
	m.type = message_text(&t, found[M_TYPE]);
	m.key = message_text(&t, found[M_KEY]);
	m.order_key = message_text(&t, found[M_ORDER_KEY]);
	m.attempt = message_text(&t, found[M_ATTEMPT]);
	rc = message_payload(&t, found, &m.payload);
	rc = rc == SQ_OK ? each(arg, &m) : message_bad(err, "base64 that is none");
	message_fini(&m);
	return rc;
}

int
sq_api_messages(struct sq_bytes answer, int (*each)(void *arg, const struct sq_api_message *),
    void *arg, struct sq_buf *err)
{
	static const char *const member[] = {"messages"};
	struct sq_json_tokens t = {.room = MESSAGES_TOKENS, .depth = 2};
	struct sq_json_error why;
	uint32_t list = 0;
	int rc = SQ_OK;

	t.at = sq_xcalloc(MESSAGES_TOKENS, sizeof *t.at);
	if (sq_json_read(&t, answer, &why) != SQ_OK)
		rc = message_bad(err, why.why);
	else if (t.at[0].type != SQ_JSON_OBJECT ||
	    sq_json_members(&t, 0, member, 1, &list, &why) != SQ_OK || list == 0 ||
	    t.at[list].type != SQ_JSON_ARRAY)
		rc = message_bad(err, "a list of messages is missing");
	for (uint32_t i = rc == SQ_OK ? sq_json_first(&t, list) : 0; i != 0 && rc == SQ_OK;
	     i = sq_json_next(&t, list, i))
		rc = t.at[i].type == SQ_JSON_OBJECT
		    ? message_read(sq_json_raw(&t, i), each, arg, err)
		    : message_bad(err, "one is no object");
	free(t.at);
	return rc;
}

void
sq_api_message_text(struct sq_buf *out, const struct sq_api_message *m)
{
	sq_safe(out, m->topic, strlen(m->topic));
	if (sq_buf_len(&m->payload) > 0)
		sq_buf_u8(out, ' ');
	sq_safe(out, (const char *)sq_buf_data(&m->payload), sq_buf_len(&m->payload));
	sq_buf_u8(out, '\n');
}

/* Controls stand between values of JSON alone, where they are space. */
void
sq_api_message_json(struct sq_buf *out, const struct sq_api_message *m)
{
	struct sq_buf line = {0};

	sq_buf_append(&line, m->object.p, m->object.len);
	for (size_t i = 0; i < m->object.len; i++)
		if (sq_buf_data(&line)[i] < 0x20)
			sq_buf_data(&line)[i] = ' ';
	sq_safe(out, (const char *)sq_buf_data(&line), sq_buf_len(&line));
	sq_buf_u8(out, '\n');
	sq_buf_fini(&line);
}
