/* sidecar/hold: what it does with an answer to its attach that says renewed
 * (docs/link.md, "A transient session after its broker's restart"). */
#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_pool.h"
#include "../support/sidecar_cfg.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "sidecar/declared/declared.h"
#include "sidecar/app.h"
#include "sidecar/hold/hold.h"

enum { INCARNATION = 7, SAME = 0, RENEWED = 1 };

static struct ev_loop *loop;
static struct sq_sidecar_cfg cfg;
static struct sq_app *app;
static struct sq_uplink *up;
static uint64_t last_epoch;
static char folder[] = "/tmp/sqmqos-renewed-XXXXXX", file[sizeof folder + 16];

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
	if (file[0] != '\0') {
		unlink(file);
		rmdir(folder);
	}
}

TestSuite(hold_renewed, .init = setup, .fini = tidy, .timeout = 60);

static void
turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

/* The request that comes, by its path; waits for it. */
static struct sq_request *
request(const char *what)
{
	return fake_await(loop, app->holds->pool, what);
}

static struct sq_request *
put(void)
{
	struct sq_request *r = request("/v1/sessions/");

	cr_assert(r->method == SQ_PUT, "%s before the attach", r->path);
	return r;
}

/* Answers the attach of the only session. */
static void
attach_as(int renewed, uint64_t last0, uint64_t last1)
{
	struct sq_attached a = {.epoch = ++last_epoch,
	    .incarnation = INCARNATION,
	    .store = 1,
	    .present = renewed == RENEWED,
	    .renewed = renewed == RENEWED,
	    .max_packet = 10000,
	    .limits = sq_limits_unsaid,
	    .last = {last0, last1}};
	struct sq_buf b = {0};

	sq_attached_encode(&b, &a, SQ_LINK_VERSION);
	fake_answer(put(),
	    &(struct sq_answer){.status = 200, .body = sq_buf_data(&b), .len = sq_buf_len(&b)});
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

static struct sq_hold *
session(void)
{
	struct sq_hold_params p = {
	    .client_id = "c", .version = SQ_MQTT_V5, .clean_start = true, .receive_max = 10};

	return sq_hold_open(app->holds, &p, NULL, NULL);
}

/* --- subscriptions --- */

static void
ask(struct sq_hold *hold, uint8_t op, const char *filter)
{
	struct sq_buf b = {0};
	struct sq_bytes body;

	sq_buf_u16(&b, (uint16_t)strlen(filter));
	sq_buf_append(&b, filter, strlen(filter));
	if (op == SQ_SUB_SUBSCRIBE)
		sq_buf_u8(&b, 1);
	body = sq_buf_bytes(&b);
	if (op == SQ_SUB_SUBSCRIBE)
		cr_assert_eq(sq_hold_subscribe(hold, 1, 1, body, 0), 0);
	else
		cr_assert_eq(sq_hold_unsubscribe(hold, 1, 1, body), 0);
	sq_buf_fini(&b);
	turn();
}

/* What a request asks for, as "+a@2 -b": the retain handling after the '@'. */
static char *
asked(const struct sq_request *r)
{
	static struct sq_buf out;
	struct sq_bytes body = fake_body(r), entries;
	struct sq_subs_head head;
	int n = sq_subs_decode(body.p, body.len, SQ_LINK_VERSION, &head, &entries);

	cr_assert_gt(n, 0);
	sq_buf_fini(&out);
	for (int i = 0; i < n; i++) {
		struct sq_sub sub = sq_sub_next(&entries, SQ_LINK_VERSION);

		sq_buf_printf(&out, "%s%c%.*s", i > 0 ? " " : "",
		    sub.op == SQ_SUB_SUBSCRIBE ? '+' : '-', (int)sub.filter.len,
		    (const char *)sub.filter.p);
		if (sub.op == SQ_SUB_SUBSCRIBE)
			sq_buf_printf(&out, "@%u", sub.options >> 4);
	}
	sq_buf_u8(&out, 0);
	return (char *)sq_buf_data(&out);
}

static void
grant(struct sq_request *r)
{
	struct sq_bytes body = fake_body(r), entries;
	struct sq_subs_head head;
	int n = sq_subs_decode(body.p, body.len, SQ_LINK_VERSION, &head, &entries);
	uint8_t codes[100] = {0};
	struct sq_buf b = {0};

	cr_assert(n > 0 && n <= 100);
	sq_codes_encode(&b, &(struct sq_codes){.n = (uint16_t)n, .codes = codes}, SQ_LINK_VERSION);
	fake_answer(
	    r, &(struct sq_answer){.status = 200, .body = sq_buf_data(&b), .len = sq_buf_len(&b)});
	sq_buf_fini(&b);
	turn();
}

static void
grants(const char *want)
{
	struct sq_request *r = request("/subscriptions");

	cr_assert_str_eq(asked(r), want);
	grant(r);
}

/* Subscriptions are posted before an attachment's first settlements. */
static void
asks_nothing(void)
{
	(void)request("/settlements");
	cr_assert_null(fake_request(app->holds->pool, "/subscriptions"));
}

static struct sq_hold *
subscribed(void)
{
	struct sq_hold *hold = session();

	attach_as(SAME, 0, 0);
	ask(hold, SQ_SUB_SUBSCRIBE, "a");
	grants("+a@0");
	return hold;
}

Test(hold_renewed, subscriptions_are_made_again)
{
	struct sq_hold *hold = subscribed();

	relink();
	attach_as(SAME, 0, 0);
	asks_nothing();
	relink();
	attach_as(RENEWED, 0, 0);
	grants("+a@2");
	asks_nothing();
	ask(hold, SQ_SUB_SUBSCRIBE, "b");
	grants("+b@0");
}

/* The broker says it until it has seen a request; what is due is asked once. */
Test(hold_renewed, an_answer_that_comes_again_doubles_nothing)
{
	(void)subscribed();
	for (int i = 0; i < 3; i++) {
		relink();
		attach_as(RENEWED, 0, 0);
		cr_assert_str_eq(asked(request("/subscriptions")), "+a@2");
	}
	relink();
	/* It got a request, and has not answered it: what it lacks is known here. */
	attach_as(SAME, 0, 0);
	grants("+a@2");
	asks_nothing();
}

/* A move to another link leaves an UNSUBSCRIBE on its way; whatever its old request says, it
 * is asked again behind what is made again, and the subscription is not there in the end. */
static void
unsubscribe_on_its_way(struct sq_answer *ans)
{
	struct sq_hold *hold = subscribed();
	struct sq_uplink *old = up;
	struct sq_request *r;

	ask(hold, SQ_SUB_SUBSCRIBE, "b");
	grants("+b@0");
	ask(hold, SQ_SUB_UNSUBSCRIBE, "a");
	r = request("/subscriptions");
	fake_answer(request("/settlements"), &(struct sq_answer){.status = 204});
	up = fake_link_up(app->holds->pool);
	fake_link_drain(app->holds->pool, old);
	turn();
	for (struct sq_request *it; (it = fake_request(app->holds->pool, "?")) != NULL && it != r;)
		fake_answer(it, &(struct sq_answer){.status = 204});
	sq_list_remove(&r->node); /* it is answered after the attach */
	attach_as(RENEWED, 0, 0);
	sq_list_init(&r->node);
	if (ans->status == 200)
		grant(r);
	else
		fake_answer(r, ans);
	r = request("/subscriptions");
	cr_assert(strcmp(asked(r), "+a@2 +b@2") == 0 || strcmp(asked(r), "+b@2 +a@2") == 0, "%s",
	    asked(r));
	cr_assert_null(fake_request_after(app->holds->pool, r, "/subscriptions"));
	grant(r);
	grants("-a");
	asks_nothing();
	relink();
	attach_as(RENEWED, 0, 0);
	grants("+b@2");
	fake_link_down(app->holds->pool, old);
}

Test(hold_renewed, an_unsubscribe_that_was_refused_meanwhile_comes_last)
{
	unsubscribe_on_its_way(&(struct sq_answer){.status = 409, .conflict = SQ_CONFLICT_EPOCH});
}

Test(hold_renewed, an_unsubscribe_that_was_done_meanwhile_comes_last)
{
	unsubscribe_on_its_way(&(struct sq_answer){.status = 200});
}

Test(hold_renewed, declared_subscriptions_are_made_again)
{
	FILE *f;

	cr_assert(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/annotations", folder);
	f = fopen(file, "w");
	cr_assert(f);
	fputs("sqmqos.io/subscribe=\"x/#, y\"\n", f);
	fclose(f);
	cfg.annotations_file = file;
	sq_app_declare(app);
	attach_as(SAME, 0, 0); /* the keeper's */
	grants("+x/#@2 +y@2");
	for (int i = 0; i < 3; i++) {
		relink();
		attach_as(RENEWED, 0, 0);
		cr_assert_str_eq(asked(request("/subscriptions")), "+x/#@2 +y@2");
	}
	grant(request("/subscriptions"));
	asks_nothing();
	relink();
	attach_as(SAME, 0, 0);
	asks_nothing();
}

/* --- lanes --- */

static void
publish(struct sq_hold *hold, uint8_t qos)
{
	struct sq_lane_publish m = {.qos = qos,
	    .packet_id = qos > 0 ? 1 : 0,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = {(const unsigned char *)"t", 1}};

	cr_assert_eq(sq_hold_publish(hold, &m), 0);
	turn();
}

/* The batches that are on their way: 1 for lane 0, 2 for lane 1. */
static unsigned
lanes_posted(uint64_t *run1)
{
	struct sq_request *r = request("/messages");
	unsigned lanes = 0;

	for (; r != NULL; r = fake_request_after(app->holds->pool, r, "/messages")) {
		struct sq_bytes body = fake_body(r);
		struct sq_batch b;

		cr_assert_eq(sq_batch_decode(body.p, body.len, SQ_LINK_VERSION, &b), 0);
		cr_assert_eq(b.first, 1);
		lanes |= 1u << b.lane;
		if (b.lane == 1)
			*run1 = b.run;
	}
	return lanes;
}

Test(hold_renewed, lane_1_goes_on_and_lane_0_sends_nothing_twice)
{
	struct sq_hold *hold = session();
	uint64_t run, now = 0;

	attach_as(SAME, 0, 0);
	publish(hold, 0);
	publish(hold, 1);
	cr_assert_eq(lanes_posted(&run), 3);
	relink();
	attach_as(SAME, 0, 0); /* the broker may have been restarted */
	cr_assert_eq(lanes_posted(&now), 2);
	cr_assert_eq(now, run);
	publish(hold, 0);
	cr_assert_eq(lanes_posted(&now), 3);
	relink();
	attach_as(RENEWED, 0, 0);
	cr_assert_eq(lanes_posted(&now), 2);
	cr_assert_eq(now, run);
	publish(hold, 0);
	cr_assert_eq(lanes_posted(&now), 3);
}
