/* broker/front/door: a service whose requests stand alone, beside links: who may send how much before
 * it is known, how long a request and its answer may take, and how many there may be. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../support/fake_core.h"
#include "../support/h2_client.h"
#include "../support/token_line.h"
#include "broker/front/door/pending.h"
#include "broker/front/door/toll.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/memory.h"
#include "web/crew.h"
#include "web/reply.h"
#include "web/worker.h"

enum {
	BODY_MAX = 4 << 20,
	LARGE = 3 << 20, /* bytes of a body, more than all strangers may have */
	MEDIUM = 200000, /* more than a stranger of a link may have */
	TOTAL = 1 << 20,
	SHORT_MS = 1500,
};

#define COUNT "/say/count" /* answers with the number of the body's bytes */
#define HOLD "/say/hold"   /* answers when all are let go */
#define MUCH "/say/much"   /* answers with 8 MiB */

/* A request that is held. */
struct held {
	struct sq_list node;
	struct sq_pending_req pending;
	struct sq_task task;
};

static struct sq_service say;
static struct sq_list holding; /* struct held; the worker's */
static atomic_uint n_holding;
static char much[8 << 20];

static struct h2_client *client, *second;
static struct sq_auth *auth;
static char body[LARGE];

static void
say_serve(struct sq_service *s, struct sq_broker *b)
{
	(void)s;
	(void)b;
	sq_list_init(&holding);
}

static void
say_request(struct sq_service *s, struct sq_conn *c, h2o_req_t *req, const struct sq_identity *who,
    const struct sq_proof *proof)
{
	char text[32];
	struct held *h;

	(void)s;
	(void)proof;
	if (h2o_memis(req->input.path.base, req->input.path.len, H2O_STRLIT(MUCH))) {
		sq_reply_send(req, 200, "text/plain", much, sizeof much);
	} else if (h2o_memis(req->input.path.base, req->input.path.len, H2O_STRLIT(HOLD))) {
		h = sq_xcalloc(1, sizeof *h);
		sq_pending_begin(&h->pending, c, req, who);
		sq_list_push_back(&holding, &h->node);
		atomic_fetch_add(&n_holding, 1);
	} else {
		snprintf(text, sizeof text, "%zu", req->entity.len);
		sq_reply_send(req, 200, "text/plain", text, strlen(text));
	}
}

static void
say_refuse(struct sq_service *s, h2o_req_t *req, enum sq_turned why)
{
	(void)s;
	sq_reply_problem(
	    req, sq_turned_status(why), sq_turned_text(why), strlen(sq_turned_text(why)));
}

static void
say_free(struct sq_service *s)
{
	(void)s;
}

static const char *const say_paths[] = {"/say/", NULL};

static const struct sq_service_ops say_ops = {
    .name = "say",
    .paths = say_paths,
    .serve = say_serve,
    .request = say_request,
    .refuse = say_refuse,
    .free = say_free,
};

/* Answers all that are held, on their worker. */
static void
let_go_run(void *unused)
{
	(void)unused;
	while (!sq_list_empty(&holding)) {
		struct held *h = SQ_LIST_FIRST(&holding, struct held, node);
		h2o_req_t *req = sq_pending_request(&h->pending);

		sq_list_remove(&h->node);
		if (req != NULL)
			sq_reply_empty(req, 204);
		sq_pending_end(&h->pending);
		free(h);
		atomic_fetch_sub(&n_holding, 1);
	}
}

static void
let_go(void)
{
	const struct timespec nap = {0, 1000000};

	sq_worker_tell(sq_crew_workers(fake.crew)[0], let_go_run, NULL);
	while (atomic_load(&n_holding) > 0)
		nanosleep(&nap, NULL);
}

static void
tidy(void)
{
	h2_close(&client);
	h2_close(&second);
	if (fake.front != NULL && atomic_load(&n_holding) > 0)
		let_go();
	fake_stop();
	sq_auth_free(&auth);
}

TestSuite(door, .fini = tidy, .timeout = 60);

static struct fake_front_cfg
door_cfg(void)
{
	struct fake_front_cfg cfg = fake_front_cfg();

	say = (struct sq_service){.ops = &say_ops, .body_max = BODY_MAX, .plain = true};
	cfg.door.services[1] = &say;
	cfg.door.unauthenticated_total = TOTAL;
	return cfg;
}

/* With two tokens. */
static void
start(struct fake_front_cfg *cfg)
{
	char path[] = "/tmp/sq_test_door_XXXXXX";
	struct sq_buf line = {0};
	int fd = mkstemp(path);

	token_line(&line, "web", "a", "sesame");
	token_line(&line, "job", "a", "poppy");
	cr_assert_eq(write(fd, sq_buf_data(&line), sq_buf_len(&line)), sq_buf_len(&line));
	sq_buf_fini(&line);
	close(fd);
	auth = sq_auth_new(&(struct sq_auth_cfg){.tokens_file = path}, NULL);
	unlink(path);
	cfg->door.auth = auth;
	fake_start(cfg);
}

static struct h2_client *
h2(const char *token)
{
	struct h2_client *c = h2_open(sq_front_port(fake.front), NULL);

	cr_assert_not_null(c);
	h2_token(c, token);
	return c;
}

static int
h1(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)sq_front_port(fake.front)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {20, 0};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	return fd;
}

/* Sends a head; 'credential': a line with its end, or "". */
static void
h1_head(int fd, const char *path, const char *credential, size_t len)
{
	char head[300];
	int n = snprintf(head, sizeof head,
	    "POST %s HTTP/1.1\r\nhost: x\r\n%scontent-length: %zu\r\n\r\n", path, credential, len);

	cr_assert_eq(send(fd, head, (size_t)n, MSG_NOSIGNAL), n);
}

/* Sends as much as the peer takes. */
static void
h1_body(int fd, size_t len)
{
	size_t sent = 0;
	ssize_t n;

	while (sent < len && (n = send(fd, body, len - sent, MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
}

/* The status of the answer; 0: the connection was lost without one. */
static unsigned
h1_status(int fd)
{
	char answer[2000] = "";
	unsigned status = 0;
	ssize_t n = recv(fd, answer, sizeof answer - 1, 0);

	if (n > 0)
		(void)sscanf(answer, "HTTP/1.1 %u", &status);
	return status;
}

static unsigned
h1_post(const char *path, const char *credential, size_t len)
{
	int fd = h1();
	unsigned status;

	h1_head(fd, path, credential, len);
	h1_body(fd, len);
	status = h1_status(fd);
	close(fd);
	return status;
}

#define GOOD "authorization: Bearer sesame\r\n"
#define BASIC "Authorization: basic YW55Ym9keTpzZXNhbWU=\r\n" /* anybody:sesame */
#define WRONG "authorization: Basic YW55Ym9keTpvbmlvbg==\r\n" /* anybody:onion */

Test(door, a_first_body_may_be_large_over_http_1)
{
	struct fake_front_cfg cfg = door_cfg();

	start(&cfg);
	cr_assert_eq(h1_post(COUNT, GOOD, LARGE), 200, "its token is good at the head");
	cr_assert_eq(h1_post(COUNT, BASIC, LARGE), 200);
	cr_assert_eq(h1_post(COUNT, "", MEDIUM), 401, "all strangers have room for it");
	cr_assert_eq(h1_post(COUNT, WRONG, MEDIUM), 401);
	cr_assert_eq(h1_post(COUNT, "", LARGE), 0, "they have not");
	cr_assert_eq(h1_post("/v1/sessions/x", "", MEDIUM), 0, "the bound of links is another");
}

/* One that says that it is too large is answered at its head; then its connection ends. */
Test(door, a_body_that_is_too_large_over_http_1)
{
	static const char *const from[] = {GOOD, WRONG, ""};
	static const struct {
		const char *path;
		size_t len;
	} to[] = {{COUNT, BODY_MAX + 1}, {COUNT, SIZE_MAX}, {"/v1/sessions/x", LARGE}};
	struct fake_front_cfg cfg = door_cfg();
	char answer[500];

	start(&cfg);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(from) * SQ_ARRAY_LEN(to); i++) {
		int fd = h1();

		h1_head(fd, to[i / 3].path, from[i % 3], to[i / 3].len);
		cr_assert_eq(send(fd, body, 1000, MSG_NOSIGNAL), 1000);
		cr_assert_eq(h1_status(fd), 413);
		cr_assert_eq(recv(fd, answer, sizeof answer, 0), 0);
		close(fd);
	}
	cr_assert_eq(h1_post(COUNT, GOOD, LARGE), 200);
}

/* Heads without an end, of which h2o has seen the begin, and one that is whole. */
Test(door, headers_that_are_too_large_over_http_1)
{
	struct fake_front_cfg cfg = door_cfg();
	char line[5000], answer[500], first[100];
	size_t n;
	int fd;

	start(&cfg);
	memset(line, 'y', sizeof line);
	memcpy(line, "a:", 2);
	memcpy(line + sizeof line - 2, "\r\n", 2);
	for (unsigned ends = 0; ends < 2; ends++) {
		fd = h1();
		n = (size_t)snprintf(first, sizeof first, "POST %s HTTP/1.1\r\n%s", COUNT, GOOD);
		cr_assert_eq(send(fd, first, n, MSG_NOSIGNAL), n);
		for (unsigned i = 0; i < 12; i++) {
			cr_assert_eq(send(fd, line, sizeof line, MSG_NOSIGNAL), sizeof line);
			usleep(ends ? 0 : 5000); /* a read each */
		}
		if (ends)
			(void)send(fd, "\r\n", 2, MSG_NOSIGNAL);
		cr_assert_eq(h1_status(fd), 431);
		cr_assert_eq(recv(fd, answer, sizeof answer, 0), 0);
		close(fd);
	}
	cr_assert_eq(h1_post(COUNT, GOOD, 10), 200);
}

/* Whether the request has that answer; 0: its connection is lost.  What has come in one piece may
 * have been judged before. */
static bool
h2_answers(const char *token, const char *path, size_t len, unsigned status)
{
	struct h2_client *c = h2(token);
	struct h2_response *r = h2_start(c, "POST", path, body, len);
	bool as = status == 0 ? h2_lost(c) && r->status != 200
			      : h2_finish(c, r) && r->status == status;

	h2_close(&c);
	return as;
}

Test(door, a_first_body_may_be_large_over_http_2)
{
	struct fake_front_cfg cfg = door_cfg();

	start(&cfg);
	cr_assert(h2_answers("sesame", COUNT, LARGE, 200));
	cr_assert(h2_answers("onion", COUNT, MEDIUM, 401));
	cr_assert(h2_answers(NULL, COUNT, MEDIUM, 401));
	cr_assert(h2_answers("onion", COUNT, LARGE, 0));
	cr_assert(h2_answers(NULL, "/v1/sessions/x", LARGE, 0), "one read may bring a smaller one");
}

/* h2o takes them for headers. */
Test(door, trailers_of_http_2_are_refused)
{
	struct fake_front_cfg cfg = door_cfg();

	start(&cfg);
	client = h2("sesame");
	for (unsigned i = 0; i < 2 * SQ_TOLL_TRAILED; i++) { /* each is forgotten again */
		h2_trailer(client, "x-late");
		cr_assert_eq(h2_ask(client, "POST", COUNT, body, i % 2 ? MEDIUM : 10)->status, 400);
		h2_trailer(client, NULL);
		cr_assert_eq(h2_ask(client, "POST", COUNT, body, 10)->status, 200);
	}
}

Test(door, trailers_of_http_1_are_dropped)
{
	static const char head[] = "POST " COUNT
				   " HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n";
	static const char tail[] = "\r\n3\r\nabc\r\n0\r\nx-late: 1\r\n" GOOD "\r\n";
	static const struct {
		const char *more;
		int status;
	} is[] = {{GOOD, 200}, {"", 401}};
	struct fake_front_cfg cfg = door_cfg();

	start(&cfg);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(is); i++) {
		struct sq_buf text = {0};
		int fd = h1();

		sq_buf_printf(&text, "%s%s%s", head, is[i].more, tail);
		cr_assert_eq(send(fd, sq_buf_data(&text), sq_buf_len(&text), MSG_NOSIGNAL),
		    (ssize_t)sq_buf_len(&text));
		cr_assert_eq(h1_status(fd), is[i].status);
		sq_buf_fini(&text);
		close(fd);
	}
}

Test(door, nobody_is_a_stranger_where_nobody_is_asked)
{
	struct fake_front_cfg cfg = door_cfg();

	fake_start(&cfg);
	cr_assert_eq(h1_post(COUNT, "", LARGE), 200);
	cr_assert(h2_answers(NULL, COUNT, LARGE, 200));
}

static int64_t
ended(enum sq_end why)
{
	return sq_metric_get(&sq_broker_metrics, SQ_M_ENDED(why));
}

/* Waits until so many connections were ended for that. */
static bool
await_ended(enum sq_end why, int64_t n)
{
	const struct timespec nap = {0, 10000000};
	uint64_t until = sq_clock_ms() + 20000;

	while (ended(why) < n && sq_clock_ms() < until)
		nanosleep(&nap, NULL);
	return ended(why) == n;
}

static int64_t
slow(void)
{
	return ended(SQ_END_SLOW);
}

static bool
await_slow(int64_t n)
{
	return await_ended(SQ_END_SLOW, n);
}

Test(door, a_body_that_trickles_ends_in_time)
{
	struct fake_front_cfg cfg = door_cfg();
	const struct timespec nap = {0, 50000000};
	int fd;

	cfg.door.read_ms = SHORT_MS;
	start(&cfg);
	fd = h1();
	h1_head(fd, COUNT, GOOD, 1000);
	for (unsigned i = 0; i < 999; i++) { /* 50 s of bytes */
		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
			break;
		nanosleep(&nap, NULL);
	}
	cr_assert_eq(h1_status(fd), 0);
	cr_assert(await_slow(1));
	close(fd);
	client = h2("sesame");
	(void)h2_start(client, "POST", COUNT, body, LARGE);
	h2_write(client); /* and no more */
	cr_assert(await_slow(2));
}

Test(door, an_answer_that_is_not_taken_ends_in_time)
{
	struct fake_front_cfg cfg = door_cfg();
	int fd;

	cfg.door.write_ms = SHORT_MS;
	start(&cfg);
	fd = h1();
	h1_head(fd, MUCH, GOOD, 0);
	cr_assert(await_slow(1));
	close(fd);
	client = h2("sesame");
	(void)h2_start(client, "POST", MUCH, NULL, 0);
	h2_write(client);
	cr_assert(await_slow(2));
}

/* The first of them goes, and then the next: the last one has its own time all the same. */
Test(door, each_body_of_a_connection_has_its_own_time)
{
	enum { STREAMS = 20 };
	struct fake_front_cfg cfg = door_cfg();
	struct h2_response *r[STREAMS];
	unsigned i;

	cfg.door.read_ms = SHORT_MS;
	start(&cfg);
	client = h2("sesame");
	for (i = 0; i < STREAMS; i++)
		r[i] = h2_start(client, "POST", COUNT, body, LARGE);
	h2_write(client); /* what the first one may send without a word of the peer's */
	for (i = 0; i < STREAMS - 1 && slow() == 0; i++) {
		usleep(500000); /* less than one has */
		h2_reset(client, r[i]);
		h2_write(client);
	}
	cr_assert_lt(i, STREAMS - 1);
	cr_assert(await_slow(1));
}

Test(door, a_request_that_waits_for_the_broker_is_not_slow)
{
	struct fake_front_cfg cfg = door_cfg();
	const struct timespec nap = {0, 10000000};
	uint64_t until;
	int fd;

	cfg.door.read_ms = cfg.door.write_ms = 200;
	cfg.door.idle_ms = 100;
	start(&cfg);
	fd = h1();
	h1_head(fd, HOLD, GOOD, 0);
	client = h2("sesame");
	(void)h2_start(client, "POST", HOLD, NULL, 0);
	h2_write(client);
	cr_assert(fake_await(&n_holding, 2));
	for (until = sq_clock_ms() + 4000;
	     sq_clock_ms() < until;) /* ages are looked at each second */
		nanosleep(&nap, NULL);
	let_go();
	cr_assert_eq(h1_status(fd), 204);
	close(fd);
}

Test(door, an_idle_connection_has_the_time_of_its_service)
{
	struct fake_front_cfg cfg = door_cfg();
	char answer[500];
	int fd;

	cfg.door.idle_ms = 60000;
	say.idle_ms = 200;
	start(&cfg);
	fd = h1();
	h1_head(fd, COUNT, GOOD, 0);
	cr_assert_eq(h1_status(fd), 200);
	cr_assert_eq(recv(fd, answer, sizeof answer, 0), 0);
	close(fd);
}

Test(door, a_connection_has_only_so_many_requests_at_work)
{
	struct fake_front_cfg cfg = door_cfg();
	struct h2_response *r;

	say.max_running = 2;
	start(&cfg);
	client = h2("sesame");
	(void)h2_start(client, "POST", HOLD, NULL, 0);
	(void)h2_start(client, "POST", HOLD, NULL, 0);
	h2_write(client);
	cr_assert(fake_await(&n_holding, 2));
	r = h2_ask(client, "POST", HOLD, NULL, 0);
	cr_assert_eq(r->status, 429);
	cr_assert_str_eq(r->retry_after, "1");
	second = h2("sesame");
	cr_assert_eq(h2_ask(second, "POST", COUNT, NULL, 0)->status, 200);
	let_go();
	cr_assert_eq(h2_ask(client, "POST", COUNT, NULL, 0)->status, 200);
}

Test(door, an_identity_has_only_so_many_over_all_its_connections)
{
	struct fake_front_cfg cfg = door_cfg();
	struct h2_response *r;

	say.max_identity_running = 2;
	start(&cfg);
	client = h2("sesame");
	second = h2("sesame");
	(void)h2_start(client, "POST", HOLD, NULL, 0);
	(void)h2_start(second, "POST", HOLD, NULL, 0);
	h2_write(client);
	h2_write(second);
	cr_assert(fake_await(&n_holding, 2));
	r = h2_ask(client, "POST", COUNT, NULL, 0);
	cr_assert_eq(r->status, 429);
	h2_token(client, "poppy");
	cr_assert_eq(h2_ask(client, "POST", COUNT, NULL, 0)->status, 200, "another identity");
	h2_close(&second); /* what waits is at work all the same */
	h2_token(client, "sesame");
	cr_assert_eq(h2_ask(client, "POST", COUNT, NULL, 0)->status, 429);
	let_go();
	cr_assert_eq(h2_ask(client, "POST", COUNT, NULL, 0)->status, 200);
}

Test(door, an_identity_has_only_so_many_connections)
{
	struct fake_front_cfg cfg = door_cfg();
	struct h2_client *third;
	char answer[500];
	int fd;

	say.max_identity_conns = 2;
	start(&cfg);
	client = h2("sesame");
	second = h2("sesame");
	cr_assert_eq(h2_ask(client, "POST", COUNT, NULL, 0)->status, 200);
	cr_assert_eq(h2_ask(second, "POST", COUNT, NULL, 0)->status, 200);
	cr_assert_eq(h2_ask(second, "POST", COUNT, NULL, 0)->status, 200);
	third = h2("sesame");
	cr_assert_eq(h2_ask(third, "POST", COUNT, NULL, 0)->status, 429);
	cr_assert(h2_lost(third));
	h2_close(&third);
	fd = h1();
	h1_head(fd, COUNT, GOOD, 0);
	cr_assert_eq(h1_status(fd), 429);
	cr_assert_eq(recv(fd, answer, sizeof answer, 0), 0, "with its answer");
	close(fd);
	h2_token(second, "poppy"); /* it is another's from now on */
	cr_assert_eq(h2_ask(second, "POST", COUNT, NULL, 0)->status, 200);
	third = h2("sesame");
	cr_assert_eq(h2_ask(third, "POST", COUNT, NULL, 0)->status, 200);
	h2_close(&third);
	cr_assert_eq(h2_ask(client, "POST", COUNT, NULL, 0)->status, 200);
}

/* While memory is short nobody's body grows, whatever the connection speaks; the test says how it
 * is. */
static int
start_without_memory(struct fake_front_cfg *cfg)
{
	int fd;

	start(cfg);
	sq_memory_limit_set(1);
	atomic_store(&sq_memory_level_now, SQ_MEMORY_REFUSED);
	fd = h1();
	h1_head(fd, COUNT, GOOD, MEDIUM);
	h1_body(fd, MEDIUM - 1);
	return fd;
}

Test(door, a_body_without_end_ends_while_memory_is_short)
{
	struct fake_front_cfg cfg = door_cfg();
	int fd = start_without_memory(&cfg);

	cr_assert_eq(h1_status(fd), 0);
	cr_assert_eq(ended(SQ_END_BODIES), 1);
	close(fd);
}

Test(door, answers_that_nobody_takes_end_while_memory_is_short)
{
	struct fake_front_cfg cfg = door_cfg();

	start(&cfg);
	client = h2("sesame");
	second = h2("sesame");
	cr_assert_eq(h2_ask(second, "POST", COUNT, NULL, 0)->status, 200);
	(void)h2_start(client, "POST", MUCH, NULL, 0);
	h2_write(client); /* and reads nothing */
	sq_memory_limit_set(1 << 20);
	atomic_store(&sq_memory_level_now, SQ_MEMORY_REFUSED);
	cr_assert(await_ended(SQ_END_BODIES, 1));
	cr_assert_eq(h2_ask(second, "POST", COUNT, NULL, 0)->status, 200);
}

Test(door, a_body_goes_on_when_memory_is_free_again)
{
	struct fake_front_cfg cfg = door_cfg();
	int fd = start_without_memory(&cfg);

	sleep(2); /* it is looked at each second */
	atomic_store(&sq_memory_level_now, SQ_MEMORY_FREE);
	h1_body(fd, 1);
	cr_assert_eq(h1_status(fd), 200);
	h1_head(fd, COUNT, GOOD, 1);
	h1_body(fd, 1);
	cr_assert_eq(h1_status(fd), 200, "and so does the connection");
	close(fd);
}
