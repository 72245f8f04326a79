/* Chunks for checkpoints: what they take, and what comes back. */
#include <stdlib.h>

#include "broker/engine/embedded/alive_priv.h"
#include "core/mem.h"

uint64_t
sq_alive_bytes(struct sq_alive *a, size_t *n_changes)
{
	uint64_t bytes;

	pthread_mutex_lock(&a->lock);
	bytes = a->bytes + a->record_bytes + a->news_bytes;
	*n_changes = a->n_changes + a->n_deleted + a->n_news;
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
take_record(struct sq_alive *a, struct sq_alive_record *r, struct sq_chunk *c)
{
	sq_htab_remove(&a->by_key, &r->by_key);
	sq_list_remove(&r->node);
	sq_list_push_back(&c->records, &r->node);
	a->n_deleted -= r->deleted;
}

static void
take_records(struct sq_alive *a, size_t max_n, struct sq_chunk *c)
{
	struct sq_alive_record *first;

	for (size_t n = 0; n < max_n && !sq_list_empty(&a->records); n++) {
		first = SQ_LIST_FIRST(&a->records, struct sq_alive_record, node);
		take_record(a, first, c);
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
			sq_alive_item_free(a, ai);
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

static void
chunk_init(struct sq_chunk *c)
{
	*c = (struct sq_chunk){0};
	sq_list_init(&c->deferred);
	sq_list_init(&c->changes);
	sq_list_init(&c->records);
}

void
sq_alive_take(struct sq_alive *a, uint64_t max_bytes, size_t max_n, struct sq_chunk *c)
{
	chunk_init(c);
	pthread_mutex_lock(&a->lock);
	c->lsn = a->lsn;
	c->news_bytes = a->news_bytes;
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

/* Moves up to 'n' of them; returns how many. */
static size_t
take_some(struct sq_list *to, struct sq_list *from, size_t n)
{
	size_t done = 0;

	while (done < n && !sq_list_empty(from)) {
		struct sq_alive_change *ch = SQ_LIST_FIRST(from, struct sq_alive_change, node);

		sq_list_remove(&ch->node);
		sq_list_push_back(to, &ch->node);
		done++;
	}
	return done;
}

/* Queues that the tables know and that were deleted. */
static size_t
take_ended_queues(struct sq_alive *a, size_t n, struct sq_chunk *c)
{
	size_t kept = 0;

	c->queues = sq_xcalloc(n < a->n_news ? n : a->n_news, sizeof(*c->queues));
	for (size_t i = 0; i < a->n_news; i++) {
		struct sq_kept_queue *q = a->news[i].queue;

		if (!q->deleted || !q->listed || c->n_queues == n) {
			a->news[kept++] = a->news[i];
			continue;
		}
		q->news = false;
		c->queues[c->n_queues++] = (struct sq_chunk_queue){.queue = q, .deleted = true};
	}
	a->n_news = kept;
	return c->n_queues;
}

bool
sq_alive_take_ends(struct sq_alive *a, uint64_t lsn, size_t max_n, struct sq_chunk *c)
{
	size_t n, changes;

	chunk_init(c);
	c->lsn = lsn;
	pthread_mutex_lock(&a->lock);
	n = a->n_news > 0 ? take_ended_queues(a, max_n, c) : 0;
	n += take_some(&c->deferred, &a->deferred, max_n - n);
	changes = take_some(&c->changes, &a->changes, max_n - n);
	a->n_changes -= changes;
	n += changes;
	SQ_LIST_FOR_EACH_SAFE(r, &a->records, struct sq_alive_record, node) {
		if (n == max_n || a->n_deleted == 0)
			break;
		if (!r->deleted)
			continue;
		take_record(a, r, c);
		n++;
	}
	pthread_mutex_unlock(&a->lock);
	return n > 0;
}

/* An item that is in the tables now, or stays for the next chunk. */
static void
give_back_item(struct sq_alive *a, struct sq_alive_item *ai, bool written)
{
	ai->writing = false;
	ai->item.attempts = ai->attempts;
	if (written && ai->settled && !ai->queue->deleted)
		sq_list_push_back(
		    &a->deferred, &sq_alive_change_new(a, ai->queue->id, ai->item.seq, 0)->node);
	if (written || ai->settled)
		sq_alive_item_free(a, ai);
}

static void
give_back_record(struct sq_alive *a, struct sq_alive_record *r, bool written)
{
	sq_list_remove(&r->node);
	if (written || sq_alive_record_find(a, &r->key) != NULL) { /* or there is a newer value */
		sq_alive_record_free(a, r);
		return;
	}
	sq_htab_insert(&a->by_key, &r->by_key, sq_alive_key_hash(&r->key));
	a->n_deleted += r->deleted;
	/* By lsn, which tells what a chunk may leave out: as a rule it is the first. */
	SQ_LIST_FOR_EACH(other, &a->records, struct sq_alive_record, node) {
		if (other->lsn >= r->lsn) {
			sq_list_push_back(&other->node, &r->node); /* before it */
			return;
		}
	}
	sq_list_push_back(&a->records, &r->node);
}

static void
give_back_changes(struct sq_alive *a, struct sq_chunk *c, bool written)
{
	struct sq_list all;

	if (written) {
		sq_alive_changes_free(&c->deferred);
		sq_alive_changes_free(&c->changes);
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
		sq_kept_queue_is_news(a, c->queue);
	} else if (c->deleted) {
		c->queue->forgotten = true;
		if (c->queue->n_items == 0)
			sq_kept_queue_free(a, c->queue);
	}
}

void
sq_alive_give_back(struct sq_alive *a, struct sq_chunk *c, bool written)
{
	pthread_mutex_lock(&a->lock);
	a->news_bytes -= c->news_bytes; /* those that come back are news again */
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
