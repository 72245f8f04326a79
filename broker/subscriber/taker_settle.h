/* What takers say of their messages, and the replies to these. */
#ifndef SQ_BROKER_SUBSCRIBER_TAKER_SETTLE_H
#define SQ_BROKER_SUBSCRIBER_TAKER_SETTLE_H

#include "broker/subscriber/pull_priv.h"

/* Says to the dispatcher what the settlements of this turn say, and publishes their replies. */
void sq_takers_settle(struct sq_pull *);

#endif
