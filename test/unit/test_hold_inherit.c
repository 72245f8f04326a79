/* sidecar/hold: what a connection makes of the subscriptions of an older one of its client id, which
 * may have missed what its client has ended over another sidecar since. */
#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>

#include "../support/fake_pool.h"
#include "../support/sidecar_cfg.h"
#include "core/bytes.h"
#include "proto/mqtt/reason.h"
#include "sidecar/app.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/subs.h"

enum { INCARNATION = 7, ANOTHER = 8, EXPIRY_S = 600 };

static struct ev_loop *loop;
static struct sq_sidecar_cfg cfg;
static struct sq_app *app;
static struct sq_uplink *up;
static uint64_t epoch;

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

TestSuite(hold_inherit, .init = setup, .fini = tidy, .timeout = 60);

static void
turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

/* A connection of the client, durable. */
static struct sq_hold *
connection(void)
{
	struct sq_hold_params p = {.client_id = "c",
	    .version = SQ_MQTT_V5,
	    .durable = true,
	    .expiry_s = EXPIRY_S,
	    .receive_max = 10};

	return sq_hold_open(app->holds, &p, NULL, NULL);
}

/* Answers the attach that comes. */
static void
attach(bool present, uint64_t incarnation)
{
	struct sq_attached a = {.epoch = ++epoch,
	    .incarnation = incarnation,
	    .store = 1,
	    .present = present,
	    .expiry_s = EXPIRY_S,
	    .max_packet = 10000,
	    .limits = sq_limits_unsaid};
	struct sq_request *r = fake_await(loop, app->holds->pool, "/v1/sessions/");
	struct sq_buf b = {0};

	cr_assert(r->method == SQ_PUT, "%s before the attach", r->path);
	sq_attached_encode(&b, &a, SQ_LINK_VERSION);
	fake_answer(
	    r, &(struct sq_answer){.status = 200, .body = sq_buf_data(&b), .len = sq_buf_len(&b)});
	sq_buf_fini(&b);
	turn();
}

/* The link goes, another one comes. */
static void
relink(void)
{
	fake_link_down(app->holds->pool, up);
	up = fake_link_up(app->holds->pool);
}

static void
subscribe(struct sq_hold *hold, const char *filter)
{
	struct sq_buf b = {0};
	uint8_t granted = 1;

	sq_buf_u16(&b, (uint16_t)strlen(filter));
	sq_buf_append(&b, filter, strlen(filter));
	sq_buf_u8(&b, 1);
	cr_assert_eq(sq_hold_subscribe(hold, 1, 1, sq_buf_bytes(&b), 0), 0);
	sq_buf_fini(&b);
	fake_answer(fake_await(loop, app->holds->pool, "/subscriptions"),
	    &(struct sq_answer){.status = 204});
	fake_subscribed(up, epoch, hold->subs.order.posted, &granted, 1);
	turn();
}

/* The broker's list of what the session is subscribed to: one filter, at QoS 0. */
static void
tell(const char *filter)
{
	struct sq_kept k = {.filter = sq_bytes_of(filter)};
	struct sq_buf entries = {0}, frame = {0};

	sq_kept_put(&entries, &k);
	sq_frame_kept(&frame, epoch, true, 1, sq_buf_bytes(&entries));
	fake_frames(up, &frame);
	sq_buf_fini(&entries);
	sq_buf_fini(&frame);
	turn();
}

/* What the request that comes subscribes to is 'want', as "a1b2": each with its QoS, by name. */
static void
makes_again(const char *want)
{
	struct sq_bytes body = fake_body(fake_await(loop, app->holds->pool, "/subscriptions"));
	struct sq_subs_head head;
	struct sq_bytes entries;
	int qos[26], n = sq_subs_decode(body.p, body.len, SQ_LINK_VERSION, &head, &entries);
	struct sq_buf got = {0};

	cr_assert_gt(n, 0);
	memset(qos, -1, sizeof qos);
	for (int i = 0; i < n; i++) {
		struct sq_sub sub = sq_sub_next(&entries, SQ_LINK_VERSION);

		cr_assert(sub.op == SQ_SUB_SUBSCRIBE && sub.filter.len == 1);
		qos[sub.filter.p[0] - 'a'] = sub.options & 3;
	}
	for (int i = 0; i < 26; i++) {
		if (qos[i] >= 0)
			sq_buf_printf(&got, "%c%d", 'a' + i, qos[i]);
	}
	sq_buf_u8(&got, 0);
	cr_assert_str_eq((const char *)sq_buf_data(&got), want);
	sq_buf_fini(&got);
}

/* Subscriptions are posted before an attachment's first settlements. */
static void
asks_nothing(void)
{
	struct sq_request *r = fake_await(loop, app->holds->pool, "/settlements");

	cr_assert_null(fake_request(app->holds->pool, "/subscriptions"));
	fake_answer(r, &(struct sq_answer){.status = 204});
}

/* The client, subscribed to "a" and "b" here at QoS 1, went to another sidecar, and has come back
 * to this one, which hears only now that it went. */
static struct sq_hold *
came_back(void)
{
	struct sq_hold *older = connection(), *newer;
	struct sq_buf frame = {0};

	attach(true, INCARNATION);
	subscribe(older, "a");
	subscribe(older, "b");
	asks_nothing();
	sq_hold_leave(older, 0, EXPIRY_S);
	newer = connection();
	sq_frame_detached(
	    &frame, epoch, SQ_MQTT_RC_TAKEN_OVER, (struct sq_bytes){0}, SQ_LINK_VERSION);
	fake_frames(up, &frame);
	sq_buf_fini(&frame);
	turn();
	return newer;
}

/* Else a subscription would live that the client has ended meanwhile. */
Test(hold_inherit, a_session_that_is_there_is_left_as_it_is)
{
	(void)came_back();
	attach(true, INCARNATION);
	asks_nothing();
}

Test(hold_inherit, what_the_broker_does_not_list_is_not_made_again_later)
{
	struct sq_hold *hold = came_back();

	attach(true, INCARNATION);
	asks_nothing();
	tell("a");
	subscribe(hold, "c");
	relink();
	attach(false, ANOTHER);
	makes_again("a0c1");
}

/* Until the broker has listed them they are the best that is known. */
Test(hold_inherit, what_is_lost_before_the_list_has_come_is_made_again)
{
	(void)came_back();
	attach(true, INCARNATION);
	asks_nothing();
	relink();
	attach(false, ANOTHER);
	makes_again("a1b1");
}

/* Its client is told so, and subscribes again itself. */
Test(hold_inherit, a_session_that_is_gone_begins_empty)
{
	struct sq_hold *hold = came_back();

	attach(false, ANOTHER);
	asks_nothing();
	subscribe(hold, "c");
	relink();
	attach(false, ANOTHER + 1);
	makes_again("c1");
}

/* What it has subscribed to anew itself is its own, whatever the list says. */
Test(hold_inherit, what_the_connection_has_made_itself_stays)
{
	struct sq_hold *hold = came_back();

	attach(true, INCARNATION);
	asks_nothing();
	subscribe(hold, "b");
	tell("a");
	relink();
	attach(false, ANOTHER);
	makes_again("a0b1");
}
