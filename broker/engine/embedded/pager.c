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
	struct sq_list scans; /* struct sq_scan */
	struct sq_list
	    again; /* the same as 'waits', whose read brought nothing: until 'again_ms' */
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
		p->items[p->n] = sq_item_from_table(stored);
		p->items[p->n++].attempts = sq_gap_attempts(p->gap, stored->seq, stored->attempts);
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

/* A step of a scan: items of the gap, as many as it may have more. */
struct scan_step {
	struct sq_pager *pager;
	struct sq_scan_read read;
	struct sq_item items[SQ_SCAN_MAX + 1];
	size_t n;
	uint64_t last; /* the last seq that was read; 0: none */
};

static bool
scan_item(void *arg, const struct sq_table_item *stored)
{
	struct scan_step *step = arg;

	if (stored->seq > step->read.to)
		return false;
	step->last = stored->seq;
	if (sq_table_item_good(stored))
		step->items[step->n++] = sq_item_from_table(stored);
	else
		page_damaged(step->pager, stored->queue, stored->seq);
	return true;
}

/* Reads what is next; 'upto' gets the seq to which everything was read. */
static int
scan_read(struct scan_step *step, const struct sq_scan *s, uint64_t *upto)
{
	uint64_t bad = 0, queue = s->queue->id;
	int err;

	step->n = 0;
	step->last = 0;
	err = sq_table_items(step->pager->cfg.table, queue, step->read.from,
	    s->max_items - s->n + 1, PAGE_BYTES_MAX, scan_item, step, &bad);
	if (err == SQ_EINVAL && bad != 0) {
		page_damaged(step->pager, queue, bad);
		step->last = bad;
		err = SQ_OK;
	}
	*upto = step->last != 0 && step->last < step->read.to ? step->last : step->read.to;
	return err;
}

/* Goes on with the scan; true: it needs more steps. */
static bool
pager_scan(struct sq_pager *pager, struct scan_step *step, struct sq_scan *s)
{
	uint64_t upto;
	int err;

	step->pager = pager;
	if (!sq_queue_scan_reads(s->queue, s, &step->read)) {
		sq_queue_scan_end(s, s->err);
		return false;
	}
	err = scan_read(step, s, &upto);
	if (err == SQ_OK)
		sq_queue_scan_add(s->queue, s, &step->read, step->items, step->n, upto);
	for (size_t i = 0; i < step->n; i++)
		sq_item_fini(&step->items[i]);
	if (err == SQ_OK)
		return true;
	sq_metric_add(&pager->metrics, SQ_M_STORE_READ_FAILURES, 1);
	sq_queue_scan_end(s, SQ_EIO);
	return false;
}

/* Takes the first scan out of the list; NULL: there is none.  Under the lock. */
static struct sq_scan *
pager_next_scan(struct sq_pager *pager)
{
	struct sq_scan *s = SQ_LIST_FIRST(&pager->scans, struct sq_scan, node);

	if (s != NULL)
		sq_list_remove(&s->node);
	return s;
}

/* The next queue to be read for, or NULL: after a wait, or where scans go on.  Under the lock. */
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
	} else if (!sq_list_empty(&pager->scans)) {
		return NULL;
	} else if (again) {
		(void)sq_cond_wait_until(&pager->wake, &pager->lock, pager->again_ms);
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

/* Reads for a queue (NULL: none), and for a scan (NULL: none); releases the lock meanwhile. */
static void
pager_turn(struct sq_pager *pager, struct sq_queue *q, struct page *page, struct sq_scan *s,
    struct scan_step *step)
{
	bool read = true, scans;

	pthread_mutex_unlock(&pager->lock);
	if (q != NULL)
		read = pager_read(pager, q, page);
	if (q != NULL && read)
		sq_queue_unref(q);
	scans = s != NULL && pager_scan(pager, step, s);
	pthread_mutex_lock(&pager->lock);
	if (!read)
		pager_again(pager, q);
	if (scans)
		sq_list_push_back(&pager->scans, &s->node);
}

static void *
pager_main(void *arg)
{
	struct sq_pager *pager = arg;
	struct page *page = sq_xmalloc(sizeof *page);
	struct scan_step *step = sq_xmalloc(sizeof *step);

	pthread_mutex_lock(&pager->lock);
	while (!pager->stop) {
		struct sq_queue *q = pager_next(pager);
		struct sq_scan *s = pager_next_scan(pager);

		if (q != NULL || s != NULL)
			pager_turn(pager, q, page, s, step);
	}
	pthread_mutex_unlock(&pager->lock);
	free(page);
	free(step);
	return NULL;
}

struct sq_pager *
sq_pager_new(const struct sq_pager_cfg *cfg)
{
	struct sq_pager *p = sq_xcalloc(1, sizeof *p);

	p->cfg = *cfg;
	p->metrics = *cfg->metrics;
	pthread_mutex_init(&p->lock, NULL);
	sq_cond_init(&p->wake);
	sq_list_init(&p->waits);
	sq_list_init(&p->scans);
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
	SQ_LIST_FOR_EACH_SAFE(s, &p->scans, struct sq_scan, node)
		sq_queue_scan_end(s, SQ_ECLOSED);
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

void
sq_pager_scan(struct sq_pager *p, struct sq_scan *s)
{
	pthread_mutex_lock(&p->lock);
	sq_list_push_back(&p->scans, &s->node);
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
