/* The record of a declaration: what is put reads as the same, and what older brokers have put reads. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/subscriber/record.h"
#include "core/mem.h"
#include "proto/declaration/kept.h"

static struct sq_bytes
bytes_of(const struct sq_buf *b)
{
	return sq_buf_bytes(b);
}

/* A queue of that declaration, without bindings; paths are good in it. */
static struct sq_subscriber
queue(const char *json)
{
	struct sq_subscriber s = {.revision = 77};
	struct sq_declaration d;
	struct sq_buf err = {0};

	sq_declaration_init(&d);
	cr_assert(sq_declaration_read_push(&d, sq_bytes_of(json), &err) == SQ_OK, "%.*s",
	    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	s.decl = sq_declaration_keep(&d);
	return s;
}

static void
text_is(const char *text, const char *wanted)
{
	cr_expect((text == NULL) == (wanted == NULL));
	if (text != NULL && wanted != NULL)
		cr_expect_str_eq(text, wanted);
}

/* Puts the queue, and reads it again; the version is as wanted. */
static void
comes_back(const struct sq_subscriber *s, uint8_t version, const char *declarer)
{
	struct sq_declared_record r;
	struct sq_buf v = {0};

	sq_declared_put(s, &v);
	cr_assert(sq_buf_data(&v)[0] == version);
	cr_assert(sq_buf_len(&v) <= sq_declared_bytes(s->decl));
	cr_assert(sq_declared_read(bytes_of(&v), &r));
	cr_expect(sq_declaration_equal(s->decl, &r.decl));
	cr_expect(r.revision == 77 && r.in_file == s->in_file && r.paused == s->paused);
	cr_expect_eq(r.owned, s->owned);
	text_is(r.declarer, declarer);
	text_is(r.pause_why, s->pause_why);
	sq_declared_record_fini(&r);
	/* Cut anywhere, and with something behind, it is malformed. */
	for (size_t n = 0; n < sq_buf_len(&v); n++)
		cr_expect_not(
		    sq_declared_read((struct sq_bytes){sq_buf_data(&v), n}, &r), "%zu", n);
	sq_buf_u8(&v, 0);
	cr_expect_not(sq_declared_read(bytes_of(&v), &r));
	sq_buf_fini(&v);
}

static const char pushing[] =
    "{\"lease\":\"45s\",\"order\":\"key\",\"retry\":{\"factor\":3},\"push\":{"
    "\"url\":\"https://h.example/e/{topic.1}\",\"format\":\"structured\",\"rate\":\"600/m\","
    "\"retry\":{\"attempts\":8,\"for\":\"24h\"},\"auth\":{\"bearerFile\":\"/etc/tok\"},"
    "\"sign\":{\"secret\":\"whsec\"},\"headers\":{\"x-b\":\"\\\"{space}\\\"\",\"x-a\":\"1\"},"
    "\"reply\":{\"topic\":\"r/{topic.2}\"},\"on\":{\"deadLetter\":[\"4xx\"],\"retry\":[404,409]}}}";

Test(declared_record, a_queue_without_a_push)
{
	struct sq_subscriber s = queue("{\"maxMessages\":7,\"ttl\":\"7d\",\"order\":\"strict\"}");

	s.paused = true;
	s.declarer = (char[]){"ada"};
	comes_back(&s, 1, NULL); /* who declared it is nobody's concern */
	sq_declaration_unref(&s.decl);
}

Test(declared_record, a_push_and_who_declared_it)
{
	struct sq_subscriber s = queue(pushing);

	s.in_file = true;
	comes_back(&s, 2, NULL);
	s.owned = true;
	comes_back(&s, 2, NULL);
	s.declarer = (char[]){"subscriber:shop/billing"};
	comes_back(&s, 2, "subscriber:shop/billing");
	sq_declaration_unref(&s.decl);
}

Test(declared_record, why_it_is_paused)
{
	struct sq_subscriber s = queue("{}");

	s.paused = true;
	s.pause_why = (char[]){"answered 410"};
	comes_back(&s, 2, NULL);
	sq_declaration_unref(&s.decl);
}

Test(declared_record, the_largest_push_fits)
{
	struct sq_buf url = {0}, value = {0}, name = {0}, path = {0}, err = {0};
	struct sq_declaration d;
	struct sq_subscriber s = {.revision = 77};
	static const char *const files[] = {"push.ca-file", "push.auth.bearer-file",
	    "push.auth.basic-file", "push.auth.client-cert-file", "push.auth.value-file",
	    "push.sign.secret-file", "push.reply.topic"};

	sq_declaration_init(&d);
	sq_buf_printf(&url, "https://h/");
	while (sq_buf_len(&url) < SQ_PUSH_URL_MAX)
		sq_buf_u8(&url, 'a');
	cr_assert(sq_declaration_set(&d, sq_bytes_of("push.url"), bytes_of(&url), &err) == SQ_OK);
	while (sq_buf_len(&value) < SQ_PUSH_HEADER_MAX)
		sq_buf_u8(&value, '"');
	for (unsigned i = 0; i < SQ_PUSH_HEADERS_MAX; i++) {
		sq_buf_fini(&name);
		sq_buf_printf(&name, "push.headers.%0127u", i);
		cr_assert(sq_declaration_set(&d, bytes_of(&name), bytes_of(&value), &err) == SQ_OK);
	}
	sq_buf_u8(&path, '/');
	while (sq_buf_len(&path) < SQ_PUSH_TEXT_MAX)
		sq_buf_u8(&path, '\\');
	for (size_t i = 0; i < SQ_ARRAY_LEN(files); i++)
		cr_assert(
		    sq_declaration_set(&d, sq_bytes_of(files[i]), bytes_of(&path), &err) == SQ_OK);
	cr_assert_not(sq_declaration_set(&d, sq_bytes_of("push.headers.one-more"), bytes_of(&value),
			  &err) == SQ_OK);
	s.decl = sq_declaration_keep(&d);
	comes_back(&s, 2, NULL);
	sq_declaration_unref(&s.decl);
	sq_buf_fini(&url);
	sq_buf_fini(&value);
	sq_buf_fini(&name);
	sq_buf_fini(&path);
	sq_buf_fini(&err);
}

/* A value that a broker before pushes has written: of "exactlyOnce", in order by key, a file's. */
Test(declared_record, an_older_brokers)
{
	static const unsigned char value[] = {1, 1, 2, 1, 3, 0, 0, 2, /* to the factor */
	    0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0x75, 0x30,     /* revision, lease */
	    0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 9, 0x27, 0xc0,  /* waits */
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 60};
	struct sq_declared_record r;

	cr_assert(sq_declared_read((struct sq_bytes){value, sizeof value}, &r));
	cr_expect(r.in_file && !r.paused && r.revision == 9);
	cr_expect(r.decl.order == SQ_ORDER_KEY && r.decl.exactly_once && r.decl.retry.jitter);
	cr_expect(r.decl.lease_ms == 30000 && r.decl.retry.first_ms == 1000);
	cr_expect(r.decl.retry.max_ms == 600000 && r.decl.retry.factor == 2);
	cr_expect(r.decl.max_messages == 100 && r.decl.max_attempts == 20 && r.decl.expiry_s == 60);
	cr_expect(r.decl.push.url == NULL && r.declarer == NULL && r.pause_why == NULL);
	sq_declared_record_fini(&r);
}

Test(declared_record, a_push_that_does_not_read)
{
	struct sq_subscriber s = queue(pushing);
	struct sq_declared_record r;
	struct sq_buf v = {0};
	unsigned char *url;

	sq_declared_put(&s, &v);
	url = memmem(sq_buf_data(&v), sq_buf_len(&v), "\"url\"", 5);
	cr_assert_not_null(url);
	url[1] = 'x'; /* a member that nobody knows */
	cr_expect_not(sq_declared_read(bytes_of(&v), &r));
	sq_buf_data(&v)[0] = 3; /* a newer version */
	url[1] = 'u';
	cr_expect_not(sq_declared_read(bytes_of(&v), &r));
	sq_buf_fini(&v);
	sq_declaration_unref(&s.decl);
}
