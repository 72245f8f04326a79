/* Members: a session's parts in the queues of groups.  They take items while the session is
 * attached, and are there to take them while sq_session_attends(). */
#ifndef SQ_BROKER_SESSION_MEMBER_H
#define SQ_BROKER_SESSION_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/engine/engine.h"
#include "broker/session/window.h"

struct sq_group;
struct sq_session;
struct sq_sub;
struct sq_subscription;

struct sq_member {
	struct sq_consumer consumer;
	struct sq_list node; /* of the session, while it takes part */
	struct sq_session *session;
	struct sq_group *group; /* a reference */
	struct sq_block *subs;
	struct sq_demand demanded; /* and not handed out yet */
	uint32_t open;             /* handed to the session and not finished */
	uint32_t concurrency;      /* the most of these; 0: no limit of its own */
	uint32_t after;            /* takes nothing before the answer of this mark; 0: it may */
	uint8_t max_qos;
	bool as_published;
	bool attends; /* the group's queue was told that it is there */
};

/* Makes the session's part in the group of 'sub', which has none; the subscription's other
 * options follow.  It takes nothing before the answer to the request that is carried out, if
 * that has a mark. */
void sq_member_join(struct sq_session *, struct sq_subscription *sub, const struct sq_sub *);
/* The answer of that mark was written. */
void sq_members_answered(struct sq_session *, uint32_t mark);
/* Ends it; freed when its consumer has ended. */
void sq_member_leave(struct sq_session *, struct sq_member *);
/* Whether they are there to take from their groups' queues: see sq_session_attends(). */
void sq_members_attend(struct sq_session *, bool attend);
/* Members take items only while the session is attached. */
void sq_members_start(struct sq_session *);
void sq_members_stop(struct sq_session *);

#endif
