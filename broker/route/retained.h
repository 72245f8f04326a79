/* The retained messages of spaces: in memory, looked up by their topics, and as records of the
 * store.
 *
 * Locks: each space has one for its retained messages; behind that of the space, where a thread
 * has both. */
#ifndef SQ_BROKER_ROUTE_RETAINED_H
#define SQ_BROKER_ROUTE_RETAINED_H

#include "broker/route/router.h"

/* The number and the bytes of the space's retained messages.  Thread: any.  Locks: that of the
 * space's retained messages. */
void sq_space_retained(struct sq_space *, uint64_t *n, uint64_t *bytes);
/* A retained message on a walk; times on the workers' clock. */
struct sq_retained_seen {
	struct sq_msg msg;   /* a reference, the caller's */
	uint64_t since_ms;   /* 0: retained before the broker's start */
	uint64_t expires_ms; /* 0: never */
};

/* For a walk over the space's retained messages: moves '*place' to the first one there or behind,
 * which 'out' gets.  False: there is none.  Thread: any.  Locks: that of the space's retained
 * messages. */
bool sq_space_retained_seek(struct sq_space *, uint64_t *place, struct sq_retained_seen *out);
/* The account of the space's retained messages; NULL: the space never had any.  Thread: any. */
struct sq_account *sq_space_account(const struct sq_space *);

/* Sets the retained message of a topic to 'm', with a reference of its own; an empty payload
 * removes it (MQTT 5.0 §3.3.1.3).  'txn' gets the record; NULL: none is written.  '*number' gets
 * the place among all retained messages; 0: 'm' was not retained.  SQ_ENOMEM: the limit is reached;
 * never with 'force'.  Thread: any worker.  Locks: that of the space's retained messages. */
int sq_router_retain(struct sq_router *, struct sq_space *, const struct sq_msg *m,
    const struct sq_origin *origin, uint64_t expires_ms, bool force, struct sq_txn *txn,
    uint64_t *number);
/* Amounts taken from the share of a space, for messages that may be retained later. */
struct sq_retain_share {
	uint64_t msgs, bytes;
};
/* Takes what retaining 'm' would take from the space's share, and adds it to 'taken'.  False: the
 * limit is reached.  Thread and locks as above, also of the next one. */
bool sq_router_retain_take(struct sq_router *, struct sq_space *, const struct sq_msg *m,
    struct sq_retain_share *taken) SQ_MUST_CHECK;
/* Gives it back, and zeroes 'taken'. */
void sq_router_retain_give(struct sq_space *, struct sq_retain_share *taken);
/* Reads the retained messages of the store, within the limits; before any other use.  Returns the
 * engine's error. */
int sq_router_load(struct sq_router *, struct sq_engine *, uint64_t now_ms) SQ_MUST_CHECK;
/* Removes a bounded number of retained messages that have expired by 'now_ms', and of records
 * without a message.  Calls 'txn' for a transaction if there are any.  Thread: one.  Locks: that of
 * each space's retained messages. */
void
sq_router_sweep(struct sq_router *, uint64_t now_ms, struct sq_txn *(*txn)(void *arg), void *arg);
/* Retained messages that a filter selects, in slices. */
struct sq_retained_scan;
/* Opens a scan of the retained messages that the space has now, its own and those it may read of
 * others.  The scan skips a message that is replaced before the scan reaches it: a binding made
 * under the same write lock gets the new one live.  NULL: the filter selects nothing.  The space
 * must stay.  Thread: any; one at a time for a scan. */
struct sq_retained_scan *
sq_retained_scan_open(struct sq_router *, struct sq_space *, struct sq_bytes filter);
/* The last number that the scan covers: sq_binding.scanned_upto. */
uint64_t sq_retained_scan_upto(const struct sq_retained_scan *);
void sq_retained_scan_close(struct sq_retained_scan **);
/* Calls 'fn' for some selected messages that have not expired at 'now_ms', until it returns false.
 * Returns whether there may be more.  Looks at no more than '*left' levels of topics, and subtracts
 * the number.  'fn' runs under the lock of the space's retained messages, so it must lock no space:
 * see sq_router_locked(). */
typedef bool
sq_retained_fn(const struct sq_msg *, const struct sq_origin *, uint64_t expires_ms, void *arg);
bool sq_retained_scan_next(struct sq_retained_scan *, uint64_t now_ms, size_t *left,
    sq_retained_fn *fn, void *arg) SQ_MUST_CHECK;

#endif
