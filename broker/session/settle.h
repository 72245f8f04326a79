/* Settlements: the sidecar's reports on deliveries (docs/link.md, "a delivery at the broker").
 *
 * sq_settle_call() carries out and answers a call with settlements, on the session's worker. */
#ifndef SQ_BROKER_SESSION_SETTLE_H
#define SQ_BROKER_SESSION_SETTLE_H

struct sq_call;
struct sq_session;

void sq_settle_call(struct sq_session *, struct sq_call *);

#endif
