/* The push of a declaration: read, checked, written, compared. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/declaration/declaration.h"

static const char *
text_of(struct sq_buf *b)
{
	sq_buf_u8(b, '\0');
	return (const char *)sq_buf_data(b);
}

static void
read_good(struct sq_declaration *d, const char *json)
{
	struct sq_buf err = {0};
	int rc;

	sq_declaration_init(d);
	rc = sq_declaration_read_json(d, sq_bytes_of(json), &err);
	cr_assert(rc == SQ_OK, "%s: %s", json, text_of(&err));
	sq_buf_fini(&err);
}

static void
read_bad(const char *json, const char *says)
{
	struct sq_declaration d;
	struct sq_buf err = {0};

	sq_declaration_init(&d);
	cr_expect(sq_declaration_read_json(&d, sq_bytes_of(json), &err) == SQ_EINVAL, "%s", json);
	cr_expect_str_eq(text_of(&err), says);
	sq_declaration_fini(&d);
	sq_buf_fini(&err);
}

/* A push to http://h with more members, as JSON. */
#define PUSH(members) "{\"push\":{\"url\":\"http://h\"," members "}}"

static const char whole[] =
    "{\"bindings\":[{\"filter\":\"orders/#\",\"qos\":2},{\"tag\":\"audit\"}],\"order\":\"key\","
    "\"push\":{\"url\":\"https://h.example:8443/e/{topic.1}?x=1\",\"format\":\"structured\","
    "\"timeout\":\"45s\",\"concurrency\":30,\"rate\":\"600/m\","
    "\"retry\":{\"first\":\"2s\",\"factor\":3,\"max\":\"1h\",\"jitter\":false,\"attempts\":8,"
    "\"for\":\"24h\"},\"breaker\":{\"failures\":7,\"probe\":\"1s\",\"max\":\"2m\"},\"http2\":true,"
    "\"auth\":{\"bearer\":\"tok\",\"clientCert\":\"me.pem\",\"header\":\"x-api-key\","
    "\"value\":\"key\"},\"sign\":{\"secret\":\"whsec\"},\"validate\":\"required\","
    "\"reply\":{\"topic\":\"invoices/{topic.2}\"},"
    "\"headers\":{\"X-Tenant\":\"{space}\",\"x-a\":\"\\\"q\\\"\"},"
    "\"on\":{\"deadLetter\":[\"4xx\",\"418\"],\"retry\":[409,404,404],\"pause\":[410]}}}";

Test(declared_push, every_member_is_read)
{
	struct sq_declaration d;
	const struct sq_declared_push *p = &d.push;

	read_good(&d, whole);
	cr_expect_str_eq(p->url, "https://h.example:8443/e/{topic.1}?x=1");
	cr_expect(p->format == SQ_PUSH_STRUCTURED && p->timeout_ms == 45000);
	cr_expect(p->concurrency == 30 && p->rate.n == 600 && p->rate.per_ms == 60000);
	cr_expect(p->retry.first_ms == 2000 && p->retry.factor == 3 && p->retry.max_ms == 3600000);
	cr_expect(!p->retry.jitter && p->attempts == 8 && p->for_ms == 86400000);
	cr_expect(p->breaker.failures == 7 && p->breaker.probe_ms == 1000);
	cr_expect(p->breaker.max_ms == 120000 && p->http2 && p->ca_file == NULL);
	cr_expect_str_eq(p->auth.bearer.name, "tok");
	cr_expect_str_eq(p->auth.cert.name, "me.pem");
	cr_expect_str_eq(p->auth.header, "x-api-key");
	cr_expect_str_eq(p->auth.value.name, "key");
	cr_expect(p->auth.bearer.file == NULL && p->auth.basic.name == NULL);
	cr_expect_str_eq(p->sign.name, "whsec");
	cr_expect(p->validate == SQ_PUSH_VALIDATE_REQUIRED);
	cr_expect_str_eq(p->reply.topic, "invoices/{topic.2}");
	cr_assert(p->n_headers == 2);
	cr_expect_str_eq(p->headers[0].name, "x-a");
	cr_expect_str_eq(p->headers[0].value, "\"q\"");
	cr_expect_str_eq(p->headers[1].name, "x-tenant");
	cr_expect(p->on.dead_letter.n == 2 && p->on.dead_letter.v[0].status == 400);
	cr_expect(p->on.dead_letter.v[0].all && !p->on.dead_letter.v[1].all);
	cr_expect(p->on.retry.n == 2 && p->on.retry.v[0].status == 404);
	cr_expect(p->on.pause.n == 1 && p->on.pause.v[0].status == 410);
	sq_declaration_fini(&d);
	cr_expect(p->url == NULL && p->headers == NULL && p->auth.bearer.name == NULL);
}

Test(declared_push, what_is_not_named_has_its_default)
{
	struct sq_declaration d;
	const struct sq_declared_push *p = &d.push;

	read_good(&d, "{\"push\":{\"url\":\"http://h\"}}");
	cr_expect(p->format == SQ_PUSH_BINARY && p->batch.max == 1 && p->batch.bytes == 256 << 10);
	cr_expect(p->batch.linger_ms == 20 && p->timeout_ms == 30000 && p->concurrency == 20);
	cr_expect(p->rate.n == 0 && p->retry.first_ms == 0 && p->retry.factor == 0);
	cr_expect(p->retry.max_ms == 0 && p->retry.jitter && p->attempts == 0 && p->for_ms == 0);
	cr_expect(p->breaker.failures == 5 && p->breaker.probe_ms == 5000);
	cr_expect(p->breaker.max_ms == 300000 && !p->http2);
	cr_expect(p->validate == SQ_PUSH_VALIDATE_OFF && p->sign.name == NULL);
	cr_expect(p->reply.topic == NULL && !p->reply.from_request && p->n_headers == 0);
	sq_declaration_fini(&d);
}

Test(declared_push, what_is_written_reads_as_the_same)
{
	static const char *const texts[] = {whole, "{}", "{\"push\":{\"url\":\"http://h\"}}",
	    PUSH("\"reply\":\"from-request\""), PUSH("\"reply\":{\"fromRequest\":true}"),
	    PUSH("\"validate\":false"), PUSH("\"on\":{\"retry\":\"404,5xx\"}"),
	    PUSH("\"on\":{\"retry\":404}"), PUSH("\"batch\":{\"max\":100},\"rate\":\"unlimited\""),
	    PUSH("\"on\":{\"pause\":[\"3xx\",\"5xx\",500]},\"auth\":{\"basic\":\"b\"}")};

	for (size_t i = 0; i < SQ_ARRAY_LEN(texts); i++) {
		struct sq_declaration d, again, kept;
		struct sq_buf out = {0}, push = {0}, err = {0};

		read_good(&d, texts[i]);
		sq_buf_u8(&out, '{');
		sq_declaration_write_json(&d, &out);
		sq_buf_u8(&out, '}');
		read_good(&again, text_of(&out));
		cr_expect(sq_declaration_equal(&d, &again), "%s", text_of(&out));
		/* And what a record has of it. */
		sq_declaration_write_push(&d, &push);
		sq_declaration_copy(&kept, &d);
		if (sq_buf_len(&push) > 0)
			cr_expect(
			    sq_declaration_read_push(&kept, sq_buf_bytes(&push), &err) == SQ_OK);
		cr_expect(sq_declaration_equal(&d, &kept));
		sq_declaration_fini(&d);
		sq_declaration_fini(&again);
		sq_declaration_fini(&kept);
		sq_buf_fini(&out);
		sq_buf_fini(&push);
		sq_buf_fini(&err);
	}
}

Test(declared_push, the_json_is_as_documented)
{
	struct sq_declaration d;
	struct sq_buf out = {0};

	read_good(&d, PUSH("\"sign\":{\"secret\":\"k\"},\"on\":{\"retry\":[\"5xx\",404]}"));
	sq_declaration_write_push(&d, &out);
	cr_expect_str_eq(text_of(&out),
	    "{\"push\":{\"url\":\"http://h\",\"format\":\"binary\","
	    "\"batch\":{\"max\":1,\"bytes\":\"256Ki\",\"linger\":\"20ms\"},\"timeout\":\"30s\","
	    "\"concurrency\":20,\"rate\":\"unlimited\",\"retry\":{\"first\":\"queue\","
	    "\"factor\":\"queue\",\"max\":\"queue\",\"jitter\":true,\"attempts\":\"queue\","
	    "\"for\":\"unlimited\"},\"breaker\":{\"failures\":5,\"probe\":\"5s\",\"max\":\"5m\"},"
	    "\"http2\":false,\"sign\":{\"secret\":\"k\"},\"validate\":\"off\","
	    "\"reply\":{\"fromRequest\":false},\"on\":{\"retry\":[404,\"5xx\"]}}}");
	sq_declaration_fini(&d);
	sq_buf_fini(&out);
}

Test(declared_push, null_is_none)
{
	static const char *const nulls[] = {"{\"push\":null}",
	    "{\"push\":{\"url\":null,\"format\":\"binary\",\"timeout\":\"30s\",\"concurrency\":20,"
	    "\"rate\":\"unlimited\",\"retry\":null,\"breaker\":null,\"http2\":false,\"auth\":null,"
	    "\"sign\":null,\"validate\":\"off\",\"reply\":null,\"headers\":null,"
	    "\"on\":{\"deadLetter\":null,\"retry\":[],\"pause\":null}}}"};
	struct sq_declaration none;

	read_good(&none, "{\"order\":\"key\"}");
	for (size_t i = 0; i < SQ_ARRAY_LEN(nulls); i++) {
		struct sq_declaration d;
		struct sq_buf err = {0};
		int rc;

		read_good(&d, whole);
		sq_declaration_unbind(&d, "orders/#");
		sq_declaration_unbind(&d, "$tag/audit");
		cr_expect_not(sq_declaration_equal(&d, &none));
		rc = sq_declaration_read_json(&d, sq_bytes_of(nulls[i]), &err);
		cr_expect(rc == SQ_OK, "%s", text_of(&err));
		cr_expect(sq_declaration_equal(&d, &none));
		sq_declaration_fini(&d);
		sq_buf_fini(&err);
	}
	sq_declaration_fini(&none);
}

Test(declared_push, a_copy_is_equal_and_its_own)
{
	struct sq_declaration d, copy;

	read_good(&d, whole);
	sq_declaration_copy(&copy, &d);
	cr_expect(sq_declaration_equal(&d, &copy));
	sq_declaration_fini(&d);
	cr_expect_str_eq(copy.push.headers[1].value, "{space}");
	cr_expect_str_eq(copy.push.auth.cert.name, "me.pem");
	sq_declaration_fini(&copy);
}

/* Each setting of the push tells two declarations apart. */
Test(declared_push, another_value_is_not_equal)
{
	static const char *const others[] = {"\"url\":\"http://h/2\"", "\"format\":\"raw\"",
	    "\"batch\":{\"max\":2}", "\"batch\":{\"bytes\":\"1Ki\"}",
	    "\"batch\":{\"linger\":\"1s\"}", "\"timeout\":\"1s\"", "\"concurrency\":1",
	    "\"rate\":\"1/s\"", "\"rate\":\"1/h\"", "\"retry\":{\"first\":\"3s\"}",
	    "\"retry\":{\"factor\":1}", "\"retry\":{\"max\":\"3s\"}",
	    "\"retry\":{\"jitter\":false}", "\"retry\":{\"attempts\":1}",
	    "\"retry\":{\"for\":\"1s\"}", "\"breaker\":{\"failures\":1}",
	    "\"breaker\":{\"probe\":\"1s\"}", "\"breaker\":{\"max\":\"6m\"}", "\"http2\":true",
	    "\"auth\":{\"bearer\":\"a\"}", "\"auth\":{\"basic\":\"a\"}",
	    "\"auth\":{\"clientCert\":\"a\"}", "\"auth\":{\"header\":\"x-k\",\"value\":\"a\"}",
	    "\"auth\":{\"header\":\"x-k\",\"value\":\"b\"}", "\"sign\":{\"secret\":\"a\"}",
	    "\"validate\":\"optional\"", "\"reply\":\"from-request\"",
	    "\"reply\":{\"topic\":\"r\"}", "\"headers\":{\"x-a\":\"1\"}",
	    "\"headers\":{\"x-a\":\"2\"}", "\"on\":{\"deadLetter\":[404]}",
	    "\"on\":{\"retry\":[404]}", "\"on\":{\"retry\":[405]}", "\"on\":{\"retry\":[400]}",
	    "\"on\":{\"retry\":[\"4xx\"]}", "\"on\":{\"pause\":[404]}"};
	struct sq_declaration all[SQ_ARRAY_LEN(others) + 1];

	read_good(&all[SQ_ARRAY_LEN(others)], "{\"push\":{\"url\":\"http://h\"}}");
	for (size_t i = 0; i < SQ_ARRAY_LEN(others); i++) {
		struct sq_buf json = {0};

		sq_buf_printf(&json, i == 0 ? "{\"push\":{%s}}" : PUSH("%s"), others[i]);
		read_good(&all[i], text_of(&json));
		sq_buf_fini(&json);
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(all); i++) {
		for (size_t k = 0; k < SQ_ARRAY_LEN(all); k++)
			cr_expect(
			    (i == k) == sq_declaration_equal(&all[i], &all[k]), "%zu %zu", i, k);
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(all); i++)
		sq_declaration_fini(&all[i]);
}

Test(declared_push, a_fault_names_the_member)
{
	read_bad("{\"push\":3}", "push: is not an object");
	read_bad("{\"push\":{}, \"pushh\":{}}", "pushh: unknown member, did you mean push?");
	read_bad("{\"push\":{\"timeout\":\"3s\"}}", "push.url: is missing");
	read_bad(PUSH("\"rety\":{}"), "push.rety: unknown member, did you mean retry?");
	read_bad(PUSH("\"retry\":{\"atempts\":1}"),
	    "push.retry.atempts: unknown member, did you mean attempts?");
	read_bad(PUSH("\"retry\":{\"first\":\"2h\"}"),
	    "push.retry.first: 2h is out of range: 1ms to 1h");
	read_bad(PUSH("\"concurrency\":1001"), "push.concurrency: 1001 is out of range: 1 to 1000");
	read_bad(PUSH("\"concurrency\":\"auto\""), "push.concurrency: auto is not a number");
	read_bad(PUSH("\"timeout\":\"11m\""), "push.timeout: 11m is out of range: 1s to 10m");
	read_bad(PUSH("\"rate\":\"100\""),
	    "push.rate: 100 is not a rate like 100/s, 600/m or 50/h, up to 1000000, or unlimited");
	read_bad(PUSH("\"rate\":\"1000001/s\""),
	    "push.rate: 1000001/s is not a rate like 100/s, 600/m or 50/h, up to 1000000, or "
	    "unlimited");
	read_bad(PUSH("\"rate\":\"0/s\""),
	    "push.rate: 0/s is not a rate like 100/s, 600/m or 50/h, up to 1000000, or unlimited");
	read_bad(PUSH("\"rate\":100"), "push.rate: is not a string");
	read_bad(PUSH("\"on\":{\"retry\":true}"), "push.on.retry: is not an array");
	read_bad(PUSH("\"on\":{\"retry\":[\"4x4\"]}"),
	    "push.on.retry: 4x4 is not a status of 300 to 599, or all of a hundred as 4xx");
	read_bad(PUSH("\"on\":{\"retry\":[\"2xx\"]}"),
	    "push.on.retry: 2xx is not a status of 300 to 599, or all of a hundred as 4xx");
	read_bad(
	    PUSH("\"on\":{\"retry\":[[404]]}"), "push.on.retry: has something that is no status");
	read_bad(PUSH("\"headers\":[]"), "push.headers: is not an object");
	read_bad(
	    PUSH("\"headers\":{\"x-a\":3}"), "push.headers.x-a: is not a string without U+0000");
	read_bad(PUSH("\"headers\":{\"x-a\":\"\"}"), "push.headers.x-a: is empty");
	read_bad(PUSH("\"headers\":{\"x a\":\"1\"}"), "push.headers.x a: is no name of a header");
	read_bad(
	    PUSH("\"headers\":{\"x-a\":\"1\",\"X-A\":\"2\"}"), "push.headers.X-A: is there twice");
	read_bad(PUSH("\"reply\":7"), "push.reply: is not an object");
	read_bad(PUSH("\"reply\":\"there\""), "push.reply: there is not one of none, from-request");
}

Test(declared_push, only_files_name_files)
{
	struct sq_declaration d;
	struct sq_buf err = {0};

	read_bad(PUSH("\"sign\":{\"secretFile\":\"/etc/passwd\"}"),
	    "push.sign.secretFile: names a file, as files of subscribers.dir alone may; "
	    "push.sign.secret takes a name in push.secrets-dir");
	read_bad(PUSH("\"auth\":{\"clientCertFile\":\"/etc/passwd\"}"),
	    "push.auth.clientCertFile: names a file, as files of subscribers.dir alone may; "
	    "push.auth.clientCert takes a name in push.secrets-dir");
	read_bad(PUSH("\"auth\":{\"oidcFile\":\"/etc/passwd\"}"),
	    "push.auth.oidcFile: names a file, as files of subscribers.dir alone may");
	read_bad(PUSH("\"caFile\":\"/etc/passwd\""),
	    "push.caFile: names a file, as files of subscribers.dir alone may");
	sq_declaration_init(&d);
	cr_expect(sq_declaration_set(&d, sq_bytes_of("push.sign.secret-file"), sq_bytes_of("etc/k"),
		      &err) == SQ_EINVAL);
	cr_expect_str_eq(text_of(&err), "push.sign.secret-file: is not a path that starts with /");
	sq_buf_fini(&err);
	cr_expect(sq_declaration_set(&d, sq_bytes_of("push.sign.secret-file"),
		      sq_bytes_of("/etc/k"), &err) == SQ_OK);
	cr_expect_str_eq(d.push.sign.file, "/etc/k");
	sq_declaration_fini(&d);
}

Test(declared_push, names_of_secrets)
{
	static const char *const names[] = {"../k", ".k", "a/b", "a b", "k\xc3\xa9"};
	struct sq_declaration d;
	char json[512], says[512];

	for (size_t i = 0; i < SQ_ARRAY_LEN(names); i++) {
		(void)snprintf(json, sizeof json, PUSH("\"sign\":{\"secret\":\"%s\"}"), names[i]);
		(void)snprintf(says, sizeof says,
		    "push.sign.secret: is not the name of a secret: 1 to 128 of A-Z a-z 0-9 . _ -, "
		    "no "
		    ". in front");
		read_bad(json, says);
	}
	read_bad(PUSH("\"sign\":{\"secret\":\"whsec_c2VjcmV0\"}"),
	    "push.sign.secret: is a key itself, not the name of one in push.secrets-dir");
	read_bad(PUSH("\"auth\":{\"bearer\":\"eyJhbGciOi.J9.x\"}"),
	    "push.auth.bearer: is a token itself, not the name of one in push.secrets-dir");
	(void)snprintf(json, sizeof json, PUSH("\"sign\":{\"secret\":\"%0129d\"}"), 0);
	read_bad(json, says);
	(void)snprintf(json, sizeof json, PUSH("\"sign\":{\"secret\":\"%0128d\"}"), 0);
	read_good(&d, json);
	cr_expect(strlen(d.push.sign.name) == 128);
	sq_declaration_fini(&d);
}

/* A URL, alone. */
static void
url_is(const char *url, const char *says)
{
	struct sq_declaration d;
	struct sq_buf err = {0};
	int rc;

	sq_declaration_init(&d);
	cr_assert(sq_declaration_set(&d, sq_bytes_of("push.url"), sq_bytes_of(url), &err) == SQ_OK);
	rc = sq_declaration_check(&d, &err);
	cr_expect((rc == SQ_OK) == (says == NULL), "%s", url);
	cr_expect_str_eq(text_of(&err), says != NULL ? says : "");
	sq_declaration_fini(&d);
	sq_buf_fini(&err);
}

Test(declared_push, urls)
{
	url_is("http://h", NULL);
	url_is("HTTPS://h.example:65535/a%20b/{topic}?q=1&r={",
	    "push.url: a template is in its path "
	    "alone");
	url_is("HTTPS://h.example:65535/a%20b/{topic}?q=1&r=2", NULL);
	url_is("http://[::1]:80/x", NULL);
	url_is("http://h/{{x}}", "push.url: path: at byte 1: no URL has such a character");
	url_is("http://h?x", NULL);
	url_is("ftp://h", "push.url: does not begin with http:// or https://");
	url_is("{prop:scheme}://h", "push.url: does not begin with http:// or https://");
	url_is("http://", "push.url: has no host");
	url_is("http:///x", "push.url: has no host");
	url_is("http://[]/x", "push.url: has no host");
	url_is("http://[::1", "push.url: has no host");
	url_is("http://{topic.1}/x", "push.url: a template is in its path alone");
	url_is("http://a.{topic.1}/x", "push.url: a template is in its path alone");
	url_is("http://h:{topic.1}/x", "push.url: a template is in its path alone");
	url_is("http://u:p@h/x", "push.url: has user information: see push.auth");
	url_is("http://h:0/x", "push.url: has a wrong host or port");
	url_is("http://h:65536/x", "push.url: has a wrong host or port");
	url_is("http://h:/x", "push.url: has a wrong host or port");
	url_is("http://h:8a/x", "push.url: has a wrong host or port");
	url_is("http://h\\x/", "push.url: has a wrong host or port");
	url_is("http://h/x#y", "push.url: has a fragment");
	url_is("http://h/a b", "push.url: path: at byte 0: no URL has such a character");
	url_is("http://h/x?a b", "push.url: no URL has such a character");
	url_is("http://h/\xc3\xa9", "push.url: path: at byte 0: no URL has such a character");
	url_is("http://h/{tpic}",
	    "push.url: path: at byte 1: {tpic}: unknown name, did you mean topic?");
	url_is("http://h/../x", "push.url: path: a path would have a segment of dots");
}

Test(declared_push, what_does_not_go_together)
{
	read_bad(PUSH("\"batch\":{\"max\":2},\"format\":\"raw\""),
	    "push.batch.max: there are no batches of raw payloads");
	read_bad(PUSH("\"batch\":{\"max\":2},\"headers\":{\"x\":\"{prop:a|b}\"}"),
	    "push.headers.x: a batch (push.batch.max) is of many messages: {space} and {queue} "
	    "alone");
	read_bad("{\"push\":{\"url\":\"http://h/{queue}/{topic.1}\",\"batch\":{\"max\":2}}}",
	    "push.url: a batch (push.batch.max) is of many messages: {space} and {queue} alone");
	read_bad(PUSH("\"batch\":{\"max\":2},\"reply\":{\"topic\":\"r\"}"),
	    "push.reply: there is none to a batch (push.batch.max)");
	read_bad(PUSH("\"batch\":{\"max\":2},\"reply\":\"from-request\""),
	    "push.reply: there is none to a batch (push.batch.max)");
	read_bad(PUSH("\"reply\":{\"topic\":\"r\",\"fromRequest\":true}"),
	    "push.reply: has a topic, and is from the request, too");
	read_bad(PUSH("\"reply\":{\"topic\":\"a/{x}\"}"),
	    "push.reply.topic: at byte 2: {x}: unknown name");
	read_bad(PUSH("\"retry\":{\"first\":\"2m\",\"max\":\"1m\"}"),
	    "push.retry.first: is longer than the longest wait");
	read_bad(PUSH("\"retry\":{\"first\":\"11m\"}"), /* than the queue's */
	    "push.retry.first: is longer than the longest wait");
	read_bad(
	    PUSH("\"retry\":{\"max\":\"10ms\"}"), "push.retry.max: is shorter than the first wait");
	read_bad(PUSH("\"breaker\":{\"probe\":\"6m\"}"),
	    "push.breaker.probe: is longer than push.breaker.max");
	read_bad(PUSH("\"on\":{\"retry\":[404],\"pause\":[410,404]}"),
	    "push.on.retry: 404 is in push.on.pause, too");
	read_bad(PUSH("\"on\":{\"deadLetter\":[\"5xx\"],\"pause\":[\"5xx\"]}"),
	    "push.on.pause: 5xx is in push.on.dead-letter, too");
	read_bad(PUSH("\"auth\":{\"bearer\":\"a\",\"basic\":\"b\"}"),
	    "push.auth.basic: there is a bearer token, too");
	read_bad(PUSH("\"auth\":{\"header\":\"x-k\"}"), "push.auth.value: is missing");
	read_bad(PUSH("\"auth\":{\"value\":\"k\"}"), "push.auth.header: is missing");
	read_bad(PUSH("\"auth\":{\"value\":\"k\",\"header\":\"Content-Type\"}"),
	    "push.auth.header: is a header of the broker's own");
	read_bad(PUSH("\"auth\":{\"value\":\"k\",\"header\":\"Authorization\",\"basic\":\"b\"}"),
	    "push.auth.header: there is a bearer token or a password, too");
	read_bad(PUSH("\"auth\":{\"value\":\"k\",\"header\":\"X-K\"},\"headers\":{\"x-k\":\"1\"}"),
	    "push.headers.x-k: is push.auth.header already");
}

Test(declared_push, headers_of_our_own)
{
	static const char *const names[] = {"content-type", "Ce-Id", "webhook-id", "sqmqos-topic",
	    "Host", "connection", "transfer-encoding", "idempotency-key", "traceparent",
	    "user-agent", "te", "content-length"};
	char json[256], says[256];

	for (size_t i = 0; i < SQ_ARRAY_LEN(names); i++) {
		char low[64];

		for (size_t k = 0; k <= strlen(names[i]); k++)
			low[k] = (char)(names[i][k] >= 'A' && names[i][k] <= 'Z' ? names[i][k] + 32
										 : names[i][k]);
		(void)snprintf(json, sizeof json, PUSH("\"headers\":{\"%s\":\"1\"}"), names[i]);
		(void)snprintf(
		    says, sizeof says, "push.headers.%s: is a header of the broker's own", low);
		read_bad(json, says);
	}
	read_bad(PUSH("\"headers\":{\"authorization\":\"1\"}"),
	    "push.headers.authorization: is what push.auth says");
	read_bad(PUSH("\"headers\":{\"x-a\":\"a\\nb\"}"),
	    "push.headers.x-a: at byte 0: no header has such a character");
	read_bad(PUSH("\"headers\":{\"x-a\":\"{topic\"}"),
	    "push.headers.x-a: at byte 0: a { without its pair; {{ is one alone");
}

static void
reply_is(const char *json, const char *says)
{
	struct sq_declaration d;
	struct sq_buf err = {0};
	int rc;

	read_good(&d, json);
	rc = sq_declaration_check_reply(&d, "shop", "billing", &err);
	cr_expect((rc == SQ_OK) == (says == NULL), "%s", json);
	cr_expect_str_eq(text_of(&err), says != NULL ? says : "");
	sq_declaration_fini(&d);
	sq_buf_fini(&err);
}

#define REPLIES(topic, binding) \
	"{\"bindings\":[{\"filter\":\"x/#\"}," binding "],\"push\":{\"url\":\"http://h\"," \
	"\"reply\":{\"topic\":\"" topic "\"}}}"

Test(declared_push, no_reply_comes_back)
{
	reply_is(REPLIES("invoices/{topic.2}", "{\"filter\":\"orders/#\"}"), NULL);
	reply_is(REPLIES("invoices/{topic.2}", "{\"tag\":\"invoice\"}"), NULL);
	reply_is(REPLIES("{space}/done", "{\"filter\":\"orders/+\"}"), NULL);
	reply_is(REPLIES("{space}/done", "{\"filter\":\"shop/+\",\"id\":\"mine\"}"),
	    "push.reply.topic: the queue's own binding mine may match it: replies would come back");
	reply_is(REPLIES("{topic}/done", "{\"filter\":\"orders/+\"}"),
	    "push.reply.topic: the queue's own binding x/# may match it: replies would come back");
	reply_is("{\"bindings\":[{\"filter\":\"#\"}],\"push\":{\"url\":\"http://h\","
		 "\"reply\":\"from-request\"}}",
	    NULL);
}

Test(declared_push, the_shape_of_names)
{
	cr_expect(sq_declaration_shape(sq_bytes_of("lease")) == SQ_DECLARED_VALUE);
	cr_expect(sq_declaration_shape(sq_bytes_of("retry")) == SQ_DECLARED_GROUP);
	cr_expect(sq_declaration_shape(sq_bytes_of("push")) == SQ_DECLARED_GROUP);
	cr_expect(sq_declaration_shape(sq_bytes_of("push.retry")) == SQ_DECLARED_GROUP);
	cr_expect(sq_declaration_shape(sq_bytes_of("push.retr")) == SQ_DECLARED_NOTHING);
	cr_expect(sq_declaration_shape(sq_bytes_of("push.reply")) == SQ_DECLARED_EITHER);
	cr_expect(sq_declaration_shape(sq_bytes_of("push.on.retry")) == SQ_DECLARED_LIST);
	cr_expect(sq_declaration_shape(sq_bytes_of("push.headers")) == SQ_DECLARED_GROUP);
	cr_expect(sq_declaration_shape(sq_bytes_of("push.headers.x-a")) == SQ_DECLARED_VALUE);
	cr_expect(sq_declaration_shape(sq_bytes_of("push.headers.")) == SQ_DECLARED_NOTHING);
	cr_expect(sq_declaration_shape(sq_bytes_of("")) == SQ_DECLARED_NOTHING);
}
