/* A queue: what waits, in order, and who takes it.  Both engines use it; an engine
 * with a store keeps what does not fit into memory there.
 *
 * What waits stands in three parts: 'head' in memory, the 'gap', which is in the
 * store only, and 'tail' in memory.  Without a gap there is no tail.  Items leave
 * at the head; the gap is read into it from its front; committed items that nobody
 * takes go from the tail's front into the gap.
 *
 * The queue's lock guards it all; hand-outs run as a task on the owner. */
#ifndef SQ_BROKER_ENGINE_QUEUE_QUEUE_H
#define SQ_BROKER_ENGINE_QUEUE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/share/charge.h"
#include "broker/engine/engine.h"
#include "broker/engine/queue/ring.h"
#include "broker/metrics/metrics.h"

/* Items from seq 'from' to 'to' that are in the store only. */
struct sq_gap {
	uint64_t from, to;
	bool open; /* not read to its end yet */
	uint64_t n, bytes;
	uint64_t *skip; /* ascending: those that are settled or claimed, and not to be read */
	size_t n_skip;
};

/* The engine's store, as queues see it; all fields are its own. */
struct sq_queue_store {
	/* Has up to some items of the gap read; sq_queue_paged() or sq_queue_rest() follows.
	 * Under the lock. */
	void (*page)(struct sq_queue *);
	/* Bytes of a transaction that are to be durable so far. */
	uint64_t (*txn_bytes)(const struct sq_txn *);
	atomic_bool full;           /* it can't take more */
	atomic_uint_fast64_t clean; /* seqs below this are in the store's tables */
	uint64_t cache;             /* bytes of waiting items that its queues may keep in memory */
	atomic_uint_fast64_t held;  /* queues that have any there */
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

/* What was handed out and not sent, in one word: messages above, bytes below. */
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

/* Transactions on their way to a queue: items that were put, and are not committed. */
struct sq_queue_coming {
	uint64_t n, bytes;
};

/* Takers of a queue: see sq_queue_ops.attend. */
struct sq_queue_takers {
	unsigned n;
	uint64_t lonely_since_ms; /* 0: there are some */
};

/* The read of a gap by the queue's store. */
struct sq_queue_read {
	bool pending;         /* it is on its way */
	bool resting;         /* the last one brought nothing: the store reads again by itself */
	bool failed;          /* because it failed */
	uint64_t lacks;       /* or because there was no memory for so many bytes */
	struct sq_list waits; /* for it */
};

struct sq_queue {
	struct sq_queue_cfg cfg;
	struct sq_engine *engine;
	struct sq_metrics metrics;
	struct sq_task task;
	atomic_uint refs;            /* of the handle, the task while posted, and other holders */
	atomic_uint_fast64_t unsent; /* grows under the lock */

	pthread_mutex_t lock;
	struct sq_ring head, tail;
	struct sq_gap gap;
	uint64_t bytes;          /* of images in head and tail */
	uint64_t head_bytes;     /* in head alone */
	struct sq_charge charge; /* for items in memory */
	struct sq_queue_coming coming;
	uint64_t last_seq; /* of the last stored item; items that are not stored get it, too */
	uint64_t handed;   /* up to here stored items have left, or may have */
	uint64_t over;     /* items above the limits when these were set that still wait */
	struct sq_list consumers; /* struct sq_consumer; the head's turn is next */
	bool posted, deleted;
	struct sq_queue_takers takers;

	/* With a store only. */
	struct sq_queue_store *store;
	uint64_t id; /* in the store; 0: not durable */
	struct sq_queue_read read;
	struct sq_list paged; /* of the store's queues that may have to page out */
};

/* --- life --- */

/* A queue with one reference; 'store' is NULL, or outlives it. */
struct sq_queue *sq_queue_new(struct sq_engine *, struct sq_queue_store *store,
    const struct sq_metrics *, const struct sq_queue_cfg *);
struct sq_queue *sq_queue_ref(struct sq_queue *);
void sq_queue_unref(struct sq_queue *);
/* The handle ends: what is in memory is dropped, consumers are gone. */
void sq_queue_close(struct sq_queue *);

/* --- what engine ops are made of; see engine.h --- */

void sq_queue_limits(struct sq_queue *, const struct sq_queue_cfg *);
bool sq_queue_full(const struct sq_queue *, uint32_t bytes);
bool sq_queue_busy(const struct sq_queue *);
size_t sq_queue_depth(const struct sq_queue *);
void sq_queue_attend(struct sq_queue *, int by);
bool sq_queue_yields(const struct sq_queue *, uint32_t bytes);
void sq_queue_state(const struct sq_queue *, struct sq_queue_state *);
bool sq_queue_empty(const struct sq_queue *);
/* Makes room as the policy says and counts the item as coming; SQ_ENOMEM drops it. */
int sq_queue_offer(struct sq_queue *, struct sq_txn *, struct sq_item *item);
/* An offered item is there. */
void sq_queue_arrive(struct sq_queue *, struct sq_item *item);
bool sq_queue_pass(struct sq_consumer *, struct sq_item *item);
/* An item is settled for good: the counters forget it. */
void sq_queue_settled(struct sq_queue *, struct sq_item *item);
/* One that was handed out comes back; takes its references. */
void sq_queue_back(struct sq_queue *, struct sq_item *item);
/* Counts an attempt; true when it was the last. */
bool sq_queue_tried(struct sq_queue *, struct sq_item *item);
/* Counts an item that leaves undelivered, and tells the broker. */
void
sq_queue_dead(struct sq_queue *, struct sq_txn *, const struct sq_item *item, enum sq_death why);

void sq_queue_consume(struct sq_queue *, struct sq_consumer *);
void sq_queue_demand(struct sq_consumer *, const struct sq_demand *all);
void sq_queue_sent(struct sq_queue *, uint32_t n, uint64_t bytes);
void sq_queue_cancel(struct sq_consumer *);

/* --- with a store --- */

/* What waits at a start: 'tail' in memory, which is taken, behind 'gap'. */
void sq_queue_restore(struct sq_queue *, const struct sq_gap *gap, struct sq_ring *tail);
/* Takes the item with that seq out of memory, before anybody consumes. */
bool sq_queue_claim(struct sq_queue *, uint64_t seq, struct sq_item *out);
/* A read has ended: 'n' items from the front of the gap; it goes on at 'from'.  The
 * gap is over when 'end'. */
void sq_queue_paged(struct sq_queue *, struct sq_item *items, size_t n, uint64_t from, bool end);
/* A read begins, of the gap as it is: nobody else changes it until it has ended.  True
 * when the last one failed; 'lacked' is what it had no memory for, or 0. */
bool sq_queue_reads(struct sq_queue *, struct sq_gap *gap, uint64_t *lacked);
/* It has failed without an item, or there was no memory for one of 'lacks' bytes (0: it has
 * failed): nobody asks again, the store has to, at 'from'.  False: the queue is gone, and nothing
 * is to be read any more. */
bool sq_queue_rest(struct sq_queue *, uint64_t lacks, uint64_t from);
/* Whether 'n' items of 'bytes' may be read into memory: not where little is left of it, nor
 * where the queue's tenant has its share.  Thread: any.  Locks: the queue's. */
bool sq_queue_may_read(struct sq_queue *, uint64_t bytes, uint32_t n);
/* Leaves what is in the tables to them, as far as the queue has more than its share; where
 * memory runs short and nobody asks the queue for items, all of it. */
void sq_queue_page_out(struct sq_queue *);
/* Whether the gap leaves a seq out; leaves out that of an item that was claimed. */
bool sq_queue_skips(const struct sq_queue *, uint64_t seq);
void sq_queue_skip(struct sq_queue *, const struct sq_item *claimed);
/* The same for a gap of the caller's. */
bool sq_gap_skips(const struct sq_gap *, uint64_t seq);

#endif
