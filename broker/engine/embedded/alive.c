#include "broker/engine/embedded/alive.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct sq_alive {
	pthread_mutex_t lock;
	struct sq_table *table;
	bool replaying;
	uint64_t lsn; /* of the last record that was applied */
	uint64_t last_queue;
	struct sq_htab queues;  /* struct sq_kept_queue */
	struct sq_htab by_name; /* at a start: those that wait to be opened */
	struct sq_htab by_seq;  /* struct sq_alive_item */
	struct sq_list items;   /* by lsn */
	uint64_t bytes;
	struct sq_list changes;  /* by lsn */
	struct sq_list deferred; /* settlements of items that were being written: all are taken */
	size_t n_changes;        /* in 'changes' */
	struct sq_htab by_key;   /* struct sq_alive_record */
	struct sq_list records;
	struct sq_chunk_queue *news; /* queues that were opened or deleted */
	size_t n_news, cap_news;
};

struct sq_alive *
sq_alive_new(struct sq_table *table)
{
	struct sq_alive *a = sq_xcalloc(1, sizeof *a);

	a->table = table;
	a->lsn = sq_table_meta(table).lsn;
	a->last_queue = sq_table_last_queue(table);
	pthread_mutex_init(&a->lock, NULL);
	sq_list_init(&a->items);
	sq_list_init(&a->changes);
	sq_list_init(&a->deferred);
	sq_list_init(&a->records);
	return a;
}

/* Items. */

static uint64_t
seq_hash(uint64_t queue, uint64_t seq)
{
	return sq_hash_u64(seq ^ sq_hash_u64(queue));
}

static struct sq_alive_item *
item_find(struct sq_alive *a, uint64_t queue, uint64_t seq)
{
	struct sq_hnode *n = sq_htab_find(&a->by_seq, seq_hash(queue, seq));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_alive_item *ai = SQ_CONTAINER_OF(n, struct sq_alive_item, by_seq);

		if (ai->item.seq == seq && ai->queue->id == queue)
			return ai;
	}
	return NULL;
}

static void
queue_free(struct sq_alive *a, struct sq_kept_queue *q)
{
	sq_htab_remove(&a->queues, &q->by_id);
	sq_ring_fini(&q->restored);
	free(q->skip);
	free(q->name);
	free(q);
}

static void
item_free(struct sq_alive *a, struct sq_alive_item *ai)
{
	struct sq_kept_queue *q = ai->queue;

	a->bytes -= sq_image_size(ai->item.msg.image);
	sq_htab_remove(&a->by_seq, &ai->by_seq);
	sq_list_remove(&ai->node);
	sq_item_fini(&ai->item);
	free(ai);
	if (--q->n_items == 0 && q->forgotten)
		queue_free(a, q);
}

/* Queues. */

static struct sq_kept_queue *
queue_find(struct sq_alive *a, uint64_t id)
{
	struct sq_hnode *n = sq_htab_find(&a->queues, sq_hash_u64(id));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(n, struct sq_kept_queue, by_id);

		if (q->id == id)
			return q;
	}
	return NULL;
}

static struct sq_kept_queue *
queue_new(struct sq_alive *a, uint64_t id)
{
	struct sq_kept_queue *q = sq_xcalloc(1, sizeof *q);

	q->id = id;
	if (id > a->last_queue)
		a->last_queue = id;
	sq_htab_insert(&a->queues, &q->by_id, sq_hash_u64(id));
	return q;
}

/* A checkpoint shall look at it. */
static void
queue_is_news(struct sq_alive *a, struct sq_kept_queue *q)
{
	if (q->news)
		return;
	q->news = true;
	if (a->n_news == a->cap_news) {
		a->cap_news = a->cap_news > 0 ? a->cap_news * 2 : 16;
		a->news = sq_xrealloc(a->news, a->cap_news * sizeof(*a->news));
	}
	a->news[a->n_news++] = (struct sq_chunk_queue){.queue = q};
}

static void
queue_skip(struct sq_kept_queue *q, uint64_t seq, uint64_t bytes)
{
	if (q->n_skip == q->cap_skip) {
		q->cap_skip = q->cap_skip > 0 ? q->cap_skip * 2 : 16;
		q->skip = sq_xrealloc(q->skip, q->cap_skip * sizeof(*q->skip));
	}
	q->skip[q->n_skip++] = seq;
	q->skip_bytes += bytes;
}

/* Commits. */

void
sq_alive_begin(struct sq_alive *a, uint64_t lsn)
{
	pthread_mutex_lock(&a->lock);
	a->lsn = lsn;
}

void
sq_alive_end(struct sq_alive *a)
{
	pthread_mutex_unlock(&a->lock);
}

void
sq_alive_put(struct sq_alive *a, uint64_t queue, const struct sq_item *item, uint64_t expires_ms)
{
	struct sq_kept_queue *q = queue_find(a, queue);
	struct sq_alive_item *ai;

	if (q == NULL) { /* its opening is in a later record */
		q = queue_new(a, queue);
		queue_is_news(a, q);
	}
	if (q->deleted)
		return;
	ai = sq_xcalloc(1, sizeof *ai);
	ai->queue = q;
	q->n_items++;
	ai->item = *item;
	ai->attempts = item->attempts;
	ai->item.msg = sq_msg_ref(item->msg);
	ai->item.subs = item->subs != NULL ? sq_block_ref(item->subs) : NULL;
	ai->expires_ms = expires_ms;
	a->bytes += sq_image_size(item->msg.image);
	sq_htab_insert(&a->by_seq, &ai->by_seq, seq_hash(queue, item->seq));
	sq_list_push_back(&a->items, &ai->node);
}

static struct sq_alive_change *
change_new(struct sq_alive *a, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	struct sq_alive_change *c = sq_xmalloc(sizeof *c);

	*c = (struct sq_alive_change){
	    .lsn = a->lsn, .queue = queue, .seq = seq, .attempts = attempts};
	return c;
}

static void
alive_change(struct sq_alive *a, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	sq_list_push_back(&a->changes, &change_new(a, queue, seq, attempts)->node);
	a->n_changes++;
}

static void
alive_settle(struct sq_alive *a, uint64_t queue, uint64_t seq)
{
	struct sq_alive_item *ai = item_find(a, queue, seq);
	struct sq_kept_queue *q;
	uint64_t bytes;

	if (ai != NULL) {
		if (!ai->writing)
			item_free(a, ai);
		else
			ai->settled = true; /* see sq_alive_give_back() */
		return;
	}
	q = queue_find(a, queue);
	if (q == NULL || q->deleted)
		return;
	if (a->replaying) {
		bytes = sq_table_item_bytes(a->table, queue, seq);
		if (bytes == 0)
			return; /* it never got there */
		queue_skip(q, seq, bytes);
	}
	alive_change(a, queue, seq, 0);
}

static void
alive_attempts(struct sq_alive *a, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	struct sq_alive_item *ai = item_find(a, queue, seq);

	if (ai != NULL)
		ai->attempts = attempts;
	if (ai != NULL && !ai->writing)
		ai->item.attempts = attempts;
	else
		alive_change(a, queue, seq, attempts);
}

static uint64_t
key_hash(const struct sq_record_key *k)
{
	return sq_hash_u64(k->id ^ sq_hash_u64(k->sub ^ sq_hash_u64(k->kind)));
}

static struct sq_alive_record *
record_find(struct sq_alive *a, const struct sq_record_key *k)
{
	struct sq_hnode *n = sq_htab_find(&a->by_key, key_hash(k));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_alive_record *r = SQ_CONTAINER_OF(n, struct sq_alive_record, by_key);

		if (r->key.id == k->id && r->key.sub == k->sub && r->key.kind == k->kind)
			return r;
	}
	return NULL;
}

static void
record_free(struct sq_alive *a, struct sq_alive_record *r)
{
	sq_htab_remove(&a->by_key, &r->by_key);
	sq_list_remove(&r->node);
	free(r);
}

static void
alive_record(struct sq_alive *a, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_alive_record *r, *old = record_find(a, key);

	if (old != NULL)
		record_free(a, old);
	r = sq_xmalloc(sizeof *r + value.len);
	*r = (struct sq_alive_record){
	    .lsn = a->lsn, .key = *key, .deleted = value.p == NULL, .len = value.len};
	if (value.len > 0)
		memcpy(r->value, value.p, value.len);
	sq_htab_insert(&a->by_key, &r->by_key, key_hash(key));
	sq_list_push_back(&a->records, &r->node);
}

static void
alive_queue_open(struct sq_alive *a, uint64_t queue, struct sq_bytes name)
{
	struct sq_kept_queue *q = queue_find(a, queue);

	if (q == NULL)
		q = queue_new(a, queue);
	if (q->name == NULL)
		q->name = sq_xmemdup0(name.p, name.len);
	queue_is_news(a, q);
}

static void
alive_queue_delete(struct sq_alive *a, uint64_t queue)
{
	struct sq_kept_queue *q = queue_find(a, queue);

	if (q == NULL || q->deleted)
		return;
	q->deleted = true;
	queue_is_news(a, q);
}

void
sq_alive_apply(struct sq_alive *a, const struct sq_op_view *op)
{
	switch (op->kind) {
	case SQ_OP_SETTLE:
		alive_settle(a, op->queue, op->seq);
		break;
	case SQ_OP_ATTEMPTS:
		alive_attempts(a, op->queue, op->seq, op->attempts);
		break;
	case SQ_OP_RECORD:
		alive_record(a, &op->key, op->value);
		break;
	case SQ_OP_QUEUE_OPEN:
		alive_queue_open(a, op->queue, op->value);
		break;
	case SQ_OP_QUEUE_DELETE:
		alive_queue_delete(a, op->queue);
		break;
	case SQ_OP_PUT:
	case SQ_OP_MESSAGE:
		break;
	}
}

/* Start. */

static void
load_queue(void *arg, const struct sq_table_queue *stored)
{
	struct sq_kept_queue *q = queue_new(arg, stored->id);

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
	q = queue_new(a, queue);
	q->name = sq_xstrdup(name);
	q->opened = true;
	queue_is_news(a, q);
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
	uint8_t kind;
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

	if (key->kind == g->kind && record_find(g->alive, key) == NULL)
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
	struct gather g = {.alive = a, .kind = kind};
	int err = sq_table_records(a->table, gather_stored, &g);

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

/* Checkpoints. */

uint64_t
sq_alive_bytes(struct sq_alive *a, size_t *n_changes)
{
	uint64_t bytes;

	pthread_mutex_lock(&a->lock);
	bytes = a->bytes;
	*n_changes = a->n_changes;
	pthread_mutex_unlock(&a->lock);
	return bytes;
}

static void
take_changes(struct sq_alive *a, size_t max_n, struct sq_chunk *c)
{
	struct sq_alive_change *first;

	sq_list_splice(&c->deferred, &a->deferred);
	for (size_t n = 0; n < max_n && !sq_list_empty(&a->changes); n++) {
		first = SQ_LIST_FIRST(&a->changes, struct sq_alive_change, node);
		sq_list_remove(&first->node);
		sq_list_push_back(&c->changes, &first->node);
		a->n_changes--;
	}
	first = SQ_LIST_FIRST(&a->changes, struct sq_alive_change, node);
	if (first != NULL && first->lsn <= c->lsn)
		c->lsn = first->lsn - 1;
}

static void
take_records(struct sq_alive *a, size_t max_n, struct sq_chunk *c)
{
	struct sq_alive_record *first;

	for (size_t n = 0; n < max_n && !sq_list_empty(&a->records); n++) {
		first = SQ_LIST_FIRST(&a->records, struct sq_alive_record, node);
		sq_htab_remove(&a->by_key, &first->by_key);
		sq_list_remove(&first->node);
		sq_list_push_back(&c->records, &first->node);
	}
	first = SQ_LIST_FIRST(&a->records, struct sq_alive_record, node);
	if (first != NULL && first->lsn <= c->lsn)
		c->lsn = first->lsn - 1;
}

static int
chunk_order(const void *x, const void *y)
{
	const struct sq_alive_item *a = *(struct sq_alive_item *const *)x;
	const struct sq_alive_item *b = *(struct sq_alive_item *const *)y;

	if (a->queue->id != b->queue->id)
		return a->queue->id < b->queue->id ? -1 : 1;
	return a->item.seq < b->item.seq ? -1 : a->item.seq > b->item.seq;
}

/* Takes items of records up to the chunk's lsn, whole records only. */
static void
take_items(struct sq_alive *a, uint64_t max_bytes, size_t max_n, struct sq_chunk *c)
{
	uint64_t bytes = 0, last = 0;
	size_t cap = 0;

	SQ_LIST_FOR_EACH_SAFE(ai, &a->items, struct sq_alive_item, node) {
		uint64_t lsn = ai->item.seq >> SQ_SEQ_BITS;

		if (lsn > c->lsn)
			break;
		if (ai->queue->deleted) {
			item_free(a, ai);
			continue;
		}
		if ((bytes >= max_bytes || c->n_items >= max_n) && lsn != last) {
			c->lsn = lsn - 1;
			break;
		}
		last = lsn;
		bytes += sq_image_size(ai->item.msg.image);
		ai->writing = true;
		if (c->n_items == cap) {
			cap = cap > 0 ? cap * 2 : 256;
			c->items = sq_xrealloc(c->items, cap * sizeof(struct sq_alive_item *));
		}
		c->items[c->n_items++] = ai;
	}
}

void
sq_alive_take(struct sq_alive *a, uint64_t max_bytes, size_t max_n, struct sq_chunk *c)
{
	*c = (struct sq_chunk){0};
	sq_list_init(&c->deferred);
	sq_list_init(&c->changes);
	sq_list_init(&c->records);
	pthread_mutex_lock(&a->lock);
	c->lsn = a->lsn;
	c->queues = a->news;
	c->n_queues = a->n_news;
	a->news = NULL;
	a->n_news = a->cap_news = 0;
	for (size_t i = 0; i < c->n_queues; i++) {
		c->queues[i].queue->news = false;
		c->queues[i].deleted = c->queues[i].queue->deleted;
	}
	take_changes(a, max_n, c);
	take_records(a, max_n, c);
	take_items(a, max_bytes, max_n, c);
	pthread_mutex_unlock(&a->lock);
	if (c->n_items > 0)
		qsort(c->items, c->n_items, sizeof(struct sq_alive_item *), chunk_order);
}

/* An item that is in the tables now, or stays for the next chunk. */
static void
give_back_item(struct sq_alive *a, struct sq_alive_item *ai, bool written)
{
	ai->writing = false;
	ai->item.attempts = ai->attempts;
	if (written && ai->settled && !ai->queue->deleted)
		sq_list_push_back(
		    &a->deferred, &change_new(a, ai->queue->id, ai->item.seq, 0)->node);
	if (written || ai->settled)
		item_free(a, ai);
}

static void
give_back_record(struct sq_alive *a, struct sq_alive_record *r, bool written)
{
	sq_list_remove(&r->node);
	if (written || record_find(a, &r->key) != NULL) { /* or there is a newer value */
		free(r);
		return;
	}
	sq_htab_insert(&a->by_key, &r->by_key, key_hash(&r->key));
	sq_list_push_front(&a->records, &r->node);
}

static void
changes_free(struct sq_list *changes)
{
	SQ_LIST_FOR_EACH_SAFE(ch, changes, struct sq_alive_change, node)
		free(ch);
}

static void
give_back_changes(struct sq_alive *a, struct sq_chunk *c, bool written)
{
	struct sq_list all;

	if (written) {
		changes_free(&c->deferred);
		changes_free(&c->changes);
		return;
	}
	SQ_LIST_FOR_EACH(ch, &c->changes, struct sq_alive_change, node)
		a->n_changes++;
	/* Not to the others, which are by lsn. */
	sq_list_splice(&a->deferred, &c->deferred);
	sq_list_init(&all);
	sq_list_splice(&all, &c->changes);
	sq_list_splice(&all, &a->changes);
	sq_list_splice(&a->changes, &all);
}

static void
give_back_queue(struct sq_alive *a, struct sq_chunk_queue *c, bool written)
{
	if (!written) {
		queue_is_news(a, c->queue);
	} else if (c->deleted) {
		c->queue->forgotten = true;
		if (c->queue->n_items == 0)
			queue_free(a, c->queue);
	}
}

void
sq_alive_give_back(struct sq_alive *a, struct sq_chunk *c, bool written)
{
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < c->n_items; i++)
		give_back_item(a, c->items[i], written);
	/* Back to the front in their old order. */
	while (!sq_list_empty(&c->records))
		give_back_record(
		    a, SQ_CONTAINER_OF(c->records.prev, struct sq_alive_record, node), written);
	give_back_changes(a, c, written);
	for (size_t i = 0; i < c->n_queues; i++)
		give_back_queue(a, &c->queues[i], written);
	pthread_mutex_unlock(&a->lock);
	free(c->items);
	free(c->queues);
}

struct sq_kept_queue *
sq_alive_queue(struct sq_alive *a, uint64_t id)
{
	struct sq_kept_queue *q;

	pthread_mutex_lock(&a->lock);
	q = queue_find(a, id);
	if (q != NULL && q->deleted)
		q = NULL;
	pthread_mutex_unlock(&a->lock);
	return q;
}

const char *
sq_alive_name(struct sq_alive *a, const struct sq_kept_queue *q)
{
	const char *name;

	pthread_mutex_lock(&a->lock);
	name = q->name != NULL ? q->name : "";
	pthread_mutex_unlock(&a->lock);
	return name;
}

void
sq_alive_free(struct sq_alive **ap)
{
	struct sq_alive *a = *ap;
	struct sq_hnode *at, *next;

	*ap = NULL;
	if (a == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(ai, &a->items, struct sq_alive_item, node)
		item_free(a, ai);
	changes_free(&a->changes);
	changes_free(&a->deferred);
	SQ_LIST_FOR_EACH_SAFE(r, &a->records, struct sq_alive_record, node)
		record_free(a, r);
	for (at = sq_htab_walk(&a->queues, NULL); at != NULL; at = next) {
		next = sq_htab_walk(&a->queues, at);
		queue_free(a, SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id));
	}
	sq_htab_fini(&a->by_seq);
	sq_htab_fini(&a->by_key);
	sq_htab_fini(&a->by_name);
	sq_htab_fini(&a->queues);
	free(a->news);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
