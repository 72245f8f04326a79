/* Pullers of named queues: the same on every engine, whoever of the workers owns a queue, and over
 * restarts of the broker. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/jobs.h"
#include "broker/engine/record.h"
#include "core/mem.h"

#define CONTRACT(name) JOBS_CONTRACT(pulls, name)

CONTRACT(what_is_published_is_pulled_once)
{
	struct fake_queue *q;

	jobs_declare("");
	jobs_publish("abc");
	q = jobs_receive("abc");
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(jobs_pulled(q, i)->attempt, 1);
		cr_assert(jobs_pulled(q, i)->enqueued_ms != 0 || w.cfg.engine == &stored_engine);
		cr_assert_eq(strlen(jobs_pulled(q, i)->lease), 48);
	}
	jobs_expect_nothing();
	jobs_ack(&q);
	jobs_expect_nothing();
	cr_assert_eq(queue_ready(&api, "jobs"), 0);
	if (queue_world_durable()) {
		queue_world_restart();
		jobs_expect_nothing();
	}
}

CONTRACT(who_waits_is_woken)
{
	struct fake_queue *a, *b;

	jobs_declare("");
	a = jobs_receive_post(1, 20000);
	b = jobs_receive_post(1, 20000);
	jobs_publish("xy");
	jobs_await(a, 1000);
	jobs_await(b, 1000);
	cr_assert_eq(jobs_n_pulled(a), 1);
	cr_assert_eq(jobs_n_pulled(b), 1);
	cr_assert_eq(jobs_letters_of(a)[0], 'x');
	cr_assert_eq(jobs_letters_of(b)[0], 'y');
	jobs_ack(&a);
	jobs_ack(&b);
}

CONTRACT(leases_end_with_the_broker)
{
	struct fake_queue *q, *again;

	jobs_declare("");
	jobs_publish("ab");
	q = jobs_receive("ab");
	if (queue_world_durable()) {
		queue_world_restart();
		cr_assert_eq(jobs_settle(q, SQ_LEASE_ACK), SQ_QUEUE_PARTLY);
		again = jobs_receive("ab");
		cr_assert_eq(jobs_pulled(again, 0)->attempt, 1, "nothing has failed");
		jobs_ack(&again);
	}
	queue_free(&q);
}

CONTRACT(leases_of_exactly_once_outlive_the_broker)
{
	struct fake_queue *q, *c;

	jobs_declare(",\"exactlyOnce\":true");
	jobs_publish("ab");
	q = jobs_receive("ab");
	if (queue_world_durable()) {
		queue_world_restart();
		jobs_expect_nothing();
		jobs_publish("c");
		cr_assert_eq(jobs_settle(q, SQ_LEASE_EXTEND), SQ_QUEUE_DONE);
		queue_world_restart();
		c = jobs_receive("c");
		jobs_ack(&c);
		cr_assert_eq(jobs_settle(q, SQ_LEASE_ACK), SQ_QUEUE_DONE);
		queue_world_restart();
		jobs_expect_nothing();
		cr_assert_eq(jobs_settle(q, SQ_LEASE_ACK), SQ_QUEUE_DONE, "said again");
		cr_assert_eq(jobs_settle(q, SQ_LEASE_NACK), SQ_QUEUE_PARTLY);
		cr_assert_eq(queue_ready(&api, "jobs"), 0);
	}
	queue_free(&q);
}

CONTRACT(a_lease_of_before_lives_its_length_once_more)
{
	struct fake_queue *q, *next;

	jobs_declare(",\"exactlyOnce\":true,\"lease\":\"10s\"");
	jobs_publish("a");
	q = jobs_receive("a");
	if (queue_world_durable()) {
		world_pass(&w, 8000);
		queue_world_restart();
		next = jobs_receive_post(1, 60000);
		world_pass(&w, 9500);
		cr_assert_eq(next->answers, 0);
		jobs_await(next, 3000);
		cr_assert_eq(jobs_n_pulled(next), 1);
		cr_assert_eq(jobs_pulled(next, 0)->attempt, 2);
		cr_assert_eq(jobs_settle(q, SQ_LEASE_ACK), SQ_QUEUE_PARTLY);
		queue_world_restart();
		cr_assert_eq(jobs_settle(q, SQ_LEASE_ACK), SQ_QUEUE_PARTLY, "it is another's");
		jobs_ack(&next);
	}
	queue_free(&q);
}

CONTRACT(a_lane_waits_for_a_lease_of_before)
{
	struct fake_queue *q, *b;

	jobs_declare(",\"exactlyOnce\":true,\"order\":\"topic\"");
	jobs_publish("a");
	q = jobs_receive("a");
	jobs_publish("aab");
	if (queue_world_durable()) {
		queue_world_restart();
		b = jobs_receive("b");
		jobs_expect_nothing();
		jobs_ack(&b);
		jobs_ack(&q);
		b = jobs_receive("aa");
		jobs_ack(&b);
	} else {
		queue_free(&q);
	}
}

/* Settles one of them alone. */
static void
give_back(const struct fake_queue *of, size_t i)
{
	struct sq_lease_entry e = {
	    .lease = sq_bytes_of(jobs_pulled(of, i)->lease), .end = SQ_LEASE_NACK, .untried = true};
	struct fake_queue *q = queue_new(&api, SQ_QUEUE_SETTLE, NULL);

	q->call.in.queue.in.settle = (struct sq_queue_settle){.entries = &e, .n = 1};
	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DONE);
	queue_free(&q);
}

/* One that was given back waits in the queue after a restart, and those behind it are leased. */
CONTRACT(a_lane_has_no_hole_after_a_restart)
{
	struct fake_queue *q;

	jobs_declare(",\"exactlyOnce\":true,\"order\":\"topic\"");
	jobs_publish_lane("abcd");
	q = jobs_receive("abcd");
	give_back(q, 0);
	if (queue_world_durable())
		queue_world_restart();
	for (size_t i = 1; i < 4; i++)
		give_back(q, i);
	queue_free(&q);
	q = jobs_receive("abcd");
	jobs_ack(&q);
}

CONTRACT(what_is_out_when_an_order_comes_is_no_hole)
{
	struct fake_queue *q;

	jobs_declare("");
	jobs_publish_lane("abc");
	q = jobs_receive("abc");
	give_back(q, 0);
	queue_declare(&api, "jobs",
	    "{\"bindings\":[{\"filter\":\"t/#\",\"qos\":2}],\"order\":\"topic\"}", SQ_QUEUE_DONE);
	give_back(q, 1);
	give_back(q, 2);
	queue_free(&q);
	q = jobs_receive("abc");
	jobs_ack(&q);
}

CONTRACT(attempts_are_counted_over_restarts)
{
	struct fake_queue *q;

	jobs_declare(",\"maxAttempts\":3");
	jobs_publish("a");
	for (uint32_t i = 1; i <= 3; i++) {
		q = jobs_receive("a");
		cr_assert_eq(jobs_pulled(q, 0)->attempt, i);
		cr_assert_eq(jobs_settle(q, SQ_LEASE_NACK), SQ_QUEUE_DONE);
		queue_free(&q);
		if (queue_world_durable())
			queue_world_restart();
	}
	jobs_expect_nothing();
	cr_assert_eq(queue_ready(&api, "jobs"), 0);
}

CONTRACT(an_expiry_counts_over_restarts)
{
	struct fake_queue *q;

	jobs_declare(",\"maxAttempts\":2,\"lease\":\"1s\",\"exactlyOnce\":true");
	jobs_publish("a");
	q = jobs_receive("a");
	queue_free(&q);
	world_pass(&w, 1500);
	world_run();
	if (queue_world_durable())
		queue_world_restart();
	q = jobs_receive("a");
	cr_assert_eq(jobs_pulled(q, 0)->attempt, 2);
	queue_free(&q);
	world_pass(&w, 1500);
	jobs_expect_nothing();
}

CONTRACT(members_and_pullers_share_a_queue)
{
	struct peer member = peer_new(&w, "s~w~member~pod");
	struct fake_queue *q;
	struct fake_delivery *d;
	unsigned n = 0;

	jobs_declare("");
	peer_connect(&member);
	cr_assert_eq(peer_subscribe(&member, "$queue/jobs", 1), 1);
	q = jobs_receive_post(3, 20000);
	jobs_publish("abcdef");
	jobs_await(q, 1000);
	while ((d = peer_next(&member)) != NULL) {
		cr_assert_eq(peer_settle(&member, SQ_SETTLE_ACK, d->delivery, 1), 204);
		n++;
	}
	cr_assert_geq(jobs_n_pulled(q), 1);
	cr_assert_eq(n + jobs_n_pulled(q), 6);
	jobs_ack(&q);
}

CONTRACT(a_puller_comes_back_after_a_while)
{
	struct fake_queue *q;

	jobs_declare("");
	for (unsigned i = 0; i < 3; i++) {
		jobs_publish("a");
		q = jobs_receive("a");
		jobs_ack(&q);
		jobs_expect_nothing();
		world_pass(&w, 15000);
	}
}

CONTRACT(a_receipt_comes_with_the_acknowledgement)
{
	static const char *const props[] = {
	    "sqmqos-qos", "3", "sqmqos-key", "k", "sqmqos-receipt", "receipts", NULL};
	struct fake_queue *q;

	jobs_declare("");
	queue_declare(
	    &api, "receipts", "{\"bindings\":[{\"filter\":\"receipts\"}]}", SQ_QUEUE_CREATED);
	(void)publisher_send(
	    &http, &(struct entry){.topic = "t/a", .payload = "a", .qos = 2, .props = props});
	q = jobs_receive("a");
	cr_assert_eq(jobs_pulled(q, 0)->qos, 3);
	cr_assert_eq(queue_ready(&api, "receipts"), 0);
	jobs_ack(&q);
	cr_assert_eq(queue_ready(&api, "receipts"), 1);
}

CONTRACT(what_a_puller_gives_back_goes_to_a_member)
{
	struct peer member = peer_new(&w, "s~w~member~pod");
	struct fake_queue *q;

	jobs_declare("");
	jobs_publish("a");
	q = jobs_receive("a");
	peer_connect(&member);
	cr_assert_eq(peer_subscribe(&member, "$queue/jobs", 1), 1);
	peer_expect_nothing(&member);
	cr_assert_eq(jobs_settle(q, SQ_LEASE_NACK), SQ_QUEUE_DONE);
	world_pass(&w, 1500);
	peer_expect(&member, "a");
	queue_free(&q);
}

CONTRACT(nothing_goes_out_of_a_queue_that_is_paused)
{
	struct fake_queue *q;

	jobs_declare("");
	jobs_publish("ab");
	queue_ask(&api, SQ_QUEUE_PAUSE, "jobs", SQ_QUEUE_DONE);
	jobs_expect_nothing();
	if (queue_world_durable()) {
		queue_world_restart();
		jobs_expect_nothing();
	}
	q = jobs_receive_post(9, 20000);
	world_pass(&w, 1000);
	cr_assert_eq(q->answers, 0);
	queue_ask(&api, SQ_QUEUE_RESUME, "jobs", SQ_QUEUE_DONE);
	jobs_await(q, 1000);
	cr_assert_str_eq(jobs_letters_of(q), "ab");
	jobs_ack(&q);
}

CONTRACT(a_purge_takes_what_waits_in_lanes_and_for_its_time)
{
	struct fake_queue *q, *late;

	jobs_declare(",\"order\":\"topic\"");
	jobs_publish("aabb");
	q = jobs_receive_post(1, 20000); /* the rest of its lane comes to the dispatcher */
	jobs_await(q, 1000);
	late = jobs_receive_post(9, 1000);
	jobs_await(late, 2000);
	cr_assert_str_eq(jobs_letters_of(late), "bb");
	cr_assert_eq(jobs_settle(late, SQ_LEASE_NACK), SQ_QUEUE_DONE);
	queue_free(&late);
	queue_ask(&api, SQ_QUEUE_PURGE, "jobs", SQ_QUEUE_DONE);
	cr_assert_eq(queue_ready(&api, "jobs"), 0);
	jobs_ack(&q);
	world_pass(&w, 2000);
	jobs_expect_nothing();
}

CONTRACT(who_waits_is_told_of_the_end)
{
	struct fake_queue *q;

	jobs_declare("");
	q = jobs_receive_post(1, 60000);
	queue_ask(&api, SQ_QUEUE_DELETE, "jobs", SQ_QUEUE_DONE);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_MISSING);
	queue_free(&q);
	jobs_declare("");
	q = jobs_receive_post(1, 60000);
	queue_world_restart();
	cr_assert_eq(q->answers, 1);
	cr_assert_eq(q->call.verdict, SQ_VERDICT_DRAINING);
	queue_free(&q);
}

CONTRACT(a_queue_ends_with_its_leases)
{
	struct fake_queue *q, *gone = NULL;

	jobs_declare(",\"exactlyOnce\":true");
	jobs_publish("ab");
	q = jobs_receive("ab");
	gone = queue_new(&api, SQ_QUEUE_DELETE, "jobs");
	gone->call.in.queue.in.remove.with_messages = true;
	queue_expect(&gone, SQ_QUEUE_DONE);
	cr_assert_eq(jobs_settle(q, SQ_LEASE_ACK), SQ_QUEUE_PARTLY);
	world_pass(&w, 2000);
	if (w.cfg.engine == &stored_engine) {
		cr_assert_eq(stored_engine_records(SQ_RECORD_LEASE), 0);
		cr_assert_eq(stored_engine_items(), 0);
	}
	queue_free(&q);
}

/* Settlements that publish. */

static struct sq_msg messages[3];

/* Acknowledges, and publishes a message, one a letter, to "out/" with the letter. */
static struct fake_queue *
transform_begin(const struct fake_queue *of, const char *letters, const char *const *props)
{
	struct fake_queue *q = jobs_settle_post(of, SQ_LEASE_ACK);
	struct sq_queue_settle *in = &q->call.in.queue.in.settle;

	in->msgs = messages;
	in->print = 1 + (uint64_t)letters[0];
	for (; letters[in->n_msgs] != '\0'; in->n_msgs++) {
		char topic[] = "out/x", payload[] = {letters[in->n_msgs], '\0'};

		topic[4] = letters[in->n_msgs];
		messages[in->n_msgs] = entry_message(
		    &(struct entry){.topic = topic[4] == '!' ? "locked" : topic,
			.payload = payload,
			.qos = props != NULL ? 2 : 1,
			.props = props});
	}
	return q;
}

static void
transform_free(struct fake_queue **qp)
{
	for (uint16_t i = 0; i < (*qp)->call.in.queue.in.settle.n_msgs; i++)
		sq_msg_unref(&messages[i]);
	queue_free(qp);
}

static enum sq_queue_how
transform(const struct fake_queue *of, const char *letters, const char *const *props)
{
	struct fake_queue *q = transform_begin(of, letters, props);
	enum sq_queue_how how;

	queue_post(q);
	how = queue_await(q)->how;
	transform_free(&q);
	return how;
}

static void
declare_out(void)
{
	queue_declare(&api, "out", "{\"bindings\":[{\"filter\":\"out/#\"}],\"maxMessages\":3}",
	    SQ_QUEUE_CREATED);
}

CONTRACT(a_settlement_publishes_in_one)
{
	struct fake_queue *q, *t;
	const struct sq_published *p;

	jobs_declare("");
	declare_out();
	jobs_publish("ab");
	q = jobs_receive("ab");
	t = transform_begin(q, "xy", NULL);
	queue_post(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_DONE);
	p = t->call.out.queue.published;
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(p[i].how, SQ_PUBLISHED_STORED);
		cr_assert_eq(p[i].matched, 1);
	}
	transform_free(&t);
	cr_assert_eq(queue_ready(&api, "out"), 2);
	jobs_expect_nothing();
	queue_free(&q);
}

CONTRACT(what_is_repeated_is_answered_as_the_first_time)
{
	struct fake_queue *q, *t;
	const struct sq_published *p;
	unsigned char id[16];

	jobs_declare("");
	declare_out();
	jobs_publish("a");
	q = jobs_receive("a");
	t = transform_begin(q, "x", NULL);
	queue_post(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_DONE);
	memcpy(id, t->call.out.queue.published[0].id, sizeof id);
	transform_free(&t);
	for (unsigned i = 0; i < 3; i++) {
		t = transform_begin(q, "x", NULL);
		queue_post(t);
		cr_assert_eq(queue_await(t)->how, SQ_QUEUE_REPLAYED, "%s %u: %d",
		    w.cfg.engine->name, i, (int)t->call.out.queue.how);
		p = t->call.out.queue.published;
		cr_assert(p[0].how == SQ_PUBLISHED_STORED && p[0].matched == 1);
		cr_assert_arr_eq(p[0].id, id, sizeof id);
		transform_free(&t);
		cr_assert_eq(transform(q, "y", NULL), SQ_QUEUE_KEY_REUSED);
		cr_assert_eq(transform(q, "xy", NULL), SQ_QUEUE_KEY_REUSED);
		cr_assert_eq(queue_ready(&api, "out"), 1);
		if (queue_world_durable())
			queue_world_restart();
	}
	queue_free(&q);
}

/* A DELETE that is refused at its second look: a message comes while pullers are sent away. */
static void
refuse_delete(struct fake_queue *settle)
{
	struct fake_queue *gone = queue_new(&api, SQ_QUEUE_DELETE, "jobs");
	struct fake_publish *late;

	queue_post(gone); /* its first look refuses nothing, as nothing has come yet */
	if (settle != NULL)
		queue_post(settle);
	late = publisher_post(&http, &(struct entry){.topic = "t/l", .payload = "l", .qos = 1}, 1);
	cr_assert_eq(queue_await(gone)->how, SQ_QUEUE_NOT_EMPTY);
	(void)publish_outcomes(late);
	publish_free(&late);
	queue_free(&gone);
}

Test(pulls, a_delete_that_is_refused_forgets_nothing)
{
	struct fake_queue *q, *t, *plain;

	queue_world_stored(jobs_rules);
	jobs_declare(",\"exactlyOnce\":true");
	declare_out();
	jobs_publish("a");
	q = jobs_receive("a");
	cr_assert_eq(transform(q, "x", NULL), SQ_QUEUE_DONE);
	jobs_publish("b");
	plain = jobs_receive("b");
	cr_assert_eq(jobs_settle(plain, SQ_LEASE_ACK), SQ_QUEUE_DONE);
	t = transform_begin(q, "x", NULL);
	refuse_delete(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_REPLAYED, "it was asked meanwhile");
	transform_free(&t);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(transform(q, "x", NULL), SQ_QUEUE_REPLAYED);
		cr_assert_eq(jobs_settle(plain, SQ_LEASE_ACK), SQ_QUEUE_DONE, "said again");
		cr_assert_eq(queue_ready(&api, "out"), 1);
		queue_world_restart();
	}
	queue_free(&q);
	q = jobs_receive("l");
	jobs_ack(&q);
	queue_ask(&api, SQ_QUEUE_DELETE, "jobs", SQ_QUEUE_DONE);
	world_run();
	cr_assert_eq(stored_engine_records(SQ_RECORD_SETTLED), 0);
	cr_assert_eq(stored_engine_records(SQ_RECORD_LEASE), 0);
	cr_assert_eq(jobs_settle(plain, SQ_LEASE_ACK), SQ_QUEUE_PARTLY);
	queue_free(&plain);
	queue_world_end();
}

CONTRACT(one_lost_lease_and_nothing_happens)
{
	struct fake_queue *q, *one, *t;

	jobs_declare("");
	declare_out();
	jobs_publish("ab");
	q = jobs_receive("ab");
	one = jobs_settle_post(q, SQ_LEASE_ACK);
	one->call.in.queue.in.settle.n = 1;
	queue_post(one);
	cr_assert_eq(queue_await(one)->how, SQ_QUEUE_DONE);
	queue_free(&one);
	t = transform_begin(q, "x", NULL);
	queue_post(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_LOST);
	cr_assert_eq(t->call.out.queue.culprit, 0);
	transform_free(&t);
	cr_assert_eq(queue_ready(&api, "out"), 0);
	one = jobs_settle_post(q, SQ_LEASE_ACK);
	queue_post(one);
	cr_assert_eq(queue_await(one)->how, SQ_QUEUE_DONE, "the other lease still holds");
	queue_free(&one);
	queue_free(&q);
}

CONTRACT(one_refused_message_and_nothing_happens)
{
	struct fake_queue *q, *t;

	jobs_declare("");
	declare_out();
	jobs_publish("a");
	q = jobs_receive("a");
	t = transform_begin(q, "x!", NULL);
	queue_post(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_UNPUBLISHED);
	cr_assert_eq(t->call.out.queue.culprit, 1);
	cr_assert_eq(t->call.out.queue.published[1].how, SQ_PUBLISHED_REFUSED);
	cr_assert_eq(t->call.out.queue.published[1].refusal, SQ_REFUSAL_DENIED);
	transform_free(&t);
	cr_assert_eq(queue_ready(&api, "out"), 0);
	cr_assert_eq(transform(q, "x", NULL), SQ_QUEUE_DONE, "nothing of it was remembered");
	cr_assert_eq(queue_ready(&api, "out"), 1);
	queue_free(&q);
}

CONTRACT(a_full_queue_refuses_the_settlement)
{
	struct fake_queue *q;

	jobs_declare("");
	declare_out();
	jobs_publish("a");
	q = jobs_receive("a");
	for (unsigned i = 0; i < 2; i++)
		(void)publisher_send(
		    &http, &(struct entry){.topic = "out/z", .payload = "z", .qos = 1});
	cr_assert_eq(transform(q, "xy", NULL), SQ_QUEUE_UNPUBLISHED);
	cr_assert_eq(queue_ready(&api, "out"), 2);
	cr_assert_eq(transform(q, "x", NULL), SQ_QUEUE_DONE);
	queue_free(&q);
}

CONTRACT(a_lease_is_named_once)
{
	struct fake_queue *q, *t;

	jobs_declare("");
	declare_out();
	jobs_publish("ab");
	q = jobs_receive("ab");
	t = transform_begin(q, "x", NULL);
	((struct sq_lease_entry *)(uintptr_t)t->call.in.queue.in.settle.entries)[1].lease =
	    t->call.in.queue.in.settle.entries[0].lease;
	queue_post(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_INVALID);
	transform_free(&t);
	cr_assert_eq(transform(q, "x", NULL), SQ_QUEUE_DONE);
	queue_free(&q);
}

CONTRACT(a_lease_that_is_acknowledged_twice_at_once_is_not_lost)
{
	struct fake_queue *q, *t;

	jobs_declare("");
	jobs_publish("ab");
	q = jobs_receive("ab");
	t = jobs_settle_post(q, SQ_LEASE_ACK);
	((struct sq_lease_entry *)(uintptr_t)t->call.in.queue.in.settle.entries)[1].lease =
	    t->call.in.queue.in.settle.entries[0].lease;
	queue_post(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_DONE);
	queue_free(&t);
	t = jobs_settle_post(q, SQ_LEASE_ACK);
	((struct sq_lease_entry *)(uintptr_t)t->call.in.queue.in.settle.entries)[0] =
	    (struct sq_lease_entry){
		.lease = sq_bytes_of(jobs_pulled(q, 1)->lease), .end = SQ_LEASE_REJECT};
	queue_post(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_PARTLY); /* it is no acknowledgement's */
	queue_free(&t);
	queue_free(&q);
}

/* Publishes a letter, and has the leases live on for 5 s. */
static enum sq_queue_how
keep(const struct fake_queue *of, const char *letter)
{
	struct fake_queue *q = transform_begin(of, letter, NULL);
	const struct sq_queue_settle *in = &q->call.in.queue.in.settle;
	enum sq_queue_how how;

	for (uint16_t i = 0; i < in->n; i++)
		((struct sq_lease_entry *)(uintptr_t)in->entries)[i].end = SQ_LEASE_EXTEND;
	for (uint16_t i = 0; i < in->n; i++)
		((struct sq_lease_entry *)(uintptr_t)in->entries)[i].ms = 5000;
	queue_post(q);
	how = queue_await(q)->how;
	transform_free(&q);
	return how;
}

/* Whoever tells how far it is keeps its lease, and may end it with another message. */
CONTRACT(a_lease_is_extended_each_time)
{
	struct fake_queue *q;

	jobs_declare("");
	declare_out();
	jobs_publish("a");
	q = jobs_receive("a");
	cr_assert_eq(keep(q, "x"), SQ_QUEUE_DONE);
	for (unsigned i = 0; i < 4; i++) {
		world_pass(&w, 4000);
		cr_assert_eq(keep(q, "x"), SQ_QUEUE_REPLAYED);
	}
	cr_assert_eq(queue_ready(&api, "out"), 1);
	cr_assert_eq(keep(q, "y"), SQ_QUEUE_DONE);
	cr_assert_eq(transform(q, "z", NULL), SQ_QUEUE_DONE);
	cr_assert_eq(queue_ready(&api, "out"), 3);
	cr_assert_eq(keep(q, "x"), SQ_QUEUE_LOST);
	queue_free(&q);
}

CONTRACT(keys_and_what_is_rejected_go_with_it)
{
	static const char *const keyed[] = {"sqmqos-qos", "3", "sqmqos-key", "k", NULL};
	struct fake_queue *q, *t;

	jobs_declare(",\"exactlyOnce\":true");
	declare_out();
	jobs_publish("ab");
	q = jobs_receive("ab");
	t = transform_begin(q, "x", keyed);
	((struct sq_lease_entry *)(uintptr_t)t->call.in.queue.in.settle.entries)[1].end =
	    SQ_LEASE_REJECT;
	queue_post(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_DONE);
	transform_free(&t);
	jobs_expect_nothing();
	queue_free(&q);
	jobs_publish("c");
	q = jobs_receive("c");
	t = transform_begin(q, "x", keyed);
	queue_post(t);
	cr_assert_eq(queue_await(t)->how, SQ_QUEUE_DONE);
	cr_assert_eq(t->call.out.queue.published[0].how, SQ_PUBLISHED_REPLAYED);
	transform_free(&t);
	cr_assert_eq(queue_ready(&api, "out"), 1);
	queue_free(&q);
}

CONTRACT(requests_are_forgotten_in_their_time)
{
	struct fake_queue *q;

	jobs_declare("");
	declare_out();
	jobs_publish("a");
	q = jobs_receive("a");
	cr_assert_eq(transform(q, "x", NULL), SQ_QUEUE_DONE);
	world_pass(&w, 3600 * 1000 + 1000);
	world_run();
	cr_assert_eq(transform(q, "x", NULL), SQ_QUEUE_LOST);
	if (w.cfg.engine == &stored_engine)
		cr_assert_eq(stored_engine_records(SQ_RECORD_SETTLED), 0);
	queue_free(&q);
}

Test(pulls, a_request_that_is_not_durable_is_not_answered_twice)
{
	struct fake_queue *q, *t, *again;

	queue_world_stored(jobs_rules);
	jobs_declare(",\"exactlyOnce\":true");
	declare_out();
	jobs_publish("a");
	q = jobs_receive("a");
	stored_engine_hold(true);
	t = transform_begin(q, "x", NULL);
	queue_post(t);
	world_run();
	cr_assert_eq(t->answers, 0);
	again = jobs_settle_post(q, SQ_LEASE_ACK);
	again->call.in.queue.in.settle = t->call.in.queue.in.settle;
	queue_post(again);
	world_run();
	cr_assert_eq(again->answers, 0, "before the first is durable");
	queue_world_crash();
	queue_free(&again);
	transform_free(&t);
	cr_assert_eq(queue_ready(&api, "out"), 0);
	cr_assert_eq(transform(q, "x", NULL), SQ_QUEUE_DONE, "as nothing of it has happened");
	stored_engine_crash();
	queue_world_restart();
	cr_assert_eq(queue_ready(&api, "out"), 1);
	jobs_expect_nothing();
	cr_assert_eq(transform(q, "x", NULL), SQ_QUEUE_REPLAYED);
	queue_free(&q);
	queue_world_end();
}

Test(pulls, a_lease_that_is_not_durable_is_not_told)
{
	struct fake_queue *q, *again;

	queue_world_stored(jobs_rules);
	jobs_declare(",\"exactlyOnce\":true");
	jobs_publish("a");
	stored_engine_hold(true);
	q = jobs_receive_post(1, 20000);
	world_pass(&w, 1000);
	cr_assert_eq(q->answers, 0);
	cr_assert_eq(stored_engine_waiting(), 1);
	queue_world_crash();
	again = jobs_receive("a");
	cr_assert_eq(jobs_pulled(again, 0)->attempt, 1);
	jobs_ack(&again);
	queue_free(&q);
	queue_world_end();
}

Test(pulls, what_is_acknowledged_stays_so_over_a_crash)
{
	struct fake_queue *q, *s;

	queue_world_stored(jobs_rules);
	jobs_declare(",\"exactlyOnce\":true");
	jobs_publish("ab");
	q = jobs_receive("ab");
	stored_engine_hold(true);
	s = jobs_settle_post(q, SQ_LEASE_ACK);
	queue_post(s);
	world_run();
	cr_assert_eq(s->answers, 0);
	queue_world_crash(); /* before it is durable: the leases go on */
	queue_free(&s);
	jobs_expect_nothing();
	cr_assert_eq(jobs_settle(q, SQ_LEASE_ACK), SQ_QUEUE_DONE);
	stored_engine_crash(); /* and behind its answer */
	queue_world_restart();
	jobs_expect_nothing();
	cr_assert_eq(stored_engine_items(), 0);
	queue_free(&q);
	queue_world_end();
}

/* Counts. */

static void
expect_counts(uint64_t ready, uint64_t leased, uint64_t parked)
{
	struct fake_queue *q = queue_get(&api, "jobs");
	const struct sq_queue_info *info = queue_info(q, 0);

	cr_assert(info->ready == ready && info->leased == leased && info->parked == parked,
	    "%s: %llu ready, %llu leased, %llu parked", w.cfg.engine->name,
	    (unsigned long long)info->ready, (unsigned long long)info->leased,
	    (unsigned long long)info->parked);
	cr_assert_eq(info->ready_bytes > 0, ready > 0);
	queue_free(&q);
}

/* Whoever has a message at the moment, the queue or its dispatcher. */
CONTRACT(what_the_queue_has_is_counted_once)
{
	struct fake_queue *q;

	jobs_declare(",\"order\":\"topic\"");
	jobs_publish_lane("abcd");
	expect_counts(4, 0, 0);
	q = jobs_receive_post(2, 60000);
	jobs_await(q, 2000);
	expect_counts(2, 2, 0);
	cr_assert_eq(jobs_settle(q, SQ_LEASE_NACK), SQ_QUEUE_DONE);
	queue_free(&q);
	world_run();
	expect_counts(2, 0, 2); /* the other two stand behind them */
	jobs_expect_nothing();
	expect_counts(2, 0, 2);
	world_pass(&w, 6000);
	expect_counts(4, 0, 0);
	q = jobs_receive("abcd");
	expect_counts(0, 4, 0);
	jobs_ack(&q);
	expect_counts(0, 0, 0);
}

CONTRACT(what_comes_behind_retries_is_there_at_once)
{
	struct fake_queue *q;

	jobs_declare("");
	jobs_publish("ab");
	q = jobs_receive("ab");
	cr_assert_eq(jobs_settle(q, SQ_LEASE_NACK), SQ_QUEUE_DONE);
	queue_free(&q);
	jobs_publish("c");
	q = jobs_receive_post(1, 0);
	jobs_await(q, 500);
	cr_assert_str_eq(jobs_letters_of(q), "c", "%s: %s", w.cfg.engine->name, jobs_letters_of(q));
	jobs_ack(&q);
}

Test(pulls, an_attempt_that_is_not_durable_is_counted)
{
	struct fake_queue *q, *s;

	queue_world_stored(jobs_rules);
	jobs_declare("");
	jobs_publish("a");
	q = jobs_receive("a");
	stored_engine_hold(true);
	s = jobs_settle_post(q, SQ_LEASE_NACK);
	queue_post(s);
	world_run();
	cr_assert_eq(s->answers, 0);
	expect_counts(0, 0, 1);
	stored_engine_hold(false);
	stored_engine_release();
	cr_assert_eq(queue_await(s)->how, SQ_QUEUE_DONE);
	expect_counts(0, 0, 1);
	queue_free(&s);
	queue_free(&q);
	queue_world_end();
}
