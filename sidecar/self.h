/* $SYS/sidecar/...: figures of the sidecar for the pod's clients (docs/user-guide.md has the
 * names).
 *
 * A subscription below $SYS goes to the broker like any other; the broker answers and keeps it.
 * The sidecar makes the messages for subscriptions of its live clients, in the way of $SYS/broker:
 * a new subscription gets all values at once as retained messages, then each sys.interval the
 * changed ones at QoS 0.  So the figures come also without a broker.  Shared and declared
 * subscriptions get none.  On the loop's thread. */
#ifndef SQ_SIDECAR_SELF_H
#define SQ_SIDECAR_SELF_H

struct sq_clients;
struct sq_holds;
struct sq_self;

/* Watches the holds from now on.  The first values of a subscription follow its SUBACK. */
struct sq_self *sq_self_new(struct sq_holds *, struct sq_clients *);
/* Frees it and nulls the pointer; no hold is left. */
void sq_self_free(struct sq_self **);

#endif
