/* Items that members have been handed, and the queues that they are of. */
#ifndef SQ_BROKER_SESSION_MEMBER_ITEM_H
#define SQ_BROKER_SESSION_MEMBER_ITEM_H

#include "broker/session/window.h"

struct sq_group;
struct sq_session;

/* The group's queue, with a reference. */
struct sq_queue_ref sq_member_item_from(struct sq_group *);
/* An item of that queue is finished or went back: the session's member there, if it is
 * still one, may have another. */
void sq_member_item_left(struct sq_session *, const struct sq_queue_ref *from);

#endif
