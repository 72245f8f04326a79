/* The dispatcher of a queue: which of its messages goes to which consumer, and when again.
 *
 * It stands between a queue and consumers that take messages for a while (a lease, a request under
 * way) and then say what became of them.  It keeps lanes in order, waits before it tries again,
 * counts attempts, and gives up.  Pure: no clock, no socket, no thread.  Its user feeds it items and
 * what becomes of them, and afterwards carries out its actions:
 *
 *   sq_dispatch_take() ──▶ FREE ──HAND──▶ OUT ──ok, never──▶ SETTLE
 *                            ▲             │
 *                            │             └─failed, its time is over─▶ TRYING ──TRY──▶ (made durable)
 *                            └──── its time ──── WAITING ◀──sq_dispatch_tried()──────────┘
 *   sq_dispatch_adopt() ──▶ OUT
 *
 * Rules:
 *
 *  - Of a lane, only what one grant has taken at a time is out; the next grant has its next items
 *    when all of these have come to an end, and the lane's first item is free.  So a message that
 *    failed holds up its lane, and no other.
 *  - An attempt is counted, and durable, before the item is free again: a crash can't give it more
 *    attempts than there may be.  Until then an OK of a consumer whose time was over still counts.
 *  - No item is handed out that has expired; one that a grant has may leave by SETTLE before SERVED,
 *    and the grant does not have it then.
 *  - A grant that lingers is served when it is full, or when its time is over; until then it stands
 *    first, and goes on taking, of lanes that it has begun with, too.  Nothing is said of what it has
 *    taken before it is served.
 *  - What waits here, and what is out, is bounded.  The dispatcher asks for no more than it can
 *    hand out, as far as it knows; of SQ_DISPATCH_NONE it gives back what nobody waits for, and
 *    lanes keep what they have. */
#ifndef SQ_PROTO_DISPATCH_DISPATCH_H
#define SQ_PROTO_DISPATCH_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/heap.h"
#include "core/list.h"

struct sq_dispatch;
struct sq_dispatch_lane;

enum sq_dispatch_order {
	SQ_DISPATCH_NONE,   /* any item may go beside any other */
	SQ_DISPATCH_LANES,  /* items of a lane in order, lanes side by side */
	SQ_DISPATCH_STRICT, /* one item at a time */
};

struct sq_dispatch_retry {
	uint64_t first_ms, max_ms; /* before the second attempt; at most */
	unsigned factor; /* by which each wait is longer than the one before; at least 1 */
	bool jitter;     /* each wait is drawn between half of that and all */
};

struct sq_dispatch_cfg {
	enum sq_dispatch_order order;
	struct sq_dispatch_retry retry;
	uint32_t max_attempts; /* 0: any number */
	bool blocks;           /* an item without attempts left stays, and holds up its lane */
	/* Bounds of what waits here, and of what is out. */
	unsigned held_max, out_max;
	uint64_t held_bytes_max;
	uint64_t seed; /* of the jitter */
};

enum sq_dispatch_state {
	SQ_DISPATCH_FREE,    /* may be handed out in its turn */
	SQ_DISPATCH_OUT,     /* a consumer has it */
	SQ_DISPATCH_TRYING,  /* has failed; its attempt is being made durable */
	SQ_DISPATCH_WAITING, /* for its time */
	SQ_DISPATCH_BLOCKED, /* has had its attempts, and stays: see 'blocks' */
	SQ_DISPATCH_ENDED,   /* is about to leave by SETTLE */
};

/* What becomes of an item that leaves. */
enum sq_dispatch_end {
	SQ_DISPATCH_DONE,
	SQ_DISPATCH_BACK,     /* to the queue, to its old place; nobody waits for it */
	SQ_DISPATCH_ATTEMPTS, /* dead: it has had its attempts */
	SQ_DISPATCH_EXPIRED,  /* dead */
	SQ_DISPATCH_REFUSED,  /* dead: its consumer will never take it */
};

/* What a consumer says of an item. */
enum sq_dispatch_outcome {
	SQ_DISPATCH_OK,
	SQ_DISPATCH_FAILED, /* an attempt */
	SQ_DISPATCH_LAST,   /* the same, and it was the last one, whatever max_attempts says */
	SQ_DISPATCH_AGAIN,  /* the same, and it has more of them, whatever max_attempts says */
	SQ_DISPATCH_LATER,  /* not now: no attempt */
	SQ_DISPATCH_NEVER,
};

/* An item, embedded in the user's, zeroed.  The user sets the first part before it hands it in. */
struct sq_dispatch_item {
	uint64_t seq;        /* its place in the queue: no other item has it */
	uint64_t key;        /* its lane, of SQ_DISPATCH_LANES */
	uint64_t expires_ms; /* 0: never */
	uint32_t bytes;
	uint32_t attempts; /* so far; the dispatcher counts on */

	/* The dispatcher's. */
	enum sq_dispatch_state state; /* readable */
	enum sq_dispatch_end end;
	bool overdue;      /* TRYING because its time was over: its consumer may still say OK */
	bool worn;         /* it has had its attempts */
	uint64_t delay_ms; /* of the wait that follows TRYING */
	struct sq_dispatch_lane *lane;
	struct sq_list in_lane, in_grant, to_do;
	struct sq_heap_node ready, at;
};

/* A grant: a consumer takes up to 'n' items once, embedded in the user's, zeroed. */
struct sq_dispatch_grant {
	unsigned n;         /* at least 1 */
	uint64_t bytes;     /* of all items, but it gets one of any size */
	uint64_t lease_ms;  /* after SERVED, when an item has failed; 0: the consumer always says */
	uint64_t linger_ms; /* how long after its first item it waits for more; 0: it does not */
	unsigned kind;      /* the user's own */
	/* The dispatcher's. */
	struct sq_list node, items;
	unsigned taken;
	uint64_t taken_bytes, due_ms;
};

enum sq_dispatch_do {
	SQ_DISPATCH_HAND,   /* 'item' to the consumer of 'grant' */
	SQ_DISPATCH_SERVED, /* 'grant' has its items, one at least, and is its user's again */
	SQ_DISPATCH_TRY,    /* make 'item->attempts' durable, then sq_dispatch_tried() */
	SQ_DISPATCH_SETTLE, /* 'item' has left, by 'end', and is its user's again */
};

struct sq_dispatch_action {
	enum sq_dispatch_do what;
	struct sq_dispatch_item *item;
	struct sq_dispatch_grant *grant;
	enum sq_dispatch_end end;
};

struct sq_dispatch_counts {
	unsigned held, out; /* items here, and with consumers */
	uint64_t held_bytes;
	unsigned free;       /* of those held: in their turn, which may be behind another */
	uint64_t free_bytes; /* the others have failed, and wait for their time, or are blocked */
	unsigned ready;      /* items that may go now */
	unsigned lanes;      /* with an item */
	unsigned stuck; /* lanes whose first item waits or blocks while others stand behind it */
};

struct sq_dispatch *sq_dispatch_new(const struct sq_dispatch_cfg *);
/* Frees it and nulls the pointer; items and grants are their user's again, whatever their state. */
void sq_dispatch_free(struct sq_dispatch **);

/* Other settings, but for the order, for what becomes of items from now on. */
void sq_dispatch_configure(struct sq_dispatch *, const struct sq_dispatch_cfg *);

/* How many more items of the queue it wants now. */
unsigned sq_dispatch_demand(const struct sq_dispatch *);
/* Takes an item of the queue, in any order.  One above the demand is taken, too. */
void sq_dispatch_take(struct sq_dispatch *, struct sq_dispatch_item *);
/* The same of one that begins WAITING, until 'until_ms'. */
void sq_dispatch_take_later(struct sq_dispatch *, struct sq_dispatch_item *, uint64_t until_ms);
/* Takes an item that a consumer has had since before, until 'until_ms' (UINT64_MAX: until it says).
 * Before anything of its lane is handed out: what is behind it waits for it. */
void sq_dispatch_adopt(struct sq_dispatch *, struct sq_dispatch_item *, uint64_t until_ms);

/* A consumer waits, behind those that wait already. */
void sq_dispatch_grant(struct sq_dispatch *, struct sq_dispatch_grant *);
/* It waits no more, and what it has taken is free again; nothing happens if it does not wait. */
void sq_dispatch_revoke(struct sq_dispatch *, struct sq_dispatch_grant *);

/* What became of an item that is out.  'delay_ms': it is free that much later, if it is to be tried
 * again; 0: as the settings say, or at once with LATER.  False, and nothing has happened: the
 * consumer has lost it. */
bool sq_dispatch_outcome(struct sq_dispatch *, struct sq_dispatch_item *, enum sq_dispatch_outcome,
    uint64_t delay_ms, uint64_t now_ms);
/* Whether the consumer that had the item last still has it; 'ok': whether an OK of it would count. */
bool sq_dispatch_holds(const struct sq_dispatch_item *, bool ok);
/* The consumer keeps an item until then.  False: it has lost it. */
bool sq_dispatch_extend(struct sq_dispatch *, struct sq_dispatch_item *, uint64_t until_ms);
/* What TRY asks for is durable.  Not called for an item that has left by SETTLE meanwhile. */
void sq_dispatch_tried(struct sq_dispatch *, struct sq_dispatch_item *, uint64_t now_ms);
/* Has an item leave by SETTLE, BACK.  False: a consumer has it, or its attempt is being made durable. */
bool sq_dispatch_release(struct sq_dispatch *, struct sq_dispatch_item *);
/* An item that blocks has as many attempts again; nothing happens if it does not. */
void sq_dispatch_unblock(struct sq_dispatch *, struct sq_dispatch_item *);
/* Times that are over. */
void sq_dispatch_tick(struct sq_dispatch *, uint64_t now_ms);
/* When the next time is over, that of a grant that lingers included; UINT64_MAX: none waits. */
uint64_t sq_dispatch_due_ms(const struct sq_dispatch *);

/* The next action; false: there is none.  Called until then after each of the above. */
bool sq_dispatch_next(struct sq_dispatch *, uint64_t now_ms, struct sq_dispatch_action *out);
/* The same of TRY and SETTLE alone: nothing is handed out. */
bool sq_dispatch_owed(struct sq_dispatch *, struct sq_dispatch_action *out);

/* Looks at each lane. */
struct sq_dispatch_counts sq_dispatch_count(const struct sq_dispatch *);
/* The same without a look at lanes: 'stuck' is 0. */
struct sq_dispatch_counts sq_dispatch_sums(const struct sq_dispatch *);

#endif
