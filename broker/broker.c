#include "broker/broker.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/bridge/bridges.h"
#include "broker/publish/buried.h"
#include "broker/publish/dead_queues.h"
#include "broker/publish/delayed.h"
#include "broker/publish/due.h"
#include "broker/publish/idempotency.h"
#include "broker/publish/own.h"
#include "broker/publish/receipts.h"
#include "broker/publish/replies.h"
#include "broker/route/grants.h"
#include "broker/route/retained.h"
#include "broker/shard/sys_counts.h"
#include "broker/shard/system_txn.h"
#include "broker/group/ending.h"
#include "broker/group/group.h"
#include "broker/intake/intake.h"
#include "broker/port/outlet.h"
#include "broker/session/dispatch.h"
#include "broker/session/linked.h"
#include "broker/session/restore.h"
#include "broker/session/table.h"
#include "broker/shard/pace.h"
#include "broker/publish/sys.h"
#include "broker/publish/tap.h"
#include "broker/push/push.h"
#include "broker/set_limits.h"
#include "broker/tables.h"
#include "broker/subscriber/subscriber.h"
#include "broker/subscriber/user.h"
#include "broker/totals.h"
#include "broker/engine/files.h"
#include "broker/engine/now.h"
#include "broker/group/watch.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum { GROUPS_EXPIRE_TURN = 16 }; /* ticks between two looks at empty groups */

/* The ticks of a worker, and its end. */
struct turn {
	struct sq_shard *shard;
	struct sq_task stop;
	unsigned ticks;
	bool groups_left;    /* to look at, of the first */
	atomic_bool drained; /* while the broker drains */
};

struct sq_turns {
	atomic_bool draining;
	struct turn v[]; /* one for each shard */
};

static uint64_t
broker_record_id(void *b)
{
	return sq_broker_id(b);
}

static struct sq_account *
broker_space_account(void *arg, const char *space)
{
	struct sq_broker *b = arg;

	return sq_tenants_space_account(b->tenants, space);
}

static void
broker_tenant_gone(void *arg, const struct sq_tenant *t)
{
	struct sq_broker *b = arg;

	sq_sys_forget(b->sys, t);
	sq_sys_counts_forget(b->sys_counts, t);
}

static struct sq_tenants *
broker_tenants(struct sq_broker *b)
{
	struct sq_tenants_cfg cfg = {.router = b->router,
	    .shares = b->shares,
	    .rows = b->cfg.shares,
	    .n_rows = b->cfg.n_shares,
	    .gone = broker_tenant_gone,
	    .arg = b};

	return sq_tenants_new(&cfg);
}

/* Reads the store's state other than sessions. */
static int
broker_load(struct sq_broker *b)
{
	uint64_t now_ms = sq_engine_now_ms();
	int err = sq_router_load(b->router, b->engine, now_ms);

	if (err == SQ_OK)
		err = sq_keys_load(b->keys, b->engine, b->tenants, now_ms);
	if (err == SQ_OK)
		err = sq_delayed_load(b->delayed, now_ms);
	if (err == SQ_OK)
		err = sq_dead_load(b->dead);
	if (err == SQ_OK)
		err = sq_endings_load(b);
	if (err == SQ_OK)
		err = sq_restore(b, &sq_sessions_hooks);
	return err == SQ_OK ? sq_subscribers_load(b->subscribers, now_ms) : err;
}

/* The reason of the failed load: the engine's text, or the fault in a record. */
static void
broker_say_load(const struct sq_broker *b, int load, struct sq_buf *err)
{
	const struct sq_engine_ops *ops = b->engine->ops;
	const char *why = ops->start.load_error != NULL ? ops->start.load_error(b->engine) : "";

	if (why[0] != '\0')
		sq_buf_printf(err, "%s: tables: %s", b->cfg.store_dir, why);
	else
		sq_buf_printf(err, "%s: %s", b->cfg.store_dir,
		    load == SQ_EINVAL ? "a record does not read, which its checksum proves"
				      : "it can't be read just now");
}

static void
broker_make_shards(struct sq_broker *b, struct sq_worker *const *workers, size_t n_workers)
{
	b->shards = sq_xcalloc(n_workers, sizeof(*b->shards));
	b->turns = sq_xcalloc(1, sizeof *b->turns + n_workers * sizeof *b->turns->v);
	b->n_shards = n_workers;
	for (size_t i = 0; i < n_workers; i++) {
		struct sq_shard *sh = &b->shards[i];

		assert(sq_worker_index(workers[i]) == i);
		sh->broker = b;
		sh->worker = workers[i];
		b->turns->v[i].shard = sh;
		sh->routes = sq_route_cache_new();
		sh->sessions = sq_session_table_new();
		sh->endings = sq_endings_new();
		sq_pace_init(sh);
		sh->receipts = sq_receipts_new(sh, sq_own_receipts_left);
		sh->refusals = sq_recent_new();
		sh->gone = sq_recent_new();
	}
}

/* Makes the configured grants between spaces. */
static void
broker_grant(struct sq_broker *b)
{
	for (size_t i = 0; i < b->cfg.n_grants; i++) {
		const struct sq_tenant_grant *g = &b->cfg.grants[i];
		struct sq_tenant *reader = sq_tenant_get(b->tenants, g->reader);
		struct sq_tenant *from = sq_tenant_get(b->tenants, g->from);

		sq_space_grant(
		    sq_tenant_space(reader), sq_tenant_space(from), sq_bytes_of(g->filter));
		sq_tenant_unref(&reader);
		sq_tenant_unref(&from);
	}
}

struct sq_engine *
sq_broker_open_engine(
    const struct sq_broker_cfg *cfg, const struct sq_engine_cfg *with, struct sq_buf *err)
{
	const struct sq_engine_files files = {.dir = cfg->store_dir,
	    .log = cfg->log,
	    .shared = cfg->shared,
	    .durability = cfg->durability,
	    .interval_ms = cfg->sync_interval_ms,
	    .stall_ms = cfg->store_stall_ms,
	    .journal_bytes = cfg->journal_size,
	    .max_bytes = cfg->store_max_size,
	    .cache_bytes = cfg->store_cache_size};
	struct sq_engine_cfg engine = *with;

	engine.files = &files;
	engine.txn_bytes = cfg->txn_bytes;
	engine.txn_items = cfg->txn_items;
	return cfg->engine->open(&engine, err);
}

static void
broker_push(struct sq_broker *b)
{
	if (b->cfg.push == NULL)
		return;
	b->serving.pushes = sq_pushes_new(b, b->cfg.push);
	sq_subscribers_add_user(b->subscribers, sq_pushes_user(b->serving.pushes));
	sq_pushes_loaded(b->serving.pushes);
}

static int
broker_bridge(struct sq_broker *b)
{
	int err;

	if (b->cfg.bridges == NULL)
		return SQ_OK;
	b->serving.bridges = sq_bridges_new(b, b->cfg.bridges);
	err = sq_bridges_load(b->serving.bridges);
	if (err == SQ_OK)
		sq_subscribers_add_user(b->subscribers, sq_bridges_user(b->serving.bridges));
	return err;
}

struct sq_broker *
sq_broker_new(const struct sq_broker_cfg *cfg, struct sq_engine *engine,
    struct sq_worker *const *workers, size_t n_workers, const struct sq_metrics *metrics)
{
	struct sq_broker *b = sq_xcalloc(1, sizeof *b);
	struct sq_router_cfg router = {.metrics = metrics,
	    .max_matches = cfg->max_matches,
	    .new_account = broker_space_account,
	    .account_arg = b,
	    .new_id = broker_record_id,
	    .id_arg = b};

	b->cfg = sq_set_limits_cfg(cfg);
	b->burial = &sq_buried;
	b->metrics = *metrics;
	b->rules = sq_rules_new();
	if (cfg->acl != NULL)
		sq_broker_set_acl(b, cfg->acl);
	b->engine = engine;
	b->router = sq_router_new(&router);
	b->shares = sq_totals_shares(&b->cfg);
	b->tenants = broker_tenants(b);
	broker_grant(b);
	sq_life_init(b);
	b->groups = sq_groups_new();
	sq_system_init(b);
	broker_make_shards(b, workers, n_workers);
	b->keys = sq_keys_new(cfg->key_window_ms);
	b->delayed = sq_delayed_new(b);
	b->watch = sq_watch_new(&b->metrics, cfg->queue_lonely_ms, cfg->metrics_queues);
	b->sys_counts = sq_sys_counts_new(b->router, b->n_shards, cfg->sys_interval_ms);
	b->sys = sq_sys_new(b, cfg->sys_interval_ms);
	sq_watch_tell(b->watch, sq_sys_watch_user(b->sys));
	b->dead = sq_dead_new(b);
	b->taps = sq_taps_new();
	b->replies = sq_replies_new(b, (unsigned)n_workers);
	b->subscribers = sq_subscribers_new(b);
	b->view = sq_tables_view(b, workers, n_workers);
	return b;
}

int
sq_broker_load(struct sq_broker *b, struct sq_buf *err)
{
	int load = broker_load(b);

	if (load != SQ_OK) {
		broker_say_load(b, load, err);
		return load;
	}
	broker_push(b);
	load = broker_bridge(b);
	if (load != SQ_OK) {
		broker_say_load(b, load, err);
		return load;
	}
	b->engine->ops->start.ready(b->engine);
	sq_endings_start(b);
	return SQ_OK;
}

bool
sq_broker_healthy(struct sq_broker *b, struct sq_buf *why)
{
	return b->engine->ops->healthy(b->engine, why);
}

void
sq_broker_write_queues(struct sq_broker *b, struct sq_buf *out)
{
	sq_watch_write(b->watch, out);
	sq_shares_write(b->shares, out);
	if (b->serving.pushes != NULL)
		sq_pushes_write_metrics(b->serving.pushes, out);
	if (b->serving.bridges != NULL)
		sq_bridges_write_metrics(b->serving.bridges, out);
}

void
sq_broker_set_acl(struct sq_broker *b, struct sq_acl *acl)
{
	sq_metric_set(&b->metrics, SQ_M_ACL_RULES, (int64_t)sq_acl_rules(acl));
	sq_rules_set(b->rules, acl);
}

struct sq_acl *
sq_broker_acl(struct sq_broker *b)
{
	uint64_t version;

	return sq_rules_get(b->rules, &version);
}

void
sq_broker_refused(struct sq_broker *b, const struct sq_refusal_seen *seen)
{
	sq_refusals_note(sq_shard_here(b)->refusals, seen);
}

struct sq_taps *
sq_broker_taps(const struct sq_broker *b)
{
	return b->taps;
}

struct sq_subscribers *
sq_broker_subscribers(const struct sq_broker *b)
{
	return b->subscribers;
}

struct sq_replies *
sq_broker_replies(const struct sq_broker *b)
{
	return b->replies;
}

struct sq_pushes *
sq_broker_pushes(const struct sq_broker *b)
{
	return b->serving.pushes;
}

struct sq_bridges *
sq_broker_bridges(const struct sq_broker *b)
{
	return b->serving.bridges;
}

struct sq_view *
sq_broker_view(const struct sq_broker *b)
{
	return b->view;
}

/* What is left when bridges have closed. */
static void
shard_stop_rest(struct sq_task *t)
{
	struct sq_shard *sh = SQ_CONTAINER_OF(t, struct turn, stop)->shard;

	sq_pace_tick(sh, UINT64_MAX);
	sq_subscribers_stop(sh);
	sq_replies_drain(sh->broker->replies, sq_worker_index(sh->worker));
	sq_sessions_stop(sh);
	sq_endings_stop(sh);
	sq_broker_object(sh->broker, -1);
}

static void
shard_stop(struct sq_task *t)
{
	const struct sq_shard *sh = SQ_CONTAINER_OF(t, struct turn, stop)->shard;
	struct sq_bridges *bridges = sh->broker->serving.bridges;

	t->run = shard_stop_rest;
	if (bridges != NULL)
		sq_bridges_stop(bridges, sq_worker_index(sh->worker), t);
	else
		shard_stop_rest(t);
}

void
sq_broker_stop(struct sq_broker *b)
{
	sq_broker_close(b);
	for (size_t i = 0; i < b->n_shards; i++) {
		sq_broker_object(b, 1);
		b->turns->v[i].stop.run = shard_stop;
		sq_worker_post(b->shards[i].worker, &b->turns->v[i].stop);
	}
	sq_broker_await(b);
}

void
sq_broker_free(struct sq_broker **bp)
{
	struct sq_broker *b = *bp;

	*bp = NULL;
	if (b == NULL)
		return;
	sq_subscribers_free(&b->subscribers);
	sq_pushes_free(&b->serving.pushes);
	sq_bridges_free(&b->serving.bridges);
	sq_groups_clear(b);
	sq_dead_free(&b->dead);
	sq_groups_free(&b->groups);
	sq_watch_free(&b->watch);
	sq_delayed_free(&b->delayed);
	sq_keys_free(&b->keys);
	for (size_t i = 0; i < b->n_shards; i++) {
		struct sq_shard *sh = &b->shards[i];

		sq_session_table_free(&sh->sessions);
		sq_endings_free(&sh->endings);
		sq_receipts_free(&sh->receipts);
		sq_recent_free(&sh->refusals);
		sq_recent_free(&sh->gone);
		sq_route_cache_free(&sh->routes);
	}
	free(b->shards);
	free(b->turns);
	sq_view_free(&b->view);
	sq_rules_free(&b->rules);
	sq_tenants_free(&b->tenants);
	sq_router_free(&b->router);
	b->engine->ops->close(b->engine);
	sq_sys_free(&b->sys);
	sq_taps_free(&b->taps);
	sq_replies_free(&b->replies);
	sq_sys_counts_free(&b->sys_counts); /* queues count there */
	sq_shares_free(&b->shares);
	sq_life_fini(b);
	free(b);
}

static struct sq_shard *
call_shard(const struct sq_call *c)
{
	const struct sq_broker *b = c->broker;

	if (c->kind == SQ_CALL_QUEUE)
		return sq_subscribers_shard(b->subscribers, c);
	if (c->kind == SQ_CALL_BRIDGE)
		return sq_bridges_shard(b->serving.bridges, c);
	return &b->shards[c->kind == SQ_CALL_PUBLISH ? c->in.publish.worker
						     : c->key_hash % b->n_shards];
}

static void
call_run(struct sq_shard *sh, struct sq_call *c)
{
	bool draining = atomic_load_explicit(&sh->broker->turns->draining, memory_order_relaxed);

	if (c->kind == SQ_CALL_PUBLISH)
		sq_intake_call(sh, c, draining);
	else if (c->kind == SQ_CALL_QUEUE)
		sq_subscriber_call(sh, c, draining);
	else if (c->kind == SQ_CALL_BRIDGE)
		sq_bridges_call(sh->broker->serving.bridges, sh, c);
	else
		sq_sessions_call(sh, c, draining);
}

static void
call_task(struct sq_task *t)
{
	struct sq_call *c = SQ_CONTAINER_OF(t, struct sq_call, task);

	call_run(call_shard(c), c);
}

void
sq_broker_call(struct sq_broker *b, struct sq_call *c)
{
	struct sq_shard *sh;

	c->broker = b;
	sh = call_shard(c);
	if (sh->worker == sq_worker_self()) {
		call_run(sh, c);
		return;
	}
	c->task.run = call_task;
	sq_worker_post(sh->worker, &c->task);
}

bool
sq_broker_outlet_opens(struct sq_broker *b, struct sq_outlet *link)
{
	const struct sq_identity *who = sq_outlet_identity(link);
	struct sq_tenant *tenant;
	bool good;

	if (who->n_spaces == 0)
		return true;
	tenant = sq_tenant_get(b->tenants, who->spaces[0]);
	if (who->n_spaces == 1)
		good = sq_outlet_count(link, sq_tenant_account(tenant));
	else
		good = sq_outlet_count_first(link, sq_tenant_account(tenant));
	sq_tenant_unref(&tenant);
	return good;
}

/* A link's end, told to each shard. */
struct link_closed {
	struct sq_task task;
	struct sq_shard *shard;
	struct sq_outlet *link; /* a reference */
};

static void
link_closed_run(struct sq_task *t)
{
	struct link_closed *lc = SQ_CONTAINER_OF(t, struct link_closed, task);

	sq_sessions_outlet_lost(lc->shard, lc->link);
	sq_outlet_unref(&lc->link);
	sq_broker_object(lc->shard->broker, -1);
	free(lc);
}

void
sq_broker_outlet_closed(struct sq_broker *b, struct sq_outlet *link)
{
	for (size_t i = 0; i < b->n_shards; i++) {
		struct link_closed *lc = sq_xcalloc(1, sizeof *lc);

		lc->task.run = link_closed_run;
		lc->shard = &b->shards[i];
		lc->link = sq_outlet_ref(link);
		sq_broker_object(b, 1);
		sq_worker_post(lc->shard->worker, &lc->task);
	}
}

void
sq_broker_outlet_writable(struct sq_broker *b, struct sq_outlet *link)
{
	sq_linked_writable(&b->shards[sq_worker_index(sq_worker_self())], link);
}

struct sweep {
	struct sq_shard *shard;
	struct sq_system_txn *own;
};

static struct sq_txn *
sweep_txn(void *arg)
{
	struct sweep *s = arg;

	return sq_system_txn(s->shard, &s->own);
}

/* Removes expired state other than sessions. */
static void
broker_sweep(struct sq_shard *sh, uint64_t now_ms)
{
	struct sweep s = {sh, NULL};

	sq_router_sweep(sh->broker->router, now_ms, sweep_txn, &s);
	sq_system_commit(&s.own);
	sq_keys_sweep(sh->broker->keys, sh, now_ms);
}

/* The tick's work of the first worker, for all shards. */
static void
broker_tick_first(struct turn *turn, uint64_t now_ms)
{
	struct sq_shard *sh = turn->shard;
	struct sq_broker *b = sh->broker;
	bool sweeps = turn->ticks++ % GROUPS_EXPIRE_TURN == 0;

	sq_due_tick(sh, now_ms);
	sq_watch_tick(b->watch, now_ms);
	sq_sys_tick(b->sys, sh, now_ms);
	sq_taps_tick(b->taps, now_ms);
	if (sweeps || turn->groups_left)
		turn->groups_left = sq_groups_expire(b, now_ms);
	if (sweeps) {
		broker_sweep(sh, now_ms);
		sq_dead_sweep(b->dead);
		sq_tenants_sweep(b->tenants);
	}
}

static void
broker_tick_drain(struct turn *turn)
{
	struct sq_shard *sh = turn->shard;
	struct sq_bridges *bridges = sh->broker->serving.bridges;
	unsigned worker = sq_worker_index(sh->worker);
	bool idle = true;

	if (bridges != NULL) {
		sq_bridges_drain(bridges, worker);
		idle = sq_bridges_idle(bridges, worker);
	}
	sq_subscribers_drain(sh);
	sq_replies_drain(sh->broker->replies, worker);
	atomic_store(&turn->drained, idle && sq_sessions_idle(sh));
}

void
sq_broker_tick(struct sq_broker *b, struct sq_worker *w)
{
	struct turn *turn = &b->turns->v[sq_worker_index(w)];
	struct sq_shard *sh = turn->shard;
	uint64_t now_ms = sq_worker_now_ms(w);

	sq_sessions_tick(sh, now_ms);
	sq_subscribers_tick(sh, now_ms);
	if (b->serving.pushes != NULL)
		sq_pushes_tick(b->serving.pushes, sq_worker_index(w), now_ms);
	if (b->serving.bridges != NULL)
		sq_bridges_tick(b->serving.bridges, sq_worker_index(w), now_ms);
	sq_pace_tick(sh, now_ms);
	sq_endings_tick(sh);
	if (sq_worker_index(w) == 0)
		broker_tick_first(turn, now_ms);
	sq_replies_tick(b->replies, sq_worker_index(w), now_ms);
	if (atomic_load(&b->turns->draining))
		broker_tick_drain(turn);
}

void
sq_broker_drain(struct sq_broker *b)
{
	atomic_store(&b->turns->draining, true);
}

bool
sq_broker_drained(struct sq_broker *b)
{
	for (size_t i = 0; i < b->n_shards; i++) {
		if (!atomic_load(&b->turns->v[i].drained))
			return false;
	}
	return true;
}
