/* Messages in queues, and the reasons why they leave. */
#ifndef SQ_BROKER_ENGINE_ITEM_H
#define SQ_BROKER_ENGINE_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/block.h"
#include "core/msg.h"
#include "proto/link/frame.h"

/* A message in a queue. */
struct sq_item {
	struct sq_msg msg;     /* a reference */
	struct sq_block *subs; /* subscription identifiers, u32 each, or NULL; a reference */
	uint64_t seq;          /* place in its queue; the engine's */
	uint64_t expires_ms;   /* on the workers' clock; 0: never */
	uint32_t put_ms;  /* when it was put, see sq_item_time(); the engine's.  0: not known, as it
			      * is for an item that was read back from the store */
	uint8_t qos : 2;  /* of this delivery */
	bool retain : 1;  /* RETAIN flag that the subscriber sees */
	bool assured : 1; /* QoS 3: see sq_queue_cfg.dead */
	bool stored : 1;  /* the engine's: a copy of the item is durable */
	bool unsent : 1;  /* handed out and still counted: see sq_consumer_ops.sent */
	uint8_t round;    /* of its queue's bindings when it was put, 0: of none; the broker's,
			      * and not durable: see broker/session/order.h */
	uint16_t attempts;       /* number of returns by consumers, and of tries */
	uint64_t arrived_ms;     /* wall clock, ms since 1970, when it was put into a queue that is
	                       * sq_queue_cfg.timed; else 0.  The engine's, and as durable as the item */
	struct sq_origin origin; /* last: a settlement does without it */
};

/* The low bits of a time of the workers' clock, never 0: for 'put_ms'. */
static inline uint32_t
sq_item_time(uint64_t now_ms)
{
	uint32_t ms = (uint32_t)now_ms;

	return ms != 0 ? ms : 1;
}

/* The time since the item was put, of 24 days at most; its 'put_ms' is known.  The clocks of two
 * workers differ by a turn: then 0. */
static inline uint32_t
sq_item_age_ms(const struct sq_item *item, uint64_t now_ms)
{
	uint32_t ms = (uint32_t)now_ms - item->put_ms;

	return ms < UINT32_MAX / 2 ? ms : 0;
}

/* Drops the item's references. */
void sq_item_fini(struct sq_item *);

/* Estimate of an item's bytes in a store: image, subscription identifiers, key and head. */
static inline uint64_t
sq_item_stored_bytes(const struct sq_item *item)
{
	enum { HEAD = 96 };

	return HEAD + sq_image_size(item->msg.image) + (item->subs != NULL ? item->subs->size : 0);
}

/* Reasons for which an item leaves its queue undelivered. */
enum sq_death {
	SQ_DEAD_EXPIRED,
	SQ_DEAD_ATTEMPTS,   /* returned max_attempts times */
	SQ_DEAD_REJECTED,   /* by a consumer */
	SQ_DEAD_UNFINISHED, /* the only consumer that may have it has ended */
	SQ_DEAD_OVERFLOW,   /* the oldest, for a newer one */
	SQ_DEAD_ABANDONED,  /* the oldest, of a queue without takers */
};

/* The reason in the word that a dead letter and the view have for it. */
const char *sq_death_name(enum sq_death);

/* What a dead letter says of one message besides. */
struct sq_death_note {
	const char *reason; /* in place of sq_death_name(); NULL: that */
	const char *detail; /* UTF-8 without control characters; NULL: none */
};

/* The word for the reason, with a note or NULL. */
const char *sq_death_said(enum sq_death, const struct sq_death_note *);

/* Counts of items that left undelivered, by enum sq_death; at SQ_LEFT_NEW those that found no
 * room. */
enum { SQ_LEFT_NEW = SQ_DEAD_ABANDONED + 1, SQ_LEFTS };

/* Settlements of an item that was handed out. */
enum sq_settle_how {
	SQ_DONE,       /* delivered */
	SQ_REQUEUE,    /* back to its old place; counts as an attempt */
	SQ_UNTRIED,    /* back to its old place without an attempt; also at QoS 0 */
	SQ_TRIED,      /* counts an attempt, and the item stays the consumer's */
	SQ_REJECT,     /* never again: dead() */
	SQ_EXHAUSTED,  /* the consumer has tried it often enough: dead() */
	SQ_EXPIRED,    /* it has expired while the consumer had it: dead() */
	SQ_UNFINISHED, /* the consumer has ended, and no other may have it: dead() */
};

/* Capacity of a consumer: items, QoS 1 and 2 items among them ('slots'), and bytes of images.
 * The last item may exceed the bytes. */
struct sq_demand {
	uint32_t msgs, slots;
	uint64_t bytes;
};

static inline bool
sq_demand_covers(const struct sq_demand *d, const struct sq_item *item)
{
	return d->msgs > 0 && d->bytes > 0 && (item->qos == 0 || d->slots > 0);
}

/* Subtracts an item that the demand covers. */
static inline void
sq_demand_take(struct sq_demand *d, const struct sq_item *item)
{
	uint32_t bytes = sq_image_size(item->msg.image);

	d->msgs--;
	d->slots -= item->qos > 0;
	d->bytes -= bytes < d->bytes ? bytes : d->bytes;
}

#endif
