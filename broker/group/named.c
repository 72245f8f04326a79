#include "broker/group/named.h"

#include <assert.h>
#include <string.h>

#include "broker/group/group_queue.h"
#include "broker/group/group_store.h"
#include "broker/shard/source.h"

static const char kind[] = "queue";

char *
sq_named_group(const char *space, struct sq_bytes queue)
{
	struct sq_buf text = {0};

	sq_buf_append(&text, kind, sizeof kind - 1);
	sq_buf_u8(&text, SQ_SOURCE_SEPARATOR);
	sq_buf_append(&text, space, strlen(space));
	sq_buf_u8(&text, SQ_SOURCE_SEPARATOR);
	sq_buf_append(&text, queue.p, queue.len);
	sq_buf_u8(&text, SQ_SOURCE_SEPARATOR); /* as names of groups have it */
	return sq_buf_take_text(&text);
}

bool
sq_named_is(struct sq_bytes group)
{
	const size_t n = sizeof kind - 1;

	return group.len > n && memcmp(group.p, kind, n) == 0 && group.p[n] == SQ_SOURCE_SEPARATOR;
}

struct sq_bytes
sq_named_queue(const struct sq_group *g)
{
	assert(g->cfg.named);
	return sq_group_rule_name(g);
}

void
sq_named_set(struct sq_group *g, const struct sq_group_cfg *cfg, struct sq_txn *txn)
{
	assert(sq_group_held(g) && g->cfg.named && cfg->named && cfg->durable);
	g->cfg.max_length = cfg->max_length;
	g->cfg.max_bytes = cfg->max_bytes;
	g->cfg.max_attempts = cfg->max_attempts;
	g->cfg.overflow = cfg->overflow;
	g->cfg.ttl_s = cfg->ttl_s;
	g->cfg.ordered = cfg->ordered;
	g->options.now = sq_group_cfg_options(&g->cfg);
	sq_group_set_limits(g);
	sq_group_store(g, txn);
}

void
sq_named_close(struct sq_group *g, bool closed)
{
	assert(sq_group_held(g) && g->cfg.named);
	g->cfg.closed = closed;
}

void
sq_named_end(struct sq_group **gp, enum sq_ending_why why, struct sq_txn *txn)
{
	struct sq_group *g = *gp;

	assert(sq_group_held(g) && g->cfg.named && g->n_subs == 1);
	g->n_subs = 0;
	SQ_LIST_FOR_EACH(gb, &g->bound.list, struct sq_group_binding, node) {
		g->bound.n_kept += gb->refs > 0;
		gb->refs = 0;
	}
	sq_group_unlist(g, why, txn);
	sq_group_unref(gp);
}

const char *
sq_named_refuses(const struct sq_group *g)
{
	if (!g->cfg.named)
		return "there is no queue of that name";
	if (g->cfg.closed)
		return "the queue is about to end";
	if (g->cfg.ordered)
		return "the queue has an order, and MQTT clients take from queues without one";
	return NULL;
}
