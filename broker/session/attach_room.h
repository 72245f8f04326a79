/* Room for a PUT: the limits, shares, memory and store space that an attach needs.
 *
 * 'session' is the session that exists under the PUT's key; NULL: the PUT asks for a new one.  On
 * the worker of the call's shard. */
#ifndef SQ_BROKER_ATTACH_ROOM_H
#define SQ_BROKER_ATTACH_ROOM_H

#include "broker/session/session.h"

/* Whether the PUT moves a session with a base record to another holder, whom the record names.  A
 * PUT for a transient session is answered after a commit only then, or when a stored durable
 * session ends for it. */
bool sq_attach_moves(const struct sq_session *, const struct sq_attach *);

/* Counts the link's connection in the tenant's share, if no tenant has it yet, and checks the
 * limits of a single PUT.  False: the call has been answered with the reason. */
bool sq_attach_within_limits(struct sq_broker *, struct sq_call *, const struct sq_session *session,
    const struct sq_attach *) SQ_MUST_CHECK;

/* Whether there is room for everything that the PUT makes or changes; counts a new session in the
 * tenant's share.  'durable' is the durable session that ends for the new one, and whose share the
 * new one takes over; NULL: none ends.  False: the call has been answered with the reason. */
bool sq_attach_has_room(struct sq_broker *, struct sq_call *, const struct sq_session *session,
    const struct sq_attach *, const struct sq_session *durable) SQ_MUST_CHECK;

#endif
