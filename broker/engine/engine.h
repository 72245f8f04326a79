/* The engine: where queues live, and what makes a message durable.
 *
 * A vtable with one contract, and one contract suite (test/contract/) that runs
 * on every engine.  The broker resolves a message to queues and gives the engine
 * transactions; the engine hands items of a queue to its consumers.
 *
 *  - Nothing blocks a loop.  A transaction's done() and a consumer's take() run
 *    as tasks on the worker that they belong to, never from inside a call.
 *  - What a transaction holds becomes durable together, or not at all.  Items
 *    may be handed out before that; done() comes after, for the transactions of
 *    one worker in the order of their commits.
 *  - Items of a queue are handed out in the order of their puts.  What comes back
 *    unsettled stands at the head again, in its old order.
 *  - Every item carries its origin, so that an engine that can't commit messages
 *    and session numbers together can still tell a second copy. */
#ifndef SQ_BROKER_ENGINE_H
#define SQ_BROKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/worker.h"
#include "core/block.h"
#include "core/err.h"
#include "core/metrics.h"
#include "core/msg.h"
#include "proto/link/frame.h"

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
	uint16_t attempts;   /* times that it came back from a consumer */
};

void sq_item_fini(struct sq_item *);

struct sq_queue_cfg {
	const char *name;        /* for logs and the store; copied */
	struct sq_worker *owner; /* whose thread hands items out */
	uint32_t max_msgs;
	uint64_t max_bytes;        /* of images */
	enum sq_overflow overflow; /* resolved: not SQ_OVERFLOW_DEFAULT */
	uint32_t max_attempts;     /* 0: any */
	bool durable;
};

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
	uint32_t demand;
	uint32_t handing; /* hand-outs on their way to another worker */
	bool stopped;
};

enum sq_settle_how {
	SQ_DONE,    /* delivered */
	SQ_REQUEUE, /* back to its old place; it counts as an attempt */
	SQ_UNTRIED, /* the same for what never left: no attempt; also at QoS 0 */
	SQ_REJECT,  /* never again: dead-letter, or dropped and counted */
};

/* A transaction.  The caller embeds it, zeroed but for 'worker' and 'done', and
 * keeps it until done() runs on 'worker'. */
struct sq_txn {
	struct sq_worker *worker;
	void (*done)(struct sq_txn *, int err); /* 0, or SQ_EIO: nothing of it holds */

	/* The engine's. */
	struct sq_engine *engine;
	struct sq_task task;
	int err;
};

struct sq_engine_cfg {
	const struct sq_metrics *metrics;
	size_t n_workers;
};

struct sq_engine_ops {
	const char *name; /* as written in the configuration */
	bool durable;     /* keeps what was committed over a restart */

	/* NULL with a line in 'err'. */
	struct sq_engine *(*open)(const struct sq_engine_cfg *, struct sq_buf *err);
	/* All workers have stopped. */
	void (*close)(struct sq_engine *);

	/* Declares a queue; from any worker.  Limits are those of 'cfg'. */
	struct sq_queue *(*queue_open)(struct sq_engine *, const struct sq_queue_cfg *cfg);
	/* Deletes it with what it holds; the handle is dead.  All consumers were
	 * cancelled, though cancelled() may not have run; transactions that have put
	 * or settled here may still be on their way. */
	void (*queue_delete)(struct sq_queue *);

	/* Whether a put of 'bytes' would be refused now; from any worker. */
	bool (*queue_full)(const struct sq_queue *, uint32_t bytes);
	/* Whether so much waits that whoever puts should slow down; from any worker. */
	bool (*queue_busy)(const struct sq_queue *);
	/* Messages that wait (not those handed out). */
	size_t (*queue_depth)(const struct sq_queue *);

	/* Adds an item to the transaction; takes the item's references.  Returns
	 * SQ_ENOMEM, and drops the item, where the queue is full and its policy is not
	 * to drop the oldest.  With SQ_OVERFLOW_REJECT_PUBLISH an item of QoS 1 or 2 is
	 * always taken: the publisher has asked queue_full(), and what it was told must
	 * hold when several workers put at a time. */
	int (*put)(struct sq_txn *, struct sq_queue *, struct sq_item *item);
	/* A put that hands the item out at once: where nothing waits before it, 'c' has
	 * demand, and the engine may hand it out before the commit.  Then it returns
	 * true, the item is in the transaction and, as by take(), the caller's.
	 * Otherwise nothing has happened.  From the consumer's worker. */
	bool (*pass)(struct sq_txn *, struct sq_consumer *c, struct sq_item *item);
	/* Settles an item that was handed out.  SQ_REQUEUE and SQ_UNTRIED take the
	 * references of 'item'; otherwise only its seq and size count. */
	void (*settle)(
	    struct sq_txn *, struct sq_queue *, struct sq_item *item, enum sq_settle_how how);
	/* Ends the building of the transaction; done() follows. */
	void (*commit)(struct sq_txn *);

	/* The consumer takes items as far as it has demand; several consumers of a
	 * queue take turns.  From the consumer's worker. */
	void (*consume)(struct sq_queue *, struct sq_consumer *);
	void (*demand)(struct sq_consumer *, uint32_t more);
	/* No take() after cancelled() has run; unsettled items are the consumer's to
	 * settle.  From the consumer's worker. */
	void (*cancel)(struct sq_consumer *);
};

struct sq_engine {
	const struct sq_engine_ops *ops;
};

extern const struct sq_engine_ops sq_engine_memory;

#endif
