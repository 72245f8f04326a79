/* Messages as JSON objects, and bodies that have many of them. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/front/http/entries.h"
#include "broker/front/http/entry.h"
#include "proto/mqtt/props.h"

static const struct sq_http_bounds bounds = {
    .limits = {.topic_levels = 8, .max_qos = 2}, .max_packet = 4096};

/* The message of an entry, as lines: flags, topic, properties, payload. */
static void
is(const char *json, const char *expected)
{
	struct sq_http_entry e = {0};
	struct sq_http_fault fault = {0};
	struct sq_msg msg;
	struct sq_buf out = {0};
	struct sq_mqtt_prop p;
	struct sq_bytes rest;
	int rc = sq_http_entry_read(sq_bytes_of(json), 1000, &e, &fault);

	sq_buf_u8(&fault.detail, '\0');
	cr_assert_eq(rc, SQ_OK, "%s: %s", json, sq_buf_data(&fault.detail));
	cr_assert_eq(sq_http_message(&bounds, &e.fields, e.topic, e.payload, &msg, &fault), SQ_OK);
	rest = sq_image_props(msg.image);
	sq_buf_printf(&out, "%u%s %.*s\n", e.fields.qos, sq_image_retain(msg.image) ? "r" : "",
	    (int)sq_image_topic(msg.image).len, sq_image_topic(msg.image).p);
	while (sq_mqtt_prop_next(&rest, &p))
		if (p.id == SQ_MQTT_PROP_USER_PROPERTY)
			sq_buf_printf(&out, "%.*s: %.*s\n", (int)p.key.len, p.key.p,
			    (int)p.value.len, p.value.p);
		else if (p.id != SQ_MQTT_PROP_PAYLOAD_FORMAT)
			sq_buf_printf(&out, "%u=%.*s\n", p.id, (int)p.value.len, p.value.p);
	if (sq_image_expiry(msg.image) != SQ_MSG_NO_EXPIRY)
		sq_buf_printf(&out, "expiry %u\n", sq_image_expiry(msg.image));
	rest = sq_image_payload(msg.image);
	sq_buf_append(&out, rest.p, rest.len);
	sq_buf_u8(&out, '\0');
	cr_expect_str_eq((char *)sq_buf_data(&out), expected, "%s", json);
	sq_buf_fini(&out);
	sq_msg_unref(&msg);
	sq_http_fault_fini(&fault);
	sq_http_entry_fini(&e);
}

static void
refuse(const char *json, const char *detail)
{
	struct sq_http_entry e = {0};
	struct sq_http_fault fault = {0};

	cr_expect_eq(
	    sq_http_entry_read(sq_bytes_of(json), 1000, &e, &fault), SQ_EINVAL, "%s", json);
	sq_buf_u8(&fault.detail, '\0');
	cr_expect_not_null(strstr((char *)sq_buf_data(&fault.detail), detail), "%s: %s", json,
	    sq_buf_data(&fault.detail));
	sq_http_fault_fini(&fault);
	sq_http_entry_fini(&e);
}

Test(http_entry, members_are_what_headers_are)
{
	is("{\"topic\":\"a/b\"}", "1 a/b\n");
	is("{\"topic\":\"a\",\"json\":{\"n\": 1.50,\"big\":123456789012345678901}}",
	    "1 a\n3=application/json\n{\"n\": 1.50,\"big\":123456789012345678901}");
	is("{\"topic\":\"a\",\"json\":\"t\\u00e4\"}", "1 a\n3=application/json\n\"t\\u00e4\"");
	is("{\"json\":[1],\"type\":\"a/b\",\"topic\":\"a\"}", "1 a\n3=a/b\n[1]");
	is("{\"type\":\"a/b\",\"json\":null,\"topic\":\"a\"}", "1 a\n3=a/b\nnull");
	is("{\"topic\":\"\\u0061\\/b\",\"text\":\"x\\ny\"}", "1 a/b\nx\ny");
	is("{\"topic\":\"a\",\"base64\":\"aGk=\"}", "1 a\nhi");
	is("{\"topic\":\"a\",\"base64\":\"\"}", "1 a\n");
	is("{\"topic\":\"a\",\"key\":\"k\\\"1\",\"ttl\":\"90s\",\"retain\":true}",
	    "3r a\nsqmqos-key: k\"1\nexpiry 90\n");
	is("{\"topic\":\"a\",\"qos\":3,\"receipt\":\"r\",\"delay\":5}",
	    "3 a\nsqmqos-qos: 3\nsqmqos-delay: 5\nsqmqos-receipt: r\n");
	is("{\"topic\":\"a\",\"qos\":2,\"tags\":[\"x\",\"y "
	   "z\"],\"properties\":[[\"N\",\"v\"],[\"N\",\"\"]],"
	   "\"orderKey\":\"o\",\"responseTopic\":\"re\",\"correlation\":\":aGk=:\"}",
	    "2 a\n8=re\n9=hi\ntag: x\ntag: y z\nN: v\nN: \nsqmqos-order-key: o\n");
	is("{\"topic\":\"a\",\"deliverAt\":\"1970-01-01T00:00:11Z\"}", "1 a\nsqmqos-delay: 10\n");
}

Test(http_entry, what_is_no_entry_is_refused)
{
	refuse("", "JSON, byte 0");
	refuse("[]", "no object");
	refuse("\"a\"", "no object");
	refuse("{}", "topic is missing");
	refuse("{\"topic\":1}", "topic must be a text");
	refuse("{\"topic\":\"a\\u0000\"}", "U+0000");
	refuse("{\"topic\":\"a\",\"topic\":\"a\"}", "topic stands there twice");
	refuse("{\"topic\":\"a\",\"jsn\":1}", "did you mean json?");
	refuse("{\"topic\":\"a\",\"text\":\"\",\"json\":1}", "exclude each other");
	refuse("{\"topic\":\"a\",\"text\":1}", "text must be a text");
	refuse("{\"topic\":\"a\",\"base64\":\"a\"}", "base64 must be base64");
	refuse("{\"topic\":\"a\",\"qos\":4}", "qos must be 0, 1, 2 or 3");
	refuse("{\"topic\":\"a\",\"qos\":[1]}", "qos must be a text, a number or a truth");
	refuse("{\"topic\":\"a\",\"ttl\":1.5}", "ttl must be a duration");
	refuse("{\"topic\":\"a\",\"retain\":\"yes\"}", "retain must be true or false");
	refuse("{\"topic\":\"a\",\"key\":\"\"}", "key must have 1 to 256");
	refuse("{\"topic\":\"a\",\"key\":\"k\",\"qos\":1}", "key is for qos: 3");
	refuse("{\"topic\":\"a\",\"receipt\":\"r\"}", "receipt needs qos: 3 or key");
	refuse("{\"topic\":\"a\",\"delay\":1,\"deliverAt\":\"1970-01-01T00:00:11Z\"}", "exclude");
	refuse("{\"topic\":\"a\",\"tags\":\"x\"}", "tags must be a list");
	refuse("{\"topic\":\"a\",\"tags\":[1]}", "tags must be a text");
	refuse("{\"topic\":\"a\",\"properties\":[[\"a\"]]}", "list of pairs");
	refuse("{\"topic\":\"a\",\"properties\":[[\"a\",[]]]}", "must be a text");
	refuse("{\"topic\":\"a\",\"properties\":[[\"sqmqos-qos\",\"3\"]]}", "begins with sqmqos-");
}

struct many {
	struct sq_http_entries e;
	struct sq_http_fault fault;
	int rc;
};

static struct many
many(const char *type, const char *body, const char *topic, size_t max)
{
	struct many m = {0};
	struct sq_http_event_in in = {
	    .body = sq_bytes_of(body), .topic = topic, .tmpl = "events/{ce.type}", .now_ms = 1000};
	struct sq_http_header header = {sq_bytes_of("content-type"), sq_bytes_of(type)};

	in.headers = &header;
	in.n = 1;
	m.rc = sq_http_entries_read(
	    &bounds, sq_http_batch_form(sq_bytes_of(type), in.body), &in, max, &m.e, &m.fault);
	sq_buf_u8(&m.fault.detail, '\0');
	return m;
}

static void
end(struct many *m)
{
	sq_http_entries_fini(&m->e);
	sq_http_fault_fini(&m->fault);
}

static void
is_many(struct many *m, size_t n, size_t good)
{
	cr_assert_eq(m->rc, SQ_OK, "%s", sq_buf_data(&m->fault.detail));
	cr_expect_eq(m->e.n, n);
	cr_expect_eq(m->e.n_msgs, good);
	end(m);
}

static void
is_none(struct many *m, enum sq_http_problem problem, const char *detail)
{
	cr_expect_eq(m->rc, SQ_EINVAL);
	cr_expect_eq(m->fault.problem, problem);
	cr_expect_not_null(strstr((char *)sq_buf_data(&m->fault.detail), detail), "%s",
	    sq_buf_data(&m->fault.detail));
	end(m);
}

#define EVENT(id) \
	"{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"/s\",\"type\":\"t\",\"data\":1}"

Test(http_entries, each_form_is_read)
{
	struct many m = many("application/x-ndjson",
	    "{\"topic\":\"a\"}\r\n\n  \n{\"topic\":\"b/#\"}\nx\n{\"topic\":\"c\"}", NULL, 4);

	cr_expect_eq(m.e.rc[0] == SQ_OK && m.e.rc[3] == SQ_OK, true);
	cr_expect_eq(m.e.faults[1].problem, SQ_HTTP_INVALID_TOPIC);
	cr_expect_eq(m.e.faults[2].problem, SQ_HTTP_MALFORMED);
	is_many(&m, 4, 2);
	m = many("application/json; charset=utf-8", "[{\"topic\":\"a\"}, \"x\", 1, {}]", NULL, 4);
	is_many(&m, 4, 1);
	m = many("", " [{\"topic\":\"a\"}]", NULL, 4);
	is_many(&m, 1, 1);
	m = many("", "{\"topic\":\"a\"}\n{\"topic\":\"a\"}", NULL, 4);
	is_many(&m, 2, 2);
	m = many("application/cloudevents-batch+json", "[" EVENT("1") "," EVENT("") "]", NULL, 4);
	cr_expect_eq(m.e.faults[1].problem, SQ_HTTP_CLOUDEVENT_INVALID);
	cr_expect(sq_bytes_are(sq_image_topic(m.e.msgs[0].image), "events/t"));
	is_many(&m, 2, 1);
	m = many("application/cloudevents-batch+json", "[" EVENT("1") "]", "x/y", 4);
	cr_expect(sq_bytes_are(sq_image_topic(m.e.msgs[0].image), "x/y"));
	is_many(&m, 1, 1);
}

Test(http_entries, many_grow_beyond_the_first_room)
{
	struct sq_buf body = {0};
	struct many m;

	for (unsigned i = 0; i < 1000; i++)
		sq_buf_printf(&body, "{\"topic\":\"a/%u\"}\n", i);
	sq_buf_u8(&body, '\0');
	m = many("", (char *)sq_buf_data(&body), NULL, 1000);
	cr_expect(sq_bytes_are(sq_image_topic(m.e.msgs[999].image), "a/999"));
	is_many(&m, 1000, 1000);
	m = many("", (char *)sq_buf_data(&body), NULL, 999);
	is_none(&m, SQ_HTTP_TOO_LARGE, "http.max-batch, 999");
	sq_buf_fini(&body);
}

Test(http_entries, a_body_that_is_none_is_refused)
{
	struct many m = many("application/json", "[1,2,3,4,5,6,7]", NULL, 2);

	is_none(&m, SQ_HTTP_TOO_LARGE, "http.max-batch is 2");
	m = many("application/json", "[1", NULL, 2);
	is_none(&m, SQ_HTTP_MALFORMED, "JSON, byte 2");
	m = many("application/json", "{}", NULL, 2);
	is_none(&m, SQ_HTTP_MALFORMED, "no JSON array");
	m = many("application/json", "[]", NULL, 2);
	is_none(&m, SQ_HTTP_MALFORMED, "empty");
	m = many("application/x-ndjson", "\n \n", NULL, 2);
	is_none(&m, SQ_HTTP_MALFORMED, "empty");
	m = many("text/plain", "[]", NULL, 2);
	is_none(&m, SQ_HTTP_MEDIA_TYPE, "application/x-ndjson");
	m = many("", "hello", NULL, 2);
	is_none(&m, SQ_HTTP_MEDIA_TYPE, "?topic=");
}
