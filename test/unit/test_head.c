/* broker/front/door/head.h: heads of HTTP/1.1 whose length is in doubt. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/door/head.h"
#include "core/mem.h"

static const struct {
	const char *head;
	enum sq_head found;
} cases[] = {
    {"GET / HTTP/1.1\r\nhost: x\r\n\r\n", SQ_HEAD_GOOD},
    {"GET / HTTP/1.1\nhost: x\n\n", SQ_HEAD_GOOD},
    {"\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n", SQ_HEAD_GOOD},
    {"GET / HTTP/1.1\r\n\r\n", SQ_HEAD_GOOD},
    {"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", SQ_HEAD_GOOD},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", SQ_HEAD_GOOD},
    {"POST / HTTP/1.1\r\nx-content-length: 5\r\ncontent-length-x: 1\r\nContent-Length: "
     "5\r\n\r\n",
	SQ_HEAD_GOOD},
    {"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", SQ_HEAD_BAD},
    {"POST / HTTP/1.1\r\nContent-Length: 5\r\nhost: x\r\ncontent-LENGTH: 5\r\n\r\n", SQ_HEAD_BAD},
    {"POST / HTTP/1.1\nContent-Length: 5\nContent-Length: 6\n\n", SQ_HEAD_BAD},
    {"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", SQ_HEAD_BAD},
    {"POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\ncontent-length:5\r\n\r\n", SQ_HEAD_BAD},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
	SQ_HEAD_BAD},
    {"POST / HTTP/1.1\r\nhost: x\r\n folded\r\n\r\n", SQ_HEAD_BAD},
    {"POST / HTTP/1.1\r\nContent-Length:\r\n\t5\r\n\r\n", SQ_HEAD_BAD},
    {"\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", SQ_HEAD_BAD},
};

Test(head, whole_and_byte_by_byte)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++) {
		size_t n = strlen(cases[i].head), used = 0;

		for (size_t k = 0; k < n; k++)
			cr_assert_eq(sq_head_scan(cases[i].head, k, &used), SQ_HEAD_MORE,
			    "case %zu, %zu bytes", i, k);
		cr_assert_eq(sq_head_scan(cases[i].head, n, &used), cases[i].found, "case %zu", i);
		cr_assert_eq(used, n);
	}
}

Test(head, what_is_no_request_is_said_at_its_first_line)
{
	static const char *const lines[] = {"INVALID CONNECTION PREFACE\r\n", "\n\n", "GET /\r\n",
	    "PRI * HTTP/2.0\r\n", "\x16\x03\x01\x02\n", "GET / HTTP/1.1 \r\n", " HTTP/1.1\r\n"};
	size_t used;

	for (size_t i = 0; i < SQ_ARRAY_LEN(lines); i++) {
		size_t n = strlen(lines[i]);

		cr_assert_eq(sq_head_scan(lines[i], n, &used), SQ_HEAD_ELSE, "line %zu", i);
		cr_assert_eq(sq_head_scan(lines[i], n - 1, &used), SQ_HEAD_MORE, "line %zu", i);
	}
}

Test(head, what_follows_is_not_looked_at)
{
	static const char text[] = "POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\n"
				   "Content-Length: 6\r\nContent-Length: 7\r\n\r\n";
	size_t used;

	cr_assert_eq(sq_head_scan(text, sizeof text - 1, &used), SQ_HEAD_GOOD);
	cr_assert_eq(used, 39);
}

/* What it says while its body comes. */
Test(head, its_target_and_fields_are_found)
{
	static const char head[] =
	    "\r\nPOST /v1/publish/a?b=c HTTP/1.1\r\nHost: x\r\nx-authorization: no\r\n"
	    "AUTHORIZATION: \t Bearer a b \t\r\nauthorization: second\r\nempty:\r\n\r\n";
	size_t used = 0;

	cr_assert_eq(sq_head_scan(head, sizeof head - 1, &used), SQ_HEAD_GOOD);
	cr_assert(sq_bytes_are(sq_head_target(head, used), "/v1/publish/a?b=c"));
	cr_assert(sq_bytes_are(sq_head_field(head, used, "authorization"), "Bearer a b"));
	cr_assert_eq(sq_head_field(head, used, "empty").len, 0);
	cr_assert_eq(sq_head_field(head, used, "authorizatio").len, 0);
	cr_assert_eq(sq_head_field(head, used, "none").len, 0);
	for (size_t n = 0; n < used; n++) { /* of any part of it, nothing is read behind its end */
		char *part = malloc(n + 1);

		memcpy(part, head, n);
		(void)sq_head_target(part, n);
		(void)sq_head_field(part, n, "authorization");
		free(part);
	}
	cr_assert_eq(sq_head_target("GET HTTP/1.1\r\n\r\n", 16).len, 0);
}

Test(head, a_field_can_be_hidden)
{
	char head[] = "POST /content-length:1 HTTP/1.1\r\nhost: x\r\nContent-Length: 5\r\n\r\n";
	size_t used = 0;

	cr_assert_eq(sq_head_scan(head, sizeof head - 1, &used), SQ_HEAD_GOOD);
	sq_head_hide(head, used, "content-length");
	cr_assert_str_eq(
	    head, "POST /content-length:1 HTTP/1.1\r\nhost: x\r\nxontent-Length: 5\r\n\r\n");
	sq_head_hide(head, used, "content-length");
	cr_assert_eq(sq_head_field(head, used, "content-length").len, 0);
}

/* 'n' fields behind the first line. */
static size_t
many(char *out, size_t size, unsigned n)
{
	size_t len = (size_t)snprintf(out, size, "GET /a HTTP/1.1\r\n");

	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(out + len, size - len, "a:%u\r\n", i);
	return len + (size_t)snprintf(out + len, size - len, "\r\n");
}

Test(head, it_has_a_number_of_fields)
{
	char head[2000];
	size_t used = 0, len = many(head, sizeof head, SQ_HEAD_FIELDS_MAX);

	cr_assert_eq(sq_head_scan(head, len, &used), SQ_HEAD_GOOD);
	len = many(head, sizeof head, SQ_HEAD_FIELDS_MAX + 1);
	cr_assert_eq(sq_head_scan(head, len, &used), SQ_HEAD_MANY);
	cr_assert_eq(used, len);
}

Test(head, its_fields_can_be_blanked)
{
	static const char first[] = "GET /a HTTP/1.1\r\n";
	char head[2000], text[] = "GET HTTP\r\n\r\n\r\n\r\n";
	size_t len = many(head, sizeof head, 100), used = 0;

	for (size_t n = sizeof first - 1 + 6; n <= len; n++) {
		(void)many(head, sizeof head, 100);
		cr_assert(sq_head_blank(head, n));
		cr_assert_eq(memcmp(head, first, sizeof first - 1), 0);
		cr_assert_eq(sq_head_scan(head, n, &used), SQ_HEAD_GOOD);
		cr_assert_eq(used, n);
	}
	(void)many(head, sizeof head, 100);
	cr_assert_not(sq_head_blank(head, sizeof first - 1 + 5), "no room");
	cr_assert_not(sq_head_blank(head, 10), "no first line");
	cr_assert_not(sq_head_blank(text, sizeof text - 1), "no request's");
}
