#include "broker/session/group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/dead.h"
#include "broker/session/pace.h"
#include "core/mem.h"

void
sq_group_unref(struct sq_group **gp)
{
	struct sq_group *g = *gp;

	*gp = NULL;
	if (g == NULL || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(!g->listed && sq_list_empty(&g->bindings));
	g->sink.engine->ops->queue_delete(NULL, g->sink.queue);
	sq_dead_source_free(&g->sink.dead, g->owner);
	sq_count(g->broker, SQ_M_GROUPS, -1);
	free(g->name);
	free(g);
}

static struct sq_group *
group_find(struct sq_broker *b, const char *name, uint64_t hash)
{
	for (struct sq_hnode *n = sq_htab_find(&b->groups, hash); n != NULL;
	     n = sq_htab_next_same(n)) {
		struct sq_group *g = SQ_CONTAINER_OF(n, struct sq_group, node);

		if (strcmp(g->name, name) == 0)
			return g;
	}
	return NULL;
}

static struct sq_group *
group_new(struct sq_broker *b, const struct sq_group_cfg *cfg, uint64_t hash)
{
	struct sq_group *g = sq_xcalloc(1, sizeof *g);
	enum sq_overflow overflow = cfg->overflow;
	struct sq_queue_cfg q;

	if (overflow == SQ_OVERFLOW_DEFAULT)
		overflow = cfg->durable ? SQ_OVERFLOW_REJECT_PUBLISH : SQ_OVERFLOW_DROP_NEW;
	q = (struct sq_queue_cfg){
	    .name = cfg->name,
	    .owner = b->shards[hash % b->n_shards].worker,
	    .max_msgs = cfg->max_length > 0 && cfg->max_length < b->cfg.queue_max_msgs
		? cfg->max_length
		: b->cfg.queue_max_msgs,
	    .max_bytes = b->cfg.queue_max_bytes,
	    .overflow = overflow,
	    .max_attempts = cfg->max_attempts,
	    .durable = cfg->durable,
	    .dead = sq_dead_item,
	};
	q.arg = g->sink.dead = sq_dead_source_new(b, cfg->space, cfg->name, cfg->durable);
	g->owner = q.owner;
	g->broker = b;
	g->name = sq_xstrdup(cfg->name);
	g->id = sq_broker_id(b);
	if (b->n_shards == 1) /* a group may end on any worker, a wait only on its own */
		g->sink.shard = &b->shards[0];
	g->sink.engine = b->engine;
	g->sink.queue = b->engine->ops->queue_open(b->engine, NULL, &q);
	g->sink.reject = overflow == SQ_OVERFLOW_REJECT_PUBLISH;
	g->sink.durable = cfg->durable;
	sq_list_init(&g->bindings);
	g->durable = cfg->durable;
	g->expiry_s = cfg->expiry_s;
	atomic_init(&g->refs, 1); /* the table's */
	g->listed = true;
	sq_htab_insert(&b->groups, &g->node, hash);
	sq_count(b, SQ_M_GROUPS, 1);
	return g;
}

struct sq_group *
sq_group_join(struct sq_broker *b, const struct sq_group_cfg *cfg)
{
	uint64_t hash = sq_hash(cfg->name, strlen(cfg->name));
	struct sq_group *g = group_find(b, cfg->name, hash);

	if (g == NULL)
		g = group_new(b, cfg, hash);
	g->n_subs++;
	return sq_group_ref(g);
}

static void
group_binding_free(struct sq_group *g, struct sq_group_binding *gb)
{
	sq_router_unbind(g->broker->router, &gb->binding);
	sq_list_remove(&gb->node);
	free(gb);
}

static void
group_unlist(struct sq_group *g)
{
	struct sq_group *table = g;

	if (g->sink.shard != NULL)
		sq_pace_end(g->sink.shard, &g->sink);
	SQ_LIST_FOR_EACH_SAFE(gb, &g->bindings, struct sq_group_binding, node)
		group_binding_free(g, gb);
	sq_htab_remove(&g->broker->groups, &g->node);
	g->listed = false;
	sq_group_unref(&table);
}

void
sq_group_leave(struct sq_group **gp, uint64_t now_ms)
{
	struct sq_group *g = *gp;

	assert(g->n_subs > 0);
	if (--g->n_subs == 0) {
		g->empty_since_ms = now_ms;
		if (!g->durable)
			group_unlist(g);
	}
	sq_group_unref(gp);
}

struct sq_group_binding *
sq_group_bind(struct sq_group *g, struct sq_space *space, const struct sq_topic_filter *filter,
    const char *name, uint8_t qos)
{
	struct sq_group_binding *gb;

	SQ_LIST_FOR_EACH(old, &g->bindings, struct sq_group_binding, node) {
		if (strcmp(old->name, name) == 0) {
			old->refs++;
			old->binding.max_qos = qos;
			return old;
		}
	}
	gb = sq_xcalloc(1, sizeof *gb + strlen(name) + 1);
	memcpy(gb->name, name, strlen(name) + 1);
	gb->refs = 1;
	gb->binding.sink = &g->sink;
	gb->binding.max_qos = qos;
	gb->binding.as_published = true; /* each member decides */
	sq_list_push_back(&g->bindings, &gb->node);
	sq_router_bind(g->broker->router, space, filter, &gb->binding);
	return gb;
}

void
sq_group_unbind(struct sq_group *g, struct sq_group_binding *gb, bool keep)
{
	assert(gb->refs > 0);
	if (--gb->refs == 0 && !keep)
		group_binding_free(g, gb);
}

void
sq_group_prune(struct sq_group *g)
{
	SQ_LIST_FOR_EACH_SAFE(gb, &g->bindings, struct sq_group_binding, node) {
		if (gb->refs == 0)
			group_binding_free(g, gb);
	}
}

void
sq_groups_expire(struct sq_broker *b, uint64_t now_ms)
{
	struct sq_hnode *at, *next;

	sq_router_wrlock(b->router);
	for (at = sq_htab_walk(&b->groups, NULL); at != NULL; at = next) {
		struct sq_group *g = SQ_CONTAINER_OF(at, struct sq_group, node);

		next = sq_htab_walk(&b->groups, at);
		/* 'empty_since_ms' is another worker's idea of now */
		if (g->n_subs == 0 && now_ms >= g->empty_since_ms + g->expiry_s * UINT64_C(1000))
			group_unlist(g);
	}
	sq_router_unlock(b->router);
}

void
sq_groups_clear(struct sq_broker *b)
{
	struct sq_hnode *at;

	while ((at = sq_htab_walk(&b->groups, NULL)) != NULL)
		group_unlist(SQ_CONTAINER_OF(at, struct sq_group, node));
	sq_htab_fini(&b->groups);
}
