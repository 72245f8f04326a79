/* The order of a connection at the broker (docs/link.md, "Order of a connection"): Subscriptions
 * and batches with marks are carried out in the order of the marks, and the answer to a
 * Subscriptions precedes messages of its new bindings.
 *
 * A request that comes too early waits among the session's calls.  An answer is a frame of the
 * deliveries response, written after the request was carried out and, for a durable session,
 * committed.  Answers are written in the order of their marks.
 *
 * A request that binds something begins a *round* of the session's sink; an item carries the round
 * in which it was put.  Items of a round whose answer has not been written are held until then.
 * Older items are delivered meanwhile, also while the store stalls.  A member in a new group takes
 * nothing before the answer.  On the session's worker, except where a comment names a lock. */
#ifndef SQ_BROKER_ORDER_H
#define SQ_BROKER_ORDER_H

#include <assert.h>
#include <stdlib.h>

#include "broker/engine/engine.h"
#include "core/list.h"
#include "proto/link/notes.h"
#include "proto/link/order_in.h"

struct sq_call;
struct sq_order_answer;
struct sq_pending;
struct sq_session;

/* State of one session; written by order.c alone. */
struct sq_order {
	struct sq_order_in in;
	struct sq_list answers;  /* struct sq_order_answer: those not written yet, in the order of
	                          * their marks */
	uint32_t asking;         /* the mark of the request that is being carried out; 0: none */
	uint8_t round, told;     /* the newest round, and the last one whose answer was written */
	struct sq_pending *held; /* items of later rounds, in order; the queue still counts them */
	uint32_t n_held, cap_held;
};

/* Whether an item of the session's own queue must wait for an answer.  One comparison where no
 * answer is pending, which is the normal case.  Items behind a held one are held too: rounds
 * restart after 255, so a very old item may look new, and must keep its place. */
static inline bool
sq_order_holds(const struct sq_order *o, const struct sq_item *item)
{
	return o->told != o->round &&
	    (o->n_held > 0 ||
		(item->round != 0 &&
		    (uint8_t)(item->round - o->told - 1) < (uint8_t)(o->round - o->told)));
}

static inline void
sq_order_init(struct sq_order *o)
{
	sq_list_init(&o->answers);
}

static inline void
sq_order_fini(struct sq_order *o)
{
	assert(sq_list_empty(&o->answers) && o->n_held == 0);
	free(o->held);
}

/* Begins an attachment: marks start at the first one. */
void sq_order_begin(struct sq_session *);
/* Ends the attachment: drops the answers, and makes held items pending again. */
void sq_order_end(struct sq_session *);

/* Whether a Subscriptions may be carried out now; its mark, if any, is admitted then.  False: the
 * call has been answered, or waits. */
bool sq_order_offer(struct sq_session *, struct sq_call *, const struct sq_subs_head *);
/* Begins a request with a mark; returns its answer, which ends by sq_order_ready() or
 * sq_order_failed(). */
struct sq_order_answer *sq_order_ask(struct sq_session *, struct sq_call *, uint32_t mark);
/* Begins a round.  Called before a request binds something, with the write lock of the topic space
 * held. */
void sq_order_bind(struct sq_session *);
/* The request has been carried out; moves the content of 'codes' and 'notes' into the answer. */
void sq_order_asked(
    struct sq_session *, struct sq_order_answer *, struct sq_buf *codes, struct sq_notes *notes);
/* The answer may be written.  It is freed once it has been. */
void sq_order_ready(struct sq_session *, struct sq_order_answer *);
/* The commit failed: answers the call, and frees the answer. */
void sq_order_failed(struct sq_order_answer *);
/* Writes the answers that may be written; true: at least one was. */
bool sq_order_flush(struct sq_session *);

/* Holds an item that was pending; takes over its references. */
void sq_order_hold(struct sq_session *, const struct sq_pending *);

#endif
