/* The structs of a queue's pull, for its files alone:
 *
 *   pull.c        makes and ends it, and its calls from outside
 *   taker_settle.c what takers say, with replies
 *   pull_publish.c SETTLE with messages, and requests.c those of before
 *   pull_settle.c SETTLE: leases to outcomes
 *   pull_together.c messages in the transaction of a settlement
 *   pull_run.c    carries out the dispatcher's actions, and asks the queue for more
 *   polls.c       RECEIVE: who waits, and their answers
 *   taker.c       consumers that are no requests: taker.h
 *   pull_items.c  the messages that the dispatcher has, their leases and records
 *   pull_txn.c    its transactions, and the answers that wait for them
 *
 * Each calls those below it.  On the worker that owns the queue, but for sq_pull_count(). */
#ifndef SQ_BROKER_SUBSCRIBER_PULL_PRIV_H
#define SQ_BROKER_SUBSCRIBER_PULL_PRIV_H

#include <stdatomic.h>

#include "broker/engine/engine.h"
#include "broker/port/call.h"
#include "broker/publish/traced.h"
#include "broker/share/charge.h"
#include "broker/subscriber/pull.h"
#include "broker/subscriber/pulls.h"
#include "broker/subscriber/settled.h"
#include "core/heap.h"
#include "web/worker.h"

/* Whose a grant is: struct sq_dispatch_grant.kind. */
enum { SQ_PULL_POLL, SQ_PULL_ASK };

/* A message that the dispatcher has. */
struct sq_pull_item {
	struct sq_dispatch_item d;
	struct sq_item item;
	struct sq_hnode by_seq;
	struct sq_list node;       /* of all */
	struct sq_list in_poll;    /* of the poll, or ask, that is being served, or of the taker */
	struct sq_taker *taker;    /* that has it */
	struct sq_pull_note *note; /* what its consumer has said of it last; NULL: nothing */
	/* The lease by which it was handed out last. */
	uint32_t number, boot, attempt;
	bool leased; /* it was */
	bool out;    /* counted in 'out_bytes' */
	bool fresh;  /* counted in 'fresh': the queue counts it with those that wait */
	bool stored; /* the lease has a record */
};

/* A RECEIVE that waits. */
struct sq_poll {
	struct sq_dispatch_grant grant;
	struct sq_call *call;
	struct sq_list node;  /* of all, in their turns */
	struct sq_list items; /* taken for it: struct sq_pull_item.in_poll */
	struct sq_heap_node end, ask;
	uint64_t lease_ms;
	bool granted; /* the dispatcher has its grant */
	bool alive;   /* has said so, in this serving */
};

/* For the item's dead letter. */
struct sq_pull_note {
	struct sq_death_note of;
	char detail[];
};

/* An item whose attempts, or whose lease, are made durable. */
struct sq_pull_tried {
	uint64_t seq;
	uint32_t attempts;
};
struct sq_pull_leased {
	uint64_t seq, lease_ms;
	uint32_t number;
};

/* A transaction of a pull, with the answers that wait for it. */
struct sq_pull_txn {
	struct sq_txn txn;
	struct sq_pull *pull;
	struct sq_list node;           /* of those on their way */
	struct sq_list calls;          /* struct sq_call */
	struct sq_list settlements;    /* struct sq_taker_settlement */
	struct sq_buf tried;           /* struct sq_pull_tried */
	struct sq_buf leased;          /* struct sq_pull_leased */
	struct sq_traced_batch traced; /* messages that a settlement publishes */
	bool settles;                  /* it has settlements: for fault points */
	bool whole;                    /* it is not split for want of room */
	bool keeps;                    /* the key of leases is in it */
};

struct sq_pull_txns {
	struct sq_pull_txn *now; /* under construction, or NULL */
	struct sq_list on_way;   /* struct sq_pull_txn, in the order of their commits */
	struct sq_list answers;  /* calls for the next commit */
	struct sq_list settled;  /* and settlements of takers */
};

struct sq_polls {
	struct sq_list waiting; /* struct sq_poll */
	struct sq_heap ends;
	struct sq_heap asks; /* whether they are still there */
	unsigned n;
	uint64_t waited_ms; /* when somebody waited last */
};

struct sq_takers {
	struct sq_list all;      /* struct sq_taker */
	struct sq_list settling; /* struct sq_taker_settlement, not carried out yet */
	unsigned n;
	unsigned granted; /* asks that the dispatcher knows */
	bool attended;    /* the queue has been told that somebody takes from it */
};

/* What the declaration says. */
struct sq_pull_set {
	uint64_t lease_ms; /* of a RECEIVE that names none */
	uint64_t retry_ms; /* over which what failed before the start is spread; 0: it is not */
	enum sq_declared_order order;
	bool exactly_once;
};

/* The items, and what leases need. */
struct sq_pull_items {
	struct sq_htab by_seq;
	struct sq_list all;
	uint64_t out_bytes;          /* with consumers */
	uint64_t fresh, fresh_bytes; /* that were with none so far */
	struct sq_charge charge;
	uint32_t number; /* of the last lease */
	/* Of a queue with an order: what waits up to this seq is taken before anything is handed out;
	 * 0: nothing is. */
	uint64_t behind;
	struct sq_settled acked; /* leases that were acknowledged: seq; number and boot */
	uint64_t began_ms;       /* of the first run; 0: it has not been */
};

/* What sq_pull_count() and the metrics have been told. */
struct sq_pull_told {
	_Atomic uint64_t leased, parked, oldest_ms, stuck;
	_Atomic int64_t again, again_bytes;
	_Atomic uint32_t pollers, takers;
	uint32_t lanes;
};

struct sq_pull {
	struct sq_pulls *all;
	struct sq_shard *shard;
	struct sq_group *group;
	struct sq_dispatch *dispatch;
	struct sq_consumer consumer;
	struct sq_demand asked;
	struct sq_pull_items items;
	struct sq_polls polls;
	struct sq_takers takers;
	struct sq_pull_set set;
	struct sq_pull_txns txns;
	struct sq_settled requests; /* requests.c */
	struct sq_list later;       /* calls that an answer has brought */
	struct sq_pull_told told;
	struct sq_task task;   /* a run */
	struct sq_alarm alarm; /* of what the dispatcher has before the next tick */
	struct sq_list busy;   /* of sq_pulls_busy(), while the clock has something for it */
	/* The transaction is durable: pull_run.c. */
	void (*durable)(struct sq_pull *, struct sq_pull_txn *);
	void (*ended)(void *arg, struct sq_pull_past *);
	void *arg;
	bool paused;
	bool posted;  /* the task is */
	bool running; /* actions are carried out, or a SETTLE is */
	bool over;    /* it has ended, and goes when nothing of it is left */
	bool closes;  /* the broker ends: records stay */
};

#endif
