/* Publishes delayed messages when they are due. */
#ifndef SQ_BROKER_PUBLISH_DUE_H
#define SQ_BROKER_PUBLISH_DUE_H

#include "broker/shard/shard.h"

/* A bounded number per call; on the first worker, with no space locked. */
void sq_due_tick(struct sq_shard *, uint64_t now_ms);

#endif
