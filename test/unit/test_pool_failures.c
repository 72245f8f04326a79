/* net/pool: what it does when links, brokers, certificates and tokens fail. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/pool_world.h"
#include "core/clock.h"
#include "core/mem.h"

static struct world w;
static struct h2_server *server, *other;

static void
setup(void)
{
	world_init(&w);
	world_log_capture();
}

static void
tidy(void)
{
	world_fini(&w);
	h2_server_stop(&server);
	h2_server_stop(&other);
	world_certs_remove();
}

TestSuite(pool_failures, .init = setup, .fini = tidy, .timeout = 120);

static void
start(const struct h2_server_cfg *cfg)
{
	server = h2_server_start(cfg);
	world_add_broker(&w, h2_server_address(server));
	cr_assert(world_start(&w), "%s", (const char *)sq_buf_data(&w.err));
}

static void
start_tls(const char *ca, const char *name)
{
	struct h2_server_cfg cfg = {0};

	world_certs();
	cfg.cert = world_file("cert.pem");
	cfg.key = world_file("key.pem");
	w.cfg.tls = true;
	w.cfg.ca_file = world_file(ca);
	w.cfg.server_name = name;
	start(&cfg);
}

static struct h2_server_stats
stats(void)
{
	return h2_server_stats(server);
}

/* Flying, queued and behind a full window: all are answered, and only then comes
 * down; then a new link comes up by itself. */
static void
lost(void (*how)(void))
{
	enum { N = 100 };
	static unsigned char body[200000];
	struct call calls[N + 1];
	struct h2_server_cfg cfg = {0};

	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	for (size_t i = 0; i < N; i++)
		call_send(
		    &calls[i], &w, w.last_up, "/hold", body, i % 7 == 0 ? sizeof body : 3, NULL, 0);
	WORLD_UNTIL(&w, stats().held > 10);
	how();
	WORLD_UNTIL(&w, w.downs == 1);
	cr_assert_eq(w.unanswered, 0);
	cr_assert_eq(w.downs_with_requests, 0);
	for (size_t i = 0; i < N; i++) {
		cr_assert_eq(calls[i].answer.status, 0);
		cr_assert_eq(calls[i].dones, 1);
		call_fini(&calls[i]);
	}
	WORLD_UNTIL(&w, w.ups == 2);
	call_send(&calls[N], &w, w.last_up, "/echo", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, calls[N].done);
	cr_assert_eq(calls[N].answer.status, 200);
	call_fini(&calls[N]);
	cr_assert_eq(world_count(&w, SQ_NET_LINKS_LOST), 1);
	cr_assert_eq(world_count(&w, SQ_NET_LINKS), 1);
	cr_assert_eq(world_count(&w, SQ_NET_DIALS), 2);
}

static void
cut(void)
{
	h2_server_cut(server);
}

static void
end_deliveries(void)
{
	h2_server_end_deliveries(server, false);
}

static void
reset_deliveries(void)
{
	h2_server_end_deliveries(server, true);
}

static void
break_protocol(void)
{
	static const unsigned char malformed[] = {0, 0, 0, 2, 1, 0};

	h2_server_deliver(server, malformed, sizeof malformed, 0);
}

Test(pool_failures, lost_connection_answers_all_then_is_down_and_dialled_again)
{
	lost(cut);
}

Test(pool_failures, end_of_deliveries_is_the_end_of_the_link)
{
	lost(end_deliveries);
	cr_assert_not_null(
	    strstr(world_log(), "link lost: the deliveries ended"), "%s", world_log());
}

Test(pool_failures, reset_of_deliveries_is_the_end_of_the_link)
{
	lost(reset_deliveries);
	cr_assert_not_null(strstr(world_log(), "INTERNAL_ERROR"), "%s", world_log());
}

Test(pool_failures, malformed_frame_drops_the_link)
{
	lost(break_protocol);
	cr_assert_not_null(strstr(world_log(), "the broker broke the protocol: malformed frame"),
	    "%s", world_log());
}

Test(pool_failures, frame_above_the_limit_drops_the_link)
{
	static const unsigned char huge[] = {0x7f, 0, 0, 0, 2};
	struct h2_server_cfg cfg = {0};

	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	h2_server_deliver(server, huge, sizeof huge, 2);
	WORLD_UNTIL(&w, w.downs == 1);
	cr_assert_not_null(strstr(world_log(), "a frame above the limit"), "%s", world_log());
}

Test(pool_failures, deliveries_cut_inside_a_frame_say_so)
{
	static const unsigned char half[] = {0, 0, 0, 100, 2, 0};
	struct h2_server_cfg cfg = {.heartbeat_ms = 0};

	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	h2_server_deliver(server, half, sizeof half, 0);
	h2_server_end_deliveries(server, false);
	WORLD_UNTIL(&w, w.ups == 2);
	cr_assert_eq(w.delivered, 0);
	cr_assert_not_null(
	    strstr(world_log(), "the deliveries ended inside a frame"), "%s", world_log());
}

Test(pool_failures, owner_may_fail_the_link_inside_deliver)
{
	struct sq_msg m = sq_msg_new(0, false, (struct sq_bytes){(const unsigned char *)"t", 1},
	    (struct sq_bytes){NULL, 0}, SQ_MSG_NO_EXPIRY,
	    (struct sq_bytes){(const unsigned char *)"p", 1});
	struct sq_target t = {.epoch = 1};
	struct h2_server_cfg cfg = {0};
	struct sq_buf b = {0};

	for (int i = 0; i < 2; i++) {
		size_t at = sq_deliver_open(&b, NULL, SQ_MSG_NO_EXPIRY, m.image);

		cr_assert_eq(sq_deliver_target(&b, at, &t, NULL), 0);
	}
	sq_msg_unref(&m);
	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	w.fail_with = "unknown epoch";
	h2_server_deliver(server, sq_buf_data(&b), sq_buf_len(&b), 0);
	WORLD_UNTIL(&w, w.downs == 1);
	cr_assert_eq(w.delivered, 1, "nothing comes after the failure");
	cr_assert_not_null(strstr(world_log(), "unknown epoch"), "%s", world_log());
	sq_buf_fini(&b);
}

Test(pool_failures, wrong_authority_is_refused_clearly_and_dialled_again)
{
	struct sq_buf why = {0};

	start_tls("other.pem", NULL);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_DIALS) >= 4);
	cr_assert_eq(w.ups, 0);
	cr_assert_eq(stats().dials, 0, "nothing was asked of it");
	cr_assert_not_null(
	    strstr(world_log(), "dial failed: TLS: certificate: self-signed"), "%s", world_log());
	cr_assert_null(strstr(strstr(world_log(), "dial failed") + 1, "dial failed"), "said once");
	cr_assert(!sq_pool_ready(w.pool, &why));
	sq_buf_u8(&why, 0);
	cr_assert_not_null(strstr((char *)sq_buf_data(&why), "certificate"));
	sq_buf_fini(&why);
}

Test(pool_failures, wrong_name_is_refused)
{
	start_tls("ca.pem", "elsewhere.test");
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_DIALS) >= 2);
	cr_assert_eq(w.ups, 0);
	cr_assert_not_null(strstr(world_log(), "hostname mismatch"), "%s", world_log());
}

Test(pool_failures, wrong_address_is_refused)
{
	start_tls("ca.pem", "127.0.0.2");
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_DIALS) >= 2);
	cr_assert_eq(w.ups, 0);
	cr_assert_not_null(strstr(world_log(), "IP address mismatch"), "%s", world_log());
}

Test(pool_failures, configured_name_is_accepted)
{
	start_tls("ca.pem", "broker.test");
	WORLD_UNTIL(&w, w.ups == 1);
}

Test(pool_failures, tls_towards_a_clear_port_fails)
{
	struct h2_server_cfg cfg = {0};

	world_certs();
	w.cfg.tls = true;
	w.cfg.ca_file = world_file("ca.pem");
	start(&cfg);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_DIALS) >= 3);
	cr_assert_eq(w.ups, 0);
	cr_assert_not_null(strstr(world_log(), "dial failed"), "%s", world_log());
}

Test(pool_failures, silent_link_is_dropped_and_dialled_again)
{
	struct h2_server_cfg cfg = {.heartbeat_ms = 20};

	w.cfg.silence_ms = 300;
	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	h2_server_silence(server);
	WORLD_UNTIL(&w, w.downs >= 1 && w.ups >= 2);
	cr_assert_not_null(strstr(world_log(), "link lost: silent"), "%s", world_log());
	cr_assert(stats().pings >= 1, "it was asked first");
}

Test(pool_failures, link_with_heartbeats_outlives_the_silence)
{
	struct h2_server_cfg cfg = {.heartbeat_ms = 20};
	uint64_t from_ms;

	w.cfg.silence_ms = 1000;
	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	from_ms = sq_clock_ms();
	WORLD_UNTIL(&w, sq_clock_ms() - from_ms > 2500);
	cr_assert_eq(w.downs, 0);
}

Test(pool_failures, mute_server_is_given_up_after_the_dial_timeout)
{
	struct h2_server_cfg cfg = {.mute = true};

	w.cfg.dial_timeout_ms = 50;
	start(&cfg);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_DIALS) >= 3);
	cr_assert_eq(w.ups, 0);
	cr_assert_not_null(
	    strstr(world_log(), "dial failed: no answer in time"), "%s", world_log());
}

Test(pool_failures, garbage_from_the_port_is_named)
{
	struct h2_server_cfg cfg = {.garbage = "SSH-2.0-OpenSSH_9.2p1 Debian\r\n"};

	start(&cfg);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_DIALS) >= 3);
	cr_assert_eq(w.ups, 0);
	cr_assert_not_null(strstr(world_log(), "dial failed: HTTP/2: "), "%s", world_log());
}

Test(pool_failures, closed_port_is_dialled_until_somebody_listens)
{
	struct h2_server_cfg cfg = {0};

	other = h2_server_start(&cfg);
	cfg.port = h2_server_port(other);
	world_add_broker(&w, h2_server_address(other));
	h2_server_stop(&other);
	cr_assert(world_start(&w));
	cr_assert_null(sq_pool_pick(w.pool));
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_DIALS) >= 5);
	cr_assert_not_null(strstr(world_log(), "Connection refused"), "%s", world_log());
	server = h2_server_start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
}

Test(pool_failures, broker_that_fails_is_left_for_another)
{
	struct h2_server_cfg cfg = {0};

	world_add_broker(&w, "127.0.0.1:1");
	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	h2_server_cut(server);
	WORLD_UNTIL(&w, w.ups == 2);
}

static void
drained_by(void (*how)(void))
{
	struct h2_server_cfg cfg = {0};
	struct call call, late;
	struct sq_uplink *old;

	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	old = w.last_up;
	sq_uplink_use(old, 1);
	call_send(&call, &w, old, "/hold", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, stats().held == 1);
	how();
	WORLD_UNTIL(&w, w.drains == 1);
	cr_assert(sq_uplink_draining(old));
	cr_assert_neq(sq_pool_pick(w.pool), old);
	WORLD_UNTIL(&w, w.ups == 2);
	cr_assert_eq(w.downs, 0, "the old link still works");
	cr_assert_eq(sq_pool_pick(w.pool), w.last_up);
	call_send(&late, &w, w.last_up, "/echo", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, late.done);
	h2_server_release(server);
	WORLD_UNTIL(&w, call.done);
	cr_assert_eq(call.answer.status, 200);
	if (w.downs == 0)
		sq_uplink_use(old, -1);
	WORLD_UNTIL(&w, w.downs == 1);
	WORLD_UNTIL(&w, stats().open == 1);
	cr_assert_not_null(strstr(world_log(), "link closed: drained"), "%s", world_log());
	call_fini(&call);
	call_fini(&late);
}

static void
send_draining(void)
{
	struct sq_buf b = {0};

	sq_frame_draining(&b, (struct sq_bytes){0}, 2);
	h2_server_deliver(server, sq_buf_data(&b), sq_buf_len(&b), 0);
	sq_buf_fini(&b);
}

static void
send_goaway(void)
{
	h2_server_goaway(server);
}

Test(pool_failures, draining_dials_a_replacement_and_closes_when_unused)
{
	drained_by(send_draining);
}

Test(pool_failures, goaway_dials_a_replacement_and_closes_when_answered)
{
	drained_by(send_goaway);
}

Test(pool_failures, replacement_goes_to_another_broker)
{
	struct h2_server_cfg cfg = {0};

	other = h2_server_start(&cfg);
	world_add_broker(&w, h2_server_address(other));
	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	if (h2_server_stats(server).links == 0) { /* the lot fell on the other one */
		struct h2_server *swap = server;

		server = other;
		other = swap;
	}
	send_draining();
	WORLD_UNTIL(&w, w.ups == 2 && w.downs == 1);
	WORLD_UNTIL(&w, h2_server_stats(other).links == 1 && stats().links == 0);
}

Test(pool_failures, broker_that_drains_every_link_is_not_dialled_in_a_frenzy)
{
	struct h2_server_cfg cfg = {0};
	uint64_t from_ms;

	w.cfg.backoff_min_ms = 20;
	w.cfg.backoff_max_ms = 60000;
	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	from_ms = sq_clock_ms();
	for (unsigned i = 1; i <= 4; i++) {
		send_draining();
		WORLD_UNTIL(&w, w.downs == i && w.ups == i + 1);
	}
	cr_assert_geq(sq_clock_ms() - from_ms, 20 + 40 + 80 + 160, "the waits have doubled");
}

Test(pool_failures, link_is_replaced_when_it_is_old)
{
	struct h2_server_cfg cfg = {.heartbeat_ms = 20};

	w.cfg.max_age_ms = 200;
	start(&cfg);
	WORLD_UNTIL(&w, w.drains >= 2 && w.downs >= 2 && w.ups >= 3);
	cr_assert_null(strstr(world_log(), "link lost"));
}

Test(pool_failures, refused_token_is_said_once_and_read_again)
{
	struct h2_server_cfg cfg = {.token = "good.token"};

	world_write("token", "bad.token\n");
	w.cfg.token_file = world_file("token");
	start(&cfg);
	WORLD_UNTIL(&w, stats().refused >= 3);
	cr_assert_eq(w.ups, 0);
	cr_assert_not_null(
	    strstr(world_log(), "HTTP 401, the token is not good"), "%s", world_log());
	cr_assert_null(strstr(strstr(world_log(), "HTTP 401") + 1, "HTTP 401"), "said once");
	cr_assert_geq(world_count(&w, SQ_NET_REFUSED_CREDENTIAL), 2);
	world_write("token", "  good.token\n");
	WORLD_UNTIL(&w, w.ups == 1);
	cr_assert_null(strstr(world_log(), "good.token"));
	cr_assert_null(strstr(world_log(), "bad.token"));
}

Test(pool_failures, what_binds_an_identity_carries_the_token)
{
	struct h2_server_cfg cfg = {.token = "good.token"};
	struct call call;

	world_write("token", "good.token");
	w.cfg.token_file = world_file("token");
	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	call_put(&call, &w, w.last_up, "/echo", "x", 1);
	WORLD_UNTIL(&w, call.done);
	cr_assert_eq(call.answer.status, 200);
	call_fini(&call);
	h2_server_expect_token(server, "another.token");
	call_put(&call, &w, w.last_up, "/echo", "x", 1);
	WORLD_UNTIL(&w, call.done);
	cr_assert_eq(call.answer.status, 401);
	call_fini(&call);
	call_send(&call, &w, w.last_up, "/echo", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, call.done);
	cr_assert_eq(call.answer.status, 401, "a POST has none: it is its link's");
	call_fini(&call);
}

Test(pool_failures, retry_after_is_the_floor_of_the_next_dial)
{
	struct h2_server_cfg cfg = {.deliveries_status = 503, .retry_after = "3600"};

	start(&cfg);
	WORLD_UNTIL(&w, stats().dials == 1);
	for (int i = 0; i < 60; i++)
		world_turn(&w); /* several times the longest backoff */
	cr_assert_eq(stats().dials, 1);
	cr_assert_not_null(strstr(world_log(), "HTTP 503"), "%s", world_log());
}

Test(pool_failures, free_with_all_in_flight_leaves_nothing)
{
	static unsigned char body[200000];
	struct call calls[80];
	struct h2_server_cfg cfg = {0};

	start(&cfg);
	WORLD_UNTIL(&w, w.ups == 1);
	for (size_t i = 0; i < 80; i++)
		call_send(&calls[i], &w, w.last_up, "/hold", body, sizeof body, NULL, 0);
	for (int i = 0; i < 3; i++)
		world_turn(&w);
	sq_pool_free(&w.pool);
	for (size_t i = 0; i < 80; i++) {
		cr_assert_eq(calls[i].dones, 0);
		call_fini(&calls[i]);
	}
}

Test(pool_failures, name_is_looked_up)
{
	struct h2_server_cfg cfg = {0};
	char name[32];

	server = h2_server_start(&cfg);
	(void)snprintf(name, sizeof name, "localhost:%u", h2_server_port(server));
	world_add_broker(&w, name);
	cr_assert(world_start(&w));
	WORLD_UNTIL(&w, w.ups == 1); /* perhaps after ::1, where nobody listens */
	h2_server_cut(server);
	WORLD_UNTIL(&w, w.ups == 2);
}

Test(pool_failures, name_without_address_is_reported)
{
	struct sq_buf why = {0};

	world_add_broker(&w, "no..name:7443");
	cr_assert(world_start(&w));
	WORLD_UNTIL(&w,
	    !sq_pool_ready(w.pool, &why) &&
		memmem(sq_buf_data(&why), sq_buf_len(&why), "no address", 10) != NULL);
	cr_assert_not_null(strstr(world_log(), "no address for no..name"), "%s", world_log());
	sq_buf_fini(&why);
}

Test(pool_failures, wrong_configuration_is_refused_in_one_line)
{
	static const char *const addresses[] = {
	    "",
	    "host",
	    "host:",
	    ":1",
	    "host:0",
	    "host:65536",
	    "host:1x",
	    "::1:7443",
	    "[::1]",
	    "[]:1",
	    "[::1:1",
	    "a b:1",
	    "http://host:1",
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(addresses); i++) {
		w.brokers.n = 0;
		w.err.start = w.err.end = 0;
		world_add_broker(&w, addresses[i]);
		cr_assert(!world_start(&w), "%s", addresses[i]);
		cr_assert_not_null(strstr((char *)sq_buf_data(&w.err), "not host:port"));
		free(w.names[0]);
	}
	w.brokers.n = 0;
	w.err.start = w.err.end = 0;
	cr_assert(!world_start(&w));
	cr_assert_str_eq((char *)sq_buf_data(&w.err), "brokers: at least one is needed");
	world_add_broker(&w, "127.0.0.1:1");
	w.err.start = w.err.end = 0;
	w.cfg.token_file = "/nonexistent/token";
	cr_assert(!world_start(&w));
	cr_assert_not_null(strstr((char *)sq_buf_data(&w.err), "/nonexistent/token"));
	w.err.start = w.err.end = 0;
	w.cfg.token_file = NULL;
	w.cfg.tls = true;
	w.cfg.ca_file = "/nonexistent/ca.pem";
	cr_assert(!world_start(&w));
	cr_assert_not_null(strstr((char *)sq_buf_data(&w.err), "/nonexistent/ca.pem"));
}
