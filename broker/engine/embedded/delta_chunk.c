/* Chunks for checkpoints: taken from the delta, and given back. */
#include <stdlib.h>

#include "broker/engine/embedded/delta_priv.h"
#include "core/mem.h"

uint64_t
sq_delta_bytes(struct sq_delta *d, size_t *n_changes)
{
	uint64_t bytes;

	pthread_mutex_lock(&d->lock);
	bytes = d->bytes + d->record_bytes + d->news_bytes;
	*n_changes = d->n_changes + d->n_deleted + d->n_news;
	pthread_mutex_unlock(&d->lock);
	return bytes;
}

enum sq_table_format
sq_delta_format(struct sq_delta *d)
{
	enum sq_table_format format;

	pthread_mutex_lock(&d->lock);
	format = d->format;
	pthread_mutex_unlock(&d->lock);
	return format;
}

static void
take_changes(struct sq_delta *d, size_t max_n, struct sq_chunk *c)
{
	struct sq_delta_change *first;

	sq_list_splice(&c->deferred, &d->deferred);
	for (size_t n = 0; n < max_n && !sq_list_empty(&d->changes); n++) {
		first = SQ_LIST_FIRST(&d->changes, struct sq_delta_change, node);
		sq_list_remove(&first->node);
		sq_list_push_back(&c->changes, &first->node);
		d->n_changes--;
	}
	first = SQ_LIST_FIRST(&d->changes, struct sq_delta_change, node);
	if (first != NULL && first->lsn <= c->lsn)
		c->lsn = first->lsn - 1;
}

static void
take_record(struct sq_delta *d, struct sq_delta_record *r, struct sq_chunk *c)
{
	sq_htab_remove(&d->by_key, &r->by_key);
	sq_list_remove(&r->node);
	sq_list_push_back(&c->records, &r->node);
	d->n_deleted -= r->deleted;
}

static void
take_records(struct sq_delta *d, size_t max_n, struct sq_chunk *c)
{
	struct sq_delta_record *first;

	for (size_t n = 0; n < max_n && !sq_list_empty(&d->records); n++) {
		first = SQ_LIST_FIRST(&d->records, struct sq_delta_record, node);
		take_record(d, first, c);
	}
	first = SQ_LIST_FIRST(&d->records, struct sq_delta_record, node);
	if (first != NULL && first->lsn <= c->lsn)
		c->lsn = first->lsn - 1;
}

static int
chunk_order(const void *x, const void *y)
{
	const struct sq_delta_item *a = *(struct sq_delta_item *const *)x;
	const struct sq_delta_item *b = *(struct sq_delta_item *const *)y;

	if (a->queue->id != b->queue->id)
		return a->queue->id < b->queue->id ? -1 : 1;
	return a->item.seq < b->item.seq ? -1 : a->item.seq > b->item.seq;
}

/* Takes items of records up to the chunk's lsn, whole records only. */
static void
take_items(struct sq_delta *d, uint64_t max_bytes, size_t max_n, struct sq_chunk *c)
{
	uint64_t bytes = 0, last = 0;
	size_t cap = 0;

	SQ_LIST_FOR_EACH_SAFE(ai, &d->items, struct sq_delta_item, node) {
		uint64_t lsn = ai->item.seq >> SQ_SEQ_BITS;

		if (lsn > c->lsn)
			break;
		if (ai->queue->deleted) {
			sq_delta_item_free(d, ai);
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
			c->items = sq_xrealloc(c->items, cap * sizeof(struct sq_delta_item *));
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
sq_delta_take(struct sq_delta *d, uint64_t max_bytes, size_t max_n, struct sq_chunk *c)
{
	chunk_init(c);
	pthread_mutex_lock(&d->lock);
	d->chunk = c;
	c->lsn = d->lsn;
	c->news_bytes = d->news_bytes;
	c->queues = d->news;
	c->n_queues = d->n_news;
	d->news = NULL;
	d->n_news = d->cap_news = 0;
	for (size_t i = 0; i < c->n_queues; i++) {
		c->queues[i].queue->news = false;
		c->queues[i].deleted = c->queues[i].queue->deleted;
	}
	take_changes(d, max_n, c);
	take_records(d, max_n, c);
	take_items(d, max_bytes, max_n, c);
	pthread_mutex_unlock(&d->lock);
	if (c->n_items > 0)
		qsort(c->items, c->n_items, sizeof(struct sq_delta_item *), chunk_order);
}

/* Moves up to 'n' of them; returns how many. */
static size_t
take_some(struct sq_list *to, struct sq_list *from, size_t n)
{
	size_t done = 0;

	while (done < n && !sq_list_empty(from)) {
		struct sq_delta_change *ch = SQ_LIST_FIRST(from, struct sq_delta_change, node);

		sq_list_remove(&ch->node);
		sq_list_push_back(to, &ch->node);
		done++;
	}
	return done;
}

/* Queues that the tables know and that were deleted. */
static size_t
take_ended_queues(struct sq_delta *d, size_t n, struct sq_chunk *c)
{
	size_t kept = 0;

	c->queues = sq_xcalloc(n < d->n_news ? n : d->n_news, sizeof(*c->queues));
	for (size_t i = 0; i < d->n_news; i++) {
		struct sq_kept_queue *q = d->news[i].queue;

		if (!q->deleted || !q->listed || c->n_queues == n) {
			d->news[kept++] = d->news[i];
			continue;
		}
		q->news = false;
		c->queues[c->n_queues++] = (struct sq_chunk_queue){.queue = q, .deleted = true};
	}
	d->n_news = kept;
	return c->n_queues;
}

bool
sq_delta_take_ends(struct sq_delta *d, uint64_t lsn, size_t max_n, struct sq_chunk *c)
{
	size_t n, changes;

	chunk_init(c);
	c->lsn = lsn;
	pthread_mutex_lock(&d->lock);
	d->chunk = c;
	n = d->n_news > 0 ? take_ended_queues(d, max_n, c) : 0;
	n += take_some(&c->deferred, &d->deferred, max_n - n);
	changes = take_some(&c->changes, &d->changes, max_n - n);
	d->n_changes -= changes;
	n += changes;
	SQ_LIST_FOR_EACH_SAFE(r, &d->records, struct sq_delta_record, node) {
		if (n == max_n || d->n_deleted == 0)
			break;
		if (!r->deleted)
			continue;
		take_record(d, r, c);
		n++;
	}
	pthread_mutex_unlock(&d->lock);
	return n > 0;
}

/* An item that is in the tables now, or stays for the next chunk. */
static void
give_back_item(struct sq_delta *d, struct sq_delta_item *ai, bool written)
{
	struct sq_delta_change *settled;

	ai->writing = false;
	ai->item.attempts = ai->attempts;
	if (written && ai->settled && !ai->queue->deleted) {
		settled = sq_delta_change_new(d, ai->queue->id, ai->item.seq, 0);
		settled->bytes = sq_image_size(ai->item.msg.image) +
		    (ai->item.arrived_ms != 0 ? SQ_TABLE_ITEM_TAIL : 0);
		sq_list_push_back(&d->deferred, &settled->node);
	}
	if (written || ai->settled)
		sq_delta_item_free(d, ai);
}

static void
give_back_counts(struct sq_chunk *c, bool written)
{
	for (size_t i = 0; i < c->n_touched; i++) {
		struct sq_kept_queue *q = c->touched[i];

		q->touched = false;
		if (!written)
			continue;
		q->listed = true;
		q->n = q->n_next;
		q->bytes = q->bytes_next;
	}
}

static void
give_back_record(struct sq_delta *d, struct sq_delta_record *r, bool written)
{
	sq_list_remove(&r->node);
	if (written || sq_delta_record_find(d, &r->key) != NULL) { /* or there is a newer value */
		sq_delta_record_free(d, r);
		return;
	}
	sq_htab_insert(&d->by_key, &r->by_key, sq_delta_key_hash(&r->key));
	d->n_deleted += r->deleted;
	/* By lsn, which tells what a chunk may leave out: as a rule it is the first. */
	SQ_LIST_FOR_EACH(other, &d->records, struct sq_delta_record, node) {
		if (other->lsn >= r->lsn) {
			sq_list_push_back(&other->node, &r->node); /* before it */
			return;
		}
	}
	sq_list_push_back(&d->records, &r->node);
}

static void
give_back_changes(struct sq_delta *d, struct sq_chunk *c, bool written)
{
	struct sq_list all;

	if (written) {
		sq_delta_changes_free(&c->deferred);
		sq_delta_changes_free(&c->changes);
		return;
	}
	SQ_LIST_FOR_EACH(ch, &c->changes, struct sq_delta_change, node)
		d->n_changes++;
	/* Not to the others, which are by lsn. */
	sq_list_splice(&d->deferred, &c->deferred);
	sq_list_init(&all);
	sq_list_splice(&all, &c->changes);
	sq_list_splice(&all, &d->changes);
	sq_list_splice(&d->changes, &all);
}

static void
give_back_queue(struct sq_delta *d, struct sq_chunk_queue *c, bool written)
{
	if (!written) {
		sq_kept_queue_is_news(d, c->queue);
	} else if (c->deleted) {
		c->queue->forgotten = true;
		if (c->queue->n_items == 0)
			sq_kept_queue_free(d, c->queue);
	}
}

void
sq_delta_give_back(struct sq_delta *d, struct sq_chunk *c, bool written)
{
	pthread_mutex_lock(&d->lock);
	d->chunk = NULL;
	if (written)
		d->written = c->lsn;
	give_back_counts(c, written);
	d->news_bytes -= c->news_bytes; /* those that come back are news again */
	for (size_t i = 0; i < c->n_items; i++)
		give_back_item(d, c->items[i], written);
	/* Back to the front in their old order. */
	while (!sq_list_empty(&c->records))
		give_back_record(
		    d, SQ_CONTAINER_OF(c->records.prev, struct sq_delta_record, node), written);
	give_back_changes(d, c, written);
	for (size_t i = 0; i < c->n_queues; i++)
		give_back_queue(d, &c->queues[i], written);
	pthread_mutex_unlock(&d->lock);
	free(c->items);
	free(c->queues);
	free(c->touched);
}
