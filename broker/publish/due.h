/* Publishing of delayed messages that are due. */
#ifndef SQ_BROKER_PUBLISH_DUE_H
#define SQ_BROKER_PUBLISH_DUE_H

#include "broker/shard/shard.h"

/* Publishes a bounded number of due messages.  On the first worker.  Locks: no space is locked. */
void sq_due_tick(struct sq_shard *, uint64_t now_ms);

#endif
