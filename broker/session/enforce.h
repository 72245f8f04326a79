/* Ends what the rules deny a session by now: when they change, and when another identity attaches
 * it. */
#ifndef SQ_BROKER_SESSION_ENFORCE_H
#define SQ_BROKER_SESSION_ENFORCE_H

struct sq_identity;
struct sq_session;
struct sq_shard;

/* The session is that identity's from now on: what it may not have of it ends. */
void sq_enforce_attached(struct sq_session *, const struct sq_identity *);
/* About once in 100 ms, on the shard's worker: after a change of rules, ends what is denied
 * now, of some sessions at a time. */
void sq_enforce_tick(struct sq_shard *);

#endif
