/* broker/push/message.h: the requests that messages become. */
#include "broker/push/message.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/headers/headers.h"
#include "proto/json/json.h"
#include "proto/mqtt/props.h"

#define TEXT(s) ((struct sq_bytes){(const unsigned char *)(s), sizeof(s) - 1})
#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "aeaaaaaaaaaaaaaaaaaaaaaaaa"
/* Base32 of the SHA-256 of both ids. */
#define BATCH_ID "ntcpb2jqwncidub2ie2dggcs5i"
#define EVENT(source, type, id) \
	"{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"" source "\",\"type\":\"" type "\""
#define ABOUT EVENT("/sqmqos/s%20p", "org.sqmqos.message", ID)
#define OWN EVENT("/s", "t\\\"%", "e 1")
#define REST \
	"webhook-id: " ID "\nwebhook-timestamp: 1000\nidempotency-key: \"" ID "\"\n" \
	"sqmqos-queue: q\nsqmqos-attempt: 2\n"

/* How it is pushed, and what is; each test has a process of its own. */
static struct sq_declared_push push = {
    .url = (char *)"https://x.example/", .format = SQ_PUSH_BINARY, .batch.max = 1};
static struct sq_push_message_cfg cfg = {
    .push = &push, .space = "s p", .queue = "q", .install = "home", .now_s = 1000};
static struct sq_push_message made;
static struct sq_buf props, why;
static struct sq_msg msg;
static struct sq_taken t;
static size_t culprit = 7;

static void
user(const char *name, const char *value)
{
	cr_assert_eq(sq_mqtt_user_append(&props, sq_bytes_of(name), sq_bytes_of(value)), SQ_OK);
}

static void
has(enum sq_mqtt_prop_id id, const char *value)
{
	cr_assert_eq(sq_mqtt_prop_append(&props, id, sq_bytes_of(value)), SQ_OK);
}

static void
event(void)
{
	user("specversion", "1.0");
	user("id", "e 1");
	user("source", "/s");
	user("type", "t\"%");
}

/* Makes 't' of the properties so far. */
static void
take(const char *topic, struct sq_bytes payload)
{
	if (msg.image != NULL)
		sq_msg_unref(&msg);
	msg = sq_msg_new(
	    1, false, sq_bytes_of(topic), sq_buf_bytes(&props), SQ_MSG_NO_EXPIRY, payload);
	sq_buf_fini(&props);
	t = (struct sq_taken){.msg = &msg, .attempt = 2, .qos = 1};
}

static void
over(void)
{
	sq_push_message_fini(&made);
	sq_msg_unref(&msg);
	sq_buf_fini(&why);
}

static const char *
text(struct sq_buf *b)
{
	sq_buf_u8(b, 0);
	return (const char *)sq_buf_data(b);
}

/* What was made, as headers in lines, an empty one and the body. */
static void
is(const char *expected)
{
	struct sq_bytes rest = {sq_buf_data(&made.headers), sq_buf_len(&made.headers)}, name, value;
	struct sq_buf found = {0};

	while (sq_headers_next(&rest, &name, &value))
		sq_buf_printf(
		    &found, "%.*s: %.*s\n", (int)name.len, name.p, (int)value.len, value.p);
	sq_buf_printf(&found, "\n%.*s", (int)made.body.len, made.body.p);
	cr_expect_str_eq(text(&found), expected);
	cr_expect_not_null(made.body.p);
	sq_buf_fini(&found);
}

static void
make(const struct sq_taken *taken, size_t n)
{
	cr_assert_eq(
	    sq_push_message_make(&cfg, taken, n, &made, &culprit, &why), SQ_OK, "%s", text(&why));
}

static void
becomes(const char *expected)
{
	make(&t, 1);
	is(expected);
}

Test(push_message, an_event_about_a_message)
{
	has(SQ_MQTT_PROP_CONTENT_TYPE, "text/plain");
	user("traceparent", "00-1-2-01");
	user("tracestate", "a=b");
	user("baggage", "c=d");
	user("tag", "x");
	user("sqmqos-order-key", "k");
	take("a/b \xc3\xa4", TEXT("hi"));
	t.arrived_ms = 1522949460250;
	becomes(
	    "content-type: text/plain\nce-specversion: 1.0\nce-id: " ID
	    "\nce-source: /sqmqos/s%2520p\n"
	    "ce-type: org.sqmqos.message\nce-subject: a/b%20%C3%A4\n"
	    "ce-time: 2018-04-05T17:31:00.250Z\nce-partitionkey: k\nce-traceparent: 00-1-2-01\n"
	    "ce-tracestate: a=b\nsqmqos-qos: 1\nsqmqos-enqueued: 2018-04-05T17:31:00.250Z\n"
	    "sqmqos-tag: x\nsqmqos-property: traceparent=00-1-2-01\n"
	    "sqmqos-property: tracestate=a%3Db\nsqmqos-property: baggage=c%3Dd\n"
	    "sqmqos-order-key: k\n" REST
	    "sqmqos-topic: a/b%20%C3%A4\ntraceparent: 00-1-2-01\ntracestate: a=b\nbaggage: c=d\n"
	    "\nhi");
	over();
}

Test(push_message, the_event_that_a_message_is)
{
	has(SQ_MQTT_PROP_CONTENT_TYPE, "application/json");
	event();
	user("empty", "");
	user("Not-One", "x");
	user("baggage", "no\n header");
	take("a", TEXT("{\"n\": 1.0}"));
	becomes("content-type: application/json\nce-specversion: 1.0\nce-id: e%201\nce-source: /s\n"
		"ce-type: t%22%25\n" REST "sqmqos-topic: a\n\n{\"n\": 1.0}");
	over();
}

Test(push_message, an_event_in_json_is_the_same_in_headers)
{
	has(SQ_MQTT_PROP_CONTENT_TYPE, "application/cloudevents+json");
	take("a",
	    TEXT("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\","
		 "\"datacontenttype\":\"image/png\",\"data_base64\":\"aGk=\"}"));
	becomes("content-type: image/png\nce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: "
		"t\n" REST "sqmqos-topic: a\n\nhi");
	over();
}

Test(push_message, a_type_is_always_there)
{
	static const struct {
		const char *payload, *type;
	} rows[] = {{"{\"n\":1}", "application/json"}, {"[]", "application/json"},
	    {"{n}", "application/octet-stream"}, {"17", "application/octet-stream"},
	    {"hi", "application/octet-stream"}};

	for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
		struct sq_buf line = {0};

		if (i % 2 != 0)
			event();
		take("a", sq_bytes_of(rows[i / 2].payload));
		make(&t, 1);
		sq_buf_printf(&line, "content-type: %s", rows[i / 2].type);
		cr_expect_str_eq((char *)sq_buf_data(&made.headers), text(&line));
		sq_buf_fini(&line);
	}
	over();
}

Test(push_message, structured)
{
	push.format = SQ_PUSH_STRUCTURED;
	take("a", TEXT("{\"n\": 1.0}"));
	becomes("content-type: application/cloudevents+json\nsqmqos-qos: 1\n" REST
		"sqmqos-topic: a\n\n" ABOUT ",\"subject\":\"a\","
		"\"datacontenttype\":\"application/json\",\"data\":{\"n\": 1.0}}");
	event();
	take("a", TEXT("hi"));
	becomes("content-type: application/cloudevents+json\n" REST "sqmqos-topic: a\n\n" OWN
		",\"data_base64\":\"aGk=\"}");
	over();
}

Test(push_message, what_headers_cant_say_goes_structured)
{
	take("a", TEXT(""));
	becomes("content-type: application/cloudevents+json\nsqmqos-qos: 1\n" REST
		"sqmqos-topic: a\n\n" ABOUT ",\"subject\":\"a\","
		"\"datacontenttype\":\"application/octet-stream\"}");
	/* It would be taken for several. */
	event();
	has(SQ_MQTT_PROP_CONTENT_TYPE, "application/cloudevents-batch+json");
	take("a", TEXT("[]"));
	becomes("content-type: application/cloudevents+json\n" REST "sqmqos-topic: a\n\n" OWN
		",\"datacontenttype\":\"application/cloudevents-batch+json\",\"data\":[]}");
	/* Says that it is an event, and is none. */
	has(SQ_MQTT_PROP_CONTENT_TYPE, "application/cloudevents+json");
	take("a", TEXT("{}"));
	becomes("content-type: application/octet-stream\nce-specversion: 1.0\nce-id: " ID
		"\nce-source: /sqmqos/s%2520p\nce-type: org.sqmqos.message\nce-subject: a\n"
		"sqmqos-qos: 1\n" REST "sqmqos-topic: a\n\n{}");
	over();
}

Test(push_message, raw)
{
	push.format = SQ_PUSH_RAW;
	event();
	has(SQ_MQTT_PROP_CORRELATION_DATA, "c");
	take("a", TEXT(""));
	t.expires_ms = 1522949460250;
	becomes("content-type: application/octet-stream\nsqmqos-qos: 1\n"
		"sqmqos-expires: 2018-04-05T17:31:00.250Z\nsqmqos-property: specversion=1.0\n"
		"sqmqos-property: id=e%201\nsqmqos-property: source=%2Fs\nsqmqos-property: "
		"type=t%22%25\n"
		"sqmqos-correlation: :Yw==:\n" REST "sqmqos-topic: a\n\n");
	over();
}

Test(push_message, who_signs_who_asks_and_what_else_is_declared)
{
	static const unsigned char bytes[24] = {1};
	struct sq_push_header headers[] = {{(char *)"x-tenant", (char *)"{space}"},
	    {(char *)"x-none", (char *)"{prop:none|}"}, {(char *)"x-level", (char *)"<{topic.2}>"}};
	struct sq_webhook_keys keys = {.n = 1};
	struct sq_buf signature = {0}, expected = {0};

	memcpy(keys.v[0].bytes, bytes, sizeof bytes);
	keys.v[0].len = sizeof bytes;
	push.url = (char *)"https://x.example/{topic.2}/{queue}?a=%7b";
	push.headers = headers;
	push.n_headers = 3;
	cfg.validate = SQ_PUSH_VALIDATE_OPTIONAL;
	push.auth.header = (char *)"x-key";
	cfg.keys = &keys;
	cfg.authorization = "Bearer t";
	cfg.auth_value = "v";
	event();
	take("a/b c", TEXT("hi"));
	make(&t, 1);
	cr_expect_str_eq((char *)sq_buf_data(&made.url), "https://x.example/b%20c/q?a=%7b");
	sq_webhook_sign(&keys, TEXT(ID), 1000, TEXT("hi"), &signature);
	sq_buf_printf(&expected,
	    "content-type: application/octet-stream\nce-specversion: 1.0\nce-id: e%%201\n"
	    "ce-source: /s\nce-type: t%%22%%25\nwebhook-id: " ID "\nwebhook-timestamp: 1000\n"
	    "webhook-signature: %s\nidempotency-key: \"" ID "\"\nwebhook-request-origin: home\n"
	    "sqmqos-queue: q\nsqmqos-attempt: 2\nsqmqos-topic: a/b%%20c\nx-tenant: s p\n"
	    "x-level: <b c>\nauthorization: Bearer t\nx-key: v\n\nhi",
	    text(&signature));
	is(text(&expected));
	over();
	sq_buf_fini(&signature);
	sq_buf_fini(&expected);
}

Test(push_message, a_template_that_has_nothing)
{
	struct sq_push_header header = {(char *)"x", (char *)"{prop:none}"};

	take("a", TEXT("hi"));
	push.url = (char *)"https://x.example/{topic.2}";
	cr_expect_eq(sq_push_message_make(&cfg, &t, 1, &made, &culprit, &why), SQ_ENOTFOUND);
	cr_expect(culprit == 0 && sq_buf_len(&why) > 0);
	sq_buf_drain(&why, sq_buf_len(&why));
	push.url = (char *)"https://x.example/";
	push.headers = &header;
	push.n_headers = 1;
	cr_expect_eq(sq_push_message_make(&cfg, &t, 1, &made, &culprit, &why), SQ_ENOTFOUND);
	cr_expect(sq_buf_len(&why) > 0);
	over();
}

Test(push_message, a_batch)
{
	struct sq_buf before = {0};
	struct sq_msg first;
	struct sq_taken both[2];

	push.batch.max = 100;
	take("a", TEXT("{\"n\": 1.0}"));
	first = sq_msg_ref(msg);
	both[0] = t;
	both[0].msg = &first;
	event();
	take("b\"", TEXT("hi"));
	t.id[0] = 1;
	t.attempt = 3;
	both[1] = t;
	make(both, 2);
	is("content-type: application/cloudevents-batch+json\nwebhook-id: " BATCH_ID
	   "\nwebhook-timestamp: 1000\nidempotency-key: \"" BATCH_ID "\"\nsqmqos-queue: q\n"
	   "sqmqos-attempt: 3\n\n[" ABOUT ",\"subject\":\"a\","
	   "\"datacontenttype\":\"application/json\",\"data\":{\"n\": "
	   "1.0},\"sqmqostopic\":\"a\"}," OWN
	   ",\"data_base64\":\"aGk=\",\"sqmqostopic\":\"b\\\"\"}]");
	cr_expect_eq(sq_buf_len(&made.ids), sizeof ID "\0e 1");
	cr_expect_arr_eq(sq_buf_data(&made.ids), ID "\0e 1", sizeof ID "\0e 1");
	/* The next attempt has the same body. */
	sq_buf_append(&before, made.body.p, made.body.len);
	both[1].attempt = 4;
	make(both, 2);
	cr_expect_eq(made.body.len, sq_buf_len(&before));
	cr_expect_arr_eq(made.body.p, sq_buf_data(&before), made.body.len);
	/* One alone has its own id. */
	make(&t, 1);
	is("content-type: application/cloudevents-batch+json\nwebhook-id: " OTHER
	   "\nwebhook-timestamp: 1000\nidempotency-key: \"" OTHER "\"\nsqmqos-queue: q\n"
	   "sqmqos-attempt: 3\n\n[" OWN ",\"data_base64\":\"aGk=\",\"sqmqostopic\":\"b\\\"\"}]");
	sq_msg_unref(&first);
	sq_buf_fini(&before);
	over();
}

Test(push_message, what_was_made_before_is_gone)
{
	const unsigned char *base;
	size_t cap;

	take("a", TEXT("hi"));
	cfg.authorization = "Bearer secret";
	make(&t, 1);
	base = made.headers.base;
	cap = made.headers.cap;
	cr_expect_not_null(memmem(base, cap, "secret", 6));
	sq_push_message_reset(&made);
	cr_expect(made.headers.base == base && sq_buf_len(&made.headers) == 0);
	cr_expect_null(memmem(base, cap, "secret", 6));
	cr_expect_null(made.body.p);
	over();
}

Test(push_message, a_test)
{
	static const enum sq_push_format formats[] = {
	    SQ_PUSH_BINARY, SQ_PUSH_STRUCTURED, SQ_PUSH_RAW};

	push.url = (char *)"https://x.example/{topic.3}";
	cr_assert_eq(sq_push_message_test(&cfg, "t1", &made, &why), SQ_OK, "%s", text(&why));
	is("content-type: application/json\nce-specversion: 1.0\nce-id: t1\n"
	   "ce-source: /sqmqos/s%2520p\nce-type: org.sqmqos.push.test\n"
	   "ce-subject: test/test/test/test/test/test/test/test\nce-time: "
	   "1970-01-01T00:16:40.000Z\n"
	   "sqmqos-qos: 1\nsqmqos-enqueued: 1970-01-01T00:16:40.000Z\n"
	   "webhook-id: t1\nwebhook-timestamp: 1000\nidempotency-key: \"t1\"\nsqmqos-queue: q\n"
	   "sqmqos-attempt: 1\nsqmqos-topic: "
	   "test/test/test/test/test/test/test/test\n"
	   "\n{\"test\":true}");
	cr_expect_str_eq((char *)sq_buf_data(&made.url), "https://x.example/test");
	for (size_t i = 0; i < 3; i++) {
		push.format = formats[i];
		cr_assert_eq(sq_push_message_test(&cfg, "t1", &made, &why), SQ_OK);
		cr_expect_not_null(memmem(made.body.p, made.body.len, "{\"test\":true}", 13));
	}
	push.batch.max = 2;
	cr_assert_eq(sq_push_message_test(&cfg, "t1", &made, &why), SQ_OK);
	cr_expect_not_null(
	    memmem(made.body.p, made.body.len, "[{\"specversion\":\"1.0\",\"id\":\"t1\"", 31));
	sq_push_message_fini(&made);
}
