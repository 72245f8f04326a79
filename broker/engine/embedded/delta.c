#include "broker/engine/embedded/delta_priv.h"

#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "core/mem.h"

enum { ROW_BYTES = 64 }; /* of a record or a queue in the tables: its key and head */

struct sq_delta *
sq_delta_new(struct sq_table *table)
{
	struct sq_delta *d = sq_xcalloc(1, sizeof *d);

	d->table = table;
	d->lsn = d->written = sq_table_meta(table).lsn;
	d->last_queue = sq_table_last_queue(table);
	pthread_mutex_init(&d->lock, NULL);
	sq_list_init(&d->items);
	sq_list_init(&d->changes);
	sq_list_init(&d->deferred);
	sq_list_init(&d->records);
	d->format = sq_table_format(table);
	return d;
}

/* Items. */

static uint64_t
seq_hash(uint64_t queue, uint64_t seq)
{
	return sq_hash_u64(seq ^ sq_hash_u64(queue));
}

static struct sq_delta_item *
item_find(struct sq_delta *d, uint64_t queue, uint64_t seq)
{
	struct sq_hnode *n = sq_htab_find(&d->by_seq, seq_hash(queue, seq));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_delta_item *ai = SQ_CONTAINER_OF(n, struct sq_delta_item, by_seq);

		if (ai->item.seq == seq && ai->queue->id == queue)
			return ai;
	}
	return NULL;
}

void
sq_kept_queue_free(struct sq_delta *d, struct sq_kept_queue *q)
{
	sq_htab_remove(&d->queues, &q->by_id);
	sq_ring_fini(&q->start.restored);
	free(q->start.skip);
	free(q->start.tried);
	free(q->name);
	free(q);
}

void
sq_delta_item_free(struct sq_delta *d, struct sq_delta_item *ai)
{
	struct sq_kept_queue *q = ai->queue;

	d->bytes -= sq_item_stored_bytes(&ai->item);
	sq_htab_remove(&d->by_seq, &ai->by_seq);
	sq_list_remove(&ai->node);
	sq_item_fini(&ai->item);
	free(ai);
	if (--q->n_items == 0 && q->forgotten)
		sq_kept_queue_free(d, q);
}

/* Queues. */

struct sq_kept_queue *
sq_kept_queue_find(struct sq_delta *d, uint64_t id)
{
	struct sq_hnode *n = sq_htab_find(&d->queues, sq_hash_u64(id));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_kept_queue *q = SQ_CONTAINER_OF(n, struct sq_kept_queue, by_id);

		if (q->id == id)
			return q;
	}
	return NULL;
}

struct sq_kept_queue *
sq_kept_queue_new(struct sq_delta *d, uint64_t id)
{
	struct sq_kept_queue *q = sq_xcalloc(1, sizeof *q);

	q->id = id;
	if (id > d->last_queue)
		d->last_queue = id;
	sq_htab_insert(&d->queues, &q->by_id, sq_hash_u64(id));
	return q;
}

/* Bytes of the queue's row in the tables. */
static uint64_t
queue_bytes(const struct sq_kept_queue *q)
{
	return q->deleted ? 0 : ROW_BYTES + (q->name != NULL ? strlen(q->name) : 0);
}

void
sq_kept_queue_is_news(struct sq_delta *d, struct sq_kept_queue *q)
{
	if (q->news)
		return;
	q->news = true;
	d->news_bytes += queue_bytes(q);
	if (d->n_news == d->cap_news) {
		d->cap_news = d->cap_news > 0 ? d->cap_news * 2 : 16;
		d->news = sq_xrealloc(d->news, d->cap_news * sizeof(*d->news));
	}
	d->news[d->n_news++] = (struct sq_chunk_queue){.queue = q};
}

/* Commits. */

void
sq_delta_begin(struct sq_delta *d, uint64_t lsn)
{
	pthread_mutex_lock(&d->lock);
	d->lsn = lsn;
}

void
sq_delta_end(struct sq_delta *d)
{
	pthread_mutex_unlock(&d->lock);
}

void
sq_delta_put(struct sq_delta *d, uint64_t queue, const struct sq_item *item, uint64_t expires_ms)
{
	struct sq_kept_queue *q = sq_kept_queue_find(d, queue);
	struct sq_delta_item *ai;

	if (q == NULL) { /* its opening is in a later record */
		q = sq_kept_queue_new(d, queue);
		sq_kept_queue_is_news(d, q);
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
	d->bytes += sq_item_stored_bytes(item);
	sq_htab_insert(&d->by_seq, &ai->by_seq, seq_hash(queue, item->seq));
	sq_list_push_back(&d->items, &ai->node);
}

struct sq_delta_change *
sq_delta_change_new(struct sq_delta *d, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	struct sq_delta_change *c = sq_xmalloc(sizeof *c);

	*c = (struct sq_delta_change){
	    .lsn = d->lsn, .queue = queue, .seq = seq, .attempts = attempts};
	return c;
}

static struct sq_delta_change *
delta_change(struct sq_delta *d, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	struct sq_delta_change *c = sq_delta_change_new(d, queue, seq, attempts);

	sq_list_push_back(&d->changes, &c->node);
	d->n_changes++;
	return c;
}

static void
delta_settle(struct sq_delta *d, uint64_t queue, uint64_t seq)
{
	struct sq_delta_item *ai = item_find(d, queue, seq);
	struct sq_kept_queue *q;
	uint64_t bytes = 0;

	if (ai != NULL) {
		if (!ai->writing)
			sq_delta_item_free(d, ai);
		else
			ai->settled = true; /* see sq_delta_give_back() */
		return;
	}
	q = sq_kept_queue_find(d, queue);
	if (q == NULL || q->deleted)
		return;
	if (d->replaying) {
		bytes = sq_table_item_bytes(d->table, queue, seq);
		if (bytes == 0)
			return; /* it never got there */
	}
	delta_change(d, queue, seq, 0)->bytes = (uint32_t)bytes;
}

static void
delta_attempts(struct sq_delta *d, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	struct sq_delta_item *ai = item_find(d, queue, seq);

	if (ai != NULL)
		ai->attempts = attempts;
	if (ai != NULL && !ai->writing)
		ai->item.attempts = attempts;
	else
		delta_change(d, queue, seq, attempts);
}

uint64_t
sq_delta_key_hash(const struct sq_record_key *k)
{
	return sq_hash_u64(k->id ^ sq_hash_u64(k->sub ^ sq_hash_u64(k->kind)));
}

struct sq_delta_record *
sq_delta_record_find(struct sq_delta *d, const struct sq_record_key *k)
{
	struct sq_hnode *n = sq_htab_find(&d->by_key, sq_delta_key_hash(k));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_delta_record *r = SQ_CONTAINER_OF(n, struct sq_delta_record, by_key);

		if (r->key.id == k->id && r->key.sub == k->sub && r->key.kind == k->kind)
			return r;
	}
	return NULL;
}

static uint64_t
record_bytes(const struct sq_delta_record *r)
{
	return r->deleted ? 0 : ROW_BYTES + r->len;
}

void
sq_delta_record_free(struct sq_delta *d, struct sq_delta_record *r)
{
	d->record_bytes -= record_bytes(r);
	free(r);
}

static void
record_free(struct sq_delta *d, struct sq_delta_record *r)
{
	sq_htab_remove(&d->by_key, &r->by_key);
	sq_list_remove(&r->node);
	d->n_deleted -= r->deleted;
	sq_delta_record_free(d, r);
}

static void
delta_record(struct sq_delta *d, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_delta_record *r, *old = sq_delta_record_find(d, key);

	if (old != NULL)
		record_free(d, old);
	if (key->kind >= SQ_RECORD_DECLARED && value.p != NULL)
		d->format = SQ_TABLE_FORMAT_NAMED;
	r = sq_xmalloc(sizeof *r + value.len);
	*r = (struct sq_delta_record){
	    .lsn = d->lsn, .key = *key, .deleted = value.p == NULL, .len = value.len};
	if (value.len > 0)
		memcpy(r->value, value.p, value.len);
	sq_htab_insert(&d->by_key, &r->by_key, sq_delta_key_hash(key));
	sq_list_push_back(&d->records, &r->node);
	d->record_bytes += record_bytes(r);
	d->n_deleted += r->deleted;
}

static void
delta_queue_open(struct sq_delta *d, uint64_t queue, struct sq_bytes name)
{
	struct sq_kept_queue *q = sq_kept_queue_find(d, queue);

	if (q == NULL)
		q = sq_kept_queue_new(d, queue);
	if (q->name == NULL)
		q->name = sq_xmemdup0(name.p, name.len);
	sq_kept_queue_is_news(d, q);
}

static void
delta_queue_delete(struct sq_delta *d, uint64_t queue)
{
	struct sq_kept_queue *q = sq_kept_queue_find(d, queue);

	if (q == NULL || q->deleted)
		return;
	q->deleted = true;
	sq_kept_queue_is_news(d, q);
}

void
sq_delta_apply(struct sq_delta *d, const struct sq_op_view *op)
{
	switch (op->kind) {
	case SQ_OP_SETTLE:
		delta_settle(d, op->queue, op->seq);
		break;
	case SQ_OP_ATTEMPTS:
		delta_attempts(d, op->queue, op->seq, op->attempts);
		break;
	case SQ_OP_RECORD:
		delta_record(d, &op->key, op->value);
		break;
	case SQ_OP_QUEUE_OPEN:
		delta_queue_open(d, op->queue, op->value);
		break;
	case SQ_OP_QUEUE_DELETE:
		delta_queue_delete(d, op->queue);
		break;
	case SQ_OP_PUT:
	case SQ_OP_MESSAGE:
		break;
	}
}

struct sq_kept_queue *
sq_delta_queue(struct sq_delta *d, uint64_t id)
{
	struct sq_kept_queue *q;

	pthread_mutex_lock(&d->lock);
	q = sq_kept_queue_find(d, id);
	if (q != NULL && q->deleted)
		q = NULL;
	pthread_mutex_unlock(&d->lock);
	return q;
}

void
sq_delta_changes_free(struct sq_list *changes)
{
	SQ_LIST_FOR_EACH_SAFE(ch, changes, struct sq_delta_change, node)
		free(ch);
}

const char *
sq_delta_name(struct sq_delta *d, const struct sq_kept_queue *q)
{
	const char *name;

	pthread_mutex_lock(&d->lock);
	name = q->name != NULL ? q->name : "";
	pthread_mutex_unlock(&d->lock);
	return name;
}

void
sq_delta_free(struct sq_delta **ap)
{
	struct sq_delta *d = *ap;
	struct sq_hnode *at, *next;

	*ap = NULL;
	if (d == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(ai, &d->items, struct sq_delta_item, node)
		sq_delta_item_free(d, ai);
	sq_delta_changes_free(&d->changes);
	sq_delta_changes_free(&d->deferred);
	SQ_LIST_FOR_EACH_SAFE(r, &d->records, struct sq_delta_record, node)
		record_free(d, r);
	for (at = sq_htab_walk(&d->queues, NULL); at != NULL; at = next) {
		next = sq_htab_walk(&d->queues, at);
		sq_kept_queue_free(d, SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id));
	}
	sq_htab_fini(&d->by_seq);
	sq_htab_fini(&d->by_key);
	sq_htab_fini(&d->by_name);
	sq_htab_fini(&d->queues);
	free(d->news);
	pthread_mutex_destroy(&d->lock);
	free(d);
}
