/* Start of the broker: makes the sessions and groups that the engine has stored.
 *
 * A session's queue opens before the engine is ready, and nobody finds the session earlier. */
#ifndef SQ_BROKER_SESSION_RESTORE_H
#define SQ_BROKER_SESSION_RESTORE_H

#include "core/err.h"

struct sq_broker;
struct sq_session_hooks;

/* Reads the records; called once, before the engine's ready() and before workers turn.  SQ_EINVAL:
 * a record is malformed; the fault has been logged, and the broker must not serve. */
int sq_restore(struct sq_broker *, const struct sq_session_hooks *) SQ_MUST_CHECK;

#endif
