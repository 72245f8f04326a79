/* Subscriptions of a session: bindings of its own queue, and of queues of groups.  On the session's
 * worker. */
#ifndef SQ_BROKER_SESSION_SUBSCRIPTION_H
#define SQ_BROKER_SESSION_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/route/router.h"
#include "core/htab.h"
#include "core/list.h"

struct sq_group;
struct sq_session;
struct sq_sub;
struct sq_wanted;

/* One entry of SUBSCRIBE or of an annotation. */
struct sq_subscription {
	struct sq_list node;
	struct sq_hnode by_name;
	struct sq_hnode by_group; /* of the consuming ones, if it leads its ring */
	struct sq_list of_group;  /* the ring of those that consume from its group */
	char *name; /* identifies it in the session: filter, or group, tag and filter */
	struct sq_binding binding; /* of the session's own queue */
	struct sq_group *group;    /* the binding is of this group's queue instead; a reference */
	struct sq_group_binding *group_binding; /* NULL with a group: it is a named queue */
	uint32_t number;                        /* of its record; 0: it has none; persist.c */
	uint32_t filter_len;                    /* bytes */
	uint8_t counted;          /* enum sq_sys_count in which it counts; SQ_SYS_COUNTS: none */
	bool consumes;            /* from the group */
	bool leads;               /* it represents its ring in the table */
	struct sq_declarer *word; /* its declaration of the group queue's options; NULL: none */
	struct sq_member *member; /* the session's member in the group; one subscription of the
	                               * ring has it */
	struct sq_subscription *twin; /* of a subscription to $dead/#: the one to the other of the
	                               * two queues */
	struct sq_sub_scan *scan;     /* retained messages still come: see retained_scan.h */
};

struct sq_bindings {
	struct sq_list list; /* struct sq_subscription */
	struct sq_htab by_name, by_group;
	uint32_t n;
	uint64_t filter_bytes; /* of the names of all filters */
};

/* The subscription with that name; NULL: there is none. */
struct sq_subscription *sq_subscription_find(struct sq_session *, const char *name);

/* Locks: for the next four the caller holds the write lock of the tenant's space.  'txn' gets the
 * records. */

/* Makes the subscription that 'w' describes; takes over the name from 'w'. */
struct sq_subscription *
sq_subscription_new(struct sq_session *, struct sq_wanted *w, struct sq_txn *txn);
/* Applies the options of an entry to an existing subscription and to its twin. */
void sq_subscription_apply(
    struct sq_session *, struct sq_subscription *, const struct sq_sub *, struct sq_txn *txn);
/* Applies the entry's declaration of the group queue's options. */
void sq_subscription_declare(
    struct sq_session *, struct sq_subscription *, struct sq_wanted *, struct sq_txn *txn);
/* Ends and frees the subscription and its twin. */
void sq_subscription_end(struct sq_session *, struct sq_subscription *, struct sq_txn *txn);

/* Locks: the following take the write lock themselves. */

/* Withdraws the declarations made through this session, because its sidecar is gone.  They count
 * again when they are declared anew. */
void sq_subscriptions_unsay(struct sq_session *);
/* Ends 'n' subscriptions, no two of them twins, under one lock of their space. */
void sq_subscriptions_end(struct sq_session *, struct sq_subscription *const *, size_t n);
/* Ends all subscriptions with their session.  'txn' is NULL when the broker ends. */
void sq_subscriptions_drop(struct sq_session *, struct sq_txn *txn);
/* Makes a subscription from the value of its record, before the session's queue is open.
 * SQ_EINVAL: the value is malformed. */
int
sq_subscription_restore(struct sq_session *, uint32_t number, struct sq_bytes value) SQ_MUST_CHECK;

#endif
