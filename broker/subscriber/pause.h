/* Queues that hand nothing out for a while.  On the worker that owns the queue. */
#ifndef SQ_BROKER_SUBSCRIBER_PAUSE_H
#define SQ_BROKER_SUBSCRIBER_PAUSE_H

struct sq_call;
struct sq_shard;

/* Carries PAUSE and RESUME out, which rules allow; takes the call over. */
void sq_pause_call(struct sq_shard *, struct sq_call *);

#endif
