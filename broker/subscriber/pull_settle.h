/* SETTLE without messages, and what both kinds of it share. */
#ifndef SQ_BROKER_SUBSCRIBER_PULL_SETTLE_H
#define SQ_BROKER_SUBSCRIBER_PULL_SETTLE_H

#include "broker/subscriber/lease.h"
#include "broker/subscriber/pull_priv.h"

/* Reads the lease of an entry.  False: it is none of this queue and the caller. */
bool sq_settle_lease(const struct sq_pull *, const struct sq_call *, const struct sq_lease_entry *,
    struct sq_lease *out);
/* The item that the lease holds, or has held last; NULL: there is none. */
struct sq_pull_item *sq_settle_find(const struct sq_pull *, const struct sq_lease *);
/* Says to the dispatcher what became of an item.  False: the lease was lost. */
bool sq_settle_item(struct sq_pull *, struct sq_pull_item *, const struct sq_lease_entry *);
/* Settles each of the call's leases that holds, and sets its answer, which does not follow here. */
void sq_settle_leases(struct sq_pull *, struct sq_call *);

#endif
