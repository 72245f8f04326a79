/* net/curl/out in the clear: requests and answers, and the traps of libcurl and of servers. */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/asks.h"
#include "../support/sink.h"
#include "core/thread.h"

static const struct sq_out_way plain = {0};
static struct sq_out *out;
static struct sink *sink;
static struct sq_buf err;

/* What the sink saw last; read after the answer. */
static char head[65536];
static size_t body_len;

static void
note(const struct sink_request *req)
{
	(void)snprintf(head, sizeof head, "%s", req->head);
	body_len = req->body_len;
}

static void
begin(bool (*serve)(void *, struct sink_conn *, const struct sink_request *))
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
}

static enum sq_out_end
ask_path(const struct sq_out_way *way, const char *path)
{
	struct ask a;
	enum sq_out_end got;

	ask_init(&a, way, "http://127.0.0.1:%u%s", sink_port(sink), path);
	got = ask(out, &a);
	ask_fini(&a);
	return got;
}

static bool
has_line(const char *line)
{
	return strcasestr(head, line) != NULL;
}

/* Answers. */

static bool
serve_answer(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner;
	note(req);
	return sink_say(c,
	    "HTTP/1.1 202 Taken\r\nContent-Type: text/plain\r\nX-Two: 1\r\nx-two: 2\r\nEmpty:\r\n"
	    "Content-Length: 4\r\n\r\nfine");
}

static void
expect_value(const struct ask *a, const char *name, const char *value)
{
	struct sq_bytes got = sq_out_answer_header(&a->req, name);

	if (value == NULL)
		cr_expect_null(got.p, "%s", name);
	else
		cr_expect(got.p != NULL && sq_bytes_are(got, value), "%s: %.*s", name, (int)got.len,
		    (const char *)got.p);
}

Test(out, a_post_and_its_answer)
{
	struct ask a;

	begin(serve_answer);
	ask_init(&a, &plain, "http://127.0.0.1:%u/a/../b?c=d", sink_port(sink));
	cr_assert_eq(sq_out_header(&a.req, "Content-Type", sq_bytes_of("text/x")), SQ_OK);
	cr_assert_eq(sq_out_header(&a.req, "ce-id", sq_bytes_of(" 17 ")), SQ_OK);
	cr_assert_eq(sq_out_header(&a.req, "ce-none", sq_bytes_of("")), SQ_OK);
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED, "%s", a.req.why);
		cr_expect_eq(a.req.status, 202);
		cr_expect_str_eq(a.req.why, "");
		cr_expect(sq_buf_len(&a.req.answer) == 4 &&
		    memcmp(sq_buf_data(&a.req.answer), "fine", 4) == 0);
	}
	expect_value(&a, "content-type", "text/plain");
	expect_value(&a, "x-two", "1");
	expect_value(&a, "empty", "");
	expect_value(&a, "x", NULL);
	cr_expect_eq(strncmp(head, "POST /a/../b?c=d HTTP/1.1\r\n", 27), 0, "%s", head);
	cr_expect(has_line("\r\nContent-Type: text/x\r\n") && has_line("\r\nce-id: 17\r\n") &&
		has_line("\r\nce-none:\r\n") && has_line("\r\nUser-Agent: test\r\n") &&
		has_line("\r\nContent-Length: 5\r\n"),
	    "%s", head);
	cr_expect_eq(sink_connections(sink), 1, "the connection is used again");
	cr_expect_eq(sq_out_count(out).connections, 1);
	cr_expect_eq(sq_out_count(out).requests, 0);
	ask_fini(&a);
	end();
}

static bool
serve_ok(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner;
	note(req);
	return sink_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

Test(out, methods_and_bodies)
{
	static const struct {
		const char *method;
		bool body;
		const char *line; /* NULL: no length */
	} cases[] = {
	    {"POST", false, "\r\nContent-Length: 0\r\n"},
	    {"PUT", false, "\r\nContent-Length: 0\r\n"},
	    {"PUT", true, "\r\nContent-Length: 5\r\n"},
	    {"GET", false, NULL},
	    {"DELETE", false, NULL},
	    {"DELETE", true, "\r\nContent-Length: 5\r\n"},
	    {"HEAD", false, NULL},
	    {"POST", true, "\r\nContent-Length: 5\r\n"},
	};
	char first[32];

	begin(serve_ok);
	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++) {
		struct ask a;

		ask_init(&a, &plain, "http://127.0.0.1:%u/", sink_port(sink));
		a.req.method = cases[i].method;
		if (!cases[i].body)
			a.req.body = (struct sq_bytes){0};
		cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED, "%s", a.req.why);
		(void)snprintf(first, sizeof first, "%s / HTTP/1.1\r\n", cases[i].method);
		cr_expect_eq(strncmp(head, first, strlen(first)), 0, "%s", head);
		cr_expect(cases[i].line != NULL ? has_line(cases[i].line)
						: !has_line("\r\nContent-Length"),
		    "%s", head);
		cr_expect(!has_line("\r\nContent-Type") && !has_line("chunked"), "%s", head);
		ask_fini(&a);
	}
	cr_expect_eq(sink_connections(sink), 1);
	end();
}

Test(out, expect_is_never_sent)
{
	struct ask a;
	unsigned char *big = calloc(1, 3 << 20);

	begin(serve_ok);
	ask_init(&a, &plain, "http://127.0.0.1:%u/", sink_port(sink));
	a.req.body = (struct sq_bytes){big, 3 << 20};
	cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED, "%s", a.req.why);
	cr_expect_eq(body_len, 3 << 20);
	cr_expect(!has_line("expect"), "%s", head);
	ask_fini(&a);
	free(big);
	end();
}

Test(out, no_http2_with_prior_knowledge)
{
	const struct sq_out_way way = {.http2 = true};

	begin(serve_ok);
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(ask_path(&way, "/"), SQ_OUT_ANSWERED);
		cr_expect_eq(strncmp(head, "POST / HTTP/1.1\r\n", 17), 0, "%s", head);
		cr_expect(!has_line("upgrade"), "%s", head);
	}
	cr_expect_eq(sink_connections(sink), 1);
	end();
}

static bool
serve_once(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner, (void)req;
	(void)sink_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	return false; /* without a word of it before */
}

static bool
none_is_open(void *arg)
{
	(void)arg;
	return sq_out_count(out).connections == 0;
}

Test(out, a_connection_that_ends_after_each_request)
{
	begin(serve_once);
	for (unsigned i = 0; i < 50; i++)
		cr_expect_eq(ask_path(&plain, "/"), SQ_OUT_ANSWERED);
	cr_expect_eq(sink_requests(sink), 50);
	cr_expect_leq(sq_out_count(out).connections, 1);
	end();
}

static bool
serve_every_other(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	static _Thread_local unsigned n;

	(void)owner, (void)req;
	return n++ % 2 == 0 && sink_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

/* libcurl counts a handle's retries over all of its requests, and has five. */
Test(out, a_connection_that_ends_as_it_is_used_again)
{
	begin(serve_every_other);
	for (unsigned i = 0; i < 20; i++)
		cr_expect_eq(ask_path(&plain, "/"), SQ_OUT_ANSWERED, "%u", i);
	cr_expect_eq(sink_connections(sink), 20);
	end();
}

static bool
serve_close(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner, (void)req;
	(void)sink_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	return false;
}

Test(out, a_connection_that_is_said_to_end)
{
	begin(serve_close);
	for (unsigned i = 0; i < 20; i++)
		cr_expect_eq(ask_path(&plain, "/"), SQ_OUT_ANSWERED);
	cr_expect_eq(sink_connections(sink), 20);
	cr_expect(await(none_is_open, NULL), "and none is left");
	end();
}

/* Addresses. */

static bool
deny_loopback(const struct sq_out_way *way, const struct sockaddr *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;

	(void)way;
	if (a->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 != 127 && v4->sin_addr.s_addr != 0;
	return a->sa_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) &&
	    !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) && !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
}

Test(out, odd_spellings_of_an_address_are_denied)
{
	/* With a dot at its end it is a name, which may be unknown. */
	static const char *const hosts[] = {"127.0.0.1", "127.1", "2130706433", "0x7f.1",
	    "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "localhost", "LOCALHOST", "[::1]", "[::]",
	    "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "127.0.0.1.", "localhost."};
	const struct sq_out_way way = {.allows = deny_loopback};
	char url[200];

	begin(serve_ok);
	for (size_t i = 0; i < SQ_ARRAY_LEN(hosts); i++) {
		enum sq_out_end got;

		(void)snprintf(url, sizeof url, "http://%s:%u/", hosts[i], sink_port(sink));
		got = ask_once(out, &way, url);
		cr_expect(got == SQ_OUT_FORBIDDEN ||
			(got == SQ_OUT_UNREACHABLE && hosts[i][strlen(hosts[i]) - 1] == '.'),
		    "%s: %s", url, sq_out_end_name(got));
	}
	cr_expect_eq(sink_connections(sink), 0);
	cr_expect_eq(ask_path(&plain, "/"), SQ_OUT_ANSWERED, "without the policy");
	end();
}

Test(out, the_policy_is_asked_on_a_pooled_connection_of_another_owner)
{
	const struct sq_out_way free_way = {.owner = "a"};
	const struct sq_out_way way = {.owner = "b", .allows = deny_loopback};

	begin(serve_ok);
	cr_expect_eq(ask_path(&free_way, "/"), SQ_OUT_ANSWERED);
	cr_expect_eq(sq_out_count(out).connections, 1);
	cr_expect_eq(ask_path(&way, "/"), SQ_OUT_FORBIDDEN);
	cr_expect_eq(sink_requests(sink), 1);
	cr_expect_eq(ask_path(&free_way, "/"), SQ_OUT_ANSWERED);
	end();
}

static bool
serve_redirect(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	char text[200];

	(void)owner, (void)req;
	(void)snprintf(text, sizeof text,
	    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/elsewhere\r\n"
	    "Content-Length: 0\r\n\r\n",
	    sink_port(sink));
	return sink_say(c, text);
}

Test(out, redirects_are_not_followed)
{
	struct ask a;

	begin(serve_redirect);
	ask_init(&a, &plain, "http://127.0.0.1:%u/", sink_port(sink));
	cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED);
	cr_expect_eq(a.req.status, 302);
	cr_expect_eq(sink_requests(sink), 1);
	ask_fini(&a);
	end();
}

Test(out, the_environment_names_no_proxy)
{
	static const char *const names[] = {
	    "http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"};

	for (size_t i = 0; i < SQ_ARRAY_LEN(names); i++)
		setenv(names[i], "http://127.0.0.1:1", 1);
	begin(serve_ok);
	cr_expect_eq(ask_path(&plain, "/"), SQ_OUT_ANSWERED);
	end();
}

Test(out, a_proxy_looks_names_up_itself)
{
	const struct sq_out_way way = {.allows = deny_loopback}, direct = {.direct = true};
	char proxy[64];
	struct ask a;

	setenv("no_proxy", "*", 1);
	sink = sink_start(&(struct sink_cfg){.serve = serve_ok});
	(void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", sink_port(sink));
	out = sq_out_new(&(struct sq_out_cfg){.user_agent = "test", .proxy = proxy}, &err);
	ask_init(&a, &way, "http://no.such.invalid/x");
	cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED, "%s", a.req.why);
	cr_expect_eq(strncmp(head, "POST http://no.such.invalid/x HTTP/1.1", 38), 0, "%s", head);
	cr_expect_eq(sq_out_count(out).lookups, 0);
	ask_fini(&a);
	ask_init(&a, &direct, "http://127.0.0.1:%u/x", sink_port(sink));
	cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED, "%s", a.req.why);
	cr_expect_eq(strncmp(head, "POST /x HTTP/1.1", 16), 0, "%s", head);
	ask_fini(&a);
	end();
}

/* Bad servers. */

static char piece[65536];

static bool
serve_gigabytes(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	bool chunked = strstr(req->head, "/chunked") != NULL;

	(void)owner;
	memset(piece, 'x', sizeof piece);
	(void)sink_say(c,
	    chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    : "HTTP/1.1 200 OK\r\nContent-Length: 8000000000\r\n\r\n");
	while ((!chunked || sink_say(c, "10000\r\n")) && sink_write(c, piece, sizeof piece) &&
	    (!chunked || sink_say(c, "\r\n")))
		;
	return false;
}

Test(out, gigabytes_end_at_the_bound)
{
	struct ask a;

	begin(serve_gigabytes);
	for (unsigned i = 0; i < 2; i++) {
		ask_init(
		    &a, &plain, "http://127.0.0.1:%u/%s", sink_port(sink), i == 0 ? "" : "chunked");
		cr_expect_eq(ask(out, &a), SQ_OUT_TOO_LARGE, "%s", a.req.why);
		cr_expect_leq(sq_buf_len(&a.req.answer), 65536);
		ask_fini(&a);
	}
	cr_expect(await(none_is_open, NULL));
	end();
}

static bool
serve_exactly(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	char text[64];
	unsigned n = (unsigned)strtoul(strchr(req->head, '/') + 1, NULL, 10);

	(void)owner;
	memset(piece, 'x', sizeof piece);
	(void)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", n);
	return sink_say(c, text) && sink_write(c, piece, n);
}

Test(out, the_bound_of_an_answer_is_exact)
{
	begin(serve_exactly);
	for (unsigned n = 1022; n <= 1026; n++) {
		struct ask a;

		ask_init(&a, &plain, "http://127.0.0.1:%u/%u", sink_port(sink), n);
		a.req.max_answer = 1024;
		cr_expect_eq(ask(out, &a), n <= 1024 ? SQ_OUT_ANSWERED : SQ_OUT_TOO_LARGE, "%u", n);
		ask_fini(&a);
	}
	end();
}

static bool
serve_heads(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	const char *line = strstr(req->head, "/many") != NULL ? "X-Header: of some length\r\n"
	    : strstr(req->head, "/1xx") != NULL               ? "100 Continue\r\n\r\nHTTP/1.1 "
							      : "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	bool goes_on = sink_say(
	    c, strstr(req->head, "/1xx") != NULL ? "HTTP/1.1 " : "HTTP/1.1 200 OK\r\nX: ");

	(void)owner;
	while (goes_on && sink_say(c, line))
		;
	return false;
}

Test(out, a_head_without_end)
{
	begin(serve_heads);
	cr_expect_eq(ask_path(&plain, "/many"), SQ_OUT_TOO_LARGE);
	cr_expect_eq(ask_path(&plain, "/1xx"), SQ_OUT_TOO_LARGE);
	cr_expect_eq(ask_path(&plain, "/line"), SQ_OUT_TOO_LARGE);
	end();
}

static bool
serve_hints(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner, (void)req;
	return sink_say(c,
	    "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
	    "Transfer-Encoding: chunked\r\nX-Real: 1\r\n\r\n1\r\na\r\n0\r\nX-Late: 1\r\n\r\n");
}

Test(out, headers_are_those_of_the_answer_alone)
{
	struct ask a;

	begin(serve_hints);
	ask_init(&a, &plain, "http://127.0.0.1:%u/", sink_port(sink));
	cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED);
	expect_value(&a, "x-early", NULL);
	expect_value(&a, "x-real", "1");
	expect_value(&a, "x-late", NULL);
	ask_fini(&a);
	end();
}

static bool
serve_drip(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	bool goes_on = sink_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");

	(void)owner, (void)req;
	while (goes_on && !sink_is_stopped(c)) {
		goes_on = sink_say(c, "x");
		usleep(1000);
	}
	return false;
}

Test(out, a_slow_drip_ends)
{
	struct ask a;

	begin(serve_drip);
	ask_init(&a, &plain, "http://127.0.0.1:%u/", sink_port(sink));
	a.req.timeout_ms = 300;
	cr_expect_eq(ask(out, &a), SQ_OUT_TIMEOUT);
	cr_expect_geq(a.req.took_us, 300 * 1000 - 1000);
	cr_expect(await(none_is_open, NULL));
	ask_fini(&a);
	end();
}

static bool
serve_garbage(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner;
	if (strstr(req->head, "/silent") == NULL)
		(void)sink_say(c,
		    strstr(req->head, "/half") != NULL
			? "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
			: "\x01\x02\x7f ELF is no HTTP\r\n\r\n");
	return false;
}

Test(out, what_is_no_http_is_cut)
{
	begin(serve_garbage);
	cr_expect_eq(ask_path(&plain, "/garbage"), SQ_OUT_CUT);
	cr_expect_eq(ask_path(&plain, "/half"), SQ_OUT_CUT);
	cr_expect_eq(ask_path(&plain, "/silent"), SQ_OUT_CUT);
	end();
}

/* Says the path, without its first '/', with ',' for the end of a line, and ends the connection. */
static bool
serve_path(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	const char *path = strchr(req->head, '/') + 1;
	char text[128];
	size_t n = 0;

	(void)owner;
	for (; *path != ' ' && n < sizeof text - 3; path++)
		if (*path == ',')
			text[n++] = '\r', text[n++] = '\n';
		else
			text[n++] = *path == '_' ? ' ' : *path;
	text[n] = '\0';
	(void)sink_say(c, text);
	return false;
}

/* To libcurl the end of the connection is that of a head, too. */
Test(out, a_head_without_its_end_is_cut)
{
	static const char *const heads[] = {"HTTP/1.1_200_OK", "HTTP/1.1_200_OK,",
	    "HTTP/1.1_200_OK,Content-Type:_text/plain,", "HTTP/1.1_200_OK,Content-Length:_0,",
	    "HTTP/1.1_204_OK,", "HTTP/1.1_103_Early,,HTTP/1.1_200_OK,", "HTTP/1.1_103_Early,,"};
	char path[128];

	begin(serve_path);
	for (size_t i = 0; i < SQ_ARRAY_LEN(heads); i++) {
		(void)snprintf(path, sizeof path, "/%s", heads[i]);
		cr_expect_eq(ask_path(&plain, path), SQ_OUT_CUT, "%s", heads[i]);
	}
	cr_expect_eq(ask_path(&plain, "/HTTP/1.1_200_OK,,"), SQ_OUT_ANSWERED);
	end();
}

Test(out, nobody_listens)
{
	begin(serve_ok);
	cr_expect_eq(ask_once(out, &plain, "http://127.0.0.1:1/"), SQ_OUT_UNREACHABLE);
	cr_expect_eq(ask_once(out, &plain, "http://[::1]:1/"), SQ_OUT_UNREACHABLE);
	cr_expect_eq(sq_out_count(out).connections, 0);
	end();
}

enum { CALLERS = 4 };

/* A listener that accepts nobody, and whose queue is full. */
static unsigned
listen_to_nobody(int fds[1 + CALLERS])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;

	for (unsigned i = 0; i < 1 + CALLERS; i++)
		fds[i] = socket(AF_INET, SOCK_STREAM | (i > 0 ? SOCK_NONBLOCK : 0), 0);
	cr_assert_eq(bind(fds[0], (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(fds[0], 0), 0);
	cr_assert_eq(getsockname(fds[0], (struct sockaddr *)&at, &len), 0);
	for (unsigned i = 1; i < 1 + CALLERS; i++)
		(void)connect(fds[i], (struct sockaddr *)&at, len);
	return ntohs(at.sin_port);
}

/* libcurl does not say that it has closed such a one. */
Test(out, a_connection_that_does_not_come_about)
{
	int fds[1 + CALLERS];
	struct ask a, b;

	begin(serve_ok);
	ask_init(&a, &plain, "http://127.0.0.1:%u/", listen_to_nobody(fds));
	ask_init(&b, &plain, "%s", a.url);
	a.req.connect_ms = 300;
	sq_out_send(out, &b.req);
	cr_expect_eq(ask(out, &a), SQ_OUT_TIMEOUT, "%s", a.req.why);
	cr_expect_eq(sq_out_count(out).connections, 1, "the other is on its way");
	sq_out_cancel(out, &b.req);
	cr_expect_eq(ask_wait(&b), SQ_OUT_CANCELLED);
	cr_expect_eq(sq_out_count(out).connections, 0);
	ask_fini(&a);
	ask_fini(&b);
	for (unsigned i = 0; i < 1 + CALLERS; i++)
		close(fds[i]);
	end();
}

/* Bad requests. */

Test(out, headers_have_no_lines_of_others)
{
	static const char *const values[] = {"a\r\nX: b", "a\nX: b", "a\r", "\x01", "a\x7f"};
	static const char *const names[] = {"", "a b", "a:", "a\r\nb", "a\n", "\xc3\xa9", "Host",
	    "content-length", "Transfer-Encoding", "connection", "Expect", "Upgrade", "TE"};
	struct sq_out_request req = {0};

	for (size_t i = 0; i < SQ_ARRAY_LEN(values); i++)
		cr_expect_eq(sq_out_header(&req, "a", sq_bytes_of(values[i])), SQ_EINVAL, "%zu", i);
	cr_expect_eq(sq_out_header(&req, "a", (struct sq_bytes){(const unsigned char *)"a\0b", 3}),
	    SQ_EINVAL);
	for (size_t i = 0; i < SQ_ARRAY_LEN(names); i++)
		cr_expect_eq(
		    sq_out_header(&req, names[i], sq_bytes_of("x")), SQ_EINVAL, "%s", names[i]);
	cr_expect_eq(sq_buf_len(&req.headers), 0);
	cr_expect_eq(sq_out_header(&req, "a", sq_bytes_of("b\tc \xc3\xa9")), SQ_OK);
	sq_out_request_fini(&req);
}

Test(out, what_cannot_be_sent_is_invalid)
{
	static const char *const urls[] = {"", "/x", "ftp://127.0.0.1/", "file:///etc/passwd",
	    "http://user:pw@127.0.0.1/", "http://127.0.0.1/#x", "http://127.0.0.1/ x",
	    "http://127.0.0.1\r\nX: y/", "http:///x", "http://127.0.0.1:99999/"};
	struct ask a;

	begin(serve_ok);
	for (size_t i = 0; i < SQ_ARRAY_LEN(urls); i++)
		cr_expect_eq(ask_once(out, &plain, urls[i]), SQ_OUT_INVALID, "%s", urls[i]);
	ask_init(&a, &plain, "http://127.0.0.1:%u/", sink_port(sink));
	a.req.method = "GET / HTTP/1.1\r\nX: y\r\n\r\nPOST";
	cr_expect_eq(ask(out, &a), SQ_OUT_INVALID);
	cr_expect_eq(sink_connections(sink), 0);
	ask_fini(&a);
	end();
}

/* Many. */

static bool
serve_hang(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner;
	if (strstr(req->head, "/hang") == NULL)
		return serve_ok(owner, c, req);
	while (!sink_is_stopped(c))
		usleep(1000);
	return false;
}

static unsigned wanted;

static bool
have_come(void *arg)
{
	return sink_requests(arg) >= wanted;
}

Test(out, a_cancel_ends_one_alone)
{
	struct ask a, b;

	begin(serve_hang);
	ask_init(&a, &plain, "http://127.0.0.1:%u/hang", sink_port(sink));
	ask_init(&b, &plain, "http://127.0.0.1:%u/hang", sink_port(sink));
	sq_out_send(out, &a.req);
	sq_out_send(out, &b.req);
	wanted = 2;
	cr_assert(await(have_come, sink));
	sq_out_cancel(out, &a.req);
	cr_expect_eq(ask_wait(&a), SQ_OUT_CANCELLED);
	cr_expect_eq(ask_path(&plain, "/"), SQ_OUT_ANSWERED);
	cr_expect_eq(sq_out_count(out).requests, 1);
	sq_out_send(out, &a.req); /* at once, so that it may not have been begun */
	sq_out_cancel(out, &a.req);
	cr_expect_eq(ask_wait(&a), SQ_OUT_CANCELLED);
	sq_out_free(&out);
	cr_expect_eq(a.n_done, 2);
	cr_expect_eq(b.n_done, 1);
	cr_expect_eq(b.req.end, SQ_OUT_CANCELLED);
	ask_fini(&a);
	ask_fini(&b);
	end();
}

enum { MANY = 200 };

Test(out, the_end_cancels_all)
{
	struct ask *a = calloc(MANY, sizeof *a);

	begin(serve_hang);
	for (unsigned i = 0; i < MANY; i++) {
		ask_init(&a[i], &plain, "http://127.0.0.1:%u/hang", sink_port(sink));
		sq_out_send(out, &a[i].req);
	}
	wanted = 64;
	cr_assert(await(have_come, sink));
	sq_out_free(&out);
	for (unsigned i = 0; i < MANY; i++) {
		cr_expect_eq(a[i].n_done, 1);
		cr_expect_eq(a[i].req.end, SQ_OUT_CANCELLED);
		ask_fini(&a[i]);
	}
	cr_expect_eq(sink_connections(sink), 64, "the bound of an origin");
	free(a);
	end();
}

Test(out, an_origin_that_hangs_at_its_bound_holds_up_nobody)
{
	struct ask *a = calloc(MANY, sizeof *a), waits;
	struct sink *other;
	char url[64];

	begin(serve_hang);
	other = sink_start(&(struct sink_cfg){.serve = serve_ok});
	(void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", sink_port(other));
	for (unsigned i = 0; i < MANY; i++) {
		ask_init(&a[i], &plain, "http://127.0.0.1:%u/hang", sink_port(sink));
		sq_out_send(out, &a[i].req);
	}
	wanted = 64;
	cr_assert(await(have_come, sink));
	for (unsigned i = 0; i < MANY; i++)
		cr_expect_eq(ask_once(out, &plain, url), SQ_OUT_ANSWERED);
	ask_init(&waits, &plain, "http://127.0.0.1:%u/", sink_port(sink));
	waits.req.timeout_ms = 100;
	cr_expect_eq(ask(out, &waits), SQ_OUT_CROWDED, "while it waits for a connection");
	cr_expect_eq(sink_requests(sink), 64);
	sq_out_free(&out);
	for (unsigned i = 0; i < MANY; i++)
		ask_fini(&a[i]);
	ask_fini(&waits);
	free(a);
	sink_stop(&other);
	end();
}

Test(out, an_owner_has_half_of_the_connections)
{
	const struct sq_out_way bad = {.owner = "bad"}, good = {.owner = "good"};
	struct ask *a = calloc(MANY, sizeof *a);
	struct sink *others[4];
	unsigned hang = 0;

	sink = sink_start(&(struct sink_cfg){.serve = serve_hang});
	out = sq_out_new(&(struct sq_out_cfg){.user_agent = "test", .total = 8}, &err);
	for (unsigned i = 0; i < 4; i++)
		others[i] = sink_start(&(struct sink_cfg){.serve = serve_hang});
	for (unsigned i = 0; i < MANY; i++) {
		ask_init(&a[i], &bad, "http://127.0.0.1:%u/hang", sink_port(others[i % 4]));
		sq_out_send(out, &a[i].req);
	}
	for (unsigned i = 0; i < 20; i++) {
		char url[64];

		cr_expect_eq(ask_path(&good, "/"), SQ_OUT_ANSWERED);
		(void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", sink_port(others[i % 4]));
		cr_expect_eq(ask_once(out, &good, url), SQ_OUT_ANSWERED, "behind the other's");
	}
	for (unsigned i = 0; i < MANY; i++)
		sq_out_cancel(out, &a[MANY - 1 - i].req);
	for (unsigned i = 0; i < MANY; i++) {
		cr_expect_eq(ask_wait(&a[i]), SQ_OUT_CANCELLED);
		ask_fini(&a[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		hang += sink_requests(others[i]);
	cr_expect_leq(hang, 4 + 20);
	cr_expect_eq(ask_path(&bad, "/"), SQ_OUT_ANSWERED, "its share is free again");
	sq_out_free(&out);
	for (unsigned i = 0; i < 4; i++)
		sink_stop(&others[i]);
	free(a);
	end();
}

Test(out, bounds_of_connections)
{
	struct ask *a = calloc(MANY, sizeof *a);

	sink = sink_start(&(struct sink_cfg){.serve = serve_ok});
	out = sq_out_new(
	    &(struct sq_out_cfg){.user_agent = "test", .per_origin = 3, .total = 2}, &err);
	for (unsigned i = 0; i < MANY; i++) {
		ask_init(&a[i], &plain, "http://127.0.0.1:%u/", sink_port(sink));
		sq_out_send(out, &a[i].req);
	}
	for (unsigned i = 0; i < MANY; i++) {
		cr_expect_eq(ask_wait(&a[i]), SQ_OUT_ANSWERED);
		ask_fini(&a[i]);
	}
	cr_expect_leq(sink_connections(sink), 2);
	free(a);
	end();
}

static void
again(struct sq_out_request *req)
{
	struct ask *a = SQ_CONTAINER_OF(req, struct ask, req);

	if (++a->n_done < 100)
		sq_out_send(out, req);
	else
		sem_post(&a->done);
}

static void *
ask_many(void *arg)
{
	struct ask *a = calloc(MANY, sizeof *a);
	atomic_uint *answered = arg;

	for (unsigned i = 0; i < MANY; i++) {
		ask_init(&a[i], &plain, "http://127.0.0.1:%u/", sink_port(sink));
		sq_out_send(out, &a[i].req);
	}
	for (unsigned i = 0; i < MANY; i++) {
		atomic_fetch_add(answered, ask_wait(&a[i]) == SQ_OUT_ANSWERED);
		ask_fini(&a[i]);
	}
	free(a);
	return NULL;
}

static bool
serve_quietly(void *owner, struct sink_conn *c, const struct sink_request *req)
{
	(void)owner, (void)req;
	return sink_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

Test(out, from_many_threads_and_from_its_own)
{
	pthread_t threads[4];
	atomic_uint answered = 0;
	struct ask a;

	begin(serve_quietly);
	for (unsigned i = 0; i < 4; i++)
		sq_thread_start(&threads[i], ask_many, &answered);
	ask_init(&a, &plain, "http://127.0.0.1:%u/", sink_port(sink));
	a.req.done = again;
	cr_expect_eq(ask(out, &a), SQ_OUT_ANSWERED);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(atomic_load(&answered), 4 * MANY);
	cr_expect_eq(a.n_done, 100);
	cr_expect_leq(sink_connections(sink), 64);
	ask_fini(&a);
	end();
}
