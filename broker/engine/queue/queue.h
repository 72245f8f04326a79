/* A queue: waiting items, in order, and their consumers.  Both engines use it; an engine with a
 * store keeps items there that do not fit into memory.
 *
 * Waiting items are in three parts: 'head' in memory, the 'gap', which is in the store only, and
 * 'tail' in memory.  Without a gap there is no tail.  Items leave at the head.  The gap is read
 * into the head from the gap's front.  Committed items that nobody takes move from the tail's front
 * into the gap.
 *
 * The queue's lock guards all of it; items are handed out by a task on the owner's worker.  Each
 * function: Thread: any worker.  Locks: takes the queue's, unless a comment says otherwise. */
#ifndef SQ_BROKER_ENGINE_QUEUE_QUEUE_H
#define SQ_BROKER_ENGINE_QUEUE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "broker/share/charge.h"
#include "broker/engine/engine.h"
#include "broker/engine/queue/ring.h"
#include "broker/metrics/metrics.h"
#include "core/task.h"

/* The newest number of attempts of an item whose copy in the store may have an older one. */
struct sq_gap_tried {
	uint64_t seq;
	uint16_t attempts;
};

/* Items from seq 'from' to 'to' that are in the store only. */
struct sq_gap {
	uint64_t from, to;
	bool open; /* it has not been read to its end */
	uint64_t n, bytes;
	uint64_t *skip; /* ascending: seqs that are settled or claimed, not to be read */
	size_t n_skip;
	struct sq_gap_tried *tried; /* of a start, ascending; several of an item by attempts */
	size_t n_tried;
};

static inline void
sq_gap_fini(struct sq_gap *gap)
{
	free(gap->skip);
	free(gap->tried);
	*gap = (struct sq_gap){0};
}

/* The engine's store in the view of queues; written by the engine alone. */
struct sq_queue_store {
	/* Requests a read of some items of the gap; sq_queue_paged() or sq_queue_rest() follows.
	 * Locks: the queue's is held. */
	void (*page)(struct sq_queue *);
	/* Goes on with a scan that comes to the gap, by steps of sq_queue_scan_reads(), reads and
	 * sq_queue_scan_add(); sq_queue_scan_end() follows. */
	void (*scan)(struct sq_scan *);
	/* Bytes of a transaction's log entry so far. */
	uint64_t (*txn_bytes)(const struct sq_txn *);
	atomic_bool full;           /* the store accepts no items */
	atomic_bool held_back;      /* items of QoS 1 and 2 stay in its queues */
	atomic_uint_fast64_t clean; /* seqs below this are in the store's tables */
	uint64_t cache;             /* bytes of waiting items that queues may keep in memory */
	atomic_uint_fast64_t held;  /* number of queues with such items */
};

enum { SQ_QUEUE_SHARE_MIN = 16 << 10 };

/* A queue's share of the cache. */
static inline uint64_t
sq_queue_share(const struct sq_queue_store *store)
{
	uint64_t share = store->cache /
	    (atomic_load_explicit(&store->held, memory_order_relaxed) + 1);

	return share < SQ_QUEUE_SHARE_MIN ? SQ_QUEUE_SHARE_MIN : share;
}

/* Items handed out and not sent, in one word: messages in the upper bits, bytes in the lower. */
enum { SQ_UNSENT_SHIFT = 40 };

static inline uint64_t
sq_unsent_msgs(uint64_t unsent)
{
	return unsent >> SQ_UNSENT_SHIFT;
}

static inline uint64_t
sq_unsent_bytes(uint64_t unsent)
{
	return unsent & ((UINT64_C(1) << SQ_UNSENT_SHIFT) - 1);
}

/* Items of transactions that have put them here and are not committed. */
struct sq_queue_coming {
	uint64_t n, bytes;
};

/* Of a queue whose oldest items leave for new ones. */
struct sq_queue_yielding {
	uint64_t over; /* waiting items above the limits since these were lowered */
	/* What is to leave for items put above the account's share, when none could: the oldest were
	 * not committed yet, or on their way to the disk or from it. */
	uint64_t owed, owed_bytes;
};

/* Takers of a queue (see sq_queue_ops.attend), and items that it has and has lost. */
struct sq_queue_figures {
	unsigned takers;
	uint64_t lonely_since_ms; /* 0: the queue has takers */
	atomic_uint left[SQ_LEFTS];
	atomic_uint_fast64_t all; /* items that come, wait, or are not settled; for the view */
};

/* The read of a gap by the queue's store. */
struct sq_queue_read {
	bool pending;         /* the read is in progress */
	bool resting;         /* the last read brought nothing: the store repeats it by itself */
	bool failed;          /* because the read failed */
	uint64_t lacks;       /* or because memory was short of this number of bytes */
	struct sq_list waits; /* in the pager's list of reads */
};

struct sq_queue {
	struct sq_queue_cfg cfg;
	struct sq_engine *engine;
	const struct sq_metrics *metrics;
	struct sq_task task;
	atomic_uint refs;            /* of the handle, the posted task, and other holders */
	atomic_uint_fast64_t unsent; /* grows under the lock */

	pthread_mutex_t lock;
	struct sq_ring head, tail;
	struct sq_gap gap;
	uint64_t bytes;          /* of images in head and tail */
	uint64_t head_bytes;     /* in head alone */
	struct sq_charge charge; /* for items in memory */
	struct sq_queue_coming coming;
	struct sq_queue_yielding yielding;
	uint64_t last_seq; /* of the last stored item; an item that is not stored gets the same */
	uint64_t handed;   /* stored items up to this seq have left, or may have */
	struct sq_list consumers; /* struct sq_consumer; the head's turn is next */
	bool posted, deleted;
	struct sq_queue_figures figures;

	/* With a store only. */
	struct sq_queue_store *store;
	uint64_t id; /* in the store; 0: not durable */
	struct sq_queue_read read;
	struct sq_list paged; /* in the store's list of queues with items to page out */
};

/* --- life --- */

/* Makes a queue with one reference; 'store' is NULL, or outlives it. */
struct sq_queue *sq_queue_new(struct sq_engine *, struct sq_queue_store *store,
    const struct sq_metrics *, const struct sq_queue_cfg *);
struct sq_queue *sq_queue_ref(struct sq_queue *);
void sq_queue_unref(struct sq_queue *);
/* Ends the handle: drops the items in memory; no consumer is left. */
void sq_queue_close(struct sq_queue *);

/* --- what engine ops are made of; see engine.h --- */

void sq_queue_limits(struct sq_queue *, const struct sq_queue_cfg *);
bool sq_queue_full(const struct sq_queue *, uint32_t bytes);
bool sq_queue_busy(const struct sq_queue *);
size_t sq_queue_depth(const struct sq_queue *);
void sq_queue_attend(struct sq_queue *, int by);
bool sq_queue_yields(const struct sq_queue *, uint32_t bytes);
void sq_queue_state(const struct sq_queue *, struct sq_queue_state *);
bool sq_queue_peek(const struct sq_queue *, uint64_t from, struct sq_item *out);
int sq_queue_draw(struct sq_queue *, uint64_t from, uint64_t upto, struct sq_item *out);
bool sq_queue_recall(struct sq_queue *);
void sq_queue_scan(struct sq_queue *, struct sq_scan *);
void sq_queue_pause(struct sq_queue *, bool paused);
bool sq_queue_empty(const struct sq_queue *);
/* Makes room by the queue's policy and counts the item as coming.  SQ_ENOMEM: the item was
 * dropped. */
int sq_queue_offer(struct sq_queue *, struct sq_txn *, struct sq_item *item);
/* An offered item has been committed, and waits now. */
void sq_queue_arrive(struct sq_queue *, struct sq_item *item);
bool sq_queue_pass(struct sq_consumer *, struct sq_item *item);
/* Subtracts an item from the counters, which has been settled for good. */
void sq_queue_settled(struct sq_queue *, struct sq_item *item);
/* Takes back an item that was handed out, with its references. */
void sq_queue_back(struct sq_queue *, struct sq_item *item);
/* Counts an attempt; true: it was the last. */
bool sq_queue_tried(struct sq_queue *, struct sq_item *item);
/* Has an item that was handed out leave undelivered where 'how' says so: SQ_REJECT and those that
 * follow it. */
void sq_queue_dead_how(
    struct sq_queue *, struct sq_txn *, const struct sq_item *item, enum sq_settle_how how);
/* Counts an item that leaves undelivered, and calls sq_queue_cfg.dead(). */
void
sq_queue_dead(struct sq_queue *, struct sq_txn *, const struct sq_item *item, enum sq_death why);

void sq_queue_consume(struct sq_queue *, struct sq_consumer *);
void sq_queue_demand(struct sq_consumer *, const struct sq_demand *all);
void sq_queue_sent(struct sq_queue *, uint32_t n, uint64_t bytes);
void sq_queue_cancel(struct sq_consumer *);

/* --- with a store --- */

/* Sets the waiting items at a start: 'tail' in memory, which is taken over, behind 'gap'. */
void sq_queue_restore(struct sq_queue *, const struct sq_gap *gap, struct sq_ring *tail);
/* Removes the item with that seq from memory into 'out'; before the first consumer. */
bool sq_queue_claim(struct sq_queue *, uint64_t seq, struct sq_item *out);
/* Ends a read with 'n' items from the front of the gap, which continues at 'from'; 'end': the gap
 * is empty. */
void sq_queue_paged(struct sq_queue *, struct sq_item *items, size_t n, uint64_t from, bool end);
/* Begins a read of the gap, which nobody else changes until the read has ended.  True: the last
 * read failed; 'lacked' gets the bytes that memory was short of, or 0. */
bool sq_queue_reads(struct sq_queue *, struct sq_gap *gap, uint64_t *lacked);
/* Ends a read without an item: it failed ('lacks' 0), or memory was short of 'lacks' bytes.  The
 * store repeats it by itself, at 'from'.  False: the queue is gone, and the store stops reading. */
bool sq_queue_rest(struct sq_queue *, uint64_t lacks, uint64_t from);
/* Whether 'n' items of 'bytes' may be read into memory: false while memory is short, or the queue's
 * tenant has used up its share.  Thread: any.  Locks: the queue's is held. */
bool sq_queue_may_read(struct sq_queue *, uint64_t bytes, uint32_t n);
/* Drops items from memory that are in the tables, down to the queue's share of the cache; all of
 * them if memory is short and the queue has no demand. */
void sq_queue_page_out(struct sq_queue *);
/* The store's items are not held back any more.  Thread: any. */
void sq_queue_go_on(struct sq_queue *);
/* A read of the store for a scan: items 'from' to 'to'. */
struct sq_scan_read {
	uint64_t from, to;
	uint64_t gap_from; /* the gap's when it was asked for */
};
/* Whether the scan of the queue needs a read.  If not, it is complete, or has an error. */
bool sq_queue_scan_reads(struct sq_queue *, struct sq_scan *, struct sq_scan_read *);
/* Adds what waits up to 'upto': the store has the 'n' items until there, in order, which stay the
 * caller's. */
void sq_queue_scan_add(struct sq_queue *, struct sq_scan *, const struct sq_scan_read *,
    struct sq_item *read, size_t n, uint64_t upto);
/* Has done() run with 'err'; the scan is its owner's then.  Thread: any. */
void sq_queue_scan_end(struct sq_scan *, int err);
/* Whether the gap skips a seq; has it skip that of a claimed item. */
bool sq_queue_skips(const struct sq_queue *, uint64_t seq);
void sq_queue_skip(struct sq_queue *, const struct sq_item *claimed);
/* Has a gap skip a seq; under the lock of its queue. */
void sq_gap_skip(struct sq_gap *, uint64_t seq);
/* Whether a gap of the caller's skips a seq. */
bool sq_gap_skips(const struct sq_gap *, uint64_t seq);
/* The attempts of an item of the gap, whose copy in the store has had 'stored' of them. */
uint16_t sq_gap_attempts(const struct sq_gap *, uint64_t seq, uint16_t stored);

#endif
