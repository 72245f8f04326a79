/* Declarations of files: what they say is carried out by the worker that owns each queue, in slices. */
#ifndef SQ_BROKER_SUBSCRIBER_FILES_H
#define SQ_BROKER_SUBSCRIBER_FILES_H

#include <stdint.h>

struct sq_shard;

/* Tries again what was refused.  On the shard's worker, each tick. */
void sq_declared_files_tick(struct sq_shard *, uint64_t now_ms);
#endif
