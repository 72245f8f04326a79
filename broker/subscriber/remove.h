/* The end of a named queue: by DELETE, or because nobody uses it.  On the worker that owns it. */
#ifndef SQ_BROKER_SUBSCRIBER_REMOVE_H
#define SQ_BROKER_SUBSCRIBER_REMOVE_H

#include "broker/subscriber/table.h"

struct sq_call;

/* Carries DELETE out; takes the call over. */
void sq_remove_call(struct sq_shard *, struct sq_call *);
/* Ends the queue if nobody has used it for the time of its declaration. */
void sq_remove_unused(struct sq_subscriber *, uint64_t now_ms);
/* Nobody is served any more, and all that pullers had has come back. */
void sq_remove_dismissed(struct sq_subscriber *);
/* The broker ends: answers who waits for the queue's end. */
void sq_remove_stop(struct sq_subscriber *);

#endif
