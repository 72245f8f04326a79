/* Checkpoints write the delta into the tables, so that the log can drop its records and memory its
 * items.  On a thread of its own, in chunks, no faster than needed. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_CHECKPOINT_H
#define SQ_BROKER_ENGINE_EMBEDDED_CHECKPOINT_H

#include "broker/engine/embedded/delta.h"
#include "broker/engine/embedded/health.h"
#include "broker/engine/embedded/hold.h"
#include "broker/engine/embedded/table.h"
#include "core/metrics.h"

struct sq_checkpoint;
struct sq_log;

struct sq_checkpoint_cfg {
	struct sq_table *table;           /* written by nobody else */
	struct sq_delta *delta;           /* its chunks are taken by nobody else */
	const struct sq_log *log;         /* only asked: for its use, and its mark */
	struct sq_health *health;         /* gets failed checkpoints */
	struct sq_hold *hold;             /* for backups; NULL: there are none */
	const struct sq_metrics *metrics; /* copied */
	/* All records up to 'lsn' are in the tables: the log may drop them, and items may leave
	 * memory.  Called after each chunk, and again while memory runs short.  Thread: the
	 * checkpoint's. */
	void (*after)(void *owner, uint64_t lsn);
	/* Called before each chunk, and some times a second.  Thread: the checkpoint's. */
	void (*tick)(void *owner);
	void *owner;
};

/* Makes a checkpoint, whose thread begins with sq_checkpoint_start().  All members of 'cfg' outlive
 * it. */
struct sq_checkpoint *sq_checkpoint_new(const struct sq_checkpoint_cfg *cfg);
void sq_checkpoint_start(struct sq_checkpoint *);
/* Ends the thread after the present chunk; NULL is allowed. */
void sq_checkpoint_stop(struct sq_checkpoint *);
/* Writes all that the delta has, on the caller's thread; the checkpoint's has ended or not begun, and
 * nothing is applied meanwhile.  The error of the tables. */
int sq_checkpoint_all(struct sq_checkpoint *) SQ_MUST_CHECK;
/* Writes the log's mark alone, where there is one: after a restart, a log that has lost records since is
 * known by it, though the tables have not come so far.  What fails is left.  Not beside its thread. */
void sq_checkpoint_mark(struct sq_checkpoint *);
/* Frees the checkpoint, whose thread has ended, and nulls the pointer. */
void sq_checkpoint_free(struct sq_checkpoint **);
/* Bytes of the log that checkpoints have recently freed per second.  Thread: any, until
 * sq_checkpoint_free(). */
uint64_t sq_checkpoint_rate(const struct sq_checkpoint *);

#endif
