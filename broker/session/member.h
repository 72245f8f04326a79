/* Members: the consumers of a session in queues of groups.
 *
 * A member takes items while the session is attached, and counts in its group's queue while
 * sq_session_attends().  On the session's worker. */
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
	struct sq_list node; /* of the session's members, until sq_member_leave() */
	struct sq_session *session;
	struct sq_group *group; /* a reference */
	struct sq_block *subs;
	struct sq_demand demanded; /* asked for and not handed out yet; demand.c */
	uint32_t open;             /* deliveries of this member without an end; member_item.c */
	uint32_t concurrency;      /* the most of them; 0: no limit of its own */
	uint32_t after;            /* mark of the answer that must be written before the first item;
	                            * 0: none */
	uint8_t max_qos;
	bool as_published;
	bool attends; /* the group's queue counts the member */
};

struct sq_members {
	struct sq_list list; /* struct sq_member */
	uint32_t n_joining;  /* those that wait for an answer */
};

/* Makes the session's member in the group of 'sub', which has none, with the options of the entry.
 * While a request with a mark is carried out, the member takes nothing before the answer to the
 * request. */
void sq_member_join(struct sq_session *, struct sq_subscription *sub, const struct sq_sub *);
/* The answer with that mark has been written: members that wait for it begin to take items. */
void sq_members_answered(struct sq_session *, uint32_t mark);
/* Sets the options of the entry, with the reference to 'subs'.  A declared member's maximum QoS is
 * that of its bindings. */
void sq_member_options(struct sq_member *, const struct sq_sub *, struct sq_block *subs);
/* Ends the member, which is freed when its consumer has ended. */
void sq_member_leave(struct sq_session *, struct sq_member *);
/* Has the queues of the session's groups count its members, or no longer; see
 * sq_session_attends(). */
void sq_members_attend(struct sq_session *, bool attend);
/* Starts and stops the consumers of all members, as the session is attached and no longer
 * attached. */
void sq_members_start(struct sq_session *);
void sq_members_stop(struct sq_session *);

#endif
