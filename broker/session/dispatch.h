/* Dispatch of a shard's calls and events to its sessions, and of calls that came too early.
 *
 * On the shard's worker. */
#ifndef SQ_BROKER_SESSION_DISPATCH_H
#define SQ_BROKER_SESSION_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

struct sq_call;
struct sq_outlet;
struct sq_session_hooks;
struct sq_shard;

/* The hooks of every session. */
extern const struct sq_session_hooks sq_sessions_hooks;

/* Carries out a call, or has it wait; takes the call over.  'draining': the broker accepts no
 * sessions and no messages any more. */
void sq_sessions_call(struct sq_shard *, struct sq_call *, bool draining);
/* Ends attachments over a closed outlet, and attaches that wait for one. */
void sq_sessions_outlet_lost(struct sq_shard *, struct sq_outlet *);
/* Runs due timers of sessions and wills, and ends state that a change of rules denies.  About once
 * in 100 ms. */
void sq_sessions_tick(struct sq_shard *, uint64_t now_ms);
/* Closes all sessions, because the broker ends. */
void sq_sessions_stop(struct sq_shard *);
/* Whether no session waits for a commit or for its client. */
bool sq_sessions_idle(const struct sq_shard *);

#endif
