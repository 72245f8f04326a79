/* Checkpoints: write the delta into the tables, so that the log can drop its records and memory
 * its items.  On a thread of its own, in chunks, no faster than is needed. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_CHECKPOINT_H
#define SQ_BROKER_ENGINE_EMBEDDED_CHECKPOINT_H

#include "broker/engine/embedded/delta.h"
#include "broker/engine/embedded/health.h"
#include "broker/engine/embedded/table.h"
#include "core/metrics.h"
#include "store/log.h"

struct sq_checkpoint;

struct sq_checkpoint_cfg {
	struct sq_table *table;           /* written by nobody else */
	struct sq_delta *delta;           /* its chunks are taken by nobody else */
	const struct sq_log *log;         /* asked for its use alone */
	struct sq_health *health;         /* is told of checkpoints that fail; ticks here */
	const struct sq_metrics *metrics; /* copied */
	/* All records up to 'lsn' are in the tables: the log may drop them, and items may leave
	 * memory.  Called after each chunk, and again while memory runs short.  Thread: the
	 * checkpoint's. */
	void (*after)(void *owner, uint64_t lsn);
	void *owner;
};

/* All members of 'cfg' outlive it.  Its thread begins with sq_checkpoint_start(). */
struct sq_checkpoint *sq_checkpoint_new(const struct sq_checkpoint_cfg *cfg);
void sq_checkpoint_start(struct sq_checkpoint *);
/* Ends its thread, after the chunk that is being written; NULL is allowed. */
void sq_checkpoint_stop(struct sq_checkpoint *);
/* Its thread has ended. */
void sq_checkpoint_free(struct sq_checkpoint **);
/* Bytes of the log that checkpoints have lately freed in a second.  Thread: any, until
 * sq_checkpoint_free(). */
uint64_t sq_checkpoint_rate(const struct sq_checkpoint *);

#endif
