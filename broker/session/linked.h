/* The sessions of a shard by the link that they are attached over, or ask to be: so that the
 * end of one link, or room in it, concerns nobody else's.
 *
 * All on the shard's worker. */
#ifndef SQ_BROKER_SESSION_LINKED_H
#define SQ_BROKER_SESSION_LINKED_H

#include "core/list.h"

struct sq_outlet;
struct sq_linked;
struct sq_session;
struct sq_shard;

struct sq_on_link {
	struct sq_linked *of;   /* its link's, or that of the PUT that waits; NULL: none */
	struct sq_list node;    /* of that */
	struct sq_list blocked; /* the same, while the link is full */
};

/* The session is of that link now, whatever it was before.  It holds a reference to the link, by
 * its attachment or by the PUT that waits, until sq_linked_leave(). */
void sq_linked_join(struct sq_session *, struct sq_outlet *);
/* It is of no link, if it was of one. */
void sq_linked_leave(struct sq_session *);
/* It waits for room in its link, until that has some or it leaves. */
void sq_linked_block(struct sq_session *);

/* One of the sessions of that link; NULL: there is none. */
struct sq_session *sq_linked_first(const struct sq_shard *, const struct sq_outlet *);
/* Has those that wait for room in it go on. */
void sq_linked_writable(struct sq_shard *, struct sq_outlet *);

#endif
