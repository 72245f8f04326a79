/* Functions that queue.c and the files queue_*.c share.  Locks: the queue's is held, unless a
 * comment says otherwise. */
#ifndef SQ_BROKER_ENGINE_QUEUE_QUEUE_PRIV_H
#define SQ_BROKER_ENGINE_QUEUE_QUEUE_PRIV_H

#include "broker/engine/now.h"
#include "broker/engine/queue/queue.h"

static inline uint32_t
sq_item_bytes(const struct sq_item *item)
{
	return sq_image_size(item->msg.image);
}

static inline struct sq_queue *
sq_queue_unconst(const struct sq_queue *q)
{
	return (struct sq_queue *)(uintptr_t)q;
}

/* Counts an item that leaves undelivered: an enum sq_death, or SQ_LEFT_NEW.  Locks: none needed. */
static inline void
sq_queue_count_left(struct sq_queue *q, unsigned why)
{
	atomic_fetch_add_explicit(&q->figures.left[why], 1, memory_order_relaxed);
}

/* Counts a dropped item for the owner, besides the metrics.  Locks: none needed. */
static inline void
sq_queue_count_dropped(const struct sq_queue *q)
{
	if (q->cfg.dropped != NULL)
		atomic_fetch_add_explicit(q->cfg.dropped, 1, memory_order_relaxed);
}

static inline bool
sq_item_expired(const struct sq_item *item, uint64_t now_ms)
{
	return item->expires_ms != 0 && item->expires_ms <= now_ms;
}

/* Items that leave undelivered in one go: collected under the lock, buried without it. */

enum { SQ_DEAD_MAX = 64, SQ_DEAD_BYTES = 1 << 20 };

struct sq_dead_list {
	struct {
		struct sq_item item;
		enum sq_death why;
	} v[SQ_DEAD_MAX];
	size_t n;
	uint64_t bytes;
};

static inline bool
sq_dead_list_full(const struct sq_dead_list *dead)
{
	return dead->n == SQ_DEAD_MAX || dead->bytes >= SQ_DEAD_BYTES;
}

/* Adds an item; takes over its references. */
void sq_queue_doom(struct sq_dead_list *, struct sq_item item, enum sq_death why);
/* Buries the items in the transaction that made them leave.  Locks: none is held. */
void sq_queue_bury(struct sq_queue *, struct sq_txn *, struct sq_dead_list *);
/* Buries the items in a transaction of its own, on the owner's worker.  Locks: none is held. */
void sq_queue_bury_alone(struct sq_queue *, struct sq_dead_list *);

/* Counts messages that wait or are unsettled, in metrics and in the queue's account. */
void sq_queue_count(const struct sq_queue *, int64_t n, int64_t bytes);
void sq_queue_count_item(const struct sq_queue *, int n, const struct sq_item *item);
/* Counts bytes in memory, after an item has left the rings, or with its arrival. */
void sq_queue_hold(struct sq_queue *, int64_t bytes);
/* Has the owner hand out items, if a consumer has demand. */
void sq_queue_kick(struct sq_queue *);
/* Posts the owner's task. */
void sq_queue_post(struct sq_queue *);
/* Requests a read of the gap if the head runs low. */
void sq_queue_want_page(struct sq_queue *);
/* Whether a consumer has demand for the first item; an item of the gap counts as QoS 1 or 2. */
bool sq_queue_is_wanted(const struct sq_queue *);
/* Removes and returns the first item of the head, which is not empty. */
struct sq_item sq_queue_pop(struct sq_queue *);
/* Whether the head begins with a claimed item that came back, from within the gap: the gap before
 * it is read first. */
bool sq_queue_head_waits(const struct sq_queue *);
/* Whether the queue's store has the item, which waits, stay where it is. */
bool sq_queue_holds_back(const struct sq_queue *, const struct sq_item *);
/* The task of the owner.  Locks: none is held. */
void sq_queue_hand_out(struct sq_task *);
/* Counts items as handed out and not sent.  Locks: none needed. */
void sq_queue_unsent(struct sq_queue *, uint64_t n, uint64_t bytes);
/* Ends that count for an item, if it was counted. */
void sq_queue_sent_item(struct sq_queue *, struct sq_item *);

/* Waiting messages, including those handed out and not sent. */
static inline uint64_t
sq_queue_waiting(const struct sq_queue *q)
{
	return q->head.n + q->tail.n + q->gap.n +
	    sq_unsent_msgs(atomic_load_explicit(&q->unsent, memory_order_relaxed));
}

static inline uint64_t
sq_queue_waiting_bytes(const struct sq_queue *q)
{
	return q->bytes + q->gap.bytes +
	    sq_unsent_bytes(atomic_load_explicit(&q->unsent, memory_order_relaxed));
}

/* Whether the queue's account, if it has one, lacks room for a message of 'bytes'. */
bool sq_queue_share_short(const struct sq_queue *, uint32_t bytes);
/* The bytes for which the account has room. */
uint64_t sq_queue_share_room(const struct sq_queue *);
/* Whether a message of 'bytes' would exceed 'most' messages, or the limit of bytes. */
bool sq_queue_is_above(const struct sq_queue *, uint64_t most, uint32_t bytes);
/* The number of messages that may wait in a queue whose oldest makes room: the limit, or the number
 * above it that remains from when it was set. */
uint64_t sq_queue_most(struct sq_queue *);
/* Notes that a stored item has left the head, or was claimed. */
void sq_queue_handed(struct sq_queue *, uint64_t seq);

/* --- queue_memory.c --- */

/* Whether memory lacks room for an item of 'bytes' that would be in no store. */
bool sq_queue_memory_short(const struct sq_queue *, uint32_t bytes);
/* Whether less than three fifths of limits.memory are used: a tenant above its share is admitted
 * then, if that hinders no other. */
bool sq_queue_memory_left(void);
/* The bytes for which the queue's tenant has room in its share.  A durable queue leaves waiting
 * items to the store: it asks for room only while nothing waits in it and little memory is left. */
uint64_t sq_queue_memory_room(const struct sq_queue *);
/* The bytes for which the queue has room in its part of the free memory. */
uint64_t sq_queue_memory_fair(const struct sq_queue *);
/* Whether 'n' more items of 'bytes' fit into the share: see sq_charge_fits(). */
bool sq_queue_memory_fits(const struct sq_queue *, uint64_t bytes, uint32_t n);
/* Counts the queue's present bytes in memory in the tenant's share. */
void sq_queue_charge_memory(struct sq_queue *);

/* --- queue_yield.c --- */

/* Dooms the oldest items of a full queue that yields, for an item of QoS 1 or 2 that 'txn' puts. */
void sq_queue_make_way(struct sq_queue *, const struct sq_txn *txn, const struct sq_item *for_item,
    struct sq_dead_list *);
/* Dooms the oldest items of a queue that always yields, until its account has room for the item.
 * What can't leave now is owed, and leaves as soon as possible. */
void sq_queue_make_share_way(struct sq_queue *, const struct sq_txn *txn,
    const struct sq_item *for_item, struct sq_dead_list *);
/* Whether a queue that yields exceeds its limits, or owes items to its account. */
bool sq_queue_is_over(struct sq_queue *);
/* Schedules sq_queue_trim() if it is needed. */
void sq_queue_kick_trim(struct sq_queue *);
/* Removes some items above the limits of a queue that yields; on the owner's worker.  Locks: none
 * is held. */
void sq_queue_trim(struct sq_queue *);

#endif
