/* broker/front/door, broker/front/link: links and connections over time, with a fake core behind:
 * heartbeats, back-pressure, moving, draining, several workers. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_core.h"
#include "../support/gate.h"
#include "../support/h2_client.h"
#include "core/listen.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/mem.h"
#include "proto/link/frame.h"
#include "web/crew.h"

#define MESSAGES "/v1/sessions/s~w~c/messages?epoch=0000000000000001"

static struct h2_client *client;
static struct h2_response *deliveries;

static void
tidy(void)
{
	gate_open();
	h2_close(&client);
	fake_stop();
}

TestSuite(front_life, .fini = tidy, .timeout = 100);

static struct h2_response *
open_link(struct h2_client *c, unsigned id)
{
	char path[64];
	struct h2_response *r;

	snprintf(path, sizeof path, "/v1/links/%016x/deliveries", id);
	r = h2_start(c, "GET", path, NULL, 0);
	cr_assert(h2_body(c, r, 5));
	cr_assert_eq(r->status, 200);
	return r;
}

static void
start(const struct fake_front_cfg *cfg)
{
	fake_start(cfg);
	client = h2_open(sq_front_port(fake.front), NULL);
	cr_assert_not_null(client);
	deliveries = open_link(client, 0xaa);
}

static struct h2_response *
post(struct h2_client *c, const char *words)
{
	struct h2_response *r = h2_ask(c, "POST", MESSAGES, words, strlen(words));

	cr_assert(r->closed);
	return r;
}

/* Whether a frame of 'type' comes within the bound; takes what is before it. */
static bool
frame_comes(struct h2_client *c, struct h2_response *r, uint8_t type)
{
	struct sq_frame f;
	size_t used;

	for (;;) {
		int rc = sq_frame_decode(
		    sq_buf_data(&r->body), sq_buf_len(&r->body), 1 << 20, &f, &used);

		if (rc == SQ_EAGAIN) {
			if (!h2_body(c, r, sq_buf_len(&r->body) + 1))
				return false;
			continue;
		}
		cr_assert_eq(rc, SQ_OK);
		sq_buf_drain(&r->body, used);
		if (f.type == type)
			return true;
	}
}

Test(front_life, an_idle_link_gets_heartbeats_and_outlives_the_idle_time)
{
	struct fake_front_cfg cfg = fake_front_cfg();
	struct h2_client *idle;

	cfg.door.idle_ms = 200;
	start(&cfg);
	idle = h2_open(sq_front_port(fake.front), NULL);
	cr_assert(h2_lost(idle)); /* no request is open on it */
	h2_close(&idle);
	for (int i = 0; i < 6; i++)
		cr_assert(frame_comes(client, deliveries, SQ_FRAME_HEARTBEAT));
	cr_assert_eq(post(client, "hello")->status, 200);
}

Test(front_life, a_client_that_does_not_read_is_pushed_back_and_then_resumed)
{
	const struct fake_front_cfg cfg = fake_front_cfg();
	struct h2_client *pusher;

	start(&cfg);
	/* 8 MiB for a connection that reads nothing; what the sockets between take
	 * is less than the half of it. */
	for (int i = 0; i < 8; i++)
		h2_start(client, "POST", MESSAGES, "big 16", 6);
	cr_assert(fake_await(&fake.calls, 8));
	cr_assert(atomic_load(&fake.blocked));
	pusher = h2_open(sq_front_port(fake.front), NULL);
	open_link(pusher, 0xbb);
	cr_assert_eq(post(pusher, "deliver 1")->status, 200); /* others go on */
	h2_close(&pusher);
	cr_assert_eq(atomic_load(&fake.writable), 0);
	cr_assert(h2_body(client, deliveries, 8u << 20));
	cr_assert(fake_await(&fake.writable, 1));
	cr_assert_eq(post(client, "hello")->status, 200);
}

Test(front_life, a_link_that_takes_nothing_is_closed)
{
	struct fake_front_cfg cfg = fake_front_cfg();

	cfg.link.stall_ms = 500;
	start(&cfg);
	for (int i = 0; i < 16; i++)
		h2_start(client, "POST", MESSAGES, "big 16", 6);
	cr_assert(fake_await(&fake.links_closed, 1));
}

Test(front_life, moving_asks_every_link_and_closes_those_that_stay)
{
	const struct fake_front_cfg cfg = fake_front_cfg();
	struct h2_client *fresh;

	start(&cfg);
	sq_front_move(fake.front);
	cr_assert(frame_comes(client, deliveries, SQ_FRAME_DRAINING));
	cr_assert_eq(post(client, "hello")->status, 200); /* served meanwhile */
	fresh = h2_open(sq_front_port(fake.front), NULL);
	open_link(fresh, 0xbb);
	cr_assert(h2_finish(client, deliveries)); /* its response ends well */
	cr_assert_eq(deliveries->error, 0);
	cr_assert(h2_lost(client));
	cr_assert_eq(post(fresh, "hello")->status, 200);
	h2_close(&fresh);
}

Test(front_life, an_old_link_is_asked_to_move)
{
	struct fake_front_cfg cfg = fake_front_cfg();

	cfg.door.max_age_ms = 500;
	start(&cfg);
	cr_assert(frame_comes(client, deliveries, SQ_FRAME_DRAINING));
	cr_assert(h2_lost(client));
}

Test(front_life, draining_stops_accepting_and_serves_what_is_there)
{
	const struct fake_front_cfg cfg = fake_front_cfg();
	struct h2_client *late, *early;
	struct h2_response *held;
	unsigned port;

	start(&cfg);
	early = h2_open(sq_front_port(fake.front), NULL);
	cr_assert_eq(h2_ask(early, "GET", "/", NULL, 0)->status, 404);
	held = h2_start(client, "POST", MESSAGES, "hold", 4);
	cr_assert(fake_await(&fake.held, 1));
	port = sq_front_port(fake.front);
	sq_front_drain(fake.front);
	cr_assert(frame_comes(client, deliveries, SQ_FRAME_DRAINING));
	late = h2_open(port, NULL);
	cr_assert_null(late);
	cr_assert_eq(
	    h2_ask(early, "GET", "/v1/links/00000000000000bb/deliveries", NULL, 0)->status, 503);
	h2_close(&early);
	cr_assert_eq(post(client, "hello")->status, 200);
	cr_assert_not(sq_front_idle(fake.front));
	fake_release();
	cr_assert(h2_finish(client, held));
	cr_assert_eq(held->status, 200);
	cr_assert(sq_front_idle(fake.front));
}

Test(front_life, stopping_says_goaway_and_ends_the_deliveries)
{
	const struct fake_front_cfg cfg = fake_front_cfg();

	start(&cfg);
	cr_assert_eq(post(client, "deliver 2")->status, 200);
	sq_front_stop(fake.front);
	cr_assert(h2_finish(client, deliveries));
	cr_assert_eq(deliveries->error, 0);
	cr_assert(h2_goaway(client));
	cr_assert(h2_lost(client));
	cr_assert_eq(atomic_load(&fake.links_closed), 1);
	fake_stop();
}

Test(front_life, a_worker_that_hangs_keeps_nobody_from_moving_and_draining)
{
	const struct fake_front_cfg cfg = fake_front_cfg();

	fake_start_on(2, &cfg);
	for (unsigned i = 0; i < 2; i++) {
		sq_worker_tell(sq_crew_workers(fake.crew)[i], gate_hang, NULL);
		sq_front_move(fake.front);
		sq_front_drain(fake.front);
	}
	cr_assert_not(gate_overdue());
}

Test(front_life, connections_have_a_limit)
{
	struct fake_front_cfg cfg = fake_front_cfg();
	struct h2_client *second, *third;

	cfg.door.max_connections = 2;
	start(&cfg);
	second = h2_open(sq_front_port(fake.front), NULL);
	cr_assert_eq(h2_ask(second, "GET", "/", NULL, 0)->status, 404);
	third = h2_open(sq_front_port(fake.front), NULL);
	cr_assert(h2_lost(second), "the oldest without a link goes");
	h2_close(&second);
	open_link(third, 7);
	cr_assert_eq(post(client, "hello")->status, 200);
	second = h2_open(sq_front_port(fake.front), NULL);
	cr_assert(h2_lost(second), "nobody goes for it");
	h2_close(&second);
	h2_close(&third);
	do { /* a place is free again once the front has noticed */
		second = h2_open(sq_front_port(fake.front), NULL);
		if (h2_ask(second, "GET", "/", NULL, 0)->status == 404)
			break;
		h2_close(&second);
	} while (true);
	h2_close(&second);
}

Test(front_life, a_port_that_is_in_use_is_said_so)
{
	struct fake_front_cfg cfg = fake_front_cfg();
	struct sq_buf err = {0};
	char address[32];

	start(&cfg);
	snprintf(address, sizeof address, "127.0.0.1:%u", sq_front_port(fake.front));
	cfg.door.listen = address;
	for (unsigned workers = 1; workers <= 2; workers++) {
		struct sq_crew *crew = sq_crew_new(workers);

		cr_assert_null(fake_front_open(&cfg, crew, &err));
		sq_buf_u8(&err, 0);
		cr_assert_not_null(strstr((char *)sq_buf_data(&err), "Address already in use"));
		sq_buf_fini(&err);
		sq_crew_stop(crew);
		sq_crew_free(&crew);
	}
	cfg.door.listen = "nonsense";
	cr_assert_null(fake_front_open(&cfg, fake.crew, &err));
	sq_buf_fini(&err);
}

Test(front_life, two_workers_share_links_and_answer_for_each_other)
{
	enum { CLIENTS = 8, ROUNDS = 30 };
	const struct fake_front_cfg cfg = fake_front_cfg();
	struct h2_client *c[CLIENTS];
	struct h2_response *d[CLIENTS], *r[CLIENTS];

	fake_start_on(2, &cfg);
	for (unsigned i = 0; i < CLIENTS; i++) {
		c[i] = h2_open(sq_front_port(fake.front), NULL);
		d[i] = open_link(c[i], i + 1);
	}
	for (unsigned n = 0; n < ROUNDS; n++) {
		for (unsigned i = 0; i < CLIENTS; i++)
			r[i] = h2_start(c[i], "POST", MESSAGES, "deliver 2 single 1 other", 24);
		for (unsigned i = 0; i < CLIENTS; i++) {
			cr_assert(h2_finish(c[i], r[i]));
			cr_assert_eq(r[i]->status, 200);
		}
		cr_assert(sq_crew_live(fake.crew, 60000, NULL));
	}
	for (unsigned i = 0; i < CLIENTS; i += 2)
		h2_start(c[i], "POST", MESSAGES, "hold", 4);
	cr_assert(fake_await(&fake.held, CLIENTS / 2));
	for (unsigned i = 0; i < CLIENTS; i++) {
		cr_assert(frame_comes(c[i], d[i], SQ_FRAME_DELIVER));
		h2_close(&c[i]);
	}
	fake_release();
	cr_assert(fake_await(&fake.links_closed, CLIENTS));
	cr_assert_eq(sq_broker_metrics.values[SQ_M_LINKS], 0);
}
