/* LETTERS: looks at what waits in the two dead-letter queues of a space.  On any worker. */
#ifndef SQ_BROKER_SUBSCRIBER_LETTERS_H
#define SQ_BROKER_SUBSCRIBER_LETTERS_H

struct sq_call;
struct sq_shard;

/* Carries the call out; takes it over.  What somebody has in his hands does not wait. */
void sq_letters_call(struct sq_shard *, struct sq_call *);

#endif
