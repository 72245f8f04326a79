/* The answer to a SUBSCRIBE stands before what it brings, while other workers publish.
 *
 * A durable and a transient session subscribe to one topic after the other, each with a mark,
 * shares among them; publishers write to those topics all the time, at QoS 0 and 1, before they are
 * subscribed, meanwhile and behind that.  On each engine.  A plain program, as
 * broker_threads.c. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "../support/broker_actor.h"
#include "../support/broker_open.h"
#include "../support/temp_dir.h"
#include "../support/thread_worker.h"
#include "broker/engine/engines/engines.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"

enum { WORKERS = 3, ROUNDS = 200, PUBLISHERS = 2, ASKERS = 2, WAIT_MS = 60000 };

static atomic_uint rounds[ASKERS]; /* that each has begun */
static atomic_bool over;

static void
tick(struct sq_worker *w)
{
	struct sq_broker *b = atomic_load(&actor_broker);

	if (b != NULL)
		sq_broker_tick(b, w);
}

/* Publishers write to the topic that is about to be subscribed, and to the one after. */
static void *
publisher_main(void *arg)
{
	struct actor *a = arg;

	actor_relink(a);
	actor_attach(a, true, 0);
	while (!atomic_load(&over)) {
		unsigned who = actor_pick(a, ASKERS);
		uint8_t lane = (uint8_t)actor_pick(a, 2);
		struct sq_buf entries = {0};

		for (unsigned i = 0; i < 2; i++) {
			char topic[32];

			snprintf(topic, sizeof topic, "%u/%u", who, atomic_load(&rounds[who]) + i);
			actor_entry(&entries, topic, lane, false, 0, 0);
		}
		CHECK(actor_finish(actor_batch(a, lane, 2, &entries)) == 200);
	}
	return NULL;
}

struct asker {
	struct actor actor;
	unsigned who;
	uint32_t answered;
	unsigned long came; /* the newest round of which something came */
};

/* Round k is subscribed by mark 2 k - 1, and ended by mark 2 k + 2. */
static void
asker_take(struct asker *a)
{
	struct sq_buf b = {0};
	struct fake_delivery d;
	unsigned long round;

	a->actor.granted += 1000;
	sq_settlements_header(&b, a->actor.granted, UINT64_MAX);
	while (fake_link_take(a->actor.link, &d)) {
		CHECK(!d.detached && d.epoch == a->actor.epoch);
		if (d.subscribed) {
			CHECK(d.mark == a->answered + 1);
			a->answered = d.mark;
			continue;
		}
		round = strtoul(strchr(d.topic, '/') + 1, NULL, 10);
		CHECK(2 * round - 1 <= a->answered);
		a->came = round > a->came ? round : a->came;
		if (d.delivery != 0)
			sq_settle_put(&b, &(struct sq_settle){SQ_SETTLE_ACK, 0, 1, d.delivery});
	}
	CHECK(actor_finish(actor_call(&a->actor, SQ_CALL_SETTLEMENTS, &b)) == 204);
}

static void
asker_ask(struct asker *a, uint32_t mark, uint8_t op, unsigned round)
{
	struct sq_subs_head head = {.mark = mark};
	struct sq_buf b = {0};
	char filter[32];
	struct sq_sub s = {.op = op, .options = 1, .filter.p = (const unsigned char *)filter};

	s.filter.len = (size_t)snprintf(
	    filter, sizeof filter, "%s%u/%u", round % 4 == 0 ? "$share/g/" : "", a->who, round);
	sq_subs_head_put(&b, 1, &head, SQ_LINK_VERSION);
	sq_sub_put(&b, &s, SQ_LINK_VERSION);
	CHECK(actor_finish(actor_call(&a->actor, SQ_CALL_SUBSCRIPTIONS, &b)) == 204);
	asker_take(a);
	CHECK(a->answered == mark);
}

static void *
asker_main(void *arg)
{
	struct asker *a = arg;
	uint64_t end = sq_clock_ms() + WAIT_MS;

	actor_relink(&a->actor);
	actor_attach(&a->actor, true, 0);
	asker_take(a);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		atomic_store(&rounds[a->who], round);
		asker_ask(a, 2 * round - 1, SQ_SUB_SUBSCRIBE, round);
		while (a->came < round) {
			CHECK(sq_clock_ms() < end);
			sched_yield();
			asker_take(a);
		}
		asker_ask(a, 2 * round, SQ_SUB_UNSUBSCRIBE, round - 1);
	}
	return NULL;
}

static void
run_broker(const struct sq_broker_cfg *cfg)
{
	struct asker askers[ASKERS] = {
	    {.who = 0, .actor = {.key = "s~w~durable", .instance = 1, .run = 1}},
	    {.who = 1, .actor = {.key = "s~w~transient~pod", .instance = 2, .run = 1}}};
	struct actor publishers[PUBLISHERS] = {
	    {.key = "s~w~p1~pod", .instance = 3, .run = 1, .seed = 1},
	    {.key = "s~w~p2~pod", .instance = 4, .run = 1, .seed = 2}};
	pthread_t asking[ASKERS], publishing[PUBLISHERS];
	struct sq_worker *workers[WORKERS];
	struct sq_buf err = {0};
	struct sq_broker *b;

	atomic_store(&over, false);
	for (unsigned i = 0; i < WORKERS; i++)
		workers[i] = thread_worker_start(i, tick);
	b = broker_open(cfg, workers, WORKERS, &err);
	CHECK(b != NULL);
	atomic_store(&actor_broker, b);
	for (unsigned i = 0; i < PUBLISHERS; i++)
		pthread_create(&publishing[i], NULL, publisher_main, &publishers[i]);
	for (unsigned i = 0; i < ASKERS; i++)
		pthread_create(&asking[i], NULL, asker_main, &askers[i]);
	for (unsigned i = 0; i < ASKERS; i++)
		pthread_join(asking[i], NULL);
	atomic_store(&over, true);
	for (unsigned i = 0; i < PUBLISHERS; i++)
		pthread_join(publishing[i], NULL);
	for (unsigned i = 0; i < ASKERS; i++)
		actor_unlink(&askers[i].actor);
	for (unsigned i = 0; i < PUBLISHERS; i++)
		actor_unlink(&publishers[i]);
	sq_broker_stop(b);
	for (unsigned i = 0; i < WORKERS; i++)
		thread_worker_stop(&workers[i]);
	sq_broker_free(&b);
	atomic_store(&actor_broker, NULL);
	CHECK(fake_links() == 0);
}

int
main(void)
{
	struct sq_broker_cfg cfg = actor_broker_cfg();
	char *dir = temp_dir_new();

	cfg.max_inflight = 1000;
	run_broker(&cfg);
	cfg.engine = &sq_engine_embedded;
	cfg.store_dir = dir;
	run_broker(&cfg);
	temp_dir_free(&dir);
	return 0;
}
