/* proto/headers: lines, and what they are made of. */
#include "proto/headers/headers.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/headers/said.h"
#include "proto/mqtt/props.h"

#define TEXT(s) ((struct sq_bytes){(const unsigned char *)(s), sizeof(s) - 1})

/* The lines have no NUL but that behind each, and read as they were written. */
static void
are(struct sq_buf *lines, const char *expected)
{
	struct sq_bytes rest = {sq_buf_data(lines), sq_buf_len(lines)}, name, value;
	struct sq_buf out = {0};

	while (sq_headers_next(&rest, &name, &value)) {
		cr_expect_eq(name.p[name.len], ':');
		cr_expect_eq(value.p[value.len], '\0');
		sq_buf_printf(&out, "%.*s=%.*s\n", (int)name.len, name.p, (int)value.len, value.p);
	}
	sq_buf_u8(&out, 0);
	cr_expect_str_eq((char *)sq_buf_data(&out), expected);
	sq_buf_fini(&out);
	sq_buf_fini(lines);
}

Test(headers, values_by_their_kind)
{
	struct sq_buf b = {0};

	sq_headers_put(&b, "a", TEXT("x: y"));
	sq_headers_put(&b, "none", TEXT(""));
	sq_headers_put(&b, "split", TEXT("x\r\ny\0z\x7f\xc3\xa4\t"));
	sq_headers_number(&b, "zero", 0);
	sq_headers_number(&b, "most", UINT64_MAX);
	sq_headers_time(&b, "never", 0);
	sq_headers_time(&b, "time", 1522949460250);
	sq_headers_percent(&b, "topic", TEXT("a/b \xc3\xa4\n-._~"));
	sq_headers_percent(&b, "none", TEXT(""));
	sq_headers_string(&b, "string", TEXT("a\"b\\"));
	sq_headers_string(&b, "bare", TEXT("\xc3\xa4\n"));
	sq_headers_string(&b, "none", TEXT(""));
	sq_headers_bytes(&b, "bytes", TEXT("\xff\0"));
	sq_headers_bytes(&b, "none", TEXT(""));
	are(&b,
	    "a=x: y\nsplit=x??y?z?\xc3\xa4?\nzero=0\nmost=18446744073709551615\n"
	    "time=2018-04-05T17:31:00.250Z\ntopic=a%2Fb%20%C3%A4%0A-._~\nstring=\"a\\\"b\\\\\"\n"
	    "bare=\xc3\xa4?\nbytes=:/wA=:\n");
}

static void
user(struct sq_buf *props, const char *name, const char *value)
{
	cr_assert_eq(sq_mqtt_user_append(props, sq_bytes_of(name), sq_bytes_of(value)), 0);
}

Test(headers, what_a_message_says)
{
	struct sq_buf props = {0}, b = {0};
	struct sq_said s;

	cr_assert_eq(sq_mqtt_prop_append(&props, SQ_MQTT_PROP_CONTENT_TYPE, TEXT("text/plain")), 0);
	cr_assert_eq(sq_mqtt_prop_append(&props, SQ_MQTT_PROP_RESPONSE_TOPIC, TEXT("re")), 0);
	cr_assert_eq(sq_mqtt_prop_append(&props, SQ_MQTT_PROP_CORRELATION_DATA, TEXT("c")), 0);
	user(&props, "tag", "x");
	user(&props, "tag", " y");
	user(&props, "sqmqos-key", "k");
	user(&props, "sqmqos-qos", "3");
	user(&props, "sqmqos-order-key", "o");
	user(&props, "sqmqos-dead-reason", "r");
	user(&props, "n", "v");
	s = sq_said_read(sq_buf_bytes(&props), false);
	cr_expect(sq_bytes_are(sq_said_type(&s), "text/plain"));
	cr_expect(sq_bytes_are(s.key, "k") && s.reason.len == 0);
	sq_said_lists(&s, &b);
	are(&b,
	    "sqmqos-tag=x\nsqmqos-property=tag=%20y\nsqmqos-property=sqmqos-dead-reason=r\n"
	    "sqmqos-property=n=v\n");
	sq_said_headers(&s, &b);
	are(&b, "sqmqos-order-key=o\nsqmqos-response-topic=re\nsqmqos-correlation=:Yw==:\n");
	s = sq_said_read(s.props, true);
	cr_expect(sq_bytes_are(s.reason, "r"));
	sq_buf_fini(&props);
}

Test(headers, a_type_that_no_header_can_have_is_none)
{
	struct sq_said s = {.type = TEXT("text/plain\nx: y")};

	cr_expect_eq(sq_said_type(&s).len, 0);
}
