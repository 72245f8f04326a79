/* Index of a shard's sessions by link: the end of a link, or room in it, concerns the sessions of
 * that link alone.
 *
 * A session belongs to the link over which it is attached, or over which a PUT waits.  On the
 * shard's worker. */
#ifndef SQ_BROKER_SESSION_LINKED_H
#define SQ_BROKER_SESSION_LINKED_H

#include "core/list.h"

struct sq_outlet;
struct sq_linked;
struct sq_session;
struct sq_shard;

struct sq_on_link {
	struct sq_linked *of;   /* the entry of the session's link; NULL: it has none */
	struct sq_list node;    /* of the entry's sessions */
	struct sq_list blocked; /* of the entry's sessions that wait for room in the link */
};

/* Moves the session to a link, from another one if it has one.  A reference to the link is held by
 * the attachment, or by the PUT that waits, until sq_linked_leave(). */
void sq_linked_join(struct sq_session *, struct sq_outlet *);
/* Removes the session from its link, if it has one. */
void sq_linked_leave(struct sq_session *);
/* Has the session wait for room in its link, until sq_linked_writable() or sq_linked_leave(). */
void sq_linked_block(struct sq_session *);

/* One of the link's sessions; NULL: the link has none. */
struct sq_session *sq_linked_first(const struct sq_shard *, const struct sq_outlet *);
/* The link has room again: the sessions that wait for it continue. */
void sq_linked_writable(struct sq_shard *, struct sq_outlet *);

#endif
