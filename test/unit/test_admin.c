/* web/admin: answers over real sockets on the loopback, HTTP/1.1 and HTTP/2. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../support/h2_client.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/admin.h"
#include "web/admin_ask.h"

static const struct sq_metric_def defs[] = {{"sq_test", NULL, SQ_GAUGE, "A gauge."}};
static _Atomic int64_t values[1];
static const struct sq_metrics metrics = {.defs = defs, .values = values, .n = 1};
static atomic_bool is_ready, is_live = true, hold, held;
static struct sq_admin *admin;
static struct sq_buf err;

static void
refresh(void *owner)
{
	(void)owner;
	sq_metric_add(&metrics, 0, 7);
}

static void
more(void *owner, struct sq_buf *out)
{
	(void)owner;
	sq_metrics_head(out, "sq_more", SQ_GAUGE, "More.");
	sq_buf_printf(out, "sq_more{queue=\"");
	sq_metrics_label(out, "a\"b\\c\nd");
	sq_buf_printf(out, "\"} 1\n");
}

static bool
ready(void *owner, struct sq_buf *why)
{
	(void)owner;
	if (!is_ready)
		sq_buf_printf(why, "subscription orders/# is not in place\n");
	return is_ready;
}

static bool
live(void *owner, struct sq_buf *why)
{
	(void)owner;
	(void)why;
	while (hold) {
		held = true;
		usleep(1000);
	}
	return is_live;
}

/* A page below /v1/: its path says how it is answered. */

static struct sq_admin_ask *kept[64]; /* by /v1/never, until the test answers */
static atomic_uint n_kept;

static void
answer_ok(struct sq_admin_ask *a)
{
	struct sq_admin_answer answer = {.status = 200};

	sq_buf_printf(&answer.body, "[\"%s|%s|%s|%.*s|%d\"]", a->path, a->query, a->host,
	    (int)a->token.len, a->token.len > 0 ? (const char *)a->token.p : "", a->loopback);
	sq_buf_printf(&answer.body, " %s %zu %.*s.", a->method, a->body.len, (int)a->body.len,
	    a->body.len > 0 ? (const char *)a->body.p : "");
	sq_admin_answer(a, &answer);
}

static void
answer_continued(struct sq_admin_ask *a, void *arg)
{
	cr_assert_eq(arg, &n_kept);
	answer_ok(a);
}

static void *
answer_later(void *ask)
{
	usleep(50000);
	sq_admin_continue(ask, answer_continued, &n_kept);
	return NULL;
}

static void
asked(void *owner, struct sq_admin_ask *a)
{
	struct sq_admin_answer no = {.status = 429, .detail = "not \"now\"", .retry_after_s = 7};
	pthread_t thread;

	(void)owner;
	if (strcmp(a->path, "/v1/never") == 0) {
		kept[n_kept] = a;
		n_kept++;
	} else if (strcmp(a->path, "/v1/no") == 0) {
		sq_admin_answer(a, &no);
	} else if (strcmp(a->path, "/v1/later") == 0) {
		pthread_create(&thread, NULL, answer_later, a);
		pthread_detach(thread);
	} else {
		answer_ok(a);
	}
}

/* Pages of another folder, whose paths begin as those of the first do. */
static void
asked_deeper(void *owner, struct sq_admin_ask *a)
{
	static const struct sq_admin_header headers[] = {
	    {"cache-control", "no-cache"}, {"etag", "\"1\""}, {NULL, NULL}};
	struct sq_admin_answer answer = {.status = 200, .headers = headers};

	(void)owner;
	if (strcmp(a->path, "/v1/do/page") == 0) {
		answer.type = "text/html; charset=utf-8";
		sq_buf_printf(&answer.body, "<p>page");
	} else if (strcmp(a->path, "/v1/do/same") == 0) {
		answer.status = 304;
	} else if (strcmp(a->path, "/v1/do/broken") == 0) {
		answer.status = 404;
		answer.detail = "no \xc3\xa4\x80\xe2\x82 here";
	} else {
		answer_ok(a);
		return;
	}
	sq_admin_answer(a, &answer);
}

static const struct sq_admin_pages shallow = {"/v1/", "GET, HEAD", asked, NULL},
				   deeper = {
				       "/v1/do/", "GET, HEAD, POST, DELETE", asked_deeper, NULL};
static const struct sq_admin_pages *const pages[] = {&shallow, &deeper, NULL};

static struct sq_admin *
start(const char *listen_on)
{
	const struct sq_admin_cfg cfg = {
	    listen_on, &metrics, refresh, more, ready, live, pages, NULL};

	return sq_admin_start(&cfg, &err);
}

static void
setup(void)
{
	signal(SIGPIPE, SIG_IGN); /* a peer that closes is what some tests want */
	admin = start("127.0.0.1:0");
	cr_assert_not_null(admin);
	cr_assert_neq(sq_admin_port(admin), 0);
}

static void
tidy(void)
{
	sq_admin_stop(&admin);
	cr_assert_null(admin);
	sq_buf_fini(&err);
}

TestSuite(admin, .init = setup, .fini = tidy);

static int
dial(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)sq_admin_port(admin)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval tv = {10, 0}; /* so that a failure is no hang */
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	return fd;
}

/* All the peer sends until it closes. */
static const char *
drain(int fd)
{
	static char text[1 << 16];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fd);
	return text;
}

static const char *
ask(const char *method, const char *path)
{
	int fd = dial();

	dprintf(fd, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
	return drain(fd);
}

#define HAS(text, what) cr_assert_not_null(strstr(text, what), "%s lacks %s", text, what)

Test(admin, ready_only_when_the_owner_says_so)
{
	const char *t = ask("GET", "/readyz");

	HAS(t, "HTTP/1.1 503 ");
	HAS(t, "\r\n\r\nsubscription orders/# is not in place\n");
	is_ready = true;
	t = ask("GET", "/readyz?verbose");
	HAS(t, "HTTP/1.1 200 ");
	HAS(t, "\r\n\r\nok\n");
}

Test(admin, live_without_a_reason_still_says_something)
{
	HAS(ask("GET", "/livez"), "HTTP/1.1 200 ");
	is_live = false;
	HAS(ask("GET", "/livez"), "\r\n\r\nnot ok\n");
}

Test(admin, metrics_are_refreshed_first)
{
	const char *t = ask("GET", "/metrics");

	HAS(t, "HTTP/1.1 200 ");
	HAS(t, "content-type: text/plain; version=0.0.4");
	HAS(t, "\nsq_test 7\n");
	HAS(ask("GET", "/metrics"), "\nsq_test 14\n");
}

Test(admin, metrics_of_no_table_follow_with_their_labels_escaped)
{
	HAS(ask("GET", "/metrics"),
	    "\n# HELP sq_more More.\n# TYPE sq_more gauge\n"
	    "sq_more{queue=\"a\\\"b\\\\c\\nd\"} 1\n");
}

Test(admin, head_has_the_length_and_no_body)
{
	const char *t = ask("HEAD", "/livez");

	HAS(t, "HTTP/1.1 200 ");
	HAS(t, "Content-Length: 3\r\n");
	cr_assert_str_eq(strstr(t, "\r\n\r\n"), "\r\n\r\n");
}

Test(admin, other_paths_and_methods_are_refused_with_a_problem_body)
{
	const char *t = ask("GET", "/etc/passwd");

	HAS(t, "HTTP/1.1 404 ");
	HAS(t, "content-type: application/problem+json");
	HAS(t, "\"status\":404");
	HAS(ask("GET", "/livez/../x"), " 404 ");
	HAS(ask("GET", "/livezz"), " 404 ");
	t = ask("DELETE", "/metrics");
	HAS(t, "HTTP/1.1 405 ");
	HAS(t, "allow: GET, HEAD");
	HAS(t, "\"status\":405");
}

/* The whole of an answer to a request with these headers and that body. */
static const char *
ask_all(const char *method, const char *path, const char *headers, const char *body)
{
	int fd = dial();

	dprintf(fd, "%s %s HTTP/1.1\r\n%sConnection: close\r\n", method, path, headers);
	if (body != NULL)
		dprintf(fd, "Content-Length: %zu\r\n", strlen(body));
	dprintf(fd, "\r\n%s", body != NULL ? body : "");
	return drain(fd);
}

static const char *
ask_with(const char *path, const char *headers)
{
	return ask_all("GET", path, headers, NULL);
}

static const char *
post(const char *headers, const char *body)
{
	return ask_all("POST", "/v1/do/it", headers, body);
}

Test(admin, pages_are_the_program_s_to_answer_at_once_or_later)
{
	const char *t = ask_with("/v1/./page?a=%20&b", "Host: h:1\r\nAuthorization: Bearer x\r\n");

	HAS(t, "HTTP/1.1 200 ");
	HAS(t, "content-type: application/json");
	HAS(t, "cache-control: no-store");
	HAS(t, "[\"/v1/page|a=%20&b|h:1|Bearer x|1\"]");
	HAS(ask_with("/v1/later",
		"Host: x\r\nSqmqos-Authorization: Bearer y\r\n"
		"Authorization: Bearer x\r\n"),
	    "[\"/v1/later||x|Bearer y|1\"]");
	t = ask("GET", "/v1/no");
	HAS(t, "HTTP/1.1 429 ");
	HAS(t, "retry-after: 7");
	HAS(t, "\"detail\":\"not \\\"now\\\"\"");
	HAS(ask("GET", "/v1"), " 404 ");
	HAS(ask("DELETE", "/v1/page"), " 405 ");
}

#define JSON "Content-Type: application/json\r\n"
#define HOST "Host: localhost:9090\r\n"

Test(admin, pages_take_the_methods_that_they_name_and_bodies_of_json)
{
	const char *t;

	HAS(post(HOST JSON, "{\"a\": 1}"), " POST 8 {\"a\": 1}.");
	HAS(post(HOST "content-type: Application/JSON; charset=utf-8\r\n", "1"), " POST 1 1.");
	HAS(post(HOST JSON, NULL), " POST 0 .");
	HAS(ask_all("DELETE", "/v1/do/it", HOST, NULL), " DELETE 0 .");
	HAS(ask("GET", "/v1/do/it"), " GET 0 .");
	HAS(ask_all("GET", "/v1/do/it", HOST, "not looked at"), " GET 0 .");
	HAS(post(HOST, "{}"), " 415 ");
	HAS(post(HOST "Content-Type: text/plain\r\n", "{}"), " 415 ");
	HAS(post(HOST "Content-Type: application/jsonp\r\n", "{}"), " 415 ");
	HAS(post(HOST JSON "Content-Type: text/plain\r\n", "{}"), " 415 ");
	t = ask("PUT", "/v1/do/it");
	HAS(t, " 405 ");
	HAS(t, "allow: GET, HEAD, POST, DELETE");
	HAS(ask("OPTIONS", "/v1/do/it"), " 405 ");
	HAS(ask("PO", "/v1/do/it"), " 405 ");
	t = ask_all("POST", "/v1/it", HOST JSON, "{}");
	HAS(t, " 405 ");
	HAS(t, "allow: GET, HEAD\r");
}

Test(admin, a_body_has_a_bound)
{
	static char body[SQ_ADMIN_BODY_MAX + 2];

	memset(body, '1', SQ_ADMIN_BODY_MAX);
	HAS(post(HOST JSON, body), " POST 16384 1111");
	body[SQ_ADMIN_BODY_MAX] = '1';
	HAS(post(HOST JSON, body), " 413 ");
	HAS(post(HOST JSON, body), "\"detail\":\"a body has 16 KiB at the most\"");
}

/* The status of an answer over HTTP/2 to a body of no type. */
static unsigned
post_h2(const char *body, size_t len)
{
	struct h2_client *c = h2_open(sq_admin_port(admin), NULL);
	unsigned status = h2_ask(c, "POST", "/v1/do/it", body, len)->status;

	h2_close(&c);
	return status;
}

Test(admin, a_body_has_the_same_bound_over_http2)
{
	static char body[4 * SQ_ADMIN_BODY_MAX];

	memset(body, '1', sizeof body);
	cr_assert_eq(post_h2(body, SQ_ADMIN_BODY_MAX), 415);
	cr_assert_eq(post_h2(body, SQ_ADMIN_BODY_MAX + 1), 413);
	cr_assert_eq(post_h2(body, sizeof body), 413);
}

Test(admin, a_body_may_come_in_pieces)
{
	int fd = dial();

	dprintf(
	    fd, "POST /v1/do/it HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n4\r\n");
	usleep(1000);
	dprintf(fd, "{\nHo\r\n");
	usleep(1000);
	dprintf(fd, "5\r\nst:x}\r\n0\r\n\r\n");
	HAS(drain(fd), " POST 9 {\nHost:x}.");
}

Test(admin, answers_have_types_headers_and_other_statuses)
{
	const char *t = ask("GET", "/v1/do/page");

	HAS(t, "content-type: text/html; charset=utf-8");
	HAS(t, "cache-control: no-cache\r");
	HAS(t, "etag: \"1\"");
	HAS(t, "\r\n\r\n<p>page");
	cr_assert_null(strstr(t, "no-store"));
	t = ask("GET", "/v1/do/same");
	HAS(t, " 304 Not Modified");
	cr_assert_str_eq(strstr(t, "\r\n\r\n"), "\r\n\r\n");
	HAS(ask("GET", "/v1/do/broken"), "no \xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd here");
}

/* What a browser sends for a page of another site never reaches the program, unless there is a
 * credential, which no page can add without the endpoint's permission. */
Test(admin, another_site_s_page_can_not_ask)
{
	static const char *const foreign[] = {"Origin: http://evil.example\r\n",
	    "Origin: http://evil.example:9090\r\n", "Origin: http://localhost:3000\r\n",
	    "Origin: http://localhost\r\n", "Origin: null\r\n", "Origin: \r\n",
	    "Origin: http://localhost:90900\r\n", "Origin: localhost:9090\r\n",
	    "Origin: http://localhost:9090\r\nOrigin: http://evil.example\r\n",
	    "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n",
	    "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n"};
	static const char *const own[] = {"Origin: http://localhost:9090\r\n",
	    "Origin: https://LOCALHOST:9090\r\nSec-Fetch-Site: same-origin\r\n",
	    "Sec-Fetch-Site: none\r\n"};
	char headers[512];

	for (size_t i = 0; i < SQ_ARRAY_LEN(foreign); i++) {
		snprintf(headers, sizeof headers, HOST JSON "%s", foreign[i]);
		HAS(post(headers, "{}"), " 403 ");
		HAS(ask_with("/v1/page", headers), " 403 ");
		cr_assert_null(strstr(post(headers, "{}"), "ccess-control-allow"));
		snprintf(headers, sizeof headers, HOST JSON "Authorization: \r\n%s", foreign[i]);
		HAS(post(headers, "{}"), " 403 ");
		snprintf(
		    headers, sizeof headers, HOST JSON "Authorization: Bearer x\r\n%s", foreign[i]);
		HAS(post(headers, "{}"), " POST 2 {}.");
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(own); i++) {
		snprintf(headers, sizeof headers, HOST JSON "%s", own[i]);
		HAS(post(headers, "{}"), " POST 2 {}.");
		HAS(ask_with("/v1/page", headers), " GET 0 .");
	}
}

Test(admin, a_link_of_another_site_may_be_followed)
{
	static const char link[] = HOST JSON "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: "
					     "navigate\r\nSec-Fetch-Dest: document\r\n";

	HAS(ask_with("/v1/page", link), " GET 0 .");
	HAS(post(link, "{}"), " 403 ");
	HAS(ask_with("/v1/page", HOST "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: iframe\r\n"),
	    " 403 ");
}

Test(admin, a_request_names_one_host)
{
	HAS(ask_with("/v1/page", "Host: a\r\nHost: localhost\r\n"), " 400 ");
	HAS(ask_with("/v1/page", "Host: localhost\r\nX: y\r\nhOST:localhost\r\n"), " 400 ");
	HAS(post("Host: a\r\n" JSON HOST, "{}"), " 400 ");
	HAS(ask_with("/v1/page", "X: y\r\n"), " 400 ");
	HAS(ask_with("/v1/page", "X-Host: a\r\n" HOST "Hosts: b\r\n"), "|localhost:9090|");
	HAS(post(HOST JSON, "{}\nHost: x"), " POST 10 {}\nHost: x.");
}

Test(admin, a_page_that_does_not_come_is_answered_in_its_place)
{
	const char *t = ask("GET", "/v1/never");

	HAS(t, "HTTP/1.1 503 ");
	HAS(t, "retry-after: 1");
	HAS(ask("GET", "/livez"), "HTTP/1.1 200 ");
	answer_ok(kept[0]); /* too late, for nobody */
}

Test(admin, a_client_that_goes_is_not_answered)
{
	int fd = dial();

	dprintf(fd, "GET /v1/never HTTP/1.1\r\nHost: x\r\n\r\n");
	while (n_kept == 0)
		usleep(1000);
	close(fd);
	HAS(ask("GET", "/livez"), "HTTP/1.1 200 ");
	answer_ok(kept[0]);
}

Test(admin, so_many_may_wait_and_no_more)
{
	enum { MOST = 32 };
	int fds[MOST];

	for (unsigned i = 0; i < MOST; i++) {
		fds[i] = dial();
		dprintf(fds[i], "GET /v1/never HTTP/1.1\r\nHost: x\r\n\r\n");
		while (n_kept <= i)
			usleep(1000);
	}
	HAS(ask("GET", "/v1/never"), "too many requests wait");
	for (unsigned i = 0; i < MOST; i++) {
		answer_ok(kept[i]);
		close(fds[i]);
	}
}

Test(admin, requests_out_of_bounds_get_an_error_or_a_close)
{
	static const char big[] =
	    "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n";
	int fd = dial();

	cr_assert_eq(write(fd, big, sizeof big - 1), (ssize_t)sizeof big - 1);
	HAS(drain(fd), "HTTP/1.1 413 ");
	fd = dial();
	dprintf(fd, "GET /livez HTTP/1.1\r\nHost: x\r\nX: %500000s\r\n\r\n", "x");
	cr_assert_null(strstr(drain(fd), " 200 "), "header of 500 KB");
	fd = dial();
	dprintf(fd, "\x01\x02garbage\r\n\r\n");
	cr_assert_null(strstr(drain(fd), " 200 "));
	HAS(ask("GET", "/livez"), " 200 ");
}

/* The preface, SETTINGS, and GET /livez on stream 1. */
static const char h2_get[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
			     "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
			     "\x00\x00\x0d\x01\x05\x00\x00\x00\x01"
			     "\x82\x86\x04\x06/livez\x41\x01x";

/* Waits for the body of the answer. */
static void
h2_expect_ok(int fd)
{
	char in[4096];
	size_t len = 0;
	ssize_t n;

	cr_assert_eq(write(fd, h2_get, sizeof h2_get - 1), (ssize_t)sizeof h2_get - 1);
	while (memmem(in, len, "ok\n", 3) == NULL) {
		n = read(fd, in + len, sizeof in - len);
		cr_assert_gt(n, 0);
		len += (size_t)n;
	}
}

Test(admin, http2_with_prior_knowledge_is_answered)
{
	int fd = dial();

	h2_expect_ok(fd);
	close(fd);
}

Test(admin, stop_closes_connections_in_any_state)
{
	int fds[6];

	for (int i = 0; i < 6; i++)
		fds[i] = dial();
	/* 0 idle; 1 half a request; 2 waiting for a body; 3 HTTP/2; 4 half a preface;
	 * 5 answered. */
	dprintf(fds[1], "GET /li");
	dprintf(fds[2], "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
	h2_expect_ok(fds[3]);
	cr_assert_eq(write(fds[4], h2_get, 10), 10);
	dprintf(fds[5], "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
	HAS(ask("GET", "/livez"), " 200 ");
	sq_admin_stop(&admin);
	cr_assert_null(admin);
	for (int i = 0; i < 6; i++) {
		const char *t = drain(fds[i]);

		if (i == 5)
			HAS(t, " 200 ");
	}
}

Test(admin, http2_ends_behind_its_answer)
{
	char rest[4096];
	int fd = dial();
	uint64_t begun = sq_clock_ms();

	h2_expect_ok(fd);
	while (read(fd, rest, sizeof rest) > 0)
		;
	cr_assert_lt(sq_clock_ms() - begun, 1500, "not by its age");
	close(fd);
}

Test(admin, http1_ends_behind_its_answer_whatever_was_asked_for)
{
	int fd = dial();

	dprintf(fd, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
	HAS(drain(fd), "\r\n\r\nok\n");
}

/* GET /metrics with a window of nothing for its answer, after the preface. */
static const char h2_stuck[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
			       "\x00\x00\x06\x04\x00\x00\x00\x00\x00"
			       "\x00\x04\x00\x00\x00\x00"
			       "\x00\x00\x0f\x01\x05\x00\x00\x00\x01"
			       "\x82\x86\x04\x08/metrics\x41\x01x";

/* Silent ones, halves of a request, a body that does not come, and an answer that is not
 * taken: each ends by itself, and never is a probe kept out. */
Test(admin, who_says_nothing_or_half_keeps_no_probe_out)
{
	enum { N = 64 };
	uint64_t begun;
	int fds[N];

	for (int i = 0; i < N; i++) {
		fds[i] = dial();
		if (i % 4 == 1)
			dprintf(fds[i], "GET /li");
		else if (i % 4 == 2)
			dprintf(fds[i],
			    "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
		else if (i % 4 == 3)
			cr_assert_gt(write(fds[i], h2_stuck, sizeof h2_stuck - 1), 0);
		if (i % 8 == 7)
			HAS(ask("GET", "/livez"), " 200 ");
	}
	begun = sq_clock_ms();
	for (int i = 0; i < N; i++)
		(void)drain(fds[i]); /* fails by the time-out of dial() where one stays open */
	cr_assert_lt(sq_clock_ms() - begun, 8000);
	HAS(ask("GET", "/livez"), " 200 ");
}

Test(admin, probes_that_come_at_once_are_all_answered)
{
	enum { N = 40 }; /* more than may be open */
	static const char get[] = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
	int fds[N];

	hold = true;
	for (int i = 0; i < N; i++) {
		fds[i] = dial();
		cr_assert_eq(write(fds[i], get, sizeof get - 1), (ssize_t)sizeof get - 1);
		while (i == 0 && !held) /* the others find the admin thread busy */
			usleep(1000);
	}
	hold = false;
	for (int i = 0; i < N; i++)
		HAS(drain(fds[i]), " 200 ");
}

/* Whether /livez answers at 'address' and the port of 'admin'. */
static bool
answers_at(const char *address)
{
	struct sockaddr_in6 v6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)sq_admin_port(admin))};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6.sin6_port};
	bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	if (!is_v6)
		cr_assert_eq(inet_pton(AF_INET, address, &v4.sin_addr), 1);
	if (connect(fd, is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
		is_v6 ? sizeof v6 : sizeof v4) != 0) {
		close(fd);
		return false;
	}
	dprintf(fd, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	return strstr(drain(fd), " 200 ") != NULL;
}

static void
starts_at(const char *listen_on)
{
	sq_admin_stop(&admin);
	admin = start(listen_on);
	cr_assert_not_null(admin, "%s", listen_on);
}

Test(admin, a_port_alone_is_every_address_and_a_name_is_all_it_stands_for)
{
	bool has_v6;

	sq_admin_stop(&admin);
	admin = start("[::1]:0");
	has_v6 = admin != NULL;
	if (!has_v6)
		sq_buf_fini(&err);
	starts_at(":0");
	cr_assert(answers_at("127.0.0.1"));
	cr_assert(answers_at("127.1.2.3"), "not one address of IPv4 alone");
	cr_assert_eq(answers_at("::1"), has_v6);
	starts_at("localhost:0");
	cr_assert(answers_at("127.0.0.1") || answers_at("::1"));
	cr_assert(!answers_at("127.1.2.3"), "localhost is no other address");
}

Test(admin, addresses_that_cannot_be_bound_are_errors)
{
	static const char *const wrong[] = {"", "9090", "127.0.0.1:", "127.0.0.1:65536",
	    "127.0.0.1:1x", "[::1]", "::1:9090", "[::1:9090", "no.such.host.invalid:9090",
	    "1111111111111111111111111111111111111111111111111111111111111111:1"};
	char taken[40];

	for (size_t i = 0; i < SQ_ARRAY_LEN(wrong); i++) {
		cr_assert_null(start(wrong[i]), "%s", wrong[i]);
		sq_buf_u8(&err, 0);
		HAS((char *)err.base, "admin.listen: ");
		HAS((char *)err.base, wrong[i]);
		sq_buf_fini(&err);
	}
	snprintf(taken, sizeof taken, "127.0.0.1:%u", sq_admin_port(admin));
	cr_assert_null(start(taken));
	sq_buf_u8(&err, 0);
	HAS((char *)err.base, "Address already in use");
}

Test(admin, starts_and_stops_many_times)
{
	for (int i = 0; i < 20; i++) {
		HAS(ask("GET", "/livez"), " 200 ");
		sq_admin_stop(&admin);
		admin = start("[::1]:0");
		if (admin == NULL) /* a machine without IPv6 */
			admin = start("127.0.0.1:0");
		else
			sq_admin_stop(&admin);
		if (admin == NULL)
			admin = start("127.0.0.1:0");
		cr_assert_not_null(admin);
	}
}
