/* See broker/front/http/pulled.h. */
#include "broker/front/http/pulled.h"

#include <string.h>

#include "broker/front/http/values.h"
#include "core/base64.h"
#include "core/percent.h"
#include "core/rfc3339.h"
#include "core/utf8.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/headers/headers.h"
#include "proto/headers/said.h"
#include "proto/json/json.h"
#include "proto/json/write.h"
#include "proto/media/media.h"
#include "proto/props/names.h"

#define EVENT_TYPE "io.sqmqos.message" /* of an event about a message that is none */
#define EVENT_SOURCE "/topics/"
#define LETTER_TOPIC "$dead/" /* before the topic that a dead letter's message had */

static struct sq_said
said_read(const struct sq_pulled *p)
{
	return sq_said_read(sq_image_props(p->msg.image), p->dead != NULL);
}

/* JSON. */

/* What is pulled is written without sq_buf_printf(), whose time counts: a message has many members. */

static void
pulled_name(struct sq_buf *out, const char *name)
{
	sq_json_put_raw(out, ",\"");
	sq_json_put_raw(out, name);
	sq_json_put_raw(out, "\":");
}

static void
pulled_text(struct sq_buf *out, const char *name, struct sq_bytes text)
{
	if (text.len == 0)
		return;
	pulled_name(out, name);
	sq_json_put_string(out, text);
}

static void
pulled_number(struct sq_buf *out, const char *name, uint64_t n)
{
	pulled_name(out, name);
	sq_json_put_number(out, n);
}

static void
pulled_base64(struct sq_buf *out, struct sq_bytes data)
{
	sq_buf_u8(out, '"');
	sq_base64_put(out, data.p, data.len);
	sq_buf_u8(out, '"');
}

static void
pulled_time(struct sq_buf *out, const char *name, uint64_t ms)
{
	char text[SQ_RFC3339_MAX];

	if (ms == 0)
		return;
	sq_rfc3339_write((int64_t)ms, text);
	pulled_name(out, name);
	sq_json_put_plain(out, sq_bytes_of(text));
}

/* Whether a payload is shown as JSON: its type says so; where there is none, an object or a list. */
static bool
pulled_is_json(struct sq_bytes type, struct sq_bytes payload)
{
	struct sq_json_tokens none = {0};
	struct sq_json_error err;

	if (type.len > 0 ? !sq_media_is_json(type)
			 : payload.len == 0 || (payload.p[0] != '{' && payload.p[0] != '['))
		return false;
	return sq_json_read(&none, payload, &err) == SQ_OK && none.deepest + 4 <= SQ_JSON_DEPTH_MAX;
}

static void
pulled_payload(struct sq_buf *out, struct sq_bytes type, struct sq_bytes payload)
{
	if (payload.len > 0 && pulled_is_json(type, payload)) {
		pulled_name(out, "json");
		sq_buf_append(out, payload.p, payload.len);
	} else if (sq_utf8_valid(payload.p, payload.len)) {
		pulled_name(out, "text");
		sq_json_put_string(out, payload);
	} else {
		pulled_name(out, "base64");
		pulled_base64(out, payload);
	}
}

static void
pulled_lists(struct sq_buf *out, const struct sq_said *s)
{
	struct sq_bytes rest = s->props, name, value;
	const char *before = ",\"tags\":[";

	for (; sq_said_next(s, &rest, true, &name, &value); before = ",") {
		sq_json_put_raw(out, before);
		sq_json_put_string(out, value);
	}
	if (before[1] == '\0')
		sq_buf_u8(out, ']');
	rest = s->props;
	before = ",\"properties\":[";
	for (; sq_said_next(s, &rest, false, &name, &value); before = ",") {
		sq_json_put_raw(out, before);
		sq_buf_u8(out, '[');
		sq_json_put_string(out, name);
		sq_buf_u8(out, ',');
		sq_json_put_string(out, value);
		sq_buf_u8(out, ']');
	}
	if (before[1] == '\0')
		sq_buf_u8(out, ']');
}

static void
pulled_correlation(struct sq_buf *out, struct sq_bytes data)
{
	bool plain = data.len > 0 && data.p[0] != ':' && sq_utf8_valid(data.p, data.len) &&
	    sq_utf8_plain(data.p, data.len);

	if (data.len == 0)
		return;
	pulled_name(out, "correlation");
	if (plain) {
		sq_json_put_string(out, data);
		return;
	}
	sq_json_put_raw(out, "\":");
	sq_base64_put(out, data.p, data.len);
	sq_json_put_raw(out, ":\"");
}

/* What a message says: members behind others. */
static void
pulled_message(const struct sq_pulled *p, const struct sq_said *said, struct sq_buf *out)
{
	const unsigned char *image = p->msg.image;
	struct sq_said s = *said;

	pulled_text(out, "type", s.type);
	pulled_payload(out, s.type, sq_image_payload(image));
	pulled_lists(out, said);
	pulled_text(out, "key", s.key);
	pulled_text(out, "orderKey", s.order_key);
	pulled_text(out, "responseTopic", s.response_topic);
	pulled_correlation(out, s.correlation);
	pulled_text(out, "receipt", s.receipt);
	if (sq_image_retain(image))
		sq_json_put_raw(out, ",\"retain\":true");
	sq_buf_u8(out, '}');
}

void
sq_http_pulled_json(const struct sq_pulled *p, struct sq_buf *out)
{
	struct sq_said s = said_read(p);
	char id[SQ_HTTP_ID_TEXT];

	sq_http_id(p->id, id);
	if (p->lease[0] != '\0') {
		sq_json_put_raw(out, "{\"lease\":");
		sq_json_put_plain(out, sq_bytes_of(p->lease));
	} else {
		sq_json_put_raw(out, "{\"seq\":");
		sq_json_put_number(out, p->seq);
	}
	pulled_text(out, "id", sq_bytes_of(id));
	pulled_text(out, "topic", sq_image_topic(p->msg.image));
	pulled_number(out, "qos", p->qos);
	pulled_number(out, "attempt", p->attempt);
	pulled_time(out, "enqueued", p->enqueued_ms);
	pulled_time(out, "expires", p->expires_ms);
	pulled_message(p, &s, out);
}

/* The topic that the message of a letter had. */
static struct sq_bytes
letter_topic(const struct sq_pulled *p)
{
	struct sq_bytes topic = sq_image_topic(p->msg.image);
	const size_t n = sizeof LETTER_TOPIC - 1;

	if (topic.len <= n || memcmp(topic.p, LETTER_TOPIC, n) != 0)
		return topic;
	return (struct sq_bytes){topic.p + n, topic.len - n};
}

void
sq_http_pulled_letter(const struct sq_pulled *p, const char *space, struct sq_buf *out)
{
	struct sq_said s = said_read(p);
	struct sq_buf queue = {0};
	char id[SQ_HTTP_ID_TEXT];

	sq_buf_printf(&queue, "%s~%s", p->dead, space);
	sq_buf_printf(out, "{\"queue\":");
	sq_json_put_string(out, sq_buf_bytes(&queue));
	sq_buf_fini(&queue);
	sq_buf_printf(out, ",\"seq\":%llu", (unsigned long long)p->seq);
	pulled_text(out, "reason", s.reason);
	pulled_text(out, "detail", s.detail);
	pulled_text(out, "from", s.from);
	pulled_text(out, "died", s.died);
	sq_http_id(p->id, id);
	sq_buf_printf(out, ",\"id\":\"%s\"", id);
	pulled_text(out, "topic", letter_topic(p));
	sq_buf_printf(out, ",\"qos\":%u", p->qos);
	pulled_message(p, &s, out);
}

/* CloudEvents. */

/* An event about a message that is none: its topic is the subject, and in the source. */
static void
event_about(struct sq_ce *ce, const struct sq_pulled *p, const struct sq_said *s)
{
	struct sq_bytes topic = sq_image_topic(p->msg.image);
	struct sq_ce_about about = {.type = sq_bytes_of(EVENT_TYPE),
	    .subject = topic,
	    .order_key = s->order_key,
	    .payload = sq_image_payload(p->msg.image)};
	struct sq_buf source = {0};
	char id[SQ_HTTP_ID_TEXT];

	sq_http_id(p->id, id);
	about.id = sq_bytes_of(id);
	sq_buf_printf(&source, EVENT_SOURCE);
	sq_percent_put_bytes(&source, topic);
	about.source = sq_buf_bytes(&source);
	if (about.source.len > UINT16_MAX) /* longer than an attribute may be */
		about.source.len = sizeof EVENT_SOURCE - 1;
	if (sq_ce_form(s->type) == SQ_CE_OTHER)
		about.content_type = s->type;
	sq_ce_about(ce, &about);
	sq_buf_fini(&source);
}

void
sq_http_pulled_event(const struct sq_pulled *p, struct sq_buf *out)
{
	const unsigned char *image = p->msg.image;
	const struct sq_ce_told told = {.topic = sq_image_topic(image),
	    .attempt = p->attempt,
	    .lease = p->lease[0] != '\0' ? p->lease : NULL};
	struct sq_said s = said_read(p);
	struct sq_ce ce = {0};

	if (sq_ce_handed(&ce, s.props, sq_image_payload(image)) != SQ_OK)
		event_about(&ce, p, &s);
	sq_ce_json_told(&ce, &told, out);
	sq_ce_fini(&ce);
}

/* Headers. */

struct sq_bytes
sq_http_pulled_type(const struct sq_pulled *p)
{
	struct sq_said s = said_read(p);
	struct sq_bytes type = sq_said_type(&s);

	return type.len > 0 ? type : sq_bytes_of("application/octet-stream");
}

/* What the publisher has said. */
static void
headers_said(const struct sq_pulled *p, struct sq_buf *out)
{
	struct sq_said s = said_read(p);

	sq_said_lists(&s, out);
	sq_headers_string(out, "idempotency-key", s.key);
	sq_said_headers(&s, out);
	if (sq_image_retain(p->msg.image))
		sq_headers_put(out, "sqmqos-retain", sq_bytes_of("true"));
}

static void
headers_write(const struct sq_pulled *p, struct sq_buf *out)
{
	char id[SQ_HTTP_ID_TEXT];

	sq_http_id(p->id, id);
	sq_headers_put(out, "sqmqos-lease", sq_bytes_of(p->lease));
	sq_headers_put(out, "sqmqos-id", sq_bytes_of(id));
	sq_headers_percent(out, "sqmqos-topic", sq_image_topic(p->msg.image));
	sq_headers_number(out, SQ_PROP_QOS, p->qos);
	sq_headers_number(out, "sqmqos-attempt", p->attempt);
	sq_headers_time(out, "sqmqos-enqueued", p->enqueued_ms);
	sq_headers_time(out, "sqmqos-expires", p->expires_ms);
	headers_said(p, out);
}

/* Hands the lines on, and frees them. */
static void
headers_hand(struct sq_buf *lines, void (*put)(void *arg, const char *name, struct sq_bytes value),
    void *arg)
{
	struct sq_bytes rest = {sq_buf_data(lines), sq_buf_len(lines)}, name, value;

	while (sq_headers_next(&rest, &name, &value)) {
		sq_buf_data(lines)[(size_t)(name.p - sq_buf_data(lines)) + name.len] = '\0';
		put(arg, (const char *)name.p, value);
	}
	sq_buf_fini(lines);
}

void
sq_http_pulled_headers(const struct sq_pulled *p,
    void (*put)(void *arg, const char *name, struct sq_bytes value), void *arg)
{
	struct sq_buf lines = {0};

	headers_write(p, &lines);
	headers_hand(&lines, put, arg);
}

void
sq_http_pulled_said(const struct sq_msg *msg,
    void (*put)(void *arg, const char *name, struct sq_bytes value), void *arg)
{
	const struct sq_pulled p = {.msg = *msg};
	struct sq_buf lines = {0};

	sq_headers_number(&lines, SQ_PROP_QOS, sq_image_qos(msg->image));
	headers_said(&p, &lines);
	headers_hand(&lines, put, arg);
}
