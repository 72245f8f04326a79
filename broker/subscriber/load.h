/* Named queues at the start: those that the store has. */
#ifndef SQ_BROKER_SUBSCRIBER_LOAD_H
#define SQ_BROKER_SUBSCRIBER_LOAD_H

#include <stdint.h>

#include "core/err.h"

struct sq_record_key;
struct sq_shard;
struct sq_subscribers;

/* Reads declarations, after groups and sessions were read.  SQ_EINVAL: a record is malformed; it was
 * logged.  Or the engine's error. */
int sq_subscribers_load_records(struct sq_subscribers *, uint64_t now_ms) SQ_MUST_CHECK;

/* Remembers a record of a queue that there is not any more: a broker that knows no named queues has
 * ended it.  At the start. */
void sq_subscribers_orphan(struct sq_subscribers *, const struct sq_record_key *);
/* Deletes some of these.  In ticks of the first worker. */
void sq_subscribers_sweep(struct sq_shard *);

#endif
