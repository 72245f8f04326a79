/* What is denied to an identity: answered with SQ_VERDICT_DENIED and the reason, counted by the
 * reason, and logged at a bounded rate.  broker/auth/identity/allowed.h has the rules. */
#ifndef SQ_BROKER_DENIED_H
#define SQ_BROKER_DENIED_H

#include "broker/shard/shard.h"

/* Answers the call, if the names in its path are not its caller's to say.  Else false. */
bool sq_denied_key(struct sq_broker *, struct sq_call *);
/* Answers it, if one of its 'n' entries of Subscriptions declares in another pod's name.
 * Else false. */
bool sq_denied_declared(struct sq_broker *, struct sq_call *, struct sq_bytes entries, int n);
/* Answers it, for 'why'. */
void sq_denied_answer(struct sq_broker *, struct sq_call *, enum sq_denied why);

#endif
