/* Retained messages for new subscriptions (MQTT 5.0 §3.3.1.3), put into the session's queue in
 * slices, so that nobody waits for a filter that selects a great many: what a request finds in the
 * first one is there before anything live, the others have a turn of the worker each.
 *
 * A scan begins under the write lock under which its subscription is bound: what was retained
 * before comes by the scan, what is retained after it comes live.  The request's transaction
 * stays open until its scans are through, so that what is answered behind the commit has its
 * retained messages in the store. */
#ifndef SQ_BROKER_RETAINED_SCAN_H
#define SQ_BROKER_RETAINED_SCAN_H

#include <stdbool.h>

#include "broker/session/call_txn.h"
#include "core/list.h"
#include "proto/topic/topic.h"
#include "web/worker.h"

struct sq_order_answer;
struct sq_session;
struct sq_subscription;

/* A session's. */
struct sq_scans {
	struct sq_list list; /* struct sq_sub_scan */
	struct sq_task task;
	bool posted;
};

/* The transaction of a Subscriptions. */
struct sq_subs_txn {
	struct sq_call_txn base;
	struct sq_order_answer *answer; /* of a marked one that waits for the commit; else NULL */
	unsigned scans;                 /* that go on */
	bool parted;                    /* the last of them commits it */
	size_t scanned, scanned_bytes;  /* of topics, at once */
};

/* Begins the scan for 'sub', whose filter is as it was bound; one that goes on for it ends.  The
 * space is locked.  'op' is not committed by its owner while it has scans, but parted. */
void sq_retained_begin(struct sq_session *, struct sq_subscription *sub,
    const struct sq_topic_filter *, struct sq_subs_txn *op);
/* Every entry is carried out; commits 'op', or leaves that to its last scan.  The space is locked:
 * whoever finds a group that is new commits later than this. */
void sq_retained_commit(struct sq_subs_txn *op);
/* The subscription goes: so does its scan, if there is one.  The last one of an op commits it. */
void sq_retained_end(struct sq_subscription *);

#endif
