/* Headers of a publish, and the message of them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/http/fields.h"
#include "broker/front/http/values.h"
#include "core/mem.h"
#include "proto/mqtt/props.h"

#define NOW_MS INT64_C(1800000000000) /* 2027-01-15T08:00:00Z */

enum { HEADERS_MAX = 16 };

/* "name: value" lines. */
struct lines {
	struct sq_http_header v[HEADERS_MAX];
	size_t n;
	char *text;
};

static struct lines
lines(const char *text)
{
	struct lines l = {.text = strdup(text)};
	char *line, *save = NULL;

	for (line = strtok_r(l.text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *value = strstr(line, ": ");

		cr_assert(value != NULL && l.n < HEADERS_MAX);
		*value = '\0';
		l.v[l.n++] = (struct sq_http_header){sq_bytes_of(line), sq_bytes_of(value + 2)};
	}
	return l;
}

struct got {
	struct lines lines;
	struct sq_http_fields f;
	struct sq_http_fault fault;
	int rc;
};

static struct got
get(const char *text)
{
	struct got g = {.lines = lines(text)};

	g.rc = sq_http_fields_read(g.lines.v, g.lines.n, NOW_MS, &g.f, &g.fault);
	sq_buf_u8(&g.fault.detail, '\0');
	return g;
}

static void
end(struct got *g)
{
	sq_http_fields_fini(&g->f);
	sq_http_fault_fini(&g->fault);
	free(g->lines.text);
}

static struct got
good(const char *text)
{
	struct got g = get(text);

	cr_assert_eq(g.rc, SQ_OK, "%s: %s", text, sq_buf_data(&g.fault.detail));
	return g;
}

static void
refuse(const char *text, enum sq_http_problem problem, const char *detail)
{
	struct got g = get(text);
	const char *said = (const char *)sq_buf_data(&g.fault.detail);

	cr_assert_eq(g.rc, SQ_EINVAL, "%s", text);
	cr_assert_eq(g.fault.problem, problem, "%s: %s", text, said);
	cr_assert_not_null(strstr(said, detail), "%s: %s", text, said);
	end(&g);
}

/* The properties of the message as "id=value;" and "name=value;" in their order. */
static void
properties(const char *headers, const char *payload, const char *want)
{
	struct got g = good(headers);
	struct sq_msg m = sq_http_fields_message(&g.f, sq_bytes_of("t"), sq_bytes_of(payload));
	struct sq_bytes rest = sq_image_props(m.image);
	struct sq_mqtt_prop p;
	struct sq_buf out = {0};

	cr_assert_eq(sq_image_check(m.image, sq_image_size(m.image)), SQ_OK);
	cr_assert_eq(sq_mqtt_props_check(rest), SQ_OK);
	while (sq_mqtt_prop_next(&rest, &p)) {
		if (p.id == SQ_MQTT_PROP_USER_PROPERTY)
			sq_buf_append(&out, p.key.p, p.key.len);
		else
			sq_buf_printf(&out, "%u", p.id);
		sq_buf_u8(&out, '=');
		if (p.id == SQ_MQTT_PROP_PAYLOAD_FORMAT)
			sq_buf_printf(&out, "%u", p.num);
		else
			sq_buf_append(&out, p.value.p, p.value.len);
		sq_buf_u8(&out, ';');
	}
	sq_buf_u8(&out, '\0');
	cr_assert_str_eq((const char *)sq_buf_data(&out), want);
	sq_buf_fini(&out);
	sq_msg_unref(&m);
	end(&g);
}

Test(http_fields, what_is_not_given_has_defaults)
{
	struct got g = good("accept: */*\nuser-agent: curl\nx-sqmqos-qos: 7\n");
	struct sq_msg m = sq_http_fields_message(&g.f, sq_bytes_of("a/b"), sq_bytes_of("x"));

	cr_assert_eq(g.f.qos, 1);
	cr_assert_not(g.f.retain || g.f.require_match);
	cr_assert_eq(sq_image_qos(m.image), 1);
	cr_assert_not(sq_image_retain(m.image));
	cr_assert_eq(sq_image_expiry(m.image), SQ_MSG_NO_EXPIRY);
	cr_assert_eq(sq_image_props(m.image).len, 0);
	cr_assert(sq_bytes_are(sq_image_topic(m.image), "a/b"));
	cr_assert(sq_bytes_are(sq_image_payload(m.image), "x"));
	sq_msg_unref(&m);
	end(&g);
}

Test(http_fields, qos)
{
	static const struct {
		const char *headers;
		unsigned qos;
	} cases[] = {{"sqmqos-qos: 0", 0}, {"sqmqos-qos: 1", 1}, {"sqmqos-qos: 2", 2},
	    {"sqmqos-qos: 3", 3}, {"idempotency-key: k", 3},
	    {"idempotency-key: k\nsqmqos-qos: 3", 3}};

	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++) {
		struct got g = good(cases[i].headers);
		struct sq_msg m = sq_http_fields_message(
		    &g.f, sq_bytes_of("t"), (struct sq_bytes){0});

		cr_assert_eq(g.f.qos, cases[i].qos);
		cr_assert_eq(sq_image_qos(m.image), cases[i].qos == 3 ? 2 : cases[i].qos);
		sq_msg_unref(&m);
		end(&g);
	}
	refuse("sqmqos-qos: 4", SQ_HTTP_MALFORMED, "must be 0, 1, 2 or 3");
	refuse("sqmqos-qos: 11", SQ_HTTP_MALFORMED, "must be");
	refuse("sqmqos-qos: ", SQ_HTTP_MALFORMED, "must be");
	refuse("sqmqos-qos: 1\nidempotency-key: k", SQ_HTTP_MALFORMED, "is for sqmqos-qos: 3");
}

Test(http_fields, an_order_key_is_bounded)
{
	char header[] = "sqmqos-order-key: ", text[sizeof header + SQ_HTTP_KEY_MAX + 1];
	char want[sizeof text + 1];

	memset(text, 'k', sizeof text - 1);
	memcpy(text, header, sizeof header - 1);
	text[sizeof text - 1] = '\0';
	refuse(text, SQ_HTTP_MALFORMED, "sqmqos-order-key must have 1 to 256 bytes");
	text[sizeof text - 2] = '\0';
	snprintf(want, sizeof want, "sqmqos-order-key=%s;", text + sizeof header - 1);
	properties(text, "", want);
}

Test(http_fields, options_become_user_properties)
{
	properties("idempotency-key: \"order 17\"\nsqmqos-delay: 250ms\nsqmqos-receipt: r/s\n"
		   "sqmqos-tag: shop, eu\nsqmqos-tag: x\n",
	    "", "sqmqos-key=order 17;sqmqos-delay=1;sqmqos-receipt=r/s;tag=shop;tag=eu;tag=x;");
	properties("sqmqos-qos: 3", "", "sqmqos-qos=3;");
	properties("sqmqos-order-key: cart 7\nsqmqos-qos: 0", "", "sqmqos-order-key=cart 7;");
	properties("sqmqos-delay: 0", "", "");
	properties("sqmqos-delay: 5m", "", "sqmqos-delay=300;");
	properties("sqmqos-deliver-at: 2027-01-15T08:00:01.001Z", "", "sqmqos-delay=2;");
	properties("sqmqos-deliver-at: 2027-01-15T07:59:59Z", "", "");
	properties("sqmqos-property: Na%20me=v%2C1, x=\nsqmqos-property: y=a=b", "",
	    "Na me=v,1;x=;y=a=b;");
	properties("traceparent: 00-1\ntracestate: a=b\nbaggage: k=v", "",
	    "traceparent=00-1;tracestate=a=b;baggage=k=v;");
	properties(
	    "sqmqos-response-topic: re/ply\nsqmqos-correlation: :AAEC/w==:", "", "8=re/ply;9=");
	properties("sqmqos-correlation: 17", "", "9=17;");
	properties("sqmqos-correlation: :", "", "9=:;");
}

Test(http_fields, text_is_told_apart)
{
	properties("content-type: application/json", "{}", "1=1;3=application/json;");
	properties("content-type: application/json", "\xff", "3=application/json;");
	properties(
	    "content-type: Text/Plain; charset=UTF-8", "", "1=1;3=Text/Plain; charset=UTF-8;");
	properties("content-type: text/plain;charset=latin1", "", "3=text/plain;charset=latin1;");
	properties("content-type: image/svg+xml", "", "1=1;3=image/svg+xml;");
	properties("content-type: application/cloudevents+json", "",
	    "1=1;3=application/cloudevents+json;");
	properties("content-type: application/octet-stream", "x", "3=application/octet-stream;");
	properties("content-type: application/jsonx", "x", "3=application/jsonx;");
}

Test(http_fields, expiry_and_flags)
{
	struct got g = good("sqmqos-ttl: 90\nsqmqos-retain: true\nsqmqos-require-match: true\n"
			    "sqmqos-space: shop");
	struct sq_msg m = sq_http_fields_message(&g.f, sq_bytes_of("t"), (struct sq_bytes){0});

	cr_assert_eq(sq_image_expiry(m.image), 90);
	cr_assert(sq_image_retain(m.image));
	cr_assert(g.f.require_match);
	cr_assert(sq_bytes_are(g.f.space, "shop"));
	sq_msg_unref(&m);
	end(&g);
}

Test(http_fields, keys)
{
	char text[400] = "idempotency-key: ";
	struct got g = good("idempotency-key: \"a\\\"b\\\\c\"");

	cr_assert(sq_bytes_are(sq_buf_bytes(&g.f.key), "a\"b\\c"));
	end(&g);
	g = good("idempotency-key:  bare key; \xc3\xa4 ");
	cr_assert(sq_bytes_are(sq_buf_bytes(&g.f.key), "bare key; \xc3\xa4"));
	end(&g);
	refuse("idempotency-key: \"a", SQ_HTTP_MALFORMED, "RFC 8941");
	refuse("idempotency-key: \"", SQ_HTTP_MALFORMED, "RFC 8941");
	refuse("idempotency-key: \"a\\\"", SQ_HTTP_MALFORMED, "RFC 8941");
	refuse("idempotency-key: \"a\\x\"", SQ_HTTP_MALFORMED, "RFC 8941");
	refuse("idempotency-key: \"a\"b\"", SQ_HTTP_MALFORMED, "RFC 8941");
	refuse("idempotency-key: \"\xc3\xa4\"", SQ_HTTP_MALFORMED, "RFC 8941");
	refuse("idempotency-key: \"\"", SQ_HTTP_MALFORMED, "1 to 256");
	refuse("idempotency-key: ", SQ_HTTP_MALFORMED, "1 to 256");
	memset(text + strlen(text), 'k', 256);
	g = good(text);
	end(&g);
	strcat(text, "k");
	refuse(text, SQ_HTTP_MALFORMED, "1 to 256");
}

Test(http_fields, what_is_wrong_is_said)
{
	refuse("sqmqos-qoss: 1", SQ_HTTP_MALFORMED, "did you mean sqmqos-qos?");
	refuse("sqmqos-key: k", SQ_HTTP_MALFORMED, "did you mean idempotency-key?");
	refuse("sqmqos-idempotency-key: k", SQ_HTTP_MALFORMED, "did you mean idempotency-key?");
	refuse("x-idempotency-key: k", SQ_HTTP_MALFORMED, "did you mean idempotency-key?");
	refuse("sqmqos-zzzzzzzz: k", SQ_HTTP_MALFORMED, "unknown header \"sqmqos-zzzzzzzz\"");
	refuse("sqmqos-: k", SQ_HTTP_MALFORMED, "unknown header");
	refuse("sqmqos-qos: 1\nsqmqos-qos: 1", SQ_HTTP_MALFORMED, "twice");
	refuse("sqmqos-retain: yes", SQ_HTTP_MALFORMED, "true or false");
	refuse("sqmqos-ttl: 0", SQ_HTTP_MALFORMED, "more than 0");
	refuse("sqmqos-ttl: -1", SQ_HTTP_MALFORMED, "duration");
	refuse("sqmqos-delay: 1d", SQ_HTTP_MALFORMED, "duration");
	refuse("sqmqos-delay: 1\nsqmqos-deliver-at: 2027-01-15T08:00:00Z", SQ_HTTP_MALFORMED,
	    "exclude each other");
	refuse("sqmqos-deliver-at: tomorrow", SQ_HTTP_MALFORMED, "instant");
	refuse("sqmqos-tag: a/b", SQ_HTTP_INVALID_PROPERTY, "sqmqos-tag: ");
	refuse("sqmqos-response-topic: a/#", SQ_HTTP_INVALID_TOPIC, "sqmqos-response-topic: ");
	refuse("sqmqos-receipt: r", SQ_HTTP_MALFORMED, "needs sqmqos-qos: 3");
	refuse("sqmqos-correlation: :??:", SQ_HTTP_MALFORMED, "base64");
	refuse("sqmqos-property: =v", SQ_HTTP_MALFORMED, "Name=value");
	refuse("sqmqos-property: v", SQ_HTTP_MALFORMED, "Name=value");
	refuse("sqmqos-property: a=%f", SQ_HTTP_MALFORMED, "Name=value");
	refuse("sqmqos-property: sqmqos-key=k", SQ_HTTP_INVALID_PROPERTY, "names of their own");
	refuse("sqmqos-order-key: ", SQ_HTTP_MALFORMED, "1 to 256 bytes");
	refuse("sqmqos-order-key: a\nsqmqos-order-key: a", SQ_HTTP_MALFORMED, "twice");
	refuse("sqmqos-orderkey: a", SQ_HTTP_MALFORMED, "did you mean sqmqos-order-key?");
	refuse("sqmqos-space: ", SQ_HTTP_MALFORMED, "empty");
	refuse("content-encoding: gzip", SQ_HTTP_MEDIA_TYPE, "content-encoding");
	refuse("content-type: \xff", SQ_HTTP_MALFORMED, "UTF-8");
}

Test(http_fields, a_refusal_has_no_key_in_it)
{
	struct got g = get("idempotency-key: \"secret-17\nsqmqos-qos: 3");

	cr_assert_eq(g.rc, SQ_EINVAL);
	cr_assert_null(strstr((const char *)sq_buf_data(&g.fault.detail), "secret"));
	end(&g);
}

static void
duration(const char *text, int64_t want)
{
	uint64_t ms = 0;
	int rc = sq_http_duration(sq_bytes_of(text), &ms);

	cr_assert_eq(rc, want < 0 ? SQ_EINVAL : SQ_OK, "%s", text);
	if (want >= 0)
		cr_assert_eq(ms, (uint64_t)want, "%s", text);
}

Test(http_fields, durations)
{
	duration("250ms", 250);
	duration("30s", 30000);
	duration("30", 30000);
	duration("0", 0);
	duration("5m", 300000);
	duration("24h", 86400000);
	duration("240000h", INT64_C(864000000000));
	duration("240001h", -1);
	duration("18446744073709551616", -1);
	duration("", -1);
	duration("s", -1);
	duration("1 s", -1);
	duration("1.5s", -1);
	duration("1S", -1);
}

Test(http_fields, what_accept_says)
{
	cr_assert(sq_http_accepts(sq_bytes_of("")));
	cr_assert(sq_http_accepts(sq_bytes_of("*/*")));
	cr_assert(sq_http_accepts(sq_bytes_of("text/html, Application/JSON;q=0.9")));
	cr_assert(sq_http_accepts(sq_bytes_of("text/html,application/* ; q=0.1")));
	cr_assert_not(sq_http_accepts(sq_bytes_of("text/html")));
	cr_assert_not(sq_http_accepts(sq_bytes_of("application/json-seq")));
}
