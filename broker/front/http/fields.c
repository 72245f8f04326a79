/* See broker/front/http/fields.h. */
#include "broker/front/http/fields.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/http/values.h"
#include "core/mem.h"
#include "core/percent.h"
#include "core/rfc3339.h"
#include "core/suggest.h"
#include "core/trace.h"
#include "core/utf8.h"
#include "proto/media/media.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"
#include "proto/topic/topic.h"

#define KEY_HEADER "idempotency-key"
#define SPACE_HEADER "sqmqos-space"

enum {
	PREFIX_LEN = sizeof SQ_PROP_PREFIX - 1,
	DELAY_MAX_S = 999999999, /* as sqmqos-delay has it */
	TEXT_MAX = 65535,        /* bytes of a string of MQTT */
};

/* One reading. */
struct reading {
	struct sq_http_fields *out;
	struct sq_http_fault *fault;
	const char *name; /* of the header that is read */
	unsigned seen;    /* bits by the row */
};

static int
reading_refuse(struct reading *r, enum sq_http_problem problem, const char *rule)
{
	return sq_http_fault_say(r->fault, problem, "%s %s", r->name, rule);
}

static int
reading_bad(struct reading *r, const char *rule)
{
	return reading_refuse(r, SQ_HTTP_MALFORMED, rule);
}

static int
reading_user(struct reading *r, const char *name, struct sq_bytes value)
{
	if (sq_mqtt_user_append(&r->out->user, sq_bytes_of(name), value) != SQ_OK)
		return reading_refuse(r, SQ_HTTP_INVALID_PROPERTY, "is longer than 65535 bytes");
	return SQ_OK;
}

/* The headers, each by the function of its row. */

static int
take_order_key(struct reading *r, struct sq_bytes v)
{
	if (v.len == 0 || v.len > SQ_HTTP_KEY_MAX)
		return reading_bad(r, "must have 1 to 256 bytes");
	return reading_user(r, SQ_PROP_ORDER_KEY, v);
}

static int
take_content_type(struct reading *r, struct sq_bytes v)
{
	r->out->content_type = v;
	return SQ_OK;
}

static int
take_content_encoding(struct reading *r, struct sq_bytes v)
{
	if (v.len == 0 || sq_bytes_are(v, "identity"))
		return SQ_OK;
	return reading_refuse(r, SQ_HTTP_MEDIA_TYPE,
	    "must be left out: subscribers would get the body without being told");
}

static int
take_qos(struct reading *r, struct sq_bytes v)
{
	if (v.len != 1 || v.p[0] < '0' || v.p[0] > '3')
		return reading_bad(r, "must be 0, 1, 2 or 3");
	r->out->qos = v.p[0] - '0';
	r->out->qos_given = true;
	return SQ_OK;
}

static int
take_key(struct reading *r, struct sq_bytes v)
{
	struct sq_buf *key = &r->out->key;

	if (sq_http_string(v, key) != SQ_OK)
		return reading_bad(r, "is not a string in quotes (RFC 8941) nor a bare text");
	if (sq_buf_len(key) == 0 || sq_buf_len(key) > SQ_HTTP_KEY_MAX)
		return reading_bad(r, "must have 1 to 256 bytes");
	return SQ_OK;
}

static int
take_bool(struct reading *r, struct sq_bytes v, bool *out)
{
	return sq_http_bool(v, out) == SQ_OK ? SQ_OK : reading_bad(r, "must be true or false");
}

static int
take_retain(struct reading *r, struct sq_bytes v)
{
	return take_bool(r, v, &r->out->retain);
}

static int
take_require_match(struct reading *r, struct sq_bytes v)
{
	return take_bool(r, v, &r->out->require_match);
}

/* Reads a duration as seconds, rounded up. */
static int
take_seconds(struct reading *r, struct sq_bytes v, uint32_t *out)
{
	uint64_t ms;

	if (sq_http_duration(v, &ms) != SQ_OK)
		return reading_bad(r, "must be a duration as 250ms, 30s, 5m or 24h, or seconds");
	*out = (uint32_t)((ms + 999) / 1000);
	return SQ_OK;
}

static int
take_ttl(struct reading *r, struct sq_bytes v)
{
	if (take_seconds(r, v, &r->out->expiry_s) != SQ_OK)
		return SQ_EINVAL;
	return r->out->expiry_s > 0 ? SQ_OK : reading_bad(r, "must be more than 0");
}

static int
take_delay(struct reading *r, struct sq_bytes v)
{
	return take_seconds(r, v, &r->out->delay_s);
}

static int
take_deliver_at(struct reading *r, struct sq_bytes v)
{
	int64_t at_ms;

	if (sq_rfc3339_read(v, &at_ms) != SQ_OK)
		return reading_bad(r, "must be an instant as 2026-11-30T08:00:00Z");
	if (at_ms <= r->out->now_ms)
		return SQ_OK; /* at once */
	if (at_ms - r->out->now_ms > (int64_t)DELAY_MAX_S * 1000)
		return reading_refuse(r, SQ_HTTP_INVALID_PROPERTY, "is too far ahead");
	r->out->delay_s = (uint32_t)((at_ms - r->out->now_ms + 999) / 1000);
	return SQ_OK;
}

static int
take_tag(struct reading *r, struct sq_bytes tag)
{
	const char *why;

	if (sq_topic_tag_check(tag, &why) != SQ_OK)
		return sq_http_fault_say(
		    r->fault, SQ_HTTP_INVALID_PROPERTY, "%s: %s", r->name, why);
	return reading_user(r, SQ_PROP_TAG, tag);
}

static int
take_tags(struct reading *r, struct sq_bytes list)
{
	struct sq_bytes tag;

	while (sq_http_list_next(&list, &tag))
		if (take_tag(r, tag) != SQ_OK)
			return SQ_EINVAL;
	return SQ_OK;
}

static int
take_topic(struct reading *r, struct sq_bytes v, struct sq_bytes *out)
{
	const char *why;

	if (sq_topic_name_check(v, &why) != SQ_OK)
		return sq_http_fault_say(r->fault, SQ_HTTP_INVALID_TOPIC, "%s: %s", r->name, why);
	*out = v;
	return SQ_OK;
}

static int
take_response_topic(struct reading *r, struct sq_bytes v)
{
	return take_topic(r, v, &r->out->response_topic);
}

static int
take_receipt(struct reading *r, struct sq_bytes v)
{
	return take_topic(r, v, &r->out->receipt);
}

static int
take_correlation(struct reading *r, struct sq_bytes v)
{
	if (sq_http_binary(v, &r->out->correlation) != SQ_OK)
		return reading_bad(r, "begins and ends with a colon, but is not base64 between");
	return SQ_OK;
}

/* A user property of the sender's own. */
static int
take_user(struct reading *r, struct sq_bytes name, struct sq_bytes value)
{
	if (name.len >= PREFIX_LEN && memcmp(name.p, SQ_PROP_PREFIX, PREFIX_LEN) == 0)
		return reading_refuse(r, SQ_HTTP_INVALID_PROPERTY,
		    "names a property that begins with " SQ_PROP_PREFIX
		    "; these have names of their own");
	if (sq_mqtt_user_append(&r->out->user, name, value) != SQ_OK)
		return reading_refuse(r, SQ_HTTP_INVALID_PROPERTY, "is longer than 65535 bytes");
	return SQ_OK;
}

/* One "Name=value", percent-encoded. */
static int
take_property(struct reading *r, struct sq_bytes item)
{
	const unsigned char *equals = memchr(item.p, '=', item.len);
	size_t n = equals != NULL ? (size_t)(equals - item.p) : 0;
	char *name = n > 0 ? sq_percent_decode((const char *)item.p, n) : NULL;
	char *value = n > 0 ? sq_percent_decode((const char *)equals + 1, item.len - n - 1) : NULL;
	int rc;

	if (name == NULL || value == NULL)
		rc = reading_bad(r, "must be Name=value, percent-encoded");
	else
		rc = take_user(r, sq_bytes_of(name), sq_bytes_of(value));
	free(name);
	free(value);
	return rc;
}

static int
take_properties(struct reading *r, struct sq_bytes list)
{
	struct sq_bytes item;

	while (sq_http_list_next(&list, &item))
		if (take_property(r, item) != SQ_OK)
			return SQ_EINVAL;
	return SQ_OK;
}

static int
take_space(struct reading *r, struct sq_bytes v)
{
	if (v.len == 0)
		return reading_bad(r, "is empty");
	r->out->space = v;
	return SQ_OK;
}

/* What passes as a user property of the header's name. */
static int
take_context(struct reading *r, struct sq_bytes v)
{
	return v.len > 0 ? reading_user(r, r->name, v) : SQ_OK;
}

static const struct field {
	const char *name;
	bool repeats;
	int (*take)(struct reading *, struct sq_bytes value);
} fields[] = {
    {"baggage", true, take_context},
    {"content-encoding", false, take_content_encoding},
    {"content-type", false, take_content_type},
    {KEY_HEADER, false, take_key},
    {"sqmqos-correlation", false, take_correlation},
    {SQ_PROP_DELAY, false, take_delay},
    {"sqmqos-deliver-at", false, take_deliver_at},
    {SQ_PROP_ORDER_KEY, false, take_order_key},
    {"sqmqos-property", true, take_properties},
    {SQ_PROP_QOS, false, take_qos},
    {SQ_PROP_RECEIPT, false, take_receipt},
    {"sqmqos-require-match", false, take_require_match},
    {"sqmqos-response-topic", false, take_response_topic},
    {"sqmqos-retain", false, take_retain},
    {"sqmqos-space", false, take_space},
    {"sqmqos-tag", true, take_tags},
    {"sqmqos-ttl", false, take_ttl},
    {SQ_PROP_TRACEPARENT, false, take_context},
    {SQ_PROP_TRACESTATE, true, take_context},
};

static_assert(SQ_ARRAY_LEN(fields) <= 32, "they fit into 'seen'");

static bool
fields_ours(struct sq_bytes name)
{
	return name.len >= PREFIX_LEN && memcmp(name.p, SQ_PROP_PREFIX, PREFIX_LEN) == 0;
}

/* Names that others give the key, the first as over MQTT: its promise is not to be lost unseen. */
static bool
fields_key(struct sq_bytes name)
{
	return sq_bytes_are(name, SQ_PROP_KEY) || sq_bytes_are(name, "sqmqos-" KEY_HEADER) ||
	    sq_bytes_are(name, "x-" KEY_HEADER);
}

/* A header that there is not, with our prefix or a name of the key's. */
static int
fields_unknown(struct sq_http_fault *fault, struct sq_bytes name)
{
	struct sq_suggest s = sq_suggest_start(
	    (const char *)name.p + PREFIX_LEN, name.len - PREFIX_LEN);

	(void)sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "unknown header ");
	sq_http_fault_name(fault, name);
	if (fields_key(name)) {
		sq_buf_printf(&fault->detail, ", did you mean " KEY_HEADER "?");
		return SQ_EINVAL;
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(fields); i++)
		if (fields_ours(sq_bytes_of(fields[i].name)))
			sq_suggest_offer(&s, fields[i].name + PREFIX_LEN,
			    strlen(fields[i].name) - PREFIX_LEN, fields[i].name,
			    strlen(fields[i].name));
	if (s.best != NULL)
		sq_buf_printf(&fault->detail, ", did you mean %s?", s.best);
	return SQ_EINVAL;
}

/* One of ours that is there, and is not for this request. */
static int
fields_foreign(struct sq_bytes name, struct sq_http_fault *fault)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(fields); i++)
		if (sq_bytes_are(name, fields[i].name))
			return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
			    "%s is of a publish of one message", fields[i].name);
	return fields_unknown(fault, name);
}

static int
fields_take(struct reading *r, const struct sq_http_header *h)
{
	size_t i = 0;

	while (i < SQ_ARRAY_LEN(fields) && !sq_bytes_are(h->name, fields[i].name))
		i++;
	if (i == SQ_ARRAY_LEN(fields))
		return fields_ours(h->name) || fields_key(h->name)
		    ? fields_unknown(r->fault, h->name)
		    : SQ_OK;
	r->name = fields[i].name;
	if (!fields[i].repeats && (r->seen & 1u << i) != 0)
		return reading_bad(r, "stands there twice");
	r->seen |= 1u << i;
	if (h->value.len > TEXT_MAX || !sq_utf8_valid(h->value.p, h->value.len))
		return reading_bad(r, "is not UTF-8, or is longer than 65535 bytes");
	return fields[i].take(r, sq_http_trim(h->value));
}

static bool
fields_saw(const struct reading *r, const char *name)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(fields); i++)
		if ((r->seen & 1u << i) != 0 && strcmp(fields[i].name, name) == 0)
			return true;
	return false;
}

int
sq_http_fields_agree(
    struct sq_http_fields *f, const struct sq_http_field_names *names, struct sq_http_fault *fault)
{
	bool keyed = sq_buf_len(&f->key) > 0;

	if (!f->qos_given)
		f->qos = keyed ? SQ_HTTP_ASSURED : 1;
	if (keyed && f->qos != SQ_HTTP_ASSURED)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
		    "%s is for %s: 3, which it means by itself", names->key, names->qos);
	if (f->receipt.len > 0 && f->qos != SQ_HTTP_ASSURED)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "%s needs %s: 3 or %s",
		    names->receipt, names->qos, names->key);
	return SQ_OK;
}

/* What headers say together. */
static int
fields_agree(struct reading *r)
{
	static const struct sq_http_field_names names = {KEY_HEADER, SQ_PROP_QOS, SQ_PROP_RECEIPT};

	if (fields_saw(r, SQ_PROP_DELAY) && fields_saw(r, "sqmqos-deliver-at"))
		return sq_http_fault_say(r->fault, SQ_HTTP_MALFORMED,
		    SQ_PROP_DELAY " and sqmqos-deliver-at exclude each other");
	return sq_http_fields_agree(r->out, &names, r->fault);
}

int
sq_http_fields_read(const struct sq_http_header *headers, size_t n, int64_t now_ms,
    struct sq_http_fields *out, struct sq_http_fault *fault)
{
	struct reading r = {.out = out, .fault = fault};

	out->now_ms = now_ms;
	out->expiry_s = SQ_MSG_NO_EXPIRY;
	for (size_t i = 0; i < n; i++)
		if (fields_take(&r, &headers[i]) != SQ_OK)
			return SQ_EINVAL;
	return fields_agree(&r);
}

int
sq_http_fields_ask(struct sq_http_fields *f, const char *name, const char *shown,
    struct sq_bytes value, struct sq_http_fault *fault)
{
	struct reading r = {.out = f, .fault = fault, .name = shown};
	size_t i = 0;

	while (strcmp(fields[i].name, name) != 0)
		i++;
	return fields[i].take(&r, sq_http_trim(value));
}

int
sq_http_fields_tag(
    struct sq_http_fields *f, const char *shown, struct sq_bytes tag, struct sq_http_fault *fault)
{
	return take_tag(&(struct reading){.out = f, .fault = fault, .name = shown}, tag);
}

int
sq_http_fields_user(struct sq_http_fields *f, const char *shown, struct sq_bytes name,
    struct sq_bytes value, struct sq_http_fault *fault)
{
	return take_user(&(struct reading){.out = f, .fault = fault, .name = shown}, name, value);
}

int
sq_http_fields_space(const struct sq_http_header *headers, size_t n, struct sq_bytes *space,
    struct sq_http_fault *fault)
{
	*space = (struct sq_bytes){0};
	for (size_t i = 0; i < n; i++) {
		if (!fields_ours(headers[i].name))
			continue;
		if (!sq_bytes_are(headers[i].name, SPACE_HEADER))
			return fields_foreign(headers[i].name, fault);
		if (space->len > 0)
			return sq_http_fault_say(
			    fault, SQ_HTTP_MALFORMED, SPACE_HEADER " stands there twice");
		*space = sq_http_trim(headers[i].value);
		if (space->len == 0 || !sq_utf8_valid(space->p, space->len))
			return sq_http_fault_say(
			    fault, SQ_HTTP_MALFORMED, SPACE_HEADER " is empty, or no UTF-8");
	}
	return SQ_OK;
}

/* Appends a property whose value is a string or bytes, at most TEXT_MAX of them; none if empty. */
static void
message_property(struct sq_buf *out, enum sq_mqtt_prop_id id, struct sq_bytes value)
{
	if (sq_mqtt_prop_append(out, id, value) != SQ_OK)
		abort(); /* the headers were checked */
}

/* Appends a user property whose lengths are within MQTT's. */
static void
message_user(struct sq_buf *out, const char *name, struct sq_bytes value)
{
	if (sq_mqtt_user_append(out, sq_bytes_of(name), value) != SQ_OK)
		abort(); /* the headers were checked */
}

static void
message_options(struct sq_buf *out, const struct sq_http_fields *f)
{
	char delay[16];

	if (sq_buf_len(&f->key) > 0)
		message_user(out, SQ_PROP_KEY, sq_buf_bytes(&f->key));
	else if (f->qos == SQ_HTTP_ASSURED)
		message_user(out, SQ_PROP_QOS, sq_bytes_of("3"));
	if (f->delay_s > 0) {
		(void)snprintf(delay, sizeof delay, "%u", f->delay_s);
		message_user(out, SQ_PROP_DELAY, sq_bytes_of(delay));
	}
	if (f->receipt.len > 0)
		message_user(out, SQ_PROP_RECEIPT, f->receipt);
}

struct sq_msg
sq_http_fields_message(
    const struct sq_http_fields *f, struct sq_bytes topic, struct sq_bytes payload)
{
	struct sq_buf props = {0};
	struct sq_msg msg;

	if (sq_media_is_characters(f->content_type) && sq_utf8_valid(payload.p, payload.len)) {
		sq_buf_u8(&props, SQ_MQTT_PROP_PAYLOAD_FORMAT);
		sq_buf_u8(&props, 1);
	}
	message_property(&props, SQ_MQTT_PROP_CONTENT_TYPE, f->content_type);
	message_property(&props, SQ_MQTT_PROP_RESPONSE_TOPIC, f->response_topic);
	message_property(&props, SQ_MQTT_PROP_CORRELATION_DATA, sq_buf_bytes(&f->correlation));
	message_options(&props, f);
	sq_buf_append(&props, sq_buf_data(&f->user), sq_buf_len(&f->user));
	msg = sq_msg_new(f->qos == SQ_HTTP_ASSURED ? 2 : f->qos, f->retain, topic,
	    sq_buf_bytes(&props), f->expiry_s, payload);
	sq_buf_fini(&props);
	return msg;
}

void
sq_http_fields_fini(struct sq_http_fields *f)
{
	sq_buf_fini(&f->key);
	sq_buf_fini(&f->correlation);
	sq_buf_fini(&f->user);
}
