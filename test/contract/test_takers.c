/* Takers of named queues, as push is one: the same on every engine, whoever of the workers owns a queue,
 * and over restarts of the broker. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/jobs.h"
#include "broker/group/group.h"
#include "broker/subscriber/pull.h"
#include "broker/subscriber/subscriber.h"
#include "broker/subscriber/table.h"
#include "broker/subscriber/taker.h"
#include "core/mem.h"

enum { GOT_MAX = 64 };

/* A taker, and what it has. */
struct taker {
	struct sq_taker t;
	struct sq_taker_ask ask;
	struct sq_taken got[GOT_MAX];
	char letters[GOT_MAX + 1];
	size_t n;
	unsigned takes, settled, dismissed;
};

/* A settlement of a taker. */
struct settlement {
	struct sq_taker_settlement s;
	struct sq_taker_outcome outcomes[GOT_MAX];
	bool back;
};

static struct taker push;

#define CONTRACT(name) JOBS_CONTRACT(takers, name)

static void
on_take(struct sq_taker *t, struct sq_taker_ask *ask, const struct sq_taken *v, size_t n)
{
	struct taker *of = SQ_CONTAINER_OF(t, struct taker, t);

	cr_assert_eq(ask, &of->ask);
	cr_assert(n > 0 && of->n + n <= GOT_MAX);
	for (size_t i = 0; i < n; i++) {
		of->got[of->n] = v[i];
		of->letters[of->n++] = (char)sq_image_payload(v[i].msg->image).p[0];
	}
	of->letters[of->n] = '\0';
	of->takes++;
}

static void
on_settled(struct sq_taker *t, struct sq_taker_settlement *s)
{
	SQ_CONTAINER_OF(t, struct taker, t)->settled++;
	SQ_CONTAINER_OF(s, struct settlement, s)->back = true;
}

static void
on_dismissed(struct sq_taker *t)
{
	SQ_CONTAINER_OF(t, struct taker, t)->dismissed++;
}

static const struct sq_taker_ops taker_ops = {on_take, on_settled, on_dismissed};

static struct sq_subscriber *
jobs(void)
{
	struct sq_shard *sh = sq_subscribers_owner(w.broker->subscribers, "s", "jobs");

	fake_self(sq_worker_index(sh->worker));
	return sq_subscriber_find(sh, "s", "jobs");
}

static void
join(struct taker *t)
{
	memset(t, 0, sizeof *t);
	t->t.ops = &taker_ops;
	sq_taker_join(&t->t, jobs()->pull);
	world_run();
}

static void
leave(struct taker *t)
{
	(void)jobs();
	sq_taker_leave(&t->t);
	world_run();
}

/* Forgets what it has got, and asks for so many. */
static void
ask_more(struct taker *t, unsigned n, uint64_t linger_ms)
{
	(void)jobs();
	t->n = 0;
	t->letters[0] = '\0';
	t->ask.n = n;
	t->ask.bytes = 1 << 20;
	t->ask.linger_ms = linger_ms;
	sq_taker_ask(&t->t, &t->ask);
	world_run();
}

static bool
has_got(void *arg)
{
	const struct taker *t = arg;

	return t->n > 0;
}

/* It gets exactly these, in one. */
static void
expect_taken(struct taker *t, const char *letters)
{
	for (unsigned ms = 0; t->n == 0 && ms < 2000; ms += 100)
		world_pass(&w, 100);
	if (t->n == 0)
		cr_assert(fake_run_until(has_got, t), "%s: nothing comes", w.cfg.engine->name);
	fake_self(0);
	cr_assert_str_eq(t->letters, letters, "%s: %s", w.cfg.engine->name, t->letters);
}

static void
take(struct taker *t, const char *letters)
{
	ask_more(t, (unsigned)strlen(letters), 0);
	expect_taken(t, letters);
}

/* Asks, and gets nothing within 'ms'. */
static void
expect_no_more(struct taker *t, unsigned ms)
{
	ask_more(t, 9, 0);
	for (; ms > 0; ms -= 100)
		world_pass(&w, 100);
	cr_assert_eq(t->n, 0, "%s: %s", w.cfg.engine->name, t->letters);
	(void)jobs();
	sq_taker_take_back(&t->ask);
	world_run();
}

/* Says of what it has got last, in order, 'o' OK, 'f' failed, 'l' later, 'n' never; '-' nothing. */
static struct settlement *
settle_begin(const struct taker *t, const char *how)
{
	struct settlement *s = sq_xcalloc(1, sizeof *s);

	for (size_t i = 0; how[i] != '\0'; i++) {
		if (how[i] == '-')
			continue;
		cr_assert(i < t->n);
		s->outcomes[s->s.n++] = (struct sq_taker_outcome){.seq = t->got[i].seq,
		    .how = how[i] == 'o' ? SQ_DISPATCH_OK
			: how[i] == 'f'  ? SQ_DISPATCH_FAILED
			: how[i] == 'l'  ? SQ_DISPATCH_LATER
					 : SQ_DISPATCH_NEVER};
	}
	s->s.outcomes = s->outcomes;
	return s;
}

static void
settle_post(struct taker *t, struct settlement *s)
{
	(void)jobs();
	sq_taker_settle(&t->t, &s->s);
	world_run();
}

static bool
is_back(void *arg)
{
	const struct settlement *s = arg;

	return s->back;
}

static enum sq_taker_end
settle_await(struct settlement **sp)
{
	struct settlement *s = *sp;
	enum sq_taker_end end;

	if (!s->back)
		cr_assert(fake_run_until(is_back, s), "%s: it stays", w.cfg.engine->name);
	fake_self(0);
	end = s->s.end;
	sq_msg_unref(&s->s.reply);
	free(s);
	*sp = NULL;
	return end;
}

static void
settle(struct taker *t, const char *how)
{
	struct settlement *s = settle_begin(t, how);

	settle_post(t, s);
	cr_assert_eq(settle_await(&s), SQ_TAKER_DONE);
}

/* Reads the dead letters, in one text for each: its topic, reason and detail. */
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
	cr_assert_not_null(d, "%s: no letter", w.cfg.engine->name);
	cr_assert(sq_bytes_are(sq_image_topic(d->msg.image), topic));
	cr_assert_str_eq(delivery_prop(d, "sqmqos-dead-reason"), reason);
	text = delivery_prop(d, "sqmqos-dead-detail");
	if (detail == NULL)
		cr_assert_null(text);
	else
		cr_assert_str_eq(text, detail);
	cr_assert_eq(peer_settle(&p, SQ_SETTLE_ACK, d->delivery, 1), 204);
	(void)peer_unsubscribe(&p, "$dead/#");
	world_run();
}

/* It is as before the first taker. */
static void
finish(struct taker *t)
{
	leave(t);
	jobs_expect_nothing();
	cr_assert_eq(queue_ready(&api, "jobs"), 0);
}

CONTRACT(what_is_published_is_taken_once)
{
	jobs_declare("");
	join(&push);
	ask_more(&push, 9, 0);
	jobs_publish("a");
	expect_taken(&push, "a");
	cr_assert_eq(push.got[0].attempt, 1);
	cr_assert_eq(push.got[0].qos, 1);
	cr_assert(push.got[0].arrived_ms != 0 || w.cfg.engine == &stored_engine);
	expect_no_more(&push, 500);
	jobs_expect_nothing();
	push.n = 1;
	settle(&push, "o");
	finish(&push);
	if (queue_world_durable()) {
		queue_world_restart();
		jobs_expect_nothing();
	}
}

CONTRACT(what_is_not_settled_comes_again_after_a_restart)
{
	jobs_declare("");
	jobs_publish("ab");
	join(&push);
	take(&push, "ab");
	settle(&push, "o");
	queue_world_restart();
	cr_assert_eq(push.dismissed, 1);
	if (!queue_world_durable())
		return;
	join(&push);
	take(&push, "b");
	cr_assert_eq(push.got[0].attempt, 1, "nothing has failed");
	settle(&push, "o");
	finish(&push);
}

CONTRACT(a_head_that_fails_holds_up_its_lane_alone)
{
	jobs_declare(",\"order\":\"topic\"");
	jobs_publish("aabb");
	join(&push);
	take(&push, "aabb");
	cr_assert_eq(push.got[0].lane, push.got[1].lane);
	cr_assert_neq(push.got[0].lane, push.got[2].lane);
	settle(&push, "floo");
	jobs_publish("abc");
	ask_more(&push, 9, 0);
	expect_taken(&push, "bc");
	settle(&push, "oo");
	world_pass(&w, 1000);
	ask_more(&push, 9, 0);
	expect_taken(&push, "aaa");
	cr_assert_eq(push.got[0].attempt, 2);
	cr_assert_eq(push.got[1].attempt, 1);
	settle(&push, "ooo");
	finish(&push);
}

CONTRACT(lanes_of_no_order_are_the_messages_own)
{
	jobs_declare("");
	jobs_publish("aa");
	join(&push);
	take(&push, "aa");
	cr_assert_neq(push.got[0].lane, push.got[1].lane);
	settle(&push, "oo");
	finish(&push);
}

CONTRACT(an_ask_lingers_until_it_is_full)
{
	jobs_declare(",\"order\":\"topic\"");
	join(&push);
	ask_more(&push, 3, 60000);
	jobs_publish("a");
	world_pass(&w, 5000);
	jobs_publish("a");
	world_pass(&w, 5000);
	cr_assert_eq(push.n, 0);
	jobs_publish("b");
	expect_taken(&push, "aab");
	settle(&push, "ooo");
	finish(&push);
}

CONTRACT(an_ask_lingers_for_its_time)
{
	jobs_declare("");
	join(&push);
	ask_more(&push, 9, 700);
	jobs_publish("a");
	world_pass(&w, 300);
	jobs_publish("b");
	cr_assert_eq(push.n, 0);
	expect_taken(&push, "ab");
	cr_assert_eq(push.takes, 1);
	settle(&push, "oo");
	finish(&push);
}

CONTRACT(an_ask_is_served_between_two_ticks)
{
	jobs_declare("");
	join(&push);
	ask_more(&push, 9, 20);
	jobs_publish("a");
	cr_assert_eq(push.n, 0);
	fake_set_now(fake_now() + 20);
	(void)fake_run();
	cr_assert_eq(push.n, 1);
	settle(&push, "o");
	finish(&push);
}

CONTRACT(what_expires_while_an_ask_lingers_is_not_taken)
{
	const struct entry e = {.topic = "t/x", .payload = "x", .qos = 1, .expiry_s = 1};

	jobs_declare("");
	join(&push);
	ask_more(&push, 3, 60000);
	(void)publisher_send(&http, &e);
	world_pass(&w, 2000);
	jobs_publish("ab");
	world_pass(&w, 300);
	cr_assert_eq(push.n, 0);
	jobs_publish("c");
	expect_taken(&push, "abc");
	settle(&push, "ooo");
	finish(&push);
}

CONTRACT(what_an_ask_has_that_is_taken_back_goes_to_others)
{
	struct fake_queue *q;

	jobs_declare(",\"order\":\"topic\"");
	join(&push);
	ask_more(&push, 9, 60000);
	jobs_publish("aab");
	world_pass(&w, 1000);
	(void)jobs();
	sq_taker_take_back(&push.ask);
	q = jobs_receive("aab");
	cr_assert_eq(jobs_pulled(q, 0)->attempt, 1);
	jobs_ack(&q);
	finish(&push);
}

CONTRACT(who_leaves_gives_back_what_it_has)
{
	struct fake_queue *q;

	jobs_declare("");
	jobs_publish("ab");
	join(&push);
	take(&push, "a");
	ask_more(&push, 9, 60000);
	world_pass(&w, 500);
	leave(&push);
	q = jobs_receive("ab");
	cr_assert_eq(jobs_pulled(q, 0)->attempt, 1);
	jobs_ack(&q);
	cr_assert_eq(push.dismissed, 0);
}

CONTRACT(pullers_and_a_taker_share_a_queue)
{
	struct fake_queue *q;

	jobs_declare(",\"order\":\"topic\"");
	jobs_publish("aab");
	join(&push);
	take(&push, "a");
	q = jobs_receive("b");
	jobs_expect_nothing();
	settle(&push, "f");
	jobs_ack(&q);
	jobs_expect_nothing();
	world_pass(&w, 1000);
	q = jobs_receive("aa");
	cr_assert_eq(jobs_pulled(q, 0)->attempt, 2);
	expect_no_more(&push, 300);
	jobs_ack(&q);
	finish(&push);
}

CONTRACT(attempts_are_counted_over_restarts)
{
	jobs_declare(",\"maxAttempts\":3");
	jobs_publish("a");
	join(&push);
	for (uint32_t i = 1; i <= 3; i++) {
		struct settlement *s;

		take(&push, "a");
		cr_assert_eq(push.got[0].attempt, i);
		s = settle_begin(&push, "f");
		s->outcomes[0].detail = "503 Service\nUnavailable";
		settle_post(&push, s);
		cr_assert_eq(settle_await(&s), SQ_TAKER_DONE);
		if (!queue_world_durable())
			continue;
		queue_world_restart();
		join(&push);
	}
	expect_letter("$dead/t/a", "attempts", "503 Service?Unavailable");
	finish(&push);
}

/* What a queue says of attempts is not what a push says. */
CONTRACT(a_taker_may_have_attempts_of_its_own)
{
	struct settlement *s;

	jobs_declare(",\"maxAttempts\":1");
	jobs_publish("ab");
	join(&push);
	take(&push, "ab");
	s = settle_begin(&push, "ff");
	s->outcomes[0].more = true;
	s->outcomes[0].delay_ms = 300;
	s->outcomes[1].last = true;
	settle_post(&push, s);
	cr_assert_eq(settle_await(&s), SQ_TAKER_DONE);
	take(&push, "a");
	cr_assert_eq(push.got[0].attempt, 2);
	settle(&push, "o");
	expect_letter("$dead/t/b", "attempts", NULL);
	finish(&push);
}

CONTRACT(what_failed_before_the_start_is_due_at_once_with_jitter)
{
	unsigned ms = 0, seen = 0;

	if (!queue_world_durable())
		return;
	queue_declare(&api, "jobs",
	    "{\"bindings\":[{\"filter\":\"t/#\",\"qos\":2}],\"retry\":{\"first\":\"60s\"}}",
	    SQ_QUEUE_CREATED);
	jobs_publish("abcdefghijklmnop");
	join(&push);
	take(&push, "abcdefghijklmnop");
	settle(&push, "ffffffffffffffff");
	queue_world_restart();
	join(&push);
	for (; ms < 61000 && push.n < 16; ms += 1000) {
		if (push.t.asks.next == NULL || sq_list_empty(&push.t.asks)) {
			seen++;
			(void)jobs();
			push.ask.n = 16;
			push.ask.bytes = 1 << 20;
			sq_taker_ask(&push.t, &push.ask);
		}
		world_pass(&w, 1000);
	}
	cr_assert_eq(push.n, 16, "%s: %s", w.cfg.engine->name, push.letters);
	cr_assert_geq(seen, 4, "%s: in %u goes", w.cfg.engine->name, seen);
	settle(&push, "oooooooooooooooo");
	finish(&push);
}

CONTRACT(parts_of_a_batch_end_differently)
{
	struct settlement *s;

	jobs_declare("");
	jobs_publish("abcde");
	join(&push);
	take(&push, "abcde");
	s = settle_begin(&push, "ofln-");
	s->outcomes[3].detail = "410 Gone";
	settle_post(&push, s);
	cr_assert_eq(settle_await(&s), SQ_TAKER_DONE);
	expect_letter("$dead/t/d", "refused", "410 Gone");
	settle(&push, "ooooo"); /* what it does not have any more is passed over */
	ask_more(&push, 9, 0);
	expect_taken(&push, "c");
	cr_assert_eq(push.got[0].attempt, 1);
	settle(&push, "o");
	world_pass(&w, 1000);
	take(&push, "b");
	cr_assert_eq(push.got[0].attempt, 2);
	settle(&push, "o");
	finish(&push);
}

CONTRACT(a_dead_letter_says_why)
{
	struct settlement *s;

	jobs_declare("");
	jobs_publish("a");
	join(&push);
	for (int i = 0; i < 2; i++) {
		static const char *const words[] = {"unmappable", "too-large"};
		static const enum sq_taker_never whys[] = {SQ_NEVER_UNMAPPABLE, SQ_NEVER_TOO_LARGE};

		take(&push, "a");
		s = settle_begin(&push, "n");
		s->outcomes[0].why = whys[i];
		settle_post(&push, s);
		cr_assert_eq(settle_await(&s), SQ_TAKER_DONE);
		expect_letter("$dead/t/a", words[i], NULL);
		jobs_publish("a");
	}
	take(&push, "a");
	settle(&push, "o");
	finish(&push);
}

CONTRACT(a_receipt_comes_with_the_acknowledgement)
{
	static const char *const props[] = {
	    "sqmqos-qos", "3", "sqmqos-key", "k", "sqmqos-receipt", "receipts", NULL};

	jobs_declare("");
	queue_declare(
	    &api, "receipts", "{\"bindings\":[{\"filter\":\"receipts\"}]}", SQ_QUEUE_CREATED);
	(void)publisher_send(
	    &http, &(struct entry){.topic = "t/a", .payload = "a", .qos = 2, .props = props});
	join(&push);
	take(&push, "a");
	cr_assert_eq(push.got[0].qos, 3);
	cr_assert_eq(queue_ready(&api, "receipts"), 0);
	settle(&push, "o");
	cr_assert_eq(queue_ready(&api, "receipts"), 1);
	finish(&push);
}

CONTRACT(nothing_goes_out_of_a_queue_that_is_paused)
{
	jobs_declare("");
	jobs_publish("a");
	join(&push);
	take(&push, "a");
	ask_more(&push, 9, 60000);
	push.n = 0;
	jobs_publish("b");
	world_pass(&w, 300);
	queue_ask(&api, SQ_QUEUE_PAUSE, "jobs", SQ_QUEUE_DONE);
	cr_assert_eq(sq_pull_count(jobs()->pull).takers, 0);
	push.n = 1;
	settle(&push, "o"); /* what it has is its own */
	push.n = 0;
	world_pass(&w, 2000);
	cr_assert_eq(push.n, 0);
	queue_ask(&api, SQ_QUEUE_RESUME, "jobs", SQ_QUEUE_DONE);
	cr_assert_eq(sq_pull_count(jobs()->pull).takers, 1);
	world_pass(&w, 2000);
	cr_assert_eq(push.n, 0, "it lingers again");
	leave(&push);
	{
		struct fake_queue *q = jobs_receive("b");

		jobs_ack(&q);
	}
}

CONTRACT(a_taker_is_told_of_the_end)
{
	struct settlement *s;
	struct fake_queue *gone;

	jobs_declare("");
	jobs_publish("ab");
	join(&push);
	take(&push, "a");
	ask_more(&push, 9, 60000);
	push.n = 1;
	queue_ask(&api, SQ_QUEUE_DELETE, "jobs", SQ_QUEUE_NOT_EMPTY);
	cr_assert_eq(push.dismissed, 0, "%s", w.cfg.engine->name);
	gone = queue_new(&api, SQ_QUEUE_DELETE, "jobs");
	gone->call.in.queue.in.remove.with_messages = true;
	s = settle_begin(&push, "o");
	(void)jobs();
	sq_taker_settle(&push.t, &s->s);
	queue_expect(&gone, SQ_QUEUE_DONE);
	cr_assert_eq(push.dismissed, 1);
	cr_assert_eq(settle_await(&s), SQ_TAKER_DONE, "it came first");
	world_pass(&w, 2000);
	if (w.cfg.engine == &stored_engine)
		cr_assert_eq(stored_engine_items(), 0);
}

CONTRACT(what_is_said_as_the_broker_ends_counts)
{
	struct settlement *s;

	jobs_declare("");
	jobs_publish("ab");
	join(&push);
	take(&push, "ab");
	s = settle_begin(&push, "o");
	(void)jobs();
	sq_taker_settle(&push.t, &s->s);
	sq_subscribers_stop(sq_subscribers_owner(w.broker->subscribers, "s", "jobs"));
	cr_assert_eq(push.dismissed, 1);
	fake_self(0);
	cr_assert_eq(settle_await(&s), SQ_TAKER_DONE);
	queue_world_restart();
	if (!queue_world_durable())
		return;
	join(&push);
	take(&push, "b");
	settle(&push, "o");
	finish(&push);
}

CONTRACT(what_is_out_stays_so_when_an_order_comes)
{
	jobs_declare("");
	jobs_publish_lane("abc");
	join(&push);
	take(&push, "a");
	ask_more(&push, 9, 60000);
	world_pass(&w, 300);
	push.n = 1;
	queue_declare(&api, "jobs",
	    "{\"bindings\":[{\"filter\":\"t/#\",\"qos\":2}],\"order\":\"topic\"}", SQ_QUEUE_DONE);
	(void)jobs();
	sq_taker_take_back(&push.ask);
	world_pass(&w, 300);
	settle(&push, "l");
	ask_more(&push, 9, 0);
	expect_taken(&push, "abc");
	settle(&push, "ooo");
	finish(&push);
}

CONTRACT(a_queue_with_a_taker_is_used)
{
	struct fake_queue *q;

	queue_declare(&api, "jobs", "{\"expiry\":\"10s\"}", SQ_QUEUE_CREATED);
	join(&push);
	world_pass(&w, 25000);
	q = queue_get(&api, "jobs");
	queue_free(&q);
	leave(&push);
	world_pass(&w, 15000);
	queue_ask(&api, SQ_QUEUE_GET, "jobs", SQ_QUEUE_MISSING);
}

static unsigned
takers_of_queue(void)
{
	struct sq_queue_state q;

	w.cfg.engine->queue.state(jobs()->group->sink.queue, &q);
	return q.takers;
}

/* As who waits for messages does, for queues that nobody takes from. */
CONTRACT(a_taker_attends_the_queue_whatever_it_asks)
{
	jobs_declare("");
	cr_assert_eq(takers_of_queue(), 0);
	join(&push);
	cr_assert_eq(takers_of_queue(), 1);
	ask_more(&push, 9, 0);
	cr_assert_eq(takers_of_queue(), 1);
	world_pass(&w, 15000);
	cr_assert_eq(takers_of_queue(), 1);
	queue_ask(&api, SQ_QUEUE_PAUSE, "jobs", SQ_QUEUE_DONE);
	world_pass(&w, 15000);
	cr_assert_eq(takers_of_queue(), 0);
	queue_ask(&api, SQ_QUEUE_RESUME, "jobs", SQ_QUEUE_DONE);
	world_run();
	cr_assert_eq(takers_of_queue(), 1);
	leave(&push);
	world_pass(&w, 15000);
	cr_assert_eq(takers_of_queue(), 0);
	finish(&push);
}

/* Many settlements of one turn are one commit. */
Test(takers, a_turn_is_one_commit)
{
	struct settlement *v[8];
	size_t before;

	queue_world_stored(jobs_rules);
	jobs_declare("");
	jobs_publish("abcdefgh");
	join(&push);
	take(&push, "abcdefgh");
	before = stored_engine_commits();
	(void)jobs();
	for (size_t i = 0; i < SQ_ARRAY_LEN(v); i++) {
		v[i] = sq_xcalloc(1, sizeof *v[i]);
		v[i]->outcomes[0].seq = push.got[i].seq;
		v[i]->s.outcomes = v[i]->outcomes;
		v[i]->s.n = 1;
		sq_taker_settle(&push.t, &v[i]->s);
	}
	world_run();
	for (size_t i = 0; i < SQ_ARRAY_LEN(v); i++)
		cr_assert_eq(settle_await(&v[i]), SQ_TAKER_DONE);
	cr_assert_eq(stored_engine_commits(), before + 1);
	finish(&push);
	queue_world_end();
}

/* Replies. */

static void
declare_out(void)
{
	queue_declare(&api, "out",
	    "{\"bindings\":[{\"filter\":\"out/#\",\"qos\":2}],\"maxMessages\":2}",
	    SQ_QUEUE_CREATED);
}

static struct settlement *
reply_begin(const struct taker *t, const char *how, const char *topic)
{
	struct settlement *s = settle_begin(t, how);

	s->s.reply = entry_message(&(struct entry){.topic = topic, .payload = "r", .qos = 1});
	s->s.who = api.who;
	return s;
}

static enum sq_taker_end
reply(struct taker *t, const char *how, const char *topic)
{
	struct settlement *s = reply_begin(t, how, topic);

	settle_post(t, s);
	return settle_await(&s);
}

CONTRACT(a_reply_goes_out_with_its_settlement)
{
	jobs_declare("");
	declare_out();
	jobs_publish("ab");
	join(&push);
	take(&push, "ab");
	cr_assert_eq(reply(&push, "of", "out/a"), SQ_TAKER_DONE);
	cr_assert_eq(queue_ready(&api, "out"), 1);
	cr_assert_eq(reply(&push, "oo", "out/a"), SQ_TAKER_GONE, "it has none of them any more");
	cr_assert_eq(queue_ready(&api, "out"), 1);
	take(&push, "b");
	cr_assert_eq(push.got[0].attempt, 2);
	cr_assert_eq(reply(&push, "o", "out/b"), SQ_TAKER_DONE);
	cr_assert_eq(queue_ready(&api, "out"), 2);
	finish(&push);
}

CONTRACT(nothing_is_done_while_a_reply_has_no_room)
{
	struct settlement *s;

	jobs_declare("");
	declare_out();
	jobs_publish("a");
	join(&push);
	take(&push, "a");
	for (int i = 0; i < 2; i++)
		(void)publisher_send(
		    &http, &(struct entry){.topic = "out/z", .payload = "z", .qos = 1});
	s = reply_begin(&push, "o", "out/a");
	settle_post(&push, s);
	cr_assert_not_null(strstr(s->s.why, "queue~s~out is full"), "%s", s->s.why);
	cr_assert_eq(settle_await(&s), SQ_TAKER_BUSY);
	jobs_expect_nothing();
	queue_ask(&api, SQ_QUEUE_PURGE, "out", SQ_QUEUE_DONE);
	cr_assert_eq(reply(&push, "o", "out/a"), SQ_TAKER_DONE);
	cr_assert_eq(queue_ready(&api, "out"), 1);
	finish(&push);
}

CONTRACT(a_reply_that_is_refused_is_a_dead_letter)
{
	jobs_declare("");
	declare_out();
	jobs_publish("abc");
	join(&push);
	take(&push, "abc");
	cr_assert_eq(reply(&push, "o", "out/locked"), SQ_TAKER_REFUSED);
	expect_letter("$dead/out/locked", "reply-refused",
	    "not authorized to publish to out/locked: acl[1] (line 2) denies it");
	cr_assert_eq(reply(&push, "-o", "out/+"), SQ_TAKER_REFUSED);
	cr_assert_eq(reply(&push, "--o", "out/c"), SQ_TAKER_DONE);
	finish(&push);
}

/* One without room undoes nothing of the others, which are one commit. */
Test(takers, replies_of_a_turn_are_one_commit)
{
	static const char *const how[] = {"o", "-f", "--o", "---o", "----n"};
	static const enum sq_taker_end ends[] = {
	    SQ_TAKER_DONE, SQ_TAKER_DONE, SQ_TAKER_DONE, SQ_TAKER_BUSY, SQ_TAKER_REFUSED};
	struct settlement *v[SQ_ARRAY_LEN(how)];
	size_t before;

	queue_world_stored(jobs_rules);
	jobs_declare("");
	declare_out();
	jobs_publish("zabcde");
	join(&push);
	take(&push, "z");
	settle(&push, "n"); /* the first letter makes the queue of letters */
	take(&push, "abcde");
	before = stored_engine_commits();
	(void)jobs();
	for (size_t i = 0; i < SQ_ARRAY_LEN(v); i++) {
		v[i] = i == 1 ? settle_begin(&push, how[i])
			      : reply_begin(&push, how[i], i == 4 ? "out/locked" : "out/r");
		sq_taker_settle(&push.t, &v[i]->s);
	}
	world_run();
	for (size_t i = 0; i < SQ_ARRAY_LEN(v); i++)
		cr_assert_eq(settle_await(&v[i]), ends[i], "%zu", i);
	cr_assert_eq(stored_engine_commits(), before + 1);
	cr_assert_eq(queue_ready(&api, "out"), 2);
	settle(&push, "---l");
	take(&push, "d");
	settle(&push, "o");
	world_pass(&w, 1000);
	take(&push, "b");
	settle(&push, "o");
	finish(&push);
	queue_world_end();
}

Test(takers, nothing_is_done_while_sessions_come_back)
{
	struct peer back;

	queue_world_init_stored(jobs_rules, 1);
	w.cfg.recovery_ms = 5000;
	queue_world_begin();
	jobs_declare("");
	declare_out();
	jobs_publish("a");
	join(&push);
	take(&push, "a");
	back = peer_new(&w, "s~w~back~pod");
	back.ordinal = 1;
	back.incarnation = 77; /* of before the start */
	cr_assert_eq(peer_attach(&back), 200);
	cr_assert_eq(reply(&push, "o", "out/a"), SQ_TAKER_BUSY);
	cr_assert_eq(queue_ready(&api, "out"), 0);
	world_pass(&w, 6000);
	cr_assert_eq(reply(&push, "o", "out/a"), SQ_TAKER_DONE);
	cr_assert_eq(queue_ready(&api, "out"), 1);
	finish(&push);
	queue_world_end();
}

Test(takers, a_reply_and_its_settlement_are_durable_together)
{
	struct settlement *s;

	queue_world_stored(jobs_rules);
	jobs_declare("");
	declare_out();
	jobs_publish("a");
	join(&push);
	take(&push, "a");
	stored_engine_hold(true);
	s = reply_begin(&push, "o", "out/a");
	settle_post(&push, s);
	cr_assert_not(s->back, "before it is durable");
	cr_assert_eq(stored_engine_waiting(), 1);
	queue_world_crash();
	cr_assert(s->back);
	(void)settle_await(&s);
	cr_assert_eq(queue_ready(&api, "out"), 0);
	join(&push);
	take(&push, "a");
	cr_assert_eq(reply(&push, "o", "out/a"), SQ_TAKER_DONE);
	queue_world_crash();
	cr_assert_eq(queue_ready(&api, "out"), 1);
	jobs_expect_nothing();
	queue_world_end();
}
