/* Items handed to members, and the queues from which they came. */
#ifndef SQ_BROKER_SESSION_MEMBER_ITEM_H
#define SQ_BROKER_SESSION_MEMBER_ITEM_H

#include "broker/session/window.h"

struct sq_group;
struct sq_session;

/* The reference to the group's queue for an item; takes a reference to the group. */
struct sq_queue_ref sq_member_item_from(struct sq_group *);
/* A delivery from that queue has ended or gone back: the session's member there, if it still is
 * one, may get another item. */
void sq_member_item_left(struct sq_session *, const struct sq_queue_ref *from);

#endif
