/* broker/front/door, broker/front/link: requests and their answers over real sockets, with a fake core
 * behind (support/fake_core.h). */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/fake_core.h"
#include "../support/h2_client.h"
#include "../support/token_line.h"
#include "broker/auth/auth.h"
#include "broker/metrics/metrics.h"
#include "core/mem.h"
#include "proto/link/frame.h"

#define LINK "/v1/links/00000000000000aa/deliveries"
#define SESSION "/v1/sessions/space~work~client"
#define MESSAGES SESSION "/messages?epoch=0000000000000001"
#define SETTLEMENTS SESSION "/settlements?epoch=0000000000000001"

static struct h2_client *client;
static struct h2_response *link_response;
static struct sq_auth *auth;

static void
tidy(void)
{
	h2_close(&client);
	fake_stop();
	sq_auth_free(&auth);
}

TestSuite(front, .fini = tidy, .timeout = 60);

static struct h2_client *
connect_to(void)
{
	struct h2_client *c = h2_open(sq_front_port(fake.front), NULL);

	cr_assert_not_null(c);
	return c;
}

/* Opens the link and waits for its first frame. */
static struct h2_response *
open_link(struct h2_client *c, const char *path)
{
	struct h2_response *r = h2_start(c, "GET", path, NULL, 0);

	cr_assert(h2_body(c, r, 5));
	cr_assert_eq(r->status, 200);
	return r;
}

static void
start(void)
{
	const struct fake_front_cfg cfg = fake_front_cfg();

	fake_start(&cfg);
	client = connect_to();
}

static void
start_linked(void)
{
	start();
	link_response = open_link(client, LINK);
}

static struct h2_response *
post(const char *words)
{
	struct h2_response *r = h2_ask(client, "POST", MESSAGES, words, strlen(words));

	cr_assert(r->closed);
	return r;
}

static struct h2_response *
put(const char *path, uint64_t link)
{
	static struct sq_buf body; /* lives until the request is over */
	struct sq_attach a = {
	    .instance = 1, .ordinal = 1, .attempt = 1, .link = link, .receive_max = 1};
	struct h2_response *r;

	sq_attach_encode(&body, &a, NULL);
	r = h2_ask(client, "PUT", path, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
	return r;
}

static bool
body_is(const struct h2_response *r, const char *text)
{
	return sq_buf_len(&r->body) == strlen(text) &&
	    memcmp(sq_buf_data(&r->body), text, strlen(text)) == 0;
}

/* Whether a link of version 1 was answered with outcomes: those of the fake core. */
static bool
echoes(const struct h2_response *r, const char *words)
{
	struct sq_outcomes o;

	return sq_outcomes_decode(sq_buf_data(&r->body), sq_buf_len(&r->body), 1, &o) == SQ_OK &&
	    o.first == strlen(words) && o.n == strlen(words) && memcmp(o.codes, words, o.n) == 0;
}

/* Takes the next frame that is not a heartbeat off the link's response. */
static struct sq_frame
next_frame(void)
{
	struct sq_frame f;
	size_t used, had;
	int rc;

	for (;;) {
		had = sq_buf_len(&link_response->body);
		rc = sq_frame_decode(sq_buf_data(&link_response->body), had, 1 << 20, &f, &used);
		if (rc == SQ_EAGAIN) {
			cr_assert(h2_body(client, link_response, had + 1));
			continue;
		}
		cr_assert_eq(rc, SQ_OK, "%s", sq_strerror(rc));
		sq_buf_drain(&link_response->body, used); /* the bytes stay until the next read */
		if (f.type != SQ_FRAME_HEARTBEAT)
			return f;
	}
}

Test(front, a_call_is_answered_with_the_cores_body)
{
	struct sq_attached a;
	struct h2_response *r;

	start_linked();
	r = post("hello");
	cr_assert_eq(r->status, 200);
	cr_assert(echoes(r, "hello"));
	cr_assert_str_eq(r->type, "application/octet-stream");
	r = h2_ask(client, "POST", SESSION "/settlements?epoch=0000000000000001", "x", 1);
	cr_assert_eq(r->status, 204);
	cr_assert_eq(sq_buf_len(&r->body), 0);
	r = put(SESSION, 0xaa);
	cr_assert_eq(r->status, 200);
	cr_assert_eq(sq_attached_decode(sq_buf_data(&r->body), sq_buf_len(&r->body), 1, &a), SQ_OK);
	cr_assert(a.epoch == 5 && a.incarnation == 6);
}

Test(front, refusals_carry_the_links_headers)
{
	struct h2_response *r;

	start();
	h2_version(client, "2");
	link_response = open_link(client, LINK);
	r = post("gap");
	cr_assert_eq(r->status, 409);
	cr_assert_str_eq(r->conflict, "gap");
	cr_assert_str_eq(r->last, "41");
	cr_assert_str_eq(r->type, "application/problem+json");
	r = post("run");
	cr_assert_str_eq(r->conflict, "run");
	cr_assert_str_empty(r->last);
	cr_assert_str_eq(post("stale")->conflict, "superseded");
	r = post("busy");
	cr_assert_eq(r->status, 503);
	cr_assert_str_eq(r->retry_after, "3");
	cr_assert_str_empty(r->reason);
	r = post("full");
	cr_assert_eq(r->status, 429);
	cr_assert_str_eq(r->retry_after, "3");
	cr_assert_str_eq(r->reason, "full");
	cr_assert_str_empty(post("busy")->reason, "it was the call's before");
	cr_assert_eq(post("fail")->status, 500);
	r = post("malformed");
	cr_assert(body_is(r,
	    "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
	    "\"detail\":\"malformed request\"}\n"));
	cr_assert_eq(sq_broker_metrics.values[SQ_M_CONFLICTS], 3);
}

Test(front, a_link_of_version_1_is_not_told_of_what_there_is_no_room)
{
	struct h2_response *r;

	start_linked();
	r = post("full");
	cr_assert_eq(r->status, 503);
	cr_assert_str_eq(r->retry_after, "3");
	cr_assert_str_empty(r->reason);
}

Test(front, sessions_need_the_link_of_their_connection)
{
	struct h2_response *r;

	start();
	r = post("hello");
	cr_assert_eq(r->status, 409);
	cr_assert_str_eq(r->conflict, "epoch");
	cr_assert_eq(put(SESSION, 0xaa)->status, 410);
	link_response = open_link(client, LINK);
	cr_assert_eq(put(SESSION, 0xab)->status, 410);
	cr_assert_eq(h2_ask(client, "PUT", SESSION, "junk", 4)->status, 400);
	cr_assert_eq(put("/v1/sessions/no-key", 0xaa)->status, 400);
	cr_assert_eq(put(SESSION, 0xaa)->status, 200);
	cr_assert_eq(atomic_load(&fake.calls), 1);
}

Test(front, a_connection_has_one_link_and_an_id_is_open_once)
{
	struct h2_client *other;
	struct h2_response *r;

	start_linked();
	r = h2_ask(client, "GET", "/v1/links/00000000000000bb/deliveries", NULL, 0);
	cr_assert_eq(r->status, 409);
	other = connect_to();
	cr_assert_eq(h2_ask(other, "GET", LINK, NULL, 0)->status, 409);
	open_link(other, "/v1/links/00000000000000bb/deliveries");
	cr_assert_eq(sq_broker_metrics.values[SQ_M_LINKS], 2);
	h2_close(&other);
	cr_assert(fake_await(&fake.links_closed, 1));
	other = connect_to(); /* and can be opened again once it has closed */
	open_link(other, "/v1/links/00000000000000bb/deliveries");
	h2_close(&other);
}

Test(front, wrong_paths_methods_and_epochs)
{
	struct h2_response *r;

	start_linked();
	cr_assert_eq(h2_ask(client, "GET", "/", NULL, 0)->status, 404);
	cr_assert_eq(h2_ask(client, "GET", "/v1/links/zz/deliveries", NULL, 0)->status, 400);
	r = h2_ask(client, "DELETE", SESSION, NULL, 0);
	cr_assert_eq(r->status, 405);
	cr_assert_str_eq(r->allow, "PUT");
	cr_assert_eq(h2_ask(client, "POST", SESSION "/messages?epoch=1", "x", 1)->status, 400);
	cr_assert_eq(h2_ask(client, "BREW", "/\"<%00", NULL, 0)->status, 404);
	cr_assert_eq(atomic_load(&fake.calls), 0);
	cr_assert_eq(post("hello")->status, 200);
}

Test(front, bodies_over_the_limit_are_refused_and_harm_nobody_else)
{
	size_t max = 65536 + SQ_BODY_SLACK;
	char *body = sq_xcalloc(3, max);
	struct h2_response *r, *held;

	start_linked();
	held = h2_start(client, "POST", MESSAGES, "hold", 4);
	r = h2_ask(client, "POST", MESSAGES, body, max);
	cr_assert_eq(r->status, 200);
	cr_assert_eq(sq_get64(sq_buf_data(&r->body)), max, "the fake core has seen the whole");
	cr_assert_eq(h2_ask(client, "POST", MESSAGES, body, max + 1)->status, 413);
	r = h2_ask(client, "POST", MESSAGES, body, 3 * max);
	cr_assert(r->status == 413 && r->closed && r->error == 0, "it is not read");
	cr_assert(fake_await(&fake.held, 1));
	fake_release();
	cr_assert(h2_finish(client, held));
	cr_assert_eq(held->status, 200);
	free(body);
}

Test(front, requests_need_a_good_token)
{
	char path[] = "/tmp/sq_test_front_XXXXXX";
	struct fake_front_cfg cfg = fake_front_cfg();
	int fd = mkstemp(path);
	struct sq_buf line = {0};
	struct h2_response *r;

	token_line(&line, "web", "a", "sesame");
	cr_assert_eq(write(fd, sq_buf_data(&line), sq_buf_len(&line)), sq_buf_len(&line));
	sq_buf_fini(&line);
	close(fd);
	auth = sq_auth_new(&(struct sq_auth_cfg){.tokens_file = path}, NULL);
	cfg.door.auth = auth;
	fake_start(&cfg);
	unlink(path);
	client = connect_to();
	r = h2_ask(client, "GET", LINK, NULL, 0);
	cr_assert_eq(r->status, 401);
	cr_assert_str_eq(r->authenticate, "Bearer");
	h2_token(client, "sesame2");
	cr_assert_eq(h2_ask(client, "GET", LINK, NULL, 0)->status, 401);
	cr_assert_eq(h2_ask(client, "GET", "/", NULL, 0)->status, 401);
	h2_token(client, "sesame");
	link_response = open_link(client, LINK);
	cr_assert_eq(post("hello")->status, 200);
	h2_token(client, "sesame2");
	cr_assert_eq(post("hello")->status, 401);
	h2_token(client, NULL);
	cr_assert_eq(post("hello")->status, 200, "the link's identity is the request's");
}

Test(front, targets_of_one_message_share_a_frame)
{
	struct sq_frame f;

	start_linked();
	post("deliver 3 detached deliver 1 single 2");
	f = next_frame();
	cr_assert_eq(f.type, SQ_FRAME_DELIVER);
	cr_assert_eq(f.deliver.n, 3);
	cr_assert(f.deliver.has_origin);
	cr_assert_eq(f.deliver.expiry_s, 60);
	for (uint64_t i = 1; i <= 3; i++) {
		struct sq_target t = sq_target_next(&f.deliver.targets);

		cr_assert(t.epoch == 1 && t.delivery == i && t.n_subs == 1);
		cr_assert_eq(sq_get32(t.subs), 7);
	}
	f = next_frame();
	cr_assert(f.type == SQ_FRAME_DETACHED && f.epoch == 1 && f.reason == 0x8e);
	for (int i = 0; i < 3; i++) { /* the shared one again, then two of their own */
		f = next_frame();
		cr_assert_eq(f.type, SQ_FRAME_DELIVER);
		cr_assert_eq(f.deliver.n, 1);
	}
}

Test(front, a_frame_has_a_bounded_number_of_targets)
{
	unsigned seen = 0, frames = 0;

	start_linked();
	post("deliver 2500");
	while (seen < 2500) {
		struct sq_frame f = next_frame();

		cr_assert_leq(f.deliver.n, SQ_DELIVER_TARGETS_MAX);
		seen += f.deliver.n;
		frames++;
	}
	cr_assert_eq(seen, 2500);
	cr_assert_eq(frames, 3);
}

Test(front, deliveries_arrive_before_the_answer_of_the_same_turn)
{
	struct h2_response *r;

	start_linked();
	for (int i = 0; i < 50; i++) {
		size_t had = sq_buf_len(&link_response->body);

		r = h2_start(client, "POST", MESSAGES, "deliver 1", 9);
		cr_assert(h2_finish(client, r));
		cr_assert_gt(sq_buf_len(&link_response->body), had);
	}
}

Test(front, a_stream_reset_while_its_call_runs_drops_only_the_answer)
{
	struct h2_response *r;

	start_linked();
	for (unsigned i = 1; i <= 20; i++) {
		r = h2_start(client, "POST", MESSAGES, "hold", 4);
		cr_assert(fake_await(&fake.held, i));
		h2_reset(client, r);
		cr_assert(h2_finish(client, r));
	}
	cr_assert_eq(post("hello")->status, 200); /* so the resets have been read */
	cr_assert_not(sq_front_idle(fake.front));
	fake_release();
	cr_assert_eq(post("hello")->status, 200);
	cr_assert_eq(atomic_load(&fake.links_closed), 0);
}

Test(front, a_connection_lost_while_calls_run_drops_their_answers)
{
	start_linked();
	for (unsigned i = 1; i <= 10; i++)
		h2_start(client, "POST", MESSAGES, "hold", 4);
	cr_assert(fake_await(&fake.held, 10));
	h2_close(&client);
	cr_assert(fake_await(&fake.links_closed, 1));
	fake_release();
	client = connect_to();
	link_response = open_link(client, LINK);
	cr_assert_eq(post("deliver 1")->status, 200);
	cr_assert(sq_front_idle(fake.front));
}

Test(front, a_reset_of_the_deliveries_closes_the_link)
{
	struct h2_response *r;

	start_linked();
	h2_reset(client, link_response);
	cr_assert(fake_await(&fake.links_closed, 1));
	r = post("hello");
	cr_assert_eq(r->status, 409);
	cr_assert_str_eq(r->conflict, "epoch");
	link_response = open_link(client, LINK);
	cr_assert_eq(post("hello")->status, 200);
}

Test(front, a_hundred_streams_at_a_time_are_all_answered)
{
	enum { N = 99 }; /* the deliveries are the hundredth */
	struct h2_response *r[N];

	start_linked();
	for (int i = 0; i < N; i++)
		r[i] = h2_start(client, "POST", MESSAGES, "hold", 4);
	cr_assert(fake_await(&fake.held, N));
	fake_release();
	for (int i = 0; i < N; i++) {
		cr_assert(h2_finish(client, r[i]));
		cr_assert_eq(r[i]->status, 200);
	}
}

Test(front, resets_do_not_let_a_connection_pile_up_calls)
{
	struct h2_response *r = NULL;
	unsigned refused = 0;

	start_linked();
	for (unsigned i = 0; i < 300; i++) {
		r = h2_start(client, "POST", MESSAGES, "hold", 4);
		if (i < 256)
			cr_assert(fake_await(&fake.held, i + 1));
		else
			refused += h2_finish(client, r) && r->status == 429;
		h2_reset(client, r);
	}
	cr_assert_eq(refused, 44);
	fake_release();
}

static int
raw_connect(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)sq_front_port(fake.front)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {10, 0};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	return fd;
}

Test(front, garbage_ends_its_own_connection_only)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	unsigned seed = 7;

	start_linked();
	for (int round = 0; round < 60; round++) {
		char junk[600];
		int fd = raw_connect();
		size_t skip = round % 2 != 0 ? sizeof preface - 1 : 0;

		memcpy(junk, preface, sizeof preface - 1);
		for (size_t i = skip; i < sizeof junk; i++)
			junk[i] = (char)rand_r(&seed);
		(void)!send(fd, junk, sizeof junk, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		while (recv(fd, junk, sizeof junk, 0) > 0)
			;
		close(fd);
	}
	cr_assert_eq(post("hello")->status, 200);
}

Test(front, http_1_gets_a_clear_refusal)
{
	static const char ask[] = "GET " LINK " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
	char answer[2000] = "";
	size_t got = 0;
	ssize_t n;
	int fd;

	start();
	fd = raw_connect();
	cr_assert_eq(send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL), (ssize_t)sizeof ask - 1);
	while ((n = recv(fd, answer + got, sizeof answer - 1 - got, 0)) > 0)
		got += (size_t)n;
	close(fd);
	cr_assert_not_null(strstr(answer, "HTTP/1.1 505 "));
	cr_assert_not_null(strstr(answer, "the link needs HTTP/2"));
}

/* Posts one of QoS 0; true: it has no answer, though a request behind it has. */
static bool
withheld(struct h2_response **batch)
{
	*batch = h2_start(client, "POST", MESSAGES, "\0", 1); /* of lane 0 */
	cr_assert(h2_ask(client, "GET", "/nowhere", NULL, 0)->closed);
	return !(*batch)->closed;
}

Test(front, an_answer_that_nobody_waits_for_comes_with_the_next)
{
	struct h2_response *batch;

	start_linked();
	/* Not where it came so soon behind the last one that it is answered, or so late. */
	for (int i = 0; !withheld(&batch); i++)
		cr_assert_lt(i, 1000, "none is withheld");
	cr_assert(h2_ask(client, "POST", SETTLEMENTS, "x", 1)->closed);
	cr_assert(batch->closed);
	cr_assert_eq(batch->status, 200);
}

Test(front, an_answer_that_nobody_waits_for_comes_by_itself)
{
	struct h2_response *batch;

	start_linked();
	for (int i = 0; !withheld(&batch); i++)
		cr_assert_lt(i, 1000, "none is withheld");
	cr_assert(h2_finish(client, batch));
	cr_assert_eq(batch->status, 200);
}

Test(front, a_link_that_is_lost_takes_what_was_withheld_along)
{
	struct h2_response *batch;

	start_linked();
	for (int i = 0; !withheld(&batch); i++)
		cr_assert_lt(i, 1000, "none is withheld");
	h2_close(&client);
	cr_assert(fake_await(&fake.links_closed, 1));
}
