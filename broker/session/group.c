#include "broker/session/group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/dead.h"
#include "broker/own.h"
#include "broker/record.h"
#include "broker/session/pace.h"
#include "core/bytes.h"
#include "core/log.h"
#include "core/mem.h"

/* Deletes the queue; where the broker ends, what is stored of it stays. */
static void
group_end_queue(struct sq_group *g)
{
	const struct sq_engine_ops *ops = g->sink.engine->ops;
	struct sq_broker *b = g->broker;
	struct sq_own_txn *own = NULL;

	if (!g->stored) {
		ops->queue_delete(NULL, g->sink.queue);
	} else if (atomic_load(&b->closing)) {
		ops->queue_close(g->sink.queue);
	} else {
		struct sq_shard *sh = &b->shards[sq_worker_index(sq_worker_self())];

		ops->queue_delete(sq_own_txn(sh, &own), g->sink.queue);
		sq_own_commit(&own);
	}
}

void
sq_group_unref(struct sq_group **gp)
{
	struct sq_group *g = *gp;

	*gp = NULL;
	if (g == NULL || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(!g->listed && sq_list_empty(&g->bindings));
	group_end_queue(g);
	sq_dead_source_free(&g->sink.dead, g->owner);
	sq_count(g->broker, SQ_M_GROUPS, -1);
	free(g->name);
	free(g);
}

/* Records. */

static void
group_record(const struct sq_group *g, struct sq_txn *txn, uint8_t kind, uint64_t sub,
    const struct sq_buf *value)
{
	struct sq_record_key key = {kind, g->id, sub};
	struct sq_bytes v = {0};

	if (value != NULL)
		v = (struct sq_bytes){sq_buf_data(value), sq_buf_len(value)};
	g->sink.engine->ops->record(txn, &key, v);
}

static void
group_put_text(struct sq_buf *b, const void *p, size_t len)
{
	sq_buf_u16(b, (uint16_t)len);
	sq_buf_append(b, p, len);
}

/* A group: u8 1, u8 flags (1 durable, 2 a share), u8 overflow, u8 0, u32 expiry in s, u32
 * maximum length, u32 maximum attempts, u64 when it expires (wall-clock ms, 0: it has
 * subscriptions), bytes16 space, bytes16 name. */
static void
group_store(const struct sq_group *g, struct sq_txn *txn)
{
	struct sq_buf v = {0};
	uint64_t expires_ms = 0;

	if (txn == NULL || !g->stored)
		return;
	if (g->n_subs == 0)
		expires_ms = sq_own_to_wall(g->expires_ms, sq_worker_now_ms(txn->worker));
	sq_buf_u8(&v, 1);
	sq_buf_u8(&v, (uint8_t)((g->cfg.durable ? 1 : 0) | (g->cfg.share ? 2 : 0)));
	sq_buf_u8(&v, (uint8_t)g->cfg.overflow);
	sq_buf_u8(&v, 0);
	sq_buf_u32(&v, g->cfg.expiry_s);
	sq_buf_u32(&v, g->cfg.max_length);
	sq_buf_u32(&v, g->cfg.max_attempts);
	sq_buf_u64(&v, expires_ms);
	group_put_text(&v, sq_space_name(g->space), strlen(sq_space_name(g->space)));
	group_put_text(&v, g->name, strlen(g->name));
	group_record(g, txn, SQ_RECORD_GROUP, 0, &v);
	sq_buf_fini(&v);
}

/* A binding: u8 1, u8 QoS, bytes16 name, bytes16 tag, bytes16 filter. */
static void
group_binding_store(struct sq_group *g, struct sq_group_binding *gb, struct sq_txn *txn)
{
	const char *tag = gb->name + strlen(gb->name) + 1;
	struct sq_buf v = {0};

	if (txn == NULL || !g->stored)
		return;
	if (gb->number == 0)
		gb->number = ++g->next_binding;
	sq_buf_u8(&v, 1);
	sq_buf_u8(&v, gb->binding.max_qos);
	group_put_text(&v, gb->name, strlen(gb->name));
	group_put_text(&v, tag, gb->tag_len);
	group_put_text(&v, tag + gb->tag_len, gb->filter_len);
	group_record(g, txn, SQ_RECORD_BINDING, gb->number, &v);
	sq_buf_fini(&v);
}

/* Life. */

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

/* Opens the queue; a new one is made by 'txn'. */
static void
group_open(struct sq_group *g, struct sq_txn *txn)
{
	struct sq_broker *b = g->broker;
	enum sq_overflow overflow = g->cfg.overflow;
	struct sq_buf name = {0};
	struct sq_queue_cfg q;

	if (overflow == SQ_OVERFLOW_DEFAULT)
		overflow = g->durable || g->stored ? SQ_OVERFLOW_REJECT_PUBLISH
						   : SQ_OVERFLOW_DROP_NEW;
	sq_buf_printf(&name, "%s#%016llx%c", g->name, (unsigned long long)g->id, '\0');
	q = (struct sq_queue_cfg){
	    .name = (const char *)sq_buf_data(&name),
	    .owner = g->owner,
	    .max_msgs = g->cfg.max_length > 0 && g->cfg.max_length < b->cfg.queue_max_msgs
		? g->cfg.max_length
		: b->cfg.queue_max_msgs,
	    .max_bytes = b->cfg.queue_max_bytes,
	    .overflow = overflow,
	    .max_attempts = g->cfg.max_attempts,
	    .durable = g->stored,
	    .dead = sq_dead_item,
	    .arg = g->sink.dead,
	};
	g->sink.queue = b->engine->ops->queue_open(b->engine, txn, &q);
	g->sink.reject = overflow == SQ_OVERFLOW_REJECT_PUBLISH;
	sq_buf_fini(&name);
}

/* In the table, without its queue. */
static struct sq_group *
group_make(struct sq_broker *b, const struct sq_group_cfg *cfg, uint64_t id, bool stored)
{
	struct sq_group *g = sq_xcalloc(1, sizeof *g);
	uint64_t hash = sq_hash(cfg->name, strlen(cfg->name));

	g->broker = b;
	g->name = sq_xstrdup(cfg->name);
	g->space = cfg->space;
	g->cfg = *cfg;
	g->cfg.name = NULL;
	g->cfg.space = NULL;
	g->id = id;
	g->owner = b->shards[hash % b->n_shards].worker;
	if (b->n_shards == 1) /* a group may end on any worker, a wait only on its own */
		g->sink.shard = &b->shards[0];
	g->sink.engine = b->engine;
	g->sink.dead = sq_dead_source_new(b, cfg->space, cfg->name, cfg->durable || stored);
	g->sink.durable = cfg->durable || stored;
	sq_list_init(&g->bindings);
	g->durable = cfg->durable;
	g->stored = stored;
	g->expiry_s = cfg->expiry_s;
	atomic_init(&g->refs, 1); /* the table's */
	g->listed = true;
	sq_htab_insert(&b->groups, &g->node, hash);
	sq_count(b, SQ_M_GROUPS, 1);
	return g;
}

struct sq_group *
sq_group_join(struct sq_broker *b, const struct sq_group_cfg *cfg, struct sq_txn *txn)
{
	struct sq_group *g = group_find(b, cfg->name, sq_hash(cfg->name, strlen(cfg->name)));

	if (g == NULL) {
		bool stored = txn != NULL && b->engine->ops->durable &&
		    (cfg->durable || cfg->share);

		g = group_make(b, cfg, sq_broker_id(b), stored);
		group_open(g, stored ? txn : NULL);
	}
	if (g->n_subs++ == 0)
		group_store(g, txn);
	return sq_group_ref(g);
}

static void
group_binding_free(struct sq_group *g, struct sq_group_binding *gb, struct sq_txn *txn)
{
	if (gb->number != 0 && txn != NULL)
		group_record(g, txn, SQ_RECORD_BINDING, gb->number, NULL);
	sq_router_unbind(g->broker->router, &gb->binding);
	sq_list_remove(&gb->node);
	free(gb);
}

static void
group_unlist(struct sq_group *g, struct sq_txn *txn)
{
	struct sq_group *table = g;

	if (g->sink.shard != NULL)
		sq_pace_end(g->sink.shard, &g->sink);
	SQ_LIST_FOR_EACH_SAFE(gb, &g->bindings, struct sq_group_binding, node)
		group_binding_free(g, gb, txn);
	if (g->stored && txn != NULL)
		group_record(g, txn, SQ_RECORD_GROUP, 0, NULL);
	sq_htab_remove(&g->broker->groups, &g->node);
	g->listed = false;
	sq_group_unref(&table);
}

void
sq_group_leave(struct sq_group **gp, uint64_t now_ms, struct sq_txn *txn)
{
	struct sq_group *g = *gp;

	assert(g->n_subs > 0);
	if (--g->n_subs == 0) {
		g->expires_ms = now_ms + g->expiry_s * UINT64_C(1000);
		if (g->durable)
			group_store(g, txn);
		else
			group_unlist(g, txn);
	}
	sq_group_unref(gp);
}

static struct sq_group_binding *
group_binding_new(struct sq_group *g, struct sq_space *space, const struct sq_topic_filter *filter,
    const char *name, uint8_t qos)
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
	gb->binding.as_published = true; /* each member decides */
	sq_list_push_back(&g->bindings, &gb->node);
	sq_router_bind(g->broker->router, space, filter, &gb->binding);
	return gb;
}

struct sq_group_binding *
sq_group_bind(struct sq_group *g, struct sq_space *space, const struct sq_topic_filter *filter,
    const char *name, uint8_t qos, struct sq_txn *txn)
{
	struct sq_group_binding *gb = NULL;

	SQ_LIST_FOR_EACH(old, &g->bindings, struct sq_group_binding, node) {
		if (strcmp(old->name, name) == 0)
			gb = old;
	}
	if (gb == NULL)
		gb = group_binding_new(g, space, filter, name, qos);
	gb->refs++;
	if (gb->number == 0 || gb->binding.max_qos != qos) {
		gb->binding.max_qos = qos;
		group_binding_store(g, gb, txn);
	}
	return gb;
}

void
sq_group_set_qos(struct sq_group *g, struct sq_group_binding *gb, uint8_t qos, struct sq_txn *txn)
{
	if (gb->binding.max_qos == qos)
		return;
	gb->binding.max_qos = qos;
	group_binding_store(g, gb, txn);
}

void
sq_group_unbind(struct sq_group *g, struct sq_group_binding *gb, bool keep, struct sq_txn *txn)
{
	assert(gb->refs > 0);
	if (--gb->refs == 0 && !keep)
		group_binding_free(g, gb, txn);
}

void
sq_group_prune(struct sq_group *g, struct sq_txn *txn)
{
	SQ_LIST_FOR_EACH_SAFE(gb, &g->bindings, struct sq_group_binding, node) {
		if (gb->refs == 0)
			group_binding_free(g, gb, txn);
	}
}

void
sq_groups_expire(struct sq_broker *b, uint64_t now_ms)
{
	struct sq_own_txn *own = NULL;
	struct sq_hnode *at, *next;

	sq_router_wrlock(b->router);
	for (at = sq_htab_walk(&b->groups, NULL); at != NULL; at = next) {
		struct sq_group *g = SQ_CONTAINER_OF(at, struct sq_group, node);

		next = sq_htab_walk(&b->groups, at);
		/* 'expires_ms' is another worker's idea of the time */
		if (g->n_subs == 0 && now_ms >= g->expires_ms)
			group_unlist(g, g->stored ? sq_own_txn(&b->shards[0], &own) : NULL);
	}
	sq_router_unlock(b->router);
	sq_own_commit(&own);
}

void
sq_groups_clear(struct sq_broker *b)
{
	struct sq_hnode *at, *next;

	for (at = sq_htab_walk(&b->groups, NULL); at != NULL; at = next) {
		next = sq_htab_walk(&b->groups, at);
		group_unlist(SQ_CONTAINER_OF(at, struct sq_group, node), NULL);
	}
	sq_htab_fini(&b->groups);
}

/* Start. */

struct groups_load {
	struct sq_broker *broker;
	struct sq_group *last; /* bindings come group by group */
	uint64_t now_ms;
	int err;
};

static struct sq_bytes
load_text(struct sq_reader *r)
{
	size_t len = sq_read16(r);

	return (struct sq_bytes){sq_read_bytes(r, len), r->bad ? 0 : len};
}

static void
group_load(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_reader r = sq_reader(value.p, value.len);
	struct groups_load *l = arg;
	uint8_t version = sq_read8(&r), flags = sq_read8(&r);
	struct sq_group_cfg cfg = {.durable = (flags & 1) != 0, .share = (flags & 2) != 0};
	struct sq_bytes space, name;
	uint64_t expires_ms;
	struct sq_group *g;
	char *text;

	cfg.overflow = (enum sq_overflow)sq_read8(&r);
	(void)sq_read8(&r);
	cfg.expiry_s = sq_read32(&r);
	cfg.max_length = sq_read32(&r);
	cfg.max_attempts = sq_read32(&r);
	expires_ms = sq_read64(&r);
	space = load_text(&r);
	name = load_text(&r);
	if (r.bad || version != 1 || name.len == 0 || sq_reader_left(&r) > 0) {
		SQ_ERROR("store", "the record of group %016llx does not read",
		    (unsigned long long)key->id);
		l->err = SQ_EINVAL;
		return;
	}
	text = sq_xmemdup0(space.p, space.len);
	cfg.space = sq_router_space(l->broker->router, text);
	free(text);
	cfg.name = text = sq_xmemdup0(name.p, name.len);
	g = group_make(l->broker, &cfg, key->id, true);
	free(text);
	/* Transient sessions' subscriptions come back, or not, within the grace. */
	g->expires_ms = l->now_ms + l->broker->cfg.grace_ms +
	    (expires_ms == 0 ? cfg.expiry_s * UINT64_C(1000) : 0);
	if (expires_ms != 0 && sq_own_from_wall(expires_ms, l->now_ms) > g->expires_ms)
		g->expires_ms = sq_own_from_wall(expires_ms, l->now_ms);
}

static struct sq_group *
load_find(struct groups_load *l, uint64_t id)
{
	if (l->last == NULL || l->last->id != id) {
		struct sq_group *g = sq_group_by_id(l->broker, id);

		l->last = g;
		sq_group_unref(&g);
	}
	return l->last;
}

static void
binding_load(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_reader r = sq_reader(value.p, value.len);
	struct groups_load *l = arg;
	uint8_t version = sq_read8(&r), qos = sq_read8(&r);
	struct sq_bytes name = load_text(&r);
	struct sq_topic_filter filter = {.tag = load_text(&r)};
	struct sq_group *g = load_find(l, key->id);
	struct sq_group_binding *gb;
	char *text;

	filter.filter = load_text(&r);
	if (r.bad || version != 1 || filter.filter.len == 0 || g == NULL) {
		SQ_ERROR("store", "the record of a binding of group %016llx does not read",
		    (unsigned long long)key->id);
		l->err = SQ_EINVAL;
		return;
	}
	text = sq_xmemdup0(name.p, name.len);
	gb = group_binding_new(g, g->space, &filter, text, qos);
	free(text);
	gb->number = (uint32_t)key->sub;
	if (gb->number > g->next_binding)
		g->next_binding = gb->number;
}

int
sq_groups_load(struct sq_broker *b, uint64_t now_ms)
{
	const struct sq_engine_ops *ops = b->engine->ops;
	struct groups_load l = {.broker = b, .now_ms = now_ms};
	int err = ops->load(b->engine, SQ_RECORD_GROUP, group_load, &l);

	if (err == SQ_OK)
		err = ops->load(b->engine, SQ_RECORD_BINDING, binding_load, &l);
	return err == SQ_OK ? l.err : err;
}

void
sq_groups_open(struct sq_broker *b)
{
	for (struct sq_hnode *at = NULL; (at = sq_htab_walk(&b->groups, at)) != NULL;) {
		struct sq_group *g = SQ_CONTAINER_OF(at, struct sq_group, node);

		if (g->sink.queue == NULL)
			group_open(g, NULL);
	}
}

struct sq_group *
sq_group_by_id(struct sq_broker *b, uint64_t id)
{
	for (struct sq_hnode *at = NULL; (at = sq_htab_walk(&b->groups, at)) != NULL;) {
		struct sq_group *g = SQ_CONTAINER_OF(at, struct sq_group, node);

		if (g->id == id)
			return sq_group_ref(g);
	}
	return NULL;
}
