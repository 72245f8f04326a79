/* The structured form, and batches of it (JSON format §3, §4). */
#include <string.h>

#include "core/base64.h"
#include "core/utf8.h"
#include "proto/cloudevents/cloudevents_priv.h"
#include "proto/json/write.h"
#include "proto/media/media.h"

#define DATA "data"
#define DATA_BASE64 "data_base64"

/* Tokens of an event whose data is not looked into; a few may be null, and the data is one. */
enum { TOKENS = 1 + 2 * (2 * SQ_CE_ATTRIBUTES_MAX) };

static const char *
structured_read(
    struct sq_json_tokens *tokens, struct sq_bytes json, struct sq_ce *ce, struct sq_ce_error *err)
{
	struct sq_json_error wrong;
	int bad = sq_json_read(tokens, json, &wrong);

	if (bad == 0 && tokens->at[0].type == SQ_JSON_OBJECT)
		return NULL;
	if (ce != NULL)
		sq_ce_reset(ce);
	if (bad == 0)
		wrong.why = "an event is a JSON object";
	*err = (struct sq_ce_error){
	    .malformed = bad == SQ_EINVAL, .offset = bad != 0 ? wrong.offset : 0, .why = wrong.why};
	return wrong.why;
}

/* A string of the text without its escapes; a view of the text or of 'held', which is made empty
 * before. */
static struct sq_bytes
structured_text(const struct sq_json_tokens *t, uint32_t i, struct sq_buf *held)
{
	if (!t->at[i].escaped)
		return sq_json_raw(t, i);
	sq_buf_drain(held, sq_buf_len(held));
	sq_json_unescape(t, i, held);
	return sq_buf_bytes(held);
}

/* Whether a number is one of 32 bits, without a fraction or an exponent. */
static bool
structured_is_integer(struct sq_bytes number)
{
	bool minus = *number.p == '-';
	uint64_t n = 0;

	if (number.len > 11)
		return false;
	for (size_t i = minus; i < number.len; i++) {
		if (number.p[i] < '0' || number.p[i] > '9')
			return false;
		n = n * 10 + (number.p[i] - '0');
	}
	return n <= (uint64_t)INT32_MAX + minus;
}

/* Those of the standard itself are all strings. */
static bool
structured_is_string(struct sq_bytes name)
{
	static const char *const names[] = {"specversion", "id", "source", "type",
	    SQ_CE_CONTENT_TYPE, "dataschema", "subject", "time"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (sq_bytes_are(name, names[i]))
			return true;
	return false;
}

static int
structured_attribute(struct sq_ce *ce, const struct sq_json_tokens *t, struct sq_bytes name,
    uint32_t i, struct sq_ce_error *err)
{
	enum sq_json_type type = t->at[i].type;

	if (type == SQ_JSON_NULL) /* not set */
		return sq_ce_name_wrong(name) == NULL
		    ? 0
		    : sq_ce_refuse(ce, err, name, sq_ce_name_wrong(name));
	if (type == SQ_JSON_STRING)
		return sq_ce_add(ce, name, structured_text(t, i, &ce->text), err);
	if (structured_is_string(name))
		return sq_ce_refuse(ce, err, name, "is a string");
	if (type == SQ_JSON_OBJECT || type == SQ_JSON_ARRAY)
		return sq_ce_refuse(ce, err, name, "is a string, an integer, true or false");
	if (type == SQ_JSON_NUMBER && !structured_is_integer(sq_json_raw(t, i)))
		return sq_ce_refuse(ce, err, name, "is no integer of 32 bits");
	return sq_ce_add(ce, name, sq_json_raw(t, i), err);
}

/* The data as it is for its content type, which is that of JSON where nothing is said. */
static int
structured_data(
    struct sq_ce *ce, const struct sq_json_tokens *t, uint32_t i, struct sq_ce_error *err)
{
	bool string = t->at[i].type == SQ_JSON_STRING;

	if (ce->content_type.len == 0)
		ce->content_type = sq_bytes_of("application/json");
	if (sq_media_is_json(ce->content_type)) {
		ce->payload = sq_json_raw(t, i);
		if (string) /* with its quotes */
			ce->payload = (struct sq_bytes){ce->payload.p - 1, ce->payload.len + 2};
		return 0;
	}
	if (!string)
		return sq_ce_refuse(
		    ce, err, sq_bytes_of(DATA), "is a string where datacontenttype is not of JSON");
	ce->payload = structured_text(t, i, &ce->data);
	return 0;
}

static int
structured_base64(
    struct sq_ce *ce, const struct sq_json_tokens *t, uint32_t i, struct sq_ce_error *err)
{
	struct sq_bytes text;

	if (t->at[i].type != SQ_JSON_STRING)
		return sq_ce_refuse(ce, err, sq_bytes_of(DATA_BASE64), "is a string");
	text = structured_text(t, i, &ce->text);
	if (sq_base64_take(&ce->data, (const char *)text.p, text.len) != 0)
		return sq_ce_refuse(ce, err, sq_bytes_of(DATA_BASE64), "is no base64");
	ce->payload = (struct sq_bytes){
	    text.len > 0 ? sq_buf_data(&ce->data) : (const unsigned char *)"",
	    sq_buf_len(&ce->data)};
	return 0;
}

/* Takes a member: an attribute, or remembers where data is. */
static int
structured_member(struct sq_ce *ce, const struct sq_json_tokens *t, uint32_t i, uint32_t data[2],
    struct sq_ce_error *err)
{
	static const char *const names[] = {DATA, DATA_BASE64};
	uint32_t value = t->at[i].next;

	for (size_t k = 0; k < 2; k++) {
		if (!sq_json_equals(t, i, sq_bytes_of(names[k])))
			continue;
		if (data[k] != 0)
			return sq_ce_refuse(ce, err, sq_bytes_of(names[k]), "is there twice");
		data[k] = value;
		return 0;
	}
	return structured_attribute(ce, t, structured_text(t, i, &ce->data), value, err);
}

int
sq_ce_structured(struct sq_ce *ce, struct sq_bytes json, struct sq_ce_error *err)
{
	struct sq_json_token at[TOKENS];
	struct sq_json_tokens t = {.at = at, .room = TOKENS, .depth = 1};
	uint32_t data[2] = {0};
	int bad = 0;

	sq_ce_reset(ce);
	if (structured_read(&t, json, ce, err) != NULL)
		return SQ_EINVAL;
	for (uint32_t i = sq_json_first(&t, 0); i != 0 && bad == 0;
	     i = sq_json_next(&t, 0, t.at[i].next))
		bad = structured_member(ce, &t, i, data, err);
	if (bad == 0)
		bad = sq_ce_finish(ce, err);
	if (bad != 0)
		return bad;
	sq_buf_drain(&ce->data, sq_buf_len(&ce->data));
	if (data[1] != 0 && t.at[data[1]].type == SQ_JSON_NULL)
		data[1] = 0;
	if (data[0] != 0 && data[1] != 0)
		return sq_ce_refuse(ce, err, sq_bytes_of(DATA_BASE64), "is there beside data");
	if (data[1] != 0)
		return structured_base64(ce, &t, data[1], err);
	return data[0] != 0 ? structured_data(ce, &t, data[0], err) : 0;
}

int
sq_ce_batch(struct sq_json_tokens *tokens, struct sq_bytes json, struct sq_ce_error *err)
{
	struct sq_json_error wrong;
	int bad = sq_json_read(tokens, json, &wrong);

	if (bad == 0 && tokens->at[0].type == SQ_JSON_ARRAY)
		return 0;
	if (bad == 0)
		wrong = (struct sq_json_error){0, "a batch is a JSON array"};
	*err = (struct sq_ce_error){
	    .malformed = bad == SQ_EINVAL, .offset = wrong.offset, .why = wrong.why};
	return bad != 0 ? bad : SQ_EINVAL;
}

static void
structured_put(struct sq_buf *out, const char *before, struct sq_bytes name, struct sq_bytes value)
{
	sq_json_put_raw(out, before);
	sq_json_put_string(out, name);
	sq_json_put_raw(out, ":");
	sq_json_put_string(out, value);
}

/* Whether the payload can be a value within an event within a batch. */
static bool
structured_is_json(struct sq_bytes payload)
{
	struct sq_json_tokens none = {0};
	struct sq_json_error err;

	return sq_json_read(&none, payload, &err) == 0 && none.deepest <= SQ_JSON_DEPTH_MAX - 2;
}

void
sq_ce_json(const struct sq_ce *ce, struct sq_buf *out)
{
	struct sq_bytes rest = sq_ce_attributes(ce), name, value;
	struct sq_buf coded = {0};
	const char *before = "{";

	while (sq_ce_next(&rest, &name, &value)) {
		structured_put(out, before, name, value);
		before = ",";
	}
	if (ce->content_type.len > 0)
		structured_put(out, before, sq_bytes_of(SQ_CE_CONTENT_TYPE), ce->content_type);
	if (ce->payload.len > 0 && sq_media_is_json(ce->content_type) &&
	    structured_is_json(ce->payload)) {
		sq_json_put_raw(out, ",\"" DATA "\":");
		sq_buf_append(out, ce->payload.p, ce->payload.len);
	} else if (ce->payload.len > 0 && sq_media_is_text(ce->content_type) &&
	    sq_media_is_utf8(ce->content_type) && sq_utf8_valid(ce->payload.p, ce->payload.len)) {
		sq_json_put_raw(out, ",\"" DATA "\":");
		sq_json_put_string(out, ce->payload);
	} else if (ce->payload.len > 0) {
		sq_json_put_raw(out, ",\"" DATA_BASE64 "\":");
		sq_base64_put(&coded, ce->payload.p, ce->payload.len);
		sq_json_put_plain(out, sq_buf_bytes(&coded));
		sq_buf_fini(&coded);
	}
	sq_json_put_raw(out, "}");
}
