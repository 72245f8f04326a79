/* What queue.c and the files queue_*.c share.  All under the queue's lock, but where it is said
 * otherwise. */
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

/* Of the owner's, besides the metrics; without the lock, too. */
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

/* Takes the item's references. */
void sq_queue_doom(struct sq_dead_list *, struct sq_item item, enum sq_death why);
/* In the transaction of whoever made them leave; without the lock. */
void sq_queue_bury(struct sq_queue *, struct sq_txn *, struct sq_dead_list *);
/* In one that nobody waits for; on the owner, without the lock. */
void sq_queue_bury_alone(struct sq_queue *, struct sq_dead_list *);

/* Counts messages that wait or are unsettled, in the account of the queue, too. */
void sq_queue_count(const struct sq_queue *, int64_t n, int64_t bytes);
void sq_queue_count_item(const struct sq_queue *, int n, const struct sq_item *item);
/* Counts bytes in memory: after an item has left the rings, or around its coming. */
void sq_queue_hold(struct sq_queue *, int64_t bytes);
/* Has the owner hand items out. */
void sq_queue_kick(struct sq_queue *);
/* Has the owner look at the queue. */
void sq_queue_post(struct sq_queue *);
/* Has the gap read when the head runs low. */
void sq_queue_want_page(struct sq_queue *);
/* Whether a consumer has asked for what is first: for a message of QoS 1 or 2 where that is in
 * the gap. */
bool sq_queue_is_wanted(const struct sq_queue *);
/* Takes the first item of the head; there is one. */
struct sq_item sq_queue_pop(struct sq_queue *);
/* Whether the head begins with what was claimed and came back, from within the gap:
 * that is read first. */
bool sq_queue_head_waits(const struct sq_queue *);
/* The task of the owner; without the lock. */
void sq_queue_hand_out(struct sq_task *);
/* Counts as handed out and not sent; without the lock, too. */
void sq_queue_unsent(struct sq_queue *, uint64_t n, uint64_t bytes);
/* The item counts no longer so, where it did. */
void sq_queue_sent_item(struct sq_queue *, struct sq_item *);

/* Messages that wait, those that were handed out and not sent among them. */
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

/* Whether the account of the queue, if it has one, has no room for a message of 'bytes'. */
bool sq_queue_share_short(const struct sq_queue *, uint32_t bytes);
/* The most bytes for which it has. */
uint64_t sq_queue_share_room(const struct sq_queue *);
/* Whether 'most' messages, or bytes, would be too many with one of 'bytes'. */
bool sq_queue_is_above(const struct sq_queue *, uint64_t most, uint32_t bytes);
/* How many may wait where the oldest makes room: the limit, or as many as there were
 * above it when it was set, and still are. */
uint64_t sq_queue_most(struct sq_queue *);
/* The item has left the head, or was claimed. */
void sq_queue_handed(struct sq_queue *, uint64_t seq);

/* --- queue_memory.c --- */

/* Whether there is no memory for one of 'bytes' here, where it would be in no store. */
bool sq_queue_memory_short(const struct sq_queue *, uint32_t bytes);
/* Whether less than three fifths of limits.memory are used: then a tenant above its share is let
 * in where nobody else is hindered. */
bool sq_queue_memory_left(void);
/* The most bytes for which the queue's tenant has room in its share.  A durable queue leaves what
 * waits to the store: it asks for room only while nothing waits in it and little memory is
 * left. */
uint64_t sq_queue_memory_room(const struct sq_queue *);
/* The most bytes for which the queue has room in its part of what is free. */
uint64_t sq_queue_memory_fair(const struct sq_queue *);
/* Whether 'n' more, of 'bytes', would be in its share: see sq_charge_fits(). */
bool sq_queue_memory_fits(const struct sq_queue *, uint64_t bytes, uint32_t n);
/* Counts in that share what is in memory now. */
void sq_queue_charge_memory(struct sq_queue *);

/* --- queue_yield.c --- */

/* Dooms the oldest of a full queue that yields, for an item of QoS 1 or 2 that 'txn' puts. */
void sq_queue_make_way(struct sq_queue *, const struct sq_txn *txn, const struct sq_item *for_item,
    struct sq_dead_list *);
/* The same where the queue's account has no room for it, of one that always yields: as much
 * as the item needs. */
void sq_queue_make_share_way(struct sq_queue *, const struct sq_txn *txn,
    const struct sq_item *for_item, struct sq_dead_list *);
/* Whether a queue that yields has more than its limits. */
bool sq_queue_is_over(struct sq_queue *);
/* Has sq_queue_trim() called where it is needed. */
void sq_queue_kick_trim(struct sq_queue *);
/* What a queue that yields has above its limits leaves, some of it at a time; on the
 * owner, without the lock. */
void sq_queue_trim(struct sq_queue *);

#endif
