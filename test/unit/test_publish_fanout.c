/* More than one transaction of the store holds: a batch takes several, a message is whole
 * or refused, and nothing is dropped.  The limit is lowered to ITEMS. */
#include <stdio.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/engine/record.h"

enum { ITEMS = 24, SUBS = 5, MANY = 5000, BATCH = 12 };

static struct world w;
static struct peer pub, subs[SUBS];

static void
begin(void)
{
	world_start(&w, 1);
	pub.world = &w;
	pub.link = 1;
}

static void
setup(void)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	w.cfg.txn_items = ITEMS;
	w.cfg.dead_max_msgs = 1000;
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher");
	pub.link = 1;
	peer_connect(&pub);
}

static void
teardown(void)
{
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(publish_fanout, .init = setup, .fini = teardown);

/* Durable sessions; all wait for what is sent to "t". */
static void
subscribe(uint8_t qos)
{
	static const char *const keys[SUBS] = {"s~w~a", "s~w~b", "s~w~c", "s~w~d", "s~w~e"};

	for (unsigned i = 0; i < SUBS; i++) {
		subs[i] = peer_new(&w, keys[i]);
		peer_connect(&subs[i]);
		cr_assert_eq(peer_subscribe(&subs[i], "t", qos), qos);
	}
}

static void
finish(struct peer *sub, struct fake_delivery *d)
{
	enum sq_settle_kind kind = d->qos == 2 ? SQ_SETTLE_COMPLETE : SQ_SETTLE_ACK;

	if (d->qos > 0)
		cr_assert_eq(peer_settle(sub, kind, d->delivery, 1), 204);
}

/* Each has messages "a", "b", .. of 'n', in order, once. */
static void
expect_all(unsigned n)
{
	for (unsigned i = 0; i < SUBS; i++) {
		for (unsigned k = 0; k < n; k++)
			finish(
			    &subs[i], peer_expect(&subs[i], (const char[]){(char)('a' + k), '\0'}));
		peer_expect_nothing(&subs[i]);
	}
}

/* The message 'n', counted from 0. */
static struct entry
entry_of(unsigned n, uint8_t qos)
{
	static const char payloads[BATCH][2] = {
	    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};

	return (struct entry){.topic = "t",
	    .payload = payloads[n],
	    .qos = qos,
	    .id = qos == 2 ? (uint16_t)(100 + n) : 0};
}

static struct fake_call *
post_batch(uint64_t first, uint8_t qos)
{
	struct entry e[BATCH];

	for (unsigned i = 0; i < BATCH; i++)
		e[i] = entry_of(i, qos);
	return peer_batch(&pub, 1, pub.run[1], first, 0, e, BATCH);
}

Test(publish_fanout, a_batch_takes_as_many_transactions_as_it_needs)
{
	for (uint8_t qos = 1; qos < 3; qos++) {
		struct fake_call *c;
		size_t before;

		subscribe(qos);
		before = stored_engine_commits();
		c = post_batch(pub.next[1], qos);
		pub.next[1] += BATCH;
		world_run();
		cr_assert_eq(c->answers, 1);
		for (unsigned i = 0; i < BATCH; i++)
			cr_assert_eq(call_outcome(c, i), 0);
		fake_call_free(&c);
		cr_assert_geq(stored_engine_commits() - before, BATCH * SUBS / ITEMS);
		expect_all(BATCH);
	}
}

Test(publish_fanout, the_answer_waits_for_the_last_of_them)
{
	struct fake_call *c;

	subscribe(1);
	stored_engine_hold(true);
	c = post_batch(pub.next[1], 1);
	pub.next[1] += BATCH;
	world_run();
	cr_assert_gt(stored_engine_waiting(), 1);
	while (stored_engine_waiting() > 0) {
		cr_assert_eq(c->answers, 0);
		stored_engine_release();
		world_run();
	}
	stored_engine_hold(false);
	call_expect(&c, 200);
	expect_all(BATCH);
}

/* A crash after each of the transactions: the sidecar sends the batch again, under the same
 * numbers, and each message is there once. */
Test(publish_fanout, a_crash_between_two_of_them)
{
	for (unsigned parts = 0; parts < 4; parts++) {
		struct fake_call *c;
		uint64_t first;

		teardown();
		setup();
		subscribe(2);
		first = pub.next[1];
		stored_engine_hold(true);
		c = post_batch(first, 2);
		world_run();
		for (unsigned i = 0; i < parts && stored_engine_waiting() > 0; i++)
			stored_engine_release();
		stored_engine_crash();
		world_run();
		fake_call_free(&c);
		stored_engine_hold(false);
		world_stop(&w);
		begin();
		cr_assert_eq(peer_attach(&pub), 200);
		cr_assert(pub.last[1] >= first - 1 && pub.last[1] < first + BATCH);
		cr_assert_eq(pub.last[1] == first - 1, parts == 0);
		cr_assert_eq(pub.n_held, pub.last[1] + 1 - first, "%u held", pub.n_held);
		c = post_batch(first, 2);
		world_run();
		for (unsigned i = 0; i < BATCH; i++)
			cr_assert_eq(call_outcome(c, i), 0);
		fake_call_free(&c);
		for (unsigned i = 0; i < SUBS; i++) {
			cr_assert_eq(peer_attach(&subs[i]), 200);
			cr_assert_eq(peer_credit(&subs[i], 1000, 1 << 20), 204);
		}
		expect_all(BATCH);
	}
}

/* For more queues than a transaction holds a message is refused, for all of them. */

static unsigned
subscribe_many(unsigned n, const char *topic)
{
	char key[32];

	for (unsigned i = 0; i < n; i++) {
		struct peer sub;

		snprintf(key, sizeof key, "s~w~many-%u", i);
		sub = peer_new(&w, key);
		peer_connect(&sub);
		cr_assert_eq(peer_subscribe(&sub, topic, 1), 1);
		cr_assert_eq(peer_detach(&sub, 3600, false), 204);
	}
	return n;
}

Test(publish_fanout, a_message_for_more_than_one_holds_is_refused)
{
	size_t commits;

	subscribe_many(ITEMS + 1, "t");
	commits = stored_engine_commits();
	cr_assert_eq(peer_publish(&pub, "t", "x", 1), 0x97);
	cr_assert_eq(stored_engine_items(), 0, "for none of them");
	cr_assert_eq(peer_retain(&pub, "t", "x", 1), 0x97);
	cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 0);
	cr_assert_leq(stored_engine_commits() - commits, 2, "the lane's");
	cr_assert_eq(world_metric(SQ_M_REFUSED), 2);
	cr_assert_eq(world_metric(SQ_M_DROPPED_FULL), 0);
}

Test(publish_fanout, five_thousand_durable_subscribers)
{
	struct entry e[3];
	struct fake_call *c;

	world_stop(&w);
	w.cfg.txn_items = MANY + 100;
	w.cfg.max_sessions = MANY + 100;
	begin();
	peer_connect(&pub);
	subscribe_many(MANY, "t");
	for (unsigned i = 0; i < 3; i++)
		e[i] = entry_of(i, 1);
	c = peer_post(&pub, 1, e, 3);
	world_run();
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(call_outcome(c, i), 0);
	fake_call_free(&c);
	cr_assert_eq(stored_engine_items(), 3 * MANY);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 3 * MANY);
}

/* What nobody can be refused. */

Test(publish_fanout, a_will_is_published_whole)
{
	struct peer dying = peer_new(&w, "s~w~dying~pod");

	subscribe_many(ITEMS - 1, "will");
	dying.will = "farewell";
	dying.will_qos = 1;
	peer_connect(&dying);
	cr_assert_eq(peer_detach(&dying, 0, true), 204);
	world_run();
	cr_assert_eq(stored_engine_items(), ITEMS - 1);
}

Test(publish_fanout, a_will_for_more_than_one_holds_is_counted)
{
	struct peer dying = peer_new(&w, "s~w~dying~pod");

	subscribe_many(ITEMS + 1, "will");
	dying.will = "farewell";
	dying.will_qos = 1;
	peer_connect(&dying);
	cr_assert_eq(peer_detach(&dying, 0, true), 204);
	world_run();
	cr_assert_eq(stored_engine_items(), 0);
	cr_assert_eq(world_metric(SQ_M_DROPPED_FULL), ITEMS + 1);
}

Test(publish_fanout, delayed_messages_that_are_due_together)
{
	static const char *const delay[] = {"sqmqos-delay", "5", NULL};

	for (unsigned i = 0; i < BATCH; i++) {
		struct entry e = entry_of(i, 1);

		e.props = delay;
		cr_assert_eq(peer_send(&pub, &e), 0);
	}
	subscribe(1);
	cr_assert_eq(stored_engine_records(SQ_RECORD_DELAYED), BATCH);
	world_pass(&w, 6000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_DELAYED), 0);
	expect_all(BATCH);
}

Test(publish_fanout, retained_messages_for_a_new_subscription)
{
	enum { N = 3 * ITEMS };
	char topic[16];
	struct peer sub = peer_new(&w, "s~w~late");

	for (unsigned i = 0; i < N; i++) {
		snprintf(topic, sizeof topic, "r/%u", i);
		cr_assert_eq(peer_retain(&pub, topic, "x", 1), 0);
	}
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, "r/#", 1), 1);
	for (unsigned i = 0; i < N; i++)
		finish(&sub, peer_expect(&sub, "x"));
	peer_expect_nothing(&sub);
}

Test(publish_fanout, dead_letters_of_one_settlement)
{
	enum { N = 3 * ITEMS };
	struct peer letters = peer_new(&w, "s~w~letters");
	struct fake_delivery *d;
	uint64_t first = 0;

	peer_connect(&letters);
	cr_assert_eq(peer_subscribe(&letters, "$dead/#", 1), 1);
	subs[0] = peer_new(&w, "s~w~a");
	peer_connect(&subs[0]);
	cr_assert_eq(peer_subscribe(&subs[0], "t", 1), 1);
	for (unsigned i = 0; i < N; i++) {
		cr_assert_eq(peer_publish(&pub, "t", "x", 1), 0);
		d = peer_next(&subs[0]);
		first = i == 0 ? d->delivery : first;
	}
	cr_assert_eq(peer_settle(&subs[0], SQ_SETTLE_REJECT, first, N), 204);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), N);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS_DROPPED), 0);
	for (unsigned i = 0; i < N; i++)
		finish(&letters, peer_expect(&letters, "x"));
	peer_expect_nothing(&letters);
}

Test(publish_fanout, receipts_of_one_settlement)
{
	static const char *const props[] = {
	    "sqmqos-qos", "3", "sqmqos-key", "k", "sqmqos-receipt", "receipts", NULL};
	struct peer taker = peer_new(&w, "s~w~taker");
	uint64_t first = 0;

	subscribe(1);
	for (unsigned i = 0; i < SUBS; i++)
		cr_assert_eq(peer_subscribe(&subs[i], "receipts", 1), 1);
	peer_connect(&taker);
	cr_assert_eq(peer_subscribe(&taker, "assured", 1), 1);
	for (unsigned i = 0; i < BATCH; i++) {
		const char *own[SQ_ARRAY_LEN(props)];
		struct entry e = entry_of(i, 2);
		struct fake_delivery *d;

		memcpy(own, props, sizeof own);
		own[3] = e.payload; /* a key of its own */
		e.topic = "assured";
		e.props = own;
		cr_assert_eq(peer_send(&pub, &e), 0);
		d = peer_next(&taker);
		cr_assert_not_null(d);
		first = i == 0 ? d->delivery : first;
	}
	cr_assert_eq(peer_settle(&taker, SQ_SETTLE_ACK, first, BATCH), 204);
	cr_assert_eq(world_metric(SQ_M_RECEIPTS), BATCH);
	cr_assert_eq(world_metric(SQ_M_DROPPED_FULL), 0);
	cr_assert_eq(stored_engine_items(), BATCH * SUBS);
}
