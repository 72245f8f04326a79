/* The order of a connection at the broker: marked Subscriptions and batches are taken in in
 * their places, and the answer to a Subscriptions stands before what its bindings bring
 * (docs/link.md, "Order of a connection").
 *
 * What comes too early waits among the session's calls.  An answer is a frame of the
 * deliveries response, written when its request was carried out and, of a durable session,
 * committed; answers leave in the order of their marks.
 *
 * A request that binds something begins a *round* of the session's sink, and a message that is
 * put there carries the round of that moment.  What is of a round whose answer was not written
 * is held, and so stands behind it; what is older goes on flowing, also while the store
 * stalls.  A part in a group that is new takes nothing before the answer. */
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

/* The session's; order.c writes it. */
struct sq_order {
	struct sq_order_in in;
	struct sq_list answers;  /* struct sq_order_answer: not written, by their marks */
	uint32_t asking;         /* the mark whose request is carried out just now; or 0 */
	uint32_t n_joining;      /* members that wait for an answer: see members.c */
	uint8_t round, told;     /* the newest round, and the last one whose answer was written */
	struct sq_pending *held; /* of later rounds, in their order; they count in their queue */
	uint32_t n_held, cap_held;
};

/* Whether an item of the session's own queue must wait for an answer.  With nothing unanswered,
 * which is the rule, that is one comparison.  Behind one that is held all are: rounds begin
 * again after 255, so that a very old item may look like a new one, and keeps its place. */
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

/* An attachment begins: marks start anew. */
void sq_order_begin(struct sq_session *);
/* It has ended: answers are not written any more, what is held is ready again. */
void sq_order_end(struct sq_session *);

/* Whether a Subscriptions may be carried out now.  With a mark it counts as admitted then;
 * otherwise the call was answered or waits. */
bool sq_order_offer(struct sq_session *, struct sq_call *, const struct sq_subs_head *);
/* Begins to carry out a request that has a mark: its answer. */
struct sq_order_answer *sq_order_ask(struct sq_session *, struct sq_call *, uint32_t mark);
/* Before something is bound, under the write lock of its space. */
void sq_order_bind(struct sq_session *);
/* It is carried out; takes what 'codes' and 'notes' hold. */
void sq_order_asked(
    struct sq_session *, struct sq_order_answer *, struct sq_buf *codes, struct sq_notes *notes);
/* The answer may be written.  Frees it, now or once it was. */
void sq_order_ready(struct sq_session *, struct sq_order_answer *);
/* The commit failed: answers the call, and frees. */
void sq_order_failed(struct sq_order_answer *);
/* Writes what may be written; true: something was. */
bool sq_order_flush(struct sq_session *);

/* Holds an item that was ready; its fields are taken. */
void sq_order_hold(struct sq_session *, const struct sq_pending *);

#endif
