#include <stdlib.h>
#include <string.h>

#include "broker/bridge/bridges_priv.h"
#include "broker/subscriber/owned.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	CHANGE_MS = 5000,       /* in which one that changes or goes closes */
	QUEUE_AGAIN_MS = 10000, /* between two tries to declare a queue that was refused */
};

/* Queues. */

static uint32_t
queue_u32(uint64_t n)
{
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* What the configuration says of its queue.  SQ_EINVAL with a line in 'why': too many bindings. */
static int
queue_declaration(const struct sq_bridge_cfg *c, struct sq_declaration *d, struct sq_buf *why)
{
	int err = SQ_OK;

	sq_declaration_init(d);
	d->order = SQ_ORDER_KEY;
	d->max_attempts = queue_u32(c->max_attempts);
	d->max_messages = queue_u32(c->max_messages);
	d->max_bytes = c->max_bytes;
	d->overflow = c->overflow == SQ_BRIDGE_DROP_OLDEST ? SQ_OVERFLOW_DROP_OLDEST
							   : SQ_OVERFLOW_REJECT_PUBLISH;
	for (size_t i = 0; i < c->out.n && err == SQ_OK; i++) {
		const struct sq_bridge_out *rule = sq_bridge_cfg_out(c, i);
		struct sq_declared_binding b = {
		    .filter = rule->filter, .tag = rule->tag, .qos = (uint8_t)rule->qos};

		err = sq_declaration_bind(d, &b, why);
	}
	return err;
}

static void
queue_refused(struct sq_bridge *b, const struct sq_bridge_cfg *c, const struct sq_buf *why)
{
	if (b->queue_again_ms == 0)
		SQ_ERROR(b->told.scope, "%s: its queue %s~%s can't be so: %.*s", c->record.where,
		    b->space, b->queue, (int)sq_buf_len(why), (const char *)sq_buf_data(why));
	b->queue_again_ms = sq_worker_now_ms(b->part->shard->worker) + QUEUE_AGAIN_MS;
}

/* Nobody's messages come into it any more; it ends when it is empty. */
static void
queue_leave(struct sq_subscriber *s)
{
	if (s == NULL || !s->owned || s->removing != NULL)
		return;
	SQ_INFO("broker",
	    "queue %s~%s: its bridge is gone; it takes nothing more, and ends when it "
	    "is empty",
	    s->space, s->name);
	sq_subscriber_disown(s);
}

void
sq_bridge_declare(struct sq_bridge *b)
{
	const struct sq_bridge_cfg *c = b->next.cfg != NULL ? b->next.cfg : b->now.cfg;
	struct sq_shard *sh = b->part->shard;
	struct sq_declaration decl;
	struct sq_buf why = {0};
	int err;

	if (c->out.n == 0) {
		b->queue_again_ms = 0;
		queue_leave(sq_subscriber_find(sh, b->space, b->queue));
		return;
	}
	err = queue_declaration(c, &decl, &why);
	if (err == SQ_OK)
		err = sq_subscriber_own_so(sh, b->space, b->queue, &decl, &why);
	if (err != SQ_OK)
		queue_refused(b, c, &why);
	else
		b->queue_again_ms = 0;
	sq_declaration_fini(&decl);
	sq_buf_fini(&why);
	if (err == SQ_OK && b->s == NULL) { /* it is as it was: nobody was told */
		struct sq_subscriber *s = sq_subscriber_find(sh, b->space, b->queue);

		*sq_subscriber_own(s, &b->all->user) = b;
		sq_bridge_serve(b, s);
	}
}

/* A worker carries a plan out. */
struct set_run {
	struct sq_task task;
	struct sq_bridges_part *part;
	struct sq_bridges_plan *plan; /* a reference */
};

static void
run_new(struct set_run *r, const struct sq_bridge_said *said)
{
	struct sq_bridge *b = sq_bridge_new(r->part, said);

	b->named = true;
	SQ_INFO(b->told.scope, "it is there, by %s%s", said->cfg->record.where,
	    b->paused ? "; it is paused" : "");
	sq_bridge_declare(b);
	sq_bridge_look(b, sq_worker_now_ms(r->part->shard->worker));
}

/* It is to be by another configuration. */
static void
run_change(struct sq_bridge *b, const struct sq_bridge_said *said)
{
	sq_bridge_file_unref(&b->next.file);
	b->next = (struct sq_bridge_said){sq_bridge_file_ref(said->file), said->cfg};
	b->gone = false;
	SQ_INFO(b->told.scope, "it is another one, by %s", said->cfg->record.where);
	sq_bridge_close(b, CHANGE_MS); /* before its queue has what the old one does not know */
	sq_bridge_declare(b);
}

static void
run_one(struct set_run *r, const struct sq_bridge_said *said)
{
	const struct sq_bridge_cfg *c = said->cfg, *is;
	struct sq_bridge *b = sq_bridges_find(r->part, c->space, c->record.name);

	if (b == NULL) {
		run_new(r, said);
		return;
	}
	b->named = true;
	is = b->next.cfg != NULL ? b->next.cfg : b->now.cfg;
	if (b->gone || !sq_bridge_cfg_equal(is, c))
		run_change(b, said);
}

/* Bridges that the plan does not have. */
static void
run_others(struct set_run *r)
{
	SQ_LIST_FOR_EACH_SAFE(b, &r->part->list, struct sq_bridge, of_part) {
		if (b->named || b->gone)
			continue;
		b->gone = true;
		sq_bridge_file_unref(&b->next.file);
		b->next = (struct sq_bridge_said){0};
		SQ_INFO(b->told.scope, "no file has it any more");
		sq_bridge_close(b, CHANGE_MS);
	}
}

/* Queues of bridges that are gone, also of those that were before this start. */
static void
run_queues(struct set_run *r)
{
	struct sq_shard *sh = r->part->shard;

	SQ_LIST_FOR_EACH(s, &sq_subscribers_part(sh)->list, struct sq_subscriber, of_shard) {
		const struct sq_bridge_cfg *c = NULL;

		if (!s->owned)
			continue;
		if (strncmp(s->name, SQ_QUEUE_OF_BRIDGES, strlen(SQ_QUEUE_OF_BRIDGES)) == 0)
			c = sq_bridges_plan_find(r->plan, s->name + strlen(SQ_QUEUE_OF_BRIDGES))
				.cfg;
		if (c == NULL || c->out.n == 0 || strcmp(c->space, s->space) != 0)
			queue_leave(s);
	}
}

static bool
run_is_old(const struct set_run *r)
{
	struct sq_bridges *all = r->part->all;
	bool old;

	pthread_mutex_lock(&all->lock);
	old = all->plan != r->plan;
	pthread_mutex_unlock(&all->lock);
	return old;
}

static void
run_all(struct set_run *r)
{
	const struct sq_bridges *all = r->part->all;
	const struct sq_subscribers *queues = all->broker->subscribers;
	const struct sq_bridge_cfg *c;
	struct sq_buf queue = {0};

	SQ_LIST_FOR_EACH(b, &r->part->list, struct sq_bridge, of_part)
		b->named = false;
	for (size_t f = 0; f < r->plan->n; f++) {
		for (size_t i = 0; (c = sq_bridges_plan_cfg(r->plan, f, i)) != NULL; i++) {
			const struct sq_bridge_said said = {r->plan->files[f], c};

			sq_buf_printf(&queue, SQ_QUEUE_OF_BRIDGES "%s", c->record.name);
			sq_buf_u8(&queue, '\0');
			if (sq_subscribers_owner(queues, c->space,
				(const char *)sq_buf_data(&queue)) == r->part->shard &&
			    sq_bridges_plan_find(r->plan, c->record.name).cfg == c)
				run_one(r, &said);
			sq_buf_drain(&queue, sq_buf_len(&queue));
		}
	}
	sq_buf_fini(&queue);
	if (!r->plan->whole)
		return;
	run_others(r);
	run_queues(r);
}

static void
run_step(struct sq_task *t)
{
	struct set_run *r = SQ_CONTAINER_OF(t, struct set_run, task);
	struct sq_bridges *all = r->part->all;
	struct sq_broker *b = all->broker;

	if (!sq_broker_closing(b) && r->part->stopped == NULL && !run_is_old(r)) {
		run_all(r);
		if (r->plan->whole && r->part == all->parts)
			sq_bridges_paused_sweep(all, r->plan, r->part->shard);
	}
	sq_bridges_plan_unref(&r->plan);
	free(r);
	atomic_fetch_sub(&all->runs, 1);
	sq_broker_object(b, -1);
}

void
sq_bridges_set(struct sq_bridges *all, struct sq_bridge_file *const *files, size_t n, bool whole)
{
	struct sq_bridges_plan *plan = sq_bridges_plan_new(files, n, whole), *old;

	pthread_mutex_lock(&all->lock);
	old = all->plan;
	all->plan = plan;
	pthread_mutex_unlock(&all->lock);
	sq_bridges_plan_unref(&old);
	for (size_t i = 0; i < all->broker->n_shards; i++) {
		struct set_run *r = sq_xcalloc(1, sizeof *r);

		r->part = &all->parts[i];
		r->plan = sq_bridges_plan_ref(plan);
		r->task.run = run_step;
		sq_broker_object(all->broker, 1);
		atomic_fetch_add(&all->runs, 1);
		sq_worker_post(r->part->shard->worker, &r->task);
	}
}

bool
sq_bridges_are_set(const struct sq_bridges *all)
{
	return atomic_load(&all->runs) == 0;
}
