#include "broker/engine/embedded/alive_priv.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { ROW_BYTES = 64 }; /* of a record or a queue in the tables: its key and head */

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

void
sq_kept_queue_free(struct sq_alive *a, struct sq_kept_queue *q)
{
	sq_htab_remove(&a->queues, &q->by_id);
	sq_ring_fini(&q->restored);
	free(q->skip);
	free(q->name);
	free(q);
}

void
sq_alive_item_free(struct sq_alive *a, struct sq_alive_item *ai)
{
	struct sq_kept_queue *q = ai->queue;

	a->bytes -= sq_item_stored_bytes(&ai->item);
	sq_htab_remove(&a->by_seq, &ai->by_seq);
	sq_list_remove(&ai->node);
	sq_item_fini(&ai->item);
	free(ai);
	if (--q->n_items == 0 && q->forgotten)
		sq_kept_queue_free(a, q);
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

struct sq_kept_queue *
sq_kept_queue_new(struct sq_alive *a, uint64_t id)
{
	struct sq_kept_queue *q = sq_xcalloc(1, sizeof *q);

	q->id = id;
	if (id > a->last_queue)
		a->last_queue = id;
	sq_htab_insert(&a->queues, &q->by_id, sq_hash_u64(id));
	return q;
}

/* What its row takes. */
static uint64_t
queue_bytes(const struct sq_kept_queue *q)
{
	return q->deleted ? 0 : ROW_BYTES + (q->name != NULL ? strlen(q->name) : 0);
}

void
sq_kept_queue_is_news(struct sq_alive *a, struct sq_kept_queue *q)
{
	if (q->news)
		return;
	q->news = true;
	a->news_bytes += queue_bytes(q);
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
		q = sq_kept_queue_new(a, queue);
		sq_kept_queue_is_news(a, q);
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
	a->bytes += sq_item_stored_bytes(item);
	sq_htab_insert(&a->by_seq, &ai->by_seq, seq_hash(queue, item->seq));
	sq_list_push_back(&a->items, &ai->node);
}

struct sq_alive_change *
sq_alive_change_new(struct sq_alive *a, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	struct sq_alive_change *c = sq_xmalloc(sizeof *c);

	*c = (struct sq_alive_change){
	    .lsn = a->lsn, .queue = queue, .seq = seq, .attempts = attempts};
	return c;
}

static void
alive_change(struct sq_alive *a, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	sq_list_push_back(&a->changes, &sq_alive_change_new(a, queue, seq, attempts)->node);
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
			sq_alive_item_free(a, ai);
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

uint64_t
sq_alive_key_hash(const struct sq_record_key *k)
{
	return sq_hash_u64(k->id ^ sq_hash_u64(k->sub ^ sq_hash_u64(k->kind)));
}

struct sq_alive_record *
sq_alive_record_find(struct sq_alive *a, const struct sq_record_key *k)
{
	struct sq_hnode *n = sq_htab_find(&a->by_key, sq_alive_key_hash(k));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_alive_record *r = SQ_CONTAINER_OF(n, struct sq_alive_record, by_key);

		if (r->key.id == k->id && r->key.sub == k->sub && r->key.kind == k->kind)
			return r;
	}
	return NULL;
}

static uint64_t
record_bytes(const struct sq_alive_record *r)
{
	return r->deleted ? 0 : ROW_BYTES + r->len;
}

void
sq_alive_record_free(struct sq_alive *a, struct sq_alive_record *r)
{
	a->record_bytes -= record_bytes(r);
	free(r);
}

static void
record_free(struct sq_alive *a, struct sq_alive_record *r)
{
	sq_htab_remove(&a->by_key, &r->by_key);
	sq_list_remove(&r->node);
	a->n_deleted -= r->deleted;
	sq_alive_record_free(a, r);
}

static void
alive_record(struct sq_alive *a, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_alive_record *r, *old = sq_alive_record_find(a, key);

	if (old != NULL)
		record_free(a, old);
	r = sq_xmalloc(sizeof *r + value.len);
	*r = (struct sq_alive_record){
	    .lsn = a->lsn, .key = *key, .deleted = value.p == NULL, .len = value.len};
	if (value.len > 0)
		memcpy(r->value, value.p, value.len);
	sq_htab_insert(&a->by_key, &r->by_key, sq_alive_key_hash(key));
	sq_list_push_back(&a->records, &r->node);
	a->record_bytes += record_bytes(r);
	a->n_deleted += r->deleted;
}

static void
alive_queue_open(struct sq_alive *a, uint64_t queue, struct sq_bytes name)
{
	struct sq_kept_queue *q = queue_find(a, queue);

	if (q == NULL)
		q = sq_kept_queue_new(a, queue);
	if (q->name == NULL)
		q->name = sq_xmemdup0(name.p, name.len);
	sq_kept_queue_is_news(a, q);
}

static void
alive_queue_delete(struct sq_alive *a, uint64_t queue)
{
	struct sq_kept_queue *q = queue_find(a, queue);

	if (q == NULL || q->deleted)
		return;
	q->deleted = true;
	sq_kept_queue_is_news(a, q);
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

void
sq_alive_changes_free(struct sq_list *changes)
{
	SQ_LIST_FOR_EACH_SAFE(ch, changes, struct sq_alive_change, node)
		free(ch);
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
		sq_alive_item_free(a, ai);
	sq_alive_changes_free(&a->changes);
	sq_alive_changes_free(&a->deferred);
	SQ_LIST_FOR_EACH_SAFE(r, &a->records, struct sq_alive_record, node)
		record_free(a, r);
	for (at = sq_htab_walk(&a->queues, NULL); at != NULL; at = next) {
		next = sq_htab_walk(&a->queues, at);
		sq_kept_queue_free(a, SQ_CONTAINER_OF(at, struct sq_kept_queue, by_id));
	}
	sq_htab_fini(&a->by_seq);
	sq_htab_fini(&a->by_key);
	sq_htab_fini(&a->by_name);
	sq_htab_fini(&a->queues);
	free(a->news);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
