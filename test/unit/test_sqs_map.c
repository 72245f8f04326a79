/* broker/bridge/sqs: what a message becomes in SQS, what a received one becomes here, and that both are the
 * same message. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/sqs/map_in.h"
#include "broker/bridge/sqs/map_out.h"
#include "proto/mqtt/props.h"

#define ORIGIN "0011223344556677-000102030405060708090a0b0c0d0e0f"
#define HOPS "shop-0011223344556677/to-sqs"
#define NOW UINT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static struct {
	struct sq_bridge_cfg cfg;
	struct sq_bridge_out out;
	struct sq_bridge_in in;
	struct sq_sqs_entry entry;
	struct sq_sqs_messages messages;
	struct sq_sqs_arrival arrival;
	struct sq_buf why, props, answer;
	struct sq_msg msg;
	struct sq_offered of;
	bool fifo;
} t;

static void
setup(void)
{
	memset(&t, 0, sizeof t);
	t.cfg = (struct sq_bridge_cfg){.record = {.name = "b"}, .max_size = 1 << 20};
	t.in = (struct sq_bridge_in){.to = "{topic|other}", .qos = 1};
	t.of = (struct sq_offered){.origin = ORIGIN, .hops = HOPS, .attempt = 1, .qos = 1};
}

static void
forget(void)
{
	sq_sqs_entry_fini(&t.entry);
	t.entry = (struct sq_sqs_entry){.size = 0};
	sq_sqs_messages_fini(&t.messages);
	sq_sqs_arrival_fini(&t.arrival);
	t.arrival = (struct sq_sqs_arrival){.arrived = {.again = false}};
	sq_buf_fini(&t.why);
	sq_buf_fini(&t.props);
	sq_buf_fini(&t.answer);
	sq_msg_unref(&t.msg);
}

static void
teardown(void)
{
	forget();
}

TestSuite(sqs_map, .init = setup, .fini = teardown);

static void
user(const char *name, const char *value)
{
	cr_assert_eq(sq_mqtt_user_append(&t.props, sq_bytes_of(name), sq_bytes_of(value)), SQ_OK);
}

static void
prop(enum sq_mqtt_prop_id id, struct sq_bytes value)
{
	cr_assert_eq(sq_mqtt_prop_append(&t.props, id, value), SQ_OK);
}

static int
map_out_of(const char *topic, struct sq_bytes payload, bool retain)
{
	const struct sq_sqs_out out = {
	    .cfg = &t.cfg, .rule = &t.out, .space = "shop", .queue = "bridge.b", .fifo = t.fifo};

	t.msg = sq_msg_new(
	    1, retain, sq_bytes_of(topic), sq_buf_bytes(&t.props), SQ_MSG_NO_EXPIRY, payload);
	t.of.msg = &t.msg;
	return sq_sqs_map_out(&out, &t.of, &t.entry, &t.why);
}

static int
map_out(const char *topic, const char *payload)
{
	return map_out_of(topic, sq_bytes_of(payload), false);
}

static void
expect_entry(const char *json)
{
	cr_expect(sq_bytes_are(sq_buf_bytes(&t.entry.json), json), "\n%.*s\n%s",
	    (int)sq_buf_len(&t.entry.json), (const char *)sq_buf_data(&t.entry.json), json);
}

/* --- out --- */

#define STRING(name, value) "\"" name "\":{\"DataType\":\"String\",\"StringValue\":\"" value "\"}"
#define BINARY(name, value) "\"" name "\":{\"DataType\":\"Binary\",\"BinaryValue\":\"" value "\"}"
#define OURS STRING("sqmqos-origin", ORIGIN) "," STRING("sqmqos-hops", HOPS)

Test(sqs_map, a_text_is_the_body)
{
	cr_assert_eq(map_out("orders/1", "{\"n\":1}\n\xe2\x82\xac"), SQ_OK);
	expect_entry(
	    "\"MessageBody\":\"{\\\"n\\\":1}\\n\xe2\x82\xac\",\"MessageAttributes\":{" STRING(
		"sqmqos-topic", "orders/1") "," OURS "}");
	/* As AWS counts: the body, and of each attribute name, type and value. */
	cr_expect_eq(t.entry.size,
	    11 +
		strlen("sqmqos-topicStringorders/1sqmqos-originString" ORIGIN
		       "sqmqos-hopsString" HOPS));
	cr_expect_str_eq(t.entry.group, "");
}

Test(sqs_map, what_xml_has_no_characters_for_is_base64)
{
	static const char *const bodies[] = {
	    "\x01", "a\x0b", "\xff", "\xef\xbf\xbe", "\xef\xbf\xbf"};
	static const char *const coded[] = {"AQ==", "YQs=", "/w==", "77++", "77+/"};
	char want[600];

	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(map_out("t", bodies[i]), SQ_OK);
		(void)snprintf(want, sizeof want,
		    "\"MessageBody\":\"%s\",\"MessageAttributes\":{%s}", coded[i],
		    STRING("sqmqos-topic", "t") "," STRING("sqmqos-encoding", "base64") "," OURS);
		expect_entry(want);
		forget();
	}
	cr_assert_eq(map_out("t", ""), SQ_OK);
	expect_entry("\"MessageBody\":\"-\",\"MessageAttributes\":{" STRING(
	    "sqmqos-topic", "t") "," STRING("sqmqos-encoding", "empty") "," OURS "}");
}

Test(sqs_map, all_that_a_message_has_are_at_most_ten_attributes)
{
	char name[16];

	prop(SQ_MQTT_PROP_CONTENT_TYPE, sq_bytes_of("a/b"));
	prop(SQ_MQTT_PROP_RESPONSE_TOPIC, sq_bytes_of("re"));
	prop(SQ_MQTT_PROP_CORRELATION_DATA, (struct sq_bytes){(const unsigned char *)"\0\1", 2});
	user("tag", "red");
	user("tag", "a,\"b\"");
	user("b", "1");
	user("a", "x");
	user("b", "2");
	user("sqmqos-qos", "2");
	user("sqmqos-order-key", "k");
	for (int i = 0; i < 30; i++) {
		(void)snprintf(name, sizeof name, "n%02d", i);
		user(name, "v");
	}
	t.of.expires_ms = NOW;
	cr_assert_eq(map_out_of("t", sq_bytes_of("\x01"), true), SQ_OK);
	t.answer = t.entry.json;
	t.entry.json = (struct sq_buf){0};
	sq_buf_u8(&t.answer, '\0');
	cr_expect_not_null(strstr((const char *)sq_buf_data(&t.answer),
	    STRING("content-type", "a/b") "," BINARY("sqmqos-correlation", "AAE=") "," STRING(
		"sqmqos-response", "re") "," STRING("sqmqos-tags",
		"[\\\"red\\\",\\\"a,\\\\\\\"b\\\\\\\"\\\"]") ","));
	cr_expect_not_null(strstr((const char *)sq_buf_data(&t.answer),
	    "{\\\"sqmqos-retain\\\":\\\"1\\\",\\\"sqmqos-expires\\\":\\\"2026-01-01T00:00:00."
	    "000Z\\\","
	    "\\\"a\\\":\\\"x\\\",\\\"b\\\":[\\\"1\\\",\\\"2\\\"],\\\"n00\\\":\\\"v\\\","));
	cr_expect_null(strstr((const char *)sq_buf_data(&t.answer), "sqmqos-qos"));
	{
		const char *at = (const char *)sq_buf_data(&t.answer);
		unsigned n = 0;

		while ((at = strstr(at, "\"DataType\"")) != NULL)
			n++, at++;
		cr_expect_eq(n, 9U);
	}
}

Test(sqs_map, a_fifo_queue_gets_group_and_id)
{
	t.fifo = true;
	cr_assert_eq(map_out("orders/1", "x"), SQ_OK);
	cr_expect_str_eq(t.entry.group, "orders/1");
	expect_entry("\"MessageBody\":\"x\",\"MessageAttributes\":{" STRING(
	    "sqmqos-topic", "orders/1") "," OURS "},\"MessageGroupId\":\"orders/1\","
					"\"MessageDeduplicationId\":\"" ORIGIN "\"");
	forget();
	user("sqmqos-order-key", "k 1");
	cr_assert_eq(map_out("orders/1", "x"), SQ_OK);
	cr_expect_eq(strncmp(t.entry.group, "h-", 2), 0, "%s", t.entry.group);
	cr_expect_eq(strlen(t.entry.group), 66U);
	forget();
	t.out.group = "g-{topic.2}";
	cr_assert_eq(map_out("orders/1", "x"), SQ_OK);
	cr_expect_str_eq(t.entry.group, "g-1");
	forget();
	cr_expect_eq(map_out("orders", "x"), SQ_EINVAL, "the template has nothing");
	cr_expect_gt(sq_buf_len(&t.why), 0U);
}

Test(sqs_map, a_group_is_of_128_characters_at_most)
{
	char text[200], a[SQ_SQS_GROUP_MAX + 1], b[SQ_SQS_GROUP_MAX + 1];

	memset(text, 'x', sizeof text);
	sq_sqs_group((struct sq_bytes){(const unsigned char *)text, 128}, a);
	cr_expect(strlen(a) == 128 && a[0] == 'x');
	sq_sqs_group((struct sq_bytes){(const unsigned char *)text, 129}, a);
	sq_sqs_group((struct sq_bytes){(const unsigned char *)text, 130}, b);
	cr_expect(strncmp(a, "h-", 2) == 0 && strncmp(b, "h-", 2) == 0 && strcmp(a, b) != 0);
}

Test(sqs_map, what_is_larger_than_it_may_be_is_refused)
{
	static char large[2000];

	t.cfg.max_size = 1024;
	memset(large, 'x', 1024);
	cr_expect_eq(map_out("t", large), SQ_ETOOBIG);
	cr_expect_gt(sq_buf_len(&t.why), 0U);
	forget();
	large[700] = '\0';
	cr_expect_eq(map_out("t", large), SQ_OK);
	cr_expect_leq(t.entry.size, 1024U);
}

Test(sqs_map, a_cloudevent_needs_no_attributes_but_ours)
{
	t.cfg.format = SQ_BRIDGE_FORMAT_CLOUDEVENTS;
	prop(SQ_MQTT_PROP_CONTENT_TYPE, sq_bytes_of("application/json"));
	cr_assert_eq(map_out("orders/1", "{\"n\":1.10}"), SQ_OK);
	sq_buf_u8(&t.entry.json, '\0');
	cr_expect_not_null(
	    strstr((const char *)sq_buf_data(&t.entry.json), "\\\"data\\\":{\\\"n\\\":1.10}"), "%s",
	    (const char *)sq_buf_data(&t.entry.json));
	cr_expect_not_null(strstr(
	    (const char *)sq_buf_data(&t.entry.json), "\\\"sqmqostopic\\\":\\\"orders/1\\\""));
	cr_expect_not_null(
	    strstr((const char *)sq_buf_data(&t.entry.json), ",\"MessageAttributes\":{" OURS "}"));
}

/* --- in --- */

static void
receive(const char *json)
{
	const struct sq_sqs_in in = {.cfg = &t.cfg,
	    .rule = &t.in,
	    .space = "shop",
	    .queue = "q",
	    .max_packet = 65536,
	    .wall_ms = NOW};

	if (sq_buf_len(&t.answer) == 0)
		sq_buf_append(&t.answer, json, strlen(json));
	cr_assert_eq(sq_sqs_read_messages(sq_buf_bytes(&t.answer), &t.messages), SQ_OK);
	cr_assert_eq(t.messages.n, 1U);
	sq_sqs_map_in(&in, &t.messages, &t.messages.v[0], &t.arrival);
}

#define RECEIVED(body, more) \
	"{\"Messages\":[{\"MessageId\":\"id-1\",\"ReceiptHandle\":\"h\",\"Body\":\"" body \
	"\"" more "}]}"

static struct sq_bytes
property(const char *wanted)
{
	struct sq_bytes rest = sq_image_props(t.arrival.arrived.msg.image), name, value;

	while (sq_mqtt_user_next(&rest, &name, &value))
		if (sq_bytes_are(name, wanted))
			return value;
	return (struct sq_bytes){0};
}

static void
expect_property(const char *name, const char *value)
{
	cr_expect(sq_bytes_are(property(name), value), "%s: %.*s", name, (int)property(name).len,
	    (const char *)property(name).p);
}

static void
expect_came(const char *topic, const char *payload)
{
	struct sq_bytes got = sq_image_payload(t.arrival.arrived.msg.image);

	cr_expect_null(t.arrival.arrived.unmappable, "%s", t.arrival.arrived.unmappable);
	cr_expect(sq_bytes_are(sq_image_topic(t.arrival.arrived.msg.image), topic));
	cr_expect(sq_bytes_are(got, payload), "%.*s", (int)got.len, (const char *)got.p);
}

static void
expect_letter(const char *why)
{
	cr_assert_not_null(t.arrival.arrived.unmappable);
	cr_expect_not_null(
	    strstr(t.arrival.arrived.unmappable, why), "%s", t.arrival.arrived.unmappable);
	cr_expect_not_null(t.arrival.arrived.msg.image);
}

Test(sqs_map, what_others_send_comes_with_their_attributes)
{
	receive(RECEIVED("hello",
	    ",\"Attributes\":{\"SentTimestamp\":\"17\",\"ApproximateReceiveCount\":\"2\","
	    "\"MessageGroupId\":\"g\",\"AWSTraceHeader\":"
	    "\"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1\"},"
	    "\"MessageAttributes\":{\"colour\":{\"DataType\":\"String\",\"StringValue\":\"red\"},"
	    "\"raw\":{\"DataType\":\"Binary\",\"BinaryValue\":\"AAE=\"}}"));
	expect_came("other", "hello");
	cr_expect(sq_bytes_are(t.arrival.arrived.key, "m:id-1"));
	cr_expect(t.arrival.arrived.again);
	cr_expect_eq(t.arrival.arrived.hops.len, 0U);
	expect_property("colour", "red");
	expect_property("raw", "AAE=");
	expect_property("sqs-message-id", "id-1");
	expect_property("sqs-sent-timestamp", "17");
	expect_property("sqmqos-peer-attempts", "2");
	expect_property("sqmqos-order-key", "g");
	expect_property("traceparent", "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
}

Test(sqs_map, attributes_fill_templates)
{
	t.in.to = "in/{header:kind}/{key}/{queue}";
	receive(RECEIVED("x",
	    ",\"Attributes\":{\"MessageGroupId\":\"g\"},\"MessageAttributes\":{\"kind\":{"
	    "\"DataType\":"
	    "\"String\",\"StringValue\":\"a/b\"}}"));
	expect_came("in/a_b/g/q", "x");
}

Test(sqs_map, what_can_not_be_published_is_a_letter)
{
	t.in.to = "in/{header:kind}";
	receive(RECEIVED("x", ""));
	expect_letter("");
	cr_expect(sq_bytes_are(sq_image_payload(t.arrival.arrived.msg.image), "x"));
	forget();
	t.in.to = "in";
	receive(RECEIVED("x!",
	    ",\"MessageAttributes\":{\"sqmqos-encoding\":{\"DataType\":\"String\",\"StringValue\":"
	    "\"base64\"}}"));
	expect_letter("base64");
	forget();
	receive(RECEIVED("x",
	    ",\"MessageAttributes\":{\"sqmqos-properties\":{\"DataType\":\"String\","
	    "\"StringValue\":"
	    "\"[1]\"}}"));
	expect_letter("sqmqos-properties");
	forget();
	receive(RECEIVED("x", ",\"MessageAttributes\":{\"a\":{\"DataType\":\"String\"}}"));
	expect_letter("attributes");
}

Test(sqs_map, what_is_too_large_for_the_broker_is_a_letter_without_payload)
{
	static char body[70000];

	memset(body, 'x', sizeof body - 1);
	sq_buf_printf(&t.answer,
	    "{\"Messages\":[{\"MessageId\":\"i\",\"ReceiptHandle\":\"h\",\"Body\":"
	    "\"%s\"}]}",
	    body);
	receive(NULL);
	expect_letter("max-packet");
	cr_expect(t.arrival.arrived.too_large);
	cr_expect_eq(sq_image_payload(t.arrival.arrived.msg.image).len, 0U);
}

Test(sqs_map, envelopes_of_other_services_are_taken_off)
{
	t.in.unwrap = SQ_BRIDGE_UNWRAP_SNS;
	receive(RECEIVED(
	    "{\\\"Type\\\":\\\"Notification\\\",\\\"MessageId\\\":\\\"n-1\\\",\\\"TopicArn\\\":"
	    "\\\"arn:t\\\",\\\"Message\\\":\\\"he\\\\\\\"y\\\",\\\"MessageAttributes\\\":{"
	    "\\\"a\\\":{\\\"Type\\\":\\\"String\\\",\\\"Value\\\":\\\"1\\\"}}}",
	    ""));
	expect_came("other", "he\"y");
	expect_property("sns-topic-arn", "arn:t");
	expect_property("a", "1");
	cr_expect(sq_bytes_are(t.arrival.arrived.key, "e:n-1"));
	forget();
	receive(RECEIVED("{}", ""));
	expect_letter("SNS");
	forget();
	t.in.unwrap = SQ_BRIDGE_UNWRAP_EVENTBRIDGE;
	receive(RECEIVED(
	    "{\\\"id\\\":\\\"e-1\\\",\\\"detail-type\\\":\\\"50% "
	    "off\\\",\\\"source\\\":\\\"aws.s3\\\","
	    "\\\"account\\\":\\\"123456789012\\\",\\\"time\\\":\\\"2026-01-01T00:00:00Z\\\","
	    "\\\"region"
	    "\\\":\\\"eu-central-1\\\",\\\"resources\\\":[],\\\"detail\\\":{\\\"n\\\": 1.10}}",
	    ""));
	expect_came("other", "{\"n\": 1.10}");
	expect_property("id", "e-1");
	expect_property("type", "50% off");
	expect_property("source", "aws.s3");
	expect_property("awsaccount", "123456789012");
	cr_expect(sq_bytes_are(t.arrival.arrived.key, "e:e-1"));
	forget();
	receive(RECEIVED("hello", ""));
	expect_letter("EventBridge");
}

Test(sqs_map, copies_need_not_be_known)
{
	t.cfg.dedup = SQ_BRIDGE_DEDUP_NONE;
	receive(RECEIVED("x", ""));
	cr_expect_eq(t.arrival.arrived.key.len, 0U);
}

Test(sqs_map, a_rule_s_tag_is_in_place_of_others)
{
	t.in.tag = "new";
	t.in.to = "in/{tag}";
	receive(RECEIVED("x",
	    ",\"MessageAttributes\":{\"sqmqos-tags\":{\"DataType\":\"String\",\"StringValue\":"
	    "\"[\\\"old\\\"]\"}}"));
	expect_came("in/new", "x");
	expect_property("tag", "new");
}

/* --- there and back --- */

/* What SQS gives of an entry that it was sent. */
static void
back(void)
{
	struct sq_json_token room[2048];
	struct sq_json_tokens j = {.at = room, .room = 2048, .depth = 4};
	static const char *const names[] = {"MessageBody", "MessageAttributes"};
	struct sq_json_error err;
	struct sq_buf whole = {0};
	uint32_t f[2];

	sq_buf_printf(&whole, "{%.*s}", (int)sq_buf_len(&t.entry.json),
	    (const char *)sq_buf_data(&t.entry.json));
	cr_assert_eq(sq_json_read(&j, sq_buf_bytes(&whole), &err), SQ_OK, "%s", err.why);
	cr_assert_eq(sq_json_members(&j, 0, names, 2, f, &err), SQ_OK);
	sq_buf_printf(&t.answer,
	    "{\"Messages\":[{\"MessageId\":\"id-2\",\"ReceiptHandle\":\"h\",\"Body\":\"%.*s\","
	    "\"MessageAttributes\":%.*s}]}",
	    (int)sq_json_raw(&j, f[0]).len, (const char *)sq_json_raw(&j, f[0]).p,
	    (int)sq_json_raw(&j, f[1]).len, (const char *)sq_json_raw(&j, f[1]).p);
	sq_buf_fini(&whole);
	receive(NULL);
}

static struct sq_bytes
plain_property(enum sq_mqtt_prop_id id)
{
	struct sq_bytes rest = sq_image_props(t.arrival.arrived.msg.image);
	struct sq_mqtt_prop p;

	while (sq_mqtt_prop_next(&rest, &p))
		if (p.id == id)
			return p.value;
	return (struct sq_bytes){0};
}

static void
there_and_back(const unsigned char *payload, size_t len)
{
	struct sq_bytes got;

	prop(SQ_MQTT_PROP_CONTENT_TYPE, sq_bytes_of("a/b; c=\"\xc3\xa4\""));
	prop(SQ_MQTT_PROP_RESPONSE_TOPIC, sq_bytes_of("re/\x01"));
	prop(SQ_MQTT_PROP_CORRELATION_DATA, (struct sq_bytes){(const unsigned char *)"\0\xff", 2});
	user("tag", "red");
	user("a\x01", "\xef\xbf\xbf");
	user("", "nameless");
	user("sqmqos-order-key", "k");
	t.of.expires_ms = NOW + 90500;
	cr_assert_eq(map_out_of("orders/\xc3\xa4/1", (struct sq_bytes){payload, len}, true), SQ_OK);
	back();
	got = sq_image_payload(t.arrival.arrived.msg.image);
	cr_expect(got.len == len && memcmp(got.p, payload, len) == 0, "%zu", len);
	cr_expect_null(t.arrival.arrived.unmappable, "%s", t.arrival.arrived.unmappable);
	cr_expect(sq_bytes_are(sq_image_topic(t.arrival.arrived.msg.image), "orders/\xc3\xa4/1"));
	cr_expect(sq_image_retain(t.arrival.arrived.msg.image));
	cr_expect_eq(sq_image_expiry(t.arrival.arrived.msg.image), 91U);
	cr_expect(sq_bytes_are(plain_property(SQ_MQTT_PROP_CONTENT_TYPE), "a/b; c=\"\xc3\xa4\""));
	cr_expect(sq_bytes_are(plain_property(SQ_MQTT_PROP_RESPONSE_TOPIC), "re/\x01"));
	cr_expect_eq(plain_property(SQ_MQTT_PROP_CORRELATION_DATA).len, 2U);
	expect_property("tag", "red");
	expect_property("a\x01", "\xef\xbf\xbf");
	expect_property("sqmqos-order-key", "k");
	cr_expect(sq_bytes_are(t.arrival.arrived.key, "o:" ORIGIN));
	cr_expect(sq_bytes_are(t.arrival.arrived.hops, HOPS));
	forget();
}

Test(sqs_map, a_message_comes_back_as_it_was)
{
	static const unsigned char all[256] = {0};
	unsigned char bytes[256];

	there_and_back((const unsigned char *)"text", 4);
	there_and_back((const unsigned char *)"", 0);
	there_and_back(all, sizeof all);
	for (unsigned i = 0; i < 256; i++)
		bytes[i] = (unsigned char)i;
	there_and_back(bytes, sizeof bytes);
}

Test(sqs_map, an_event_comes_back_as_it_was)
{
	t.cfg.format = SQ_BRIDGE_FORMAT_CLOUDEVENTS;
	prop(SQ_MQTT_PROP_CONTENT_TYPE, sq_bytes_of("application/json"));
	user("id", "e-1");
	user("source", "/shop");
	user("type", "order");
	user("specversion", "1.0");
	cr_assert_eq(map_out("orders/1", "{\"n\": 1.10}"), SQ_OK);
	back();
	expect_came("orders/1", "{\"n\": 1.10}");
	expect_property("id", "e-1");
	expect_property("type", "order");
	forget();
	receive(RECEIVED("hello", ""));
	expect_letter("CloudEvent");
}

Test(sqs_map, what_has_expired_on_its_way_has_no_time_left)
{
	t.of.expires_ms = NOW - 1;
	cr_assert_eq(map_out("t", "x"), SQ_OK);
	back();
	cr_expect_eq(sq_image_expiry(t.arrival.arrived.msg.image), 0U);
}
