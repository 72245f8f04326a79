/* proto/cloudevents: the three forms of an event, and what is none. */
#include "proto/cloudevents/cloudevents.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/mqtt/props.h"

#define TEXT(s) ((struct sq_bytes){(const unsigned char *)(s), sizeof(s) - 1})
#define NEEDED "\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"1\""

static void
is_text(struct sq_bytes found, const char *expected)
{
	cr_expect(found.len == 0 ? *expected == 0 : sq_bytes_are(found, expected), "%.*s",
	    (int)found.len, found.p);
}

/* The user properties as lines "name: value". */
static void
are_props(const struct sq_ce *ce, const char *expected)
{
	struct sq_buf props = {0}, lines = {0};
	struct sq_bytes rest, name, value;

	sq_ce_props(ce, &props);
	rest = sq_buf_bytes(&props);
	while (sq_props_user_next(&rest, &name, &value))
		sq_buf_printf(
		    &lines, "%.*s: %.*s\n", (int)name.len, name.p, (int)value.len, value.p);
	sq_buf_u8(&lines, 0);
	cr_expect_str_eq((char *)sq_buf_data(&lines), expected);
	sq_buf_fini(&props);
	sq_buf_fini(&lines);
}

static void
is_json(const struct sq_ce *ce, const char *expected)
{
	struct sq_buf out = {0};

	sq_ce_json(ce, &out);
	sq_buf_u8(&out, 0);
	cr_expect_str_eq((char *)sq_buf_data(&out), expected);
	sq_buf_fini(&out);
}

/* Reads headers, pairs that end with NULL, and a body. */
static int
read_headers(struct sq_ce *ce, const char *const *headers, const char *type, const char *body,
    struct sq_ce_error *err)
{
	int bad = 0;

	sq_ce_reset(ce);
	for (; *headers != NULL && bad == 0; headers += 2)
		bad = sq_ce_header(ce, sq_bytes_of(headers[0]), sq_bytes_of(headers[1]), err);
	return bad != 0 ? bad : sq_ce_binary(ce, sq_bytes_of(type), sq_bytes_of(body), err);
}

static struct sq_bytes
no_room_behind(const char *text, struct sq_buf *copy)
{
	sq_buf_append(copy, text, strlen(text));
	return sq_buf_bytes(copy);
}

Test(cloudevents, headers_become_properties_unchanged)
{
	static const char *const headers[] = {"host", "x", "ce-specversion", "1.0", "ce-type",
	    "com.example.someevent", "ce-time", "2018-04-05T03:56:24Z", "ce-id", "1234-1234-1234",
	    "ce-source", "/mycontext/subcontext", "ce-subject", "Euro%20%E2%82%AC%20%F0%9f%98%80",
	    "ce-quoted", "\"a \\\"b\\\\ %41\"c", "ce-empty", "", NULL};
	struct sq_ce ce = {0};
	struct sq_ce_error err;

	cr_assert(read_headers(&ce, headers, "text/plain", "hello", &err) == 0, "%s", err.why);
	are_props(&ce,
	    "specversion: 1.0\ntype: com.example.someevent\ntime: 2018-04-05T03:56:24Z\n"
	    "id: 1234-1234-1234\nsource: /mycontext/subcontext\nsubject: Euro \xe2\x82\xac "
	    "\xf0\x9f\x98\x80\nquoted: a \"b\\ Ac\nempty: \n");
	is_text(ce.id, "1234-1234-1234");
	is_text(ce.subject, "Euro \xe2\x82\xac \xf0\x9f\x98\x80");
	is_text(ce.content_type, "text/plain");
	is_text(ce.payload, "hello");
	cr_expect(ce.expires_ms == INT64_MAX && ce.asked.topic.len == 0);
	sq_ce_fini(&ce);
}

Test(cloudevents, values_become_headers_and_come_back)
{
	static const char *const values[] = {
	    "plain", "Euro \xe2\x82\xac \xf0\x9f\x98\x80", "a\"b\\c%20,;", "~!#"};
	static const char *const encoded[] = {
	    "plain", "Euro%20%E2%82%AC%20%F0%9F%98%80", "a%22b\\c%2520,;", "~!#"};

	for (size_t i = 0; i < 4; i++) {
		struct sq_buf out = {0};
		struct sq_ce ce = {0};
		struct sq_ce_error err;
		struct sq_bytes rest, name, value;

		sq_ce_header_value(&out, sq_bytes_of(values[i]));
		is_text(sq_buf_bytes(&out), encoded[i]);
		cr_assert(sq_ce_header(&ce, TEXT("ce-x"), sq_buf_bytes(&out), &err) == 0);
		rest = sq_ce_attributes(&ce);
		cr_assert(sq_ce_next(&rest, &name, &value));
		is_text(value, values[i]);
		sq_ce_fini(&ce);
		sq_buf_fini(&out);
	}
}

/* JSON format §3.2, and data that a reader of numbers would change. */
static const struct {
	const char *json, *type, *payload;
} structured[] = {
    {"{" NEEDED ",\"datacontenttype\":\"application/vnd.apache.thrift.binary\","
     "\"data_base64\":\"AP\\/+\"}",
	"application/vnd.apache.thrift.binary", NULL},
    {"{" NEEDED ",\"datacontenttype\":\"application/xml\",\"data\":\"<much wow=\\\"xml\\\"/>\"}",
	"application/xml", "<much wow=\"xml\"/>"},
    {"{" NEEDED ",\"data\" : \"I'm just a string\"}", "application/json", "\"I'm just a string\""},
    {"{" NEEDED ",\"datacontenttype\":\"application/json\",\"data\":"
     " {\"id\":9007199254740993, \"price\":19.90, \"a\\u0041\":123456789012345678901234567890 } }",
	"application/json",
	"{\"id\":9007199254740993, \"price\":19.90, \"a\\u0041\":123456789012345678901234567890 }"},
    {"{" NEEDED ",\"datacontenttype\":\"text/json; x=1\",\"data\":null}", "text/json; x=1", "null"},
    {"{" NEEDED ",\"datacontenttype\":\"Application/Geo+JSON\",\"data\":[1 ]}",
	"Application/Geo+JSON", "[1 ]"},
    {"{" NEEDED ",\"datacontenttype\":\"text/plain\",\"data\":\"\"}", "text/plain", ""},
    {"{" NEEDED ",\"data_base64\":\"\"}", "", ""},
    {"{" NEEDED ",\"data_base64\":null}", "", ""},
    {"{" NEEDED "}", "", ""},
    {"{" NEEDED ",\"datacontenttype\":\"image/png\"}", "image/png", ""},
};

Test(cloudevents, structured_data_goes_through_byte_for_byte)
{
	struct sq_ce ce = {0};

	for (size_t i = 0; i < sizeof structured / sizeof structured[0]; i++) {
		struct sq_buf copy = {0};
		struct sq_ce_error err = {0};
		struct sq_bytes json = no_room_behind(structured[i].json, &copy);

		cr_assert(sq_ce_structured(&ce, json, &err) == 0, "%s: %s %s", structured[i].json,
		    err.attribute, err.why);
		are_props(&ce, "specversion: 1.0\ntype: t\nsource: /s\nid: 1\n");
		is_text(ce.content_type, structured[i].type);
		if (structured[i].payload != NULL)
			is_text(ce.payload, structured[i].payload);
		else
			cr_expect(
			    ce.payload.len == 3 && memcmp(ce.payload.p, "\0\xff\xfe", 3) == 0);
		sq_buf_fini(&copy);
	}
	sq_ce_fini(&ce);
}

Test(cloudevents, attributes_of_json_become_their_canonical_strings)
{
	struct sq_ce ce = {0};
	struct sq_ce_error err;

	cr_assert(sq_ce_structured(&ce,
		      TEXT("{\"id\":\"\\u0031\\/\",\"source\":\"urn:x\",\"typ\\u0065\":\"t\","
			   "\"specversion\":\"1.0\",\"subject\":null,\"a\":true,\"b\":false,"
			   "\"c\":-2147483648,\"d\":2147483647,\"e\":\"\",\"f\":\"caf\\u00e9\"}"),
		      &err) == 0,
	    "%s", err.why);
	are_props(&ce,
	    "id: 1/\nsource: urn:x\ntype: t\nspecversion: 1.0\na: true\nb: false\n"
	    "c: -2147483648\nd: 2147483647\ne: \nf: caf\xc3\xa9\n");
	sq_ce_fini(&ce);
}

Test(cloudevents, what_is_asked_of_us_comes_apart)
{
	struct sq_ce ce = {0};
	struct sq_ce_error err;

	cr_assert(sq_ce_structured(&ce,
		      TEXT("{" NEEDED ",\"sqmqostopic\":\"a/b\",\"sqmqosttl\":30,"
			   "\"sqmqosdelay\":\"5m\",\"sqmqostags\":\"shop, eu\","
			   "\"partitionkey\":\"p\",\"expirytime\":\"1970-01-01T00:00:01.5Z\"}"),
		      &err) == 0);
	are_props(&ce,
	    "specversion: 1.0\ntype: t\nsource: /s\nid: 1\npartitionkey: p\n"
	    "expirytime: 1970-01-01T00:00:01.5Z\n");
	is_text(ce.asked.topic, "a/b");
	is_text(ce.asked.ttl, "30");
	is_text(ce.asked.delay, "5m");
	is_text(ce.asked.tags, "shop, eu");
	is_text(ce.asked.order_key, "p");
	cr_expect(ce.expires_ms == 1500);
	cr_assert(
	    sq_ce_structured(&ce,
		TEXT("{" NEEDED ",\"sqmqosorderkey\":\"o\",\"partitionkey\":\"p\"}"), &err) == 0);
	is_text(ce.asked.order_key, "o");
	cr_assert(
	    sq_ce_structured(&ce,
		TEXT("{" NEEDED ",\"partitionkey\":\"p\",\"sqmqosorderkey\":\"o\"}"), &err) == 0);
	is_text(ce.asked.order_key, "o");
	cr_expect(ce.expires_ms == INT64_MAX && ce.asked.topic.len == 0);
	sq_ce_fini(&ce);
}

/* What is wrong, and of which attribute. */
static const struct {
	const char *json, *attribute, *why;
} wrong[] = {
    {"{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\"}", "id", "missing"},
    {"{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":\"1\"}", "source", "missing"},
    {"{\"specversion\":\"1.0\",\"source\":\"/s\",\"id\":\"1\"}", "type", "missing"},
    {"{\"type\":\"t\",\"source\":\"/s\",\"id\":\"1\"}", "specversion", "missing"},
    {"{}", "specversion", "missing"},
    {"{" NEEDED ",\"id\":\"2\"}", "id", "twice"},
    {"{" NEEDED ",\"i\\u0064\":\"2\"}", "id", "twice"},
    {"{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":null}", "id", "missing"},
    {"{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"\"}", "id", "empty"},
    {"{\"specversion\":\"1.0\",\"type\":\"\",\"source\":\"/s\",\"id\":\"1\"}", "type", "empty"},
    {"{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"\",\"id\":\"1\"}", "source", "empty"},
    {"{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":1}", "id", "string"},
    {"{\"specversion\":1.0,\"type\":\"t\",\"source\":\"/s\",\"id\":\"1\"}", "specversion",
	"string"},
    {"{\"specversion\":\"0.3\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"1\"}", "specversion",
	"1.0"},
    {"{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"a b\",\"id\":\"1\"}", "source", "URI"},
    {"{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"<a>\",\"id\":\"1\"}", "source", "URI"},
    {"{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/%4\",\"id\":\"1\"}", "source",
	"percent"},
    {"{" NEEDED ",\"time\":\"yesterday\"}", "time", "3339"},
    {"{" NEEDED ",\"time\":\"2018-02-29T00:00:00Z\"}", "time", "3339"},
    {"{" NEEDED ",\"expirytime\":\"soon\"}", "expirytime", "3339"},
    {"{" NEEDED ",\"dataschema\":\"relative\"}", "dataschema", "scheme"},
    {"{" NEEDED ",\"dataschema\":\"\"}", "dataschema", "empty"},
    {"{" NEEDED ",\"subject\":\"\"}", "subject", "empty"},
    {"{" NEEDED ",\"subject\":\"a\\nb\"}", "subject", "control"},
    {"{" NEEDED ",\"x\":\"\\u0000\"}", "x", "U+0000"},
    {"{" NEEDED ",\"x\":\"\\u0085\"}", "x", "control"},
    {"{" NEEDED ",\"x\":\"\\uffff\"}", "x", "non-character"},
    {"{" NEEDED ",\"x\":1.5}", "x", "integer"},
    {"{" NEEDED ",\"x\":1e3}", "x", "integer"},
    {"{" NEEDED ",\"x\":2147483648}", "x", "integer"},
    {"{" NEEDED ",\"x\":-2147483649}", "x", "integer"},
    {"{" NEEDED ",\"x\":99999999999999999999999}", "x", "integer"},
    {"{" NEEDED ",\"x\":{}}", "x", "true"},
    {"{" NEEDED ",\"x\":[1]}", "x", "true"},
    {"{" NEEDED ",\"Big\":\"1\"}", "Big", "lower-case"},
    {"{" NEEDED ",\"a-b\":null}", "a-b", "lower-case"},
    {"{" NEEDED ",\"\":\"1\"}", "", "character at least"},
    {"{" NEEDED ",\"datacontenttype\":\"json\",\"data\":1}", "datacontenttype", "media type"},
    {"{" NEEDED ",\"datacontenttype\":\"a/b c\",\"data\":1}", "datacontenttype", "media type"},
    {"{" NEEDED ",\"datacontenttype\":\"text/plain\",\"data\":{}}", "data", "string"},
    {"{" NEEDED ",\"data\":1,\"data\":2}", "data", "twice"},
    {"{" NEEDED ",\"data\":null,\"data_base64\":\"QQ==\"}", "data_base64", "beside"},
    {"{" NEEDED ",\"data_base64\":\"QQ=\"}", "data_base64", "base64"},
    {"{" NEEDED ",\"data_base64\":7}", "data_base64", "string"},
    {"[]", "", "object"},
    {"1", "", "object"},
};

Test(cloudevents, an_error_names_the_attribute_and_the_rule)
{
	struct sq_ce ce = {0};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct sq_buf copy = {0};
		struct sq_ce_error err = {0};
		struct sq_bytes json = no_room_behind(wrong[i].json, &copy);

		cr_assert(sq_ce_structured(&ce, json, &err) == SQ_EINVAL, "%s", wrong[i].json);
		cr_expect_str_eq(err.attribute, wrong[i].attribute, "%s", wrong[i].json);
		cr_expect(strstr(err.why, wrong[i].why) != NULL && !err.malformed, "%s: %s",
		    wrong[i].json, err.why);
		cr_expect(sq_ce_attributes(&ce).len == 0 && ce.id.len == 0);
		sq_buf_fini(&copy);
	}
	sq_ce_fini(&ce);
}

Test(cloudevents, what_is_no_json_is_malformed_at_a_byte)
{
	struct sq_ce ce = {0};
	struct sq_ce_error err;

	cr_assert(sq_ce_structured(&ce, TEXT("{" NEEDED ",}"), &err) == SQ_EINVAL);
	cr_expect(err.malformed && err.offset == sizeof "{" NEEDED "," - 1);
	cr_assert(sq_ce_structured(&ce, TEXT(""), &err) == SQ_EINVAL && err.malformed);
	sq_ce_fini(&ce);
}

Test(cloudevents, headers_that_are_wrong_are_named)
{
	static const struct {
		const char *name, *value, *attribute;
	} cases[] = {{"ce-id", "2", "id"}, {"ce-x", "%", "x"}, {"ce-x", "%4", "x"},
	    {"ce-x", "%zz", "x"}, {"ce-x", "%C0%A0", "x"}, {"ce-x", "%00", "x"},
	    {"ce-x", "%0A", "x"}, {"ce-x", "\"a", "x"}, {"ce-x", "\"a\\", "x"},
	    {"ce-x", "\xff", "x"}, {"ce-datacontenttype", "a/b", "datacontenttype"},
	    {"ce-data", "1", "data"}, {"ce-a_b", "1", "a_b"}, {"ce-", "1", ""},
	    {"ce-subject", "", "subject"}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *headers[] = {"ce-specversion", "1.0", "ce-id", "1", "ce-type", "t",
		    "ce-source", "s", cases[i].name, cases[i].value, NULL};
		struct sq_ce ce = {0};
		struct sq_ce_error err = {0};

		cr_expect(read_headers(&ce, headers, NULL, "", &err) == SQ_EINVAL, "%s: %s",
		    cases[i].name, cases[i].value);
		cr_expect_str_eq(err.attribute, cases[i].attribute, "%s", cases[i].value);
		sq_ce_fini(&ce);
	}
}

Test(cloudevents, attributes_are_bounded_in_number_and_length)
{
	struct sq_buf json = {0}, value = {0};
	struct sq_ce ce = {0};
	struct sq_ce_error err;

	sq_buf_printf(&json, "{" NEEDED);
	for (int i = 4; i < SQ_CE_ATTRIBUTES_MAX; i++)
		sq_buf_printf(&json, ",\"x%d\":\"\",\"n%d\":null", i, i);
	sq_buf_printf(&json, "}");
	cr_expect(sq_ce_structured(&ce, sq_buf_bytes(&json), &err) == 0);
	json.base[json.end - 1] = ',';
	sq_buf_printf(&json, "\"more\":1}");
	cr_expect(sq_ce_structured(&ce, sq_buf_bytes(&json), &err) == SQ_EINVAL);
	cr_expect_str_eq(err.attribute, "more");
	for (int i = 0; i < 65536; i++)
		sq_buf_u8(&value, 'a');
	sq_ce_reset(&ce);
	cr_expect(sq_ce_header(
		      &ce, TEXT("ce-x"), (struct sq_bytes){sq_buf_data(&value), 65535}, &err) == 0);
	cr_expect(sq_ce_header(&ce, TEXT("ce-y"), (struct sq_bytes){sq_buf_data(&value), 65536},
		      &err) == SQ_EINVAL);
	cr_expect_str_eq(err.attribute, "y");
	sq_ce_fini(&ce);
	sq_buf_fini(&json);
	sq_buf_fini(&value);
}

Test(cloudevents, a_long_name_is_shown_cut_at_a_character)
{
	struct sq_buf json = {0};
	struct sq_ce ce = {0};
	struct sq_ce_error err;

	sq_buf_printf(&json, "{\"x");
	for (int i = 0; i < 100; i++)
		sq_buf_printf(&json, "\xc3\xa9");
	sq_buf_printf(&json, "\":1}");
	cr_expect(sq_ce_structured(&ce, sq_buf_bytes(&json), &err) == SQ_EINVAL);
	cr_expect(strlen(err.attribute) == 63);
	sq_ce_fini(&ce);
	sq_buf_fini(&json);
}

Test(cloudevents, a_batch_is_read_element_by_element)
{
	struct sq_json_token at[5];
	struct sq_json_tokens t = {.at = at, .room = 5, .depth = 1};
	struct sq_ce ce = {0};
	struct sq_ce_error err;
	uint32_t i;

	cr_assert(
	    sq_ce_batch(&t, TEXT("[{" NEEDED ",\"data\":[1]} , {\"id\":\"2\"}, 3]"), &err) == 0);
	i = sq_json_first(&t, 0);
	cr_expect(sq_ce_structured(&ce, sq_json_raw(&t, i), &err) == 0);
	is_text(ce.payload, "[1]");
	i = sq_json_next(&t, 0, i);
	cr_expect(sq_ce_structured(&ce, sq_json_raw(&t, i), &err) == SQ_EINVAL);
	cr_expect_str_eq(err.attribute, "specversion");
	i = sq_json_next(&t, 0, i);
	cr_expect(sq_ce_structured(&ce, sq_json_raw(&t, i), &err) == SQ_EINVAL && !err.malformed);
	cr_expect(sq_json_next(&t, 0, i) == 0);
	cr_expect(sq_ce_batch(&t, TEXT("[]"), &err) == 0 && sq_json_first(&t, 0) == 0);
	cr_expect(sq_ce_batch(&t, TEXT("{}"), &err) == SQ_EINVAL && !err.malformed);
	cr_expect(sq_ce_batch(&t, TEXT("[{}"), &err) == SQ_EINVAL && err.malformed);
	cr_expect(sq_ce_batch(&t, TEXT("[1,2,3,4]"), &err) == 0);
	cr_expect(sq_ce_batch(&t, TEXT("[1,2,3,4,5]"), &err) == SQ_ETOOBIG);
	sq_ce_fini(&ce);
}

static void
prop(struct sq_buf *props, const char *name, const char *value)
{
	cr_assert(sq_mqtt_user_append(props, sq_bytes_of(name), sq_bytes_of(value)) == 0);
}

static void
content_type(struct sq_buf *props, const char *type)
{
	sq_buf_u8(props, SQ_MQTT_PROP_CONTENT_TYPE);
	sq_buf_u16(props, (uint16_t)strlen(type));
	sq_buf_append(props, type, strlen(type));
}

static void
needed(struct sq_buf *props)
{
	prop(props, "specversion", "1.0");
	prop(props, "id", "1");
	prop(props, "sqmqos-key", "k");
	prop(props, "type", "t");
	prop(props, "source", "/s");
	prop(props, "tag", "eu");
	prop(props, "tag", "shop");
}

static int
read_message(struct sq_ce *ce, struct sq_buf *props, struct sq_bytes payload)
{
	return sq_ce_message(ce, sq_buf_bytes(props), payload);
}

Test(cloudevents, a_message_that_is_an_event_becomes_json)
{
	static const struct {
		const char *type;
		struct sq_bytes payload;
		const char *data;
	} cases[] = {
	    {"application/json", TEXT("{\"n\": 1.0}"), "\"data\":{\"n\": 1.0}"},
	    {"application/json", TEXT("{\"n\":"), "\"data_base64\":\"eyJuIjo=\""},
	    {"text/plain", TEXT("a\"\n\xc3\xa9"), "\"data\":\"a\\\"\\n\xc3\xa9\""},
	    {"text/plain", TEXT("\xff"), "\"data_base64\":\"/w==\""},
	    {"text/plain; charset=latin1", TEXT("a"), "\"data_base64\":\"YQ==\""},
	    {"text/plain;x=y; charset=\"UTF-8\"", TEXT("a"), "\"data\":\"a\""},
	    {"application/atom+xml", TEXT("<a/>"), "\"data\":\"<a/>\""},
	    {"image/png", TEXT("a"), "\"data_base64\":\"YQ==\""},
	};
	struct sq_ce ce = {0};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sq_buf props = {0}, json = {0}, type = {0};

		needed(&props);
		content_type(&props, cases[i].type);
		cr_assert(read_message(&ce, &props, cases[i].payload) == 0);
		for (const char *p = cases[i].type; *p != '\0'; p++)
			sq_buf_printf(&type, *p == '"' ? "\\%c" : "%c", *p);
		sq_buf_u8(&type, 0);
		sq_buf_printf(&json,
		    "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\",\"source\":\"/"
		    "s\",\"tag\":"
		    "\"eu\",\"datacontenttype\":\"%s\",%s}%c",
		    (char *)sq_buf_data(&type), cases[i].data, 0);
		is_json(&ce, (char *)sq_buf_data(&json));
		sq_buf_fini(&props);
		sq_buf_fini(&json);
		sq_buf_fini(&type);
	}
	sq_ce_fini(&ce);
}

Test(cloudevents, a_message_without_a_type_or_a_payload)
{
	struct sq_buf props = {0};
	struct sq_ce ce = {0};

	needed(&props);
	cr_assert(read_message(&ce, &props, TEXT("x")) == 0);
	is_json(&ce,
	    "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\",\"source\":\"/s\",\"tag\":"
	    "\"eu\",\"data_base64\":\"eA==\"}");
	prop(&props, "datacontenttype", "text/css");
	cr_assert(read_message(&ce, &props, TEXT("x")) == 0);
	is_text(ce.content_type, "text/css");
	content_type(&props, "text/plain");
	cr_assert(read_message(&ce, &props, TEXT("")) == 0);
	is_json(&ce,
	    "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\",\"source\":\"/s\",\"tag\":"
	    "\"eu\",\"datacontenttype\":\"text/plain\"}");
	sq_buf_fini(&props);
	sq_ce_fini(&ce);
}

Test(cloudevents, a_structured_message_is_an_event_and_others_are_none)
{
	struct sq_buf props = {0};
	struct sq_ce ce = {0};

	cr_expect(read_message(&ce, &props, TEXT("x")) == SQ_ENOTFOUND);
	content_type(&props, "application/cloudevents+json; charset=utf-8");
	cr_expect(read_message(&ce, &props, TEXT("{" NEEDED ",\"data\":5}")) == 0);
	is_text(ce.payload, "5");
	cr_expect(read_message(&ce, &props, TEXT("{")) == SQ_ENOTFOUND);
	sq_buf_fini(&props);
	prop(&props, "specversion", "1.0");
	prop(&props, "id", "1");
	prop(&props, "type", "t");
	cr_expect(read_message(&ce, &props, TEXT("x")) == SQ_ENOTFOUND);
	prop(&props, "source", "a b");
	cr_expect(read_message(&ce, &props, TEXT("x")) == SQ_ENOTFOUND);
	sq_buf_fini(&props);
	sq_ce_fini(&ce);
}

Test(cloudevents, content_types_say_the_form)
{
	cr_expect(sq_ce_form(TEXT("application/cloudevents+json")) == SQ_CE_STRUCTURED);
	cr_expect(
	    sq_ce_form(TEXT("Application/CloudEvents+JSON; charset=UTF-8")) == SQ_CE_STRUCTURED);
	cr_expect(sq_ce_form(TEXT("application/cloudevents-batch+json")) == SQ_CE_BATCH);
	cr_expect(sq_ce_form(TEXT("application/cloudevents+avro")) == SQ_CE_UNKNOWN);
	cr_expect(sq_ce_form(TEXT("application/cloudevents")) == SQ_CE_UNKNOWN);
	cr_expect(sq_ce_form(TEXT("application/json")) == SQ_CE_OTHER);
	cr_expect(sq_ce_form((struct sq_bytes){0}) == SQ_CE_OTHER);
}

Test(cloudevents, topics_and_keys_are_made_of_the_event)
{
	struct sq_buf topic = {0}, key = {0};
	struct sq_ce ce = {0};
	struct sq_ce_error err;
	const char *why = NULL;

	cr_assert(sq_ce_structured(&ce,
		      TEXT("{\"specversion\":\"1.0\",\"type\":\"com.example.a+b\",\"source\":"
			   "\"/shop/#1\",\"id\":\"i 1\"}"),
		      &err) == 0);
	cr_assert(sq_ce_topic(&ce, "events/{ce.type}/{ce.source}{ce.subject}", &topic) == 0);
	is_text(sq_buf_bytes(&topic), "events/com.example.a_b/_shop__1_");
	sq_ce_key(&ce, &key);
	is_text(sq_buf_bytes(&key), "/shop/#1 i 1");
	cr_expect(sq_ce_topic_check("events/{ce.type}", &why) == 0);
	cr_expect(sq_ce_topic_check("events", &why) == 0);
	cr_expect(sq_ce_topic_check("events/{ce.id}", &why) == SQ_EINVAL && why != NULL);
	cr_expect(sq_ce_topic_check("events/{", &why) == SQ_EINVAL);
	cr_expect(sq_ce_topic_check("events/+", &why) == SQ_EINVAL);
	cr_expect(sq_ce_topic_check("", &why) == SQ_EINVAL);
	sq_buf_fini(&topic);
	sq_buf_fini(&key);
	sq_ce_fini(&ce);
}

Test(cloudevents, a_topic_longer_than_one_may_be_is_refused)
{
	struct sq_buf json = {0}, topic = {0};
	struct sq_ce ce = {0};
	struct sq_ce_error err;

	sq_buf_printf(&json, "{\"specversion\":\"1.0\",\"source\":\"/s\",\"id\":\"1\",\"type\":\"");
	for (int i = 0; i < 40000; i++)
		sq_buf_u8(&json, 't');
	sq_buf_printf(&json, "\"}");
	cr_assert(sq_ce_structured(&ce, sq_buf_bytes(&json), &err) == 0);
	cr_expect(sq_ce_topic(&ce, "{ce.type}{ce.type}", &topic) == SQ_ETOOBIG);
	cr_expect(sq_buf_len(&topic) == 0);
	cr_expect(sq_ce_topic(&ce, "{ce.type}", &topic) == 0 && sq_buf_len(&topic) == 40000);
	sq_buf_fini(&json);
	sq_buf_fini(&topic);
	sq_ce_fini(&ce);
}

static void
about_is(const struct sq_ce_about *about, const struct sq_ce_told *told, const char *expected)
{
	struct sq_ce ce = {0};
	struct sq_buf out = {0};

	sq_ce_about(&ce, about);
	sq_ce_json_told(&ce, told, &out);
	sq_buf_u8(&out, 0);
	cr_expect_str_eq((char *)sq_buf_data(&out), expected);
	sq_buf_fini(&out);
	sq_ce_fini(&ce);
}

#define ABOUT "{\"specversion\":\"1.0\",\"id\":\"i\",\"source\":\"/s\",\"type\":\"t\""

Test(cloudevents, an_event_about_a_message)
{
	struct sq_ce_about about = {
	    .id = TEXT("i"), .source = TEXT("/s"), .type = TEXT("t"), .payload = TEXT("hi")};

	about_is(&about, &(struct sq_ce_told){.topic = TEXT("a/\"")},
	    ABOUT ",\"data_base64\":\"aGk=\",\"sqmqostopic\":\"a/\\\"\"}");
	about.subject = TEXT("a/b");
	about.order_key = TEXT("k");
	about.content_type = TEXT("text/plain");
	about.time_ms = 1522949460250;
	about_is(&about, &(struct sq_ce_told){.topic = TEXT("x"), .attempt = 3, .lease = "L"},
	    ABOUT
	    ",\"subject\":\"a/b\",\"time\":\"2018-04-05T17:31:00.250Z\",\"partitionkey\":\"k\","
	    "\"datacontenttype\":\"text/plain\",\"data\":\"hi\",\"sqmqosattempt\":3,"
	    "\"sqmqoslease\":\"L\",\"sqmqostopic\":\"x\"}");
}

Test(cloudevents, what_can_be_no_attribute_is_left_out)
{
	struct sq_buf longer = {0};
	struct sq_ce_about about = {.id = TEXT("i"),
	    .source = TEXT("/s"),
	    .type = TEXT("t"),
	    .subject = TEXT("a\x01"),
	    .order_key = TEXT("\xff"),
	    .content_type = TEXT("json\n")};

	about_is(&about, &(struct sq_ce_told){.topic = TEXT("x")}, ABOUT ",\"sqmqostopic\":\"x\"}");
	for (size_t i = 0; i < 65536; i++)
		sq_buf_u8(&longer, 'x');
	about.subject = sq_buf_bytes(&longer);
	about_is(&about, &(struct sq_ce_told){.topic = TEXT("x")}, ABOUT ",\"sqmqostopic\":\"x\"}");
	sq_buf_fini(&longer);
}

Test(cloudevents, nobody_says_what_the_broker_alone_says)
{
	static const char *const names[] = {"sqmqoslease", "sqmqosattempt", "sqmqostopic"};
	static const char *const needed[][2] = {
	    {"specversion", "1.0"}, {"id", "1"}, {"source", "/s"}, {"type", "t"}};

	for (size_t i = 0; i <= 3; i++) {
		struct sq_buf props = {0};
		struct sq_ce ce = {0};
		int rc;

		for (size_t k = 0; k < 4; k++)
			cr_assert_eq(sq_mqtt_user_append(&props, sq_bytes_of(needed[k][0]),
					 sq_bytes_of(needed[k][1])),
			    0);
		if (i < 3)
			cr_assert_eq(
			    sq_mqtt_user_append(&props, sq_bytes_of(names[i]), TEXT("x")), 0);
		rc = sq_ce_handed(&ce, sq_buf_bytes(&props), TEXT("hi"));
		cr_expect_eq(rc, i < 3 ? SQ_ENOTFOUND : 0, "%zu", i);
		cr_expect_eq(ce.id.len, i < 3 ? 0 : 1);
		sq_buf_fini(&props);
		sq_ce_fini(&ce);
	}
}
