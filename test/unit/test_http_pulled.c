/* Messages and queues as answers have them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/http/info.h"
#include "broker/front/http/pulled.h"
#include "proto/json/json.h"
#include "proto/mqtt/props.h"

static void
user(struct sq_buf *props, const char *name, const char *value)
{
	cr_assert_eq(sq_mqtt_user_append(props, sq_bytes_of(name), sq_bytes_of(value)), SQ_OK);
}

static void
text(struct sq_buf *props, uint8_t id, const char *value)
{
	sq_buf_u8(props, id);
	sq_buf_u16(props, (uint16_t)strlen(value));
	sq_buf_append(props, value, strlen(value));
}

static struct sq_pulled
pulled(const char *topic, struct sq_buf *props, struct sq_bytes payload)
{
	struct sq_pulled p = {
	    .lease = "L1", .seq = 7, .enqueued_ms = 1522949460250, .attempt = 2, .qos = 3};

	p.msg = sq_msg_new(
	    2, false, sq_bytes_of(topic), sq_buf_bytes(props), SQ_MSG_NO_EXPIRY, payload);
	sq_buf_fini(props);
	return p;
}

static void
is(struct sq_pulled *p, void (*write)(const struct sq_pulled *, struct sq_buf *),
    const char *expected)
{
	struct sq_json_tokens none = {0};
	struct sq_json_error err;
	struct sq_buf out = {0};

	write(p, &out);
	cr_expect_eq(sq_json_read(&none, sq_buf_bytes(&out), &err), SQ_OK);
	sq_buf_u8(&out, '\0');
	cr_expect_str_eq((char *)sq_buf_data(&out), expected);
	sq_buf_fini(&out);
	sq_msg_unref(&p->msg);
}

#define HEAD \
	"{\"lease\":\"L1\",\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\",\"topic\":\"a/b\",\"qos\":3," \
	"\"attempt\":2,\"enqueued\":\"2018-04-05T17:31:00.250Z\""

static void
shows(const char *type, struct sq_bytes payload, const char *rest)
{
	struct sq_buf props = {0};
	struct sq_pulled p;

	if (type != NULL)
		text(&props, SQ_MQTT_PROP_CONTENT_TYPE, type);
	p = pulled("a/b", &props, payload);
	is(&p, sq_http_pulled_json, rest);
}

Test(http_pulled, a_payload_is_json_text_or_base64)
{
	shows("application/json", sq_bytes_of("{\"n\": 19.90}"),
	    HEAD ",\"type\":\"application/json\",\"json\":{\"n\": 19.90}}");
	shows("a/b+json; x=y", sq_bytes_of("17"), HEAD ",\"type\":\"a/b+json; x=y\",\"json\":17}");
	shows("application/json", sq_bytes_of("{nope"),
	    HEAD ",\"type\":\"application/json\",\"text\":\"{nope\"}");
	shows("text/plain", sq_bytes_of("{}"), HEAD ",\"type\":\"text/plain\",\"text\":\"{}\"}");
	shows(NULL, sq_bytes_of("{\"a\":1}"), HEAD ",\"json\":{\"a\":1}}");
	shows(NULL, sq_bytes_of("17"), HEAD ",\"text\":\"17\"}");
	shows(NULL, sq_bytes_of("t\xc3\xa4g\n"), HEAD ",\"text\":\"t\xc3\xa4g\\n\"}");
	shows(NULL, (struct sq_bytes){(const unsigned char *)"\xff\0", 2},
	    HEAD ",\"base64\":\"/wA=\"}");
	shows(NULL, sq_bytes_of(""), HEAD ",\"text\":\"\"}");
}

static struct sq_pulled
full(void)
{
	struct sq_buf props = {0};

	text(&props, SQ_MQTT_PROP_CONTENT_TYPE, "text/plain");
	text(&props, SQ_MQTT_PROP_RESPONSE_TOPIC, "re");
	text(&props, SQ_MQTT_PROP_CORRELATION_DATA, "\xff");
	user(&props, "tag", "x");
	user(&props, "tag", "y, z");
	user(&props, "N m", "v=\n");
	user(&props, "sqmqos-key", "k\"1");
	user(&props, "sqmqos-order-key", "o");
	user(&props, "sqmqos-receipt", "r");
	user(&props, "sqmqos-qos", "3");
	return pulled("a/b c", &props, sq_bytes_of("hi"));
}

Test(http_pulled, properties_are_members)
{
	struct sq_pulled p = full();

	p.lease[0] = '\0';
	is(&p, sq_http_pulled_json,
	    "{\"seq\":7,\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\",\"topic\":\"a/b c\",\"qos\":3,"
	    "\"attempt\":2,\"enqueued\":\"2018-04-05T17:31:00.250Z\",\"type\":\"text/plain\","
	    "\"text\":\"hi\",\"tags\":[\"x\",\"y, z\"],\"properties\":[[\"N m\",\"v=\\n\"]],"
	    "\"key\":\"k\\\"1\",\"orderKey\":\"o\",\"responseTopic\":\"re\",\"correlation\":\":/"
	    "w==:\","
	    "\"receipt\":\"r\"}");
}

static void
letter(const struct sq_pulled *p, struct sq_buf *out)
{
	sq_http_pulled_letter(p, "sh\"op", out);
}

Test(http_pulled, a_letter_is_the_message_that_it_was)
{
	struct sq_buf props = {0};
	struct sq_pulled p;

	user(&props, "sqmqos-dead-reason", "told");
	user(&props, "a", "b");
	user(&props, "sqmqos-dead-reason", "rejected");
	user(&props, "sqmqos-dead-time", "2026-11-30T08:00:00.000Z");
	user(&props, "sqmqos-dead-queue", "queue~s~q");
	user(&props, "sqmqos-dead-detail", "410 Gone");
	p = pulled("$dead/a/b", &props, sq_bytes_of("hi"));
	p.lease[0] = '\0';
	p.dead = "dead";
	is(&p, letter,
	    "{\"queue\":\"dead~sh\\\"op\",\"seq\":7,\"reason\":\"rejected\",\"detail\":\"410 "
	    "Gone\",\"from\":\"queue~s~q\","
	    "\"died\":\"2026-11-30T08:00:00.000Z\",\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\","
	    "\"topic\":\"a/b\",\"qos\":3,\"text\":\"hi\",\"properties\":[[\"a\",\"b\"]]}");
}

/* What is no letter may have such properties of its sender. */
Test(http_pulled, properties_of_a_letter_are_those_of_a_message_else)
{
	struct sq_buf props = {0};
	struct sq_pulled p;

	user(&props, "sqmqos-dead-reason", "x");
	p = pulled("a/b", &props, sq_bytes_of("hi"));
	is(&p, sq_http_pulled_json,
	    HEAD ",\"text\":\"hi\",\"properties\":[[\"sqmqos-dead-reason\",\"x\"]]}");
}

static void
put(void *arg, const char *name, struct sq_bytes value)
{
	sq_buf_printf(arg, "%s: %.*s\n", name, (int)value.len, value.p);
}

Test(http_pulled, and_headers)
{
	struct sq_pulled p = full();
	struct sq_buf out = {0};

	sq_http_pulled_headers(&p, put, &out);
	sq_buf_u8(&out, '\0');
	cr_expect_str_eq((char *)sq_buf_data(&out),
	    "sqmqos-lease: L1\nsqmqos-id: aaaaaaaaaaaaaaaaaaaaaaaaaa\nsqmqos-topic: a%2Fb%20c\n"
	    "sqmqos-qos: 3\nsqmqos-attempt: 2\nsqmqos-enqueued: 2018-04-05T17:31:00.250Z\n"
	    "sqmqos-tag: x\nsqmqos-property: tag=y%2C%20z\nsqmqos-property: N%20m=v%3D%0A\n"
	    "idempotency-key: \"k\\\"1\"\nsqmqos-order-key: o\nsqmqos-response-topic: re\n"
	    "sqmqos-receipt: r\nsqmqos-correlation: :/w==:\n");
	sq_buf_fini(&out);
	sq_msg_unref(&p.msg);
}

#define TAIL ",\"sqmqosattempt\":2,\"sqmqoslease\":\"L1\",\"sqmqostopic\":\"a/b\"}"

Test(http_pulled, an_event_is_the_one_that_it_is)
{
	struct sq_buf props = {0};
	struct sq_pulled p;

	user(&props, "specversion", "1.0");
	user(&props, "id", "1");
	user(&props, "source", "/s");
	user(&props, "type", "t");
	text(&props, SQ_MQTT_PROP_CONTENT_TYPE, "application/json");
	p = pulled("a/b", &props, sq_bytes_of("{\"n\": 1.0}"));
	is(&p, sq_http_pulled_event,
	    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\","
	    "\"datacontenttype\":\"application/json\",\"data\":{\"n\": 1.0}" TAIL);
}

Test(http_pulled, or_one_about_the_message)
{
	struct sq_buf props = {0};
	struct sq_pulled p;

	user(&props, "N", "v");
	p = pulled("a/b", &props, sq_bytes_of("hi"));
	is(&p, sq_http_pulled_event,
	    "{\"specversion\":\"1.0\",\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\",\"source\":\"/topics/"
	    "a%2Fb\","
	    "\"type\":\"io.sqmqos.message\",\"subject\":\"a/b\",\"data_base64\":\"aGk=\"" TAIL);
}

Test(http_pulled, nobody_forges_a_lease)
{
	struct sq_buf props = {0};
	struct sq_pulled p;

	user(&props, "specversion", "1.0");
	user(&props, "id", "1");
	user(&props, "source", "/s");
	user(&props, "type", "t");
	user(&props, "sqmqoslease", "forged");
	p = pulled("a/b", &props, sq_bytes_of(""));
	is(&p, sq_http_pulled_event,
	    "{\"specversion\":\"1.0\",\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\",\"source\":\"/topics/"
	    "a%2Fb\","
	    "\"type\":\"io.sqmqos.message\",\"subject\":\"a/b\"" TAIL);
}

Test(http_info, a_tag_is_read_as_it_is_written)
{
	char tag[SQ_HTTP_ETAG_MAX];
	uint64_t revision;

	sq_http_info_etag(0xabc, tag);
	cr_assert_str_eq(tag, "\"0000000000000abc\"");
	sq_http_info_match(sq_bytes_of(tag), &revision);
	cr_assert_eq(revision, 0xabc);
	for (const char *const *bad = (const char *const[]){"", "*", "W/\"0000000000000abc\"",
		 "\"abc\"", "\"0000000000000000\"", "\"0000000000000ABC\"", "\"0000000000000abc\" ",
		 "\"-000000000000abc\"", NULL};
	     *bad != NULL; bad++) {
		sq_http_info_match(sq_bytes_of(*bad), &revision);
		cr_expect_eq(revision, UINT64_MAX, "%s", *bad);
	}
}

Test(http_info, a_queue_is_an_object)
{
	struct sq_queue_info q = {.name = (char *)"q",
	    .revision = 1,
	    .paused = true,
	    .ready = 3,
	    .oldest_ms = 1500,
	    .pollers = 2};
	struct sq_json_tokens none = {0};
	struct sq_json_error err;
	struct sq_buf out = {0};

	sq_declaration_init(&q.decl);
	sq_http_info_json(&q, &out);
	cr_assert_eq(sq_json_read(&none, sq_buf_bytes(&out), &err), SQ_OK);
	sq_buf_u8(&out, '\0');
	cr_expect_not_null(strstr(
	    (char *)sq_buf_data(&out), "{\"name\":\"q\",\"etag\":\"\\\"0000000000000001\\\"\""));
	cr_expect_not_null(strstr((char *)sq_buf_data(&out), "\"oldestAge\":\"1500ms\"}"));
	cr_expect_not_null(strstr((char *)sq_buf_data(&out), "\"pollers\":2}}"));
	sq_declaration_fini(&q.decl);
	sq_buf_fini(&out);
}

static void
binding(const char *body, int rc, const char *filter, const char *tag, unsigned qos)
{
	struct sq_declared_binding b = {0};
	struct sq_http_fault fault = {0};

	cr_expect_eq(sq_http_info_binding(sq_bytes_of(body), &b, &fault), rc, "%s", body);
	if (rc == SQ_OK) {
		cr_expect_eq(b.qos, qos);
		cr_expect_eq(b.filter != NULL, filter != NULL);
		cr_expect(filter == NULL || strcmp(filter, b.filter) == 0);
		cr_expect(tag == NULL || strcmp(tag, b.tag) == 0);
	}
	free(b.filter);
	free(b.tag);
	sq_http_fault_fini(&fault);
}

Test(http_info, a_binding_has_a_filter_or_a_tag)
{
	binding("{\"filter\":\"a/#\",\"qos\":2}", SQ_OK, "a/#", NULL, 2);
	binding("{\"tag\":\"\\u0061\"}", SQ_OK, NULL, "a", 1);
	binding("{}", SQ_EINVAL, NULL, NULL, 0);
	binding("", SQ_EINVAL, NULL, NULL, 0);
	binding("{\"filter\":1}", SQ_EINVAL, NULL, NULL, 0);
	binding("{\"filter\":\"a\",\"qos\":3}", SQ_EINVAL, NULL, NULL, 0);
	binding("{\"filter\":\"a\",\"qos\":0}", SQ_EINVAL, NULL, NULL, 0);
	binding("{\"filter\":\"a\",\"id\":\"x\"}", SQ_EINVAL, NULL, NULL, 0);
}
