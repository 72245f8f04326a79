/* sidecar/mqtt/foreign: who is told from MQTT by the first bytes. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "sidecar/mqtt/foreign.h"

#define WEBSOCKET \
	"GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUPGRADE:  WebSocket\r\n\r\n"

static const struct {
	const char *bytes;
	size_t len;
	enum sq_foreign what;
} cases[] = {
#define CASE(text, what) \
	{ \
		text, sizeof text - 1, what \
	}
    CASE("GET / HTTP/1.1\r\nHost: x\r\n\r\n", SQ_FOREIGN_HTTP),
    CASE("GET /upgrade:websocket HTTP/1.1\r\n\r\n", SQ_FOREIGN_HTTP),
    CASE(WEBSOCKET, SQ_FOREIGN_WEBSOCKET),
    CASE("POST /x HTTP/1.1\r\n", SQ_FOREIGN_HTTP),
    CASE("PUT ", SQ_FOREIGN_HTTP),
    CASE("PATCH ", SQ_FOREIGN_HTTP),
    CASE("HEAD ", SQ_FOREIGN_HTTP),
    CASE("OPTIONS * HTTP/1.1\r\n", SQ_FOREIGN_HTTP),
    CASE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SQ_FOREIGN_HTTP),
    CASE("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", SQ_FOREIGN_TLS),
    CASE("\x16\x04", SQ_FOREIGN_NONE),
    CASE("\x10\x0c\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00", SQ_FOREIGN_NONE),
    CASE("GETS", SQ_FOREIGN_NONE),
    CASE("\xff", SQ_FOREIGN_NONE),
    CASE("\x00", SQ_FOREIGN_NONE),
};

Test(foreign, each_is_known_whole_and_byte_by_byte)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++) {
		const unsigned char *p = (const unsigned char *)cases[i].bytes;
		enum sq_foreign f = SQ_FOREIGN_UNSURE;

		cr_assert_eq(sq_foreign_find(p, cases[i].len, false), cases[i].what, "%zu", i);
		for (size_t n = 0; n <= cases[i].len && f == SQ_FOREIGN_UNSURE; n++) {
			unsigned char *cut = sq_xmalloc(n + 1); /* exactly so much is readable */

			memcpy(cut, p, n);
			f = sq_foreign_find(cut, n, false);
			free(cut);
		}
		cr_assert_eq(f, cases[i].what, "%zu", i);
	}
}

Test(foreign, at_the_end_nothing_is_unsure)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++)
		for (size_t n = 0; n <= cases[i].len; n++)
			cr_assert_neq(
			    sq_foreign_find((const unsigned char *)cases[i].bytes, n, true),
			    SQ_FOREIGN_UNSURE);
	cr_assert_eq(sq_foreign_find((const unsigned char *)"GET / HTT", 9, true), SQ_FOREIGN_HTTP);
	cr_assert_eq(sq_foreign_find((const unsigned char *)"GE", 2, true), SQ_FOREIGN_NONE);
}

Test(foreign, a_head_without_end_is_waited_for_so_long_only)
{
	unsigned char head[SQ_FOREIGN_HEAD_MAX];

	memset(head, 'x', sizeof head);
	memcpy(head, "GET /", 5);
	cr_assert_eq(sq_foreign_find(head, sizeof head - 1, false), SQ_FOREIGN_UNSURE);
	cr_assert_eq(sq_foreign_find(head, sizeof head, false), SQ_FOREIGN_HTTP);
}

Test(foreign, http_is_answered_and_tls_is_not)
{
	struct sq_buf out = {0};
	const char *body;
	size_t length;

	sq_foreign_answer(SQ_FOREIGN_TLS, &out);
	cr_assert_eq(sq_buf_len(&out), 0);
	sq_foreign_answer(SQ_FOREIGN_WEBSOCKET, &out);
	sq_buf_u8(&out, 0);
	body = strstr((char *)sq_buf_data(&out), "\r\n\r\n");
	cr_assert_not_null(body);
	cr_assert_eq(sscanf(strstr((char *)sq_buf_data(&out), "content-length: "),
			 "content-length: %zu", &length),
	    1);
	cr_assert_eq(length, strlen(body + 4));
	cr_assert_not_null(strstr(body, "MQTT"));
	cr_assert_not_null(strstr(body, "ws://"));
	sq_buf_fini(&out);
}
