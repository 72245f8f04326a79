/* SETTLE with messages: leases and messages in one transaction, or nothing of either. */
#ifndef SQ_BROKER_SUBSCRIBER_PULL_PUBLISH_H
#define SQ_BROKER_SUBSCRIBER_PULL_PUBLISH_H

#include "broker/subscriber/pull_priv.h"

/* Carries the call out, and sets its answer, which follows with the next commit. */
void sq_settle_publish(struct sq_pull *, struct sq_call *);

#endif
