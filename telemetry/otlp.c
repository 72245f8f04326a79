#include "telemetry/otlp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"
#include "proto/json/json.h"
#include "proto/json/write.h"

/* SpanKind and StatusCode of opentelemetry.proto.trace.v1. */
enum { KIND_INTERNAL = 1, KIND_PRODUCER = 4, KIND_CONSUMER = 5 };
enum { STATUS_ERROR = 2, REASON_FAILED = 0x80 };
enum { ANSWER_VALUES_MAX = 64 };

static const char *const names[SQ_SPAN_WHATS] = {
#define OTLP_NAME(sym, name) [SQ_SPAN_##sym] = (name),
    SQ_SPANS(OTLP_NAME)
#undef OTLP_NAME
};

/* messaging.operation.type, where the conventions have one, and the kind. */
static const struct {
	const char *type;
	uint8_t kind;
} operations[SQ_SPAN_WHATS] = {
    [SQ_SPAN_PUBLISH] = {"send", KIND_PRODUCER},
    [SQ_SPAN_RECEIVE] = {"receive", KIND_CONSUMER},
    [SQ_SPAN_QUEUE] = {NULL, KIND_INTERNAL},
    [SQ_SPAN_DELIVER] = {"send", KIND_PRODUCER},
    [SQ_SPAN_ATTEMPT] = {"send", KIND_PRODUCER},
    [SQ_SPAN_DEAD_LETTER] = {NULL, KIND_INTERNAL},
};

/* --- JSON, written at once: trees of a library's own cost 40 times as much for each span --- */

#define LITERAL(out, text) sq_buf_append(out, text, sizeof(text) - 1)

static void
put_hex(struct sq_buf *out, const char *key, const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char text[2 * SQ_TRACE_ID];

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = (unsigned char)digits[p[i] >> 4];
		text[2 * i + 1] = (unsigned char)digits[p[i] & 15];
	}
	sq_buf_append(out, key, strlen(key));
	sq_buf_append(out, text, 2 * n);
}

/* A list of attributes. */
struct list {
	struct sq_buf *out;
	bool any;
};

static void
attribute(struct list *l, const char *key, const char *type)
{
	if (l->any)
		LITERAL(l->out, ",");
	l->any = true;
	LITERAL(l->out, "{\"key\":\"");
	sq_buf_append(l->out, key, strlen(key));
	LITERAL(l->out, "\",\"value\":{\"");
	sq_buf_append(l->out, type, strlen(type));
	LITERAL(l->out, "\":\"");
}

static void
attribute_end(struct list *l)
{
	LITERAL(l->out, "\"}}");
}

/* Nothing where there is no text, or none of UTF-8. */
static void
attribute_text(struct list *l, const char *key, const char *value)
{
	if (value == NULL || *value == '\0' || !sq_utf8_valid(value, strlen(value)))
		return;
	attribute(l, key, "stringValue");
	sq_json_put_text(l->out, sq_bytes_of(value));
	attribute_end(l);
}

static void
attribute_number(struct list *l, const char *key, uint64_t value)
{
	attribute(l, key, "intValue");
	sq_json_put_number(l->out, value);
	attribute_end(l);
}

/* --- spans --- */

static bool
span_failed(const struct sq_span *s)
{
	return s->failed || s->reason >= REASON_FAILED;
}

static void
span_attributes(struct sq_buf *out, const struct sq_span *s)
{
	struct list l = {.out = out};
	char text[64];

	attribute_text(&l, "messaging.system", "mqtt");
	attribute_text(&l, "messaging.operation.name", names[s->what]);
	attribute_text(&l, "messaging.operation.type", operations[s->what].type);
	attribute_text(&l, "messaging.destination.name", s->topic);
	attribute_text(&l, "messaging.destination.subscription.name", s->queue);
	attribute_text(&l, "messaging.client.id", s->client);
	if (s->origin[0] != 0) {
		snprintf(text, sizeof text, "%016llx-%016llx-%llu",
		    (unsigned long long)s->origin[0], (unsigned long long)s->origin[1],
		    (unsigned long long)s->origin[2]);
		attribute_text(&l, "messaging.message.id", text);
	}
	attribute_number(&l, "messaging.message.body.size", s->body_bytes);
	attribute_number(&l, "sqmqos.qos", s->qos);
	if (s->what == SQ_SPAN_DELIVER || s->what == SQ_SPAN_ATTEMPT)
		attribute_number(&l, "sqmqos.attempts", s->attempt);
	if (s->reason != 0)
		attribute_number(&l, "sqmqos.reason", s->reason);
	if (span_failed(s)) {
		snprintf(text, sizeof text, "0x%02x", s->reason);
		attribute_text(&l, "error.type", s->failed ? s->note : text);
	}
}

static void
span_write(struct sq_buf *out, const struct sq_span *s)
{
	static const unsigned char none[SQ_SPAN_ID];

	put_hex(out, "{\"traceId\":\"", s->trace, sizeof s->trace);
	put_hex(out, "\",\"spanId\":\"", s->id, sizeof s->id);
	if (memcmp(s->parent, none, sizeof none) != 0)
		put_hex(out, "\",\"parentSpanId\":\"", s->parent, sizeof s->parent);
	LITERAL(out, "\",\"flags\":1,\"name\":\"");
	sq_json_put_text(out, sq_bytes_of(names[s->what]));
	LITERAL(out, "\",\"kind\":");
	sq_json_put_number(out, operations[s->what].kind);
	LITERAL(out, ",\"startTimeUnixNano\":\"");
	sq_json_put_number(out, s->start_us * 1000);
	LITERAL(out, "\",\"endTimeUnixNano\":\"");
	sq_json_put_number(out, s->end_us * 1000);
	LITERAL(out, "\",\"attributes\":[");
	span_attributes(out, s);
	LITERAL(out, "]");
	if (span_failed(s)) {
		LITERAL(out, ",\"status\":{\"code\":");
		sq_json_put_number(out, STATUS_ERROR);
		LITERAL(out, ",\"message\":\"");
		sq_json_put_text(out, sq_bytes_of(s->note));
		LITERAL(out, "\"}");
	}
	if (s->what == SQ_SPAN_DEAD_LETTER) {
		LITERAL(out, ",\"events\":[{\"name\":\"dead-lettered\",\"timeUnixNano\":\"");
		sq_json_put_number(out, s->end_us * 1000);
		LITERAL(out, "\"}]");
	}
	LITERAL(out, "}");
}

static void
resource_attributes(struct sq_buf *out, const struct sq_otlp_resource *r)
{
	struct list l = {.out = out};

	attribute_text(&l, "service.name", r->service);
	attribute_text(&l, "service.version", SQ_VERSION);
	attribute_text(&l, "service.namespace", r->namespace);
	attribute_text(&l, "service.instance.id", r->pod != NULL ? r->pod : r->host);
	attribute_text(&l, "k8s.pod.name", r->pod);
	attribute_text(&l, "k8s.namespace.name", r->namespace);
	attribute_text(&l, "k8s.node.name", r->node);
	attribute_text(&l, "host.name", r->host);
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
