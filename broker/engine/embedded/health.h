/* The health of a store: the reasons why nothing can be made durable or read, and the decision to
 * accept nothing new while the tables are full.  Callers report causes and sizes; it knows neither
 * tables nor log. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_HEALTH_H
#define SQ_BROKER_ENGINE_EMBEDDED_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/metrics.h"

struct sq_health;

enum sq_health_cause {
	SQ_HEALTH_LOG,    /* commits wait */
	SQ_HEALTH_TABLES, /* checkpoints fail: commits continue as far as the log reaches */
	SQ_HEALTH_READS,  /* reads fail at the moment: refuses nothing */
	SQ_HEALTH_DAMAGE, /* permanent */
	SQ_HEALTH_LOST,   /* the log is another process's: permanent */
	SQ_HEALTH_CAUSES
};

struct sq_health_cfg {
	uint64_t max_bytes; /* of the tables */
	uint64_t stall_ms;  /* a longer commit is a cause; 0: none is */
	bool shared;        /* the log is one of several brokers, and on no disk here */
	atomic_bool *full;  /* set while durable queues accept nothing */
	const struct sq_metrics *metrics; /* copied */
};

struct sq_health *sq_health_new(const struct sq_health_cfg *);
void sq_health_free(struct sq_health **);

/* Notes a cause, and logs a new one; 'why' NULL: the cause is over.  Thread: any.  Locks: its
 * own. */
void sq_health_note(struct sq_health *, enum sq_health_cause, const char *why);
/* Sets the bytes that the tables need, including those of the delta.  Durable queues are full from
 * a part of the maximum on, until there is room again.  Thread: any.  Locks: its own, when the
 * state changes. */
void sq_health_used(struct sq_health *, uint64_t used);
/* The log stalls for 'why'; NULL: it continues.  A short stall only slows publishers: it becomes a
 * cause in sq_health_tick().  Thread: any.  Locks: its own. */
void sq_health_stalled(struct sq_health *, const char *why);
/* Makes a long stall of the log a cause, and a commit that has been under way for too long: 'busy_ms'
 * is sq_log_busy_ms().  So is a log of which this process may not be sure any more: 'leased' is
 * sq_log_leased().  Called several times a second, and before the health is asked for: the thread
 * that calls else may hang on the same disk.  Thread: any.  Locks: its own. */
void sq_health_tick(struct sq_health *, uint64_t busy_ms, bool leased);

/* Whether the store is healthy.  'why' gets a line for each cause; failing reads have a line, and
 * leave the store healthy.  Thread: any.  Locks: its own. */
bool sq_health_is_good(struct sq_health *, struct sq_buf *why);
/* Whether commits have been waiting for long.  Thread: any.  Locks: its own. */
bool sq_health_stalls(struct sq_health *);
/* Whether the tables have reached their maximum.  Thread: any. */
bool sq_health_full(const struct sq_health *);

#endif
