/* What one holds of its tenant's share of memory (broker/share/share.h): a queue, or what a session
 * has sent and nobody has acknowledged.
 *
 * It is counted in steps, so that a message seldom costs an atomic operation that workers
 * share.  Nothing is counted above a share: what is there beyond it, because nobody needed the
 * memory then, waits for room to be counted. */
#ifndef SQ_BROKER_SHARE_CHARGE_H
#define SQ_BROKER_SHARE_CHARGE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/share/share.h"

/* The owner embeds it, zeroed but for 'account', and changes it on one thread at a time. */
struct sq_charge {
	struct sq_account *account; /* NULL: nobody's */
	uint64_t charged;           /* bytes that are counted there */
};

enum { SQ_CHARGE_STEP_MIN = 4 << 10 }; /* bytes */

/* sq_charge_set() where a step may have come to be counted. */
void sq_charge_step(struct sq_charge *, uint64_t now);

/* Counts that 'now' bytes are held; with 0 nothing is counted any more. */
static inline void
sq_charge_set(struct sq_charge *c, uint64_t now)
{
	if (now >= c->charged + SQ_CHARGE_STEP_MIN ||
	    (now == 0 ? c->charged > 0 : c->charged >= now + 2 * SQ_CHARGE_STEP_MIN))
		sq_charge_step(c, now);
}

/* The most bytes that one with 'now' may hold besides.  UINT64_MAX while less than half of
 * limits.memory is used, where the account has no limit of its own: no share is asked for. */
uint64_t sq_charge_room(const struct sq_charge *, uint64_t now);
/* Whether it may come to hold 'now' bytes: they would be counted, to a step, or no share is asked
 * for, or nothing else of the account's is counted. */
bool sq_charge_fits(const struct sq_charge *, uint64_t now);

#endif
