/* Start: makes the sessions and groups that the engine has.
 *
 * A session's queue is open before the engine is ready, and nobody finds the session earlier. */
#ifndef SQ_BROKER_SESSION_RESTORE_H
#define SQ_BROKER_SESSION_RESTORE_H

#include "core/err.h"

struct sq_broker;
struct sq_session_hooks;

/* Before the engine's ready().  SQ_EINVAL: a record can't be read; that was logged, and the
 * broker must not serve. */
int sq_restore(struct sq_broker *, const struct sq_session_hooks *) SQ_MUST_CHECK;

#endif
