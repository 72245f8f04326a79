#include "telemetry/otlp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/json/json.h"
#include "proto/json/write.h"

/* StatusCode of opentelemetry.proto.trace.v1. */
enum { STATUS_ERROR = 2, REASON_FAILED = 0x80 };
enum { ANSWER_VALUES_MAX = 64 };

/* --- JSON, written at once, in pieces as large as they can be: there are many spans --- */

/* A text that is known when this is compiled. */
struct piece {
	const char *p;
	size_t len;
};

#define PIECE(text) ((struct piece){(text), sizeof(text) - 1})
#define TEXT_OF(key) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\""
#define NUMBER_OF(key) ",{\"key\":\"" key "\",\"value\":{\"intValue\":\""
#define VALUE_END "\"}}"
#define TEXT(key, value) TEXT_OF(key) value VALUE_END

/* The words of a span that follow from its operation, as it is written from one end to the other:
 * SpanKind, and messaging.operation.type where the conventions have one. */
#define KIND_INTERNAL "1"
#define KIND_PRODUCER "4"
#define KIND_CONSUMER "5"
#define TYPE(type) "," TEXT("messaging.operation.type", type)
#define KIND_OF_PUBLISH KIND_PRODUCER
#define TYPE_OF_PUBLISH TYPE("send")
#define KIND_OF_RECEIVE KIND_CONSUMER
#define TYPE_OF_RECEIVE TYPE("receive")
#define KIND_OF_QUEUE KIND_INTERNAL
#define TYPE_OF_QUEUE ""
#define KIND_OF_DELIVER KIND_PRODUCER
#define TYPE_OF_DELIVER TYPE("send")
#define KIND_OF_ATTEMPT KIND_PRODUCER
#define TYPE_OF_ATTEMPT TYPE("send")
#define KIND_OF_DEAD_LETTER KIND_INTERNAL
#define TYPE_OF_DEAD_LETTER ""

static const struct {
	struct piece name, attributes;
} operations[SQ_SPAN_WHATS] = {
#define OPERATION(sym, text) \
	[SQ_SPAN_##sym] = { \
	    PIECE("\",\"flags\":1,\"name\":\"" text "\",\"kind\":" KIND_OF_##sym \
		",\"startTimeUnixNano\":\""), \
	    PIECE("\",\"attributes\":[" TEXT("messaging.system", "mqtt") "," TEXT( \
		"messaging.operation.name", text) TYPE_OF_##sym), \
	},
    SQ_SPANS(OPERATION)
#undef OPERATION
};

static void
put(struct sq_buf *out, struct piece piece)
{
	sq_buf_append(out, piece.p, piece.len);
}

#define LITERAL(out, text) put(out, PIECE(text))

static void
put_hex(struct sq_buf *out, struct piece before, const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char *at = sq_buf_reserve(out, before.len + 2 * n);

	memcpy(at, before.p, before.len);
	at += before.len;
	for (size_t i = 0; i < n; i++) {
		*at++ = (unsigned char)digits[p[i] >> 4];
		*at++ = (unsigned char)digits[p[i] & 15];
	}
	sq_buf_commit(out, before.len + 2 * n);
}

static void
put_number(struct sq_buf *out, struct piece before, uint64_t n)
{
	put(out, before);
	sq_json_put_number(out, n);
}

/* An attribute that begins with 'before'; nothing where there is no text, or none of UTF-8. */
static void
put_text(struct sq_buf *out, struct piece before, const char *value)
{
	size_t len = value != NULL ? strlen(value) : 0;

	if (len == 0 || !sq_utf8_valid(value, len))
		return;
	put(out, before);
	sq_json_put_text(out, (struct sq_bytes){(const unsigned char *)value, len});
	LITERAL(out, VALUE_END);
}

#define PUT_TEXT(out, key, value) put_text(out, PIECE("," TEXT_OF(key)), value)
#define PUT_NUMBER(out, key, n) put_number(out, PIECE(NUMBER_OF(key)), n), LITERAL(out, VALUE_END)

/* --- spans --- */

static bool
span_failed(const struct sq_span *s)
{
	return s->failed || s->reason >= REASON_FAILED;
}

/* The number of a message at its publisher, as sqmqos-origin has it. */
static void
span_message_id(struct sq_buf *out, const uint64_t origin[3])
{
	unsigned char half[8];

	sq_put64(half, origin[0]);
	put_hex(out, PIECE("," TEXT_OF("messaging.message.id")), half, sizeof half);
	sq_put64(half, origin[1]);
	put_hex(out, PIECE("-"), half, sizeof half);
	put_number(out, PIECE("-"), origin[2]);
	LITERAL(out, VALUE_END);
}

static void
span_attributes(struct sq_buf *out, const struct sq_span *s)
{
	char text[8];

	put(out, operations[s->what].attributes);
	PUT_TEXT(out, "messaging.destination.name", s->topic);
	PUT_TEXT(out, "messaging.destination.subscription.name", s->queue);
	PUT_TEXT(out, "messaging.client.id", s->client);
	if (s->origin[0] != 0)
		span_message_id(out, s->origin);
	PUT_NUMBER(out, "messaging.message.body.size", s->body_bytes);
	PUT_NUMBER(out, "sqmqos.qos", s->qos);
	if (s->what == SQ_SPAN_DELIVER || s->what == SQ_SPAN_ATTEMPT)
		PUT_NUMBER(out, "sqmqos.attempts", s->attempt);
	if (s->reason != 0)
		PUT_NUMBER(out, "sqmqos.reason", s->reason);
	if (span_failed(s)) {
		snprintf(text, sizeof text, "0x%02x", s->reason);
		PUT_TEXT(out, "error.type", s->failed ? s->note : text);
	}
}

static void
span_write(struct sq_buf *out, const struct sq_span *s)
{
	static const unsigned char none[SQ_SPAN_ID];

	put_hex(out, PIECE("{\"traceId\":\""), s->trace, sizeof s->trace);
	put_hex(out, PIECE("\",\"spanId\":\""), s->id, sizeof s->id);
	if (memcmp(s->parent, none, sizeof none) != 0)
		put_hex(out, PIECE("\",\"parentSpanId\":\""), s->parent, sizeof s->parent);
	put_number(out, operations[s->what].name, s->start_us * 1000);
	put_number(out, PIECE("\",\"endTimeUnixNano\":\""), s->end_us * 1000);
	span_attributes(out, s);
	LITERAL(out, "]");
	if (span_failed(s)) {
		put_number(out, PIECE(",\"status\":{\"code\":"), STATUS_ERROR);
		LITERAL(out, ",\"message\":\"");
		sq_json_put_text(out, sq_bytes_of(s->note));
		LITERAL(out, "\"}");
	}
	if (s->what == SQ_SPAN_DEAD_LETTER) {
		put_number(out,
		    PIECE(",\"events\":[{\"name\":\"dead-lettered\",\"timeUnixNano\":\""),
		    s->end_us * 1000);
		LITERAL(out, "\"}]");
	}
	LITERAL(out, "}");
}

static void
resource_attributes(struct sq_buf *out, const struct sq_otlp_resource *r)
{
	LITERAL(out, TEXT("service.version", SQ_VERSION));
	PUT_TEXT(out, "service.name", r->service);
	PUT_TEXT(out, "service.namespace", r->namespace);
	PUT_TEXT(out, "service.instance.id", r->pod != NULL ? r->pod : r->host);
	PUT_TEXT(out, "k8s.pod.name", r->pod);
	PUT_TEXT(out, "k8s.namespace.name", r->namespace);
	PUT_TEXT(out, "k8s.node.name", r->node);
	PUT_TEXT(out, "host.name", r->host);
}

void
sq_otlp_write(
    struct sq_buf *out, const struct sq_otlp_resource *r, const struct sq_span *spans, size_t n)
{
	LITERAL(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
	resource_attributes(out, r);
	LITERAL(out,
	    "]},\"scopeSpans\":[{\"scope\":{\"name\":\"sqmqos\",\"version\":\"" SQ_VERSION
	    "\"},\"spans\":[");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			LITERAL(out, ",");
		span_write(out, &spans[i]);
	}
	LITERAL(out, "]}]}]}");
}

/* Of decimal digits alone, as a number or a string has them; else 0. */
static uint64_t
otlp_number(struct sq_bytes text)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (i == 19 || text.p[i] < '0' || text.p[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(text.p[i] - '0');
	}
	return n;
}

uint64_t
sq_otlp_rejected(const void *body, size_t len)
{
	static const char *const partial = "partialSuccess", *const rejected = "rejectedSpans";
	struct sq_json_token at[ANSWER_VALUES_MAX];
	struct sq_json_tokens t = {.at = at, .room = SQ_ARRAY_LEN(at), .depth = 2};
	struct sq_json_error err;
	uint32_t i = 0;

	if (len == 0 || sq_json_read(&t, (struct sq_bytes){body, len}, &err) != SQ_OK ||
	    at[0].type != SQ_JSON_OBJECT ||
	    sq_json_members(&t, 0, &partial, 1, &i, &err) != SQ_OK || i == 0 ||
	    at[i].type != SQ_JSON_OBJECT ||
	    sq_json_members(&t, i, &rejected, 1, &i, &err) != SQ_OK || i == 0)
		return 0;
	return otlp_number(sq_json_raw(&t, i));
}
