/* Reads what queues have in the tables only, on a thread of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/engine/embedded/embedded.h"
#include "core/mem.h"
#include "core/thread.h"

enum {
	PAGE_ITEMS = 1024,
	PAGE_BYTES_MIN = 16 << 10,
	PAGE_BYTES_MAX = 512 << 10,
};

struct sq_pager {
	struct sq_embedded *engine;
	pthread_t thread;
	pthread_mutex_t lock; /* behind a queue's lock */
	pthread_cond_t wake;
	struct sq_list waits; /* struct sq_queue, a reference each */
	bool stop;
};

/* A read of one queue. */
struct page {
	struct sq_embedded *engine;
	const struct sq_gap *gap;
	struct sq_item items[PAGE_ITEMS];
	size_t n;
	uint64_t from; /* where the next read begins */
	bool end;
};

static bool
page_item(void *arg, const struct sq_table_item *stored)
{
	struct page *p = arg;

	if (stored->seq > p->gap->to) {
		p->end = true;
		return false;
	}
	p->from = stored->seq + 1;
	if (!sq_gap_skips(p->gap, stored->seq))
		p->items[p->n++] = sq_embedded_item(p->engine, stored);
	return p->n < PAGE_ITEMS;
}

static uint64_t
page_bytes(const struct sq_embedded *e)
{
	uint64_t bytes = sq_queue_share(&e->store) / 4;

	if (bytes > PAGE_BYTES_MAX)
		return PAGE_BYTES_MAX;
	return bytes < PAGE_BYTES_MIN ? PAGE_BYTES_MIN : bytes;
}

/* Reads once; what is damaged is left out, and reported.  False: the read failed, and
 * is tried again when somebody asks for it. */
static bool
page_read(struct page *p, uint64_t queue)
{
	struct sq_embedded *e = p->engine;
	uint64_t from = p->from, bad = 0;
	int err = sq_table_items(
	    e->table, queue, from, PAGE_ITEMS, page_bytes(e), page_item, p, &bad);
	char text[128];

	if (err == SQ_EINVAL) {
		snprintf(text, sizeof text, "tables: item %llu of queue %llu is damaged",
		    (unsigned long long)bad, (unsigned long long)queue);
		sq_embedded_trouble(e, SQ_TROUBLE_DAMAGE, text);
		sq_metric_add(&e->metrics, SQ_M_STORE_DAMAGED, 1);
		p->from = bad + 1;
	} else if (err != SQ_OK) {
		snprintf(text, sizeof text, "tables: %s", sq_table_error(e->table));
		sq_embedded_trouble(e, SQ_TROUBLE_TABLES, text);
		return false;
	} else if (p->from == from) { /* nothing was there */
		p->end = true;
	}
	if (p->from > p->gap->to)
		p->end = true;
	return true;
}

static void
pager_read(struct sq_embedded *e, struct sq_queue *q, struct page *p)
{
	struct sq_gap gap;

	pthread_mutex_lock(&q->lock);
	gap = q->gap; /* nobody else changes it while it is being read */
	pthread_mutex_unlock(&q->lock);
	p->engine = e;
	p->gap = &gap;
	p->n = 0;
	p->from = gap.from;
	p->end = !gap.open;
	while (!p->end && p->n == 0 && page_read(p, q->id))
		continue;
	sq_queue_paged(q, p->items, p->n, p->from, p->end);
}

static void *
pager_main(void *arg)
{
	struct sq_pager *pager = arg;
	struct page *page = sq_xmalloc(sizeof *page);

	pthread_mutex_lock(&pager->lock);
	while (!pager->stop) {
		struct sq_queue *q = SQ_LIST_FIRST(&pager->waits, struct sq_queue, waits);

		if (q == NULL) {
			pthread_cond_wait(&pager->wake, &pager->lock);
			continue;
		}
		sq_list_remove(&q->waits);
		pthread_mutex_unlock(&pager->lock);
		pager_read(pager->engine, q, page);
		sq_queue_unref(q);
		pthread_mutex_lock(&pager->lock);
	}
	pthread_mutex_unlock(&pager->lock);
	free(page);
	return NULL;
}

struct sq_pager *
sq_pager_start(struct sq_embedded *e)
{
	struct sq_pager *p = sq_xcalloc(1, sizeof *p);

	p->engine = e;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	sq_list_init(&p->waits);
	sq_thread_start(&p->thread, pager_main, p);
	return p;
}

void
sq_pager_stop(struct sq_pager **pp)
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
	SQ_LIST_FOR_EACH_SAFE(q, &p->waits, struct sq_queue, waits) {
		sq_list_remove(&q->waits);
		sq_queue_unref(q);
	}
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void
sq_pager_want(struct sq_queue *q)
{
	struct sq_pager *p = sq_embedded_of(q->engine)->pager;

	pthread_mutex_lock(&p->lock);
	sq_queue_ref(q);
	sq_list_push_back(&p->waits, &q->waits);
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}
