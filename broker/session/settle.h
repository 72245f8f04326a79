/* What the sidecar says of deliveries (docs/link.md, "a delivery at the broker"). */
#ifndef SQ_BROKER_SESSION_SETTLE_H
#define SQ_BROKER_SESSION_SETTLE_H

struct sq_call;
struct sq_session;

void sq_settle_call(struct sq_session *, struct sq_call *);

#endif
