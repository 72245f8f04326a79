/* Bridges of a broker, with the fake kind: their life, and the out half. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/bridges_world.h"
#include "broker/auth/identity/identity.h"
#include "broker/bridge/bridges.h"
#include "broker/bridge/carry.h"
#include "broker/bridge/told.h"
#include "broker/broker.h"
#include "broker/engine/record.h"
#include "broker/subscriber/subscriber.h"
#include "core/mem.h"

enum { WORKERS = 3 };

static struct fake_peer *b; /* of the bridge "b" */

static void
init(void)
{
	bridges_world_init(WORKERS);
	b = fake_peer("b");
}

static void
fini(void)
{
	bridges_world_fini();
}

TestSuite(bridges, .init = init, .fini = fini);

/* What the peer has got, as payloads one behind the other. */
static const char *
got(struct fake_peer *p)
{
	static char text[1024];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < fake_peer_got(p); i++)
		n += (size_t)snprintf(
		    text + n, sizeof text - n, "%s", fake_peer_got_at(p, i).payload);
	return text;
}

static void
set_one(const char *more)
{
	bridges_set(bridges_out("b", more));
}

/* Reads the next dead letter. */
static void
expect_letter(const char *topic, const char *reason, const char *detail)
{
	static unsigned n;
	struct peer p;
	struct fake_delivery *d;
	const char *text;
	char key[32];

	(void)snprintf(key, sizeof key, "s~w~reader%u~pod", n++);
	p = peer_new(&w, key);
	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "$dead/#", 1), 1);
	d = peer_next(&p);
	cr_assert_not_null(d, "no letter");
	cr_assert(sq_bytes_are(sq_image_topic(d->msg.image), topic));
	cr_expect_str_eq(delivery_prop(d, "sqmqos-dead-reason"), reason);
	cr_expect_str_eq(delivery_prop(d, "sqmqos-dead-queue"), "queue~s~bridge.b");
	text = delivery_prop(d, "sqmqos-dead-detail");
	if (detail != NULL && text != NULL)
		cr_expect_str_eq(text, detail);
	cr_expect_eq(text == NULL, detail == NULL);
	cr_assert_eq(peer_settle(&p, SQ_SETTLE_ACK, d->delivery, 1), 204);
	(void)peer_unsubscribe(&p, "$dead/#");
	world_run();
}

static void
publish_with(const char *topic, const char *payload, const char *const *props)
{
	(void)publisher_send(
	    &http, &(struct entry){.topic = topic, .payload = payload, .qos = 1, .props = props});
}

/* Out. */

Test(bridges, what_the_rules_match_goes_out_and_is_settled)
{
	struct fake_got g;

	bridges_set("  b: {space: s, kind: amqp, url: [amqp://peer], out: [{filter: a/+, to: "
		    "{exchange: x}}, {tag: red, to: {exchange: y}}]}");
	bridges_publish("a/1", "1");
	publish_with("other", "2", (const char *const[]){"tag", "red", NULL});
	(void)publisher_send(&http, &(struct entry){.topic = "other", .payload = "3", .qos = 1});
	world_run();
	cr_assert_str_eq(got(b), "12");
	cr_expect_eq(bridges_left("b"), 0);
	g = fake_peer_got_at(b, 0);
	cr_expect_str_eq(g.topic, "a/1");
	cr_expect(g.rule == 0 && g.qos == 1 && g.attempt == 1 && !g.again);
	cr_expect_eq(strlen(g.origin), 16U + 1 + 32);
	cr_expect(
	    strncmp(g.hops, "here-", 5) == 0 && strcmp(g.hops + 5 + 16, "/b") == 0, "%s", g.hops);
	cr_expect(strncmp(g.origin, g.hops + 5, 16) == 0, "both name the installation");
	cr_expect_eq(fake_peer_got_at(b, 1).rule, 1U);
	cr_expect_str_neq(fake_peer_got_at(b, 1).origin, g.origin);
	cr_expect_eq(bridges_metric("sqmqos_bridge_messages_total{bridge=\"b\",direction=\"out\","
				    "outcome=\"ok\"}"),
	    2U);
	cr_expect_eq(bridges_metric("sqmqos_bridge_up{bridge=\"b\",direction=\"out\"}"), 1U);
}

Test(bridges, the_installation_is_the_same_after_a_restart)
{
	char hops[64];

	set_one("");
	bridges_publish("t/1", "1");
	world_run();
	(void)snprintf(hops, sizeof hops, "%s", fake_peer_got_at(b, 0).hops);
	bridges_world_restart();
	set_one("");
	bridges_publish("t/1", "2");
	world_run();
	cr_assert_str_eq(got(b), "12");
	cr_expect_str_eq(fake_peer_got_at(b, 1).hops, hops);
}

Test(bridges, a_lane_waits_for_what_failed_and_others_do_not)
{
	const struct sq_offer_end failed = {.how = SQ_OFFER_FAILED, .why = "not now"};

	set_one("");
	fake_peer_script(b, "2", &failed);
	fake_peer_set_room(b, 0); /* so that they go together */
	world_run();
	bridges_publish("t/a", "1");
	bridges_publish("t/a", "2");
	bridges_publish("t/a", "3");
	bridges_publish("t/b", "x");
	bridges_publish("t/a", "4");
	cr_assert_eq(fake_peer_offers(b), 0U);
	fake_peer_set_room(b, 100);
	world_run();
	cr_assert_str_eq(got(b), "1x");
	cr_expect_eq(bridges_left("b"), 3U);
	world_pass(&w, 60000);
	cr_assert_str_eq(got(b), "1x234");
	cr_expect_eq(fake_peer_got_at(b, 2).attempt, 2U);
	cr_expect_eq(fake_peer_got_at(b, 3).attempt, 1U, "what stood behind it is untried");
	cr_expect_eq(bridges_left("b"), 0U);
	cr_expect_eq(bridges_metric("sqmqos_bridge_messages_total{bridge=\"b\",direction=\"out\","
				    "outcome=\"failed\"}"),
	    1U);
}

Test(bridges, later_is_no_attempt_and_keeps_the_order)
{
	const struct sq_offer_end later = {.how = SQ_OFFER_LATER, .after_ms = 2000};

	set_one("limits: {max-attempts: 1}");
	fake_peer_script(b, "1", &later);
	fake_peer_script(b, "1", &later);
	bridges_publish("t/a", "1");
	bridges_publish("t/a", "2");
	world_pass(&w, 1000);
	cr_assert_str_eq(got(b), "");
	world_pass(&w, 6000);
	cr_assert_str_eq(got(b), "12");
	cr_expect_eq(fake_peer_got_at(b, 0).attempt, 1U);
}

Test(bridges, no_more_is_out_than_the_window_and_the_peer_allow)
{
	const struct sq_offer_end accepted = {.how = SQ_OFFER_ACCEPTED};
	char topic[16];

	set_one("window: 5");
	fake_peer_hold(b, true);
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(topic, sizeof topic, "t/%u", i);
		bridges_publish(topic, "m");
	}
	cr_assert_eq(fake_peer_held(b), 5U);
	fake_peer_answer(b, 4, &accepted);
	fake_peer_answer(b, 0, &accepted);
	world_run();
	cr_assert_eq(fake_peer_held(b), 5U);
	cr_assert_eq(fake_peer_got(b), 2U);
	fake_peer_set_room(b, 2);
	while (fake_peer_held(b) > 2)
		fake_peer_answer(b, 0, &accepted);
	world_pass(&w, 1000);
	cr_assert_eq(fake_peer_held(b), 2U);
	fake_peer_hold(b, false);
	world_pass(&w, 1000);
	cr_assert_eq(fake_peer_got(b), 20U);
	cr_expect_eq(bridges_left("b"), 0U);
}

Test(bridges, a_peer_that_is_away_gets_all_when_it_is_back_and_is_told_what_it_may_have)
{
	char text[64];
	uint64_t uncertain;

	set_one("");
	fake_peer_hold(b, true);
	bridges_publish("t/a", "1");
	bridges_publish("t/b", "2");
	cr_assert_eq(fake_peer_held(b), 2U);
	fake_peer_held_payload(b, 0, text);
	cr_assert_str_eq(text, "1");
	fake_peer_away(b, true, true);
	world_run();
	bridges_publish("t/a", "3");
	world_pass(&w, 5000);
	cr_assert_eq(fake_peer_offers(b), 2U, "nothing is offered to a peer that is away");
	cr_expect_eq(bridges_left("b"), 3U);
	cr_expect_eq(bridges_metric("sqmqos_bridge_up{bridge=\"b\",direction=\"out\"}"), 0U);
	uncertain = bridges_metric("sqmqos_bridge_uncertain_total{bridge=\"b\"}");
	cr_expect_eq(uncertain, 2U);
	fake_peer_hold(b, false);
	fake_peer_away(b, false, false);
	world_pass(&w, 1000);
	cr_assert_eq(fake_peer_got(b), 3U);
	for (size_t i = 0; i < 3; i++) {
		struct fake_got g = fake_peer_got_at(b, i);

		cr_expect_eq(g.again, strcmp(g.payload, "3") != 0, "%s", g.payload);
		cr_expect_eq(g.attempt, 1U, "being away is no attempt");
	}
	cr_expect_eq(bridges_left("b"), 0U);
	cr_expect_not_null(strstr(bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE), "\"up\":true"));
}

Test(bridges, what_a_peer_never_takes_is_a_dead_letter_that_says_why)
{
	static const struct {
		enum sq_offer_never never;
		const char *reason;
	} rows[] = {{SQ_OFFER_REFUSED, "refused"}, {SQ_OFFER_UNMAPPABLE, "unmappable"},
	    {SQ_OFFER_TOO_LARGE, "too-large"}, {SQ_OFFER_UNROUTABLE, "unroutable"}};

	set_one("");
	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		const struct sq_offer_end never = {
		    .how = SQ_OFFER_NEVER, .never = rows[i].never, .why = "so it says"};

		fake_peer_script(b, "x", &never);
		bridges_publish("t/a", "x");
		world_run();
		expect_letter("$dead/t/a", rows[i].reason, "so it says");
	}
	cr_expect_eq(fake_peer_got(b), 0U);
	cr_expect_eq(bridges_left("b"), 0U);
	cr_expect_not_null(strstr(
	    bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE), "\"lastError\":\"so it says\""));
}

Test(bridges, attempts_may_be_bounded)
{
	const struct sq_offer_end failed = {.how = SQ_OFFER_FAILED, .why = "no"};

	set_one("limits: {max-attempts: 2}");
	fake_peer_script(b, "x", &failed);
	fake_peer_script(b, "x", &failed);
	bridges_publish("t/a", "x");
	world_pass(&w, 60000);
	expect_letter("$dead/t/a", "attempts", "no");
	cr_expect_eq(fake_peer_got(b), 0U);
}

Test(bridges, what_has_gone_round_goes_out_no_more)
{
	char hops[SQ_CARRY_HOPS_MAX + 64];
	const char *props[] = {SQ_CARRY_HOPS, hops, NULL};
	size_t n = 0;

	set_one("max-hops: 3");
	bridges_publish("t/a", "1");
	world_run();
	(void)snprintf(hops, sizeof hops, "%s", fake_peer_got_at(b, 0).hops);
	publish_with("t/a", "2", props); /* as it went out */
	(void)snprintf(hops, sizeof hops, "x-0011223344556677/b,y-8899aabbccddeeff/b");
	publish_with("t/a", "3", props);
	(void)snprintf(hops, sizeof hops, "a-0000000000000001/b,a-0000000000000002/b,a-03/b");
	publish_with("t/a", "4", props);
	world_run();
	cr_assert_str_eq(got(b), "13");
	cr_expect_not_null(strstr(fake_peer_got_at(b, 1).hops, "y-8899aabbccddeeff/b,here-"));
	expect_letter("$dead/t/a", "loop", "it has passed max-hops bridges");
	while (n < SQ_CARRY_HOPS_MAX + 8)
		hops[n++] = 'x';
	hops[n] = '\0';
	publish_with("t/a", "5", props);
	world_run();
	expect_letter("$dead/t/a", "loop", "it has passed max-hops bridges");
	cr_expect_eq(fake_peer_offers(b), 2U);
	cr_expect_eq(bridges_left("b"), 0U);
	cr_expect_eq(bridges_metric("sqmqos_bridge_loops_total{bridge=\"b\"}"), 1U);
}

Test(bridges, a_receipt_names_the_bridge)
{
	static const char *const props[] = {
	    "sqmqos-qos", "3", "sqmqos-key", "k", "sqmqos-receipt", "receipts", NULL};
	struct peer p = peer_new(&w, "s~w~reader");
	struct fake_delivery *d;

	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "receipts", 1), 1);
	set_one("");
	fake_peer_hold(b, true);
	(void)publisher_send(
	    &http, &(struct entry){.topic = "t/a", .payload = "a", .qos = 2, .props = props});
	world_run();
	peer_expect_nothing(&p);
	fake_peer_hold(b, false);
	world_run();
	d = peer_next(&p);
	cr_assert_not_null(d);
	cr_expect_str_eq(delivery_prop(d, "sqmqos-target"), "bridge~s~b");
	cr_expect_str_eq(delivery_prop(d, "sqmqos-outcome"), "acknowledged");
	cr_expect_eq(fake_peer_got_at(b, 0).qos, 3);
	cr_assert_eq(peer_settle(&p, SQ_SETTLE_ACK, d->delivery, 1), 204);
}

/* Life. */

Test(bridges, one_that_changes_opens_again_and_others_do_not_notice)
{
	char text[2048];

	(void)snprintf(text, sizeof text, "%s%s", bridges_out("a", ""), bridges_out("b", ""));
	bridges_set(text);
	fake_peer_hold(b, true);
	bridges_publish("t/a", "1");
	cr_assert_eq(fake_peer_held(b), 1U);
	cr_assert_eq(fake_peer_got(fake_peer("a")), 1U);
	/* elsewhere in its file, and no other one */
	(void)snprintf(text, sizeof text, "\n%s%s", bridges_out("a", ""), bridges_out("b", ""));
	bridges_set(text);
	cr_assert_eq(fake_peer_opened(b, SQ_BRIDGE_OUT), 1U);
	cr_assert_eq(fake_peer_held(b), 1U);
	(void)snprintf(
	    text, sizeof text, "%s%s", bridges_out("a", ""), bridges_out("b", "window: 7"));
	bridges_set(text);
	cr_assert_eq(fake_peer_opened(b, SQ_BRIDGE_OUT), 2U);
	cr_assert_eq(fake_peer_closed(b, SQ_BRIDGE_OUT), 1U);
	cr_assert_eq(fake_peer_opened(fake_peer("a"), SQ_BRIDGE_OUT), 1U);
	cr_assert_eq(fake_peer_held(b), 1U, "what was out comes back, and goes out again");
	fake_peer_hold(b, false);
	world_run();
	cr_assert_str_eq(got(b), "1");
	cr_expect_eq(bridges_left("b"), 0U);
}

Test(bridges, a_change_while_one_closes_counts)
{
	set_one("");
	fake_peer_hold_close(b, true);
	set_one("window: 7");
	set_one("window: 8");
	cr_assert_eq(fake_peer_opened(b, SQ_BRIDGE_OUT), 1U);
	bridges_set("");
	set_one("window: 9");
	fake_peer_hold(b, true);
	fake_peer_hold_close(b, false);
	world_pass(&w, 300);
	cr_assert_eq(fake_peer_opened(b, SQ_BRIDGE_OUT), 2U);
	for (unsigned i = 0; i < 12; i++) {
		char topic[16];

		(void)snprintf(topic, sizeof topic, "t/%u", i);
		bridges_publish(topic, "m");
	}
	cr_assert_eq(fake_peer_held(b), 9U, "the last one counts");
}

static bool
is_there(const char *queue)
{
	struct fake_queue *q = queue_new(&api, SQ_QUEUE_GET, queue);
	bool there;

	queue_post(q);
	there = queue_await(q)->how == SQ_QUEUE_DONE;
	queue_free(&q);
	return there;
}

static size_t
bindings(const char *queue)
{
	struct fake_queue *q = queue_get(&api, queue);
	size_t n = queue_info(q, 0)->decl.n_bindings;

	queue_free(&q);
	return n;
}

Test(bridges, one_that_is_gone_leaves_a_queue_that_ends_when_it_is_empty)
{
	set_one("");
	fake_peer_away(b, true, false);
	world_run();
	bridges_publish("t/a", "1");
	queue_ask(&api, SQ_QUEUE_DELETE, "bridge.b", SQ_QUEUE_IN_FILE);
	bridges_set("");
	cr_assert_eq(fake_peer_closed(b, SQ_BRIDGE_OUT), 1U);
	cr_expect_eq(bindings("bridge.b"), 0U);
	world_pass(&w, 10000);
	cr_expect_eq(bridges_left("b"), 1U, "what waits stays");
	(void)bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_MISSING);
	(void)publisher_send(&http, &(struct entry){.topic = "t/a", .payload = "2", .qos = 1});
	cr_expect_eq(bridges_left("b"), 1U, "nothing more comes in");
	fake_peer_away(b, false, false);
	set_one("");
	world_run();
	cr_assert_str_eq(got(b), "1");
	cr_expect_eq(bindings("bridge.b"), 1U);
	bridges_set("");
	world_pass(&w, 10000);
	cr_expect_not(is_there("bridge.b"));
}

Test(bridges, one_that_is_gone_while_the_broker_was_down_leaves_it_too)
{
	set_one("");
	fake_peer_away(b, true, false);
	world_run();
	bridges_publish("t/a", "1");
	bridges_world_restart();
	bridges_set_partly("");
	cr_expect_eq(bindings("bridge.b"), 1U, "the files may have it, as far as one knows");
	sq_subscribers_set_files(sq_broker_subscribers(w.broker), NULL, 0, true);
	world_run();
	cr_expect_eq(bindings("bridge.b"), 1U, "it is none of subscribers.dir");
	bridges_set("");
	cr_expect_eq(bindings("bridge.b"), 0U);
	cr_expect_eq(bridges_left("b"), 1U);
	queue_ask(&api, SQ_QUEUE_DELETE, "bridge.b", SQ_QUEUE_NOT_EMPTY);
}

Test(bridges, nobody_else_declares_their_queues)
{
	queue_declare(&api, "bridge.b", "{}", SQ_QUEUE_IN_FILE);
	set_one("");
	queue_declare(&api, "bridge.b", "{\"maxMessages\":3}", SQ_QUEUE_IN_FILE);
	queue_ask(&api, SQ_QUEUE_PAUSE, "bridge.b", SQ_QUEUE_DONE);
	bridges_publish("t/a", "1");
	world_pass(&w, 500);
	cr_assert_eq(fake_peer_offers(b), 0U, "a queue that is paused hands nothing out");
	queue_ask(&api, SQ_QUEUE_RESUME, "bridge.b", SQ_QUEUE_DONE);
	world_run();
	cr_assert_str_eq(got(b), "1");
}

Test(bridges, a_bridge_that_loses_out_leaves_its_queue)
{
	set_one("");
	bridges_set("  b: {space: s, kind: amqp, url: [amqp://peer], in: [{queue: q, to: in/t}]}");
	cr_assert_eq(fake_peer_closed(b, SQ_BRIDGE_OUT), 1U);
	cr_assert_eq(fake_peer_opened(b, SQ_BRIDGE_IN), 1U);
	world_pass(&w, 10000);
	cr_expect_not(is_there("bridge.b"));
	cr_expect_null(strstr(bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE), "\"out\""));
}

Test(bridges, one_that_moves_to_another_space_closes_there_first)
{
	set_one("");
	fake_peer_hold_close(b, true);
	bridges_set("  b: {space: other, kind: amqp, url: [amqp://peer], out: [{filter: t/#, to: "
		    "{exchange: x}}]}");
	cr_assert_eq(fake_peer_opened(b, SQ_BRIDGE_OUT), 1U, "never two of a name");
	fake_peer_hold_close(b, false);
	world_pass(&w, 300);
	cr_assert_eq(fake_peer_opened(b, SQ_BRIDGE_OUT), 2U);
	http.space = "other";
	bridges_publish("t/a", "1");
	http.space = "s";
	cr_assert_str_eq(got(b), "1");
}

Test(bridges, one_that_can_not_be_opened_is_tried_again)
{
	const char *json;

	fake_peer_fail_open(b, 3);
	set_one("");
	bridges_publish("t/a", "1");
	json = bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE);
	cr_expect_not_null(strstr(json, "\"up\":false"), "%s", json);
	cr_expect_not_null(strstr(json, "\"why\":\"no such file\""), "%s", json);
	world_pass(&w, 20000);
	cr_assert_eq(fake_peer_opened(b, SQ_BRIDGE_OUT), 1U);
	cr_assert_str_eq(got(b), "1");
}

Test(bridges, a_kind_that_is_not_built_in_says_so)
{
	bridges_set(
	    "  b: {space: s, kind: sqs, region: eu-1, out: [{filter: t/#, to: {queue: q}}]}");
	cr_expect_not_null(strstr(bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE),
	    "\"why\":\"this program is built without sqs\""));
	bridges_publish("t/a", "1");
	cr_expect_eq(bridges_left("b"), 1U, "what comes waits");
}

Test(bridges, what_no_rule_matches_any_more_is_a_dead_letter)
{
	set_one("");
	fake_peer_away(b, true, false);
	world_run();
	bridges_publish("t/a", "1");
	bridges_set("  b: {space: s, kind: amqp, url: [amqp://peer], out: [{filter: z, to: "
		    "{exchange: x}}]}");
	fake_peer_away(b, false, false);
	world_pass(&w, 300);
	expect_letter("$dead/t/a", "unmappable", "no rule of the bridge's out matches it");
	cr_expect_eq(bridges_left("b"), 0U);
}

Test(bridges, a_queue_that_can_not_be_so_is_declared_again)
{
	set_one("");
	fake_peer_away(b, true, false);
	world_run();
	bridges_publish("t/a", "1");
	bridges_publish("t/a", "2");
	set_one("limits: {max-messages: 1}"); /* it would lose what waits */
	fake_peer_away(b, false, false);
	world_pass(&w, 300);
	cr_assert_str_eq(got(b), "12", "it goes on meanwhile");
	world_pass(&w, 15000);
	fake_peer_away(b, true, false);
	world_run();
	bridges_publish("t/a", "3");
	cr_expect_eq(
	    publisher_send(&http, &(struct entry){.topic = "t/a", .payload = "4", .qos = 1}).how,
	    SQ_PUBLISHED_REFUSED);
}

Test(bridges, the_last_reason_counts_and_the_first_moment)
{
	struct sq_bridge_told t;
	struct sq_buf json = {0};

	sq_bridge_told_init(&t, "bridge/x");
	sq_bridge_tell_state(&t, SQ_BRIDGE_OUT, false, "connection refused");
	t.state[SQ_BRIDGE_OUT].since_ms = 1000;
	sq_bridge_tell_state(&t, SQ_BRIDGE_OUT, false, "access refused");
	sq_bridge_tell_state(&t, SQ_BRIDGE_OUT, false, NULL);
	sq_bridge_told_describe(&t, SQ_BRIDGE_OUT, &json);
	sq_buf_u8(&json, '\0');
	cr_expect_not_null(strstr((char *)sq_buf_data(&json),
			       "\"since\":\"1970-01-01T00:00:01.000Z\",\"why\":\"access refused\""),
	    "%s", (char *)sq_buf_data(&json));
	sq_buf_fini(&json);
	sq_bridge_told_fini(&t);
}

/* Pause. */

Test(bridges, a_pause_outlives_the_broker_and_holds_both_halves)
{
	const char *both =
	    "  b: {space: s, kind: amqp, url: [amqp://peer], out: [{filter: t/#, to: "
	    "{exchange: x}}], in: [{queue: q, to: in/t}]}";
	const char *json;

	bridges_set(both);
	cr_assert_gt(fake_peer_demand(b), 0U);
	(void)bridges_call(SQ_BRIDGE_PAUSE, "b", SQ_BRIDGE_DONE);
	(void)bridges_call(SQ_BRIDGE_PAUSE, "b", SQ_BRIDGE_DONE);
	bridges_publish("t/a", "1");
	world_pass(&w, 1000);
	cr_expect_eq(fake_peer_offers(b), 0U);
	cr_expect_eq(fake_peer_demand(b), 0U);
	bridges_world_restart();
	bridges_set(both);
	cr_expect_eq(fake_peer_offers(b), 0U);
	cr_expect_eq(fake_peer_demand(b), 0U);
	cr_expect_eq(bridges_metric("sqmqos_bridge_paused{bridge=\"b\"}"), 1U);
	json = bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE);
	cr_expect_not_null(strstr(json, "\"paused\":true"), "%s", json);
	(void)bridges_call(SQ_BRIDGE_RESUME, "b", SQ_BRIDGE_DONE);
	world_run();
	cr_assert_str_eq(got(b), "1");
	cr_expect_gt(fake_peer_demand(b), 0U);
	cr_expect_eq(stored_engine_records(SQ_RECORD_BRIDGE), 0U);
}

Test(bridges, a_pause_ends_with_its_bridge)
{
	set_one("");
	(void)bridges_call(SQ_BRIDGE_PAUSE, "b", SQ_BRIDGE_DONE);
	cr_expect_eq(stored_engine_records(SQ_RECORD_BRIDGE), 1U);
	bridges_set("");
	cr_expect_eq(stored_engine_records(SQ_RECORD_BRIDGE), 0U);
	set_one("");
	bridges_publish("t/a", "1");
	world_run();
	cr_assert_str_eq(got(b), "1");
}

Test(bridges, rules_say_who_sees_and_who_pauses)
{
	const struct sq_identity *reader = sq_identity_new(
	    &(struct sq_identity){.id = 1, .name = "token:reader"});
	const struct sq_identity *nobody = sq_identity_new(
	    &(struct sq_identity){.id = 2, .name = "token:nobody"});
	char text[2048];

	(void)snprintf(text, sizeof text, "%s%s", bridges_out("b", ""), bridges_out("a", ""));
	bridges_set(text);
	cr_expect(strncmp(bridges_call_by(reader, SQ_BRIDGE_LIST, NULL, SQ_BRIDGE_DONE),
		      "{\"name\":\"a\",", 12) == 0);
	(void)bridges_call_by(reader, SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE);
	(void)bridges_call_by(reader, SQ_BRIDGE_PAUSE, "b", SQ_BRIDGE_DENIED);
	cr_expect_str_eq(bridges_call_by(nobody, SQ_BRIDGE_LIST, NULL, SQ_BRIDGE_DONE), "");
	(void)bridges_call_by(nobody, SQ_BRIDGE_GET, "b", SQ_BRIDGE_DENIED);
	(void)bridges_call_by(nobody, SQ_BRIDGE_GET, "c", SQ_BRIDGE_MISSING);
	cr_expect_eq(bridges_metric("sqmqos_bridge_paused{bridge=\"b\"}"), 0U);
	sq_identity_unref(&reader);
	sq_identity_unref(&nobody);
}

/* The end. */

static void
answer_while_stopping(void)
{
	const struct sq_offer_end accepted = {.how = SQ_OFFER_ACCEPTED};

	if (fake_peer_held(b) == 2)
		fake_peer_answer(b, 0, &accepted);
	fake_peer_hold_close(b, false);
}

Test(bridges, what_is_accepted_at_the_end_is_settled_and_the_rest_comes_again)
{
	set_one("");
	fake_peer_hold(b, true);
	fake_peer_hold_close(b, true);
	bridges_publish("t/a", "1");
	bridges_publish("t/b", "2");
	cr_assert_eq(fake_peer_held(b), 2U);
	w.stopping = answer_while_stopping;
	bridges_world_restart();
	w.stopping = NULL;
	cr_assert_str_eq(got(b), "1");
	cr_expect_eq(bridges_left("b"), 1U);
	fake_peer_hold(b, false);
	set_one("");
	world_run();
	cr_assert_str_eq(got(b), "12");
}

Test(bridges, a_broker_that_drains_hands_nothing_more_out_and_waits_for_what_is_out)
{
	const struct sq_offer_end accepted = {.how = SQ_OFFER_ACCEPTED};

	set_one("window: 1");
	fake_peer_hold(b, true);
	bridges_publish("t/a", "1");
	bridges_publish("t/b", "2");
	sq_broker_drain(w.broker);
	world_pass(&w, 1000);
	cr_assert_not(sq_broker_drained(w.broker));
	fake_peer_answer(b, 0, &accepted);
	world_pass(&w, 1000);
	cr_assert_eq(fake_peer_held(b), 0U);
	cr_assert(sq_broker_drained(w.broker));
}

Test(bridges, metrics_have_a_bound)
{
	char text[4096] = "";
	unsigned named = 0;
	uint64_t ok = 0;

	for (unsigned i = 0; i < 5; i++) {
		char name[8];

		(void)snprintf(name, sizeof name, "b%u", i);
		(void)strcat(text, bridges_out(name, ""));
	}
	cr_expect_eq(bridges_metric("sqmqos_bridge_up"), UINT64_MAX, "there is none");
	bridges_set(text);
	bridges_publish("t/a", "1");
	for (unsigned i = 0; i < 6; i++) {
		char name[8], line[128];
		uint64_t n;

		(void)snprintf(name, sizeof name, i < 5 ? "b%u" : "other", i);
		(void)snprintf(line, sizeof line,
		    "sqmqos_bridge_messages_total{bridge=\"%s\",direction=\"out\",outcome=\"ok\"}",
		    name);
		n = bridges_metric(line);
		named += n != UINT64_MAX;
		ok += n != UINT64_MAX ? n : 0;
	}
	cr_expect_eq(named, 4U, "three by name, and the others together");
	cr_expect_eq(ok, 5U);
}

/* In: the whole way, the rest is test_inward.c. */

Test(bridges, what_arrives_is_published)
{
	bridges_set("  b: {space: s, kind: amqp, url: [amqp://peer], in: [{queue: q, to: in/t}]}");
	queue_declare(&api, "mine", "{\"bindings\":[{\"filter\":\"in/#\"}]}", SQ_QUEUE_CREATED);
	fake_peer_put(b, "in/t", "1", "m:1", NULL);
	fake_peer_put(b, "in/t", "1", "m:1", NULL);
	world_pass(&w, 300);
	cr_assert_eq(fake_peer_left(b), 0U);
	cr_expect_eq(queue_ready(&api, "mine"), 1U, "once");
	cr_expect_eq(bridges_metric("sqmqos_bridge_messages_total{bridge=\"b\",direction=\"in\","
				    "outcome=\"duplicate\"}"),
	    1U);
}

Test(bridges, one_that_only_comes_in_says_what_it_could_not_publish)
{
	static const char why[] = "a topic name must not contain + or #";
	const char *said;

	bridges_set("  b: {space: s, kind: amqp, url: [amqp://peer], in: [{queue: q, to: in/t}]}");
	fake_peer_put(b, "in/#", "1", "m:1", NULL);
	world_pass(&w, 300);
	expect_letter("$dead/bridge.b", "unmappable", why);
	said = bridges_call(SQ_BRIDGE_GET, "b", SQ_BRIDGE_DONE);
	cr_assert_not_null(strstr(said, "\"lastError\":\""), "%s", said);
	cr_expect_not_null(strstr(strstr(said, "\"lastError\":\""), why), "%s", said);
	cr_expect_not_null(strstr(said, "\"dead\":1,\"loop\":0,\"duplicate\":0}"), "%s", said);
	cr_expect_null(strstr(said, "\"failed\""), "nothing that comes in has attempts");
}

Test(bridges, a_half_that_has_closed_has_nothing_out)
{
	struct sq_bridge_told told;
	struct sq_buf out = {0};

	sq_bridge_told_init(&told, "bridge/b");
	sq_bridge_tell_state(&told, SQ_BRIDGE_IN, true, NULL);
	atomic_store(&told.out[SQ_BRIDGE_IN], 7); /* the peer has these back */
	sq_bridge_tell_closed(&told, SQ_BRIDGE_IN);
	sq_bridge_told_describe(&told, SQ_BRIDGE_IN, &out);
	sq_buf_u8(&out, '\0');
	cr_expect_not_null(strstr((const char *)sq_buf_data(&out), "\"inFlight\":0,"), "%s",
	    (const char *)sq_buf_data(&out));
	sq_buf_fini(&out);
	sq_bridge_told_fini(&told);
}
