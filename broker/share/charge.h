/* The charge of one holder to its tenant's share of memory (broker/share/share.h): of a queue, or
 * of a session's unacknowledged messages.
 *
 * Bytes are counted in steps, so that a message rarely costs an atomic operation shared by workers.
 * Nothing is counted above a share: bytes beyond it, held while nobody else needed the memory, are
 * counted when there is room. */
#ifndef SQ_BROKER_SHARE_CHARGE_H
#define SQ_BROKER_SHARE_CHARGE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/share/share.h"

/* The owner embeds it, zeroed but for 'account', and changes it on one thread at a time. */
struct sq_charge {
	struct sq_account *account; /* NULL: not counted */
	uint64_t charged;           /* bytes that are counted there */
};

enum { SQ_CHARGE_STEP_MIN = 4 << 10 }; /* bytes */

/* sq_charge_set() for a change of a step or more. */
void sq_charge_step(struct sq_charge *, uint64_t now);

/* Sets the bytes that are held; 0 ends the charge. */
static inline void
sq_charge_set(struct sq_charge *c, uint64_t now)
{
	if (now >= c->charged + SQ_CHARGE_STEP_MIN ||
	    (now == 0 ? c->charged > 0 : c->charged >= now + 2 * SQ_CHARGE_STEP_MIN))
		sq_charge_step(c, now);
}

/* Bytes that a holder of 'now' bytes may hold in addition.  UINT64_MAX while less than half of
 * limits.memory is used and the account has no limit of its own: shares do not apply then. */
uint64_t sq_charge_room(const struct sq_charge *, uint64_t now);
/* Whether the holder may grow to 'now' bytes: they fit into the share, up to a step, or shares do
 * not apply, or the account counts nothing else. */
bool sq_charge_fits(const struct sq_charge *, uint64_t now);

#endif
