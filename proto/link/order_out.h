/* The place of a connection's SUBSCRIBEs and UNSUBSCRIBEs among its publishes, at the sender
 * (docs/link.md, "Order of a connection").
 *
 *   added -> waits -> flies -> written -> answered
 *              ^        |
 *              +-failed-+         an attach: all wait again
 *
 * Each request has a mark: 1, 2, 3 ... in each attachment.  A publish has the last mark given out
 * before it, and may leave once the request of that mark is on its way.  This part knows requests
 * and marks; a lane (lane_out.h) knows the messages between them; the owner asks both.
 *
 * Pure: no sockets, no clock.  The owner embeds a struct sq_order_request in each request and keeps
 * it until it is answered or dropped. */
#ifndef SQ_PROTO_LINK_ORDER_OUT_H
#define SQ_PROTO_LINK_ORDER_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

enum sq_order_state {
	SQ_ORDER_WAITS,   /* is to be posted */
	SQ_ORDER_FLIES,   /* was posted, and has no response */
	SQ_ORDER_WRITTEN, /* has a response; its answer is on its way, as a frame */
};

struct sq_order_request {
	struct sq_list node;
	uint32_t mark;
	uint8_t state; /* enum sq_order_state; written by order_out.c */
	bool gap;      /* the receiver had no place for it while earlier ones were on their way */
	bool older;    /* it was posted in an earlier attachment */
};

struct sq_order_out {
	struct sq_list requests; /* without an answer, by mark */
	uint32_t given;          /* the last mark given out; 0: none */
	uint32_t posted;         /* the last mark whose request was posted in this attachment */
	unsigned flying;
};

void sq_order_out_init(struct sq_order_out *);
bool sq_order_out_idle(const struct sq_order_out *);

/* Gives the request the next mark. */
void sq_order_out_add(struct sq_order_out *, struct sq_order_request *);
/* The request with the last mark, while it is not posted in this attachment and so may still grow.
 * NULL: a new request is due.  The owner checks that nothing was published since. */
struct sq_order_request *sq_order_out_growing(const struct sq_order_out *);
/* The open request with that mark, or NULL. */
struct sq_order_request *sq_order_out_find(const struct sq_order_out *, uint32_t mark);

/* The request to post next, while fewer than 'most' fly; or NULL.  The owner posts it only if all
 * publishes before it are on their way. */
struct sq_order_request *sq_order_out_next(const struct sq_order_out *, unsigned most);
/* The highest mark with which a publish may leave. */
uint32_t sq_order_out_top(const struct sq_order_out *);

/* The request was posted. */
void sq_order_out_flies(struct sq_order_out *, struct sq_order_request *);
/* The end of a flight by a response that refers to a frame. */
void sq_order_out_written(struct sq_order_out *, struct sq_order_request *);
/* The end of a flight without a response, or by a refusal: the request is posted again.  'gap': the
 * receiver had no place for it, and it waits until no earlier request flies. */
void sq_order_out_failed(struct sq_order_out *, struct sq_order_request *, bool gap);
/* Takes out a request that is answered, or that nobody needs any more. */
void sq_order_out_end(struct sq_order_out *, struct sq_order_request *);

/* A walk that turns marks, in ascending order, into marks of the next attachment. */
struct sq_order_out_rank {
	const struct sq_order_out *order;
	const struct sq_list *at; /* the last request that counts */
	uint32_t rank;
};

/* For sq_lane_out_remark(), before sq_order_out_attached(): the number of open requests with 'mark'
 * or less.  'arg' is a struct sq_order_out_rank of sq_order_out_rank_begin(), a separate one for
 * each lane; marks come in ascending order. */
struct sq_order_out_rank sq_order_out_rank_begin(const struct sq_order_out *);
uint32_t sq_order_out_rank(void *arg, uint32_t mark);
/* A new attachment: open requests get marks from 1 on, and all wait. */
void sq_order_out_attached(struct sq_order_out *);
/* Whether the receiver may have carried out a request of an older attachment whose answer did not
 * arrive.  Messages that matched it since must not come before the answer. */
bool sq_order_out_owes(const struct sq_order_out *);

/* The client is gone: takes out the last request that was not posted.  NULL: there is none, and no
 * mark above 'posted' is given out. */
struct sq_order_request *sq_order_out_drop(struct sq_order_out *);

#endif
