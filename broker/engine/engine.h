/* The engine: where queues and records live, and what makes them durable.
 *
 * A vtable with one contract, and one contract suite (test/contract/) that runs
 * on every engine.  The broker resolves a message to queues and gives the engine
 * transactions; the engine hands items of a queue to its consumers.
 *
 *  - Nothing blocks a loop.  A transaction's done() and a consumer's take() run
 *    as tasks on the worker that they belong to, never from inside a call.
 *  - What a transaction holds becomes durable together, or not at all.  An
 *    engine that can't write does not fail commits: it stalls, is not healthy, and
 *    says of every durable queue that it is full.  Items of a durable queue are
 *    handed out after their commit, those of another one may be at once.
 *  - done() comes for the transactions of one worker in the order of their
 *    commits, but those that hold nothing durable need not wait for the others.
 *  - Items of a queue are handed out in the order of their commits.  What comes
 *    back unsettled stands at the head again, in its old order.
 *  - Every item carries its origin, so that an engine that can't commit messages
 *    and session numbers together can still tell a second copy.
 *  - Queues that are not durable and QoS 0 items live in memory in every engine. */
#ifndef SQ_BROKER_ENGINE_H
#define SQ_BROKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/share/share.h"
#include "web/worker.h"
#include "core/block.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/metrics.h"
#include "core/msg.h"
#include "proto/link/frame.h"
#include "store/journal.h"

struct sq_engine;
struct sq_queue;
struct sq_txn;

/* A message in a queue. */
struct sq_item {
	struct sq_msg msg;     /* a reference */
	struct sq_block *subs; /* subscription identifiers, u32 each, or NULL; a reference */
	struct sq_origin origin;
	uint64_t seq;        /* place in its queue; the engine's */
	uint64_t expires_ms; /* on the workers' clock; 0: never */
	uint8_t qos;         /* of this delivery */
	bool retain;         /* as the subscriber shall see it */
	bool assured;        /* QoS 3: see dead() */
	bool stored;         /* the engine's: a copy of it is durable */
	bool unsent;         /* handed out by a queue, where it goes on counting: see sent() */
	uint8_t round;       /* of its queue's bindings when it was put, 0: of none; the broker's,
			      * and not durable: see broker/session/order.h */
	uint16_t attempts;   /* times that it came back from a consumer */
};

void sq_item_fini(struct sq_item *);

/* What an item takes in a store, about: what it is itself, and its key and head. */
static inline uint64_t
sq_item_stored_bytes(const struct sq_item *item)
{
	enum { HEAD = 96 };

	return HEAD + sq_image_size(item->msg.image) + (item->subs != NULL ? item->subs->size : 0);
}

/* Why an item leaves its queue without having been delivered. */
enum sq_death {
	SQ_DEAD_EXPIRED,
	SQ_DEAD_ATTEMPTS,   /* came back as often as it may */
	SQ_DEAD_REJECTED,   /* by a consumer */
	SQ_DEAD_UNFINISHED, /* the one consumer that may have it has ended */
	SQ_DEAD_OVERFLOW,   /* the oldest, for a newer one */
	SQ_DEAD_ABANDONED,  /* the same where nobody takes from the queue */
};

/* When a full queue with SQ_OVERFLOW_REJECT_PUBLISH makes room for an item of QoS 1 or 2
 * that is not assured: its oldest leave, up to the first that is assured. */
enum sq_yield {
	SQ_YIELD_NEVER,
	SQ_YIELD_LONELY, /* while nobody takes from it: see queue_attend() */
	SQ_YIELD_ALWAYS,
};

struct sq_queue_state {
	uint64_t n, bytes;             /* messages that wait, and their images */
	uint64_t coming, coming_bytes; /* those that transactions on their way have put */
	uint64_t first, last; /* seq of the oldest that waits (0: none), of the newest there was */
	unsigned takers;      /* see queue_attend() */
	uint64_t lonely_since_ms; /* since when there is none, on the workers' clock; 0: there is */
	uint64_t max_msgs, max_bytes; /* its limits */
	bool store_full; /* the store that it is in takes nothing, whatever waits here */
	uint64_t share;  /* bytes of one more message for which its account has room */
	uint64_t memory,
	    fair; /* the same of its tenant's memory, and of its own part of what is free */
};

struct sq_queue_cfg {
	const char *name;        /* for logs and the store, where it is unique; copied */
	struct sq_worker *owner; /* whose thread hands items out */
	uint32_t max_msgs;
	uint64_t max_bytes;        /* of images */
	enum sq_overflow overflow; /* resolved: not SQ_OVERFLOW_DEFAULT */
	enum sq_yield yields;
	uint32_t max_attempts; /* 0: any */
	bool durable;
	bool uncounted; /* dead() counts what leaves for a newer one, the engine does not */
	/* An item of QoS 1 or 2 leaves so.  What the callee puts into 'txn' becomes
	 * durable together with that.  On the worker of 'txn', with no lock held; the
	 * item is the engine's.  NULL: it is only counted, as it is in any case. */
	void (*dead)(void *arg, struct sq_txn *txn, const struct sq_item *item, enum sq_death why);
	void *arg;
	/* Whose share of the store is counted by what waits or is unsettled here; NULL: nobody's.
	 * Where that has no room, the queue has none. */
	struct sq_account *account;
	/* Whose share of memory is counted by what waits here in memory; NULL: nobody's.  What is in
	 * no store finds no room where that has none. */
	struct sq_account *memory;
	bool letters; /* they count as dead letters, too */
	/* Counts what it drops for want of room, if it is not NULL; outlives the queue. */
	_Atomic int64_t *dropped;
};

/* What a consumer may be handed: items, those of QoS 1 and 2 among them, and bytes of
 * images, of which there is one at least and the last item may exceed them. */
struct sq_demand {
	uint32_t msgs, slots;
	uint64_t bytes;
};

static inline bool
sq_demand_covers(const struct sq_demand *d, const struct sq_item *item)
{
	return d->msgs > 0 && d->bytes > 0 && (item->qos == 0 || d->slots > 0);
}

/* An item that is covered was handed out. */
static inline void
sq_demand_take(struct sq_demand *d, const struct sq_item *item)
{
	uint32_t bytes = sq_image_size(item->msg.image);

	d->msgs--;
	d->slots -= item->qos > 0;
	d->bytes -= bytes < d->bytes ? bytes : d->bytes;
}

/* Receives items of one queue on its own worker.  The owner embeds it, zeroed,
 * and keeps it until cancelled() has run. */
struct sq_consumer {
	struct sq_worker *worker;
	/* The items are the owner's now; he settles those of QoS 1 and 2 by
	 * transactions.  At QoS 0 to hand out is to settle. */
	void (*take)(struct sq_consumer *, struct sq_item *items, size_t n);
	void (*cancelled)(struct sq_consumer *); /* after sq_engine_ops.cancel */

	/* The engine's. */
	struct sq_queue *queue;
	struct sq_list node;
	struct sq_task task;
	struct sq_demand demand;
	struct sq_demand way; /* handed out, on its way to another worker */
	bool stopped;
};

enum sq_settle_how {
	SQ_DONE,       /* delivered */
	SQ_REQUEUE,    /* back to its old place; it counts as an attempt */
	SQ_UNTRIED,    /* the same without an attempt; also at QoS 0 */
	SQ_REJECT,     /* never again: dead() */
	SQ_UNFINISHED, /* the consumer has ended, and nobody else may have it: dead() */
};

/* Small durable values that the broker keeps beside its queues: sessions,
 * retained messages and the like (broker/engine/record.h).  A key is written as often as
 * its value changes; the last commit counts. */
struct sq_record_key {
	uint8_t kind;
	uint64_t id, sub;
};

/* A transaction.  The caller embeds it, zeroed but for 'worker', 'engine' and
 * 'done', and keeps it until done() runs on 'worker'. */
struct sq_txn {
	struct sq_worker *worker;
	struct sq_engine *engine;
	void (*done)(struct sq_txn *, int err); /* 0, or SQ_EIO: nothing of it holds */

	/* The engine's. */
	struct sq_task task;
	struct sq_journal_entry entry;
	struct sq_buf log;   /* what is to be durable */
	struct sq_buf ops;   /* what follows the commit in memory */
	size_t last_message; /* where the last message stands in it */
	bool pressing;       /* it is not settlements only */
	int64_t wall_ahead;  /* what the wall clock is ahead of the workers'; 0: not asked yet */
};

struct sq_engine_cfg {
	const struct sq_metrics *metrics;
	size_t n_workers;
	/* Of an engine with files. */
	const char *dir;
	enum sq_durability durability;
	uint64_t interval_ms;
	uint64_t journal_bytes; /* of messages and changes that are in the journal only */
	uint64_t max_bytes;     /* of the rest */
	uint64_t cache_bytes;   /* of waiting messages that are also in memory */
	/* The most that txn_room() lets into a transaction; 0: what the engine can. */
	uint64_t txn_bytes, txn_items;
};

struct sq_engine_ops {
	const char *name; /* as written in the configuration */
	bool durable;     /* keeps what was committed over a restart */

	/* NULL with a line in 'err'. */
	struct sq_engine *(*open)(const struct sq_engine_cfg *, struct sq_buf *err);
	/* All workers have stopped, all queues may still be open. */
	void (*close)(struct sq_engine *);
	/* False with a line in 'why' while nothing can be made durable, or when something
	 * that was durable is damaged; from any thread. */
	bool (*healthy)(struct sq_engine *, struct sq_buf *why);
	/* Whether commits have waited for long now; from any thread. */
	bool (*stalled)(struct sq_engine *);
	/* Whether the store is as full as it may be.  Whoever would make something new asks
	 * before, and refuses it; what ends something, or goes on with what is there, has room
	 * kept for it.  A disk that is full is none of this: what is new waits there for its
	 * commit.  From any thread; NULL: never. */
	bool (*full)(const struct sq_engine *);

	/* --- start: in the order open, load, queue_open and claim, ready --- */

	/* Calls 'fn' for each record of a kind, by ascending id and sub. */
	int (*load)(struct sq_engine *, uint8_t kind,
	    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg);
	/* Why the last load() or claim() of this thread failed, or ""; NULL where none can. */
	const char *(*load_error)(const struct sq_engine *);
	/* Takes one item, by its seq, out of a queue: it was handed out before the
	 * restart and its consumer goes on with it.  SQ_ENOTFOUND: it was settled.
	 * SQ_EINVAL: it is damaged.  Else it can't be read just now. */
	int (*claim)(struct sq_queue *, uint64_t seq, struct sq_item *out);
	/* Whoever has a durable queue has opened it: the others are deleted. */
	void (*ready)(struct sq_engine *);

	/* --- queues --- */

	/* Declares a queue; from any worker.  A durable one goes on with what its name
	 * holds in the store; a new one is made by 'txn', without which nothing durable
	 * is made.  Limits are those of 'cfg'. */
	struct sq_queue *(*queue_open)(
	    struct sq_engine *, struct sq_txn *txn, const struct sq_queue_cfg *cfg);
	/* Deletes it with what it holds; the handle is dead.  All consumers were
	 * cancelled, though cancelled() may not have run; transactions that have put
	 * or settled here may still be on their way.  'txn' as above. */
	void (*queue_delete)(struct sq_txn *txn, struct sq_queue *);
	/* The handle is dead, what is durable stays: at the broker's end. */
	void (*queue_close)(struct sq_queue *);

	/* Changes max_msgs, max_attempts, overflow and yields to those of 'cfg'; from any worker.
	 * Nothing that waits is dropped: a queue that has more than its new limit takes none,
	 * or where the oldest makes room one for one, until less waits.  A smaller
	 * max_attempts counts at the next return. */
	void (*queue_limits)(struct sq_queue *, const struct sq_queue_cfg *cfg);

	/* Whether a put of 'bytes' would be refused now; from any worker. */
	bool (*queue_full)(const struct sq_queue *, uint32_t bytes);
	/* Whether so much waits that whoever puts should slow down; from any worker. */
	bool (*queue_busy)(const struct sq_queue *);
	/* Messages that wait: in the queue, or handed out and not sent. */
	size_t (*queue_depth)(const struct sq_queue *);
	/* The broker says who is there to take from the queue: one more (1), or one less
	 * (-1).  They need not consume at the moment, and consumers need not be among them.
	 * From any worker, and before they turn. */
	void (*queue_attend)(struct sq_queue *, int by);
	/* Whether the queue, which is full, would make room for an item of 'bytes' that is not
	 * assured: it yields, the oldest is not assured, and the store and the share of its
	 * account have room, as nobody leaves where these are short.  For a while it may
	 * hold more than its limits then, by a bounded number: where its oldest are
	 * on their way to the disk or from it.  From any worker. */
	bool (*queue_yields)(const struct sq_queue *, uint32_t bytes);
	/* From any thread. */
	void (*queue_state)(const struct sq_queue *, struct sq_queue_state *);
	/* Whether nothing waits and no transaction that is on its way has put anything;
	 * what is handed out does not count. */
	bool (*queue_empty)(const struct sq_queue *);

	/* --- transactions --- */

	/* Whether the transaction has room for so many more items and records, and for 'bytes'
	 * of images, subscription identifiers and values.  Items of one message that are put one
	 * behind the other have its image once.  What does not fit into a transaction that holds
	 * nothing fits into none.  Whoever puts what has no bound asks before: for more than that
	 * there is no promise. */
	bool (*txn_room)(const struct sq_txn *, uint64_t items, uint64_t bytes);
	/* Adds an item to the transaction; takes the item's references.  Returns
	 * SQ_ENOMEM, and drops the item, where the queue is full and its policy is not
	 * to drop the oldest, and SQ_ECLOSED where the queue was deleted: either is counted.
	 * With SQ_OVERFLOW_REJECT_PUBLISH an item of QoS 1 or 2 is
	 * always taken: the publisher has asked queue_full(), and what it was told must
	 * hold when several workers put at a time. */
	int (*put)(struct sq_txn *, struct sq_queue *, struct sq_item *item);
	/* A put that hands the item out at once: where nothing waits before it, 'c' has
	 * demand, and the item needs no commit first.  Then it returns true, the item is
	 * in the transaction and, as by take(), the caller's.  Otherwise nothing has
	 * happened.  From the consumer's worker. */
	bool (*pass)(struct sq_txn *, struct sq_consumer *c, struct sq_item *item);
	/* Settles an item that was handed out.  SQ_REQUEUE and SQ_UNTRIED take the
	 * references of 'item'; otherwise only its seq, size and 'stored' count. */
	void (*settle)(
	    struct sq_txn *, struct sq_queue *, struct sq_item *item, enum sq_settle_how how);
	/* Writes a record; a value without bytes ('p' is NULL) deletes it. */
	void (*record)(struct sq_txn *, const struct sq_record_key *, struct sq_bytes value);
	/* Whether the transaction holds anything durable so far. */
	bool (*is_durable)(const struct sq_txn *);
	/* Ends the building of the transaction; done() follows. */
	void (*commit)(struct sq_txn *);

	/* --- consumers --- */

	/* The consumer takes items as far as it has demand; several consumers of a
	 * queue take turns.  From the consumer's worker. */
	void (*consume)(struct sq_queue *, struct sq_consumer *);
	/* How much it takes from now on, what is on its way to it included; in the place
	 * of what it has asked for before. */
	void (*demand)(struct sq_consumer *, const struct sq_demand *all);
	/* What take() has brought goes on counting in the bounds of its queue until it has
	 * left for the client, which this says of 'n' items of 'bytes' together (whose
	 * 'unsent' the caller clears), or until it is settled. */
	void (*sent)(struct sq_queue *, uint32_t n, uint64_t bytes);
	/* No take() after cancelled() has run; unsettled items are the consumer's to
	 * settle.  From the consumer's worker. */
	void (*cancel)(struct sq_consumer *);
};

struct sq_engine {
	const struct sq_engine_ops *ops;
	uint64_t store; /* whose state this is: drawn when the store was made */
	uint32_t boot;  /* the how manieth opening of it, from 1 */
};

static inline bool
sq_engine_full(const struct sq_engine *e)
{
	return e->ops->full != NULL && e->ops->full(e);
}

extern const struct sq_engine_ops sq_engine_memory;
extern const struct sq_engine_ops sq_engine_embedded;

#endif
