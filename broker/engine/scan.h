/* A look at what waits in a queue, in order, which changes nothing: sq_queue_ops.scan.
 *
 * The caller embeds struct sq_scan, zeroed but for the first members, and keeps it until done(). */
#ifndef SQ_BROKER_ENGINE_SCAN_H
#define SQ_BROKER_ENGINE_SCAN_H

#include "broker/engine/item.h"
#include "core/list.h"
#include "core/task.h"

struct sq_queue;
struct sq_worker;

enum { SQ_SCAN_MAX = 1000 }; /* items of one scan */

struct sq_scan {
	struct sq_worker *worker;
	uint64_t from;      /* the lowest seq that it brings */
	uint32_t max_items; /* 1 to SQ_SCAN_MAX */
	uint64_t max_bytes; /* of images; the first item may have more */
	/* Runs on 'worker' as a task, once.  SQ_ECLOSED: the queue or the engine has ended.  SQ_EIO: the
	 * store can't be read now.  'items' is good in any case. */
	void (*done)(struct sq_scan *, int err);

	/* What it has brought: 'n' items with references to their images alone.  Items that were handed
	 * out do not wait; those that have expired may still. */
	struct sq_item *items;
	uint32_t n;
	bool more;     /* others wait behind them, or may: */
	uint64_t next; /* the 'from' of the next scan */

	/* The engine's. */
	struct sq_queue *queue;
	struct sq_list node;
	struct sq_task task;
	uint64_t bytes;
	bool full;
	int err;
};

/* Frees the items, with their references; the scan may be used again. */
void sq_scan_fini(struct sq_scan *);

#endif
