/* The Subscriptions of a session's sidecar: SUBSCRIBE, UNSUBSCRIBE and what annotations declare.
 *
 * It is committed under the write lock of its space: before anybody finds a group that is new. */
#ifndef SQ_BROKER_SESSION_SUBSCRIBE_H
#define SQ_BROKER_SESSION_SUBSCRIBE_H

struct sq_call;
struct sq_session;

/* Carries a Subscriptions out, or lets it wait; the call is in no list. */
void sq_subscribe_offer(struct sq_session *, struct sq_call *);

#endif
