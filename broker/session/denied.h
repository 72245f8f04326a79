/* Denials: requests that an identity may not make are answered with SQ_VERDICT_DENIED and the
 * reason, counted by the reason, and logged at a bounded rate. broker/auth/identity/allowed.h has
 * the rules. */
#ifndef SQ_BROKER_DENIED_H
#define SQ_BROKER_DENIED_H

#include "broker/shard/shard.h"

/* Whether the caller may not use the names in the path; true: the call has been answered. */
bool sq_denied_key(struct sq_broker *, struct sq_call *);
/* Whether an entry of the call's Subscriptions declares in another pod's name; true: the call has
 * been answered. */
bool sq_denied_declared(struct sq_broker *, struct sq_call *);
/* Notes in the view (broker/recent/refusals.h) that the call is refused with an HTTP status. */
void sq_denied_see(struct sq_broker *, const struct sq_call *, const char *reason, const char *text,
    unsigned status);
/* Answers the call with the denial 'why'. */
void sq_denied_answer(struct sq_broker *, struct sq_call *, enum sq_denied why);

#endif
