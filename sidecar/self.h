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

struct sq_clients;
struct sq_holds;
struct sq_self; /* the app's */

/* Watches the holds from now on.  The first values of a subscription follow behind its SUBACK. */
struct sq_self *sq_self_new(struct sq_holds *, struct sq_clients *);
/* No session is left. */
void sq_self_free(struct sq_self **);

#endif
