/* A start: what the tables and the journal hold, sorted for those who open it. */
#include <stdlib.h>
#include <string.h>

#include "broker/engine/embedded/alive_priv.h"
#include "core/mem.h"

static void
load_queue(void *arg, const struct sq_table_queue *stored)
{
	struct sq_kept_queue *q = sq_kept_queue_new(arg, stored->id);

	if (stored->name != NULL && *stored->name != '\0')
		q->name = sq_xstrdup(stored->name);
	q->n = stored->n;
	q->bytes = stored->bytes;
	q->listed = true;
}

int
sq_alive_load(struct sq_alive *a)
{
	return sq_table_queues(a->table, load_queue, a);
}

static void
replay_put(struct sq_alive *a, const struct sq_op_view *op, uint64_t seq)
{
	struct sq_item item = {
	    .seq = seq,
	    .origin = op->put.origin,
	    .qos = op->put.qos,
	    .retain = op->put.retain,
	    .assured = op->put.assured,
	    .stored = true,
	};

	item.msg.block = sq_block_copy(op->put.image, sq_image_size(op->put.image));
	item.msg.image = item.msg.block->bytes;
	item.subs = sq_oplog_subs(op);
	sq_alive_put(a, op->queue, &item, op->put.expires_ms);
	sq_item_fini(&item);
}

int
sq_alive_replay(struct sq_alive *a, uint64_t lsn, struct sq_bytes data)
{
	struct sq_oplog_reader r;
	const struct sq_op_view *op;
	uint32_t puts = 0;

	sq_alive_begin(a, lsn);
	a->replaying = true;
	sq_oplog_read(&r, data);
	while ((op = sq_oplog_next(&r)) != NULL) {
		if (op->kind == SQ_OP_PUT)
			replay_put(a, op, sq_seq(lsn, puts++));
		else
			sq_alive_apply(a, op);
	}
	a->replaying = false;
	sq_alive_end(a);
	return r.in.bad ? SQ_EINVAL : SQ_OK;
}

static int
seq_order(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

void
sq_alive_replayed(struct sq_alive *a)
{
	struct sq_hnode *at = NULL;

	SQ_LIST_FOR_EACH(ai, &a->items, struct sq_alive_item, node) {
		struct sq_item item = ai->item;

		if (ai->queue->deleted)
			continue;
		item.msg = sq_msg_ref(item.msg);
		if (item.subs != NULL)
			sq_block_ref(item.subs);
		item.expires_ms = ai->expires_ms; /* whoever opens the queue converts it */
		sq_ring_push(&ai->queue->restored, &item);
	}
	while ((at = sq_htab_walk(&a->queues, at)) != NULL) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id);

		if (q->n_skip > 0)
			qsort(q->skip, q->n_skip, sizeof(*q->skip), seq_order);
		if (!q->deleted && q->name != NULL)
			sq_htab_insert(&a->by_name, &q->by_name, sq_hash(q->name, strlen(q->name)));
	}
}

struct sq_kept_queue *
sq_alive_open(struct sq_alive *a, const char *name)
{
	struct sq_hnode *n = sq_htab_find(&a->by_name, sq_hash(name, strlen(name)));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(n, struct sq_kept_queue, by_name);

		if (!q->opened && strcmp(q->name, name) == 0) {
			q->opened = true;
			return q;
		}
	}
	return NULL;
}

void
sq_alive_make(struct sq_alive *a, uint64_t queue, const char *name)
{
	struct sq_kept_queue *q;

	pthread_mutex_lock(&a->lock);
	q = sq_kept_queue_new(a, queue);
	q->name = sq_xstrdup(name);
	q->opened = true;
	sq_kept_queue_is_news(a, q);
	pthread_mutex_unlock(&a->lock);
}

void
sq_alive_unopened(struct sq_alive *a, void (*fn)(void *arg, struct sq_kept_queue *), void *arg)
{
	struct sq_hnode *at = NULL;

	while ((at = sq_htab_walk(&a->queues, at)) != NULL) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id);

		if (!q->deleted && !q->opened)
			fn(arg, q);
	}
	sq_htab_fini(&a->by_name);
	a->by_name = (struct sq_htab){0};
}

uint64_t
sq_alive_last_queue(struct sq_alive *a)
{
	return a->last_queue;
}

/* Records of one kind, from tables and journal. */
struct gathered {
	struct sq_record_key key;
	size_t at, len;
};

struct gather {
	struct sq_alive *alive;
	struct gathered *v;
	size_t n, cap;
	struct sq_buf values;
};

static void
gather_add(struct gather *g, const struct sq_record_key *key, struct sq_bytes value)
{
	if (g->n == g->cap) {
		g->cap = g->cap > 0 ? g->cap * 2 : 64;
		g->v = sq_xrealloc(g->v, g->cap * sizeof(*g->v));
	}
	g->v[g->n++] = (struct gathered){*key, sq_buf_len(&g->values), value.len};
	sq_buf_append(&g->values, value.p, value.len);
}

static void
gather_stored(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct gather *g = arg;

	if (sq_alive_record_find(g->alive, key) == NULL)
		gather_add(g, key, value);
}

static int
gathered_order(const void *x, const void *y)
{
	const struct gathered *a = x, *b = y;

	if (a->key.id != b->key.id)
		return a->key.id < b->key.id ? -1 : 1;
	return a->key.sub < b->key.sub ? -1 : a->key.sub > b->key.sub;
}

int
sq_alive_records(struct sq_alive *a, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	struct gather g = {.alive = a};
	int err = sq_table_records_of(a->table, kind, gather_stored, &g);

	SQ_LIST_FOR_EACH(r, &a->records, struct sq_alive_record, node) {
		if (r->key.kind == kind && !r->deleted)
			gather_add(&g, &r->key, (struct sq_bytes){r->value, r->len});
	}
	if (g.n > 0)
		qsort(g.v, g.n, sizeof(*g.v), gathered_order);
	for (size_t i = 0; i < g.n && err == SQ_OK; i++)
		fn(arg, &g.v[i].key,
		    (struct sq_bytes){sq_buf_data(&g.values) + g.v[i].at, g.v[i].len});
	free(g.v);
	sq_buf_fini(&g.values);
	return err;
}
