/* The Subscriptions of a session's sidecar: SUBSCRIBE, UNSUBSCRIBE and declarations of annotations.
 * On the session's worker.
 *
 * A request is committed under the write lock of its space, before a publish can find a new
 * group. */
#ifndef SQ_BROKER_SESSION_SUBSCRIBE_H
#define SQ_BROKER_SESSION_SUBSCRIBE_H

struct sq_call;
struct sq_session;

/* Carries out the Subscriptions of a call that is in no list, or has the call wait.  The call is
 * answered here or later. */
void sq_subscribe_offer(struct sq_session *, struct sq_call *);

#endif
