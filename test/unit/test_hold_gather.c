/* sidecar/hold: settlements that nothing waits for are gathered for a while (docs/link.md,
 * "Gathering"). */
#include <criterion/criterion.h>
#include <ev.h>

#include "../support/fake_pool.h"
#include "../support/sidecar_cfg.h"
#include "sidecar/app.h"
#include "sidecar/hold/hold_priv.h"

enum { GRID_MS = 4 }; /* GATHER_MS of settle.c */

static struct ev_loop *loop;
static struct sq_sidecar_cfg cfg;
static struct sq_app *app;
static struct sq_uplink *up;
static struct sq_hold *hold;

static void
client_attached(void *user, const struct sq_hold_attached *a)
{
	(void)user, (void)a;
}

static void
client_ended(void *user, enum sq_hold_end end, struct sq_bytes text)
{
	(void)user, (void)text;
	cr_assert_fail("the hold has ended: %d", (int)end);
}

static void
client_released(void *user, uint16_t packet_id, uint8_t reason)
{
	(void)user, (void)packet_id, (void)reason;
}

static int
client_deliver(void *user, const struct sq_delivery *d, const struct sq_target *t)
{
	(void)user, (void)d, (void)t;
	return 0;
}

static void
client_writable(void *user)
{
	(void)user;
}

static void
client_acked(void *user, const struct sq_lane_outcome *o)
{
	(void)user, (void)o;
}

static void
client_declared(void *user, uint32_t token, uint8_t code, struct sq_bytes note)
{
	(void)user, (void)token, (void)code, (void)note;
}

static const struct sq_hold_user ops = {
    .attached = client_attached,
    .writable = client_writable,
    .acked = client_acked,
    .declared = client_declared,
    .ended = client_ended,
    .released = client_released,
    .deliver = client_deliver,
};

static void
turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

static struct sq_request *
posted(const char *what)
{
	return fake_request(app->holds->pool, what);
}

static void
confirm(struct sq_request *r)
{
	fake_answer(r, &(struct sq_answer){.status = 204});
	turn();
}

/* A client with that receive maximum, attached, its credit granted; 'durable': of such a session. */
static void
begin_as(uint16_t receive_max, bool durable)
{
	struct sq_hold_params p = {.client_id = "c",
	    .version = SQ_MQTT_V5,
	    .clean_start = true,
	    .durable = durable,
	    .expiry_s = durable ? 60 : 0,
	    .receive_max = receive_max};
	struct sq_attached a = {.epoch = 1,
	    .incarnation = 7,
	    .store = 1,
	    .max_packet = 10000,
	    .limits = sq_limits_unsaid};
	struct sq_buf b = {0};

	hold = sq_hold_open(app->holds, &p, &ops, &cfg);
	sq_attached_encode(&b, &a, SQ_LINK_VERSION);
	fake_answer(fake_await(loop, app->holds->pool, "/v1/sessions/"),
	    &(struct sq_answer){.status = 200, .body = sq_buf_data(&b), .len = sq_buf_len(&b)});
	sq_buf_fini(&b);
	turn();
	confirm(fake_await(loop, app->holds->pool, "/settlements"));
}

static void
begin(uint16_t receive_max)
{
	begin_as(receive_max, false);
}

static void
setup(void)
{
	struct sq_buf err = {0};

	loop = ev_loop_new(EVFLAG_AUTO);
	cfg = sidecar_cfg();
	app = sq_app_new(loop, &cfg, &err);
	cr_assert(app);
	up = fake_link_up(app->holds->pool);
}

static void
tidy(void)
{
	sq_app_free(&app);
	ev_loop_destroy(loop);
}

TestSuite(hold_gather, .init = setup, .fini = tidy, .timeout = 60);

/* The broker sends message 'id', with its number as its packet id. */
static void
message(uint8_t qos, uint16_t id)
{
	struct sq_msg m = sq_msg_new(
	    qos, false, sq_bytes_of("t"), (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, sq_bytes_of("x"));
	struct sq_origin o = {.incarnation = 1, .run = 2, .number = id};
	struct sq_target t = {.epoch = 1, .delivery = id, .packet_id = id, .flags = qos};
	struct sq_buf frame = {0};
	size_t at = sq_deliver_open(&frame, &o, SQ_MSG_NO_EXPIRY, m.image);

	cr_assert_eq(sq_deliver_target(&frame, at, &t, NULL), 0);
	fake_frames(up, &frame);
	sq_buf_fini(&frame);
	sq_msg_unref(&m);
	turn();
}

/* Entries of a posted Settlements. */
static unsigned
settled(const struct sq_request *r)
{
	struct sq_bytes body = fake_body(r);
	struct sq_settlements s;
	struct sq_settle e;
	unsigned n = 0;

	cr_assert_eq(sq_settlements_decode(body.p, body.len, &s), 0);
	while (sq_settle_next(&s.entries, &e))
		n += e.n;
	return n;
}

/* Lets time pass until a time to post has just been, so that what is gathered has the longest wait. */
static uint64_t
at_the_grid(void)
{
	uint64_t from = sq_holds_now(app->holds) / GRID_MS;

	while (sq_holds_now(app->holds) / GRID_MS == from)
		turn();
	return sq_holds_now(app->holds) / GRID_MS;
}

Test(hold_gather, what_is_settled_in_a_while_leaves_together_by_itself)
{
	struct sq_request *r;
	uint64_t cell;
	uint16_t id = 0;

	begin(100);
	do { /* again where this process has slept meanwhile */
		cell = at_the_grid();
		for (int i = 0; i < 3; i++) {
			message(1, ++id);
			cr_assert_eq(sq_hold_ack(hold, SQ_MQTT_PUBACK, id, 0), 0);
			turn();
		}
		r = fake_await(loop, app->holds->pool, "/settlements");
		cr_assert_lt(id, 30, "each has left alone");
		if (settled(r) == 3)
			break;
		do
			confirm(fake_await(loop, app->holds->pool, "/settlements"));
		while (!sq_inbox_flushed(hold->inbox));
	} while (true);
	cr_assert_neq(sq_holds_now(app->holds) / GRID_MS, cell, "before its time");
	confirm(r);
	cr_assert(sq_inbox_flushed(hold->inbox));
}

Test(hold_gather, a_receive_maximum_of_one_waits_for_nothing)
{
	struct sq_request *r;

	begin(1);
	for (uint16_t n = 0; n < 20; n++) {
		message(1, 1);
		cr_assert_eq(sq_hold_ack(hold, SQ_MQTT_PUBACK, 1, 0), 0);
		turn();
		r = posted("/settlements");
		cr_assert_not_null(r, "message %u waits", n);
		confirm(r);
	}
}

/* Its client may go on through another sidecar, which finds confirmed what was. */
Test(hold_gather, a_durable_session_gathers_nothing)
{
	struct sq_request *r;

	begin_as(100, true);
	for (uint16_t id = 1; id <= 20; id++) {
		message(1, id);
		cr_assert_eq(sq_hold_ack(hold, SQ_MQTT_PUBACK, id, 0), 0);
		turn();
		r = posted("/settlements");
		cr_assert_not_null(r, "message %u waits", id);
		confirm(r);
	}
}

Test(hold_gather, half_of_the_receive_maximum_waits_for_nothing)
{
	begin(100);
	for (uint16_t id = 1; id <= 50; id++)
		message(1, id);
	cr_assert_eq(sq_hold_ack(hold, SQ_MQTT_PUBACK, 1, 0), 0);
	turn();
	cr_assert_not_null(posted("/settlements"));
}

Test(hold_gather, a_declared_bound_on_unfinished_messages_counts)
{
	const struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_CONSUME,
	    .concurrency = 1,
	    .group = sq_bytes_of("g"),
	    .filter = sq_bytes_of("t")};

	begin(100);
	sq_hold_declare(hold, &sub, 0);
	message(1, 1);
	cr_assert_eq(sq_hold_ack(hold, SQ_MQTT_PUBACK, 1, 0), 0);
	turn();
	cr_assert_not_null(posted("/settlements"));
}

Test(hold_gather, received_waits_for_nothing)
{
	begin(100);
	message(2, 1);
	cr_assert_eq(sq_hold_ack(hold, SQ_MQTT_PUBREC, 1, 0), 0);
	turn();
	cr_assert_not_null(posted("/settlements"));
}

Test(hold_gather, who_leaves_says_all_first)
{
	begin(100);
	message(1, 1);
	cr_assert_eq(sq_hold_ack(hold, SQ_MQTT_PUBACK, 1, 0), 0);
	sq_hold_leave(hold, 0, 0);
	turn();
	cr_assert_not_null(posted("/settlements"));
	cr_assert_null(posted("/detach"));
	confirm(posted("/settlements"));
	cr_assert_not_null(posted("/detach"));
}

/* Publishes one of QoS 0. */
static void
publish(bool retain)
{
	const struct sq_lane_publish m = {
	    .retain = retain, .expiry_s = SQ_MSG_NO_EXPIRY, .topic = sq_bytes_of("t")};

	cr_assert_eq(sq_hold_publish(hold, &m), 0);
	turn();
}

Test(hold_gather, who_leaves_asks_for_withheld_answers)
{
	begin(100);
	publish(false);
	cr_assert_not_null(posted("/messages"));
	cr_assert_null(posted("/settlements"));
	sq_hold_leave(hold, 0, 0);
	turn();
	cr_assert_not_null(posted("/settlements"));
	cr_assert_eq(settled(posted("/settlements")), 0);
}

Test(hold_gather, a_retained_message_behind_qos_0_asks_for_withheld_answers)
{
	begin(100);
	publish(false);
	publish(true);
	cr_assert_not_null(posted("/settlements"));
	confirm(posted("/settlements"));
	cr_assert_null(posted("/settlements"), "once");
}

Test(hold_gather, a_batch_takes_settlements_along)
{
	const struct sq_lane_publish m = {
	    .qos = 1, .packet_id = 1, .expiry_s = SQ_MSG_NO_EXPIRY, .topic = sq_bytes_of("t")};

	begin(100);
	message(1, 1);
	cr_assert_eq(sq_hold_ack(hold, SQ_MQTT_PUBACK, 1, 0), 0);
	cr_assert_eq(sq_hold_publish(hold, &m), 0);
	turn();
	cr_assert_not_null(posted("/messages"));
	cr_assert_not_null(posted("/settlements"));
}
