#include "broker/group/group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/shard/source.h"
#include "broker/engine/record.h"
#include "broker/shard/system_txn.h"
#include "broker/group/group_declare.h"
#include "broker/group/group_queue.h"
#include "broker/group/group_store.h"
#include "broker/shard/pace.h"
#include "broker/shard/sys_counts.h"
#include "broker/group/watch.h"
#include "core/bytes.h"
#include "core/mem.h"

enum {
	END_RECORDS = 4, /* of a group's end, without its names */
	END_BYTES = 256,
	EXPIRE_PART = 2048, /* groups that one call looks at */
	EXPIRE_LOCKED = 64, /* of them, under one lock */
};

struct sq_groups {
	struct sq_htab by_name, by_id; /* struct sq_group; of the pinned by their ids alone */
	pthread_mutex_t lock;
	size_t at; /* where sq_groups_expire() goes on */
};

struct sq_groups *
sq_groups_new(void)
{
	struct sq_groups *gs = sq_xcalloc(1, sizeof *gs);

	pthread_mutex_init(&gs->lock, NULL);
	return gs;
}

static struct sq_group *
group_find_locked(struct sq_broker *b, const char *name, uint64_t hash)
{
	for (struct sq_hnode *n = sq_htab_find(&b->groups->by_name, hash); n != NULL;
	     n = sq_htab_next_same(n)) {
		struct sq_group *g = SQ_CONTAINER_OF(n, struct sq_group, node);

		if (strcmp(g->name, name) == 0)
			return g;
	}
	return NULL;
}

static struct sq_group *
group_find(struct sq_broker *b, const char *name)
{
	struct sq_group *g;

	pthread_mutex_lock(&b->groups->lock);
	g = group_find_locked(b, name, sq_hash(name, strlen(name)));
	pthread_mutex_unlock(&b->groups->lock);
	return g;
}

/* A group that nobody finds, without its queue; one reference. */
static struct sq_group *
group_new(struct sq_broker *b, struct sq_tenant *tenant, const char *name, uint64_t id,
    struct sq_worker *owner)
{
	struct sq_group *g = sq_xcalloc(1, sizeof *g);

	g->broker = b;
	g->name = sq_xstrdup(name);
	g->tenant = sq_tenant_ref(tenant);
	g->id = id;
	g->owner = owner;
	if (b->n_shards == 1) /* a group may end on any worker, a wait only on its own */
		g->sink.shard = &b->shards[0];
	g->sink.engine = b->engine;
	sq_list_init(&g->bound.list);
	atomic_init(&g->refs, 1);
	return g;
}

static void
group_free(struct sq_group *g)
{
	assert(sq_list_empty(&g->bound.list));
	sq_htab_fini(&g->bound.by_name);
	sq_tenant_unref(&g->tenant);
	free(g->name);
	free(g);
}

void
sq_group_unref(struct sq_group **gp)
{
	struct sq_group *g = *gp;

	*gp = NULL;
	if (g == NULL || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(!g->listed);
	sq_group_end_queue(g);
	sq_group_options_fini(&g->options);
	sq_count(g->broker, SQ_M_GROUPS, -1);
	group_free(g);
}

struct sq_group *
sq_group_make(struct sq_broker *b, const struct sq_group_cfg *cfg, uint64_t id, bool stored)
{
	uint64_t hash = sq_hash(cfg->name, strlen(cfg->name));
	struct sq_group *g = group_new(
	    b, cfg->tenant, cfg->name, id, sq_group_owner(b, cfg->name)->worker);
	struct sq_options options = sq_group_cfg_options(cfg);

	sq_share_force(sq_tenant_account(g->tenant), SQ_SHARE_GROUPS, 1);
	g->cfg = *cfg;
	g->cfg.name = NULL;
	g->cfg.tenant = NULL;
	g->sink.source = sq_source_new(b, cfg->tenant, cfg->name, cfg->durable || stored);
	g->sink.durable = cfg->durable || stored;
	g->durable = cfg->durable;
	g->stored = stored;
	g->expiry_s = cfg->durable ? sq_group_expiry_s(b, cfg->expiry_s) : 0;
	sq_group_options_init(&g->options, &options, 0, (struct sq_bytes){0}, 0);
	g->listed = true;
	pthread_mutex_lock(&b->groups->lock);
	sq_htab_insert(&b->groups->by_name, &g->node, hash);
	sq_htab_insert(&b->groups->by_id, &g->by_id, sq_hash_u64(id));
	pthread_mutex_unlock(&b->groups->lock);
	sq_count(b, SQ_M_GROUPS, 1);
	return g;
}

struct sq_group *
sq_group_new_pinned(struct sq_broker *b, struct sq_tenant *tenant, uint64_t id,
    const struct sq_queue_cfg *q, struct sq_txn *txn)
{
	struct sq_group *g = group_new(b, tenant, q->name, id, q->owner);

	g->sink.durable = q->durable;
	g->sink.source = sq_source_new(b, tenant, q->name, q->durable); /* for its name alone */
	g->sink.queue = b->engine->ops->queue.open(b->engine, txn, q);
	g->n_subs = 1; /* so that the end of no subscription is its end */
	pthread_mutex_lock(&b->groups->lock);
	sq_htab_insert(&b->groups->by_id, &g->by_id, sq_hash_u64(id));
	pthread_mutex_unlock(&b->groups->lock);
	sq_watch_add(b->watch, &g->sink, false);
	return g;
}

void
sq_group_free_pinned(struct sq_group **gp, struct sq_txn *txn)
{
	struct sq_group *g = *gp;
	const struct sq_engine_ops *ops = g->sink.engine->ops;

	*gp = NULL;
	assert(atomic_load(&g->refs) == 1 && g->n_subs == 1 && !g->listed);
	sq_watch_remove(g->broker->watch, &g->sink);
	pthread_mutex_lock(&g->broker->groups->lock);
	sq_htab_remove(&g->broker->groups->by_id, &g->by_id);
	pthread_mutex_unlock(&g->broker->groups->lock);
	if (txn != NULL)
		ops->queue.delete(txn, g->sink.queue);
	else
		ops->queue.close(g->sink.queue);
	sq_source_free(&g->sink.source, g->owner);
	group_free(g);
}

struct sq_group *
sq_group_find(struct sq_broker *b, const char *name)
{
	struct sq_group *g;

	pthread_mutex_lock(&b->groups->lock);
	g = group_find_locked(b, name, sq_hash(name, strlen(name)));
	if (g != NULL)
		sq_group_ref(g);
	pthread_mutex_unlock(&b->groups->lock);
	return g;
}

struct sq_group *
sq_group_find_shown(struct sq_broker *b, const char *shown, const size_t *at, size_t n)
{
	struct sq_buf name = {0};
	struct sq_group *g;

	sq_buf_append(&name, shown, strlen(shown));
	for (size_t i = 0; i < n; i++)
		sq_buf_data(&name)[at[i]] = SQ_SOURCE_SEPARATOR;
	for (size_t i = n; i < SQ_GROUP_PARTS; i++)
		sq_buf_u8(&name, SQ_SOURCE_SEPARATOR);
	sq_buf_u8(&name, '\0');
	g = sq_group_find(b, (const char *)sq_buf_data(&name));
	sq_buf_fini(&name);
	return g;
}

struct sq_bytes
sq_group_rule_name(const struct sq_group *g)
{
	static const char separator[] = {(char)SQ_SOURCE_SEPARATOR, '\0'}, share[] = "$share/";
	const char *part = g->name, *end;

	/* "share", space, "$share/NAME/FILTER", or "queue", space, NAME, or "declared", space,
	 * workload, NAME */
	for (unsigned n = g->cfg.share || g->cfg.named ? 2 : 3; n > 0; n--) {
		part += strcspn(part, separator);
		part += *part != '\0'; /* a record may have any name */
	}
	if (g->cfg.share && strncmp(part, share, strlen(share)) == 0)
		part += strlen(share);
	end = part + strcspn(part, g->cfg.share ? "/" : separator);
	return (struct sq_bytes){(const unsigned char *)part, (size_t)(end - part)};
}

struct sq_shard *
sq_group_owner(const struct sq_broker *b, const char *name)
{
	return &b->shards[sq_hash(name, strlen(name)) % b->n_shards];
}

bool
sq_group_there(struct sq_broker *b, const char *name)
{
	return group_find(b, name) != NULL;
}

struct sq_group *
sq_group_join(struct sq_broker *b, const struct sq_group_cfg *cfg, struct sq_txn *txn)
{
	struct sq_group *g = group_find(b, cfg->name);

	assert(sq_space_held(sq_tenant_space(cfg->tenant), true));
	if (g == NULL) {
		bool stored = txn != NULL && b->engine->ops->durable &&
		    (cfg->durable || cfg->share);

		g = sq_group_make(b, cfg, sq_broker_id(b), stored);
		sq_group_open(g, stored ? txn : NULL);
	}
	if (g->n_subs++ == 0)
		sq_group_store(g, txn);
	return sq_group_ref(g);
}

void
sq_group_join_pinned(struct sq_group *g)
{
	assert(sq_group_held(g) && !g->listed && g->n_subs > 0);
	g->n_subs++;
}

static void
group_binding_free(struct sq_group *g, struct sq_group_binding *gb, struct sq_txn *txn)
{
	sq_group_unstore_binding(g, gb, txn);
	sq_router_unbind(g->broker->router, &gb->binding);
	g->bound.n_kept -= gb->refs == 0;
	sq_htab_remove(&g->bound.by_name, &gb->by_name);
	sq_share_give(sq_tenant_account(g->tenant), SQ_SHARE_SUBSCRIPTIONS, 1);
	sq_list_remove(&gb->node);
	free(gb);
}

/* Begins to end the queue, in the transaction that deletes the group's record; sessions may still
 * have deliveries of it.  If the broker ends, nothing is recorded. */
static void
group_begin_ending(struct sq_group *g, enum sq_ending_why why, struct sq_txn *txn)
{
	struct sq_ending_cfg cfg = {
	    .queue = g->sink.queue,
	    .source = g->sink.source,
	    .owner = g->owner,
	    .name = g->name,
	    .number = g->id,
	    .why = why,
	    .stored = g->stored,
	    .lent = true,
	};

	if (g->stored ? txn != NULL : !sq_broker_closing(g->broker))
		g->ending = sq_ending_begin(g->broker, &cfg, txn);
}

void
sq_group_unlist(struct sq_group *g, enum sq_ending_why why, struct sq_txn *txn)
{
	struct sq_group *table = g;

	sq_watch_remove(g->broker->watch, &g->sink);
	if (g->sink.shard != NULL)
		sq_pace_end(g->sink.shard, &g->sink);
	sq_group_declare_end(g);
	SQ_LIST_FOR_EACH_SAFE(gb, &g->bound.list, struct sq_group_binding, node)
		group_binding_free(g, gb, txn);
	sq_group_unstore(g, txn);
	group_begin_ending(g, why, txn);
	pthread_mutex_lock(&g->broker->groups->lock);
	sq_htab_remove(&g->broker->groups->by_name, &g->node);
	sq_htab_remove(&g->broker->groups->by_id, &g->by_id);
	pthread_mutex_unlock(&g->broker->groups->lock);
	sq_share_give(sq_tenant_account(g->tenant), SQ_SHARE_GROUPS, 1);
	g->listed = false;
	sq_group_unref(&table);
}

static void
group_bind_again(struct sq_group *g, const struct sq_group_binding *old, struct sq_txn *txn)
{
	const unsigned char *tag = (const unsigned char *)old->name + strlen(old->name) + 1;
	struct sq_topic_filter filter = {
	    .tag = {tag, old->tag_len}, .filter = {tag + old->tag_len, old->filter_len}};

	sq_group_store_binding(
	    g, sq_group_binding_make(g, &filter, old->name, old->binding.max_qos), txn);
}

/* Replaces a group without members that its pods have declared durable: with a durable one, which
 * is empty and has the same bindings. */
static void
group_renew(struct sq_group *g, uint64_t now_ms, struct sq_txn *txn)
{
	struct sq_broker *b = g->broker;
	struct sq_group_cfg cfg = g->cfg;
	struct sq_group *fresh;

	if (sq_broker_closing(b)) {
		sq_group_unlist(g, SQ_ENDING_LEFT, txn);
		return;
	}
	cfg.name = g->name;
	cfg.tenant = g->tenant;
	cfg.durable = true;
	fresh = sq_group_make(b, &cfg, sq_broker_id(b), b->engine->ops->durable);
	sq_group_open(fresh, fresh->stored ? txn : NULL);
	sq_group_options_set(&fresh->options, &g->options.now, g->options.since_ms,
	    sq_bytes_of(g->options.pod), now_ms);
	SQ_LIST_FOR_EACH(gb, &g->bound.list, struct sq_group_binding, node)
		group_bind_again(fresh, gb, txn);
	fresh->expires_ms = now_ms + fresh->expiry_s * UINT64_C(1000);
	sq_group_store(fresh, txn);
	sq_group_unlist(g, SQ_ENDING_LEFT, txn);
}

/* Its record has the group's name, which may be as long as a filter, and a session may leave thousands
 * of groups. */
static bool
group_end_fits(const struct sq_group *g, const struct sq_txn *txn)
{
	uint64_t names = 2 * strlen(g->name) + strlen(sq_tenant_name(g->tenant));

	return txn == NULL || !g->stored ||
	    txn->engine->ops->txn.room(txn, END_RECORDS, END_BYTES + names);
}

void
sq_group_leave(struct sq_group **gp, uint64_t now_ms, struct sq_txn *txn)
{
	struct sq_group *g = *gp;

	assert(sq_group_held(g) && g->n_subs > 0);
	if (--g->n_subs == 0) {
		g->expires_ms = now_ms + g->expiry_s * UINT64_C(1000);
		if (!g->options.now.durable && !group_end_fits(g, txn))
			g->expires_ms = now_ms; /* sq_groups_expire() ends it */
		else if (!g->options.now.durable)
			sq_group_unlist(g, SQ_ENDING_LEFT, txn);
		else if (g->durable)
			sq_group_store(g, txn);
		else
			group_renew(g, now_ms, txn);
	}
	sq_group_unref(gp);
}

struct sq_group_binding *
sq_group_binding_make(
    struct sq_group *g, const struct sq_topic_filter *filter, const char *name, uint8_t qos)
{
	size_t len = strlen(name) + 1;
	struct sq_group_binding *gb = sq_xcalloc(
	    1, sizeof *gb + len + filter->tag.len + filter->filter.len + 1);

	memcpy(gb->name, name, len);
	gb->tag_len = filter->tag.len;
	gb->filter_len = filter->filter.len;
	if (gb->tag_len > 0)
		memcpy(gb->name + len, filter->tag.p, gb->tag_len);
	memcpy(gb->name + len + gb->tag_len, filter->filter.p, gb->filter_len);
	gb->binding.sink = &g->sink;
	gb->binding.max_qos = qos;
	gb->binding.min_qos = g->cfg.named; /* its items are leased and stored */
	gb->binding.as_published = true;    /* each member decides */
	sq_list_push_back(&g->bound.list, &gb->node);
	sq_htab_insert(&g->bound.by_name, &gb->by_name, sq_hash(name, len - 1));
	g->bound.n_kept++;
	sq_share_force(sq_tenant_account(g->tenant), SQ_SHARE_SUBSCRIPTIONS, 1);
	sq_router_bind(g->broker->router,
	    sq_sys_counts_space(g->broker->sys_counts, g->tenant, filter), filter, &gb->binding);
	return gb;
}

struct sq_group_binding *
sq_group_binding_find(const struct sq_group *g, const char *name)
{
	struct sq_hnode *n = sq_htab_find(&g->bound.by_name, sq_hash(name, strlen(name)));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_group_binding *gb = SQ_CONTAINER_OF(n, struct sq_group_binding, by_name);

		if (strcmp(gb->name, name) == 0)
			return gb;
	}
	return NULL;
}

bool
sq_group_has(struct sq_broker *b, const char *group, const char *binding)
{
	const struct sq_group *g = group_find(b, group);

	return g != NULL && sq_group_binding_find(g, binding) != NULL;
}

struct sq_group_binding *
sq_group_bind(struct sq_group *g, const struct sq_topic_filter *filter, const char *name,
    uint8_t qos, struct sq_txn *txn)
{
	struct sq_group_binding *gb = sq_group_binding_find(g, name);

	assert(sq_group_held(g));
	if (gb == NULL)
		gb = sq_group_binding_make(g, filter, name, qos);
	g->bound.n_kept -= gb->refs++ == 0;
	if (gb->number == 0 || gb->binding.max_qos != qos) {
		gb->binding.max_qos = qos;
		sq_router_changed(&gb->binding);
		sq_group_store_binding(g, gb, txn);
	}
	return gb;
}

void
sq_group_set_qos(struct sq_group *g, struct sq_group_binding *gb, uint8_t qos, struct sq_txn *txn)
{
	assert(sq_group_held(g));
	if (gb->binding.max_qos == qos)
		return;
	gb->binding.max_qos = qos;
	sq_router_changed(&gb->binding);
	sq_group_store_binding(g, gb, txn);
}

void
sq_group_unbind(struct sq_group *g, struct sq_group_binding *gb, bool keep, struct sq_txn *txn)
{
	assert(sq_group_held(g) && gb->refs > 0);
	if (--gb->refs > 0)
		return;
	g->bound.n_kept++;
	if (!keep)
		group_binding_free(g, gb, txn);
}

void
sq_group_prune(struct sq_group *g, struct sq_txn *txn)
{
	assert(sq_group_held(g));
	if (g->bound.n_kept == 0)
		return;
	SQ_LIST_FOR_EACH_SAFE(gb, &g->bound.list, struct sq_group_binding, node) {
		if (gb->refs == 0)
			group_binding_free(g, gb, txn);
	}
}

/* The recovery time is over: who is not back takes from no queue. */
static void
group_recovered(struct sq_group *g, uint64_t now_ms)
{
	if (!g->awaited || !sq_broker_recovered(g->broker, now_ms))
		return;
	g->awaited = false;
	g->sink.engine->ops->queue.attend(g->sink.queue, -1);
}

/* The transaction for the changes of the group; another one if that is full. */
static struct sq_txn *
group_own_txn(const struct sq_group *g, struct sq_system_txn **own)
{
	struct sq_shard *sh = &g->broker->shards[0];

	if (!g->stored)
		return NULL;
	if (!group_end_fits(g, sq_system_txn(sh, own)))
		sq_system_commit(own);
	return sq_system_txn(sh, own);
}

/* Nobody came back to it after the start: its record says when it ends. */
static void
group_date(struct sq_group *g, uint64_t now_ms, struct sq_system_txn **own)
{
	if (g->undated_ms == 0 || now_ms < g->undated_ms)
		return;
	g->undated_ms = 0;
	if (g->n_subs == 0)
		sq_group_store(g, group_own_txn(g, own));
}

/* Applies the passage of time to the group; under the write lock. */
static void
group_look(struct sq_group *g, uint64_t now_ms, struct sq_system_txn **own)
{
	if (!g->listed)
		return;
	group_recovered(g, now_ms);
	/* 'expires_ms' is another worker's idea of the time */
	if (g->n_subs == 0 && now_ms >= g->expires_ms)
		sq_group_unlist(
		    g, g->durable ? SQ_ENDING_EXPIRED : SQ_ENDING_LEFT, group_own_txn(g, own));
	else if (sq_group_options_due(&g->options, now_ms, g->broker->cfg.grace_ms))
		sq_group_declared(g, now_ms, group_own_txn(g, own));
	else
		group_date(g, now_ms, own);
}

/* Some groups of the table, with a reference each. */
struct groups_part {
	struct sq_group **v;
	size_t n, cap;
};

static void
groups_part_add(struct sq_hnode *at, void *arg)
{
	struct groups_part *part = arg;

	if (part->n == part->cap) {
		part->cap = part->cap > 0 ? part->cap * 2 : 64;
		part->v = sq_xrealloc(part->v, part->cap * sizeof(*part->v));
	}
	part->v[part->n++] = sq_group_ref(SQ_CONTAINER_OF(at, struct sq_group, node));
}

static void
groups_part_next(struct sq_broker *b, struct groups_part *part)
{
	pthread_mutex_lock(&b->groups->lock);
	do
		b->groups->at = sq_htab_slice(
		    &b->groups->by_name, b->groups->at, groups_part_add, part);
	while (b->groups->at != 0 && part->n < EXPIRE_PART);
	pthread_mutex_unlock(&b->groups->lock);
}

/* Looks at some of the same space, from 'i' on, under its lock; returns where to go on. */
static size_t
groups_look(struct groups_part *part, size_t i, uint64_t now_ms)
{
	struct sq_space *space = sq_tenant_space(part->v[i]->tenant);
	struct sq_system_txn *own = NULL;
	size_t end = i + EXPIRE_LOCKED;

	sq_space_wrlock(space);
	for (; i < part->n && i < end && sq_tenant_space(part->v[i]->tenant) == space; i++) {
		group_look(part->v[i], now_ms, &own);
		sq_group_unref(&part->v[i]);
	}
	sq_system_commit(&own); /* before somebody else's change of the same group */
	sq_space_unlock(space);
	return i;
}

bool
sq_groups_expire(struct sq_broker *b, uint64_t now_ms)
{
	struct groups_part part = {0};

	groups_part_next(b, &part);
	for (size_t i = 0; i < part.n;)
		i = groups_look(&part, i, now_ms);
	free(part.v);
	return b->groups->at != 0;
}

bool
sq_groups_seek(struct sq_broker *b, uint64_t *place, struct sq_group **out)
{
	struct sq_hnode *at;

	*out = NULL;
	pthread_mutex_lock(&b->groups->lock);
	at = sq_htab_seek(&b->groups->by_id, *place); /* an id is one group's, and so is a place */
	if (at != NULL) {
		struct sq_group *g = SQ_CONTAINER_OF(at, struct sq_group, by_id);

		*place = sq_hnode_place(at);
		if (g->listed) /* as long as it is in the table by its name */
			*out = sq_group_ref(g);
	}
	pthread_mutex_unlock(&b->groups->lock);
	return at != NULL;
}

void
sq_groups_clear(struct sq_broker *b)
{
	struct sq_hnode *at, *next;

	for (at = sq_htab_walk(&b->groups->by_name, NULL); at != NULL; at = next) {
		struct sq_group *g = SQ_CONTAINER_OF(at, struct sq_group, node);
		struct sq_space *space = sq_tenant_space(g->tenant);

		next = sq_htab_walk(&b->groups->by_name, at);
		sq_space_wrlock(space);
		sq_group_unlist(g, SQ_ENDING_LEFT, NULL);
		sq_space_unlock(space);
	}
}

void
sq_groups_free(struct sq_groups **gp)
{
	struct sq_groups *gs = *gp;

	*gp = NULL;
	if (gs == NULL)
		return;
	assert(gs->by_name.n == 0 && gs->by_id.n == 0);
	sq_htab_fini(&gs->by_name);
	sq_htab_fini(&gs->by_id);
	pthread_mutex_destroy(&gs->lock);
	free(gs);
}

/* Start. */

void
sq_groups_open(struct sq_broker *b)
{
	for (struct sq_hnode *at = NULL; (at = sq_htab_walk(&b->groups->by_name, at)) != NULL;) {
		struct sq_group *g = SQ_CONTAINER_OF(at, struct sq_group, node);

		if (g->sink.queue == NULL)
			sq_group_open(g, NULL);
	}
}

struct sq_group *
sq_group_by_id(struct sq_broker *b, uint64_t id)
{
	for (struct sq_hnode *n = sq_htab_find(&b->groups->by_id, sq_hash_u64(id)); n != NULL;
	     n = sq_htab_next_same(n)) {
		struct sq_group *g = SQ_CONTAINER_OF(n, struct sq_group, by_id);

		if (g->id == id)
			return sq_group_ref(g);
	}
	return NULL;
}
