#include "broker/subscriber/load.h"

#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "broker/shard/shard.h"
#include "broker/subscriber/ask.h"
#include "broker/subscriber/declare.h"
#include "broker/subscriber/record.h"
#include "core/log.h"
#include "core/mem.h"

enum { SWEEP_MAX = 100 }; /* records, of one transaction */

struct subscribers_load {
	struct sq_subscribers *all;
	uint64_t now_ms;
	int err;
};

/* What a binding of the group is declared as. */
static struct sq_declared_binding
load_binding(const struct sq_group_binding *gb)
{
	const char *tag = gb->name + strlen(gb->name) + 1;
	struct sq_declared_binding b = {.id = sq_xstrdup(gb->name), .qos = gb->binding.max_qos};

	if (gb->tag_len > 0)
		b.tag = sq_xmemdup0(tag, gb->tag_len);
	if (gb->tag_len == 0 || gb->filter_len != 1 || tag[gb->tag_len] != '#')
		b.filter = sq_xmemdup0(tag + gb->tag_len, gb->filter_len);
	return b;
}

/* Has the declaration hold the group's bindings, and the group. */
static void
load_bindings(struct sq_group *g, struct sq_declaration *d)
{
	size_t n = 0;

	SQ_LIST_FOR_EACH(gb, &g->bound.list, struct sq_group_binding, node)
		n++;
	if (n > 0)
		d->bindings = sq_xcalloc(n, sizeof *d->bindings);
	SQ_LIST_FOR_EACH(gb, &g->bound.list, struct sq_group_binding, node) {
		struct sq_declared_binding *b = &d->bindings[d->n_bindings++];
		struct sq_topic_filter f;

		*b = load_binding(gb);
		f = sq_declared_filter(b);
		(void)sq_group_bind(g, &f, gb->name, b->qos, NULL);
	}
}

/* Whether the group is that of a queue: its name is made of its space and the queue's name. */
static bool
load_is_queue(const struct sq_group *g)
{
	struct sq_bytes queue;
	char *name;
	bool is;

	if (!g->listed || !g->cfg.named)
		return false;
	queue = sq_named_queue(g);
	name = sq_named_group(sq_tenant_name(g->tenant), queue);
	is = sq_queue_name_good(queue) && strcmp(name, g->name) == 0;
	free(name);
	return is;
}

static void
load_declared(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct subscribers_load *l = arg;
	struct sq_broker *b = l->all->broker;
	struct sq_declared_record r;
	struct sq_group *g = sq_group_by_id(b, key->id), *joined;
	struct sq_subscriber *s;
	struct sq_group_cfg cfg;

	if (g == NULL && sq_declared_read(value, &r)) {
		SQ_WARN("store", "queue %016llx, which was declared, was ended by an older broker",
		    (unsigned long long)key->id);
		sq_subscribers_orphan(l->all, key);
		sq_declared_record_fini(&r);
		return;
	}
	if (g == NULL || !load_is_queue(g) || !sq_declared_read(value, &r)) {
		SQ_ERROR("store", "the record of the declaration of queue %016llx does not read",
		    (unsigned long long)key->id);
		l->err = SQ_EINVAL;
		sq_group_unref(&g);
		return;
	}
	sq_space_wrlock(sq_tenant_space(g->tenant));
	cfg = sq_declared_group(&r.decl, g->name, g->tenant);
	joined = sq_group_join(b, &cfg, NULL);
	load_bindings(g, &r.decl);
	sq_named_set(g, &cfg, NULL);
	sq_space_unlock(sq_tenant_space(g->tenant));
	s = sq_subscriber_new(l->all, joined, &r.decl, r.revision);
	s->in_file = r.in_file;
	s->owned = r.owned;
	s->paused = r.paused;
	s->declarer = r.declarer;
	s->pause_why = r.pause_why;
	s->used_ms = l->now_ms;
	if (r.paused)
		g->sink.engine->ops->queue.pause(g->sink.queue, true);
	sq_group_unref(&g);
}

int
sq_subscribers_load_records(struct sq_subscribers *all, uint64_t now_ms)
{
	struct subscribers_load l = {.all = all, .now_ms = now_ms};
	struct sq_engine *e = all->broker->engine;
	int err = e->ops->start.load(e, SQ_RECORD_DECLARED, load_declared, &l);

	return err == SQ_OK ? l.err : err;
}

void
sq_subscribers_orphan(struct sq_subscribers *all, const struct sq_record_key *key)
{
	sq_buf_append(&all->orphans, key, sizeof *key);
}

void
sq_subscribers_sweep(struct sq_shard *sh)
{
	struct sq_buf *orphans = &sh->broker->subscribers->orphans;
	struct sq_record_key key;
	struct sq_ask_txn *a;

	if (sq_buf_len(orphans) == 0 || sq_broker_closing(sh->broker))
		return;
	a = sq_ask_txn_new(sh, NULL);
	for (unsigned n = 0; n < SWEEP_MAX && sq_buf_len(orphans) > 0; n++) {
		memcpy(&key, sq_buf_data(orphans), sizeof key);
		sq_buf_drain(orphans, sizeof key);
		sq_record_delete(&a->txn, &key);
	}
	sq_ask_txn_commit(a);
}
