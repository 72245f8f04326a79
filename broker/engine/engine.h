/* The engine keeps queues and records, and makes them durable.
 *
 * Structure:
 *
 *   sq_engine     one for the process.  'ops' is its contract; engines/ lists all of them, and
 *                 test/contract/test_engine.c is the suite that runs on each.
 *   sq_queue      waiting messages, in order; made and ended by sq_queue_ops.
 *   sq_item       a message in a queue (item.h).
 *   sq_txn        puts, settlements and records that become durable together.  The broker embeds
 *                 it; sq_txn_ops fill and commit it.
 *   sq_consumer   takes items of one queue, on one worker; sq_consumer_ops.
 *   sq_scan       a look at what waits in a queue (scan.h).
 *   record        a small durable value beside the queues (record.h).
 *
 *   broker --txn: put, settle, record, commit--> engine --take()--> consumer
 *                                                   |
 *                                                   +--done()--> owner of the transaction
 *
 * Rules of the contract:
 *
 *  - No call blocks a loop.  done() of a transaction and take() of a consumer run as tasks on their
 *    own workers, never inside a call.
 *  - A transaction becomes durable as a whole, or not at all.  An engine that can't write does not
 *    fail commits: it stalls, is not healthy, and calls every durable queue full.  Items of a
 *    durable queue are handed out after their commit; items of other queues may be at once.
 *  - done() comes for the transactions of one worker in the order of their commits.  Transactions
 *    that hold nothing durable need not wait for the others.
 *  - Items of a queue are handed out in the order of their commits.  An item that comes back
 *    unsettled stands at the head again, in its old order.
 *  - Every item carries its origin, so that an engine that can't commit messages and session
 *    numbers together can still recognize a second copy.
 *  - Queues that are not durable and QoS 0 items live in memory in every engine. */
#ifndef SQ_BROKER_ENGINE_H
#define SQ_BROKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/engine/item.h"
#include "broker/engine/scan.h"
#include "broker/engine/txn.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/list.h"
#include "core/metrics.h"
#include "core/task.h"

struct sq_account;
struct sq_engine;
struct sq_engine_files;
struct sq_log;
struct sq_queue;
struct sq_worker;

/* When a full queue with SQ_OVERFLOW_REJECT_PUBLISH makes room for an item of QoS 1 or 2 that is
 * not assured: its oldest items leave, up to the first assured one. */
enum sq_yield {
	SQ_YIELD_NEVER,
	SQ_YIELD_LONELY, /* while the queue has no takers: see sq_queue_ops.attend */
	SQ_YIELD_ALWAYS,
};

struct sq_queue_state {
	uint64_t n, bytes;             /* messages that wait, and their images */
	uint64_t coming, coming_bytes; /* put by transactions that are not committed */
	uint64_t unsettled;            /* handed out and sent, and not settled */
	uint64_t first, last; /* seq of the oldest that waits (0: none), of the newest ever */
	unsigned takers;      /* see sq_queue_ops.attend */
	uint64_t
	    lonely_since_ms; /* when the last taker left, on the workers' clock; 0: there is one */
	uint64_t max_msgs, max_bytes; /* its limits */
	uint32_t max_attempts;        /* 0: any number */
	enum sq_overflow overflow;
	bool paused;             /* see sq_queue_ops.pause */
	bool store_full;         /* the queue's store accepts no items */
	uint64_t share;          /* bytes of the next message for which the account has room */
	uint64_t memory;         /* the same, of the tenant's memory */
	uint64_t fair;           /* the same, of the queue's part of free memory */
	uint32_t left[SQ_LEFTS]; /* since the queue was opened, cut to 32 bits */
};

struct sq_queue_cfg {
	const char *name;        /* for logs and the store, where it is unique; copied */
	struct sq_worker *owner; /* its thread hands items out */
	uint32_t max_msgs;
	uint64_t max_bytes;        /* of images */
	enum sq_overflow overflow; /* resolved: not SQ_OVERFLOW_DEFAULT */
	enum sq_yield yields;
	uint32_t max_attempts; /* 0: any number */
	bool durable;
	bool paused;    /* from the start: see sq_queue_ops.pause */
	bool timed;     /* items keep when they were put: sq_item.arrived_ms */
	bool uncounted; /* dead() counts overflow, the engine does not */
	/* An item of QoS 1 or 2 leaves undelivered.  Changes that the callee puts into 'txn' become
	 * durable together with its removal.  Runs on the worker of 'txn' with no lock held; the
	 * item is the engine's.  NULL: the engine only counts, which it does in any case. */
	void (*dead)(void *arg, struct sq_txn *txn, const struct sq_item *item, enum sq_death why);
	void *arg;
	/* Account whose share of the store is charged for items that wait or are unsettled here;
	 * NULL: none.  An account without room makes the queue full. */
	struct sq_account *account;
	/* Account whose share of memory is charged for items in memory; NULL: none.  Items that
	 * are in no store find no room where it has none. */
	struct sq_account *memory;
	bool letters; /* items count as dead letters, too */
	/* Counts items dropped for want of room; NULL: not counted; outlives the queue. */
	_Atomic int64_t *dropped;
};

/* Receives items of one queue on its own worker.  The owner embeds it, zeroed, and keeps it until
 * cancelled() has run. */
struct sq_consumer {
	struct sq_worker *worker;
	/* Hands items over to the owner, which settles those of QoS 1 and 2 by transactions.  QoS 0
	 * needs no settlement. */
	void (*take)(struct sq_consumer *, struct sq_item *items, size_t n);
	void (*cancelled)(struct sq_consumer *); /* after sq_consumer_ops.cancel */

	/* The engine's. */
	struct sq_queue *queue;
	struct sq_list node;
	struct sq_task task;
	struct sq_demand demand;
	struct sq_demand way; /* handed out, on its way to another worker */
	bool stopped;
};

/* Who may use the state of an engine. */
enum sq_engine_role {
	SQ_ENGINE_FOLLOWS, /* another broker does; what it makes durable is applied here, too */
	SQ_ENGINE_OWNS,    /* this one */
	SQ_ENGINE_LOST, /* another one has taken it over: nothing is made durable any more; final */
};

/* A start runs in the order open, own, load, queue.open and claim, ready; on one thread. */
struct sq_start_ops {
	/* The role is SQ_ENGINE_OWNS: what has been followed becomes the state of a start, the same as
	 * after a restart at this point.  NULL in the table: an engine that owns from its open. */
	void (*own)(struct sq_engine *);
	/* Calls 'fn' for each record of a kind, by ascending id and sub.  0, or an error that
	 * load_error() explains. */
	int (*load)(struct sq_engine *, uint8_t kind,
	    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg);
	/* The reason for the last failed load() or claim() of this thread, or ""; a NULL pointer in
	 * the table: neither can fail. */
	const char *(*load_error)(const struct sq_engine *);
	/* Takes one item, by its seq, out of a queue: it was handed out before the restart, and
	 * its consumer continues with it.  SQ_ENOTFOUND: it was settled.  SQ_EINVAL: it is
	 * damaged.  Other errors: it can't be read at the moment. */
	int (*claim)(struct sq_queue *, uint64_t seq, struct sq_item *out);
	/* All durable queues that are still wanted are open: the engine deletes the others. */
	void (*ready)(struct sq_engine *);
};

struct sq_queue_ops {
	/* Opens a queue with the limits of 'cfg'.  A durable one continues with the store's items
	 * of its name; 'txn' makes a new one, and NULL makes nothing durable.  Thread: any
	 * worker. */
	struct sq_queue *(*open)(
	    struct sq_engine *, struct sq_txn *txn, const struct sq_queue_cfg *cfg);
	/* Deletes the queue with its items, and ends the handle.  All consumers are cancelled,
	 * though cancelled() may not have run; transactions that have put or settled here may be
	 * uncommitted.  'txn' as in open(). */
	void (*delete)(struct sq_txn *txn, struct sq_queue *);
	/* Ends the handle at the end of the broker; durable items stay. */
	void (*close)(struct sq_queue *);
	/* Changes max_msgs, max_bytes, max_attempts, overflow and yields to those of 'cfg'.  Nothing that
	 * waits is dropped: a queue above its new limit takes none, or one for each oldest that
	 * leaves, until less waits.  A smaller max_attempts counts at the next return.
	 * Thread: any worker. */
	void (*limits)(struct sq_queue *, const struct sq_queue_cfg *cfg);
	/* Whether a put of 'bytes' would be refused now.  Thread: any worker. */
	bool (*full)(const struct sq_queue *, uint32_t bytes);
	/* Whether publishers should slow down, because of the length of the queue.  Thread: any
	 * worker. */
	bool (*busy)(const struct sq_queue *);
	/* The number of waiting messages: in the queue, or handed out and not sent. */
	size_t (*depth)(const struct sq_queue *);
	/* Adds (1) or removes (-1) a taker of the queue.  Takers need not consume at the moment,
	 * and consumers need not be takers.  Thread: any worker, and before workers turn. */
	void (*attend)(struct sq_queue *, int by);
	/* Whether the queue, which is full, would make room for an item of 'bytes' that is not
	 * assured: it yields, its oldest is not assured, and store and account have room (nobody
	 * leaves for want of these).  The queue may exceed its limits for a while, by a bounded
	 * number: while its oldest are on their way to the disk or from it.
	 * Thread: any worker. */
	bool (*yields)(const struct sq_queue *, uint32_t bytes);
	/* Thread: any. */
	void (*state)(const struct sq_queue *, struct sq_queue_state *);
	/* Copies the first message that waits in memory with 'from' as its seq, or a greater one,
	 * with a reference to its image alone; false: there is none.  Messages that only the store
	 * has are passed over.  Thread: any. */
	bool (*peek)(const struct sq_queue *, uint64_t from, struct sq_item *out);
	/* Takes the first item out of its turn that waits and has 'from' as its seq, or a greater
	 * one up to 'upto': it is the caller's to settle, as one that a consumer was handed and has
	 * sent on; also one that has expired.  SQ_ENOTFOUND: there is none.  SQ_EAGAIN: the store
	 * may have it and is reading, or the engine has no lease (leased()); the caller asks again
	 * in a later turn.  SQ_ENOMEM: the store
	 * may have it, and it can't be read now.  Thread: any worker. */
	int (*draw)(struct sq_queue *, uint64_t from, uint64_t upto, struct sq_item *out);
	/* Has messages that only the store has read, so that peek() and draw() find them, as long
	 * as the queue's part of the store's cache has room.  True: some are on their way.
	 * Thread: any. */
	bool (*recall)(struct sq_queue *);
	/* Begins a look at what waits, in order, also of what only the store has, which is read off
	 * the loop: scan.h.  Thread: any worker, which is the scan's. */
	void (*scan)(struct sq_queue *, struct sq_scan *);
	/* While a queue is paused, nothing of it is handed out: to no consumer, and by no pass();
	 * what was before may still be on its way to a consumer of another worker.  Puts, returns and
	 * draw() go on, and what expires leaves when it is to be handed out.  Nothing of it is
	 * durable.  Thread: any worker. */
	void (*pause)(struct sq_queue *, bool paused);
	/* Whether nothing waits and no uncommitted transaction has put an item; items that are
	 * handed out do not count. */
	bool (*empty)(const struct sq_queue *);
};

/* All on the transaction's worker. */
struct sq_txn_ops {
	/* Whether the transaction has room for 'items' more items and records, and for 'bytes' of
	 * images, subscription identifiers and values.  Consecutive puts of one message store its
	 * image once.  An amount that does not fit into an empty transaction fits into none.
	 * Before each of an unbounded number of puts, the caller asks for room, commits when there
	 * is none, and continues in the next transaction, so that no put is dropped for want of
	 * room in the transaction. */
	bool (*room)(const struct sq_txn *, uint64_t items, uint64_t bytes);
	/* Adds an item to the transaction; takes the item's references.  SQ_ENOMEM: the queue is
	 * full and does not drop its oldest, and the item is dropped.  SQ_ECLOSED: the queue was
	 * deleted.  Either is counted.  With SQ_OVERFLOW_REJECT_PUBLISH an item of QoS 1 or 2 is
	 * always taken: the publisher has asked sq_queue_ops.full, and its answer must hold when
	 * several workers put at a time. */
	int (*put)(struct sq_txn *, struct sq_queue *, struct sq_item *item);
	/* A put that hands the item out at once, if nothing waits before it, 'c' has demand, and
	 * the item needs no commit first.  True: the item is in the transaction and, like after
	 * take(), the caller's.  False: nothing has happened.  On the consumer's worker. */
	bool (*pass)(struct sq_txn *, struct sq_consumer *c, struct sq_item *item);
	/* Settles an item that was handed out.  SQ_REQUEUE and SQ_UNTRIED take the references of
	 * 'item'.  SQ_TRIED changes its 'attempts', which may exceed max_attempts, as the caller
	 * decides what follows; the item and its references stay the caller's, and another settlement
	 * of it may be in the same transaction.  The others leave the references to the caller, too;
	 * dead() of the queue may see the item. */
	void (*settle)(
	    struct sq_txn *, struct sq_queue *, struct sq_item *item, enum sq_settle_how how);
	/* Writes a record; a value without bytes ('p' is NULL) deletes it. */
	void (*record)(struct sq_txn *, const struct sq_record_key *, struct sq_bytes value);
	/* Whether the transaction holds a durable change so far. */
	bool (*is_durable)(const struct sq_txn *);
	/* Ends the building of the transaction; done() follows. */
	void (*commit)(struct sq_txn *);
};

/* All on the consumer's worker. */
struct sq_consumer_ops {
	/* The consumer takes items within its demand; several consumers of a queue take turns. */
	void (*consume)(struct sq_queue *, struct sq_consumer *);
	/* Replaces the consumer's demand, items on their way to it included. */
	void (*demand)(struct sq_consumer *, const struct sq_demand *all);
	/* 'n' items of 'bytes' together have left for the client.  Until then, or until it is
	 * settled, an item that take() has brought counts in the bounds of its queue.  The caller
	 * clears 'unsent' of these items. */
	void (*sent)(struct sq_queue *, uint32_t n, uint64_t bytes);
	/* No take() after cancelled() has run; unsettled items are the consumer's to settle. */
	void (*cancel)(struct sq_consumer *);
};

struct sq_engine_cfg {
	const struct sq_metrics *metrics;
	size_t n_workers;
	/* Of an engine with files (broker/engine/files.h), copied; others do not look at it. */
	const struct sq_engine_files *files;
	/* The most that sq_txn_ops.room lets into a transaction; 0: the engine's own limit. */
	uint64_t txn_bytes, txn_items;
	/* The role has become OWNS or LOST, with a line of why where it is LOST.  Before it says OWNS only
	 * close(), healthy() and own() may be called, own() after it.  Thread: any, during open(), too.
	 * Must not block, or call the engine but for log().  NULL: nobody wants to know. */
	void (*role)(void *owner, enum sq_engine_role, const char *why);
	void *owner;
};

struct sq_engine_ops {
	const char *name; /* in the configuration */
	bool durable;     /* keeps committed transactions over a restart */

	/* NULL with a line in 'err'. */
	struct sq_engine *(*open)(const struct sq_engine_cfg *, struct sq_buf *err);
	/* All workers have stopped, all queues may still be open. */
	void (*close)(struct sq_engine *);
	/* Whether the engine works.  False with a line in 'why' while nothing can be made durable,
	 * or when durable state is damaged.  Asked now and then: a disk that hangs may be found, and
	 * told by log and metrics, by this call alone.  Thread: any. */
	bool (*healthy)(struct sq_engine *, struct sq_buf *why);
	/* Whether commits have been waiting for long.  Thread: any. */
	bool (*stalled)(struct sq_engine *);
	/* Whether no other broker can own the state at this moment.  Without it nothing durable is taken
	 * or handed out.  NULL in the table: always.  Thread: any. */
	bool (*leased)(const struct sq_engine *);
	/* Whether the store has reached its maximum.  Callers ask before they make something new,
	 * and refuse it.  Operations that end or continue existing things have room kept for them.
	 * With a full disk, in contrast, new things wait for their commit.  NULL: never full.
	 * Thread: any. */
	bool (*full)(const struct sq_engine *);
	/* Its log, from open() to close(), for who wants to know how several brokers share it
	 * (store/shared/log_shared.h).  NULL in the table: it has none to show.  Thread: any. */
	const struct sq_log *(*log)(const struct sq_engine *);

	struct sq_start_ops start;
	struct sq_queue_ops queue;
	struct sq_txn_ops txn;
	struct sq_consumer_ops consumer;
};

struct sq_engine {
	const struct sq_engine_ops *ops;
	uint64_t store; /* identity of the state: drawn when the store was made */
	uint32_t boot;  /* epoch of the log: rises with each process that owns the state */
};

static inline bool
sq_engine_leased(const struct sq_engine *e)
{
	return e->ops->leased == NULL || e->ops->leased(e);
}

static inline bool
sq_engine_full(const struct sq_engine *e)
{
	return e->ops->full != NULL && e->ops->full(e);
}

#endif
