#include "broker/publish/dead_queues.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/shard/system_txn.h"
#include "broker/engine/record.h"
#include "broker/group/group.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	SEPARATOR = 0xff, /* between the parts of a group's name */
	LOG_EVERY_MS = 60000,
	/* One sweep deletes the queues of so many tenants; the end of one tenant's, in a
	 * transaction, besides its name. */
	SWEEP_MAX = 256,
	END_RECORDS = 2 * SQ_DEAD_KINDS,
	END_BYTES = 256,
};

/* A tenant's dead-letter queues. */
struct dead_tenant {
	struct sq_hnode node;
	struct sq_broker *broker;
	struct sq_tenant *tenant; /* a reference */
	/* NULL: not made yet.  A reference, and a subscription that keeps it. */
	struct sq_group *groups[SQ_DEAD_KINDS];
	bool unrecorded[SQ_DEAD_KINDS]; /* made while no worker ran */
	/* Letters that left for newer ones, and are in no line of the log yet. */
	atomic_uint_fast64_t dropped, logged_ms;
};

struct sq_dead {
	struct sq_broker *broker;
	pthread_mutex_t lock;
	struct sq_htab tenants; /* struct dead_tenant */
};

/* Life. */

struct sq_dead *
sq_dead_new(struct sq_broker *b)
{
	struct sq_dead *d = sq_xcalloc(1, sizeof *d);

	d->broker = b;
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

/* Writes the record of the queue; an empty value deletes it. */
static void
dead_record(
    const struct dead_tenant *s, enum sq_dead_kind kind, struct sq_txn *txn, struct sq_bytes value)
{
	struct sq_record_key key = {SQ_RECORD_DEAD, s->groups[kind]->id, kind};

	txn->engine->ops->txn.record(txn, &key, value);
}

/* Frees both queues; 'txn' deletes them with their records; NULL: these stay. */
static void
dead_tenant_free(struct dead_tenant *s, struct sq_txn *txn)
{
	for (int kind = 0; kind < SQ_DEAD_KINDS; kind++) {
		if (s->groups[kind] == NULL)
			continue;
		if (txn != NULL)
			dead_record(s, (enum sq_dead_kind)kind, txn, (struct sq_bytes){0});
		sq_group_free_pinned(&s->groups[kind], txn);
	}
	sq_htab_remove(&s->broker->dead->tenants, &s->node);
	sq_tenant_unref(&s->tenant);
	free(s);
}

void
sq_dead_free(struct sq_dead **dp)
{
	struct sq_dead *d = *dp;
	struct sq_hnode *at;

	if (d == NULL)
		return;
	while ((at = sq_htab_walk(&d->tenants, NULL)) != NULL)
		dead_tenant_free(SQ_CONTAINER_OF(at, struct dead_tenant, node), NULL);
	*dp = NULL;
	sq_htab_fini(&d->tenants);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* The queue's name: the form of group names, of which none is this one. */
static char *
dead_name(const struct sq_tenant *tenant, enum sq_dead_kind kind)
{
	const char *first = kind == SQ_DEAD_ASSURED ? "dead" : "dead-others";
	struct sq_buf text = {0};

	sq_buf_append(&text, first, strlen(first));
	sq_buf_u8(&text, SEPARATOR);
	sq_buf_append(&text, sq_tenant_name(tenant), strlen(sq_tenant_name(tenant)));
	return sq_buf_take_text(&text);
}

/* Of the queue of others: a letter leaves it for a newer one. */
static void
dead_dropped(void *arg, struct sq_txn *txn, const struct sq_item *item, enum sq_death why)
{
	struct dead_tenant *s = arg;
	uint64_t now_ms = sq_worker_now_ms(txn->worker);
	uint_fast64_t logged_ms = atomic_load(&s->logged_ms);

	(void)item;
	if (why != SQ_DEAD_OVERFLOW)
		return;
	sq_count(s->broker, SQ_M_DEAD_LETTERS_DROPPED, 1);
	atomic_fetch_add(&s->dropped, 1);
	if ((logged_ms == 0 || now_ms - logged_ms >= LOG_EVERY_MS) &&
	    atomic_compare_exchange_strong(&s->logged_ms, &logged_ms, now_ms))
		sq_log(SQ_LOG_WARN, "broker",
		    "tenant %s: the oldest dead letters left for newer ones, %llu since the last "
		    "such line: nobody takes them from $dead/#",
		    sq_tenant_name(s->tenant), (unsigned long long)atomic_exchange(&s->dropped, 0));
}

static uint64_t
dead_half(uint64_t limit)
{
	return limit > 1 ? limit / 2 : 1;
}

static struct sq_queue_cfg
dead_queue_cfg(struct dead_tenant *s, enum sq_dead_kind kind, const char *name)
{
	struct sq_broker *b = s->broker;
	struct sq_queue_cfg q = {
	    .name = name,
	    .owner = b->shards[sq_hash(&s->tenant, sizeof s->tenant) % b->n_shards].worker,
	    .max_msgs = b->cfg.dead_max_msgs,
	    .max_bytes = b->cfg.dead_max_bytes,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .durable = true,
	    .account = sq_tenant_account(s->tenant),
	    .memory = sq_tenant_account(s->tenant),
	    .letters = true,
	};

	if (kind == SQ_DEAD_ASSURED)
		return q;
	q.max_msgs = (uint32_t)dead_half(q.max_msgs);
	q.max_bytes = dead_half(q.max_bytes);
	q.yields = SQ_YIELD_ALWAYS;
	q.uncounted = true;
	q.dead = dead_dropped;
	q.arg = s;
	return q;
}

/* Under the lock, as the next ones.  NULL: nothing of the tenant is there yet. */
static struct dead_tenant *
dead_find(const struct sq_dead *d, const struct sq_tenant *tenant)
{
	struct sq_hnode *n = sq_htab_find(&d->tenants, sq_hash(&tenant, sizeof tenant));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct dead_tenant *s = SQ_CONTAINER_OF(n, struct dead_tenant, node);

		if (s->tenant == tenant)
			return s;
	}
	return NULL;
}

static struct dead_tenant *
dead_tenant(struct sq_dead *d, struct sq_tenant *tenant)
{
	struct dead_tenant *s = dead_find(d, tenant);

	if (s != NULL)
		return s;
	s = sq_xcalloc(1, sizeof *s);
	s->broker = d->broker;
	s->tenant = sq_tenant_ref(tenant);
	sq_htab_insert(&d->tenants, &s->node, sq_hash(&tenant, sizeof tenant));
	return s;
}

/* 'txn' as in sq_queue_ops.open. */
static void
dead_open(struct dead_tenant *s, enum sq_dead_kind kind, uint64_t id, struct sq_txn *txn)
{
	char *name = dead_name(s->tenant, kind);
	struct sq_queue_cfg q = dead_queue_cfg(s, kind, name);

	s->groups[kind] = sq_group_new_pinned(s->broker, s->tenant, id, &q, txn);
	free(name);
}

/* A queue, or its record, that becomes durable before anybody can put into it.  At a start,
 * for a session that had subscribed before there were two, the record waits for a worker. */
static void
dead_make(struct dead_tenant *s, enum sq_dead_kind kind)
{
	struct sq_broker *b = s->broker;
	struct sq_group *g = s->groups[kind];
	uint64_t id = g != NULL ? g->id : sq_broker_id(b);
	struct sq_system_txn *own = NULL;
	struct sq_txn *txn = NULL;

	s->unrecorded[kind] = sq_worker_self() == NULL;
	if (!s->unrecorded[kind])
		txn = sq_system_txn(&b->shards[sq_worker_index(sq_worker_self())], &own);
	if (g == NULL)
		dead_open(s, kind, id, txn);
	if (txn != NULL)
		dead_record(s, kind, txn, sq_bytes_of(sq_tenant_name(s->tenant)));
	sq_system_commit(&own);
}

struct sq_group *
sq_dead_group(struct sq_dead *d, struct sq_tenant *tenant, enum sq_dead_kind kind)
{
	struct dead_tenant *s;
	struct sq_group *g;

	pthread_mutex_lock(&d->lock);
	s = dead_tenant(d, tenant);
	if (s->groups[kind] == NULL || s->unrecorded[kind])
		dead_make(s, kind);
	g = sq_group_ref(s->groups[kind]);
	pthread_mutex_unlock(&d->lock);
	return g;
}

struct sq_group *
sq_dead_there(struct sq_dead *d, struct sq_tenant *tenant, enum sq_dead_kind kind)
{
	const struct dead_tenant *s;
	struct sq_group *g = NULL;

	pthread_mutex_lock(&d->lock);
	s = dead_find(d, tenant);
	if (s != NULL && s->groups[kind] != NULL)
		g = sq_group_ref(s->groups[kind]);
	pthread_mutex_unlock(&d->lock);
	return g;
}

bool
sq_dead_seek(struct sq_dead *d, uint64_t *place, struct sq_group *out[SQ_DEAD_KINDS])
{
	struct sq_hnode *at;

	pthread_mutex_lock(&d->lock);
	at = sq_htab_seek(&d->tenants, *place);
	if (at != NULL) {
		*place = sq_hnode_place(at);
		memcpy(out, SQ_CONTAINER_OF(at, struct dead_tenant, node)->groups,
		    SQ_DEAD_KINDS * sizeof(*out));
	}
	pthread_mutex_unlock(&d->lock);
	return at != NULL;
}

/* Whether the tenant's share of dead letters has room for one more. */
static bool
dead_share_fits(const struct sq_tenant *tenant, uint32_t bytes)
{
	const struct sq_account *a = sq_tenant_account(tenant);

	return sq_share_room(a, SQ_SHARE_DEAD_LETTERS) > 0 &&
	    sq_share_room(a, SQ_SHARE_DEAD_LETTERS_BYTES) >= bytes;
}

bool
sq_dead_full(struct sq_dead *d, struct sq_tenant *tenant, uint32_t bytes)
{
	struct sq_group *g = sq_dead_there(d, tenant, SQ_DEAD_ASSURED);
	bool full;

	if (g == NULL)
		return !dead_share_fits(tenant, bytes);
	full = g->sink.engine->ops->queue.full(g->sink.queue, bytes);
	sq_group_unref(&g);
	return full;
}

/* End. */

/* Whether the tenant has nothing but its queues, and nothing is in these, or on its way back from
 * who used them. */
static bool
dead_is_gone(const struct dead_tenant *s)
{
	uint64_t refs = 1; /* of ours */

	if (!sq_account_empty(sq_tenant_account(s->tenant)))
		return false;
	for (int kind = 0; kind < SQ_DEAD_KINDS; kind++) {
		const struct sq_group *g = s->groups[kind];

		if (g == NULL)
			continue;
		refs += 2; /* the group's, and its source's */
		if (atomic_load_explicit(&g->refs, memory_order_acquire) > 1 ||
		    !g->sink.engine->ops->queue.empty(g->sink.queue))
			return false;
	}
	return sq_tenant_refs(s->tenant) == refs;
}

static void
dead_end(struct dead_tenant *s, struct sq_system_txn **own)
{
	struct sq_shard *sh = &s->broker->shards[sq_worker_index(sq_worker_self())];
	const struct sq_engine_ops *ops = s->broker->engine->ops;
	uint64_t bytes = END_BYTES + SQ_DEAD_KINDS * strlen(sq_tenant_name(s->tenant));

	if (!ops->txn.room(sq_system_txn(sh, own), END_RECORDS, bytes))
		sq_system_commit(own);
	dead_tenant_free(s, sq_system_txn(sh, own));
}

void
sq_dead_sweep(struct sq_dead *d)
{
	struct sq_system_txn *own = NULL;
	struct sq_hnode *at, *next;
	int n = 0;

	pthread_mutex_lock(&d->lock);
	for (at = sq_htab_walk(&d->tenants, NULL); at != NULL && n < SWEEP_MAX; at = next) {
		struct dead_tenant *s = SQ_CONTAINER_OF(at, struct dead_tenant, node);

		next = sq_htab_walk(&d->tenants, at);
		if (!dead_is_gone(s))
			continue;
		dead_end(s, &own);
		n++;
	}
	sq_system_commit(&own); /* before somebody makes one of them anew */
	pthread_mutex_unlock(&d->lock);
}

/* Start. */

static void
dead_load(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_dead *d = arg;
	char *name = sq_xmemdup0(value.p, value.len);
	struct sq_tenant *tenant = sq_tenant_get(d->broker->tenants, name);
	struct dead_tenant *s = dead_tenant(d, tenant);

	if (key->sub < SQ_DEAD_KINDS && s->groups[key->sub] == NULL)
		dead_open(s, (enum sq_dead_kind)key->sub, key->id, NULL);
	sq_tenant_unref(&tenant);
	free(name);
}

int
sq_dead_load(struct sq_dead *d)
{
	struct sq_engine *e = d->broker->engine;

	return e->ops->start.load(e, SQ_RECORD_DEAD, dead_load, d);
}
