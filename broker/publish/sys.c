#include "broker/publish/sys.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/now.h"
#include "broker/shard/sys_counts.h"
#include "broker/shard/system_txn.h"
#include "broker/publish/own.h"
#include "broker/group/watch.h"
#include "core/htab.h"
#include "core/mem.h"
#include "proto/topic/sys_value.h"
#include "proto/topic/topic.h"

#define PREFIX "$SYS/broker/"

/* X(symbol, name): mosquitto's, those that it calls deprecated among them. */
#define SYS_TOPICS(X) \
	X(VERSION, "version") \
	X(UPTIME, "uptime") \
	X(CONNECTED, "clients/connected") \
	X(ACTIVE, "clients/active") \
	X(DISCONNECTED, "clients/disconnected") \
	X(INACTIVE, "clients/inactive") \
	X(EXPIRED, "clients/expired") \
	X(MAXIMUM, "clients/maximum") \
	X(TOTAL, "clients/total") \
	X(SUBSCRIPTIONS, "subscriptions/count") \
	X(SHARED, "shared_subscriptions/count") \
	X(RETAINED, "retained messages/count") \
	X(RECEIVED, "messages/received") \
	X(SENT, "messages/sent") \
	X(STORED, "messages/stored") \
	X(STORE_COUNT, "store/messages/count") \
	X(STORE_BYTES, "store/messages/bytes") \
	X(PUBLISH_RECEIVED, "publish/messages/received") \
	X(PUBLISH_SENT, "publish/messages/sent") \
	X(PUBLISH_DROPPED, "publish/messages/dropped") \
	X(PUBLISH_BYTES_RECEIVED, "publish/bytes/received") \
	X(PUBLISH_BYTES_SENT, "publish/bytes/sent") \
	X(BYTES_RECEIVED, "bytes/received") \
	X(BYTES_SENT, "bytes/sent")

#define SYS_TOPIC_ENUM(sym, name) TOPIC_##sym,
enum sys_topic { SYS_TOPICS(SYS_TOPIC_ENUM) TOPICS };

static const char *const sys_names[] = {
#define SYS_TOPIC_NAME(sym, name) [TOPIC_##sym] = PREFIX name,
    SYS_TOPICS(SYS_TOPIC_NAME)
#undef SYS_TOPIC_NAME
};

/* Waiting messages in named queues. */
struct sys_stored {
	uint64_t n, bytes;
};

struct sys_tenant {
	struct sq_hnode node;
	struct sq_tenant *tenant;
	struct sys_stored stored, passing;
	struct sq_sys_told told[TOPICS];
};

struct sq_sys {
	struct sq_broker *broker;
	uint64_t interval_ms, start_ms;
	pthread_mutex_t lock; /* of the table, and of all in it */
	struct sq_htab tenants;
};

struct sq_sys *
sq_sys_new(struct sq_broker *b, uint64_t interval_ms)
{
	struct sq_sys *sys = sq_xcalloc(1, sizeof *sys);

	sys->broker = b;
	sys->interval_ms = interval_ms;
	sys->start_ms = sq_engine_now_ms();
	pthread_mutex_init(&sys->lock, NULL);
	return sys;
}

static void
sys_tenant_free(struct sq_sys *sys, struct sys_tenant *t)
{
	sq_htab_remove(&sys->tenants, &t->node);
	free(t);
}

void
sq_sys_free(struct sq_sys **sp)
{
	struct sq_sys *sys = *sp;
	struct sq_hnode *at;

	*sp = NULL;
	if (sys == NULL)
		return;
	while ((at = sq_htab_walk(&sys->tenants, NULL)) != NULL)
		sys_tenant_free(sys, SQ_CONTAINER_OF(at, struct sys_tenant, node));
	sq_htab_fini(&sys->tenants);
	pthread_mutex_destroy(&sys->lock);
	free(sys);
}

/* Under the lock, as the next one. */
static struct sys_tenant *
sys_find(const struct sq_sys *sys, const struct sq_tenant *tenant)
{
	uint64_t hash = sq_hash(&tenant, sizeof tenant);

	for (struct sq_hnode *n = sq_htab_find(&sys->tenants, hash); n != NULL;
	     n = sq_htab_next_same(n)) {
		struct sys_tenant *t = SQ_CONTAINER_OF(n, struct sys_tenant, node);

		if (t->tenant == tenant)
			return t;
	}
	return NULL;
}

static struct sys_tenant *
sys_tenant(struct sq_sys *sys, struct sq_tenant *tenant)
{
	struct sys_tenant *t = sys_find(sys, tenant);

	if (t != NULL)
		return t;
	t = sq_xcalloc(1, sizeof *t);
	t->tenant = tenant;
	for (int i = 0; i < TOPICS; i++)
		t->told[i] = sq_sys_untold;
	sq_htab_insert(&sys->tenants, &t->node, sq_hash(&tenant, sizeof tenant));
	return t;
}

void
sq_sys_forget(struct sq_sys *sys, const struct sq_tenant *tenant)
{
	struct sys_tenant *t;

	pthread_mutex_lock(&sys->lock);
	t = sys_find(sys, tenant);
	if (t != NULL)
		sys_tenant_free(sys, t);
	pthread_mutex_unlock(&sys->lock);
}

/* Values. */

/* The values for the tenant's clients; under the lock.  Returns the space of their filters; NULL:
 * there never was one. */
static struct sq_space *
sys_values(const struct sq_sys *sys, const struct sys_tenant *t, int64_t *v)
{
	uint64_t retained, retained_bytes;
	struct sq_sys_sums sums;

	sq_space_retained(sq_tenant_space(t->tenant), &retained, &retained_bytes);
	sq_sys_counts_sum(sys->broker->sys_counts, t->tenant, &sums);
	v[TOPIC_VERSION] = 0;
	v[TOPIC_UPTIME] = (int64_t)((sq_engine_now_ms() - sys->start_ms) / 1000);
	v[TOPIC_CONNECTED] = v[TOPIC_ACTIVE] = sums.v[SQ_SYS_CONNECTED];
	v[TOPIC_TOTAL] = sums.v[SQ_SYS_TOTAL];
	v[TOPIC_DISCONNECTED] = v[TOPIC_INACTIVE] = v[TOPIC_TOTAL] > v[TOPIC_CONNECTED]
	    ? v[TOPIC_TOTAL] - v[TOPIC_CONNECTED]
	    : 0;
	v[TOPIC_EXPIRED] = sums.v[SQ_SYS_EXPIRED];
	v[TOPIC_MAXIMUM] = sums.maximum;
	v[TOPIC_SUBSCRIPTIONS] = sums.v[SQ_SYS_SUBSCRIPTIONS];
	v[TOPIC_SHARED] = sums.v[SQ_SYS_SHARED];
	v[TOPIC_RETAINED] = (int64_t)retained;
	v[TOPIC_STORED] = v[TOPIC_STORE_COUNT] = (int64_t)(retained + t->stored.n);
	v[TOPIC_STORE_BYTES] = (int64_t)(retained_bytes + t->stored.bytes);
	v[TOPIC_RECEIVED] = v[TOPIC_PUBLISH_RECEIVED] = sums.v[SQ_SYS_RECEIVED];
	v[TOPIC_SENT] = v[TOPIC_PUBLISH_SENT] = sums.v[SQ_SYS_SENT];
	v[TOPIC_PUBLISH_DROPPED] = sums.dropped;
	v[TOPIC_BYTES_RECEIVED] = v[TOPIC_PUBLISH_BYTES_RECEIVED] = sums.v[SQ_SYS_RECEIVED_BYTES];
	v[TOPIC_BYTES_SENT] = v[TOPIC_PUBLISH_BYTES_SENT] = sums.v[SQ_SYS_SENT_BYTES];
	return sums.space;
}

/* The message of a value; one reference. */
static struct sq_msg
sys_message(enum sys_topic topic, int64_t value)
{
	char text[SQ_SYS_TEXT_MAX];

	sq_sys_text(text,
	    topic == TOPIC_VERSION      ? SQ_SYS_VERSION
		: topic == TOPIC_UPTIME ? SQ_SYS_SECONDS
					: SQ_SYS_NUMBER,
	    value);
	return sq_msg_new(0, true, sq_bytes_of(sys_names[topic]), (struct sq_bytes){0},
	    SQ_MSG_NO_EXPIRY, sq_bytes_of(text));
}

void
sq_sys_retained(struct sq_sys *sys, struct sq_tenant *tenant, struct sq_bytes filter,
    sq_retained_fn *fn, void *arg)
{
	struct sq_origin origin = sq_system_origin(sys->broker);
	int64_t v[TOPICS];
	struct sys_tenant *t;
	struct sq_space *space;
	bool more = sys->interval_ms > 0, only;

	if (!more)
		return;
	pthread_mutex_lock(&sys->lock);
	t = sys_tenant(sys, tenant);
	space = sys_values(sys, t, v);
	only = space != NULL && sq_space_bindings(space) == 1; /* this one's */
	for (int i = 0; i < TOPICS; i++)
		sq_sys_told_one(&t->told[i], v[i], only);
	pthread_mutex_unlock(&sys->lock);
	for (int i = 0; i < TOPICS && more; i++) {
		struct sq_msg m;

		if (!sq_topic_match(filter, sq_bytes_of(sys_names[i])))
			continue;
		m = sys_message((enum sys_topic)i, v[i]);
		more = fn(&m, &origin, 0, arg);
		sq_msg_unref(&m);
	}
}

/* Rounds. */

/* Sends the tenant's changed values. */
static void
sys_round(
    struct sq_sys *sys, struct sq_tenant *tenant, struct sq_shard *sh, struct sq_system_txn **own)
{
	int64_t v[TOPICS];
	bool due[TOPICS];
	struct sys_tenant *t;
	struct sq_space *space;

	pthread_mutex_lock(&sys->lock);
	t = sys_tenant(sys, tenant);
	space = sys_values(sys, t, v);
	for (int i = 0; i < TOPICS; i++)
		due[i] = sq_sys_tell_all(&t->told[i], v[i]);
	pthread_mutex_unlock(&sys->lock);
	for (int i = 0; i < TOPICS; i++) {
		struct sq_msg m;

		if (!due[i])
			continue;
		m = sys_message((enum sys_topic)i, v[i]);
		sq_own_sys(sh, sq_system_txn(sh, own), tenant, space, &m);
		sq_msg_unref(&m);
	}
}

void
sq_sys_tick(struct sq_sys *sys, struct sq_shard *sh, uint64_t now_ms)
{
	struct sq_system_txn *own = NULL;
	size_t n;
	struct sq_tenant **v = sq_sys_counts_round(sys->broker->sys_counts, now_ms, &n);

	if (v == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		sys_round(sys, v[i], sh, &own);
	free(v);
	sq_system_commit(&own);
}

/* Waiting messages. */

static void
sys_looked(void *arg, struct sq_tenant *tenant, const struct sq_queue_state *q)
{
	struct sq_sys *sys = arg;
	struct sys_tenant *t;

	if (!sq_sys_counts_wanted(sys->broker->sys_counts))
		return;
	pthread_mutex_lock(&sys->lock);
	t = sys_tenant(sys, tenant);
	t->passing.n += q->n;
	t->passing.bytes += q->bytes;
	pthread_mutex_unlock(&sys->lock);
}

static void
sys_passed(void *arg)
{
	struct sq_sys *sys = arg;
	struct sq_hnode *at = NULL;

	if (!sq_sys_counts_wanted(sys->broker->sys_counts))
		return;
	pthread_mutex_lock(&sys->lock);
	while ((at = sq_htab_walk(&sys->tenants, at)) != NULL) {
		struct sys_tenant *t = SQ_CONTAINER_OF(at, struct sys_tenant, node);

		t->stored = t->passing;
		t->passing = (struct sys_stored){0};
	}
	pthread_mutex_unlock(&sys->lock);
}

struct sq_watch_user
sq_sys_watch_user(struct sq_sys *sys)
{
	return (struct sq_watch_user){.looked = sys_looked, .passed = sys_passed, .arg = sys};
}
