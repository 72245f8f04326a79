/* Replies of broker/push/message.h: what answers publish. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/push/message.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"

#define TEXT(s) ((struct sq_bytes){(const unsigned char *)(s), sizeof(s) - 1})

enum { MAX = 1000, COUNT = 5 + sizeof SQ_PROP_REPLIES - 1 + 1 /* bytes of a count */ };

/* The properties of a message as lines, but for the first count of replies, then an empty one and its
 * payload. */
static void
is(const struct sq_msg *m, const char *expected)
{
	struct sq_bytes rest = sq_image_props(m->image), payload = sq_image_payload(m->image);
	struct sq_mqtt_prop p;
	struct sq_buf found = {0};
	bool counted = false;

	cr_expect_eq(sq_image_check(m->image, sq_image_size(m->image)), SQ_OK);
	cr_expect_eq(sq_mqtt_props_check(rest), SQ_OK);
	while (sq_mqtt_prop_next(&rest, &p))
		if (p.id == SQ_MQTT_PROP_PAYLOAD_FORMAT)
			sq_buf_printf(&found, "format %u\n", p.num);
		else if (sq_bytes_are(p.key, SQ_PROP_REPLIES) && sq_bytes_are(p.value, "1"))
			counted = true;
		else
			sq_buf_printf(&found, "%u %.*s=%.*s\n", p.id, (int)p.key.len, p.key.p,
			    (int)p.value.len, p.value.p);
	cr_expect(counted);
	sq_buf_printf(&found, "\n%.*s", (int)payload.len, payload.p);
	sq_buf_u8(&found, 0);
	cr_expect_str_eq((char *)sq_buf_data(&found), expected);
	sq_buf_fini(&found);
}

struct row {
	struct sq_bytes headers;
	const char *body;
	int rc;
	const char *expected; /* of a message, or why there is none */
};

static void
replies(const struct row *row)
{
	struct sq_buf props = {0}, why = {0};
	const struct sq_push_answer_view view = {row->headers, sq_bytes_of(row->body)};
	struct sq_msg asked, reply = {0};
	struct sq_taken to = {.msg = &asked, .qos = 2};
	int rc;

	cr_assert_eq(
	    sq_mqtt_prop_append(&props, SQ_MQTT_PROP_CORRELATION_DATA, TEXT("c\xff")), SQ_OK);
	cr_assert_eq(sq_mqtt_user_append(&props, TEXT("x"), TEXT("y")), SQ_OK);
	asked = sq_msg_new(2, true, TEXT("asked"), sq_buf_bytes(&props), 60, TEXT("p"));
	rc = sq_push_reply(&view, "re/ply", &to, MAX, &reply, &why);
	sq_buf_u8(&why, 0);
	cr_expect_eq(rc, row->rc, "%s: %d", row->body, rc);
	if (rc == SQ_OK) {
		cr_expect(sq_bytes_are(sq_image_topic(reply.image), "re/ply"));
		cr_expect(sq_image_qos(reply.image) == 2 && !sq_image_retain(reply.image));
		cr_expect_eq(sq_image_expiry(reply.image), SQ_MSG_NO_EXPIRY);
		is(&reply, row->expected);
		sq_msg_unref(&reply);
	} else {
		cr_expect_str_eq((char *)sq_buf_data(&why), row->expected);
	}
	sq_msg_unref(&asked);
	sq_buf_fini(&props);
	sq_buf_fini(&why);
}

#define C "9 =c\xff\n"
#define JSON "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""
#define EVENT "38 specversion=1.0\n38 id=1\n38 source=/s\n38 type=t\n"
#define HEADERS \
	"ce-specversion\0" \
	"1.0\0ce-id\0" \
	"1\0ce-source\0/s\0ce-type\0t\0"

Test(push_reply, forms)
{
	static const struct row rows[] = {
	    {TEXT("date\0x\0content-type\0text/plain\0"), "hi", SQ_OK,
		"format 1\n3 =text/plain\n" C "\nhi"},
	    {TEXT("content-type\0text/plain\0"), "\xff", SQ_OK, "3 =text/plain\n" C "\n\xff"},
	    {TEXT("content-type\0image/png\0"), "hi", SQ_OK, "3 =image/png\n" C "\nhi"},
	    {TEXT(""), "hi", SQ_OK, C "\nhi"},
	    {TEXT("content-type\0\xff\0"), "hi", SQ_OK, C "\nhi"},
	    {TEXT("content-type\0text/plain\0"), "", SQ_ENOTFOUND, ""},
	    {TEXT(""), "", SQ_ENOTFOUND, ""},
	    {TEXT(HEADERS "content-type\0application/json\0"), "{}", SQ_OK,
		"format 1\n3 =application/json\n" C EVENT "\n{}"},
	    {TEXT(HEADERS), "", SQ_OK, C EVENT "\n"},
	    {TEXT(HEADERS "ce-x\0a%20b\0ce-sqmqostopic\0other\0ce-sqmqosdelay\0"
			  "1h\0"),
		"", SQ_OK, C EVENT "38 x=a b\n\n"},
	    {TEXT("content-type\0application/cloudevents+json; charset=utf-8\0"),
		JSON ",\"data\":{\"n\": 1.0},\"sqmqostopic\":\"other\"}", SQ_OK,
		"format 1\n3 =application/json\n" C EVENT "\n{\"n\": 1.0}"},
	    {TEXT("content-type\0application/cloudevents+json\0"),
		JSON ",\"datacontenttype\":\"image/png\",\"data_base64\":\"aGk=\"}", SQ_OK,
		"3 =image/png\n" C EVENT "\nhi"},
	    {TEXT("content-type\0application/cloudevents+json\0"), JSON "}", SQ_OK, C EVENT "\n"},
	    {TEXT("content-type\0application/cloudevents+json\0"), "{\"id\":\"1\"}", SQ_EINVAL,
		"the answer is no event: attribute specversion: is missing"},
	    {TEXT("content-type\0application/cloudevents+json\0"), "{", SQ_EINVAL,
		"the answer is no event: JSON, byte 1: the text ends too early"},
	    {TEXT("content-type\0application/cloudevents-batch+json\0"), "[]", SQ_EINVAL,
		"the answer is no event: of the formats of events a reply has "
		"application/cloudevents+json alone"},
	    {TEXT("content-type\0application/cloudevents+avro\0"), "x", SQ_EINVAL,
		"the answer is no event: of the formats of events a reply has "
		"application/cloudevents+json alone"},
	    {TEXT("ce-type\0t\0"), "x", SQ_EINVAL,
		"the answer is no event: attribute specversion: is missing"},
	    {TEXT(HEADERS "ce-x\0%\0"), "x", SQ_EINVAL,
		"the answer is no event: attribute x: has a percent sign without two hexadecimal "
		"digits"},
	    {TEXT("content-type\0text/plain"), "hi", SQ_OK, C "\nhi"}, /* cut off */
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		replies(&rows[i]);
}

Test(push_reply, its_qos_is_that_of_the_message)
{
	static const unsigned qos[][2] = {{0, 1}, {1, 1}, {2, 2}, {3, 2}};
	const struct sq_push_answer_view view = {{0}, TEXT("hi")};
	struct sq_msg asked = sq_msg_new(0, false, TEXT("a"), (struct sq_bytes){0},
			  SQ_MSG_NO_EXPIRY, (struct sq_bytes){0}),
		      reply;
	struct sq_buf why = {0};

	for (size_t i = 0; i < 4; i++) {
		const struct sq_taken to = {.msg = &asked, .qos = (uint8_t)qos[i][0]};

		cr_assert_eq(sq_push_reply(&view, "r", &to, MAX, &reply, &why), SQ_OK);
		cr_expect_eq(sq_image_qos(reply.image), qos[i][1]);
		is(&reply, "\nhi");
		sq_msg_unref(&reply);
	}
	sq_msg_unref(&asked);
}

Test(push_reply, its_size_has_a_bound)
{
	const struct sq_push_answer_view view = {{0}, TEXT("hi")};
	struct sq_msg asked = sq_msg_new(0, false, TEXT("a"), (struct sq_bytes){0},
			  SQ_MSG_NO_EXPIRY, (struct sq_bytes){0}),
		      reply = {0};
	const struct sq_taken to = {.msg = &asked};
	struct sq_buf why = {0};

	cr_assert_eq(
	    sq_push_reply(&view, "r", &to, SQ_MSG_HEADER + 3 + COUNT, &reply, &why), SQ_OK);
	sq_msg_unref(&reply);
	cr_expect_eq(
	    sq_push_reply(&view, "r", &to, SQ_MSG_HEADER + 2 + COUNT, &reply, &why), SQ_ETOOBIG);
	cr_expect_null(reply.image);
	sq_buf_u8(&why, 0);
	cr_expect_str_eq(
	    (char *)sq_buf_data(&why), "the reply has 39 bytes, limits.max-packet is 38");
	sq_msg_unref(&asked);
	sq_buf_fini(&why);
}

Test(push_reply, replies_to_replies_have_an_end)
{
	const struct sq_push_answer_view view = {{0}, TEXT("hi")};
	struct sq_msg asked = sq_msg_new(
	    0, false, TEXT("a"), (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){0});
	struct sq_taken to = {.msg = &asked};
	struct sq_msg reply = {0};
	struct sq_buf why = {0};

	for (unsigned i = 0; i < 16; i++) {
		cr_assert_eq(sq_push_reply(&view, "r", &to, MAX, &reply, &why), SQ_OK, "%u", i);
		sq_msg_unref(&asked);
		asked = reply;
	}
	cr_expect_eq(sq_push_reply(&view, "r", &to, MAX, &reply, &why), SQ_EINVAL);
	sq_buf_u8(&why, 0);
	cr_expect_str_eq((char *)sq_buf_data(&why), "a reply to a reply, 16 times: a loop");
	sq_msg_unref(&asked);
	sq_buf_fini(&why);
}
