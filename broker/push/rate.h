/* A rate: at most so many in a time, as a bucket of tokens that holds a fifth of a second's at most,
 * one at least.  Pure. */
#ifndef SQ_BROKER_PUSH_RATE_H
#define SQ_BROKER_PUSH_RATE_H

#include <stdint.h>

struct sq_rate {
	uint32_t n, per_ms; /* n in per_ms; n 0: any number */
	uint64_t credit;    /* in 1/per_ms of a token */
	uint64_t at_ms;
};

/* Sets it; a bucket that is not of that rate yet is full. */
void sq_rate_set(struct sq_rate *, uint32_t n, uint32_t per_ms, uint64_t now_ms);
/* How many may go now. */
uint32_t sq_rate_may(struct sq_rate *, uint64_t now_ms);
/* One goes. */
void sq_rate_take(struct sq_rate *);
/* When one may go next, if none may now. */
uint64_t sq_rate_next_ms(const struct sq_rate *);

#endif
