/* $SYS/sidecar/...: what the sidecar says of itself to the pod's clients (docs/user-guide.md
 * has the names).
 *
 * A subscription below $SYS goes to the broker as any other does, which answers and keeps it;
 * the sidecar's part is made here for those that its live clients have made, as the broker
 * makes $SYS/broker: all values at once for a new one, as retained messages, then each
 * sys.interval what has changed, at QoS 0.  So it is there while no broker is.  Shared and
 * declared subscriptions get none of it. */
#ifndef SQ_SIDECAR_SELF_H
#define SQ_SIDECAR_SELF_H

#include "proto/link/frame.h"

struct sq_clients;
struct sq_holds;
struct sq_self;      /* the app's */
struct sq_self_subs; /* a session's subscriptions that select something of it */
struct sq_hold;

struct sq_self *sq_self_new(struct sq_holds *, struct sq_clients *);
/* No session is left. */
void sq_self_free(struct sq_self **);

/* The session's client has the subscription 'e'; 'fresh': it had none of this filter.  Its
 * first values follow behind the SUBACK. */
void sq_self_made(struct sq_hold *, const struct sq_sub *e, bool fresh);
void sq_self_unmade(struct sq_hold *, struct sq_bytes filter);
/* The session ends, or another one goes on with what it had. */
void sq_self_forget(struct sq_hold *);
void sq_self_inherit(struct sq_hold *to, struct sq_hold *from);

#endif
