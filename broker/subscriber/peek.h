/* PEEK: looks at what waits in a named queue, without a lease.  On the worker that owns it. */
#ifndef SQ_BROKER_SUBSCRIBER_PEEK_H
#define SQ_BROKER_SUBSCRIBER_PEEK_H

#include <stdint.h>

#include "broker/port/queue.h"

struct sq_call;
struct sq_item;
struct sq_shard;

/* Carries the call out; takes it over.  What somebody has in his hands does not wait. */
void sq_peek_call(struct sq_shard *, struct sq_call *);
/* An item as an answer has it, with a reference to its message. */
struct sq_pulled sq_peek_item(const char *space, const struct sq_item *, uint64_t now_ms);

#endif
