/* A start: the queues, items and records of tables and journal, sorted for their owners. */
#include <stdlib.h>
#include <string.h>

#include "broker/engine/embedded/delta_priv.h"
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
sq_delta_load(struct sq_delta *d)
{
	return sq_table_queues(d->table, load_queue, d);
}

static void
replay_put(struct sq_delta *d, const struct sq_op_view *op, uint64_t seq)
{
	struct sq_item item = {
	    .seq = seq,
	    .origin = op->put.origin,
	    .qos = op->put.qos & 3u,
	    .retain = op->put.retain,
	    .assured = op->put.assured,
	    .stored = true,
	};

	item.msg.block = sq_block_copy(op->put.image, sq_image_size(op->put.image));
	item.msg.image = item.msg.block->bytes;
	item.subs = sq_oplog_subs(op);
	sq_delta_put(d, op->queue, &item, op->put.expires_ms);
	sq_item_fini(&item);
}

int
sq_delta_replay(struct sq_delta *d, uint64_t lsn, struct sq_bytes data)
{
	struct sq_oplog_reader r;
	const struct sq_op_view *op;
	uint32_t puts = 0;

	sq_delta_begin(d, lsn);
	d->replaying = true;
	sq_oplog_read(&r, data);
	while ((op = sq_oplog_next(&r)) != NULL) {
		if (op->kind == SQ_OP_PUT)
			replay_put(d, op, sq_seq(lsn, puts++));
		else
			sq_delta_apply(d, op);
	}
	d->replaying = false;
	sq_delta_end(d);
	return r.in.bad ? SQ_EINVAL : SQ_OK;
}

static int
seq_order(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

void
sq_delta_replayed(struct sq_delta *d)
{
	struct sq_hnode *at = NULL;

	SQ_LIST_FOR_EACH(ai, &d->items, struct sq_delta_item, node) {
		struct sq_item item = ai->item;

		if (ai->queue->deleted)
			continue;
		item.msg = sq_msg_ref(item.msg);
		if (item.subs != NULL)
			sq_block_ref(item.subs);
		item.expires_ms = ai->expires_ms; /* converted when the queue is opened */
		sq_ring_push(&ai->queue->restored, &item);
	}
	while ((at = sq_htab_walk(&d->queues, at)) != NULL) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id);

		if (q->n_skip > 0)
			qsort(q->skip, q->n_skip, sizeof(*q->skip), seq_order);
		if (!q->deleted && q->name != NULL)
			sq_htab_insert(&d->by_name, &q->by_name, sq_hash(q->name, strlen(q->name)));
	}
}

struct sq_kept_queue *
sq_delta_open(struct sq_delta *d, const char *name)
{
	struct sq_hnode *n = sq_htab_find(&d->by_name, sq_hash(name, strlen(name)));

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
sq_delta_make(struct sq_delta *d, uint64_t queue, const char *name)
{
	struct sq_kept_queue *q;

	pthread_mutex_lock(&d->lock);
	q = sq_kept_queue_new(d, queue);
	q->name = sq_xstrdup(name);
	q->opened = true;
	sq_kept_queue_is_news(d, q);
	pthread_mutex_unlock(&d->lock);
}

void
sq_delta_unopened(struct sq_delta *d, void (*fn)(void *arg, struct sq_kept_queue *), void *arg)
{
	struct sq_hnode *at = NULL;

	while ((at = sq_htab_walk(&d->queues, at)) != NULL) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id);

		if (!q->deleted && !q->opened)
			fn(arg, q);
	}
	sq_htab_fini(&d->by_name);
	d->by_name = (struct sq_htab){0};
}

uint64_t
sq_delta_last_queue(struct sq_delta *d)
{
	return d->last_queue;
}

/* Records of one kind, from tables and journal. */
struct gathered {
	struct sq_record_key key;
	size_t at, len;
};

struct gather {
	struct sq_delta *delta;
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

	if (sq_delta_record_find(g->delta, key) == NULL)
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
sq_delta_records(struct sq_delta *d, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	struct gather g = {.delta = d};
	int err = sq_table_records_of(d->table, kind, gather_stored, &g);

	SQ_LIST_FOR_EACH(r, &d->records, struct sq_delta_record, node) {
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
