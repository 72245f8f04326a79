#include "broker/group/group_queue.h"

#include <stdlib.h>

#include "broker/engine/record.h"
#include "broker/group/watch.h"
#include "broker/shard/source.h"
#include "broker/shard/sys_counts.h"

void
sq_group_end_queue(struct sq_group *g)
{
	const struct sq_engine_ops *ops = g->sink.engine->ops;

	if (g->ending != NULL) {
		g->sink.source = NULL;
		sq_ending_release(&g->ending);
		return;
	}
	if (g->stored)
		ops->queue.close(g->sink.queue);
	else
		ops->queue.delete(NULL, g->sink.queue);
	sq_source_free(&g->sink.source, g->owner);
}

/* The configuration of the queue, without a name. */
static struct sq_queue_cfg
queue_cfg(const struct sq_group *g)
{
	const struct sq_broker *b = g->broker;
	enum sq_overflow overflow = g->cfg.overflow;

	if (overflow == SQ_OVERFLOW_DEFAULT)
		overflow = g->durable || g->stored ? SQ_OVERFLOW_REJECT_PUBLISH
						   : SQ_OVERFLOW_DROP_NEW;
	return (struct sq_queue_cfg){
	    .account = g->stored ? sq_tenant_account(g->tenant) : NULL,
	    .memory = sq_tenant_account(g->tenant),
	    .owner = g->owner,
	    .max_msgs = g->cfg.max_length > 0 && g->cfg.max_length < b->cfg.queue_max_msgs
		? g->cfg.max_length
		: b->cfg.queue_max_msgs,
	    .max_bytes = g->cfg.max_bytes > 0 && g->cfg.max_bytes < b->cfg.queue_max_bytes
		? g->cfg.max_bytes
		: b->cfg.queue_max_bytes,
	    .overflow = overflow,
	    .yields = g->cfg.overflow == SQ_OVERFLOW_DEFAULT ? SQ_YIELD_LONELY : SQ_YIELD_NEVER,
	    .max_attempts = g->cfg.max_attempts,
	    .durable = g->stored,
	    .timed = g->cfg.named,
	    .dead = b->burial->item,
	    .arg = g->sink.source,
	    .dropped = sq_sys_counts_dropped(b->sys_counts, g->tenant),
	};
}

void
sq_group_open(struct sq_group *g, struct sq_txn *txn)
{
	struct sq_engine *e = g->broker->engine;
	struct sq_queue_cfg q = queue_cfg(g);
	char *name = sq_record_queue_name(g->name, g->id);

	q.name = name;
	g->sink.queue = e->ops->queue.open(e, txn, &q);
	g->sink.reject = q.overflow == SQ_OVERFLOW_REJECT_PUBLISH;
	g->sink.ttl_s = g->cfg.ttl_s;
	if (g->awaited)
		e->ops->queue.attend(g->sink.queue, 1);
	sq_watch_add(g->broker->watch, &g->sink, true);
	if (!g->cfg.share)
		sq_watch_declared(g->broker->watch, &g->sink);
	free(name);
}

void
sq_group_set_limits(struct sq_group *g)
{
	struct sq_queue_cfg q = queue_cfg(g);

	g->broker->engine->ops->queue.limits(g->sink.queue, &q);
	g->sink.reject = q.overflow == SQ_OVERFLOW_REJECT_PUBLISH;
	g->sink.ttl_s = g->cfg.ttl_s;
}

uint32_t
sq_group_expiry_s(const struct sq_broker *b, uint32_t wanted_s)
{
	uint32_t s = wanted_s != 0 ? wanted_s : b->cfg.queue_expiry_s;

	return s < b->cfg.queue_expiry_max_s ? s : b->cfg.queue_expiry_max_s;
}
