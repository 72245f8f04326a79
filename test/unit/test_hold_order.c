/* sidecar/hold: the place of SUBSCRIBE and UNSUBSCRIBE among the publishes of a connection
 * (docs/link.md, "Order of a connection"), as a broker sees it. */
#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "../support/fake_pool.h"
#include "../support/sidecar_cfg.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "sidecar/app.h"
#include "sidecar/hold/hold_priv.h"

enum { INCARNATION = 7, REQUESTS = 64 };

static struct ev_loop *loop;
static struct sq_sidecar_cfg cfg;
static struct sq_app *app;
static struct sq_uplink *up;
static struct sq_hold *hold;
static uint64_t epoch;
static const struct sq_request *seen[REQUESTS]; /* what posted() has told of */
static unsigned n_seen;
static uint16_t next_id;

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
	fake_version(SQ_LINK_VERSION);
}

TestSuite(hold_order, .init = setup, .fini = tidy, .timeout = 60);

static void
turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

/* --- the broker --- */

/* Settlements are of no interest here. */
static void
settle(void)
{
	struct sq_request *r;

	turn();
	while ((r = fake_request(app->holds->pool, "/settlements")) != NULL) {
		fake_answer(r, &(struct sq_answer){.status = 204});
		turn();
	}
}

/* The attach that comes; waits for it. */
static struct sq_request *
put(void)
{
	for (;;) {
		struct sq_request *r = NULL;

		settle();
		while ((r = fake_request_after(app->holds->pool, r, "/v1/sessions/")) != NULL) {
			if (r->method == SQ_PUT)
				return r;
		}
		ev_run(loop, EVRUN_ONCE);
	}
}

static void
attach(bool renewed, uint64_t last0, uint64_t last1)
{
	struct sq_request *r = put();
	struct sq_attached a = {.epoch = ++epoch,
	    .incarnation = INCARNATION,
	    .store = 1,
	    .present = renewed,
	    .renewed = renewed,
	    .max_packet = 10000,
	    .limits = sq_limits_unsaid,
	    .last = {last0, last1}};
	struct sq_buf b = {0};

	sq_attached_encode(&b, &a, sq_uplink_version(up));
	n_seen = 0;
	fake_answer(
	    r, &(struct sq_answer){.status = 200, .body = sq_buf_data(&b), .len = sq_buf_len(&b)});
	sq_buf_fini(&b);
	turn();
}

static void
relink(void)
{
	fake_link_down(app->holds->pool, up);
	up = fake_link_up(app->holds->pool);
}

static void
say_subs(struct sq_buf *out, struct sq_bytes body)
{
	unsigned version = sq_uplink_version(up);
	struct sq_subs_head head;
	struct sq_bytes entries;
	int n = sq_subs_decode(body.p, body.len, version, &head, &entries);

	cr_assert_gt(n, 0);
	sq_buf_printf(
	    out, "S%u[%u,%u]", head.mark, (unsigned)head.after[0], (unsigned)head.after[1]);
	for (int i = 0; i < n; i++) {
		struct sq_sub sub = sq_sub_next(&entries, version);

		sq_buf_printf(out, "%c%.*s", sub.op == SQ_SUB_SUBSCRIBE ? '+' : '-',
		    (int)sub.filter.len, (const char *)sub.filter.p);
	}
}

static void
say_batch(struct sq_buf *out, struct sq_bytes body)
{
	struct sq_batch b;

	cr_assert_eq(sq_batch_decode(body.p, body.len, sq_uplink_version(up), &b), 0);
	sq_buf_printf(out, "L%u:%u", b.lane, (unsigned)b.first);
	if (b.n > 1)
		sq_buf_printf(out, "-%u", (unsigned)(b.first + b.n - 1));
	if (b.mark > 0)
		sq_buf_printf(out, "/%u", b.mark);
}

/* What was posted since the last call, in its order: "S1[0,2]+x" is a request with the mark 1
 * after the numbers 0 and 2, "L1:1-2/3" a batch of lane 1 with the numbers 1 and 2 behind the
 * mark 3. */
static const char *
posted(void)
{
	static struct sq_buf out;
	struct sq_request *r = NULL;

	settle();
	sq_buf_fini(&out);
	while ((r = fake_request_after(app->holds->pool, r, "?")) != NULL) {
		bool told = false;

		for (unsigned i = 0; i < n_seen; i++)
			told = told || seen[i] == r;
		if (told)
			continue;
		cr_assert_lt(n_seen, REQUESTS);
		seen[n_seen++] = r;
		if (sq_buf_len(&out) > 0)
			sq_buf_u8(&out, ' ');
		if (strstr(r->path, "/subscriptions") != NULL)
			say_subs(&out, fake_body(r));
		else if (strstr(r->path, "/messages") != NULL)
			say_batch(&out, fake_body(r));
		else
			sq_buf_printf(&out, "detach");
	}
	sq_buf_u8(&out, 0);
	return (const char *)sq_buf_data(&out);
}

/* Credit comes; waits for it. */
static void
credited(void)
{
	turn();
	while (fake_request(app->holds->pool, "/settlements") == NULL)
		ev_run(loop, EVRUN_ONCE);
}

/* Something is waited for, as a pause may be due. */
#define POSTED(want) \
	do { \
		const char *have = posted(); \
		while (have[0] == '\0' && want[0] != '\0') { \
			ev_run(loop, EVRUN_ONCE); \
			have = posted(); \
		} \
		cr_assert_str_eq(have, want, "posted '%s', not '%s'", have, want); \
	} while (0)

/* The open request that posted() calls 'name'. */
static struct sq_request *
named(const char *name)
{
	struct sq_request *r = NULL;

	while ((r = fake_request_after(app->holds->pool, r, "?")) != NULL) {
		struct sq_buf b = {0};
		bool same;

		if (strstr(r->path, "/subscriptions") != NULL)
			say_subs(&b, fake_body(r));
		else if (strstr(r->path, "/messages") != NULL)
			say_batch(&b, fake_body(r));
		sq_buf_u8(&b, 0);
		same = strcmp((const char *)sq_buf_data(&b), name) == 0;
		sq_buf_fini(&b);
		if (same)
			return r;
	}
	cr_assert_fail("no request %s", name);
	return NULL;
}

static void
forget(const struct sq_request *r)
{
	for (unsigned i = 0; i < n_seen; i++) {
		if (seen[i] == r)
			seen[i] = NULL;
	}
}

static void
status(const char *name, const struct sq_answer *ans)
{
	struct sq_request *r = named(name);

	forget(r); /* another one may get its place */
	fake_answer(r, ans);
}

static void
accept(const char *name, uint8_t code)
{
	struct sq_request *r = named(name);
	struct sq_bytes body = fake_body(r);
	unsigned char codes[100];
	struct sq_buf out = {0};
	struct sq_batch b;

	cr_assert_eq(sq_batch_decode(body.p, body.len, sq_uplink_version(up), &b), 0);
	memset(codes, code, sizeof codes);
	sq_outcomes_encode(&out, &(struct sq_outcomes){.first = b.first, .n = b.n, .codes = codes},
	    sq_uplink_version(up));
	status(name,
	    &(struct sq_answer){.status = 200, .body = sq_buf_data(&out), .len = sq_buf_len(&out)});
	sq_buf_fini(&out);
}

/* Answers a request without a mark, or one over a link of version 1. */
static void
grant(const char *name)
{
	static const uint8_t codes[100];
	unsigned version = sq_uplink_version(up);
	struct sq_bytes body = fake_body(named(name)), entries;
	struct sq_subs_head head;
	struct sq_buf out = {0};
	int n = sq_subs_decode(body.p, body.len, version, &head, &entries);

	sq_codes_encode(&out, &(struct sq_codes){.n = (uint16_t)n, .codes = codes}, version);
	status(name,
	    &(struct sq_answer){.status = 200, .body = sq_buf_data(&out), .len = sq_buf_len(&out)});
	sq_buf_fini(&out);
}

static void
frame(uint32_t mark, uint16_t n)
{
	static const uint8_t codes[100];

	fake_subscribed(up, epoch, mark, codes, n);
}

static void
written(const char *name)
{
	status(name, &(struct sq_answer){.status = 204});
}

static void
gap(const char *name)
{
	status(name, &(struct sq_answer){.status = 409, .conflict = SQ_CONFLICT_GAP});
}

/* --- the client --- */

static void
session(bool durable)
{
	struct sq_hold_params p = {.client_id = "c",
	    .version = SQ_MQTT_V5,
	    .clean_start = true,
	    .durable = durable,
	    .expiry_s = durable ? 100 : 0,
	    .receive_max = 10};

	hold = sq_hold_open(app->holds, &p, NULL, NULL);
	attach(false, 0, 0);
}

static void
ask(uint8_t op, const char *filter)
{
	struct sq_buf b = {0};
	struct sq_bytes body;

	sq_buf_u16(&b, (uint16_t)strlen(filter));
	sq_buf_append(&b, filter, strlen(filter));
	if (op == SQ_SUB_SUBSCRIBE)
		sq_buf_u8(&b, 1);
	body = sq_buf_bytes(&b);
	if (op == SQ_SUB_SUBSCRIBE)
		cr_assert_eq(sq_hold_subscribe(hold, ++next_id, 1, body, 0), 0);
	else
		cr_assert_eq(sq_hold_unsubscribe(hold, ++next_id, 1, body), 0);
	sq_buf_fini(&b);
}

static void
subscribe(const char *filter)
{
	ask(SQ_SUB_SUBSCRIBE, filter);
}

static void
unsubscribe(const char *filter)
{
	ask(SQ_SUB_UNSUBSCRIBE, filter);
}

static void
publish_as(uint8_t qos, bool retain)
{
	struct sq_lane_publish m = {.qos = qos,
	    .retain = retain,
	    .packet_id = qos > 0 ? ++next_id : 0,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = {(const unsigned char *)"t", 1}};

	cr_assert_eq(sq_hold_publish(hold, &m), 0);
}

static void
publish(uint8_t qos)
{
	publish_as(qos, false);
}

/* --- one segment --- */

Test(hold_order, packets_of_one_segment_leave_in_one_turn_each_in_its_place)
{
	session(false);
	publish(1);
	subscribe("x");
	publish(1);
	publish(0);
	unsubscribe("x");
	publish(0);
	POSTED("L1:1 S1[0,1]+x L0:1/1 L1:2/1 S2[1,2]-x L0:2/2");
}

Test(hold_order, packets_that_follow_each_other_share_a_request)
{
	session(false);
	subscribe("a");
	subscribe("b");
	unsubscribe("a");
	publish(1);
	subscribe("c");
	subscribe("d");
	POSTED("S1[0,0]+a+b-a L1:1/1 S2[0,1]+c+d");
	subscribe("e"); /* two fly */
	subscribe("f");
	publish(1);
	POSTED("");
	written("S2[0,1]+c+d");
	POSTED("S3[0,1]+e+f L1:2/3");
}

Test(hold_order, a_publish_does_not_wait_for_the_answer)
{
	session(false);
	subscribe("x");
	POSTED("S1[0,0]+x");
	publish(0);
	POSTED("L0:1/1");
	written("S1[0,0]+x");
	publish(0);
	POSTED("L0:2/1");
	frame(1, 1);
	publish(0);
	POSTED("L0:3/1");
}

Test(hold_order, a_subscription_waits_for_what_could_not_leave_yet)
{
	session(false);
	for (int i = 0; i < 5; i++) {
		publish(1);
		turn();
	}
	POSTED("L1:1 L1:2 L1:3 L1:4");
	subscribe("x");
	publish(0); /* behind it in the other lane */
	POSTED("");
	accept("L1:1", 0);
	POSTED("L1:5 S1[0,5]+x L0:1/1");
}

Test(hold_order, what_was_refused_lets_pass)
{
	session(false);
	publish(1);
	POSTED("L1:1");
	accept("L1:1", 0x97);
	unsubscribe("x");
	POSTED("S1[0,1]-x");
}

/* --- failures --- */

static const struct sq_answer no_answer;

Test(hold_order, one_that_failed_goes_again_under_its_mark)
{
	session(false);
	subscribe("x");
	publish(1);
	unsubscribe("x");
	POSTED("S1[0,0]+x L1:1/1 S2[0,1]-x");
	status("S1[0,0]+x", &no_answer);
	publish(1);
	POSTED(""); /* a moment */
	POSTED("S1[0,0]+x L1:2/2");
	frame(1, 1);
	frame(2, 1);
	frame(1, 1); /* as the broker had it twice */
}

Test(hold_order, a_gap_waits_for_the_one_before)
{
	session(false);
	publish(1);
	subscribe("x");
	publish(1);
	unsubscribe("x");
	publish(1);
	POSTED("L1:1 S1[0,1]+x L1:2/1 S2[0,2]-x L1:3/2");
	gap("S2[0,2]-x");
	POSTED("");
	written("S1[0,1]+x");
	POSTED("S2[0,2]-x");
}

Test(hold_order, the_frame_may_come_before_the_response_or_without_it)
{
	session(false);
	subscribe("x");
	POSTED("S1[0,0]+x");
	frame(1, 1);
	publish(1);
	subscribe("y");
	POSTED("L1:1/1 S2[0,1]+y");
	written("S1[0,0]+x");
	status("S2[0,1]+y", &no_answer);
	frame(2, 1); /* it was carried out */
	POSTED("");
	subscribe("z");
	POSTED("S3[0,1]+z");
}

/* --- attachments --- */

Test(hold_order, a_new_attachment_counts_from_what_has_no_answer)
{
	session(false);
	subscribe("x");
	publish(1);
	subscribe("y");
	publish(1);
	POSTED("S1[0,0]+x L1:1/1 S2[0,1]+y L1:2/2");
	unsubscribe("x");
	publish(0);
	POSTED("");
	frame(1, 1);
	POSTED("S3[0,2]-x L0:1/3");
	relink();
	attach(false, 0, 0); /* QoS 0 that flew goes but once */
	POSTED("L1:1 S1[0,1]+y L1:2/1 S2[0,2]-x");
	frame(1, 1);
	frame(2, 1);
	relink();
	attach(false, 1, 2);
	POSTED("L1:1 L1:2"); /* it is not known what became of them */
	publish(0);
	POSTED("L0:2");
}

Test(hold_order, an_answer_of_an_older_attachment_counts_no_more)
{
	struct sq_uplink *was = up;
	struct sq_request *old;

	session(false);
	subscribe("x");
	POSTED("S1[0,0]+x");
	old = named("S1[0,0]+x");
	/* It moves to another link, and its request is answered after that. */
	up = fake_link_up(app->holds->pool);
	fake_link_drain(app->holds->pool, was);
	turn();
	sq_list_remove(&old->node);
	attach(false, 0, 0);
	POSTED("S1[0,0]+x");
	sq_list_init(&old->node);
	fake_subscribed(was, epoch - 1, 1, (const uint8_t[]){0}, 1);
	fake_answer(old, &(struct sq_answer){.status = 409, .conflict = SQ_CONFLICT_EPOCH});
	turn();
	relink();
	attach(false, 0, 0);
	POSTED("S1[0,0]+x"); /* it has no answer */
	fake_link_down(app->holds->pool, was);
}

/* An hour that nobody waits: what a broker that ends says of itself is not said of the next one. */
static const struct sq_answer ending = {.status = 503, .retry_after_ms = 3600000};

Test(hold_order, a_broker_that_ends_delays_no_attach_at_the_next_one)
{
	struct sq_uplink *was = up, *ends;
	struct sq_request *r;

	session(false);
	/* Both links are one broker's, which ends: the session moves to the other one, too late. */
	ends = fake_link_up(app->holds->pool);
	fake_link_drain(app->holds->pool, was);
	r = put();
	cr_assert_eq(r->link, ends);
	fake_link_drain(app->holds->pool, ends);
	fake_answer(r, &ending);
	turn();
	fake_link_down(app->holds->pool, was);
	fake_link_down(app->holds->pool, ends);
	up = fake_link_up(app->holds->pool);
	attach(true, 0, 0);
	publish(1);
	POSTED("L1:1");
}

Test(hold_order, a_broker_that_ends_delays_no_post_at_the_next_one)
{
	session(false);
	publish(1);
	POSTED("L1:1");
	fake_answer(named("L1:1"), &ending);
	turn();
	relink();
	attach(true, 0, 0);
	POSTED("L1:1");
}

Test(hold_order, what_is_made_again_waits_for_nothing_and_comes_first)
{
	session(false);
	subscribe("x");
	POSTED("S1[0,0]+x");
	frame(1, 1);
	publish(1);
	subscribe("y");
	publish(1);
	POSTED("L1:1/1 S2[0,1]+y L1:2/2");
	relink();
	attach(true, 0, 0);
	POSTED("S0[0,0]+x"); /* what is published would miss it */
	grant("S0[0,0]+x");
	POSTED("L1:1 S1[0,1]+y L1:2/1");
}

/* The broker carried out the SUBSCRIBE, and queued what it matched; the link was lost before
 * the answer came. */
Test(hold_order, no_credit_before_the_answer_that_an_older_attachment_owes)
{
	session(false);
	POSTED("");
	subscribe("x");
	publish(1);
	POSTED("S1[0,0]+x L1:1/1");
	relink();
	attach(false, 0, 1);
	relink(); /* and lost once more before anything was posted */
	attach(false, 0, 1);
	while (fake_request(app->holds->pool, "/subscriptions") == NULL)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_null(fake_request(app->holds->pool, "/settlements"));
	POSTED("S1[0,0]+x L1:1/1");
	subscribe("y");
	POSTED("S2[0,1]+y");
	frame(1, 1);
	credited();
}

Test(hold_order, credit_waits_for_no_answer_that_nobody_asked_for_before)
{
	session(false);
	subscribe("x");
	credited();
	POSTED("S1[0,0]+x");
	frame(1, 1);
	relink();
	attach(false, 0, 0);
	subscribe("y");
	credited();
}

/* Whether the attach that comes asks for what the session is subscribed to. */
static bool
attach_asks(bool present)
{
	struct sq_bytes body = fake_body(put());
	struct sq_attach a;

	cr_assert_eq(sq_attach_decode(body.p, body.len, &a), 0);
	attach(present, 0, 0);
	return (a.flags & SQ_ATTACH_TELL) != 0;
}

Test(hold_order, what_was_subscribed_to_before_is_asked_until_all_of_it_came)
{
	struct sq_hold_params p = {.client_id = "c",
	    .version = SQ_MQTT_V5,
	    .durable = true,
	    .expiry_s = 100,
	    .receive_max = 10};

	hold = sq_hold_open(app->holds, &p, NULL, NULL);
	cr_assert(attach_asks(true));
	relink();
	cr_assert(attach_asks(true), "the frames were lost with the link");
	sq_hold_kept(hold, false, 0, (struct sq_bytes){0});
	relink();
	cr_assert(attach_asks(true), "some of them were");
	sq_hold_kept(hold, true, 0, (struct sq_bytes){0});
	relink();
	cr_assert_not(attach_asks(true));
}

Test(hold_order, a_session_that_is_new_asks_once_and_an_old_link_never)
{
	struct sq_hold_params p = {.client_id = "c",
	    .version = SQ_MQTT_V5,
	    .durable = true,
	    .expiry_s = 1,
	    .receive_max = 1};

	fake_version(1);
	hold = sq_hold_open(app->holds, &p, NULL, NULL);
	cr_assert_not(attach_asks(true));
	fake_version(SQ_LINK_VERSION);
	relink();
	cr_assert(attach_asks(false));
	relink();
	cr_assert_not(attach_asks(false));
}

Test(hold_order, over_a_link_of_version_1_one_at_a_time)
{
	fake_version(1);
	session(false);
	subscribe("x");
	publish(1);
	unsubscribe("x");
	publish(1);
	POSTED("S0[0,0]+x L1:1");
	grant("S0[0,0]+x");
	POSTED("S0[0,0]-x L1:2");
	grant("S0[0,0]-x");
	relink();
	fake_version(SQ_LINK_VERSION);
	attach(false, 0, 0);
	POSTED("L1:1 L1:2");
	subscribe("y");
	POSTED("S1[0,2]+y");
}

/* --- retained messages of QoS 0 --- */

Test(hold_order, a_retained_one_that_waits_for_lane_0_stands_in_nobody_s_way)
{
	session(false);
	publish(0);
	POSTED("L0:1");
	publish(1);
	subscribe("x");
	publish(0);
	publish_as(0, true); /* by lane 1, behind what lane 0 has */
	publish(0);
	POSTED("L1:1 S1[1,1]+x L0:2/1");
	accept("L0:1", 0);
	subscribe("y");
	POSTED("");
	accept("L0:2/1", 0);
	POSTED("L1:2-3/1 S2[2,3]+y");
}

/* --- the client leaves --- */

Test(hold_order, a_durable_session_subscribes_before_it_goes)
{
	session(true);
	subscribe("x");
	publish(1);
	subscribe("y");
	publish(1);
	sq_hold_leave(hold, SQ_LEAVE_QUIET, 100);
	POSTED("S1[0,0]+x L1:1/1 S2[0,1]+y L1:2/2");
	accept("L1:1/1", 0);
	accept("L1:2/2", 0);
	written("S1[0,0]+x");
	frame(1, 1);
	POSTED("");
	written("S2[0,1]+y");
	frame(2, 1);
	POSTED("detach");
}

Test(hold_order, a_durable_session_has_its_subscriptions_again_before_it_goes)
{
	session(true);
	subscribe("x");
	POSTED("S1[0,0]+x");
	frame(1, 1);
	relink();
	attach(true, 0, 0);
	POSTED("S0[0,0]+x");
	sq_hold_leave(hold, SQ_LEAVE_QUIET, 100);
	POSTED("");
	status("S0[0,0]+x", &no_answer);
	POSTED("S0[0,0]+x");
	grant("S0[0,0]+x");
	POSTED("detach");
}

Test(hold_order, a_transient_session_drops_what_was_not_asked_yet)
{
	session(false);
	publish(1);
	subscribe("x");
	publish(1);
	sq_hold_leave(hold, SQ_LEAVE_QUIET, 0);
	POSTED("L1:1 L1:2");
	accept("L1:1", 0);
	accept("L1:2", 0);
	POSTED("detach");
}

Test(hold_order, what_a_transient_session_has_asked_goes_on)
{
	session(false);
	subscribe("x");
	publish(1);
	POSTED("S1[0,0]+x L1:1/1");
	subscribe("y");
	publish(1);
	sq_hold_leave(hold, SQ_LEAVE_QUIET, 0);
	POSTED("L1:2/1");
	/* Lane 1 waits for it there. */
	gap("S1[0,0]+x");
	POSTED("S1[0,0]+x");
	frame(1, 1);
	written("S1[0,0]+x");
	accept("L1:1/1", 0);
	accept("L1:2/1", 0);
	POSTED("detach");
}
