/* net/curl/once and net/curl/url: requests to real servers, by clear text and TLS. */
#include <criterion/criterion.h>

#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/https_server.h"
#include "../support/temp_dir.h"
#include "core/clock.h"
#include "core/file.h"
#include "net/curl/once.h"
#include "net/curl/san.h"
#include "net/curl/url.h"

enum { LONG_MS = 30000 };

/* What the server saw last; read after the answer. */
static struct {
	char method[16], path[256], head[4096], body[256];
	unsigned connection, requests;
} seen;
static struct https_reply reply; /* what it says next */
static unsigned busy;            /* to so many requests it says 429 before that */
static sem_t arrived;
static char *dir;
static struct https_server *server;
static struct sq_once *once;
static struct sq_once_answer answer;
static struct sq_buf err;

static void
handle(void *owner, const struct https_request *req, struct https_reply *out)
{
	(void)owner;
	snprintf(seen.method, sizeof seen.method, "%s", req->method);
	snprintf(seen.path, sizeof seen.path, "%s", req->path);
	snprintf(seen.head, sizeof seen.head, "%s", req->head);
	snprintf(seen.body, sizeof seen.body, "%.*s", (int)req->body_len, req->body);
	seen.connection = req->connection;
	seen.requests++;
	*out = reply;
	memset(&out->body, 0, sizeof out->body);
	if (busy > 0) {
		busy--;
		out->status = 429;
		out->headers = "Retry-After: 1\r\n";
	} else if (sq_buf_len(&reply.body) > 0) {
		sq_buf_append(&out->body, sq_buf_data(&reply.body), sq_buf_len(&reply.body));
	}
	sem_post(&arrived);
}

static const char *
file(const char *name)
{
	static char paths[4][200];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(paths[i], sizeof paths[i], "%s/%s", dir, name);
	return paths[i];
}

static void
setup(void)
{
	dir = temp_dir_new();
	https_certificate(dir);
	reply = (struct https_reply){.status = 200};
	sem_init(&arrived, 0, 0);
}

static void
tidy(void)
{
	sq_once_free(&once);
	https_stop(&server);
	sq_buf_fini(&answer.body);
	sq_buf_fini(&reply.body);
	sq_buf_fini(&err);
	temp_dir_free(&dir);
}

TestSuite(once, .init = setup, .fini = tidy);

static void
serve(struct https_cfg cfg)
{
	cfg.dir = dir;
	cfg.handle = handle;
	server = https_start(&cfg);
}

/* A client of the server, unless 'cfg' has another base. */
static void
client(struct sq_once_cfg cfg)
{
	sq_once_free(&once);
	if (cfg.base == NULL)
		cfg.base = https_url(server);
	if (cfg.max_body == 0)
		cfg.max_body = 65536;
	once = sq_once_new(&cfg, &err);
	cr_assert_not_null(once, "%.*s", (int)sq_buf_len(&err), (char *)sq_buf_data(&err));
}

static enum sq_once_end
ask(const char *method, const char *path)
{
	return sq_once_do(once,
	    &(struct sq_once_request){.method = method, .path = path, .timeout_ms = LONG_MS},
	    &answer);
}

static bool
answered(const char *text)
{
	return sq_buf_len(&answer.body) == strlen(text) &&
	    memcmp(sq_buf_data(&answer.body), text, strlen(text)) == 0;
}

static struct sq_bytes
content(struct sq_buf *b, const char *name)
{
	cr_assert_eq(sq_file_read(file(name), 65536, b), SQ_OK);
	return sq_buf_bytes(b);
}

Test(once, sends_what_it_is_given_over_one_connection)
{
	serve((struct https_cfg){.clear = true});
	client((struct sq_once_cfg){.accept = "text/x"});
	cr_assert_eq(sq_once_header_always(once, "X-Always", "a"), SQ_OK);
	cr_assert_eq(sq_once_header(once, "X-Next", "n\tm"), SQ_OK);
	cr_assert_eq(sq_once_header(once, "X-Bad", "n\nm"), SQ_EINVAL);
	sq_buf_printf(&reply.body, "yes");
	cr_assert_eq(sq_once_do(once,
			 &(struct sq_once_request){.method = "PATCH",
			     .path = "/a/../b?c=%41",
			     .content_type = "text/y",
			     .body = sq_bytes_of("hello"),
			     .timeout_ms = LONG_MS},
			 &answer),
	    SQ_ONCE_ANSWERED);
	cr_expect_eq(answer.status, 200);
	cr_expect(answered("yes"));
	cr_expect_str_eq(answer.why, "");
	cr_expect_str_eq(seen.method, "PATCH");
	cr_expect_str_eq(seen.path, "/a/../b?c=%41");
	cr_expect_str_eq(seen.body, "hello");
	cr_expect_not_null(strstr(seen.head, "\r\nX-Always: a\r\n"), "%s", seen.head);
	cr_expect_not_null(strstr(seen.head, "\r\nX-Next: n\tm\r\n"), "%s", seen.head);
	cr_expect_not_null(strstr(seen.head, "\r\nAccept: text/x\r\n"), "%s", seen.head);
	cr_expect_not_null(strstr(seen.head, "\r\nContent-Type: text/y\r\n"), "%s", seen.head);
	cr_expect_null(strcasestr(seen.head, "expect:"), "%s", seen.head);

	cr_assert_eq(ask("GET", "/"), SQ_ONCE_ANSWERED);
	cr_expect_not_null(strstr(seen.head, "\r\nX-Always: a\r\n"), "%s", seen.head);
	cr_expect_null(strstr(seen.head, "X-Next"), "%s", seen.head);
	cr_expect_null(strcasestr(seen.head, "content-"), "%s", seen.head);

	cr_assert_eq(sq_once_header(once, "X-Dropped", "d"), SQ_OK);
	sq_once_headers_drop(once);
	cr_assert_eq(ask("DELETE", "/"), SQ_ONCE_ANSWERED);
	cr_expect_null(strstr(seen.head, "X-Dropped"), "%s", seen.head);
	cr_expect_str_eq(seen.method, "DELETE");

	cr_assert_eq(
	    sq_once_do(once,
		&(struct sq_once_request){
		    .method = "POST", .path = "/", .body = sq_bytes_of(""), .timeout_ms = LONG_MS},
		&answer),
	    SQ_ONCE_ANSWERED);
	cr_expect_not_null(strstr(seen.head, "\r\nContent-Length: 0\r\n"), "%s", seen.head);
	cr_expect_null(strcasestr(seen.head, "content-type"), "%s", seen.head);
	cr_expect_eq(seen.connection, 1);
}

/* The server sends the length of a body, which HEAD's answer does not have. */
Test(once, waits_for_no_body_of_an_answer_to_HEAD)
{
	serve((struct https_cfg){.clear = true});
	client((struct sq_once_cfg){.silent_s = 1});
	sq_buf_printf(&reply.body, "body");
	cr_assert_eq(ask("HEAD", "/"), SQ_ONCE_ANSWERED);
	cr_expect_eq(answer.status, 200);
	cr_expect_eq(sq_buf_len(&answer.body), 0);
	cr_expect_str_eq(seen.method, "HEAD");
	cr_assert_eq(ask("GET", "/"), SQ_ONCE_ANSWERED);
	cr_expect(answered("body"));
	cr_expect_str_eq(seen.method, "GET");
}

Test(once, takes_the_base_without_slashes_and_follows_nobody)
{
	char base[128];

	serve((struct https_cfg){.clear = true});
	snprintf(base, sizeof base, "%s/sub//", https_url(server));
	client((struct sq_once_cfg){.base = base});
	base[strlen(base) - 2] = '\0';
	cr_expect_str_eq(sq_once_base(once), base);
	reply.status = 307;
	reply.headers = "Location: /elsewhere\r\n";
	cr_assert_eq(ask("GET", "/x"), SQ_ONCE_ANSWERED);
	cr_expect_eq(answer.status, 307);
	cr_expect_str_eq(seen.path, "/sub/x");
	cr_expect_eq(seen.requests, 1);
}

Test(once, bounds_the_answer_and_says_its_status)
{
	serve((struct https_cfg){.clear = true});
	client((struct sq_once_cfg){.max_body = 5});
	reply.status = 202;
	sq_buf_printf(&reply.body, "12345");
	cr_assert_eq(ask("GET", "/"), SQ_ONCE_ANSWERED);
	cr_expect(answered("12345"));
	sq_buf_printf(&reply.body, "6");
	cr_assert_eq(ask("GET", "/"), SQ_ONCE_TOO_LARGE);
	cr_expect_eq(answer.status, 202);
	cr_expect_eq(sq_buf_len(&answer.body), 0);
	cr_expect_str_eq(answer.why, "the answer is larger than 5 bytes");
}

Test(once, takes_no_status_from_an_answer_that_breaks_off)
{
	serve((struct https_cfg){.clear = true});
	client((struct sq_once_cfg){0});
	reply.headers = "Transfer-Encoding: chunked\r\n";
	sq_buf_printf(&reply.body, "3\r\nabc\r\nno length\r\n");
	cr_assert_eq(ask("GET", "/"), SQ_ONCE_FAILED);
	cr_expect_eq(answer.status, 0);
	cr_expect_eq(sq_buf_len(&answer.body), 0);
	cr_expect_str_neq(answer.why, "");
}

/* Takes one connection, and ends it within the head of an answer. */
static void *
break_off(void *listener)
{
	static const char head[] = "HTTP/1.1 200 OK\r\ncontent-len";
	int fd = accept(*(int *)listener, NULL, NULL);
	char in[4096];

	if (read(fd, in, sizeof in) > 0)
		(void)!write(fd, head, sizeof head - 1);
	close(fd);
	return NULL;
}

Test(once, takes_no_status_from_a_head_that_breaks_off)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof a;
	char url[64];
	pthread_t t;

	cr_assert_eq(bind(listener, (struct sockaddr *)&a, len), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(a.sin_port));
	cr_assert_eq(pthread_create(&t, NULL, break_off, &listener), 0);
	client((struct sq_once_cfg){.base = url});
	cr_assert_eq(ask("GET", "/"), SQ_ONCE_FAILED);
	cr_expect_eq(answer.status, 0);
	cr_expect_str_eq(answer.why, "the answer ends within its head");
	pthread_join(t, NULL);
	close(listener);
}

/* A port at which nobody listens. */
static const char *
nobody(char *url, size_t room)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&a, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	snprintf(url, room, "http://127.0.0.1:%u", ntohs(a.sin_port));
	return url;
}

Test(once, says_why_there_is_no_answer)
{
	char url[64];

	serve((struct https_cfg){0});
	client((struct sq_once_cfg){.base = nobody(url, sizeof url)});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_UNREACHABLE);
	cr_expect_not_null(strstr(answer.why, "127.0.0.1"), "%s", answer.why);
	client((struct sq_once_cfg){0});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_UNTRUSTED);
	cr_expect_str_neq(answer.why, "");
	client((struct sq_once_cfg){.base = "ftp://127.0.0.1"});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_FAILED);
	cr_expect_eq(sq_buf_len(&answer.body), 0);
	cr_expect_eq(seen.requests, 0);
}

Test(once, gives_up_after_its_time)
{
	serve((struct https_cfg){.clear = true});
	client((struct sq_once_cfg){0});
	reply.silent = true;
	cr_expect_eq(
	    sq_once_do(once,
		&(struct sq_once_request){.method = "GET", .path = "/", .timeout_ms = 50}, &answer),
	    SQ_ONCE_TIMEOUT);
	cr_expect_geq(answer.took_us, 50000);
	cr_expect_eq(answer.status, 0);
	client((struct sq_once_cfg){.silent_s = 1});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_TIMEOUT);
}

Test(once, trusts_a_file_a_text_or_anybody)
{
	struct sq_buf pem = {0};
	struct sq_bytes ca = content(&pem, "cert.pem");

	serve((struct https_cfg){0});
	client((struct sq_once_cfg){.ca_file = file("cert.pem")});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_ANSWERED, "%s", answer.why);
	client((struct sq_once_cfg){.ca = ca, .names = sq_san_check});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_ANSWERED, "%s", answer.why);
	client((struct sq_once_cfg){.insecure = true});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_ANSWERED, "%s", answer.why);
	client((struct sq_once_cfg){0});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_UNTRUSTED);
	cr_assert_eq(sq_once_trust(once, ca), SQ_OK);
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_ANSWERED, "%s", answer.why);
	sq_buf_fini(&pem);
}

Test(once, calls_the_server_by_the_name_of_its_certificate)
{
	char host[64];

	serve((struct https_cfg){0});
	client((struct sq_once_cfg){.ca_file = file("cert.pem"), .server_name = "localhost"});
	cr_assert_eq(ask("GET", "/"), SQ_ONCE_ANSWERED, "%s", answer.why);
	snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%u\r\n", https_port(server));
	cr_expect_not_null(strstr(seen.head, host), "%s", seen.head);
	snprintf(host, sizeof host, "https://localhost:%u", https_port(server));
	cr_expect_str_eq(sq_once_base(once), host);
	client((struct sq_once_cfg){.ca_file = file("cert.pem"), .server_name = "other.example"});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_UNTRUSTED);
}

Test(once, shows_a_certificate_of_its_own)
{
	struct sq_buf cert = {0}, key = {0};
	struct sq_bytes c = content(&cert, "cert.pem"), k = content(&key, "key.pem");

	serve((struct https_cfg){.asks_client = true});
	client((struct sq_once_cfg){.insecure = true});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_FAILED);
	cr_expect_eq(seen.requests, 0);
	client((struct sq_once_cfg){
	    .insecure = true, .cert_file = file("cert.pem"), .key_file = file("key.pem")});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_ANSWERED, "%s", answer.why);
	client((struct sq_once_cfg){.insecure = true, .cert = c, .key = k});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_ANSWERED, "%s", answer.why);
	sq_buf_fini(&cert);
	sq_buf_wipe(&key);
}

Test(once, takes_the_proxy_that_it_is_given_and_none_of_the_environment)
{
	char url[64];

	serve((struct https_cfg){.clear = true});
	setenv("http_proxy", nobody(url, sizeof url), 1);
	setenv("all_proxy", url, 1);
	setenv("no_proxy", "*", 1);
	client((struct sq_once_cfg){0});
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_ANSWERED, "%s", answer.why);
	client((struct sq_once_cfg){.base = "http://broker.invalid", .proxy = https_url(server)});
	cr_expect_eq(ask("GET", "/x"), SQ_ONCE_ANSWERED, "%s", answer.why);
	cr_expect_str_eq(seen.path, "http://broker.invalid/x");
}

Test(once, comes_again_when_asked_to_with_the_same_headers)
{
	const struct sq_once_request r = {
	    .method = "GET", .path = "/", .timeout_ms = LONG_MS, .tries = 2};

	serve((struct https_cfg){.clear = true});
	client((struct sq_once_cfg){0});
	busy = 1;
	cr_assert_eq(sq_once_header(once, "X-Next", "n"), SQ_OK);
	cr_assert_eq(sq_once_do(once, &r, &answer), SQ_ONCE_ANSWERED);
	cr_expect_eq(answer.status, 200);
	cr_expect_eq(seen.requests, 2);
	cr_expect_not_null(strstr(seen.head, "\r\nX-Next: n\r\n"), "%s", seen.head);
	busy = 2;
	cr_assert_eq(sq_once_do(once, &r, &answer), SQ_ONCE_ANSWERED);
	cr_expect_eq(answer.status, 429);
	cr_expect_eq(answer.after_s, 1);
	cr_expect_eq(seen.requests, 4);
	busy = 1;
	cr_assert_eq(ask("GET", "/"), SQ_ONCE_ANSWERED);
	cr_expect_eq(answer.status, 429);
}

static void *
stop_it(void *arg)
{
	(void)arg;
	sem_wait(&arrived);
	sq_once_until(once, 0);
	return NULL;
}

Test(once, stops_in_the_middle_of_a_request_and_for_good)
{
	pthread_t thread;

	serve((struct https_cfg){.clear = true});
	client((struct sq_once_cfg){0});
	reply.silent = true;
	pthread_create(&thread, NULL, stop_it, NULL);
	cr_expect_eq(ask("GET", "/x"), SQ_ONCE_STOPPED);
	pthread_join(thread, NULL);
	cr_expect_str_eq(answer.why, "stopped");
	cr_expect_eq(ask("GET", "/y"), SQ_ONCE_STOPPED);
	cr_expect_str_eq(seen.path, "/x");
	sq_once_until(once, sq_clock_ms() + 50);
	cr_expect_eq(ask("GET", "/z"), SQ_ONCE_STOPPED);
	reply.silent = false;
	sq_once_until(once, UINT64_MAX);
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_ANSWERED, "%s", answer.why);
}

/* Stops while it waits for the time to come again, too: the answer is the last one. */
Test(once, stops_between_two_tries)
{
	pthread_t thread;

	serve((struct https_cfg){.clear = true});
	client((struct sq_once_cfg){0});
	busy = UINT_MAX;
	pthread_create(&thread, NULL, stop_it, NULL);
	cr_expect_neq(
	    sq_once_do(once,
		&(struct sq_once_request){
		    .method = "GET", .path = "/", .timeout_ms = LONG_MS, .tries = UINT_MAX},
		&answer),
	    SQ_ONCE_FAILED);
	pthread_join(thread, NULL);
	cr_expect_lt(seen.requests, 3);
}

static bool
has_arrived(void *arg)
{
	int n = 0;

	(void)arg;
	return sem_getvalue(&arrived, &n) == 0 && n > 0;
}

Test(once, is_interrupted_by_its_hook)
{
	serve((struct https_cfg){.clear = true});
	client((struct sq_once_cfg){.interrupted = has_arrived});
	reply.silent = true;
	cr_expect_eq(ask("GET", "/"), SQ_ONCE_INTERRUPTED);
	cr_expect_str_eq(answer.why, "interrupted");
	cr_expect_eq(seen.requests, 1);
}

/* ---- url ---- */

static bool
is(const char *part, const char *wanted)
{
	return wanted == NULL ? part == NULL : part != NULL && strcmp(part, wanted) == 0;
}

Test(url, takes_a_text_apart)
{
	struct sq_url u;

	cr_assert_eq(sq_url_parse(&u, "mqtt://a%40b:c%3Ad@[::1]:1883/", &err), SQ_OK);
	cr_expect(is(u.scheme, "mqtt") && is(u.host, "[::1]") && is(u.port, "1883"));
	cr_expect(is(u.user, "a@b") && is(u.password, "c:d") && is(u.path, "/"));
	sq_url_fini(&u);
	cr_assert_eq(sq_url_parse(&u, "x://h", &err), SQ_OK);
	cr_expect(is(u.user, NULL) && is(u.password, NULL) && is(u.port, NULL));
	sq_url_fini(&u);
	cr_expect_eq(sq_url_parse(&u, "x://h:99999", &err), SQ_EINVAL);
	cr_expect(is(u.scheme, NULL) && is(u.host, NULL));
	cr_expect_eq(sq_buf_len(&err), 0);
}

Test(url, knows_the_address_of_a_server)
{
	static const char *const bad[] = {"", "h", "ftp://h", "mqtt://h", "http://", "http://u@h",
	    "http://u:p@h", "http://h?q", "http://h#f", "http://h h", "http://[::1"};
	struct sq_url u;

	cr_assert_eq(sq_url_parse_server(&u, "HTTPS://h:1/a/b", &err), SQ_OK);
	cr_expect(
	    is(u.scheme, "https") && is(u.host, "h") && is(u.port, "1") && is(u.path, "/a/b"));
	sq_url_fini(&u);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(sq_url_parse_server(&u, bad[i], &err), SQ_EINVAL, "%s", bad[i]);
}
