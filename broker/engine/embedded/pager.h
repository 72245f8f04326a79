/* The pager reads items that queues have in the tables only, on a thread of its own.  A read
 * without success, for an error or for lack of memory, is repeated without end.  It has the reads of
 * scans in between, each once. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_PAGER_H
#define SQ_BROKER_ENGINE_EMBEDDED_PAGER_H

#include "broker/engine/embedded/health.h"
#include "broker/engine/embedded/table.h"
#include "broker/engine/queue/queue.h"

struct sq_pager;

struct sq_pager_cfg {
	struct sq_table *table;
	struct sq_health *health;           /* gets failed reads and damage */
	const struct sq_queue_store *store; /* of the queues that it serves */
	const struct sq_metrics *metrics;   /* copied */
};

/* Starts its thread; all members of 'cfg' outlive it. */
struct sq_pager *sq_pager_new(const struct sq_pager_cfg *cfg);
void sq_pager_free(struct sq_pager **);
/* Requests a read of the queue's gap; sq_queue_paged() or sq_queue_rest() follows on the pager's
 * thread.  Thread: any.  Locks: the queue's is held; takes the pager's. */
void sq_pager_want(struct sq_pager *, struct sq_queue *);
/* Carries out the rest of a scan, from the gap of its queue on.  Thread: any.  Locks: the pager's. */
void sq_pager_scan(struct sq_pager *, struct sq_scan *);
/* sq_table_item() for the start: repeats a failed read for some seconds, on the caller's thread. */
int sq_pager_item(struct sq_pager *, uint64_t queue, uint64_t seq,
    void (*fn)(void *arg, const struct sq_table_item *), void *arg) SQ_MUST_CHECK;

#endif
