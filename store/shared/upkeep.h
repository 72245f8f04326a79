/* What the owner of a shared log does for it beside records, on a thread and a connection of its own,
 * since it may take seconds: segments that nobody needs any more are dropped. */
#ifndef SQ_STORE_SHARED_UPKEEP_H
#define SQ_STORE_SHARED_UPKEEP_H

#include <stdint.h>

#include "store/shared/driver.h"

enum {
	SQ_UPKEEP_EVERY_MS = 60000,   /* between two calls of sq_upkeep_drop() */
	SQ_UPKEEP_DEADLINE_MS = 10000 /* of each call of the driver */
};

struct sq_upkeep;

/* Records up to this one may go: all brokers of the last hour have them ('kept'), and so have the last
 * two snapshots.  0: none may. */
uint64_t sq_upkeep_may_drop(
    uint64_t kept, const struct sq_shared_snapshot *newest, const struct sq_shared_snapshot *older);

struct sq_upkeep *sq_upkeep_new(const struct sq_shared_ops *driver, const void *driver_cfg);
/* Waits for a call that is under way, for its deadline at most. */
void sq_upkeep_free(struct sq_upkeep **);
/* Drops what is not needed, soon.  Never blocks.  Thread: any. */
void sq_upkeep_drop(struct sq_upkeep *, uint64_t kept);

#endif
