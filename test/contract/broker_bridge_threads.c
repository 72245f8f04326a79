/* Bridges on three workers, under everything at once: messages of several lanes go out over four of them
 * while their peers come and go, one is changed again and again, another is paused and resumed, and others
 * look at them.  Each message reaches its peer, and the first copies of a lane in their order; where there
 * is a store, over a restart of the broker in the middle.  A plain program: Criterion does not start under
 * ThreadSanitizer. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_actor.h"
#include "../support/broker_open.h"
#include "../support/fake_bridge.h"
#include "../support/temp_dir.h"
#include "../support/thread_worker.h"
#include "broker/auth/acl/acl.h"
#include "broker/auth/identity/identity.h"
#include "broker/bridge/bridges.h"
#include "broker/bridge/file.h"
#include "broker/engine/engines/engines.h"
#include "core/clock.h"
#include "core/mem.h"

enum { WORKERS = 3, BRIDGES = 4, LANES = 4, MESSAGES = 300, WAIT_MS = 60000 };

static atomic_bool over; /* for those who disturb */

static const struct sq_bridge_kind *
kind(unsigned i)
{
	return i == 0 ? &fake_bridge_kind : NULL;
}

static const struct sq_bridges_cfg bridges_cfg = {
    .install = "here", .user_agent = "test", .metrics_bridges = 2, .kind = kind};

static void
tick(struct sq_worker *w)
{
	struct sq_broker *b = atomic_load(&actor_broker);

	if (b != NULL)
		sq_broker_tick(b, w);
}

static struct sq_bridges *
bridges(void)
{
	return sq_broker_bridges(atomic_load(&actor_broker));
}

/* Bridges "b0" on, of which the first has that window. */
static void
set(unsigned window)
{
	struct sq_bridge_cfgs cfgs = {0};
	struct sq_bridge_file *file;
	struct sq_buf text = {0}, err = {0};

	sq_buf_printf(&text, "bridges:\n");
	for (unsigned i = 0; i < BRIDGES; i++)
		sq_buf_printf(&text,
		    "  b%u: {space: s, kind: amqp, url: [amqp://p], window: %u, out: [{filter: "
		    "\"%u/#\", to: {exchange: x}}], in: [{queue: q, to: in/t}]}\n",
		    i, i == 0 ? window : 50, i);
	CHECK(sq_bridge_cfgs_read("b.yaml", sq_buf_bytes(&text), NULL, &cfgs, &err) == SQ_OK);
	file = sq_bridge_file_new(&cfgs);
	sq_bridges_set(bridges(), &file, 1, true);
	sq_bridge_file_unref(&file);
	sq_buf_fini(&text);
	sq_buf_fini(&err);
	while (!sq_bridges_are_set(bridges()))
		sched_yield();
}

/* Calls, each of one thread. */

struct caller {
	struct sq_call call;
	sem_t answered;
};

static void
caller_done(struct sq_call *c)
{
	sem_post(&SQ_CONTAINER_OF(c, struct caller, call)->answered);
}

static void
caller_send(struct caller *k, enum sq_call_kind what)
{
	k->call.kind = what;
	k->call.done = caller_done;
	sem_init(&k->answered, 0, 0);
	sq_broker_call(atomic_load(&actor_broker), &k->call);
	sem_wait(&k->answered);
	sem_destroy(&k->answered);
	CHECK(k->call.verdict == SQ_VERDICT_OK);
}

static void
publish(unsigned bridge, unsigned number)
{
	char topic[32], payload[16];
	struct caller k = {0};
	struct sq_msg m;

	(void)snprintf(topic, sizeof topic, "%u/%u", bridge, number % LANES);
	(void)snprintf(payload, sizeof payload, "%u", number);
	m = sq_msg_new(1, false, sq_bytes_of(topic), (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY,
	    sq_bytes_of(payload));
	k.call.in.publish = (struct sq_call_publish){.who = sq_identity_nobody(),
	    .worker = bridge % WORKERS,
	    .n = 1,
	    .space = "s",
	    .msgs = &m};
	caller_send(&k, SQ_CALL_PUBLISH);
	CHECK(k.call.out.published[0].how == SQ_PUBLISHED_STORED);
	sq_buf_fini(&k.call.store);
	sq_msg_unref(&m);
}

static void
ask(enum sq_bridge_op op, const char *name)
{
	struct caller k = {.call.in.bridge = {.who = sq_identity_nobody(), .op = op, .name = name}};

	caller_send(&k, SQ_CALL_BRIDGE);
	CHECK(k.call.out.bridge.how == SQ_BRIDGE_DONE);
	CHECK(op > SQ_BRIDGE_GET || sq_buf_len(&k.call.out.bridge.json) > 0);
	sq_bridge_answer_fini(&k.call.out.bridge);
}

static unsigned first, upto; /* of the messages of this round */

static void *
publish_main(void *arg)
{
	for (unsigned i = first; i < upto; i++)
		publish(*(const unsigned *)arg, i);
	return NULL;
}

/* Who disturbs. */

static void *
change_main(void *arg)
{
	(void)arg;
	for (unsigned n = 1; !atomic_load(&over); n++)
		set(n % 40 + 1);
	return NULL;
}

static void *
pause_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		ask(SQ_BRIDGE_PAUSE, "b1");
		ask(SQ_BRIDGE_RESUME, "b1");
		ask(SQ_BRIDGE_LIST, NULL);
		ask(SQ_BRIDGE_GET, "b0");
	}
	return NULL;
}

static void *
cut_main(void *arg)
{
	struct fake_peer *p = fake_peer("b2");

	(void)arg;
	while (!atomic_load(&over)) {
		fake_peer_away(p, true, true);
		sched_yield();
		fake_peer_away(p, false, false);
		fake_peer_set_room(fake_peer("b3"), 3);
		sched_yield();
		fake_peer_set_room(fake_peer("b3"), 100);
	}
	return NULL;
}

static void *
look_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		struct sq_buf text = {0};

		sq_bridges_write_metrics(bridges(), &text);
		CHECK(sq_buf_len(&text) > 0);
		sq_buf_fini(&text);
		sched_yield();
	}
	return NULL;
}

/* How many different messages the peer has; the first copies of each lane are in order. */
static unsigned
count(unsigned bridge)
{
	bool seen[MESSAGES] = {false};
	unsigned next[LANES], n = 0;
	char name[8];
	struct fake_peer *p;
	size_t got;

	(void)snprintf(name, sizeof name, "b%u", bridge);
	p = fake_peer(name);
	got = fake_peer_got(p);
	for (unsigned i = 0; i < LANES; i++)
		next[i] = i;
	for (size_t i = 0; i < got; i++) {
		struct fake_got g = fake_peer_got_at(p, i);
		unsigned k = (unsigned)strtoul(g.payload, NULL, 10);

		CHECK(k < MESSAGES);
		if (seen[k])
			continue;
		CHECK(next[k % LANES] == k);
		next[k % LANES] += LANES;
		seen[k] = true;
		n++;
	}
	return n;
}

/* Publishes from 'from' on, with everything at once; 'all': returns when peers have all. */
static void
run_round(unsigned from, unsigned to, bool all)
{
	static void *(*const mains[])(void *) = {change_main, pause_main, cut_main, look_main};
	static unsigned numbers[BRIDGES];
	pthread_t publishers[BRIDGES], others[4];
	uint64_t end_ms = sq_clock_ms() + WAIT_MS;

	first = from;
	upto = to;
	atomic_store(&over, false);
	set(50);
	for (unsigned i = 0; i < 4; i++)
		CHECK(pthread_create(&others[i], NULL, mains[i], NULL) == 0);
	for (unsigned i = 0; i < BRIDGES; i++) {
		numbers[i] = i;
		CHECK(pthread_create(&publishers[i], NULL, publish_main, &numbers[i]) == 0);
	}
	for (unsigned i = 0; i < BRIDGES; i++)
		pthread_join(publishers[i], NULL);
	atomic_store(&over, true);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(others[i], NULL);
	for (unsigned i = 0; all && i < BRIDGES; i++) {
		while (count(i) < to) {
			CHECK(sq_clock_ms() < end_ms);
			sched_yield();
		}
	}
}

static void
run_broker(const struct sq_broker_cfg *cfg, unsigned from, unsigned to, bool all)
{
	char *manage[] = {(char[]){"manage"}};
	struct sq_acl_rule rule = {.allow = {manage, 1}, .where = "a:1"};
	struct sq_worker *workers[WORKERS];
	struct sq_buf err = {0};
	struct sq_broker *b;

	for (unsigned i = 0; i < WORKERS; i++)
		workers[i] = thread_worker_start(i, tick);
	b = broker_open(cfg, workers, WORKERS, &err);
	CHECK(b != NULL);
	sq_broker_set_acl(b, sq_acl_new(&rule, 1, false, &err));
	atomic_store(&actor_broker, b);
	run_round(from, to, all);
	atomic_store(&actor_broker, NULL);
	sq_broker_stop(b);
	for (unsigned i = 0; i < WORKERS; i++)
		thread_worker_stop(&workers[i]);
	sq_broker_free(&b);
}

int
main(void)
{
	struct sq_broker_cfg cfg = actor_broker_cfg();
	char *dir = temp_dir_new();

	cfg.bridges = &bridges_cfg;
	cfg.queue_max_msgs = 2 * MESSAGES;
	run_broker(&cfg, 0, MESSAGES, true);
	fake_peers_reset();
	cfg.engine = &sq_engine_embedded;
	cfg.store_dir = dir;
	run_broker(&cfg, 0, MESSAGES / 2, false);
	run_broker(&cfg, MESSAGES / 2, MESSAGES, true);
	fake_peers_reset();
	temp_dir_free(&dir);
	return 0;
}
