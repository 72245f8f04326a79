/* Whether the broker has room for what a PUT asks: limits, shares, memory and the store.
 *
 * 'session' is the one that is there under the PUT's key, NULL: a new one is asked for. */
#ifndef SQ_BROKER_ATTACH_ROOM_H
#define SQ_BROKER_ATTACH_ROOM_H

#include "broker/session/session.h"

/* Whether the PUT makes another one the holder of a session that is stored, which is then stored,
 * too: of a transient session that alone is. */
bool sq_attach_moves(const struct sq_session *, const struct sq_attach *);

/* Counts the link's connection as its tenant's, if it is nobody's yet, and looks at what limits
 * the PUT by itself.  False: it was answered why not. */
bool sq_attach_within_limits(struct sq_broker *, struct sq_call *, const struct sq_session *session,
    const struct sq_attach *) SQ_MUST_CHECK;

/* Whether there is room for what the PUT makes or changes, and a new session is counted then.
 * 'durable' is the one that ends for it, NULL: none does; a new one takes no more than that had.
 * False: it was answered why not. */
bool sq_attach_has_room(struct sq_broker *, struct sq_call *, const struct sq_session *session,
    const struct sq_attach *, const struct sq_session *durable) SQ_MUST_CHECK;

#endif
