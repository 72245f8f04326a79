#include "broker/bridge/bridges.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/bridges_priv.h"
#include "broker/engine/now.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	STOP_MS = 3000,  /* in which peers may finish at the broker's end */
	SWEEP_MS = 2000, /* between two looks at keys of bridges that are gone */
};

/* What named queues call. */

static struct sq_bridges_part *
bridges_part(struct sq_bridges *all, const struct sq_shard *sh)
{
	return &all->parts[sq_worker_index(sh->worker)];
}

static void
bridges_ended(void *arg, struct sq_subscriber *s, void **own)
{
	struct sq_bridge *b = *own;

	(void)arg, (void)s;
	*own = NULL;
	if (b != NULL)
		sq_bridge_serve(b, NULL);
}

static void
bridges_declared(void *arg, struct sq_subscriber *s, void **own)
{
	struct sq_bridges *all = arg;
	struct sq_bridge *b = *own;

	if (!s->owned) {
		bridges_ended(arg, s, own);
		return;
	}
	if (b == NULL && strncmp(s->name, SQ_QUEUE_OF_BRIDGES, strlen(SQ_QUEUE_OF_BRIDGES)) == 0)
		b = sq_bridges_find(
		    bridges_part(all, s->shard), s->space, s->name + strlen(SQ_QUEUE_OF_BRIDGES));
	*own = b;
	if (b != NULL && b->s == NULL)
		sq_bridge_serve(b, s);
}

/* Life. */

static void
bridges_make_parts(struct sq_bridges *all)
{
	struct sq_broker *b = all->broker;

	all->parts = sq_xcalloc(b->n_shards, sizeof *all->parts);
	for (size_t i = 0; i < b->n_shards; i++) {
		all->parts[i].all = all;
		all->parts[i].shard = &b->shards[i];
		sq_list_init(&all->parts[i].list);
	}
}

struct sq_bridges *
sq_bridges_new(struct sq_broker *b, const struct sq_bridges_cfg *cfg)
{
	struct sq_bridges *all = sq_xcalloc(1, sizeof *all);

	all->broker = b;
	all->cfg = *cfg;
	pthread_mutex_init(&all->lock, NULL);
	sq_list_init(&all->list);
	all->dedups = sq_dedups_new();
	bridges_make_parts(all);
	all->user = (struct sq_subscribers_user){
	    .declared = bridges_declared, .ended = bridges_ended, .arg = all};
	return all;
}

int
sq_bridges_load(struct sq_bridges *all)
{
	struct sq_engine *e = all->broker->engine;
	struct sq_buf text = {0};
	int err = sq_bridges_paused_load(all);

	if (err == SQ_OK)
		err = sq_dedups_load(all->dedups, e, sq_engine_now_ms());
	if (err == SQ_OK)
		err = sq_install_load(&all->install, e);
	if (err != SQ_OK)
		return err;
	sq_install_print(&all->install, all->cfg.install, &text);
	all->install_text = sq_buf_take_text(&text);
	return SQ_OK;
}

void
sq_bridges_free(struct sq_bridges **ap)
{
	struct sq_bridges *all = *ap;

	*ap = NULL;
	if (all == NULL)
		return;
	assert(sq_list_empty(&all->list));
	sq_bridges_plan_unref(&all->plan);
	sq_bridges_paused_free(all);
	sq_dedups_free(&all->dedups);
	free(all->install_text);
	free(all->parts);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

const struct sq_subscribers_user *
sq_bridges_user(struct sq_bridges *all)
{
	return &all->user;
}

/* Times. */

static bool
bridges_are_some(struct sq_bridges *all)
{
	bool some;

	pthread_mutex_lock(&all->lock);
	some = all->n > 0;
	pthread_mutex_unlock(&all->lock);
	return some;
}

/* The first worker's, for all. */
static void
bridges_tick_first(struct sq_bridges *all, uint64_t now_ms)
{
	struct sq_shard *sh = all->broker->shards;

	if (now_ms >= all->swept_ms + SWEEP_MS) {
		all->swept_ms = now_ms;
		sq_dedups_sweep(all->dedups, sh, now_ms);
	}
	if (!atomic_load_explicit(&all->install.kept, memory_order_relaxed) &&
	    !sq_broker_closing(all->broker) && bridges_are_some(all))
		(void)sq_install_keep(&all->install, sh);
}

void
sq_bridges_tick(struct sq_bridges *all, unsigned worker, uint64_t now_ms)
{
	SQ_LIST_FOR_EACH(b, &all->parts[worker].list, struct sq_bridge, of_part) {
		if (b->queue_again_ms != 0 && now_ms >= b->queue_again_ms)
			sq_bridge_declare(b);
		sq_bridge_tick(b, now_ms);
	}
	if (worker == 0)
		bridges_tick_first(all, now_ms);
}

void
sq_bridges_drain(struct sq_bridges *all, unsigned worker)
{
	struct sq_bridges_part *part = &all->parts[worker];

	if (part->draining)
		return;
	part->draining = true;
	SQ_LIST_FOR_EACH(b, &part->list, struct sq_bridge, of_part)
		sq_bridge_hold(b);
}

bool
sq_bridges_idle(const struct sq_bridges *all, unsigned worker)
{
	SQ_LIST_FOR_EACH(b, &all->parts[worker].list, struct sq_bridge, of_part) {
		if (!sq_bridge_idle(b))
			return false;
	}
	return true;
}

void
sq_bridges_stop(struct sq_bridges *all, unsigned worker, struct sq_task *stopped)
{
	struct sq_bridges_part *part = &all->parts[worker];

	if (sq_list_empty(&part->list)) {
		sq_worker_post(part->shard->worker, stopped);
		return;
	}
	part->stopped = stopped;
	SQ_LIST_FOR_EACH_SAFE(b, &part->list, struct sq_bridge, of_part)
		sq_bridge_close(b, STOP_MS);
}
