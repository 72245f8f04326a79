/* Enforcement of rules on existing sessions: subscriptions and sessions that the rules no longer
 * allow end, after a change of the rules and after an attach by another identity. */
#ifndef SQ_BROKER_SESSION_ENFORCE_H
#define SQ_BROKER_SESSION_ENFORCE_H

struct sq_identity;
struct sq_session;
struct sq_shard;

/* Makes the identity the session's holder, and ends the subscriptions that the rules deny to it.
 * On the session's worker. */
void sq_enforce_attached(struct sq_session *, const struct sq_identity *);
/* After a change of rules, checks some of the shard's sessions at a time.  About once in 100 ms, on
 * the shard's worker. */
void sq_enforce_tick(struct sq_shard *);

#endif
