/* Pullers of named queues on three workers, under everything at once: of each order a queue, into
 * which messages of several lanes come while four pull, give back, publish with what they settle,
 * a taker does so, too, and one client of MQTT takes beside them where there is no order.  Each message is acknowledged
 * once, and none of a lane is out before those in front of it are settled.  On each engine; where
 * that has a store, over a restart of the broker in the middle.  A plain program: Criterion does not
 * start under ThreadSanitizer. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_actor.h"
#include "../support/broker_open.h"
#include "../support/temp_dir.h"
#include "../support/thread_worker.h"
#include "broker/auth/acl/acl.h"
#include "broker/engine/engines/engines.h"
#include "broker/metrics/metrics.h"
#include "broker/subscriber/table.h"
#include "broker/subscriber/taker.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/mem.h"

enum {
	WORKERS = 3,
	PULLERS = 4,
	LANES = 4,
	MESSAGES = 600, /* of a queue */
	PER_CALL = 6,
	WAIT_MS = 60000,
};

/* What a message is to those who take it. */
enum state { WAITS, OUT, SETTLES, DONE };

/* A queue, and its ledger. */
struct ledger {
	const char *name, *order;
	pthread_mutex_t lock;
	enum state state[MESSAGES];
	unsigned done, upto; /* of this round */
	unsigned published, replayed;
};

static struct ledger ledgers[] = {
    {.name = "none", .order = "none"},
    {.name = "topic", .order = "topic"},
    {.name = "key", .order = "key"},
    {.name = "strict", .order = "strict"},
};

/* One thread's calls. */
struct caller {
	struct ledger *of;
	unsigned seed;
	struct sq_call call;
	sem_t answered;
};

static void
tick(struct sq_worker *w)
{
	struct sq_broker *b = atomic_load(&actor_broker);

	if (b != NULL)
		sq_broker_tick(b, w);
}

static void
caller_done(struct sq_call *c)
{
	sem_post(&SQ_CONTAINER_OF(c, struct caller, call)->answered);
}

static void
caller_begin(struct caller *k, enum sq_call_kind kind)
{
	k->call = (struct sq_call){.kind = kind, .done = caller_done};
}

static void
caller_send(struct caller *k)
{
	sq_broker_call(atomic_load(&actor_broker), &k->call);
	sem_wait(&k->answered);
	CHECK(k->call.verdict == SQ_VERDICT_OK);
}

static void
caller_end(struct caller *k)
{
	sq_queue_out_fini(&k->call.out.queue);
	sq_buf_fini(&k->call.store);
}

static unsigned
caller_pick(struct caller *k, unsigned n)
{
	return (unsigned)rand_r(&k->seed) % n;
}

/* The lane of a message, none of another queue than "strict" being in all of them. */
static unsigned
lane_of(const struct ledger *l, unsigned number)
{
	return strcmp(l->order, "strict") == 0 ? 0 : number % LANES;
}

static struct sq_msg
message(const struct ledger *l, unsigned number)
{
	bool keyed = strcmp(l->order, "key") == 0;
	char topic[32], key[8], text[12];
	struct sq_buf props = {0};
	struct sq_msg m;

	snprintf(topic, sizeof topic, "%s/%u", l->name, keyed ? number : number % LANES);
	snprintf(key, sizeof key, "%u", number % LANES);
	snprintf(text, sizeof text, "%u", number);
	if (keyed) {
		sq_buf_u8(&props, 0x26);
		sq_buf_u16(&props, 16);
		sq_buf_append(&props, "sqmqos-order-key", 16);
		sq_buf_u16(&props, (uint16_t)strlen(key));
		sq_buf_append(&props, key, strlen(key));
	}
	m = sq_msg_new(1, false, sq_bytes_of(topic), sq_buf_bytes(&props), SQ_MSG_NO_EXPIRY,
	    sq_bytes_of(text));
	sq_buf_fini(&props);
	return m;
}

static void *
publish_main(void *arg)
{
	struct caller k = {.of = arg};
	struct sq_msg m;

	sem_init(&k.answered, 0, 0);
	for (unsigned i = 0; i < MESSAGES; i++) {
		m = message(k.of, i);
		caller_begin(&k, SQ_CALL_PUBLISH);
		k.call.in.publish = (struct sq_call_publish){
		    .who = sq_identity_nobody(), .worker = 1, .n = 1, .space = "s", .msgs = &m};
		caller_send(&k);
		CHECK(k.call.out.published[0].how == SQ_PUBLISHED_STORED);
		sq_buf_fini(&k.call.store);
		sq_msg_unref(&m);
	}
	sem_destroy(&k.answered);
	return NULL;
}

/* Takers. */

static unsigned
number_of(struct sq_bytes payload)
{
	char text[12] = "";

	CHECK(payload.len < sizeof text);
	memcpy(text, payload.p, payload.len);
	return (unsigned)strtoul(text, NULL, 10);
}

/* It was handed out, by the same answer as those of 'with' behind the first. */
static void
ledger_out(struct ledger *l, unsigned number, const unsigned *with, unsigned n)
{
	CHECK(number < MESSAGES && l->state[number] == WAITS);
	if (strcmp(l->order, "none") != 0) {
		for (unsigned i = 0; i < number; i++) {
			bool beside = false;

			for (unsigned j = 0; j < n; j++)
				beside = beside || with[j] == i;
			CHECK(lane_of(l, i) != lane_of(l, number) || l->state[i] >= SETTLES ||
			    (beside && strcmp(l->order, "strict") != 0));
		}
	}
	l->state[number] = OUT;
}

static void
ledger_set(struct ledger *l, const unsigned *numbers, unsigned n, enum state state)
{
	pthread_mutex_lock(&l->lock);
	for (unsigned i = 0; i < n; i++) {
		l->state[numbers[i]] = state;
		l->done += state == DONE;
	}
	pthread_mutex_unlock(&l->lock);
}

static bool
ledger_goes_on(struct ledger *l)
{
	bool goes_on;

	pthread_mutex_lock(&l->lock);
	goes_on = l->done < l->upto;
	pthread_mutex_unlock(&l->lock);
	return goes_on;
}

static unsigned
pull(struct caller *k, unsigned *numbers, char leases[][SQ_LEASE_TEXT_MAX])
{
	const struct sq_pulled *m;
	unsigned n;

	caller_begin(k, SQ_CALL_QUEUE);
	k->call.in.queue = (struct sq_call_queue){.who = sq_identity_nobody(),
	    .space = "s",
	    .name = k->of->name,
	    .op = SQ_QUEUE_RECEIVE,
	    .in.receive = {.max = 1 + caller_pick(k, PER_CALL),
		.max_bytes = 1 << 20,
		.wait_ms = caller_pick(k, 2) * 50}};
	/* In the ledger before anybody else can have what is behind it. */
	pthread_mutex_lock(&k->of->lock);
	pthread_mutex_unlock(&k->of->lock);
	caller_send(k);
	CHECK(k->call.out.queue.how == SQ_QUEUE_DONE);
	n = (unsigned)sq_queue_out_pulled(&k->call.out.queue);
	m = (const void *)sq_buf_data(&k->call.out.queue.pulled);
	pthread_mutex_lock(&k->of->lock);
	for (unsigned i = 0; i < n; i++) {
		numbers[i] = number_of(sq_image_payload(m[i].msg.image));
		ledger_out(k->of, numbers[i], numbers, i);
		memcpy(leases[i], m[i].lease, sizeof leases[i]);
	}
	pthread_mutex_unlock(&k->of->lock);
	caller_end(k);
	return n;
}

static enum sq_queue_how
settle(struct caller *k, const struct sq_lease_entry *entries, unsigned n, const struct sq_msg *m)
{
	enum sq_queue_how how;

	caller_begin(k, SQ_CALL_QUEUE);
	k->call.in.queue = (struct sq_call_queue){.who = sq_identity_nobody(),
	    .op = SQ_QUEUE_SETTLE,
	    .in.settle = {.entries = entries,
		.n = (uint16_t)n,
		.msgs = m,
		.n_msgs = m != NULL ? 1 : 0,
		.print = 1 + entries[0].lease.p[20]}};
	caller_send(k);
	how = k->call.out.queue.how;
	caller_end(k);
	return how;
}

/* Settles what was pulled: gives it back, or acknowledges it, sometimes with a message. */
static void
finish(struct caller *k, const unsigned *numbers, char leases[][SQ_LEASE_TEXT_MAX], unsigned n)
{
	struct sq_lease_entry entries[PER_CALL];
	bool back = caller_pick(k, 8) == 0, transforms = caller_pick(k, 8) == 0;
	struct sq_msg m = sq_msg_new(1, false, sq_bytes_of("made"), (struct sq_bytes){0},
	    SQ_MSG_NO_EXPIRY, sq_bytes_of("x"));

	for (unsigned i = 0; i < n; i++)
		entries[i] = (struct sq_lease_entry){.lease = sq_bytes_of(leases[i]),
		    .end = back ? SQ_LEASE_NACK : SQ_LEASE_ACK,
		    .untried = caller_pick(k, 2) == 0,
		    .timed = true,
		    .ms = caller_pick(k, 5)};
	ledger_set(k->of, numbers, n, back ? WAITS : SETTLES);
	if (back) {
		CHECK(settle(k, entries, n, NULL) == SQ_QUEUE_DONE);
	} else if (transforms) {
		CHECK(settle(k, entries, n, &m) == SQ_QUEUE_DONE);
		CHECK(settle(k, entries, n, &m) == SQ_QUEUE_REPLAYED);
	} else {
		CHECK(settle(k, entries, n, NULL) == SQ_QUEUE_DONE);
		CHECK(settle(k, entries, n, NULL) == SQ_QUEUE_DONE);
	}
	if (!back)
		ledger_set(k->of, numbers, n, DONE);
	pthread_mutex_lock(&k->of->lock);
	k->of->published += !back && transforms;
	pthread_mutex_unlock(&k->of->lock);
	sq_msg_unref(&m);
}

static void *
pull_main(void *arg)
{
	uint64_t end = sq_clock_ms() + WAIT_MS;
	struct caller *k = arg;
	char leases[PER_CALL][SQ_LEASE_TEXT_MAX];
	unsigned numbers[PER_CALL], n;

	sem_init(&k->answered, 0, 0);
	while (ledger_goes_on(k->of)) {
		CHECK(sq_clock_ms() < end);
		n = pull(k, numbers, leases);
		if (n > 0)
			finish(k, numbers, leases, n);
	}
	sem_destroy(&k->answered);
	return NULL;
}

/* A client of MQTT in the queue without an order. */
static void *
member_main(void *arg)
{
	struct ledger *l = &ledgers[0];
	struct actor a = {.key = "s~w~m~pod", .instance = *(unsigned *)arg * 1000 + 901, .run = 1};
	struct sq_sub s = {
	    .op = SQ_SUB_SUBSCRIBE, .options = 1, .filter = sq_bytes_of("$queue/none")};
	uint64_t end = sq_clock_ms() + WAIT_MS;
	struct fake_delivery d;
	struct sq_buf b = {0};

	actor_relink(&a);
	actor_attach(&a, true, 0);
	sq_subs_head_put(&b, 1, &(struct sq_subs_head){0}, SQ_LINK_VERSION);
	sq_sub_put(&b, &s, SQ_LINK_VERSION);
	CHECK(actor_finish(actor_call(&a, SQ_CALL_SUBSCRIPTIONS, &b)) == 200);
	a.granted = 3;
	sq_settlements_header(&b, a.granted, UINT64_MAX);
	CHECK(actor_finish(actor_call(&a, SQ_CALL_SETTLEMENTS, &b)) == 204);
	while (ledger_goes_on(l)) {
		unsigned number;

		CHECK(sq_clock_ms() < end);
		sched_yield();
		if (!fake_link_take(a.link, &d) || d.detached || d.delivery == 0)
			continue;
		number = number_of(sq_bytes_of(d.payload));
		pthread_mutex_lock(&l->lock);
		ledger_out(l, number, NULL, 0);
		pthread_mutex_unlock(&l->lock);
		ledger_set(l, &number, 1, SETTLES);
		a.granted++;
		sq_settlements_header(&b, a.granted, UINT64_MAX);
		sq_settle_put(&b, &(struct sq_settle){SQ_SETTLE_ACK, 0, 1, d.delivery});
		CHECK(actor_finish(actor_call(&a, SQ_CALL_SETTLEMENTS, &b)) == 204);
		ledger_set(l, &number, 1, DONE);
	}
	actor_unlink(&a);
	return NULL;
}

/* Takers: one of each queue, on the worker that owns it. */

struct taker {
	struct sq_taker t;
	struct ledger *of;
	struct sq_shard *shard;
	unsigned seed;
	struct sq_taker_ask ask;
	struct sq_taker_settlement settlement;
	struct sq_taker_outcome outcomes[PER_CALL];
	struct sq_msg made;
	unsigned numbers[PER_CALL], n;
	unsigned taken; /* in all */
	bool back, settles, leaves;
	struct sq_task join, leave;
	sem_t left;
};

static struct taker takers[SQ_ARRAY_LEN(ledgers)];

static unsigned
taker_pick(struct taker *t, unsigned n)
{
	return (unsigned)rand_r(&t->seed) % n;
}

static void
taker_ask(struct taker *t)
{
	if (!ledger_goes_on(t->of))
		return;
	t->ask.n = 1 + taker_pick(t, PER_CALL);
	t->ask.bytes = 1 << 20;
	t->ask.linger_ms = taker_pick(t, 2) * 20;
	sq_taker_ask(&t->t, &t->ask);
}

static void
taker_settle(struct taker *t)
{
	t->settlement.outcomes = t->outcomes;
	t->settlement.n = t->n;
	t->settlement.who = sq_identity_nobody();
	t->settles = true;
	sq_taker_settle(&t->t, &t->settlement);
}

static void
taker_take(struct sq_taker *of, struct sq_taker_ask *ask, const struct sq_taken *v, size_t n)
{
	struct taker *t = SQ_CONTAINER_OF(of, struct taker, t);
	unsigned how = taker_pick(t, 8);

	CHECK(ask == &t->ask && n <= ask->n);
	t->back = how == 0;
	t->n = (unsigned)n;
	t->taken += t->n;
	pthread_mutex_lock(&t->of->lock);
	for (unsigned i = 0; i < n; i++) {
		t->numbers[i] = number_of(sq_image_payload(v[i].msg->image));
		ledger_out(t->of, t->numbers[i], t->numbers, i);
		t->outcomes[i] = (struct sq_taker_outcome){.seq = v[i].seq,
		    .how = !t->back             ? SQ_DISPATCH_OK
			: taker_pick(t, 2) == 0 ? SQ_DISPATCH_LATER
						: SQ_DISPATCH_FAILED,
		    .delay_ms = taker_pick(t, 5)};
	}
	pthread_mutex_unlock(&t->of->lock);
	ledger_set(t->of, t->numbers, t->n, t->back ? WAITS : SETTLES);
	t->settlement.reply = how == 1
	    ? sq_msg_new(1, false, sq_bytes_of("made"), (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY,
		  sq_bytes_of("x"))
	    : (struct sq_msg){0};
	taker_settle(t);
}

static void
taker_leave(struct taker *t)
{
	sq_taker_leave(&t->t);
	sem_post(&t->left);
}

static void
taker_settled(struct sq_taker *of, struct sq_taker_settlement *s)
{
	struct taker *t = SQ_CONTAINER_OF(of, struct taker, t);

	CHECK(s == &t->settlement && t->settles && s->end == SQ_TAKER_DONE);
	t->settles = false;
	if (!t->back)
		ledger_set(t->of, t->numbers, t->n, DONE);
	pthread_mutex_lock(&t->of->lock);
	t->of->published += s->reply.image != NULL;
	pthread_mutex_unlock(&t->of->lock);
	sq_msg_unref(&s->reply);
	if (t->leaves)
		taker_leave(t);
	else
		taker_ask(t);
}

static void
taker_dismissed(struct sq_taker *of)
{
	(void)of;
	CHECK(!"nobody has ended the queue");
}

static const struct sq_taker_ops taker_ops = {taker_take, taker_settled, taker_dismissed};

static void
join_task(struct sq_task *task)
{
	struct taker *t = SQ_CONTAINER_OF(task, struct taker, join);

	sq_taker_join(&t->t, sq_subscriber_find(t->shard, "s", t->of->name)->pull);
	taker_ask(t);
}

static void
leave_task(struct sq_task *task)
{
	struct taker *t = SQ_CONTAINER_OF(task, struct taker, leave);

	t->leaves = true;
	if (!t->settles)
		taker_leave(t);
}

static void
takers_join(unsigned round)
{
	struct sq_broker *b = atomic_load(&actor_broker);

	for (unsigned i = 0; i < SQ_ARRAY_LEN(takers); i++) {
		struct taker *t = &takers[i];

		*t = (struct taker){.t.ops = &taker_ops,
		    .of = &ledgers[i],
		    .shard = sq_subscribers_owner(b->subscribers, "s", ledgers[i].name),
		    .seed = 1 + round * 100 + 90 + i,
		    .join.run = join_task,
		    .leave.run = leave_task};
		sem_init(&t->left, 0, 0);
		sq_worker_post(t->shard->worker, &t->join);
	}
}

static void
takers_leave(void)
{
	for (unsigned i = 0; i < SQ_ARRAY_LEN(takers); i++) {
		sq_worker_post(takers[i].shard->worker, &takers[i].leave);
		sem_wait(&takers[i].left);
		sem_destroy(&takers[i].left);
		CHECK(takers[i].taken > 0);
	}
}

/* Rounds. */

static void
declare(struct caller *k, const char *name, const char *filter, const char *order, bool again)
{
	struct sq_declaration decl;
	struct sq_buf json = {0}, err = {0};

	sq_declaration_init(&decl);
	sq_buf_printf(&json,
	    "{\"bindings\":[{\"filter\":\"%s\"}],\"order\":\"%s\",\"exactlyOnce\":%s,"
	    "\"maxAttempts\":\"unlimited\"}",
	    filter, order, strcmp(name, "topic") == 0 ? "true" : "false");
	CHECK(sq_declaration_read_json(&decl, sq_buf_bytes(&json), &err) == SQ_OK);
	caller_begin(k, SQ_CALL_QUEUE);
	k->call.in.queue = (struct sq_call_queue){.who = sq_identity_nobody(),
	    .space = "s",
	    .name = name,
	    .op = SQ_QUEUE_DECLARE,
	    .in.declare.decl = &decl};
	caller_send(k);
	CHECK(k->call.out.queue.how == (again ? SQ_QUEUE_DONE : SQ_QUEUE_CREATED));
	caller_end(k);
	sq_declaration_fini(&decl);
	sq_buf_fini(&json);
	sq_buf_fini(&err);
}

static void
declare_all(bool again)
{
	struct caller k = {0};
	char filter[32];

	sem_init(&k.answered, 0, 0);
	for (size_t i = 0; i < SQ_ARRAY_LEN(ledgers); i++) {
		snprintf(filter, sizeof filter, "%s/#", ledgers[i].name);
		declare(&k, ledgers[i].name, filter, ledgers[i].order, again);
	}
	declare(&k, "made", "made", "none", again);
	sem_destroy(&k.answered);
}

/* What was published with settlements is there, each once. */
static void
check_made(void)
{
	struct caller k = {0};
	unsigned published = 0;

	for (size_t i = 0; i < SQ_ARRAY_LEN(ledgers); i++)
		published += ledgers[i].published;
	sem_init(&k.answered, 0, 0);
	caller_begin(&k, SQ_CALL_QUEUE);
	k.call.in.queue = (struct sq_call_queue){
	    .who = sq_identity_nobody(), .space = "s", .name = "made", .op = SQ_QUEUE_GET};
	caller_send(&k);
	CHECK(((const struct sq_queue_info *)(const void *)sq_buf_data(&k.call.out.queue.infos))
		  ->ready == published);
	caller_end(&k);
	sem_destroy(&k.answered);
}

static void
run_threads(unsigned round, bool publishes)
{
	struct caller pullers[SQ_ARRAY_LEN(ledgers)][PULLERS];
	pthread_t threads[SQ_ARRAY_LEN(ledgers)][PULLERS], publishers[SQ_ARRAY_LEN(ledgers)],
	    member;

	for (size_t i = 0; i < SQ_ARRAY_LEN(ledgers); i++) {
		if (publishes)
			pthread_create(&publishers[i], NULL, publish_main, &ledgers[i]);
		for (unsigned j = 0; j < PULLERS; j++) {
			pullers[i][j] = (struct caller){
			    .of = &ledgers[i], .seed = 1 + round * 100 + (unsigned)i * 10 + j};
			pthread_create(&threads[i][j], NULL, pull_main, &pullers[i][j]);
		}
	}
	pthread_create(&member, NULL, member_main, &round);
	takers_join(round);
	for (size_t i = 0; i < SQ_ARRAY_LEN(ledgers); i++) {
		for (unsigned j = 0; j < PULLERS; j++)
			pthread_join(threads[i][j], NULL);
		if (publishes)
			pthread_join(publishers[i], NULL);
	}
	pthread_join(member, NULL);
	takers_leave();
}

static void
run_broker(const struct sq_broker_cfg *cfg, unsigned round, unsigned upto, bool again)
{
	char *allowed[] = {(char[]){"consume"}, (char[]){"manage"}}, *all[] = {(char[]){"*"}};
	struct sq_acl_rule rule = {.allow = {allowed, 2}, .queues = {all, 1}, .where = "a:1"};
	struct sq_worker *workers[WORKERS];
	struct sq_buf err = {0};
	struct sq_broker *b;

	for (unsigned i = 0; i < WORKERS; i++)
		workers[i] = thread_worker_start(i, tick);
	b = broker_open(cfg, workers, WORKERS, &err);
	CHECK(b != NULL);
	sq_broker_set_acl(b, sq_acl_new(&rule, 1, false, &err));
	atomic_store(&actor_broker, b);
	for (size_t i = 0; i < SQ_ARRAY_LEN(ledgers); i++)
		ledgers[i].upto = upto;
	declare_all(again);
	run_threads(round, !again);
	check_made();
	sq_broker_stop(b);
	for (unsigned i = 0; i < WORKERS; i++)
		thread_worker_stop(&workers[i]);
	sq_broker_free(&b);
	atomic_store(&actor_broker, NULL);
	CHECK(atomic_load(&sq_broker_metrics.values[SQ_M_PULL_LEASES]) == 0);
	CHECK(atomic_load(&sq_broker_metrics.values[SQ_M_DISPATCH_LANES]) == 0);
	CHECK(atomic_load(&sq_broker_metrics.values[SQ_M_QUEUED]) == 0);
}

static void
ledgers_begin(void)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(ledgers); i++) {
		memset(ledgers[i].state, 0, sizeof ledgers[i].state);
		ledgers[i].done = ledgers[i].published = 0;
		pthread_mutex_init(&ledgers[i].lock, NULL);
	}
}

int
main(void)
{
	struct sq_broker_cfg cfg = actor_broker_cfg();
	char *dir = temp_dir_new();

	ledgers_begin();
	run_broker(&cfg, 0, MESSAGES, false);
	ledgers_begin();
	cfg.engine = &sq_engine_embedded;
	cfg.store_dir = dir;
	run_broker(&cfg, 1, MESSAGES / 2, false);
	run_broker(&cfg, 2, MESSAGES, true);
	temp_dir_free(&dir);
	return 0;
}
