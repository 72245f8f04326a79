/* The intake: carries out SQ_CALL_PUBLISH, messages of publishers that have no session.
 *
 *   front --sq_broker_call()--> worker of the call: slice, slice, commit --done()--> front
 *
 * Each message has the outcome that a client's has.  A list that is atomic goes
 * in one turn into one transaction, or not at all (broker/publish/together.h).  Any other batch that matches much goes on in later turns
 * of the worker, and what fits into no transaction together is committed in several; the answer
 * comes once all of it is durable, or, of messages of QoS 0 alone, at once.  The pace of queues that
 * run behind holds it back as it does a client's (broker/shard/pace.h).
 *
 * On the shard's worker. */
#ifndef SQ_BROKER_INTAKE_INTAKE_H
#define SQ_BROKER_INTAKE_INTAKE_H

#include <stdbool.h>

struct sq_call;
struct sq_shard;

/* Carries the call out; takes it over.  'draining': the broker accepts no messages any more. */
void sq_intake_call(struct sq_shard *, struct sq_call *, bool draining);

#endif
