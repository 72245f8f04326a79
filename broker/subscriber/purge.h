/* PURGE: a named queue is emptied of what waits in it, in slices.  On the worker that owns it. */
#ifndef SQ_BROKER_SUBSCRIBER_PURGE_H
#define SQ_BROKER_SUBSCRIBER_PURGE_H

struct sq_call;
struct sq_shard;

/* Carries the call out; takes it over.  What others have in their hands stays theirs; messages of
 * QoS 3 become dead letters. */
void sq_purge_call(struct sq_shard *, struct sq_call *);

#endif
