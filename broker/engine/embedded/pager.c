#include "broker/engine/embedded/pager.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/engine/embedded/item.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"

enum {
	PAGE_ITEMS = 1024,
	PAGE_BYTES_MIN = 16 << 10,
	PAGE_BYTES_MAX = 512 << 10,
	AGAIN_MS = 100, /* until queues are read for again */
	RETRY_MS = 250,
	ITEM_TRIES = 20,
};

struct sq_pager {
	struct sq_pager_cfg cfg;
	struct sq_metrics metrics;
	pthread_t thread;
	pthread_mutex_t lock; /* behind a queue's lock */
	pthread_cond_t wake;
	struct sq_list waits; /* struct sq_queue, a reference each */
	struct sq_list again; /* the same, whose read brought nothing: until 'again_ms' */
	uint64_t again_ms;
	bool stop;
	size_t failing; /* queues whose last read failed; the thread's own */
};

/* A read of one queue. */
struct page {
	struct sq_pager *pager;
	struct sq_queue *queue;
	const struct sq_gap *gap;
	struct sq_item items[PAGE_ITEMS];
	size_t n;
	uint64_t bytes; /* of these */
	uint64_t from;  /* where the next read begins */
	uint64_t lacks; /* there was no memory for the next, of so many bytes; 0: there was */
	bool end;
};

static void
page_damaged(struct sq_pager *pager, uint64_t queue, uint64_t seq)
{
	char text[128];

	snprintf(text, sizeof text, "tables: item %llu of queue %llu is damaged",
	    (unsigned long long)seq, (unsigned long long)queue);
	sq_health_note(pager->cfg.health, SQ_HEALTH_DAMAGE, text);
	sq_metric_add(&pager->metrics, SQ_M_STORE_DAMAGED, 1);
}

static bool
page_item(void *arg, const struct sq_table_item *stored)
{
	struct page *p = arg;
	uint64_t bytes = stored->image.len + stored->subs.len;

	if (stored->seq > p->gap->to) {
		p->end = true;
		return false;
	}
	if (!sq_table_item_good(stored)) {
		page_damaged(p->pager, stored->queue, stored->seq);
	} else if (!sq_gap_skips(p->gap, stored->seq)) {
		if (!sq_queue_may_read(p->queue, p->bytes + bytes, (uint32_t)p->n + 1)) {
			p->lacks = bytes;
			return false;
		}
		p->items[p->n++] = sq_item_from_table(stored);
		p->bytes += bytes;
	}
	p->from = stored->seq + 1;
	return p->n < PAGE_ITEMS;
}

static uint64_t
page_bytes(const struct sq_pager *pager)
{
	uint64_t bytes = sq_queue_share(pager->cfg.store) / 4;

	if (bytes > PAGE_BYTES_MAX)
		return PAGE_BYTES_MAX;
	return bytes < PAGE_BYTES_MIN ? PAGE_BYTES_MIN : bytes;
}

/* Reads once; skips and reports damaged items. */
static int
page_read(struct page *p, uint64_t queue)
{
	struct sq_pager *pager = p->pager;
	uint64_t from = p->from, bad = 0;
	int err = sq_table_items(
	    pager->cfg.table, queue, from, PAGE_ITEMS, page_bytes(pager), page_item, p, &bad);

	if (err == SQ_EINVAL && bad != 0) {
		page_damaged(pager, queue, bad);
		p->from = bad + 1;
	} else if (err != SQ_OK) {
		return err;
	} else if (p->from == from && p->lacks == 0) { /* nothing was there */
		p->end = true;
	}
	if (p->from > p->gap->to)
		p->end = true;
	return SQ_OK;
}

/* Says that a read has failed: damage of the tables themselves, or the world's. */
static void
pager_failed(struct sq_pager *pager, int err)
{
	char text[256];

	snprintf(text, sizeof text, "tables: %s", sq_table_error(pager->cfg.table));
	sq_health_note(
	    pager->cfg.health, err == SQ_EINVAL ? SQ_HEALTH_DAMAGE : SQ_HEALTH_READS, text);
	sq_metric_add(&pager->metrics, SQ_M_STORE_READ_FAILURES, 1);
}

/* Begins a read if memory suffices for the item that the last one lacked room for. */
static void
page_begin(struct page *p, struct sq_pager *pager, struct sq_queue *q, const struct sq_gap *gap,
    uint64_t lacked)
{
	p->pager = pager;
	p->queue = q;
	p->gap = gap;
	p->n = p->bytes = 0;
	p->from = gap->from;
	p->lacks = lacked > 0 && !sq_queue_may_read(q, lacked, 1) ? lacked : 0;
	p->end = !gap->open;
}

/* Reads for one queue; false: that brought nothing, and has to be tried again. */
static bool
pager_read(struct sq_pager *pager, struct sq_queue *q, struct page *p)
{
	struct sq_gap gap;
	uint64_t lacked;
	bool failed = sq_queue_reads(q, &gap, &lacked), rests = false;
	int err = SQ_OK;

	page_begin(p, pager, q, &gap, lacked);
	while (!p->end && p->n == 0 && p->lacks == 0 && err == SQ_OK)
		err = page_read(p, q->id);
	if (err != SQ_OK)
		pager_failed(pager, err);
	if (p->n > 0 || p->end || (err == SQ_OK && p->lacks == 0))
		sq_queue_paged(q, p->items, p->n, p->from, p->end); /* the rest when it is wanted */
	else
		rests = sq_queue_rest(q, err == SQ_OK ? p->lacks : 0, p->from);
	pager->failing += (size_t)(rests && err != SQ_OK) - (size_t)failed;
	if (pager->failing == 0 && (failed || err != SQ_OK))
		sq_health_note(pager->cfg.health, SQ_HEALTH_READS, NULL);
	return !rests;
}

/* The next queue to be read for, or NULL after a wait; under the lock. */
static struct sq_queue *
pager_next(struct sq_pager *pager)
{
	bool again = !sq_list_empty(&pager->again);
	struct sq_queue *q;

	if (again && sq_clock_ms() >= pager->again_ms)
		sq_list_splice(&pager->waits, &pager->again);
	q = SQ_LIST_FIRST(&pager->waits, struct sq_queue, read.waits);
	if (q != NULL) {
		sq_list_remove(&q->read.waits);
	} else if (again) {
		struct timespec until = {
		    (time_t)(pager->again_ms / 1000), (long)(pager->again_ms % 1000) * 1000000};

		pthread_cond_timedwait(&pager->wake, &pager->lock, &until);
	} else {
		pthread_cond_wait(&pager->wake, &pager->lock);
	}
	return q;
}

/* The read brought nothing; under the lock. */
static void
pager_again(struct sq_pager *pager, struct sq_queue *q)
{
	if (sq_list_empty(&pager->again))
		pager->again_ms = sq_clock_ms() + AGAIN_MS;
	sq_list_push_back(&pager->again, &q->read.waits);
}

static void *
pager_main(void *arg)
{
	struct sq_pager *pager = arg;
	struct page *page = sq_xmalloc(sizeof *page);

	pthread_mutex_lock(&pager->lock);
	while (!pager->stop) {
		struct sq_queue *q = pager_next(pager);
		bool read;

		if (q == NULL)
			continue;
		pthread_mutex_unlock(&pager->lock);
		read = pager_read(pager, q, page);
		if (read)
			sq_queue_unref(q);
		pthread_mutex_lock(&pager->lock);
		if (!read)
			pager_again(pager, q);
	}
	pthread_mutex_unlock(&pager->lock);
	free(page);
	return NULL;
}

struct sq_pager *
sq_pager_new(const struct sq_pager_cfg *cfg)
{
	struct sq_pager *p = sq_xcalloc(1, sizeof *p);
	pthread_condattr_t attr;

	p->cfg = *cfg;
	p->metrics = *cfg->metrics;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	sq_list_init(&p->waits);
	sq_list_init(&p->again);
	sq_thread_start(&p->thread, pager_main, p);
	return p;
}

void
sq_pager_free(struct sq_pager **pp)
{
	struct sq_pager *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	sq_list_splice(&p->waits, &p->again);
	SQ_LIST_FOR_EACH_SAFE(q, &p->waits, struct sq_queue, read.waits) {
		sq_list_remove(&q->read.waits);
		sq_queue_unref(q);
	}
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void
sq_pager_want(struct sq_pager *p, struct sq_queue *q)
{
	pthread_mutex_lock(&p->lock);
	sq_queue_ref(q);
	sq_list_push_back(&p->waits, &q->read.waits);
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

int
sq_pager_item(struct sq_pager *pager, uint64_t queue, uint64_t seq,
    void (*fn)(void *arg, const struct sq_table_item *), void *arg)
{
	const struct timespec pause = {0, RETRY_MS * 1000000L};
	int err = SQ_EIO;

	for (unsigned i = 0; i < ITEM_TRIES; i++) {
		err = sq_table_item(pager->cfg.table, queue, seq, fn, arg);
		if (err == SQ_OK || err == SQ_ENOTFOUND || err == SQ_EINVAL)
			return err;
		sq_metric_add(&pager->metrics, SQ_M_STORE_READ_FAILURES, 1);
		nanosleep(&pause, NULL);
	}
	SQ_ERROR("store", "tables: %s", sq_table_error(pager->cfg.table));
	return err;
}
