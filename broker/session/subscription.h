/* Bindings of a session: of its own queue, and of queues of groups. */
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
	struct sq_hnode by_group;  /* of the table of those that consume, if it leads */
	struct sq_list of_group;   /* the ring of those that consume from the same group */
	char *name;                /* what makes it one: filter, or group, tag and filter */
	struct sq_binding binding; /* of the session's own queue */
	struct sq_group *group;    /* or of this group's; a reference */
	struct sq_group_binding *group_binding;
	uint32_t number;              /* of its record; 0: it has none */
	uint32_t filter_len;          /* bytes */
	uint8_t counted;              /* enum sq_sys_count; SQ_SYS_COUNTS: nowhere */
	bool consumes;                /* from the group */
	bool leads;                   /* it is the one of its ring that is in the table */
	struct sq_declarer *word;     /* what it declares of the group's queue; NULL: nothing */
	struct sq_member *member;     /* one of the session's subscriptions to a group has it */
	struct sq_subscription *twin; /* of one to $dead/#: to the other queue of the two */
	struct sq_sub_scan *scan;     /* retained messages still come: see retained_scan.h */
};

struct sq_bindings {
	struct sq_list list; /* struct sq_subscription */
	struct sq_htab by_name, by_group;
	uint32_t n;
	uint64_t filter_bytes; /* of these */
};

/* By its name; NULL: there is none. */
struct sq_subscription *sq_subscription_find(struct sq_session *, const char *name);

/* These under the write lock of the tenant's space; 'txn' has what is stored of it. */

/* Makes what 'w' wants, whose name it takes. */
struct sq_subscription *
sq_subscription_new(struct sq_session *, struct sq_wanted *w, struct sq_txn *txn);
/* Does what an entry says of a subscription that is there, and of its twin. */
void sq_subscription_apply(
    struct sq_session *, struct sq_subscription *, const struct sq_sub *, struct sq_txn *txn);
/* Takes in what the entry says of the group's queue. */
void sq_subscription_declare(
    struct sq_session *, struct sq_subscription *, struct sq_wanted *, struct sq_txn *txn);
/* Ends it, and its twin. */
void sq_subscription_end(struct sq_session *, struct sq_subscription *, struct sq_txn *txn);

/* These take the lock. */

/* The sidecar that has declared something through the session is gone: until it is declared anew
 * it counts no more. */
void sq_subscriptions_unsay(struct sq_session *);
/* Ends these of its subscriptions, no twin among them, under one lock of their space. */
void sq_subscriptions_end(struct sq_session *, struct sq_subscription *const *, size_t n);
/* The session ends; 'txn' is NULL when the broker does. */
void sq_subscriptions_drop(struct sq_session *, struct sq_txn *txn);
/* A subscription from the store: the value of its record.  Before the session's queue is open;
 * SQ_EINVAL: the value does not read. */
int
sq_subscription_restore(struct sq_session *, uint32_t number, struct sq_bytes value) SQ_MUST_CHECK;

#endif
