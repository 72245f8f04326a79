/* Pull: a queue's dispatcher with real engines' queues, its leases, and the requests that wait. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/engine/record.h"
#include "broker/group/group.h"
#include "broker/route/space.h"
#include "broker/shard/source.h"
#include "broker/shard/system_txn.h"
#include "broker/subscriber/pull.h"
#include "broker/subscriber/pull_past.h"
#include "broker/subscriber/pulls.h"
#include "core/mem.h"

enum { QUEUE = 4711, PER_CALL_MAX = 64 };

static struct world w;
static struct sq_pulls *all;
static struct sq_tenant *tenant;
static struct sq_group *group;
static struct sq_declaration decl;
static struct sq_pull *pull;
static const struct sq_identity *who;
static unsigned ends, n_puts;

/* A request. */
struct request {
	struct sq_call call;
	struct sq_lease_entry entries[PER_CALL_MAX];
	unsigned answers;
	bool gone;            /* its caller */
	struct request *next; /* that its answer brings */
};

static void
request_done(struct sq_call *c)
{
	struct request *r = SQ_CONTAINER_OF(c, struct request, call);

	r->answers++;
	if (r->next != NULL && r->next->call.in.queue.op == SQ_QUEUE_SETTLE)
		sq_pull_settle(pull, &r->next->call);
	else if (r->next != NULL)
		sq_pull_receive(pull, &r->next->call);
}

static bool
request_alive(struct sq_call *c)
{
	return !SQ_CONTAINER_OF(c, struct request, call)->gone;
}

static void
pull_ended(void *arg, struct sq_pull_past *past)
{
	(void)arg;
	sq_pull_past_free(&past);
	ends++;
}

static void
begin(void)
{
	struct sq_system_txn *own = NULL;
	struct sq_queue_cfg q = {.name = "queue~s~jobs#1267",
	    .max_msgs = 1000,
	    .max_bytes = 1 << 20,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .durable = true};

	world_start(&w, 1);
	q.owner = fake_worker(0);
	all = sq_pulls_new(w.broker);
	tenant = sq_tenant_get(w.broker->tenants, "s");
	group = sq_group_new_pinned(
	    w.broker, tenant, QUEUE, &q, sq_system_txn(&w.broker->shards[0], &own));
	sq_system_commit(&own);
	pull = sq_pull_new(&(struct sq_pull_cfg){.all = all,
	    .shard = &w.broker->shards[0],
	    .group = group,
	    .decl = &decl,
	    .ended = pull_ended});
	who = sq_identity_new(&(const struct sq_identity){.id = 9, .name = "token:me"});
	ends = n_puts = 0;
	world_run();
}

static void
setup(void)
{
	stored_engine_reset();
	world_init(&w);
	sq_declaration_init(&decl);
	decl.lease_ms = 30000;
	decl.max_attempts = 3;
	decl.retry = (struct sq_dispatch_retry){.first_ms = 1000, .max_ms = 10000, .factor = 2};
	w.cfg.pull_max_leases = 20;
}

static void
setup_memory(void)
{
	setup();
	begin();
}

static void
setup_stored(void)
{
	setup();
	w.cfg.engine = &stored_engine;
	begin();
}

static void
end_pull(void)
{
	if (pull != NULL)
		sq_pull_end(pull);
	pull = NULL;
	world_run();
	cr_assert_eq(ends, 1);
}

static void
teardown(void)
{
	struct sq_system_txn *own = NULL;

	end_pull();
	sq_group_free_pinned(&group, sq_system_txn(&w.broker->shards[0], &own));
	sq_system_commit(&own);
	sq_tenant_unref(&tenant);
	sq_identity_unref(&who);
	sq_pulls_free(&all);
	sq_declaration_fini(&decl);
	cr_assert_eq(world_metric(SQ_M_PULL_LEASES), 0);
	cr_assert_eq(world_metric(SQ_M_DISPATCH_LANES), 0);
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(pull, .init = setup_memory, .fini = teardown);
TestSuite(pull_stored, .init = setup_stored, .fini = teardown);

/* Lets time pass, with the ticks of the pull. */
static void
pass(uint64_t ms)
{
	for (uint64_t end = fake_now() + ms; fake_now() < end;) {
		world_pass(&w, 100 < end - fake_now() ? 100 : end - fake_now());
		sq_pulls_tick(all, &w.broker->shards[0], fake_now());
		world_run();
	}
}

/* Puts messages, one a letter: the letter is the payload, and "t/" with it the topic. */
static void
put(const char *letters)
{
	struct sq_system_txn *own = NULL;
	struct sq_txn *txn = sq_system_txn(&w.broker->shards[0], &own);

	for (; *letters != '\0'; letters++) {
		char topic[] = "t/x";
		struct sq_item item = {.qos = 1, .origin = {1, 1, ++n_puts, 0}};

		topic[2] = *letters;
		item.msg = sq_msg_new(1, false, text(topic), text(NULL), SQ_MSG_NO_EXPIRY,
		    (struct sq_bytes){(const unsigned char *)letters, 1});
		cr_assert_eq(txn->engine->ops->txn.put(txn, group->sink.queue, &item), SQ_OK);
	}
	sq_system_commit(&own);
	world_run();
}

static struct request *
request_new(enum sq_queue_op op)
{
	struct request *r = sq_xcalloc(1, sizeof *r);

	r->call.kind = SQ_CALL_QUEUE;
	r->call.broker = w.broker;
	r->call.done = request_done;
	r->call.in.queue = (struct sq_call_queue){.who = who, .op = op};
	return r;
}

static struct request *
receive_begin(unsigned max, uint64_t wait_ms)
{
	struct request *r = request_new(SQ_QUEUE_RECEIVE);

	r->call.in.queue.in.receive = (struct sq_queue_receive){
	    .max = max, .max_bytes = 1 << 20, .wait_ms = wait_ms, .alive = request_alive};
	return r;
}

static struct request *
receive_post(unsigned max, uint64_t wait_ms)
{
	struct request *r = receive_begin(max, wait_ms);

	sq_pull_receive(pull, &r->call);
	world_run();
	return r;
}

static struct sq_pulled *
pulled(struct request *r)
{
	return (void *)sq_buf_data(&r->call.out.queue.pulled);
}

/* The request was answered with these messages, one a letter. */
static void
expect(struct request *r, const char *letters)
{
	char is[PER_CALL_MAX] = "";

	cr_assert_eq(r->answers, 1, "not answered");
	cr_assert_eq(r->call.verdict, SQ_VERDICT_OK);
	cr_assert_eq(r->call.out.queue.how, SQ_QUEUE_DONE);
	for (size_t i = 0; i < sq_queue_out_pulled(&r->call.out.queue); i++)
		is[i] = (char)sq_image_payload(pulled(r)[i].msg.image).p[0];
	cr_assert_str_eq(is, letters);
}

static void
request_free(struct request *r)
{
	cr_assert_eq(r->answers, 1);
	sq_queue_out_fini(&r->call.out.queue);
	free(r);
}

/* A request that does not wait. */
static struct request *
receive(unsigned max)
{
	struct request *r = receive_post(max, 0);

	pass(100);
	cr_assert_eq(r->answers, 1);
	return r;
}

static void
expect_now(unsigned max, const char *letters)
{
	struct request *r = receive(max);

	expect(r, letters);
	request_free(r);
}

/* Settles all that a request has brought. */
static struct request *
settle_post(struct request *of, enum sq_lease_end end)
{
	struct request *r = request_new(SQ_QUEUE_SETTLE);
	size_t n = sq_queue_out_pulled(&of->call.out.queue);

	for (size_t i = 0; i < n; i++)
		r->entries[i] = (struct sq_lease_entry){
		    .lease = sq_bytes_of(pulled(of)[i].lease), .end = end};
	r->call.in.queue.in.settle = (struct sq_queue_settle){
	    .entries = r->entries, .n = (uint16_t)n};
	return r;
}

static void
settle_send(struct request *r)
{
	sq_pull_settle(pull, &r->call);
	world_run();
}

static enum sq_queue_how
settle_end(struct request *r)
{
	enum sq_queue_how how;

	cr_assert_eq(r->answers, 1);
	cr_assert_eq(r->call.verdict, SQ_VERDICT_OK);
	how = r->call.out.queue.how;
	request_free(r);
	return how;
}

static enum sq_queue_how
settle(struct request *of, enum sq_lease_end end)
{
	struct request *r = settle_post(of, end);

	settle_send(r);
	return settle_end(r);
}

static enum sq_queue_how
nack(struct request *of, bool untried, uint64_t ms)
{
	struct request *r = settle_post(of, SQ_LEASE_NACK);

	for (unsigned i = 0; i < r->call.in.queue.in.settle.n; i++) {
		r->entries[i].untried = untried;
		r->entries[i].timed = ms != UINT64_MAX;
		r->entries[i].ms = ms;
	}
	settle_send(r);
	return settle_end(r);
}

static void
redeclare(enum sq_declared_order order)
{
	decl.order = order;
	sq_pull_declare(pull, &decl);
	world_run();
}

/* Messages of which it was observed how long they took. */
static uint64_t
observed(void)
{
	const struct sq_histogram *h = sq_metric_histogram(&sq_broker_metrics, SQ_H_END_TO_END);
	uint64_t n = 0;

	for (unsigned i = 0; i < SQ_HISTOGRAM_LANES; i++) {
		for (unsigned j = 0; j <= SQ_HISTOGRAM_BOUNDS; j++)
			n += atomic_load(&h->lanes[i].counts[j]);
	}
	return n;
}

/* Receives. */

Test(pull, brings_what_is_there)
{
	struct request *r;
	uint64_t before;

	put("abc");
	r = receive(10);
	expect(r, "abc");
	cr_assert_eq(pulled(r)[0].attempt, 1);
	cr_assert_eq(pulled(r)[0].qos, 1);
	cr_assert_eq(sq_lease_queue(sq_bytes_of(pulled(r)[1].lease)), QUEUE);
	cr_assert_eq(sq_pull_count(pull).leased, 3);
	cr_assert_eq(world_metric(SQ_M_PULL_LEASES), 3);
	cr_assert_neq(group->sink.taken_ms, 0, "who publishes more is to know");
	expect_now(10, "");
	before = observed();
	cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_DONE);
	cr_assert_eq(observed() - before, 3);
	cr_assert_eq(sq_pull_count(pull).leased, 0);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
	request_free(r);
}

Test(pull, is_answered_at_once_where_nothing_waits)
{
	struct request *r = receive_post(1, 0);

	expect(r, "");
	request_free(r);
}

Test(pull, is_woken_by_a_message_and_does_not_wait_for_more)
{
	struct request *r = receive_post(10, 20000);

	pass(5000);
	cr_assert_eq(r->answers, 0);
	cr_assert_eq(sq_pull_count(pull).pollers, 1);
	put("ab");
	expect(r, "ab");
	request_free(r);
	cr_assert_eq(sq_pull_count(pull).pollers, 0);
}

Test(pull, waits_as_long_as_it_says)
{
	struct request *r = receive_post(10, 20000);

	pass(19900);
	cr_assert_eq(r->answers, 0);
	pass(200);
	expect(r, "");
	request_free(r);
	put("a");
	expect_now(1, "a");
}

Test(pull, those_who_wait_are_served_in_turn)
{
	struct request *a = receive_post(1, 9000), *b = receive_post(1, 9000);
	struct request *c = receive_post(1, 9000);

	put("xy");
	expect(a, "x");
	expect(b, "y");
	cr_assert_eq(c->answers, 0);
	put("z");
	expect(c, "z");
	request_free(a);
	request_free(b);
	request_free(c);
}

Test(pull, who_has_left_leases_nothing)
{
	struct request *a = receive_post(2, 9000), *b = receive_post(2, 9000);

	a->gone = true;
	put("xy");
	expect(a, "");
	expect(b, "xy");
	cr_assert_eq(sq_pull_count(pull).leased, 2);
	cr_assert_eq(pulled(b)[0].attempt, 1);
	request_free(a);
	request_free(b);
}

Test(pull, who_has_left_does_not_wait_to_the_end)
{
	struct request *r = receive_post(1, 60000);

	r->gone = true;
	pass(15200);
	expect(r, "");
	request_free(r);
	cr_assert_eq(sq_pull_count(pull).pollers, 0);
}

Test(pull, who_has_left_holds_up_no_lane)
{
	struct request *a, *b;

	redeclare(SQ_ORDER_STRICT);
	a = receive_post(2, 9000);
	b = receive_post(2, 9000);
	a->gone = true;
	put("xy");
	expect(a, "");
	expect(b, "x");
	request_free(a);
	request_free(b);
}

Test(pull, has_as_many_bytes_as_it_asks_for)
{
	struct request *r = receive_begin(10, 0);

	put("abc");
	r->call.in.queue.in.receive.max_bytes = 50; /* an image has 20 */
	sq_pull_receive(pull, &r->call);
	world_run();
	expect(r, "ab");
	request_free(r);
	expect_now(9, "c");
}

Test(pull, the_leases_of_a_queue_are_bounded)
{
	struct request *r;

	put("abcdefghijklmnopqrstuvwxyz");
	expect_now(30, "abcdefghijklmnopqrst");
	r = receive_post(1, 9000);
	cr_assert_eq(r->answers, 1);
	cr_assert_eq(r->call.out.queue.how, SQ_QUEUE_CROWDED);
	cr_assert_gt(sq_buf_len(&r->call.out.queue.detail), 0);
	request_free(r);
}

Test(pull_stored, settles_at_once_before_it_answers)
{
	struct request *r = receive_begin(10, 0);

	put("ab");
	r->call.in.queue.in.receive.at_once = true;
	stored_engine_hold(true);
	sq_pull_receive(pull, &r->call);
	world_run();
	cr_assert_eq(r->answers, 0);
	stored_engine_release();
	world_run();
	stored_engine_hold(false);
	expect(r, "ab");
	cr_assert_str_eq(pulled(r)[0].lease, "");
	cr_assert_eq(stored_engine_items(), 0);
	cr_assert_eq(sq_pull_count(pull).leased, 0);
	request_free(r);
}

/* Settlements. */

Test(pull_stored, an_answer_comes_with_its_commit)
{
	struct request *r, *s, *again;

	put("a");
	r = receive(1);
	stored_engine_hold(true);
	s = settle_post(r, SQ_LEASE_ACK);
	settle_send(s);
	again = settle_post(r, SQ_LEASE_ACK);
	settle_send(again);
	cr_assert_eq(s->answers, 0);
	cr_assert_eq(again->answers, 0, "before the first is durable");
	stored_engine_release();
	world_run();
	stored_engine_hold(false);
	cr_assert_eq(settle_end(s), SQ_QUEUE_DONE);
	cr_assert_eq(settle_end(again), SQ_QUEUE_DONE);
	request_free(r);
}

Test(pull, an_acknowledgement_may_be_repeated)
{
	struct request *r;

	put("a");
	r = receive(1);
	cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_DONE);
	cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_DONE);
	cr_assert_eq(nack(r, false, 0), SQ_QUEUE_PARTLY);
	cr_assert_eq(settle(r, SQ_LEASE_EXTEND), SQ_QUEUE_PARTLY);
	pass(3601 * 1000);
	cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_PARTLY, "long after");
	request_free(r);
}

Test(pull, a_lease_is_good_for_its_identity_alone)
{
	const struct sq_identity *mine = who;
	struct request *r;

	put("a");
	r = receive(1);
	who = sq_identity_new(&(const struct sq_identity){.id = 10, .name = "token:other"});
	cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_PARTLY);
	sq_identity_unref(&who);
	who = mine;
	cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_DONE);
	request_free(r);
}

Test(pull, each_lost_lease_is_named)
{
	struct request *r, *one, *s;

	put("abc");
	one = receive(1);
	r = receive(2);
	cr_assert_eq(nack(one, true, 0), SQ_QUEUE_DONE);
	s = settle_post(r, SQ_LEASE_ACK);
	s->entries[2] = (struct sq_lease_entry){.lease = sq_bytes_of(pulled(one)[0].lease)};
	s->entries[3] = (struct sq_lease_entry){.lease = sq_bytes_of("nonsense")};
	s->call.in.queue.in.settle.n = 4;
	settle_send(s);
	cr_assert_eq(s->answers, 1);
	cr_assert_eq(sq_buf_len(&s->call.out.queue.lost), 4);
	cr_assert_arr_eq(sq_buf_data(&s->call.out.queue.lost), "\0\0\1\1", 4);
	cr_assert_eq(settle_end(s), SQ_QUEUE_PARTLY);
	request_free(one);
	request_free(r);
}

Test(pull, what_comes_back_untried_is_no_attempt)
{
	struct request *r;

	put("ab");
	r = receive(1);
	cr_assert_eq(nack(r, true, 0), SQ_QUEUE_DONE);
	request_free(r);
	r = receive(2);
	expect(r, "ab");
	cr_assert_eq(pulled(r)[0].attempt, 1);
	cr_assert_eq(nack(r, true, 5000), SQ_QUEUE_DONE);
	request_free(r);
	expect_now(2, "");
	cr_assert_eq(sq_pull_count(pull).parked, 2);
	r = receive_post(2, 20000);
	pass(4500);
	cr_assert_eq(r->answers, 0);
	pass(600);
	expect(r, "ab");
	request_free(r);
}

Test(pull, what_fails_waits_longer_each_time_and_then_dies)
{
	struct request *r;

	put("a");
	for (unsigned i = 1; i <= 3; i++) {
		r = receive_post(1, 60000);
		pass((i - 1) * 1000 + 200);
		expect(r, "a");
		cr_assert_eq(pulled(r)[0].attempt, i);
		cr_assert_eq(nack(r, false, UINT64_MAX), SQ_QUEUE_DONE);
		request_free(r);
	}
	r = receive_post(1, 60000);
	pass(60200);
	expect(r, "");
	request_free(r);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ATTEMPTS), 1);
}

Test(pull, an_expired_lease_is_lost_and_an_attempt)
{
	struct request *r, *next;

	put("a");
	r = receive(1);
	next = receive_post(1, 60000);
	pass(29500);
	cr_assert_eq(next->answers, 0);
	pass(2000);
	expect(next, "a");
	cr_assert_eq(pulled(next)[0].attempt, 2);
	cr_assert_eq(world_metric(SQ_M_PULL_EXPIRED), 1);
	cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_PARTLY);
	cr_assert_eq(settle(r, SQ_LEASE_EXTEND), SQ_QUEUE_PARTLY);
	cr_assert_eq(settle(next, SQ_LEASE_ACK), SQ_QUEUE_DONE);
	cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_PARTLY, "it was another's");
	request_free(r);
	request_free(next);
}

Test(pull, a_lease_is_extended)
{
	struct request *r, *s;

	put("a");
	r = receive(1);
	pass(29000);
	s = settle_post(r, SQ_LEASE_EXTEND);
	s->entries[0].ms = 60000;
	settle_send(s);
	cr_assert_eq(settle_end(s), SQ_QUEUE_DONE);
	pass(59000);
	cr_assert_eq(sq_pull_count(pull).leased, 1);
	pass(1500);
	cr_assert_eq(sq_pull_count(pull).leased, 0);
	request_free(r);
}

Test(pull_stored, an_acknowledgement_before_the_expiry_is_durable_counts)
{
	struct request *r, *s;

	put("a");
	r = receive(1);
	stored_engine_hold(true);
	pass(31000);
	cr_assert_eq(stored_engine_waiting(), 1, "the attempt");
	s = settle_post(r, SQ_LEASE_ACK);
	settle_send(s);
	while (stored_engine_waiting() > 0)
		stored_engine_release();
	world_run();
	stored_engine_hold(false);
	cr_assert_eq(settle_end(s), SQ_QUEUE_DONE);
	cr_assert_eq(stored_engine_items(), 0);
	request_free(r);
}

/* Whether a transaction gets the record of the key. */
static bool
key_is_written(void)
{
	struct sq_system_txn *own = NULL;
	bool written = sq_pulls_keep(all, sq_system_txn(&w.broker->shards[0], &own));

	sq_system_commit(&own);
	return written;
}

Test(pull_stored, the_key_of_leases_is_written_until_it_is_durable)
{
	struct request *r;

	decl.exactly_once = true;
	sq_pull_declare(pull, &decl);
	put("a");
	stored_engine_hold(true);
	r = receive_post(1, 1000);
	world_run();
	cr_assert_eq(stored_engine_waiting(), 1);
	cr_assert(key_is_written(), "another worker's commit may be before that one");
	while (stored_engine_waiting() > 0)
		stored_engine_release();
	stored_engine_hold(false);
	world_run();
	expect(r, "a");
	cr_assert(!key_is_written());
	request_free(r);
}

Test(pull_stored, nobody_has_what_failed_before_that_is_durable)
{
	struct request *r, *s, *next;

	put("a");
	r = receive(1);
	next = receive_post(1, 60000);
	stored_engine_hold(true);
	s = settle_post(r, SQ_LEASE_NACK);
	settle_send(s);
	pass(5000);
	cr_assert_eq(next->answers, 0);
	stored_engine_release();
	stored_engine_hold(false);
	pass(2000);
	expect(next, "a");
	cr_assert_eq(settle_end(s), SQ_QUEUE_DONE);
	request_free(r);
	request_free(next);
}

Test(pull, what_is_rejected_does_not_come_again)
{
	struct request *r;

	put("a");
	r = receive(1);
	cr_assert_eq(settle(r, SQ_LEASE_REJECT), SQ_QUEUE_DONE);
	expect_now(1, "");
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
	request_free(r);
}

Test(pull, an_answer_may_bring_the_next_call)
{
	struct request *first, *a, *s, *b;

	put("ab");
	first = receive(1);
	a = receive_begin(1, 9000);
	s = settle_post(first, SQ_LEASE_ACK);
	b = receive_begin(1, 9000);
	a->next = s;
	s->next = b;
	sq_pull_receive(pull, &a->call);
	world_run();
	expect(a, "b");
	cr_assert_eq(s->answers, 1);
	cr_assert_eq(b->answers, 0);
	cr_assert_eq(sq_pull_count(pull).pollers, 1);
	put("c");
	expect(b, "c");
	cr_assert_eq(settle_end(s), SQ_QUEUE_DONE);
	request_free(first);
	request_free(a);
	request_free(b);
}

/* Orders. */

Test(pull, lanes_by_topic_go_side_by_side)
{
	struct request *r, *second;

	redeclare(SQ_ORDER_TOPIC);
	put("aab");
	r = receive(1);
	expect(r, "a");
	second = receive(9);
	expect(second, "b");
	expect_now(9, "");
	cr_assert_eq(world_metric(SQ_M_DISPATCH_LANES), 2);
	cr_assert_eq(nack(r, false, UINT64_MAX), SQ_QUEUE_DONE);
	expect_now(9, "");
	cr_assert_eq(sq_pull_count(pull).stuck, 1);
	pass(1100);
	request_free(r);
	r = receive(9);
	expect(r, "aa");
	cr_assert_eq(pulled(r)[0].attempt, 2);
	request_free(r);
	request_free(second);
}

Test(pull, what_blocks_is_tried_again_when_the_queue_is_declared_again)
{
	struct request *r;

	decl.blocks = true;
	decl.max_attempts = 1;
	redeclare(SQ_ORDER_TOPIC);
	put("aa");
	r = receive(1);
	expect(r, "a");
	cr_assert_eq(nack(r, false, UINT64_MAX), SQ_QUEUE_DONE);
	request_free(r);
	pass(20000);
	expect_now(9, "");
	cr_assert_eq(sq_pull_count(pull).parked, 1);
	sq_pull_declare(pull, &decl);
	cr_assert_eq(sq_pull_count(pull).parked, 0);
	expect_now(1, "a");
}

Test(pull, strict_is_one_at_a_time)
{
	struct request *r;

	redeclare(SQ_ORDER_STRICT);
	put("abc");
	for (const char *at = "abc"; *at != '\0'; at++) {
		r = receive(9);
		expect(r, (const char[]){*at, '\0'});
		expect_now(9, "");
		cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_DONE);
		request_free(r);
	}
}

Test(pull, another_order_counts_from_then_on)
{
	struct request *r;

	redeclare(SQ_ORDER_TOPIC);
	put("aab");
	r = receive(1);
	expect(r, "a");
	expect_now(9, "b");
	redeclare(SQ_ORDER_STRICT);
	expect_now(9, "");
	redeclare(SQ_ORDER_NONE);
	expect_now(9, "a");
	cr_assert_eq(settle(r, SQ_LEASE_ACK), SQ_QUEUE_DONE, "its lease goes on");
	request_free(r);
	pass(30500);
	cr_assert_eq(world_metric(SQ_M_PULL_EXPIRED), 2);
}

/* Pause and end. */

Test(pull, nothing_goes_out_while_it_is_paused)
{
	struct request *r, *held;

	put("ab");
	held = receive(1);
	sq_pull_pause(pull, true);
	r = receive_post(1, 9000);
	pass(1000);
	cr_assert_eq(r->answers, 0);
	expect_now(9, "");
	cr_assert_eq(settle(held, SQ_LEASE_ACK), SQ_QUEUE_DONE);
	sq_pull_pause(pull, false);
	world_run();
	expect(r, "b");
	request_free(held);
	request_free(r);
}

Test(pull, the_end_answers_who_waits_and_gives_back_in_order)
{
	struct request *r, *held;
	struct sq_item item;

	put("abc");
	held = receive(2);
	request_free(held);
	held = receive(1);
	r = receive_post(1, 60000);
	end_pull();
	cr_assert_eq(r->answers, 1);
	cr_assert_eq(r->call.out.queue.how, SQ_QUEUE_MISSING);
	for (uint64_t seq = 1, n = 0; n < 3; n++, seq = item.seq + 1) {
		cr_assert(w.broker->engine->ops->queue.peek(group->sink.queue, seq, &item));
		cr_assert_eq(sq_image_payload(item.msg.image).p[0], "abc"[n]);
		cr_assert_eq(item.attempts, 0);
		sq_item_fini(&item);
	}
	request_free(held);
	request_free(r);
}

Test(pull, who_waits_is_told_that_the_broker_drains)
{
	struct request *r = receive_post(1, 60000);

	sq_pull_drain(pull);
	cr_assert_eq(r->answers, 1);
	cr_assert_eq(r->call.verdict, SQ_VERDICT_DRAINING);
	request_free(r);
}

Test(pull, one_that_nobody_uses_has_nothing_to_do_by_the_clock)
{
	const struct sq_list *busy = sq_pulls_busy(all, &w.broker->shards[0]);
	struct request *r;

	pass(100);
	cr_assert(sq_list_empty(busy));
	r = receive_post(1, 500);
	pass(300);
	cr_assert(!sq_list_empty(busy));
	pass(300);
	expect(r, "");
	pass(11000); /* its members have the queue for themselves again */
	cr_assert(sq_list_empty(busy));
	put("a");
	pass(200);
	cr_assert(sq_list_empty(busy));
	request_free(r);
	r = receive(1);
	pass(31000);
	cr_assert_eq(world_metric(SQ_M_PULL_EXPIRED), 1);
	request_free(r);
}
