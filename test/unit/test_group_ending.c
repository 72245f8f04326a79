/* Queues that end with messages in them: every one is counted, those of QoS 3 become dead
 * letters, each once, wherever the broker stops. */
#include <stdio.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "../support/temp_dir.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/record.h"

#define ASSURED ((const char *const[]){"sqmqos-qos", "3", NULL})

static struct world w;
static struct peer pub, sub;
static unsigned workers;

static void
begin(void)
{
	world_start(&w, workers);
	pub = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber~pod");
	sub.link = 1;
	peer_connect(&pub);
	peer_connect(&sub);
}

static void
setup(void)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	w.cfg.dead_max_msgs = 1000;
	workers = 1;
	begin();
}

static void
teardown(void)
{
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(group_ending, .init = setup, .fini = teardown);

static void
restart(void)
{
	world_stop(&w);
	begin();
}

static void
crash(void)
{
	stored_engine_crash();
	restart();
}

static uint8_t
declare(struct peer *p, uint8_t flags, uint32_t expiry_s)
{
	return peer_sub(p,
	    &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
		.options = 2,
		.flags = (uint8_t)(SQ_SUB_DECLARED | flags),
		.queue_expiry_s = expiry_s,
		.group = text("g"),
		.filter = text("t")});
}

static void
publish(unsigned n, uint8_t qos, const char *payload)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(peer_publish(&pub, "t", payload, qos), 0);
}

static void
assure(unsigned n)
{
	static uint16_t id = 100;
	char payload[16];

	for (unsigned i = 0; i < n; i++) {
		struct entry e = {.topic = "t", .payload = payload, .qos = 2, .props = ASSURED};

		snprintf(payload, sizeof payload, "%u", i);
		e.id = ++id;
		cr_assert_eq(peer_send(&pub, &e), 0);
		cr_assert_eq(peer_send(&pub, &(struct entry){.id = id}), 0);
	}
}

static void
finish(struct peer *p, const struct fake_delivery *d)
{
	uint64_t delivery = d->delivery;

	if (d->qos == 2)
		cr_assert_eq(peer_settle(p, SQ_SETTLE_RECEIVED, delivery, 1), 204);
	cr_assert_eq(
	    peer_settle(p, d->qos == 2 ? SQ_SETTLE_COMPLETE : SQ_SETTLE_ACK, delivery, 1), 204);
}

/* A durable group with nobody in it, which expires after a second. */
static void
abandon(void)
{
	cr_assert_lt(declare(&sub, SQ_SUB_DURABLE, 1), 0x80);
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	peer_connect(&sub);
}

/* Its time is over. */
static void
expire(void)
{
	world_pass(&w, 3000);
}

/* The letters of 'n' messages, "0" and so on, each once and with this reason. */
static void
expect_letters(unsigned n, const char *reason, const char *queue)
{
	static bool seen[1000];
	struct fake_delivery *d;
	unsigned got = 0;

	memset(seen, 0, sizeof seen);
	cr_assert_eq(peer_subscribe(&sub, "$dead/#", 2), 2);
	for (; (d = peer_next(&sub)) != NULL; got++) {
		unsigned long i = strtoul(d->payload, NULL, 10);

		cr_assert_lt(i, n);
		cr_assert_not(seen[i], "message %lu has two letters", i);
		seen[i] = true;
		cr_assert_str_eq(d->topic, "$dead/t");
		cr_assert_str_eq(delivery_prop(d, "sqmqos-dead-reason"), reason);
		cr_assert_str_eq(delivery_prop(d, "sqmqos-dead-queue"), queue);
		finish(&sub, d);
	}
	cr_assert_eq(got, n, "%u letters instead of %u", got, n);
	cr_assert_eq(peer_unsubscribe(&sub, "$dead/#"), 0);
}

/* Nothing is left of what was ending. */
static void
expect_over(void)
{
	world_run();
	cr_assert_eq(world_metric(SQ_M_QUEUES_ENDING), 0);
	cr_assert_eq(stored_engine_records(SQ_RECORD_ENDING), 0);
}

/* --- what ends, and how it is counted --- */

Test(group_ending, a_group_that_expires_counts_what_it_has)
{
	abandon();
	publish(3, 1, "one");
	assure(2);
	expire();
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_EXPIRED), 5);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 2);
	expect_over();
	expect_letters(2, "queue-expired", "declared~s~w~g");
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
	cr_assert_eq(stored_engine_items(), 0);
}

Test(group_ending, an_empty_queue_counts_nothing)
{
	abandon();
	expire();
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_EXPIRED), 0);
	expect_over();
	cr_assert_eq(stored_engine_queues(), 0);
}

Test(group_ending, a_group_whose_last_member_leaves_counts_what_it_has)
{
	cr_assert_lt(declare(&sub, 0, 0), 0x80); /* not durable */
	publish(3, 1, "one");
	assure(2);
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	world_run();
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_LEFT), 5);
	expect_over();
	peer_connect(&sub);
	expect_letters(2, "queue-left", "declared~s~w~g");
}

Test(group_ending, a_durable_session_that_ends_counts_what_it_has)
{
	struct peer s = peer_new(&w, "s~w~c");

	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "t", 2), 2);
	cr_assert_eq(peer_detach(&s, 3600, false), 204);
	publish(3, 1, "one");
	assure(2);
	s.flags |= SQ_ATTACH_CLEAN_START;
	peer_connect(&s);
	world_run();
	cr_assert_eq(world_metric(SQ_M_DELETED_SESSION_ENDED), 5);
	expect_over();
	expect_letters(2, "session-ended", "s~w~c");
	cr_assert_eq(peer_detach(&s, 0, false), 204);
	world_run();
	cr_assert_eq(world_metric(SQ_M_DELETED_SESSION_ENDED), 5, "the new one had nothing");
}

Test(group_ending, a_durable_session_that_expires_counts_what_it_has)
{
	struct peer s = peer_new(&w, "s~w~c");

	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "t", 2), 2);
	cr_assert_eq(peer_detach(&s, 10, false), 204);
	publish(3, 1, "one");
	assure(2);
	world_pass(&w, 11000);
	cr_assert_eq(world_metric(SQ_M_DELETED_SESSION_EXPIRED), 5);
	expect_over();
	expect_letters(2, "session-expired", "s~w~c");
}

Test(group_ending, a_transient_session_counts_what_its_client_has_not_settled)
{
	struct peer s = peer_new(&w, "s~w~c~pod");

	s.receive_max = 1;
	s.ordinal = 1;
	cr_assert_eq(peer_attach(&s), 200);
	cr_assert_eq(peer_credit(&s, 100, 1 << 20), 204);
	cr_assert_eq(peer_subscribe(&s, "t", 2), 2);
	assure(3);
	finish(&s, peer_expect(&s, "0"));
	peer_expect(&s, "1");
	cr_assert_eq(peer_detach(&s, 0, false), 204);
	world_run();
	cr_assert_eq(world_metric(SQ_M_DELETED_SESSION_ENDED), 1);
	cr_assert_eq(world_metric(SQ_M_DROPPED_UNFINISHED), 1, "it may have that one");
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 2);
	cr_assert_eq(world_metric(SQ_M_QUEUES_ENDING), 0);
}

Test(group_ending, a_delivery_of_qos_1_that_is_not_settled_is_counted)
{
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	publish(3, 1, "one");
	finish(&sub, peer_expect(&sub, "one"));
	peer_expect(&sub, "one");
	peer_expect(&sub, "one");
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	world_run();
	cr_assert_eq(world_metric(SQ_M_DELETED_SESSION_ENDED), 2);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
	peer_connect(&sub);
}

Test(group_ending, the_memory_engine_counts_and_makes_letters_too)
{
	world_stop(&w);
	w.cfg.engine = &sq_engine_memory;
	workers = 2;
	begin();
	abandon();
	publish(100, 1, "one");
	assure(2);
	expire();
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_EXPIRED), 102);
	cr_assert_eq(world_metric(SQ_M_QUEUES_ENDING), 0);
	expect_letters(2, "queue-expired", "declared~s~w~g");
}

Test(group_ending, a_full_dead_letter_queue_takes_them_all)
{
	world_stop(&w);
	w.cfg.dead_max_msgs = 1;
	begin();
	abandon();
	assure(70);
	expire();
	expect_letters(70, "queue-expired", "declared~s~w~g");
	expect_over();
}

Test(group_ending, a_message_that_expires_meanwhile_is_counted_as_expired)
{
	struct entry e = {.topic = "t", .payload = "short", .qos = 1, .expiry_s = 1};

	abandon();
	cr_assert_eq(peer_send(&pub, &e), 0);
	publish(1, 1, "long");
	expire();
	cr_assert_eq(world_metric(SQ_M_DROPPED_EXPIRED), 1);
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_EXPIRED), 1);
	expect_over();
}

/* --- what others still have of it --- */

Test(group_ending, a_delivery_that_comes_back_is_counted_and_one_that_is_settled_is_not)
{
	struct fake_delivery *d;
	uint64_t first, second;

	cr_assert_eq(peer_subscribe(&sub, "$share/g/t", 1), 1);
	publish(2, 1, "one");
	d = peer_expect(&sub, "one");
	first = d->delivery;
	second = peer_expect(&sub, "one")->delivery;
	cr_assert_eq(peer_unsubscribe(&sub, "$share/g/t"), 0);
	cr_assert_eq(world_metric(SQ_M_QUEUES_ENDING), 1, "the client has two of it");
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, first, 1), 204);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REQUEUE, second, 1), 204);
	world_run();
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_LEFT), 1);
	expect_over();
	cr_assert_eq(stored_engine_items(), 0);
}

Test(group_ending, what_waits_is_counted_while_a_client_still_has_some)
{
	uint64_t delivery;

	world_stop(&w);
	w.cfg.max_inflight = 1;
	begin();
	cr_assert_eq(peer_subscribe(&sub, "$share/g/t", 1), 1);
	publish(80, 1, "one");
	delivery = peer_expect(&sub, "one")->delivery;
	peer_expect_nothing(&sub);
	cr_assert_eq(peer_unsubscribe(&sub, "$share/g/t"), 0);
	world_run();
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_LEFT), 79);
	cr_assert_eq(world_metric(SQ_M_QUEUES_ENDING), 1);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, delivery, 1), 204);
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_LEFT), 79);
	expect_over();
}

Test(group_ending, a_message_whose_commit_is_awaited_is_counted_when_it_is_there)
{
	struct entry e = {.topic = "t", .payload = "late", .qos = 1};
	struct fake_call *c;

	cr_assert_lt(declare(&sub, SQ_SUB_DURABLE, 1), 0x80);
	stored_engine_hold(true);
	c = peer_post(&pub, 1, &e, 1);
	world_run();
	cr_assert_eq(stored_engine_waiting(), 1);
	stored_engine_hold(false); /* the others overtake it */
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	expire();
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
	cr_assert_eq(stored_engine_records(SQ_RECORD_ENDING), 1, "it may not be deleted yet");
	stored_engine_release();
	call_expect(&c, 200);
	world_pass(&w, 200);
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_EXPIRED), 1);
	expect_over();
	peer_connect(&sub);
}

Test(group_ending, a_group_of_the_same_name_is_a_new_queue)
{
	abandon();
	assure(70);
	stored_engine_hold(true);
	expire(); /* the commit that marks it waits */
	stored_engine_hold(false);
	cr_assert_lt(declare(&sub, SQ_SUB_DURABLE | SQ_SUB_CONSUME, 3600), 0x80);
	publish(1, 1, "new");
	peer_expect(&sub, "new");
	peer_expect_nothing(&sub);
	while (stored_engine_waiting() > 0)
		stored_engine_release();
	world_run();
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_EXPIRED), 70);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	peer_expect_nothing(&sub);
	expect_over();
}

/* --- slices --- */

Test(group_ending, a_slice_has_at_most_64_messages)
{
	size_t before;

	abandon();
	publish(200, 1, "one");
	before = stored_engine_commits();
	expire();
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_EXPIRED), 200);
	cr_assert_eq(stored_engine_commits() - before, 1 + 4 + 1, "mark, slices, delete");
}

Test(group_ending, a_slice_has_at_most_a_mebibyte)
{
	struct entry e = {.topic = "t", .payload_len = 60000, .qos = 1};
	size_t before;

	world_stop(&w);
	w.cfg.queue_max_bytes = 16 << 20;
	begin();
	abandon();
	for (int i = 0; i < 40; i++)
		cr_assert_eq(peer_send(&pub, &e), 0);
	before = stored_engine_commits();
	expire();
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_EXPIRED), 40);
	cr_assert_eq(stored_engine_commits() - before, 1 + 4 + 1,
	    "17 of 60 KB are a mebibyte; one was too many at first");
}

/* --- restarts --- */

enum { MANY = 150, SLICES = 3, COMMITS = 1 + SLICES + 1 };

/* Lets so many commits of the ending through. */
static void
run_commits(unsigned n)
{
	stored_engine_hold(true);
	world_pass(&w, 3000);
	for (unsigned i = 0; i < n; i++) {
		cr_assert_gt(stored_engine_waiting(), 0, "commit %u of %u does not come", i, n);
		stored_engine_release();
		world_run();
	}
}

Test(group_ending, a_crash_at_any_commit_loses_and_doubles_nothing)
{
	for (unsigned n = 0; n <= COMMITS; n++) {
		abandon();
		assure(MANY);
		run_commits(n);
		cr_assert_eq(stored_engine_waiting() > 0, n < COMMITS, "after %u commits", n);
		crash();
		cr_assert_eq(stored_engine_records(SQ_RECORD_ENDING), 0, "it goes on at once");
		world_pass(&w, 40000); /* or the group was not ending yet */
		expect_over();
		cr_assert_eq(stored_engine_records(SQ_RECORD_GROUP), 0);
		expect_letters(MANY, "queue-expired", "declared~s~w~g");
		cr_assert_eq(stored_engine_items(), 0, "after %u commits", n);
		cr_assert_eq(stored_engine_queues(), stored_engine_records(SQ_RECORD_DEAD));
	}
}

static void
release_one(void)
{
	if (stored_engine_waiting() > 0)
		stored_engine_release();
}

Test(group_ending, an_orderly_end_in_between_loses_and_doubles_nothing)
{
	for (unsigned n = 1; n <= COMMITS; n++) {
		abandon();
		assure(MANY);
		run_commits(n - 1);
		w.stopping = release_one; /* its done() comes while the broker ends */
		world_stop(&w);
		w.stopping = NULL;
		stored_engine_hold(false);
		begin();
		world_run();
		expect_over();
		expect_letters(MANY, "queue-expired", "declared~s~w~g");
		cr_assert_eq(stored_engine_items(), 0, "after %u commits", n);
	}
}

Test(group_ending, a_session_that_ends_goes_on_ending_after_a_crash)
{
	for (unsigned n = 0; n <= COMMITS; n++) {
		struct peer s = peer_new(&w, "s~w~c");

		peer_connect(&s);
		cr_assert_eq(peer_subscribe(&s, "t", 2), 2);
		cr_assert_eq(peer_detach(&s, 1, false), 204);
		assure(MANY);
		run_commits(n);
		crash();
		world_pass(&w, 2000); /* or it had not expired */
		expect_over();
		cr_assert_eq(world_metric(SQ_M_SESSIONS), 2);
		expect_letters(MANY, "session-expired", "s~w~c");
		cr_assert_eq(stored_engine_items(), 0, "after %u commits", n);
	}
}

/* A QoS 2 delivery of an ended group that a session has over a restart: there its message
 * is one of the ending's, and its id an orphan. */
Test(group_ending, a_handshake_over_a_restart_does_not_hide_its_message)
{
	struct peer s = peer_new(&w, "s~w~c");

	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "$share/g/t", 2), 2);
	assure(1);
	peer_expect(&s, "0");
	cr_assert_eq(peer_unsubscribe(&s, "$share/g/t"), 0);
	cr_assert_eq(stored_engine_records(SQ_RECORD_ENDING), 1);
	crash();
	expect_over();
	expect_letters(1, "queue-left", "share~s~$share/g/t");
	cr_assert_eq(peer_attach(&s), 200);
	cr_assert_eq(s.n_listed, 1);
	cr_assert_eq(s.listed[0].state, SQ_OPEN_ORPHAN);
	cr_assert_eq(peer_detach(&s, 0, false), 204);
}

/* --- the engine with files: in memory, in the journal, in the tables --- */

enum { LARGE = 400, LARGE_BYTES = 6000 }; /* more than its cache */

static bool
is_counted(void *arg)
{
	return world_metric(SQ_M_DELETED_QUEUE_EXPIRED) >= *(const int64_t *)arg;
}

static bool
is_over(void *arg)
{
	(void)arg;
	return world_metric(SQ_M_QUEUES_ENDING) == 0;
}

/* The last message may be counted before the queue itself has gone. */
static bool
is_counted_or_over(void *arg)
{
	return is_counted(arg) || is_over(NULL);
}

static void
begin_embedded(char *dir)
{
	world_stop(&w);
	w.cfg.engine = &sq_engine_embedded;
	w.cfg.store_dir = dir;
	w.cfg.journal_size = 8 << 20;
	w.cfg.store_max_size = 64 << 20;
	w.cfg.store_cache_size = 1 << 20;
	w.cfg.queue_max_bytes = 16 << 20;
	w.cfg.dead_max_bytes = 16 << 20;
	begin();
}

static void
assure_large(void)
{
	static char payload[LARGE_BYTES + 1];
	struct entry e = {.topic = "t", .payload = payload, .qos = 2, .props = ASSURED};

	memset(payload, 'x', LARGE_BYTES);
	for (uint16_t id = 1; id <= LARGE; id++) {
		e.id = id;
		cr_assert_eq(peer_send(&pub, &e), 0);
		cr_assert_eq(peer_send(&pub, &(struct entry){.id = id}), 0);
	}
}

Test(group_ending, restarts_of_the_embedded_engine_lose_and_double_nothing)
{
	int64_t before = world_metric(SQ_M_DELETED_QUEUE_EXPIRED);
	char *dir = temp_dir_new();
	int restarts = 0;

	begin_embedded(dir);
	abandon();
	assure_large();
	world_pass(&w, 3000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
	while (world_metric(SQ_M_QUEUES_ENDING) > 0) {
		int64_t more = world_metric(SQ_M_DELETED_QUEUE_EXPIRED) + 1;

		cr_assert(fake_run_until(is_counted_or_over, &more));
		fake_self(0);
		if (++restarts <= 3)
			restart();
		else
			cr_assert(fake_run_until(is_over, NULL));
		fake_self(0);
	}
	cr_assert_gt(restarts, 1);
	cr_assert_eq(world_metric(SQ_M_DELETED_QUEUE_EXPIRED) - before, LARGE);
	restart();
	cr_assert_eq(
	    world_metric(SQ_M_QUEUED), LARGE, "%lld letters", (long long)world_metric(SQ_M_QUEUED));
	cr_assert_eq(world_metric(SQ_M_QUEUES_ENDING), 0);
	world_stop(&w);
	temp_dir_free(&dir);
	w.cfg.engine = &stored_engine;
	begin();
}
