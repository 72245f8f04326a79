/* A driver of the shared log on a log in memory (fake_log.h): several connections of several threads, and
 * misdeeds that a test asks for.
 *
 *   struct fake_shared *log = fake_shared_new(STORE);
 *   cfg.driver = &fake_shared_ops;
 *   cfg.driver_cfg = fake_shared_way(log);      one for each broker
 *
 * Thread: any, but for new and free. */
#ifndef FAKE_SHARED_H
#define FAKE_SHARED_H

#include "store/shared/driver.h"

struct fake_shared;
struct fake_way; /* by which one broker reaches the log */

extern const struct sq_shared_ops fake_shared_ops;

struct fake_shared *fake_shared_new(uint64_t store);
/* No connection is left. */
void fake_shared_free(struct fake_shared **);
/* At most 16; freed with the log. */
struct fake_way *fake_shared_way(struct fake_shared *);

enum fake_call {
	FAKE_APPEND,
	FAKE_CLAIM,
	FAKE_BEAT,
	FAKE_READ,
	FAKE_ANNOUNCE,
	FAKE_SNAP,
	FAKE_CALLS
};
enum fake_fault {
	FAKE_NONE,
	FAKE_LOST,       /* it does not happen: UNKNOWN at once */
	FAKE_UNANSWERED, /* it happens, and is durable: UNKNOWN at once */
	FAKE_DOUBTFUL,   /* it happens at the first copy alone; the answer says so: UNKNOWN */
	FAKE_LATE,       /* it happens with fake_shared_late(): UNKNOWN at once */
	FAKE_HANGS,      /* it does not happen: UNKNOWN at the deadline */
	FAKE_NOT_DONE,   /* it does not happen: NOT_DONE */
};
/* The next 'times' calls of that kind by any broker end so.  FAKE_DOUBTFUL and FAKE_LATE are for the first
 * three kinds. */
void fake_shared_fault(struct fake_shared *, enum fake_call, enum fake_fault, unsigned times);
/* Calls of FAKE_LATE happen now, in their order, if they still may. */
void fake_shared_late(struct fake_shared *);

/* The second copy gets nothing: writes wait, up to their deadline. */
void fake_shared_stall(struct fake_shared *, bool stalled);
/* The second copy takes over: what it has not got is gone, and all connections are lost. */
void fake_shared_fail_over(struct fake_shared *);
/* The first copy restarts: what it has is shown, and all connections are lost. */
void fake_shared_restart(struct fake_shared *);
/* No broker, or not this one, reaches the log; connections are lost. */
void fake_shared_unreachable(struct fake_shared *, bool);
void fake_way_cut(struct fake_way *, bool);

/* Looks, of the first copy. */
void fake_shared_head(struct fake_shared *, struct sq_shared_head *);
/* Sets store, first, moved and such, as a test wants them; 'last' is as it was. */
void fake_shared_set(struct fake_shared *, const struct sq_shared_head *);
/* Appends the bytes of a record to 'out'; false: there is none. */
bool fake_shared_record(struct fake_shared *, uint64_t lsn, uint64_t *epoch, struct sq_buf *out);
/* Another takes the log over, as a broker that only the test knows. */
void fake_shared_usurp(struct fake_shared *, uint64_t nonce, const char *holder);
/* That one appends the next record. */
void fake_shared_foreign(struct fake_shared *, uint64_t sure, struct sq_bytes data);
unsigned fake_shared_segments(struct fake_shared *);
/* Calls of that kind that have begun; to wait for some. */
unsigned fake_shared_calls(struct fake_shared *, enum fake_call);

#endif
