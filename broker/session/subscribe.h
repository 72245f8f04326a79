/* Bindings of a session: SUBSCRIBE, shares, and what annotations declare. */
#ifndef SQ_BROKER_SESSION_SUBSCRIBE_H
#define SQ_BROKER_SESSION_SUBSCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/route/router.h"
#include "core/htab.h"
#include "core/list.h"

struct sq_call;
struct sq_group;
struct sq_session;

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

void sq_subscribe_call(struct sq_session *, struct sq_call *);
/* Carries a Subscriptions out, or lets it wait; the call is in no list. */
void sq_subscribe_offer(struct sq_session *, struct sq_call *);
/* Who has declared something through the session is gone: until it is declared anew it
 * counts no more. */
void sq_subscribe_unsay(struct sq_session *);
/* Ends these of its subscriptions, no twin among them, under one lock of their space. */
void sq_subscribe_end(struct sq_session *, struct sq_subscription *const *, size_t n);
/* The session ends; 'txn' is NULL when the broker does. */
void sq_subscribe_drop_all(struct sq_session *, struct sq_txn *txn);
/* A subscription from the store: the value of its record.  Before the session's
 * queue is open. */
int sq_subscribe_restore(struct sq_session *, uint32_t number, struct sq_bytes value) SQ_MUST_CHECK;

#endif
