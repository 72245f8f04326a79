/* net/curl/sign: what is signed, worked out again from what came (AWS Signature Version 4), and what is
 * refused.  Against another's signer: e2e/bridge_sqs. */
#include <criterion/criterion.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/asks.h"
#include "../support/sink.h"
#include "core/hmac.h"

static const struct sq_out_way plain = {0};
static const struct sq_out_signer signer = {.region = "eu-central-1",
    .service = "sqs",
    .key_id = "AKIDEXAMPLE",
    .secret = "wJalr/K7+EXA:MPLE"};
static struct sq_out *out;
static struct sink *sink;
static struct sq_buf err;
static char head[65536];
static struct sq_buf body;

static bool
serve(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner;
	(void)snprintf(head, sizeof head, "%s", req->head);
	sq_buf_drain(&body, sq_buf_len(&body));
	sq_buf_append(&body, req->body, req->body_len);
	return sink_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void
begin(void)
{
	sink = sink_start(&(struct sink_cfg){.serve = serve});
	out = sq_out_new(&(struct sq_out_cfg){.user_agent = "test"}, &err);
	cr_assert_not_null(out);
}

static void
end(void)
{
	sq_out_free(&out);
	sink_stop(&sink);
	sq_buf_fini(&err);
	sq_buf_fini(&body);
}

/* --- the standard, once more --- */

static void
hex(const unsigned char *p, size_t n, char *to)
{
	for (size_t i = 0; i < n; i++)
		(void)snprintf(to + 2 * i, 3, "%02x", p[i]);
}

static void
sha256(const void *p, size_t n, char to[65])
{
	unsigned char md[32];

	cr_assert_eq(EVP_Digest(p, n, md, NULL, EVP_sha256(), NULL), 1);
	hex(md, sizeof md, to);
}

static void
prove(unsigned char key[32], size_t key_len, const char *text)
{
	struct sq_hmac *h = sq_hmac_new(key, key_len);
	struct sq_bytes part = sq_bytes_of(text);

	sq_hmac_prove(h, &part, 1, key);
	sq_hmac_free(&h);
}

/* The value of a header that came, of any case. */
static void
value_of(const char *name, size_t len, char *to, size_t room)
{
	for (const char *l = strstr(head, "\r\n"); l != NULL; l = strstr(l + 2, "\r\n"))
		if (strncasecmp(l + 2, name, len) == 0 && l[2 + len] == ':') {
			const char *v = l + 3 + len + strspn(l + 3 + len, " ");

			(void)snprintf(to, room, "%.*s", (int)strcspn(v, "\r"), v);
			return;
		}
	cr_assert(false, "no %.*s in %s", (int)len, name, head);
}

/* Works the signature out again from what came, and compares. */
static void
expect_signed(const char *names)
{
	char auth[2048], date[64], day[16], hash[65], text[8192], want[2048], sig[65], v[4096];
	unsigned char key[96];
	size_t n;

	value_of("authorization", 13, auth, sizeof auth);
	value_of("x-amz-date", 10, date, sizeof date);
	(void)snprintf(day, sizeof day, "%.8s", date);
	n = (size_t)snprintf(text, sizeof text, "POST\n/\n\n");
	for (const char *at = names; *at != '\0'; at += strcspn(at, ";"), at += *at == ';') {
		size_t len = strcspn(at, ";");

		value_of(at, len, v, sizeof v);
		n += (size_t)snprintf(text + n, sizeof text - n, "%.*s:%s\n", (int)len, at, v);
	}
	sha256(sq_buf_data(&body), sq_buf_len(&body), hash);
	(void)snprintf(text + n, sizeof text - n, "\n%s\n%s", names, hash);
	sha256(text, strlen(text), hash);
	(void)snprintf(text, sizeof text,
	    "AWS4-HMAC-SHA256\n%s\n%s/eu-central-1/sqs/aws4_request\n%s", date, day, hash);
	n = (size_t)snprintf((char *)key, sizeof key, "AWS4%s", signer.secret);
	prove(key, n, day);
	prove(key, 32, "eu-central-1");
	prove(key, 32, "sqs");
	prove(key, 32, "aws4_request");
	prove(key, 32, text);
	hex(key, 32, sig);
	(void)snprintf(want, sizeof want,
	    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%s/eu-central-1/sqs/aws4_request, "
	    "SignedHeaders=%s, Signature=%s",
	    day, names, sig);
	cr_expect_str_eq(auth, want);
}

static void
init(struct ask *a, const char *path)
{
	ask_init(a, &plain, "http://127.0.0.1:%u%s", sink_port(sink), path);
	cr_assert_eq(
	    sq_out_header(&a->req, "Content-Type", sq_bytes_of("application/x-amz-json-1.0")),
	    SQ_OK);
	cr_assert_eq(
	    sq_out_header(&a->req, "X-Amz-Target", sq_bytes_of("AmazonSQS.SendMessage")), SQ_OK);
}

Test(out_sign, a_request_is_signed_with_its_headers_and_body)
{
	struct ask a;

	begin();
	init(&a, "");
	cr_assert_eq(sq_out_sign(&a.req, &signer), SQ_OK);
	for (unsigned i = 0; i < 2; i++) {
		cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED, "%s", a.req.why);
		expect_signed("content-type;host;x-amz-date;x-amz-target");
	}
	ask_fini(&a);
	end();
}

Test(out_sign, the_token_of_a_session_is_signed)
{
	struct sq_out_signer s = signer;
	struct ask a;

	s.token = "FwoGZXIvYXdzEBY//////////wEaDM+x==";
	begin();
	init(&a, "/");
	cr_assert_eq(sq_out_sign(&a.req, &s), SQ_OK);
	cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED, "%s", a.req.why);
	expect_signed("content-type;host;x-amz-date;x-amz-security-token;x-amz-target");
	ask_fini(&a);
	end();
}

Test(out_sign, a_body_above_a_mebibyte_is_signed)
{
	static unsigned char large[3 << 20];
	struct ask a;

	begin();
	init(&a, "/");
	memset(large, 'x', sizeof large);
	a.req.body = (struct sq_bytes){large, sizeof large};
	cr_assert_eq(sq_out_sign(&a.req, &signer), SQ_OK);
	cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED, "%s", a.req.why);
	cr_expect_eq(sq_buf_len(&body), sizeof large);
	expect_signed("content-type;host;x-amz-date;x-amz-target");
	ask_fini(&a);
	end();
}

Test(out_sign, who_is_not_signed_after_one_who_is_has_nothing_of_it)
{
	struct ask a;

	begin();
	init(&a, "/");
	cr_assert_eq(sq_out_sign(&a.req, &signer), SQ_OK);
	cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED);
	ask_fini(&a);
	cr_expect_eq(sq_buf_len(&a.req.sign), 0);
	cr_expect_eq(ask_once(out, &plain, a.url), SQ_OUT_ANSWERED);
	cr_expect_null(strcasestr(head, "authorization"), "%s", head);
	cr_expect_null(strcasestr(head, "x-amz"), "%s", head);
	end();
}

/* --- refused --- */

static int
sign_with(const char *url, const char *name, const char *value, const struct sq_out_signer *s)
{
	struct sq_out_request req = {.url = url, .method = "POST"};
	int rc;

	cr_assert_eq(sq_out_header(&req, "Content-Type", sq_bytes_of("a/b")), SQ_OK);
	cr_assert_eq(sq_out_header(&req, name, sq_bytes_of(value)), SQ_OK);
	rc = sq_out_sign(&req, s);
	cr_expect_eq(sq_buf_len(&req.sign) > 0, rc == SQ_OK);
	sq_out_request_fini(&req);
	return rc;
}

Test(out_sign, what_libcurl_would_sign_wrongly_is_refused)
{
	cr_expect_eq(sign_with("https://h", "x", "a b", &signer), SQ_OK);
	cr_expect_eq(sign_with("https://h:1/", "x", "a", &signer), SQ_OK);
	cr_expect_eq(sign_with("https://h/a", "x", "a", &signer), SQ_EINVAL);
	cr_expect_eq(sign_with("https://h/?a=b", "x", "a", &signer), SQ_EINVAL);
	cr_expect_eq(sign_with("https://h?a=b", "x", "a", &signer), SQ_EINVAL);
	cr_expect_eq(sign_with("https://h", "x", "a  b", &signer), SQ_EINVAL);
	cr_expect_eq(sign_with("https://h", "x", "a\tb", &signer), SQ_EINVAL);
	cr_expect_eq(sign_with("https://h", "x", "", &signer), SQ_EINVAL);
	cr_expect_eq(sign_with("https://h", "content-type", "a/c", &signer), SQ_EINVAL);
}

Test(out_sign, texts_that_no_signer_has_are_refused)
{
	struct sq_out_signer s = signer;

	s.key_id = "a:b";
	cr_expect_eq(sign_with("https://h", "x", "a", &s), SQ_EINVAL);
	s.key_id = "a\nb";
	cr_expect_eq(sign_with("https://h", "x", "a", &s), SQ_EINVAL);
	s = signer, s.secret = "";
	cr_expect_eq(sign_with("https://h", "x", "a", &s), SQ_EINVAL);
	s = signer, s.region = "a b";
	cr_expect_eq(sign_with("https://h", "x", "a", &s), SQ_EINVAL);
	s = signer, s.token = "a\r\nb: c";
	cr_expect_eq(sign_with("https://h", "x", "a", &s), SQ_EINVAL);
}
