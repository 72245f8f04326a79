/* The broker proper on three workers, under everything at once.
 *
 * Threads act as sidecars: they attach, take each other's sessions, publish,
 * subscribe, settle, lose their links and leave, at random.  Beside them one
 * publisher counts, and its subscriber, on another worker, must see every
 * number once and in order; and publishers without a session send the same keys from two
 * workers, of which each is stored once.  On each engine; where that has a store, a small one,
 * with a cache that is smaller than what waits, over a restart of the broker.  A
 * plain program: Criterion does not start under ThreadSanitizer. */
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
#include "broker/engine/engines/engines.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/mem.h"

enum {
	WORKERS = 3,
	SIDECARS = 8,
	TURNS = 1500,
	COUNTED = 2000,
	WAIT_MS = 60000,
	WAITING = 3000, /* messages that wait for one who is away */
	KEYS = 600,
	KEYED_CALL = 3, /* of them in a call */
};

static void
tick(struct sq_worker *w)
{
	struct sq_broker *b = atomic_load(&actor_broker);

	if (b != NULL)
		sq_broker_tick(b, w);
}

static void
actor_publish(struct actor *a)
{
	uint8_t lane = (uint8_t)actor_pick(a, 2);
	uint16_t n = (uint16_t)(1 + actor_pick(a, 5));
	struct sq_buf entries = {0};

	for (uint16_t i = 0; i < n; i++) {
		char topic[] = "t/0";
		uint8_t qos = lane == 0 ? 0 : (uint8_t)(1 + actor_pick(a, 2));
		uint16_t id = qos == 2 ? (uint16_t)(1 + actor_pick(a, 20)) : 0;

		topic[2] = (char)('0' + actor_pick(a, 6));
		actor_entry(&entries, topic, qos, lane == 1 && actor_pick(a, 4) == 0, id, i);
		if (qos == 2 && i + 1 < n) {
			unsigned char head[SQ_ENTRY_HEADER];

			sq_entry_header(head, SQ_ENTRY_RELEASE, id);
			sq_buf_append(&entries, head, sizeof head);
			i++;
		}
	}
	actor_finish(actor_batch(a, lane, n, &entries));
}

static void
actor_subscribe(struct actor *a, const char *filter, uint8_t options, uint8_t op)
{
	bool declared = strcmp(filter, "declared") == 0;
	struct sq_sub s = {.op = op,
	    .options = options,
	    .sub_id = 1 + actor_pick(a, 9),
	    .filter = {(const unsigned char *)filter, strlen(filter)}};
	struct sq_buf b = {0};

	if (declared) {
		s.flags = SQ_SUB_DECLARED | SQ_SUB_CONSUME |
		    (actor_pick(a, 2) != 0 ? SQ_SUB_DURABLE : 0);
		s.queue_expiry_s = actor_pick(a, 2);
		s.since_ms = actor_pick(a, 4); /* 0: of version 1 */
		s.max_length = 100 * (unsigned)s.since_ms;
		s.pod = (struct sq_bytes){(const unsigned char *)&"012"[actor_pick(a, 3)], 1};
		s.group = (struct sq_bytes){(const unsigned char *)"g", 1};
		s.filter = (struct sq_bytes){(const unsigned char *)"t/+", 3};
	}
	sq_subs_head_put(&b, 1, &(struct sq_subs_head){0}, SQ_LINK_VERSION);
	sq_sub_put(&b, &s, SQ_LINK_VERSION);
	actor_finish(actor_call(a, SQ_CALL_SUBSCRIPTIONS, &b));
}

/* Settles what has come, and grants credit for more. */
static void
actor_settle(struct actor *a)
{
	struct sq_buf b = {0};
	struct fake_delivery d;

	a->granted += 50;
	sq_settlements_header(&b, a->granted, a->granted * 4000);
	while (fake_link_take(a->link, &d)) {
		struct sq_settle e = {.n = 1,
		    .delivery = d.delivery,
		    .kind = (uint8_t)(SQ_SETTLE_ACK + actor_pick(a, SQ_SETTLE_REJECT))};

		if (!d.detached && d.epoch == a->epoch && d.delivery != 0)
			sq_settle_put(&b, &e);
	}
	actor_finish(actor_call(a, SQ_CALL_SETTLEMENTS, &b));
}

static void
actor_detach(struct actor *a)
{
	struct sq_detach d = {.expiry_s = actor_pick(a, 2),
	    .will = (uint8_t)actor_pick(a, 2),
	    .last = {a->next[0] - 1, a->next[1] - 1}};
	struct sq_buf b = {0};

	sq_detach_encode(&b, &d, SQ_LINK_VERSION);
	actor_finish(actor_call(a, SQ_CALL_DETACH, &b));
}

static void
actor_act(struct actor *a)
{
	static const char *const filters[] = {"t/+", "t/1", "#", "$share/g/t/#", "$share/h/t/2",
	    "$tag/red", "declared", "$SYS/#", "$share/g/$SYS/broker/+"};
	const char *filter = filters[actor_pick(a, SQ_ARRAY_LEN(filters))];

	switch (actor_pick(a, 16)) {
	case 0:
		actor_relink(a);
		actor_attach(a, false, 0);
		break;
	case 1:
		actor_attach(a, actor_pick(a, 2) != 0,
		    (uint8_t)(actor_pick(a, 4) == 0 ? SQ_ATTACH_CLEAN_START : 0) | SQ_ATTACH_WILL);
		break;
	case 2:
		actor_attach(a, true, SQ_ATTACH_WILL);
		break;
	case 3:
		if (actor_pick(a, 4) == 0) {
			actor_detach(a);
			actor_attach(a, true, 0);
		}
		break;
	case 4:
	case 5:
		actor_subscribe(a, filter, (uint8_t)actor_pick(a, 3), SQ_SUB_SUBSCRIBE);
		break;
	case 6:
		actor_subscribe(a, filter, 0, SQ_SUB_UNSUBSCRIBE);
		break;
	case 7:
	case 8:
	case 9:
	case 10:
		actor_settle(a);
		break;
	default:
		actor_publish(a);
		break;
	}
}

static void *
sidecar_main(void *arg)
{
	struct actor *a = arg;

	actor_relink(a);
	actor_attach(a, true, 0);
	for (unsigned i = 0; i < TURNS; i++)
		actor_act(a);
	return NULL;
}

/* The one that counts. */

static void
count_take(struct actor *sub)
{
	uint64_t first = 0, n = 0;
	struct fake_delivery d;
	struct sq_buf b = {0};

	while (fake_link_take(sub->link, &d)) {
		CHECK(!d.detached && d.epoch == sub->epoch);
		CHECK(d.origin.number == sub->expect);
		sub->expect++;
		first = n == 0 ? d.delivery : first;
		n++;
	}
	if (n == 0)
		return;
	sub->granted += n;
	sq_settlements_header(&b, sub->granted, UINT64_MAX);
	sq_settle_put(&b, &(struct sq_settle){SQ_SETTLE_ACK, 0, (uint16_t)n, first});
	CHECK(actor_finish(actor_call(sub, SQ_CALL_SETTLEMENTS, &b)) == 204);
}

static void *
count_main(void *arg)
{
	uint64_t instance = *(unsigned *)arg * 1000 + 101;
	struct actor pub = {.key = "count~w~pub", .instance = instance, .run = 1};
	struct actor sub = {.key = "count~w~sub3", .instance = instance + 1, .run = 1};
	uint64_t end = sq_clock_ms() + WAIT_MS, last;
	struct sq_buf b = {0};

	actor_relink(&pub);
	actor_attach(&pub, true, 0);
	sub.expect = pub.next[1];
	last = sub.expect + COUNTED - 1;
	actor_relink(&sub);
	actor_attach(&sub, true, 0);
	actor_subscribe(&sub, "count", 1, SQ_SUB_SUBSCRIBE);
	sub.granted = 100;
	sq_settlements_header(&b, sub.granted, UINT64_MAX);
	CHECK(actor_finish(actor_call(&sub, SQ_CALL_SETTLEMENTS, &b)) == 204);
	for (unsigned i = 0; i < COUNTED; i += 4) {
		struct sq_buf entries = {0};

		for (unsigned k = 0; k < 4; k++)
			actor_entry(&entries, "count", 1, false, 0, i + k);
		CHECK(actor_finish(actor_batch(&pub, 1, 4, &entries)) == 200);
		count_take(&sub);
	}
	while (sub.expect <= last) {
		CHECK(sq_clock_ms() < end);
		sched_yield();
		count_take(&sub);
	}
	actor_unlink(&pub);
	actor_unlink(&sub);
	return NULL;
}

/* One who is away while messages come for it, more than the cache has room for. */
static void
backlog_put(struct actor *pub)
{
	for (unsigned i = 0; i < WAITING; i += 4) {
		struct sq_buf entries = {0};

		for (unsigned k = 0; k < 4; k++)
			actor_entry(&entries, "backlog", 1, false, 0, i + k);
		CHECK(actor_finish(actor_batch(pub, 1, 4, &entries)) == 200);
	}
}

static void *
backlog_main(void *arg)
{
	uint64_t instance = *(unsigned *)arg * 1000 + 201;
	struct actor pub = {.key = "back~w~pub~pod", .instance = instance, .run = 1};
	struct actor sub = {.key = "back~w~sub", .instance = instance + 1, .run = 1};
	uint64_t end = sq_clock_ms() + WAIT_MS, last;
	struct sq_buf b = {0};

	actor_relink(&pub);
	actor_attach(&pub, true, 0);
	sub.expect = pub.next[1];
	last = sub.expect + WAITING - 1;
	actor_relink(&sub);
	actor_attach(&sub, true, 0);
	actor_subscribe(&sub, "backlog", 1, SQ_SUB_SUBSCRIBE);
	backlog_put(&pub);
	sub.granted = 100;
	sq_settlements_header(&b, sub.granted, UINT64_MAX);
	CHECK(actor_finish(actor_call(&sub, SQ_CALL_SETTLEMENTS, &b)) == 204);
	while (sub.expect <= last) {
		CHECK(sq_clock_ms() < end);
		sched_yield();
		count_take(&sub);
	}
	actor_subscribe(&sub, "backlog", 0, SQ_SUB_UNSUBSCRIBE);
	actor_unlink(&pub);
	actor_unlink(&sub);
	return NULL;
}

/* One of two who publish the same keys. */
struct keyed {
	unsigned worker, round;
	struct sq_call call;
	sem_t answered;
	struct sq_published got[KEYS];
};

static void
keyed_done(struct sq_call *c)
{
	sem_post(&SQ_CONTAINER_OF(c, struct keyed, call)->answered);
}

static struct sq_msg
keyed_message(unsigned round, unsigned number)
{
	struct sq_buf props = {0};
	struct sq_msg m;
	char key[32];

	snprintf(key, sizeof key, "%u-%u", round, number);
	sq_buf_u8(&props, 0x26);
	sq_buf_u16(&props, 10);
	sq_buf_append(&props, "sqmqos-key", 10);
	sq_buf_u16(&props, (uint16_t)strlen(key));
	sq_buf_append(&props, key, strlen(key));
	m = sq_msg_new(2, false, sq_bytes_of("keyed"), sq_buf_bytes(&props), SQ_MSG_NO_EXPIRY,
	    sq_bytes_of(key));
	sq_buf_fini(&props);
	return m;
}

static void *
keyed_main(void *arg)
{
	const struct sq_identity *who = sq_identity_nobody();
	struct keyed *k = arg;
	struct sq_msg msgs[KEYED_CALL];

	sem_init(&k->answered, 0, 0);
	for (unsigned i = 0; i < KEYS; i += KEYED_CALL) {
		for (unsigned j = 0; j < KEYED_CALL; j++)
			msgs[j] = keyed_message(k->round, i + j);
		k->call = (struct sq_call){.kind = SQ_CALL_PUBLISH, .done = keyed_done};
		k->call.in.publish = (struct sq_call_publish){.who = who,
		    .worker = k->worker,
		    .n = KEYED_CALL,
		    .space = "keyed",
		    .msgs = msgs};
		sq_broker_call(atomic_load(&actor_broker), &k->call);
		sem_wait(&k->answered);
		CHECK(k->call.verdict == SQ_VERDICT_OK);
		for (unsigned j = 0; j < KEYED_CALL; j++) {
			k->got[i + j] = k->call.out.published[j];
			sq_msg_unref(&msgs[j]);
		}
		sq_buf_fini(&k->call.store);
	}
	sem_destroy(&k->answered);
	sq_identity_unref(&who);
	return NULL;
}

/* Two at a time, and one who takes what they publish. */
static void *
both_keyed_main(void *arg)
{
	unsigned round = *(unsigned *)arg;
	struct actor sub = {.key = "keyed~w~sub", .instance = round * 1000 + 301, .run = 1};
	struct keyed *two = sq_xcalloc(2, sizeof *two);
	pthread_t threads[2];

	actor_relink(&sub);
	actor_attach(&sub, true, 0);
	actor_subscribe(&sub, "keyed", 1, SQ_SUB_SUBSCRIBE);
	for (unsigned i = 0; i < 2; i++) {
		two[i].worker = i;
		two[i].round = round;
		pthread_create(&threads[i], NULL, keyed_main, &two[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < KEYS; i++) {
		const struct sq_published *a = &two[0].got[i], *b = &two[1].got[i];

		CHECK((a->how == SQ_PUBLISHED_STORED && b->how == SQ_PUBLISHED_REPLAYED) ||
		    (a->how == SQ_PUBLISHED_REPLAYED && b->how == SQ_PUBLISHED_STORED));
		CHECK(memcmp(a->id, b->id, sizeof a->id) == 0);
	}
	actor_subscribe(&sub, "keyed", 0, SQ_SUB_UNSUBSCRIBE);
	actor_unlink(&sub);
	free(two);
	return NULL;
}

static void
check_nothing_left(void)
{
	static const enum sq_broker_metric gauges[] = {SQ_M_SESSIONS, SQ_M_ATTACHED,
	    SQ_M_SUBSCRIPTIONS, SQ_M_GROUPS, SQ_M_GROUPS_DISAGREE, SQ_M_GROUPS_WAIT, SQ_M_RETAINED,
	    SQ_M_QUEUED, SQ_M_QUEUED_BYTES};

	for (size_t i = 0; i < SQ_ARRAY_LEN(gauges); i++) {
		int64_t n = atomic_load(&sq_broker_metrics.values[gauges[i]]);

		if (n != 0)
			fprintf(stderr, "%s is %lld\n", sq_broker_metrics.defs[gauges[i]].name,
			    (long long)n);
		CHECK(n == 0);
	}
	CHECK(fake_links() == 0);
}

static void
run_broker(const struct sq_broker_cfg *cfg, unsigned round)
{
	static const char *const keys[SIDECARS] = {
	    "s~w~a", "s~w~a", "s~w~a~pod", "s~w~b", "s~w~b~pod", "s~w~c~pod", "s~w~d", "s~w~e~pod"};
	struct sq_worker *workers[WORKERS];
	struct actor actors[SIDECARS];
	pthread_t threads[SIDECARS], counting, backlog, keyed;
	struct sq_buf err = {0};
	struct sq_broker *b;

	for (unsigned i = 0; i < WORKERS; i++)
		workers[i] = thread_worker_start(i, tick);
	b = broker_open(cfg, workers, WORKERS, &err);
	CHECK(b != NULL);
	atomic_store(&actor_broker, b);
	for (unsigned i = 0; i < SIDECARS; i++) {
		actors[i] = (struct actor){.key = keys[i],
		    .instance = 1000 * round + i + 1,
		    .run = 1000 * (i + 1),
		    .seed = round * SIDECARS + i};
		pthread_create(&threads[i], NULL, sidecar_main, &actors[i]);
	}
	pthread_create(&counting, NULL, count_main, &round);
	pthread_create(&backlog, NULL, backlog_main, &round);
	pthread_create(&keyed, NULL, both_keyed_main, &round);
	pthread_join(keyed, NULL);
	pthread_join(counting, NULL);
	pthread_join(backlog, NULL);
	for (unsigned i = 0; i < SIDECARS; i++) {
		pthread_join(threads[i], NULL);
		actor_unlink(&actors[i]);
	}
	sq_broker_stop(b);
	for (unsigned i = 0; i < WORKERS; i++)
		thread_worker_stop(&workers[i]);
	sq_broker_free(&b);
	atomic_store(&actor_broker, NULL);
	check_nothing_left();
	CHECK(!cfg->engine->durable ||
	    atomic_load(&sq_broker_metrics.values[SQ_M_STORE_CHECKPOINTS]) > 0);
}

int
main(void)
{
	struct sq_broker_cfg cfg = actor_broker_cfg();
	char *dir = temp_dir_new();

	cfg.sys_interval_ms = 1;
	cfg.key_window_ms = 600000;
	cfg.max_keys = 10 * KEYS;
	run_broker(&cfg, 0);
	cfg.engine = &sq_engine_embedded;
	cfg.store_dir = dir;
	for (unsigned round = 1; round <= 2; round++)
		run_broker(&cfg, round);
	temp_dir_free(&dir);
	return 0;
}
