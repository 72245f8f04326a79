/* net/pool: requests and deliveries over links to a real HTTP/2 server, in
 * the clear and with TLS. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "../support/pool_world.h"

static struct world w;
static struct h2_server *server;

static void
setup(void)
{
	world_init(&w);
	world_certs();
}

static void
tidy(void)
{
	world_fini(&w);
	h2_server_stop(&server);
	world_certs_remove();
}

TestSuite(pool, .init = setup, .fini = tidy, .timeout = 120);

/* A server and a pool with 'links' links to it, all up. */
static void
start(struct h2_server_cfg cfg, bool tls, unsigned links)
{
	if (tls) {
		cfg.cert = world_file("cert.pem");
		cfg.key = world_file("key.pem");
		w.cfg.tls = true;
		w.cfg.ca_file = world_file("ca.pem");
	}
	server = h2_server_start(&cfg);
	world_add_broker(&w, h2_server_address(server));
	w.cfg.links_per_broker = links;
	cr_assert(world_start(&w), "%s", (const char *)sq_buf_data(&w.err));
	WORLD_UNTIL(&w, w.ups == links);
}

static void
echo(bool tls)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz";
	struct call call, put;

	start((struct h2_server_cfg){0}, tls, 1);
	cr_assert_eq(w.last_up, sq_pool_pick(w.pool));
	call_send(&call, &w, w.last_up, "/echo", alphabet, 13, alphabet + 13, 13);
	WORLD_UNTIL(&w, call.done);
	cr_assert_str_eq(h2_server_stats(server).last_path, "POST /echo");
	call_send(&put, &w, w.last_up, "/echo/put?x=1", NULL, 0, NULL, 0);
	put.req.method = SQ_PUT;
	WORLD_UNTIL(&w, put.done);
	cr_assert_eq(call.answer.status, 200);
	cr_assert_eq(call.answer.len, 26);
	cr_assert_arr_eq(sq_buf_data(&call.body), alphabet, 26);
	cr_assert_eq(put.answer.status, 200);
	cr_assert_eq(put.answer.len, 0);
	cr_assert_str_eq(h2_server_stats(server).last_path, "PUT /echo/put?x=1");
	cr_assert_eq(world_count(&w, SQ_NET_REQUESTS), 2);
	cr_assert_eq(world_count(&w, SQ_NET_LINKS), 1);
	cr_assert_eq(world_count(&w, SQ_NET_DIALS), 1);
	call_fini(&call);
	call_fini(&put);
}

Test(pool, request_is_answered_in_the_clear)
{
	echo(false);
}

Test(pool, request_is_answered_over_tls)
{
	echo(true);
}

Test(pool, answer_carries_status_conflict_last_and_retry_after)
{
	static const struct {
		const char *path;
		unsigned status;
		enum sq_conflict conflict;
		uint64_t last;
		unsigned retry_after_ms;
	} cases[] = {
	    {"/status/204", 204, SQ_CONFLICT_NONE, 0, 0},
	    {"/status/409?sqmqos-conflict=epoch", 409, SQ_CONFLICT_EPOCH, 0, 0},
	    {"/status/409?sqmqos-conflict=run", 409, SQ_CONFLICT_RUN, 0, 0},
	    {"/status/409?sqmqos-conflict=gap&sqmqos-last=18446744073709551615", 409,
		SQ_CONFLICT_GAP, UINT64_MAX, 0},
	    {"/status/409?sqmqos-conflict=superseded", 409, SQ_CONFLICT_SUPERSEDED, 0, 0},
	    {"/status/409?sqmqos-conflict=else", 409, SQ_CONFLICT_NONE, 0, 0},
	    {"/status/503?retry-after=7", 503, SQ_CONFLICT_NONE, 0, 7000},
	    {"/status/503?retry-after=99999999999999999999", 503, SQ_CONFLICT_NONE, 0, 3600000},
	    {"/status/503?retry-after=soon", 503, SQ_CONFLICT_NONE, 0, 0},
	    {"/status/429?retry-after=1", 429, SQ_CONFLICT_NONE, 0, 1000},
	    {"/status/429?retry-after=1&sqmqos-reason=full", 429, SQ_CONFLICT_NONE, 0, 1000},
	    {"/status/429?sqmqos-reason=else", 429, SQ_CONFLICT_NONE, 0, 0},
	};
	struct call call;

	start((struct h2_server_cfg){0}, false, 1);
	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++) {
		call_send(&call, &w, w.last_up, cases[i].path, "x", 1, NULL, 0);
		WORLD_UNTIL(&w, call.done);
		cr_assert_eq(call.answer.status, cases[i].status, "%s", cases[i].path);
		cr_assert_eq(call.answer.conflict, cases[i].conflict, "%s", cases[i].path);
		cr_assert_eq(call.answer.last, cases[i].last, "%s", cases[i].path);
		cr_assert_eq(call.answer.full != SQ_FULL_NOT,
		    strstr(cases[i].path, "reason=full") != NULL, "%s", cases[i].path);
		cr_assert_eq(
		    call.answer.retry_after_ms, cases[i].retry_after_ms, "%s", cases[i].path);
		call_fini(&call);
	}
}

static uint32_t
sum(uint32_t h, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = h * 31 + p[i];
	return h;
}

/* Bodies of two pieces, around every size at which they are treated otherwise. */
static void
splice(bool tls, uint32_t window)
{
	static const size_t heads[] = {0, 1, 28, 4095, 4096, 70000};
	static const size_t tails[] = {1, 4095, 4096, 16355, 16356, 16384, 65535, 1u << 20};
	enum { N = SQ_ARRAY_LEN(heads) * SQ_ARRAY_LEN(tails) };
	unsigned char *a = sq_xmalloc(70000), *b = sq_xmalloc(1u << 20);
	struct call *calls = sq_xcalloc(N, sizeof *calls);

	start((struct h2_server_cfg){.window = window}, tls, 1);
	for (size_t i = 0; i < 70000; i++)
		a[i] = (unsigned char)(i * 7 + i / 251);
	for (size_t i = 0; i < 1u << 20; i++)
		b[i] = (unsigned char)(i * 13 + i / 255);
	for (size_t i = 0; i < N; i++)
		call_send(&calls[i], &w, w.last_up, "/sum", a, heads[i / SQ_ARRAY_LEN(tails)], b,
		    tails[i % SQ_ARRAY_LEN(tails)]);
	WORLD_UNTIL(&w, w.unanswered == 0);
	for (size_t i = 0; i < N; i++) {
		size_t head = heads[i / SQ_ARRAY_LEN(tails)], tail = tails[i % SQ_ARRAY_LEN(tails)];
		const unsigned char *got = sq_buf_data(&calls[i].body);

		cr_assert_eq(calls[i].answer.len, 8);
		cr_assert_eq(sq_get32(got), head + tail);
		cr_assert_eq(
		    sq_get32(got + 4), sum(sum(0, a, head), b, tail), "%zu + %zu", head, tail);
		call_fini(&calls[i]);
	}
	free(calls);
	free(a);
	free(b);
}

Test(pool, bodies_of_all_sizes_are_spliced_in_the_clear)
{
	splice(false, 0);
}

Test(pool, bodies_of_all_sizes_are_spliced_over_tls)
{
	splice(true, 0);
}

Test(pool, bodies_of_all_sizes_pass_a_small_window)
{
	splice(false, 1000);
}

Test(pool, bodies_of_all_sizes_pass_a_socket_that_is_full)
{
	splice(true, 1u << 30); /* only the socket's buffer is in the way */
}

Test(pool, records_of_a_large_body_are_full)
{
	enum { SIZE = 64000, RECORD = 16384, BESIDE = 1 };
	unsigned char *body = sq_xcalloc(1, SIZE);
	unsigned before;
	struct call call;

	start((struct h2_server_cfg){0}, true, 1);
	call_send(&call, &w, w.last_up, "/sum", NULL, 0, NULL, 0);
	WORLD_UNTIL(&w, call.done); /* nothing of the begin is on its way */
	call_fini(&call);
	before = h2_server_stats(server).reads;
	call_send(&call, &w, w.last_up, "/sum", body, 30000, body + 30000, SIZE - 30000);
	WORLD_UNTIL(&w, call.done);
	cr_assert_eq(sq_get32(sq_buf_data(&call.body)), SIZE);
	cr_assert_leq(h2_server_stats(server).reads - before, SIZE / RECORD + 1 + BESIDE,
	    "heads of frames and pieces of the body share records");
	call_fini(&call);
	free(body);
}

Test(pool, request_61_waits_until_one_is_answered)
{
	enum { N = SQ_LINK_STREAMS_MAX + 1 };
	struct call calls[N], echo_after;

	start((struct h2_server_cfg){0}, false, 1);
	for (size_t i = 0; i < N; i++)
		call_send(&calls[i], &w, w.last_up, "/hold", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, h2_server_stats(server).held == SQ_LINK_STREAMS_MAX);
	for (int i = 0; i < 20; i++)
		world_turn(&w);
	cr_assert_eq(h2_server_stats(server).requests, SQ_LINK_STREAMS_MAX);
	h2_server_release(server);
	WORLD_UNTIL(&w, w.unanswered == 1 && h2_server_stats(server).held == 1);
	cr_assert(!calls[N - 1].done, "first put, first sent");
	call_send(&echo_after, &w, w.last_up, "/echo", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, echo_after.done);
	h2_server_release(server);
	WORLD_UNTIL(&w, w.unanswered == 0);
	cr_assert_eq(h2_server_stats(server).held_peak, SQ_LINK_STREAMS_MAX);
	for (size_t i = 0; i < N; i++) {
		cr_assert_eq(calls[i].answer.status, 200);
		call_fini(&calls[i]);
	}
	call_fini(&echo_after);
}

Test(pool, fewer_streams_than_60_are_respected)
{
	struct call calls[40];

	start((struct h2_server_cfg){.max_streams = 8}, true, 1);
	for (size_t i = 0; i < 40; i++)
		call_send(&calls[i], &w, w.last_up, "/echo", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, w.unanswered == 0);
	for (size_t i = 0; i < 40; i++) {
		cr_assert_eq(calls[i].answer.status, 200);
		call_fini(&calls[i]);
	}
}

Test(pool, stream_reset_answers_only_its_own_request)
{
	struct call a, reset, b;

	start((struct h2_server_cfg){0}, false, 1);
	call_send(&a, &w, w.last_up, "/hold", "x", 1, NULL, 0);
	call_send(&reset, &w, w.last_up, "/reset", "x", 1, NULL, 0);
	call_send(&b, &w, w.last_up, "/echo", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, reset.done && b.done);
	cr_assert_eq(reset.answer.status, 0);
	cr_assert_eq(b.answer.status, 200);
	cr_assert(!a.done);
	h2_server_release(server);
	WORLD_UNTIL(&w, a.done);
	cr_assert_eq(a.answer.status, 200);
	cr_assert_eq(w.downs, 0);
	call_fini(&a);
	call_fini(&reset);
	call_fini(&b);
}

Test(pool, answer_before_the_body_is_read_gives_the_body_back)
{
	size_t len = 4u << 20;
	unsigned char *body = sq_xcalloc(1, len);
	struct call early, after;

	start((struct h2_server_cfg){0}, false, 1);
	call_send(&early, &w, w.last_up, "/early", body, len, NULL, 0);
	WORLD_UNTIL(&w, early.done);
	free(body); /* ASan sees whoever still reads it */
	cr_assert_eq(early.answer.status, 413);
	call_send(&after, &w, w.last_up, "/echo", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, after.done);
	cr_assert_eq(after.answer.status, 200);
	cr_assert_eq(early.dones, 1);
	cr_assert_eq(w.downs, 0);
	call_fini(&early);
	call_fini(&after);
}

/* Two delivers, a heartbeat, a detached and a large deliver. */
static void
frames_put(struct sq_buf *b)
{
	static char large[3000];
	struct sq_origin origin = {1, 2, 3, 0};
	struct sq_target t = {.epoch = 7, .delivery = 1, .packet_id = 1, .flags = 1};
	struct sq_msg m;
	size_t at;

	memset(large, 'L', sizeof large);
	for (unsigned i = 0; i < 3; i++) {
		struct sq_bytes payload = i == 2
		    ? (struct sq_bytes){(unsigned char *)large, sizeof large}
		    : (struct sq_bytes){(const unsigned char *)"first" + i, 5 - i};

		m = sq_msg_new(1, false, (struct sq_bytes){(const unsigned char *)"t", 1},
		    (struct sq_bytes){NULL, 0}, SQ_MSG_NO_EXPIRY, payload);
		at = sq_deliver_open(b, i == 1 ? &origin : NULL, SQ_MSG_NO_EXPIRY, m.image);
		for (t.epoch = 7; t.epoch < 8 + i; t.epoch++)
			cr_assert_eq(sq_deliver_target(b, at, &t, NULL), 0);
		sq_msg_unref(&m);
		sq_frame_heartbeat(b);
		sq_frame_detached(b, 0x1234, 0x8e, (struct sq_bytes){0}, 1);
	}
}

Test(pool, frames_in_every_split_equal_frames_whole)
{
	static const size_t pieces[] = {1, 2, 3, 5, 7, 64, 1000, 2999};
	struct sq_buf in = {0}, whole = {0};

	frames_put(&in);
	start((struct h2_server_cfg){0}, false, 1);
	h2_server_deliver(server, sq_buf_data(&in), sq_buf_len(&in), 0);
	WORLD_UNTIL(&w, w.delivered == 3);
	sq_buf_append(&whole, sq_buf_data(&w.frames), sq_buf_len(&w.frames));
	cr_assert_eq(w.in_blocks, 0, "whole frames are seen where they lie");
	for (size_t i = 0; i < SQ_ARRAY_LEN(pieces); i++) {
		sq_buf_drain(&w.frames, sq_buf_len(&w.frames));
		w.delivered = w.in_blocks = 0;
		h2_server_deliver(server, sq_buf_data(&in), sq_buf_len(&in), pieces[i]);
		WORLD_UNTIL(&w, sq_buf_len(&w.frames) >= sq_buf_len(&whole));
		cr_assert_eq(sq_buf_len(&w.frames), sq_buf_len(&whole), "%zu", pieces[i]);
		cr_assert_arr_eq(sq_buf_data(&w.frames), sq_buf_data(&whole), sq_buf_len(&whole));
		cr_assert(w.in_blocks > 0, "split ones come in a block");
	}
	cr_assert_eq(w.downs, 0);
	sq_buf_fini(&in);
	sq_buf_fini(&whole);
}

Test(pool, frames_of_an_unknown_type_are_skipped_and_counted)
{
	static const unsigned char unknown[] = {0, 0, 0, 4, 0xee, 'n', 'e', 'w'};
	struct sq_buf in = {0};
	int64_t before;

	start((struct h2_server_cfg){0}, false, 1);
	before = world_count(&w, SQ_NET_FRAMES_SKIPPED);
	for (size_t piece = 0; piece < 9; piece += 4) {
		sq_buf_drain(&in, sq_buf_len(&in));
		sq_buf_append(&in, unknown, sizeof unknown);
		frames_put(&in);
		sq_buf_append(&in, unknown, sizeof unknown);
		h2_server_deliver(server, sq_buf_data(&in), sq_buf_len(&in), piece);
	}
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_FRAMES_SKIPPED) == before + 6);
	cr_assert_eq(w.delivered, 9);
	cr_assert_eq(w.downs, 0);
	sq_buf_fini(&in);
}

Test(pool, frames_flow_over_tls_while_requests_do)
{
	struct sq_buf in = {0};
	struct call calls[50];

	for (int i = 0; i < 100; i++)
		frames_put(&in);
	start((struct h2_server_cfg){0}, true, 2);
	h2_server_deliver(server, sq_buf_data(&in), sq_buf_len(&in), 0);
	for (size_t i = 0; i < 50; i++)
		call_send(&calls[i], &w, sq_pool_pick(w.pool), "/echo", "0123456789", 10, NULL, 0);
	WORLD_UNTIL(&w, w.delivered == 2 * 300 && w.unanswered == 0);
	for (size_t i = 0; i < 50; i++) {
		cr_assert_eq(calls[i].answer.len, 10);
		call_fini(&calls[i]);
	}
	sq_buf_fini(&in);
}

Test(pool, pick_spreads_over_all_links_and_takes_the_less_busy)
{
	struct sq_uplink *a;
	unsigned to_a = 0;

	start((struct h2_server_cfg){0}, false, 2);
	a = w.last_up;
	for (int i = 0; i < 200; i++)
		to_a += sq_pool_pick(w.pool) == a;
	cr_assert(to_a > 20 && to_a < 180, "%u", to_a);
	sq_uplink_use(a, 1);
	for (int i = 0; i < 50; i++)
		cr_assert_neq(sq_pool_pick(w.pool), a);
	cr_assert_neq(sq_uplink_id(a), sq_uplink_id(sq_pool_pick(w.pool)));
	sq_uplink_use(a, -1);
}

Test(pool, ready_names_brokers_that_cannot_be_reached)
{
	struct sq_buf why = {0};

	world_add_broker(&w, "127.0.0.1:1");
	w.cfg.brokers_max = 2;
	start((struct h2_server_cfg){0}, false, 1);
	WORLD_UNTIL(&w, sq_pool_ready(w.pool, &why) && sq_buf_len(&why) > 0);
	sq_buf_u8(&why, 0);
	cr_assert_str_eq((char *)sq_buf_data(&why),
	    "links: 1 of 2 are up\nbroker 127.0.0.1:1: Connection refused\n");
	sq_buf_fini(&why);
}
