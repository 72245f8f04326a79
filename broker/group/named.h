/* Named queues: groups that a declaration keeps, with or without members (broker/subscriber).
 *
 * Their name is "queue", the space and the queue's name; they are durable, and hold one subscription
 * more than they have members: their declaration's. */
#ifndef SQ_BROKER_GROUP_NAMED_H
#define SQ_BROKER_GROUP_NAMED_H

#include "broker/group/group.h"

/* The name of the group of a queue; the caller frees it. */
char *sq_named_group(const char *space, struct sq_bytes queue);
/* Whether that is the name of such a group. */
bool sq_named_is(struct sq_bytes group);
/* The queue's own name, a view into the group's. */
struct sq_bytes sq_named_queue(const struct sq_group *);

/* Locks: the write lock of the tenant's space is held, for the functions below. */

/* Has options and limits be those of 'cfg', whose name and tenant do not count. */
void sq_named_set(struct sq_group *, const struct sq_group_cfg *cfg, struct sq_txn *txn);
/* Has nobody join, or again somebody, because the queue is about to end. */
void sq_named_close(struct sq_group *, bool closed);
/* Ends the queue, which has no members, with the reference of sq_group_join(). */
void sq_named_end(struct sq_group **, enum sq_ending_why, struct sq_txn *txn);

/* MQTT members. */
static inline unsigned
sq_named_members(const struct sq_group *g)
{
	return g->n_subs > 0 ? g->n_subs - 1 : 0;
}

/* Why nobody may join, for people; NULL: everybody may.  Locks: the read lock of the space. */
const char *sq_named_refuses(const struct sq_group *);

#endif
