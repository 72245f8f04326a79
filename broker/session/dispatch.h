/* Calls and events of a shard's sessions, by their kinds; and calls that came too early.
 *
 * All on the shard's worker. */
#ifndef SQ_BROKER_SESSION_DISPATCH_H
#define SQ_BROKER_SESSION_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

struct sq_call;
struct sq_outlet;
struct sq_session_hooks;
struct sq_shard;

/* Those of all sessions. */
extern const struct sq_session_hooks sq_dispatch_hooks;

/* Carries a call of the shard's out, or lets it wait.  'draining': the broker takes no sessions and
 * no messages any more. */
void sq_dispatch_call(struct sq_shard *, struct sq_call *, bool draining);
/* The outlet is closed: sessions that are attached over it, or ask to be, have lost it. */
void sq_dispatch_outlet_lost(struct sq_shard *, struct sq_outlet *);
/* Sessions whose time has come, and what a change of rules ends. */
void sq_dispatch_tick(struct sq_shard *, uint64_t now_ms);
/* The broker ends: closes all sessions. */
void sq_dispatch_stop(struct sq_shard *);
/* No session waits for a commit or for its client. */
bool sq_dispatch_idle(const struct sq_shard *);

#endif
