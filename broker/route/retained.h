/* The retained messages of spaces: in memory, looked up by their topics, and as records of the
 * store.
 *
 * Locks: each space has one for its retained messages; behind that of the space, where a thread
 * has both. */
#ifndef SQ_BROKER_ROUTE_RETAINED_H
#define SQ_BROKER_ROUTE_RETAINED_H

#include "broker/route/router.h"

/* How many retained messages there are, and of how many bytes.  Thread: any.  Locks: that of
 * the space's retained messages. */
void sq_space_retained(struct sq_space *, uint64_t *n, uint64_t *bytes);
/* Of its retained messages; NULL: it never had any.  Thread: any. */
struct sq_account *sq_space_account(const struct sq_space *);

/* Keeps 'm' as the retained message of its topic; an empty payload removes it
 * (MQTT 5.0 §3.3.1.3).  Takes no reference of the caller's.  SQ_ENOMEM at the limit.
 * Its record is written by 'txn'; NULL: by none.  '*number' is its place among all that was
 * retained; 0: it was not. */
int sq_router_retain(struct sq_router *, struct sq_space *, const struct sq_msg *m,
    const struct sq_origin *origin, uint64_t expires_ms, struct sq_txn *txn, uint64_t *number);
/* Reads what the store has, within the limits; before any other use.  Returns the
 * engine's error. */
int sq_router_load(struct sq_router *, struct sq_engine *, uint64_t now_ms) SQ_MUST_CHECK;
/* Removes what has expired by 'now_ms', and records that nobody needs, a bounded
 * number per call.  'txn' is asked for a transaction when there is one. */
void
sq_router_sweep(struct sq_router *, uint64_t now_ms, struct sq_txn *(*txn)(void *arg), void *arg);
/* Retained messages that a filter selects, in slices. */
struct sq_retained_scan;
/* Of those that the space has now, and of what it reads of others.  One that is replaced before
 * the scan has come to it is not of them any more: to what was bound under the same write lock it
 * is a live one.  NULL: the filter selects nothing.  Thread: any; one at a time, also of those
 * below.  The space must stay. */
struct sq_retained_scan *
sq_retained_scan_open(struct sq_router *, struct sq_space *, struct sq_bytes filter);
/* See struct sq_binding. */
uint64_t sq_retained_scan_upto(const struct sq_retained_scan *);
void sq_retained_scan_close(struct sq_retained_scan **);
/* Calls 'fn' for some of them that have not expired at 'now_ms', until it returns false; returns
 * whether there may be more.  Looks at no more than '*left' levels of topics, and takes off what
 * it has looked at.  'fn' is under the lock of the space's retained messages, so it locks no space:
 * see sq_router_locked(). */
typedef bool
sq_retained_fn(const struct sq_msg *, const struct sq_origin *, uint64_t expires_ms, void *arg);
bool sq_retained_scan_next(struct sq_retained_scan *, uint64_t now_ms, size_t *left,
    sq_retained_fn *fn, void *arg) SQ_MUST_CHECK;

#endif
