#include "telemetry/otlp.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SpanKind and StatusCode of opentelemetry.proto.trace.v1. */
enum { KIND_INTERNAL = 1, KIND_PRODUCER = 4, KIND_CONSUMER = 5 };
enum { STATUS_ERROR = 2, REASON_FAILED = 0x80 };

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

static json_t *
hex(const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * SQ_TRACE_ID];

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[p[i] >> 4];
		text[2 * i + 1] = digits[p[i] & 15];
	}
	return json_stringn_nocheck(text, 2 * n);
}

static json_t *
number64(uint64_t v)
{
	char text[20], *at = text + sizeof text;

	do
		*--at = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	return json_stringn_nocheck(at, (size_t)(text + sizeof text - at));
}

static void
attribute(json_t *to, const char *key, const char *type, json_t *value)
{
	if (value != NULL)
		json_array_append_new(to, json_pack("{s:s, s:{s:o}}", "key", key, "value", type, value));
}

static void
attribute_text(json_t *to, const char *key, const char *value)
{
	if (value != NULL && *value != '\0')
		attribute(to, key, "stringValue", json_string(value));
}

static void
attribute_number(json_t *to, const char *key, uint64_t value)
{
	attribute(to, key, "intValue", number64(value));
}

static json_t *
span_attributes(const struct sq_span *s)
{
	json_t *a = json_array();

	attribute_text(a, "messaging.system", "mqtt");
	attribute_text(a, "messaging.operation.name", names[s->what]);
	attribute_text(a, "messaging.operation.type", operations[s->what].type);
	attribute_text(a, "messaging.destination.name", s->topic);
	attribute_text(a, "messaging.destination.subscription.name", s->queue);
	attribute_text(a, "messaging.client.id", s->client);
	if (s->origin[0] != 0)
		attribute(a, "messaging.message.id", "stringValue",
		    json_sprintf("%016llx-%016llx-%llu", (unsigned long long)s->origin[0],
			(unsigned long long)s->origin[1], (unsigned long long)s->origin[2]));
	attribute_number(a, "messaging.message.body.size", s->body_bytes);
	attribute_number(a, "sqmqos.qos", s->qos);
	if (s->what == SQ_SPAN_DELIVER || s->what == SQ_SPAN_ATTEMPT)
		attribute_number(a, "sqmqos.attempts", s->attempt);
	if (s->reason != 0)
		attribute_number(a, "sqmqos.reason", s->reason);
	if (s->failed || s->reason >= REASON_FAILED)
		attribute(a, "error.type", "stringValue",
		    s->failed ? json_string(s->note) : json_sprintf("0x%02x", s->reason));
	return a;
}

static json_t *
span_json(const struct sq_span *s)
{
	static const unsigned char none[SQ_SPAN_ID];
	json_t *o = json_pack("{s:o, s:o, s:s, s:i, s:o, s:o, s:o, s:i}", "traceId",
	    hex(s->trace, sizeof s->trace), "spanId", hex(s->id, sizeof s->id), "name",
	    names[s->what], "kind", (int)operations[s->what].kind, "startTimeUnixNano",
	    number64(s->start_us * 1000), "endTimeUnixNano", number64(s->end_us * 1000),
	    "attributes", span_attributes(s), "flags", 1);

	if (memcmp(s->parent, none, sizeof none) != 0)
		json_object_set_new(o, "parentSpanId", hex(s->parent, sizeof s->parent));
	if (s->failed || s->reason >= REASON_FAILED)
		json_object_set_new(o, "status",
		    s->failed ? json_pack("{s:i, s:s}", "code", STATUS_ERROR, "message", s->note)
			      : json_pack("{s:i}", "code", STATUS_ERROR));
	if (s->what == SQ_SPAN_DEAD_LETTER)
		json_object_set_new(o, "events",
		    json_pack("[{s:o, s:s}]", "timeUnixNano", number64(s->end_us * 1000), "name",
			"dead-lettered"));
	return o;
}

static json_t *
resource_json(const struct sq_otlp_resource *r)
{
	json_t *a = json_array();

	attribute_text(a, "service.name", r->service);
	attribute_text(a, "service.version", SQ_VERSION);
	attribute_text(a, "service.namespace", r->namespace);
	attribute_text(a, "service.instance.id", r->pod != NULL ? r->pod : r->host);
	attribute_text(a, "k8s.pod.name", r->pod);
	attribute_text(a, "k8s.namespace.name", r->namespace);
	attribute_text(a, "k8s.node.name", r->node);
	attribute_text(a, "host.name", r->host);
	return json_pack("{s:o}", "attributes", a);
}

static int
on_text(const char *p, size_t n, void *out)
{
	sq_buf_append(out, p, n);
	return 0;
}

void
sq_otlp_write(
    struct sq_buf *out, const struct sq_otlp_resource *r, const struct sq_span *spans, size_t n)
{
	json_t *list = json_array(), *all;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, span_json(&spans[i]));
	all = json_pack("{s:[{s:o, s:[{s:{s:s, s:s}, s:o}]}]}", "resourceSpans", "resource",
	    resource_json(r), "scopeSpans", "scope", "name", "sqmqos", "version", SQ_VERSION,
	    "spans", list);
	if (all == NULL || json_dump_callback(all, on_text, out, JSON_COMPACT) != 0)
		abort(); /* without memory; all texts are UTF-8 or were left out */
	json_decref(all);
}

uint64_t
sq_otlp_rejected(const void *body, size_t len)
{
	json_t *o = json_loadb(body, len, 0, NULL);
	json_t *n = json_object_get(json_object_get(o, "partialSuccess"), "rejectedSpans");
	uint64_t out = 0;

	if (json_is_integer(n) && json_integer_value(n) > 0)
		out = (uint64_t)json_integer_value(n);
	else if (json_is_string(n))
		out = strtoull(json_string_value(n), NULL, 10);
	json_decref(o);
	return out;
}
