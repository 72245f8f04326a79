/* A start: what is found in tables and log becomes the state of this process, sorted for the owners of
 * queues, items and records. */
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

/* The message of puts that follow each other: in memory once, as where they were committed. */
struct replayed {
	const unsigned char *image; /* in the record */
	struct sq_msg msg;
};

static struct sq_msg
replay_msg(struct replayed *last, const struct sq_op_view *op)
{
	if (op->put.image != last->image) {
		if (last->image != NULL)
			sq_msg_unref(&last->msg);
		last->image = op->put.image;
		last->msg.block = sq_block_copy(op->put.image, sq_image_size(op->put.image));
		last->msg.image = last->msg.block->bytes;
	}
	return sq_msg_ref(last->msg);
}

static void
replay_put(struct sq_delta *d, const struct sq_op_view *op, uint64_t seq, struct replayed *last)
{
	struct sq_item item = {
	    .seq = seq,
	    .origin = op->put.origin,
	    .qos = op->put.qos & 3u,
	    .retain = op->put.retain,
	    .assured = op->put.assured,
	    .arrived_ms = op->put.arrived_ms,
	    .stored = true,
	};

	item.msg = replay_msg(last, op);
	item.subs = sq_oplog_subs(op);
	sq_delta_put(d, op->queue, &item, op->put.expires_ms);
	sq_item_fini(&item);
}

int
sq_delta_replay(struct sq_delta *d, uint64_t lsn, struct sq_bytes data)
{
	struct replayed last = {0};
	struct sq_oplog_reader r;
	const struct sq_op_view *op;
	uint32_t puts = 0;

	sq_delta_begin(d, lsn);
	d->replaying = true;
	sq_oplog_read(&r, data);
	while ((op = sq_oplog_next(&r)) != NULL) {
		if (op->kind == SQ_OP_PUT)
			replay_put(d, op, sq_seq(lsn, puts++), &last);
		else
			sq_delta_apply(d, op);
	}
	d->replaying = false;
	sq_delta_end(d);
	if (last.image != NULL)
		sq_msg_unref(&last.msg);
	return r.in.bad ? SQ_EINVAL : SQ_OK;
}

/* Promotion. */

static int
seq_order(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

static int
tried_order(const void *x, const void *y)
{
	const struct sq_gap_tried *a = x, *b = y;

	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return a->attempts < b->attempts ? -1 : a->attempts > b->attempts;
}

static void
start_skip(struct sq_kept_start *s, uint64_t seq)
{
	if (s->n_skip == s->cap_skip) {
		s->cap_skip = s->cap_skip > 0 ? s->cap_skip * 2 : 16;
		s->skip = sq_xrealloc(s->skip, s->cap_skip * sizeof(*s->skip));
	}
	s->skip[s->n_skip++] = seq;
}

static void
start_tried(struct sq_kept_start *s, uint64_t seq, uint16_t attempts)
{
	if (s->n_tried == s->cap_tried) {
		s->cap_tried = s->cap_tried > 0 ? s->cap_tried * 2 : 16;
		s->tried = sq_xrealloc(s->tried, s->cap_tried * sizeof(*s->tried));
	}
	s->tried[s->n_tried++] = (struct sq_gap_tried){seq, attempts};
}

static void
promote_item(const struct sq_delta_item *ai)
{
	struct sq_kept_start *s = &ai->queue->start;
	struct sq_item item = ai->item;

	if (ai->queue->deleted)
		return;
	if (ai->settled) { /* the tables get it now, and lose it with the next chunk */
		start_skip(s, item.seq);
		return;
	}
	item.msg = sq_msg_ref(item.msg);
	if (item.subs != NULL)
		sq_block_ref(item.subs);
	item.attempts = ai->attempts;
	item.expires_ms = ai->expires_ms; /* converted when the queue is opened */
	sq_ring_push(&s->restored, &item);
}

/* Changes that the tables do not have, or that they are getting at this moment. */
static void
promote_changes(struct sq_delta *d, const struct sq_list *changes)
{
	SQ_LIST_FOR_EACH(c, changes, struct sq_delta_change, node) {
		struct sq_kept_queue *q = sq_kept_queue_find(d, c->queue);

		if (q == NULL || q->deleted)
			continue;
		if (c->attempts > 0) {
			start_tried(&q->start, c->seq, c->attempts);
			continue;
		}
		start_skip(&q->start, c->seq);
		q->start.n--;
		q->start.bytes -= c->bytes;
	}
}

static void
promote_sort(struct sq_delta *d)
{
	struct sq_hnode *at = NULL;

	while ((at = sq_htab_walk(&d->queues, at)) != NULL) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id);
		struct sq_kept_start *s = &q->start;

		if (s->n_skip > 0)
			qsort(s->skip, s->n_skip, sizeof(*s->skip), seq_order);
		if (s->n_tried > 0)
			qsort(s->tried, s->n_tried, sizeof(*s->tried), tried_order);
		if (!q->deleted && q->name != NULL)
			sq_htab_insert(&d->by_name, &s->by_name, sq_hash(q->name, strlen(q->name)));
	}
}

static void
promote_counts(struct sq_delta *d)
{
	struct sq_hnode *at = NULL;

	while ((at = sq_htab_walk(&d->queues, at)) != NULL) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id);

		q->start.listed = q->n > 0;
		q->start.n = q->n;
		q->start.bytes = q->bytes;
	}
}

uint64_t
sq_delta_promote(struct sq_delta *d)
{
	uint64_t written;

	pthread_mutex_lock(&d->lock);
	promote_counts(d);
	SQ_LIST_FOR_EACH(ai, &d->items, struct sq_delta_item, node)
		promote_item(ai);
	promote_changes(d, &d->deferred);
	promote_changes(d, &d->changes);
	if (d->chunk != NULL) {
		promote_changes(d, &d->chunk->deferred);
		promote_changes(d, &d->chunk->changes);
	}
	promote_sort(d);
	written = d->written;
	pthread_mutex_unlock(&d->lock);
	return written;
}

/* Queues. */

struct sq_kept_queue *
sq_delta_open(struct sq_delta *d, const char *name)
{
	struct sq_hnode *n = sq_htab_find(&d->by_name, sq_hash(name, strlen(name)));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(n, struct sq_kept_queue, start.by_name);

		if (!q->start.opened && strcmp(q->name, name) == 0) {
			q->start.opened = true;
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
	q->start.opened = true;
	sq_kept_queue_is_news(d, q);
	pthread_mutex_unlock(&d->lock);
}

void
sq_delta_unopened(struct sq_delta *d, void (*fn)(void *arg, struct sq_kept_queue *), void *arg)
{
	struct sq_hnode *at = NULL;

	pthread_mutex_lock(&d->lock);
	while ((at = sq_htab_walk(&d->queues, at)) != NULL) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id);

		if (!q->deleted && !q->start.opened)
			fn(arg, q);
	}
	pthread_mutex_unlock(&d->lock);
	sq_htab_fini(&d->by_name);
	d->by_name = (struct sq_htab){0};
}

uint64_t
sq_delta_last_queue(struct sq_delta *d)
{
	uint64_t last;

	pthread_mutex_lock(&d->lock);
	last = d->last_queue;
	pthread_mutex_unlock(&d->lock);
	return last;
}

/* Records of one kind, from delta and tables. */
struct gathered {
	struct sq_record_key key;
	bool deleted;
	size_t at, len;
};

struct gather {
	struct gathered *v;
	size_t n, cap;
	size_t n_newer; /* of the delta, sorted: they hide those of the tables */
	struct sq_buf values;
};

static int
gathered_order(const void *x, const void *y)
{
	const struct gathered *a = x, *b = y;

	if (a->key.id != b->key.id)
		return a->key.id < b->key.id ? -1 : 1;
	return a->key.sub < b->key.sub ? -1 : a->key.sub > b->key.sub;
}

static void
gather_sort(struct gather *g)
{
	if (g->n > 0)
		qsort(g->v, g->n, sizeof(*g->v), gathered_order);
}

static struct gathered *
gather_add(struct gather *g, const struct sq_record_key *key, struct sq_bytes value)
{
	if (g->n == g->cap) {
		g->cap = g->cap > 0 ? g->cap * 2 : 64;
		g->v = sq_xrealloc(g->v, g->cap * sizeof(*g->v));
	}
	g->v[g->n] = (struct gathered){.key = *key, .at = sq_buf_len(&g->values), .len = value.len};
	sq_buf_append(&g->values, value.p, value.len);
	return &g->v[g->n++];
}

static void
gather_newer(struct gather *g, const struct sq_list *records, uint8_t kind)
{
	SQ_LIST_FOR_EACH(r, records, struct sq_delta_record, node) {
		if (r->key.kind == kind)
			gather_add(g, &r->key, (struct sq_bytes){r->value, r->len})->deleted =
			    r->deleted;
	}
}

/* Those of a chunk that the delta has no newer value of. */
static void
gather_chunk(struct gather *g, struct sq_delta *d, uint8_t kind)
{
	SQ_LIST_FOR_EACH(r, &d->chunk->records, struct sq_delta_record, node) {
		if (r->key.kind == kind && sq_delta_record_find(d, &r->key) == NULL)
			gather_add(g, &r->key, (struct sq_bytes){r->value, r->len})->deleted =
			    r->deleted;
	}
}

static void
gather_stored(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	const struct gathered wanted = {.key = *key};
	struct gather *g = arg;

	if (g->n_newer == 0 ||
	    bsearch(&wanted, g->v, g->n_newer, sizeof(*g->v), gathered_order) == NULL)
		(void)gather_add(g, key, value);
}

int
sq_delta_records(struct sq_delta *d, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	struct gather g = {0};
	int err;

	/* Before the tables: what is not there any more then is in the tables. */
	pthread_mutex_lock(&d->lock);
	gather_newer(&g, &d->records, kind);
	if (d->chunk != NULL)
		gather_chunk(&g, d, kind);
	pthread_mutex_unlock(&d->lock);
	gather_sort(&g);
	g.n_newer = g.n;
	err = sq_table_records_of(d->table, kind, gather_stored, &g);
	gather_sort(&g);
	for (size_t i = 0; i < g.n && err == SQ_OK; i++)
		if (!g.v[i].deleted)
			fn(arg, &g.v[i].key,
			    (struct sq_bytes){sq_buf_data(&g.values) + g.v[i].at, g.v[i].len});
	free(g.v);
	sq_buf_fini(&g.values);
	return err;
}
