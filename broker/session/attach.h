/* The attach: decides on a PUT, fences the session's former holder, and makes the state from which
 * both sides continue (docs/link.md, "a session at the broker").  On the session's worker. */
#ifndef SQ_BROKER_SESSION_ATTACH_H
#define SQ_BROKER_SESSION_ATTACH_H

struct sq_call;
struct sq_session;
struct sq_session_hooks;
struct sq_shard;

/* Carries out a PUT, and answers it here or later; a new session gets the hooks. */
void sq_attach_call(struct sq_shard *, struct sq_call *, const struct sq_session_hooks *);
/* Continues a PUT that waits in FENCING: the work admitted before it has ended. */
void sq_attach_finish(struct sq_session *);

#endif
