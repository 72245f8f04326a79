/* Requests that settled and published: what each answered, for those who repeat it.
 *
 * A request is known by its queue and the leases that it acknowledged (all of its leases, where it
 * acknowledged none; where it only extended leases, by all that it asks for, too), and has a record
 * until pull.settle-window is over. */
#ifndef SQ_BROKER_SUBSCRIBER_REQUESTS_H
#define SQ_BROKER_SUBSCRIBER_REQUESTS_H

#include "broker/subscriber/pull_priv.h"

enum sq_request_known {
	SQ_REQUEST_NEW,
	SQ_REQUEST_KNOWN, /* it was done */
	SQ_REQUEST_OTHER, /* another one with the same leases was */
};

void sq_requests_init(struct sq_pull *);
void sq_requests_fini(struct sq_pull *);
/* False: a lease is named twice. */
bool sq_request_name(
    const struct sq_pull *, const struct sq_queue_settle *, struct sq_settled_name *out);
/* Looks the request of a call up.  Where it is known, the call has the published messages of the first
 * time in its store, and in its answer. */
enum sq_request_known
sq_request_find(const struct sq_pull *, const struct sq_settled_name *, struct sq_call *);
/* Remembers a request that is new; its record is in 'txn'. */
void sq_request_add(struct sq_pull *, struct sq_txn *, const struct sq_settled_name *,
    const struct sq_queue_settle *, const struct sq_published *);
/* Forgets requests whose time is over, and the oldest of too many. */
void sq_requests_sweep(struct sq_pull *);
/* The queue of a record's value; 0: it does not read. */
uint64_t sq_request_queue(struct sq_bytes value);
/* Takes a record in, at the start; its value reads. */
void sq_request_load(
    struct sq_pull *, const struct sq_record_key *, struct sq_bytes value, uint64_t now_ms);

#endif
