/* From what was judged of a request to what becomes of each of its messages.  Pure.  Thread: any. */
#ifndef SQ_BROKER_PUSH_OUTCOMES_H
#define SQ_BROKER_PUSH_OUTCOMES_H

#include "broker/push/answer.h"
#include "broker/subscriber/taker.h"
#include "proto/declaration/push.h"

struct sq_push_ended {
	const struct sq_declared_push *push;
	bool lanes; /* the queue has an order */
	const struct sq_taken *taken;
	size_t n;
	const struct sq_push_judged *judged; /* its 'detail' outlives the outcomes */
	const bool *failed;                  /* PARTLY: which have */
	uint64_t now_ms;                     /* since 1970: for retry.for */
	uint64_t random;                     /* for the jitter of all */
};

/* Fills 'n' outcomes.  Of a lane's messages, what is behind one that has failed is untried, whatever
 * the answer has said of it. */
void sq_push_outcomes(const struct sq_push_ended *, struct sq_taker_outcome *out);
/* The wait behind that attempt, from 1 on; 0: as the queue's own retry says. */
uint64_t sq_push_retry_ms(const struct sq_dispatch_retry *, uint32_t attempt, uint64_t random);

#endif
