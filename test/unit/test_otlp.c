#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "telemetry/headers.h"
#include "telemetry/otlp.h"

/* A value below 'o' by its path, as "spans/0/name". */
static json_t *
at(json_t *o, const char *path)
{
	char step[64];

	while (*path != '\0') {
		size_t n = strcspn(path, "/");

		memcpy(step, path, n);
		step[n] = '\0';
		path += n + (path[n] == '/');
		o = json_is_array(o) ? json_array_get(o, (size_t)atoi(step))
				     : json_object_get(o, step);
	}
	return o;
}

static const char *
text(json_t *o, const char *path)
{
	const char *s = json_string_value(at(o, path));

	return s != NULL ? s : "";
}

/* The value of an attribute in a list of them, as text; "": there is none. */
static const char *
attribute(json_t *list, const char *key)
{
	json_t *a;
	size_t i;

	json_array_foreach(list, i, a)
	{
		if (strcmp(text(a, "key"), key) == 0)
			return json_string_value(
			    json_object_iter_value(json_object_iter(json_object_get(a, "value"))));
	}
	return "";
}

static json_t *
written(const struct sq_span *spans, size_t n)
{
	const struct sq_otlp_resource who = {
	    .service = "shop", .pod = "shop-1", .namespace = "default"};
	struct sq_buf out = {0};
	json_t *o;

	sq_otlp_write(&out, &who, spans, n);
	o = json_loadb((const char *)sq_buf_data(&out), sq_buf_len(&out), 0, NULL);
	cr_assert_not_null(o);
	sq_buf_fini(&out);
	return o;
}

Test(otlp, a_span_as_json)
{
	struct sq_span s[2] = {{.what = SQ_SPAN_DELIVER,
				   .trace = {0x4b, 0xf9, [15] = 0x36},
				   .id = {1, [7] = 0xff},
				   .parent = {2},
				   .start_us = UINT64_C(1700000000000001),
				   .end_us = UINT64_C(1700000000000501),
				   .origin = {1, 2, 3},
				   .body_bytes = 10,
				   .qos = 1,
				   .topic = "a/\"b\"\\\n\xc3\xa9",
				   .client = "c"},
	    {.what = SQ_SPAN_PUBLISH, .trace = {1}, .id = {3}, .reason = 0x87, .topic = "\xff"}};
	json_t *o = written(s, 2), *one, *two, *r;

	r = at(o, "resourceSpans/0/resource/attributes");
	cr_expect_str_eq(attribute(r, "service.name"), "shop");
	cr_expect_str_eq(attribute(r, "k8s.pod.name"), "shop-1");
	cr_expect_str_eq(attribute(r, "k8s.namespace.name"), "default");
	cr_expect_str_eq(attribute(r, "host.name"), "");
	one = at(o, "resourceSpans/0/scopeSpans/0/spans/0");
	two = at(o, "resourceSpans/0/scopeSpans/0/spans/1");
	cr_expect_str_eq(text(one, "traceId"), "4bf90000000000000000000000000036");
	cr_expect_str_eq(text(one, "spanId"), "01000000000000ff");
	cr_expect_str_eq(text(one, "parentSpanId"), "0200000000000000");
	cr_expect_str_eq(text(one, "name"), "deliver");
	cr_expect_eq(json_integer_value(at(one, "kind")), 4);
	cr_expect_str_eq(text(one, "startTimeUnixNano"), "1700000000000001000");
	cr_expect_str_eq(text(one, "endTimeUnixNano"), "1700000000000501000");
	cr_expect_str_eq(
	    attribute(at(one, "attributes"), "messaging.destination.name"), "a/\"b\"\\\n\xc3\xa9");
	cr_expect_str_eq(attribute(at(one, "attributes"), "messaging.message.body.size"), "10");
	cr_expect_str_eq(attribute(at(one, "attributes"), "messaging.message.id"),
	    "0000000000000001-0000000000000002-3");
	cr_expect_null(at(one, "status"));
	cr_expect_null(at(two, "parentSpanId"), "it is a root");
	cr_expect_eq(json_integer_value(at(two, "status/code")), 2);
	cr_expect_str_eq(attribute(at(two, "attributes"), "error.type"), "0x87");
	cr_expect_str_eq(attribute(at(two, "attributes"), "messaging.destination.name"), "",
	    "what is not UTF-8 is left out");
	json_decref(o);
}

static uint64_t
rejected(const char *body)
{
	return sq_otlp_rejected(body, strlen(body));
}

Test(otlp, what_an_answer_says_was_rejected)
{
	cr_expect_eq(rejected(""), 0);
	cr_expect_eq(rejected("{}"), 0);
	cr_expect_eq(rejected("{\"partialSuccess\":{}}"), 0);
	cr_expect_eq(rejected("{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}"), 3);
	cr_expect_eq(rejected("{\"partialSuccess\":{\"rejectedSpans\":4}}"), 4);
	cr_expect_eq(rejected("{\"partialSuccess\":{\"rejectedSpans\":-4}}"), 0);
	cr_expect_eq(rejected("{\"partialSuccess\":{\"rejectedSpans\":\"-4\"}}"), 0);
	cr_expect_eq(rejected("{\"partialSuccess\":{\"rejectedSpans\":1e3}}"), 0);
	cr_expect_eq(
	    rejected("{\"partialSuccess\":{\"rejectedSpans\":\"99999999999999999999\"}}"), 0);
	cr_expect_eq(rejected("{\"partialSuccess\":{\"errorMessage\":\"{[\\u007d\","
			      "\"rejectedSpans\":\"12\",\"more\":[[{}]]}, \"other\":{}}"),
	    12);
	cr_expect_eq(rejected("{\"partialSuccess\":7}"), 0);
	cr_expect_eq(rejected("{\"partialSuccess\":{\"rejectedSpans\":\"3\"}"), 0);
	cr_expect_eq(rejected("[\"partialSuccess\"]"), 0);
	cr_expect_eq(rejected("<html>"), 0);
}

static void
each(void *owner, const char *name, const char *value)
{
	sq_buf_printf(owner, "%s: %s|", name, value);
}

/* The headers of a file with this content, or the line that says what is wrong. */
static const char *
headers(const char *content)
{
	static char out[SQ_HEADERS_FILE_MAX];
	char path[] = "/tmp/sqmqos-headers-XXXXXX";
	int fd = mkstemp(path);
	struct sq_buf found = {0}, err = {0}, *said;
	int rc;

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
	rc = sq_headers_read(path, each, &found, &err);
	said = rc == 0 ? &found : &err;
	sq_buf_u8(said, 0);
	snprintf(out, sizeof out, "%s", (char *)sq_buf_data(said) + (rc == 0 ? 0 : strlen(path)));
	sq_buf_fini(&found);
	sq_buf_fini(&err);
	unlink(path);
	return out;
}

Test(otlp, headers_of_a_file)
{
	cr_expect_str_eq(headers(""), "");
	cr_expect_str_eq(headers("# none\n\n"), "");
	cr_expect_str_eq(headers("a: b\r\nx-y:  c d\n#x\nq:z"), "a: b|x-y: c d|q: z|");
	cr_expect_str_eq(headers("a: b\nc\n"), ": line 2: not a header, as name: value");
	cr_expect_str_eq(headers("a b: c"), ": line 1: not a header, as name: value");
	cr_expect_str_eq(headers(": c"), ": line 1: not a header, as name: value");
	cr_expect_str_eq(headers("a:"), ": line 1: not a header, as name: value");
	cr_expect_str_eq(headers("a: \x01"), ": line 1: not a header, as name: value");
}
