/* What a URL is for requests that leave. */
#include "net/curl/out.h"

#include <criterion/criterion.h>
#include <string.h>

enum { ROOM = 256 };

static const struct {
	const char *url, *host;
	bool https;
	uint16_t port;
} good[] = {
    {"https://example.com", "example.com", true, 443},
    {"http://example.com/", "example.com", false, 80},
    {"HTTPS://Example.COM:8443/A/b?c=d", "example.com", true, 8443},
    {"https://example.com.", "example.com", true, 443},
    {"https://example.com.:1/", "example.com", true, 1},
    {"https://example.com?x=/@", "example.com", true, 443},
    {"https://example.com/a@b:c", "example.com", true, 443},
    {"https://example.com/{topic.1}/{topic.*:.|none}", "example.com", true, 443},
    {"http://a_b-c.svc:65535/", "a_b-c.svc", false, 65535},
    {"http://127.0.0.1:80", "127.0.0.1", false, 80},
    {"http://2130706433/", "2130706433", false, 80},
    {"http://[::1]/", "::1", false, 80},
    {"https://[FD00::AB]:8443/x", "fd00::ab", true, 8443},
    {"https://[::ffff:127.0.0.1]", "::ffff:127.0.0.1", true, 443},
};

static const char *const bad[] = {
    "",
    "example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "https:/example.com/",
    "https:example.com/",
    "https://",
    "https:///path",
    "https://?x",
    "https://:443/",
    "https://.",
    "https://.example.com/",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://@example.com/",
    "https://good.example:443@127.0.0.1/",
    "https://[::1]@example.com/",
    "https://good.example\\@127.0.0.1/",
    "https://good.example/\\x",
    "https://example.com/#part",
    "https://example.com#@127.0.0.1/",
    "https://example.com/a b",
    " https://example.com/",
    "https://example.com/ ",
    "https://example.com/\r\nhost: x",
    "https://example.com/\t",
    "https://example.com/\x7f",
    "https://exa\tmple.com/",
    "https://ex\xc3\xa4mple.com/",
    "https://example.com/\xc3\xa4",
    "https://%31%32%37.0.0.1/",
    "https://example.com%00.good.example/",
    "https://exa,mple.com/",
    "https://{topic.1}/",
    "https://{space}.example/",
    "https://example.com:/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:+80/",
    "https://example.com:-1/",
    "https://example.com:0x50/",
    "https://example.com:80:80/",
    "https://example.com:000080/",
    "https://example.com:18446744073709551696/",
    "https://[::1/",
    "https://[::1]x/",
    "https://[]/",
    "https://[127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[::1]]/",
    "https://::1/",
};

Test(out_url, what_is_taken_has_its_parts)
{
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct sq_buf err = {0};
		char host[ROOM];
		uint16_t port = 0;
		bool https;
		int rc = sq_out_url_check(good[i].url, &https, host, sizeof host, &port, &err);

		cr_assert_eq(rc, SQ_OK, "%s: %.*s", good[i].url, (int)sq_buf_len(&err),
		    (const char *)sq_buf_data(&err));
		cr_assert_str_eq(host, good[i].host);
		cr_assert_eq(https, good[i].https);
		cr_assert_eq(port, good[i].port);
		cr_assert_eq(sq_out_url_check(good[i].url, NULL, NULL, 0, NULL, &err), SQ_OK);
	}
}

Test(out_url, all_else_is_refused_with_a_line)
{
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct sq_buf err = {0};
		char host[ROOM];
		bool https;

		cr_assert_eq(sq_out_url_check(bad[i], &https, host, sizeof host, NULL, &err),
		    SQ_EINVAL, "%s", bad[i]);
		cr_assert_gt(sq_buf_len(&err), 10);
		cr_assert_null(memmem(sq_buf_data(&err), sq_buf_len(&err), "password", 8));
		cr_assert_null(memchr(sq_buf_data(&err), '\n', sq_buf_len(&err)));
		sq_buf_fini(&err);
	}
}

Test(out_url, a_host_is_bounded)
{
	char url[600] = "https://", host[ROOM];
	struct sq_buf err = {0};

	memset(url + 8, 'a', 253);
	cr_assert_eq(sq_out_url_check(url, NULL, host, sizeof host, NULL, &err), SQ_OK);
	cr_assert_eq(strlen(host), 253);
	cr_assert_eq(sq_out_url_check(url, NULL, host, 253, NULL, &err), SQ_EINVAL);
	url[8 + 253] = 'a';
	cr_assert_eq(sq_out_url_check(url, NULL, host, sizeof host, NULL, &err), SQ_EINVAL);
	sq_buf_fini(&err);
}
