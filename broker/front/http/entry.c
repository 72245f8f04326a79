/* See broker/front/http/entry.h. */
#include "broker/front/http/entry.h"

#include <assert.h>
#include <string.h>

#include "core/base64.h"
#include "core/mem.h"
#include "core/suggest.h"
#include "core/utf8.h"
#include "proto/json/json.h"
#include "proto/props/names.h"

enum {
	MEMBERS_MAX = 32, /* of an entry; there are fewer names */
	LIST_MAX = 256,   /* tags, or properties */
	TEXT_MAX = 65535, /* bytes of a string of MQTT */
};

#define TYPE_JSON "application/json"

/* One reading. */
struct entry_reading {
	struct sq_http_entry *out;
	struct sq_http_fault *fault;
	const struct sq_json_tokens *tokens;
	const char *name; /* of the member that is read */
};

static int
entry_bad(struct entry_reading *r, const char *rule)
{
	return sq_http_fault_say(r->fault, SQ_HTTP_MALFORMED, "%s %s", r->name, rule);
}

/* The string, or the number or truth as it is written; the view is good as long as the entry. */
static struct sq_bytes
entry_text(struct entry_reading *r, const struct sq_json_tokens *t, uint32_t i)
{
	struct sq_buf *texts = &r->out->texts;
	size_t at = sq_buf_len(texts);

	if (t->at[i].type != SQ_JSON_STRING || !t->at[i].escaped)
		return sq_json_raw(t, i);
	sq_json_unescape(t, i, texts); /* which never grows: sq_http_entry_read() */
	return (struct sq_bytes){sq_buf_data(texts) + at, sq_buf_len(texts) - at};
}

/* A string of MQTT. */
static int
entry_string(
    struct entry_reading *r, const struct sq_json_tokens *t, uint32_t i, struct sq_bytes *out)
{
	if (t->at[i].type != SQ_JSON_STRING)
		return entry_bad(r, "must be a text");
	*out = entry_text(r, t, i);
	if (out->len > TEXT_MAX || !sq_utf8_valid(out->p, out->len))
		return entry_bad(r, "has U+0000 in it, or is longer than 65535 bytes");
	return SQ_OK;
}

/* The members, each by the function of its row. */

static int
member_topic(struct entry_reading *r, uint32_t i)
{
	return entry_string(r, r->tokens, i, &r->out->topic);
}

static int
member_payload(struct entry_reading *r, struct sq_bytes payload)
{
	if (r->out->payload.p != NULL)
		return entry_bad(
		    r, "is one payload too many: json, text and base64 exclude each other");
	r->out->payload = payload;
	if (r->out->payload.p == NULL)
		r->out->payload.p = (const unsigned char *)"";
	return SQ_OK;
}

static int
member_json(struct entry_reading *r, uint32_t i)
{
	struct sq_bytes raw = sq_json_raw(r->tokens, i);

	if (r->tokens->at[i].type == SQ_JSON_STRING) { /* with its quotes */
		raw.p--;
		raw.len += 2;
	}
	if (!r->out->typed)
		r->out->fields.content_type = sq_bytes_of(TYPE_JSON);
	return member_payload(r, raw);
}

static int
member_text(struct entry_reading *r, uint32_t i)
{
	if (r->tokens->at[i].type != SQ_JSON_STRING)
		return entry_bad(r, "must be a text");
	return member_payload(r, entry_text(r, r->tokens, i));
}

static int
member_base64(struct entry_reading *r, uint32_t i)
{
	struct sq_bytes text = entry_text(r, r->tokens, i);
	struct sq_buf *data = &r->out->data;

	if (r->tokens->at[i].type != SQ_JSON_STRING || sq_buf_len(data) > 0 ||
	    sq_base64_take(data, (const char *)text.p, text.len) != SQ_OK)
		return entry_bad(r, "must be base64");
	return member_payload(r, sq_buf_bytes(data));
}

static int
member_key(struct entry_reading *r, uint32_t i)
{
	struct sq_bytes key = {0};

	if (entry_string(r, r->tokens, i, &key) != SQ_OK)
		return SQ_EINVAL;
	if (key.len == 0 || key.len > SQ_HTTP_KEY_MAX)
		return entry_bad(r, "must have 1 to 256 bytes");
	sq_buf_append(&r->out->fields.key, key.p, key.len);
	return SQ_OK;
}

/* Reads the list that token 'i' is, with its elements' elements. */
static int
entry_list(struct entry_reading *r, uint32_t i, struct sq_json_tokens *list)
{
	struct sq_json_error err;

	if (r->tokens->at[i].type != SQ_JSON_ARRAY)
		return entry_bad(r, "must be a list");
	if (sq_json_read(list, sq_json_raw(r->tokens, i), &err) != SQ_OK)
		return entry_bad(r, "has too many elements");
	return SQ_OK;
}

static int
member_tags(struct entry_reading *r, uint32_t i)
{
	struct sq_json_token at[1 + LIST_MAX];
	struct sq_json_tokens list = {.at = at, .room = SQ_ARRAY_LEN(at), .depth = 1};
	struct sq_bytes tag;

	if (entry_list(r, i, &list) != SQ_OK)
		return SQ_EINVAL;
	for (uint32_t j = sq_json_first(&list, 0); j != 0; j = sq_json_next(&list, 0, j))
		if (entry_string(r, &list, j, &tag) != SQ_OK ||
		    sq_http_fields_tag(&r->out->fields, r->name, tag, r->fault) != SQ_OK)
			return SQ_EINVAL;
	return SQ_OK;
}

static int
member_properties(struct entry_reading *r, uint32_t i)
{
	struct sq_json_token at[1 + 3 * LIST_MAX];
	struct sq_json_tokens list = {.at = at, .room = SQ_ARRAY_LEN(at), .depth = 2};
	struct sq_bytes name, value;

	if (entry_list(r, i, &list) != SQ_OK)
		return SQ_EINVAL;
	for (uint32_t j = sq_json_first(&list, 0); j != 0; j = sq_json_next(&list, 0, j)) {
		if (list.at[j].type != SQ_JSON_ARRAY || list.at[j].next != j + 3)
			return entry_bad(r, "must be a list of pairs [\"Name\",\"value\"]");
		if (entry_string(r, &list, j + 1, &name) != SQ_OK ||
		    entry_string(r, &list, j + 2, &value) != SQ_OK ||
		    sq_http_fields_user(&r->out->fields, r->name, name, value, r->fault) != SQ_OK)
			return SQ_EINVAL;
	}
	return SQ_OK;
}

/* Names of the members, the header that a value is read as, or a function in its place. */
static const struct member {
	const char *name, *header;
	int (*take)(struct entry_reading *, uint32_t value);
} members[] = {
    {"topic", NULL, member_topic},
    {"json", NULL, member_json},
    {"text", NULL, member_text},
    {"base64", NULL, member_base64},
    {"type", "content-type", NULL},
    {"qos", SQ_PROP_QOS, NULL},
    {"key", NULL, member_key},
    {"ttl", "sqmqos-ttl", NULL},
    {"delay", SQ_PROP_DELAY, NULL},
    {"deliverAt", "sqmqos-deliver-at", NULL},
    {"tags", NULL, member_tags},
    {"retain", "sqmqos-retain", NULL},
    {"properties", NULL, member_properties},
    {"responseTopic", "sqmqos-response-topic", NULL},
    {"correlation", "sqmqos-correlation", NULL},
    {"receipt", SQ_PROP_RECEIPT, NULL},
    {"orderKey", SQ_PROP_ORDER_KEY, NULL},
    {"requireMatch", "sqmqos-require-match", NULL},
};

static_assert(SQ_ARRAY_LEN(members) < MEMBERS_MAX, "each fits");

static int
entry_unknown(struct entry_reading *r, struct sq_bytes name)
{
	struct sq_suggest s = sq_suggest_start((const char *)name.p, name.len);

	(void)sq_http_fault_say(r->fault, SQ_HTTP_MALFORMED, "unknown member ");
	sq_http_fault_name(r->fault, name);
	for (size_t i = 0; i < SQ_ARRAY_LEN(members); i++)
		sq_suggest_offer(&s, members[i].name, strlen(members[i].name), members[i].name,
		    strlen(members[i].name));
	if (s.best != NULL)
		sq_buf_printf(&r->fault->detail, ", did you mean %s?", s.best);
	return SQ_EINVAL;
}

static int
entry_value(struct entry_reading *r, const struct member *m, uint32_t i)
{
	struct sq_bytes text;

	r->name = m->name;
	if (m->take != NULL)
		return m->take(r, i);
	if (r->tokens->at[i].type <= SQ_JSON_ARRAY || r->tokens->at[i].type == SQ_JSON_NULL)
		return entry_bad(r, "must be a text, a number or a truth");
	text = entry_text(r, r->tokens, i);
	if (text.len > TEXT_MAX || !sq_utf8_valid(text.p, text.len))
		return entry_bad(r, "has U+0000 in it, or is longer than 65535 bytes");
	return sq_http_fields_ask(&r->out->fields, m->header, m->name, text, r->fault);
}

static int
entry_members(struct entry_reading *r, uint32_t *seen)
{
	const struct sq_json_tokens *t = r->tokens;

	for (uint32_t i = sq_json_first(t, 0), value; i != 0; i = sq_json_next(t, 0, value)) {
		size_t k = 0;

		value = t->at[i].next;
		while (k < SQ_ARRAY_LEN(members) &&
		    !sq_json_equals(t, i, sq_bytes_of(members[k].name)))
			k++;
		if (k == SQ_ARRAY_LEN(members))
			return entry_unknown(r, sq_json_raw(t, i));
		r->name = members[k].name;
		if ((*seen & 1u << k) != 0)
			return entry_bad(r, "stands there twice");
		*seen |= 1u << k;
		r->out->typed |= strcmp(members[k].name, "type") == 0;
		if (entry_value(r, &members[k], value) != SQ_OK)
			return SQ_EINVAL;
	}
	return SQ_OK;
}

static bool
entry_saw(uint32_t seen, const char *name)
{
	for (size_t k = 0; k < SQ_ARRAY_LEN(members); k++)
		if ((seen & 1u << k) != 0 && strcmp(members[k].name, name) == 0)
			return true;
	return false;
}

/* What members say together. */
static int
entry_agree(struct entry_reading *r, uint32_t seen)
{
	static const struct sq_http_field_names names = {"key", "qos", "receipt"};

	if (!entry_saw(seen, "topic"))
		return sq_http_fault_say(r->fault, SQ_HTTP_MALFORMED, "topic is missing");
	r->out->dated = entry_saw(seen, "deliverAt");
	if (r->out->dated && entry_saw(seen, "delay"))
		return sq_http_fault_say(
		    r->fault, SQ_HTTP_MALFORMED, "delay and deliverAt exclude each other");
	return sq_http_fields_agree(&r->out->fields, &names, r->fault);
}

int
sq_http_entry_read(
    struct sq_bytes text, int64_t now_ms, struct sq_http_entry *out, struct sq_http_fault *fault)
{
	struct sq_json_token at[1 + 2 * MEMBERS_MAX];
	struct sq_json_tokens tokens = {.at = at, .room = SQ_ARRAY_LEN(at), .depth = 1};
	struct entry_reading r = {.out = out, .fault = fault, .tokens = &tokens};
	struct sq_json_error err;
	uint32_t seen = 0;
	int rc = sq_json_read(&tokens, text, &err);

	if (rc == SQ_ETOOBIG)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "the entry: %s", err.why);
	if (rc != SQ_OK)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "JSON, byte %zu: %s", err.offset, err.why);
	if (at[0].type != SQ_JSON_OBJECT)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "the entry is no object");
	out->fields.now_ms = now_ms;
	out->fields.expiry_s = SQ_MSG_NO_EXPIRY;
	(void)sq_buf_reserve(&out->texts, text.len);
	if (entry_members(&r, &seen) != SQ_OK)
		return SQ_EINVAL;
	return entry_agree(&r, seen);
}

void
sq_http_entry_fini(struct sq_http_entry *e)
{
	sq_http_fields_fini(&e->fields);
	sq_buf_fini(&e->texts);
	sq_buf_fini(&e->data);
}
