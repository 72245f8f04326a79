/* Retained messages for new subscriptions (MQTT 5.0 §3.3.1.3), put into the session's queue in
 * slices, so that a filter with very many matches delays nobody.  Messages of the request's first
 * slice precede all live ones; each further slice is a turn of the worker.
 *
 * A scan begins under the write lock under which its subscription is bound: messages retained
 * earlier come by the scan, later ones live.  The request's transaction stays open until its scans
 * have ended, so an answer after the commit has its retained messages in the store.  On the
 * session's worker. */
#ifndef SQ_BROKER_RETAINED_SCAN_H
#define SQ_BROKER_RETAINED_SCAN_H

#include <stdbool.h>

#include "broker/session/call_txn.h"
#include "core/list.h"
#include "core/task.h"
#include "proto/topic/topic.h"

struct sq_order_answer;
struct sq_session;
struct sq_subscription;

/* The scans of one session. */
struct sq_scans {
	struct sq_list list; /* struct sq_sub_scan */
	struct sq_task task;
	bool posted;
};

/* The transaction of a Subscriptions. */
struct sq_subs_txn {
	struct sq_call_txn base;
	struct sq_order_answer *answer; /* of a request with a mark, written after the commit; else
	                                 * NULL */
	unsigned scans;                 /* scans that have not ended */
	bool parted;                    /* the last scan commits the transaction */
	size_t scanned, scanned_bytes;  /* topics in the present slice, and their bytes */
};

/* Begins a scan for 'sub' with the filter that was bound; ends an earlier scan of the subscription.
 * 'op' is then committed by sq_retained_commit() instead of its owner.  Locks: the caller holds the
 * write lock of the space. */
void sq_retained_begin(struct sq_session *, struct sq_subscription *sub,
    const struct sq_topic_filter *, struct sq_subs_txn *op);
/* Commits 'op', now or with the end of its last scan; every entry of the request has been carried
 * out.  Locks: the caller holds the write lock of the space, so that a publish to a new group
 * commits later than the group's record. */
void sq_retained_commit(struct sq_subs_txn *op);
/* Ends the scan of a subscription that ends, if there is one; the last scan of a transaction
 * commits it. */
void sq_retained_end(struct sq_subscription *);

#endif
