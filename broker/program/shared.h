/* The log of several brokers, as the program has it: its driver, this broker's place among the others,
 * and the directory before the engine opens it.
 *
 *   new ─▶ find, until the log is reached and the directory is its cache ─▶ (the engine opens, and
 *   follows) ─▶ engine ─▶ role(): OWNS, or the process ends with SQ_EXIT_LOST ─▶ free */
#ifndef SQ_BROKER_PROGRAM_SHARED_H
#define SQ_BROKER_PROGRAM_SHARED_H

#include <stdbool.h>

#include "broker/engine/engine.h"
#include "core/buf.h"
#include "core/err.h"

struct sq_broker_config;
struct sq_log_shared_cfg;
struct sq_main_shared;
struct sq_place_source;

struct sq_main_shared_cfg {
	const struct sq_broker_config *config; /* of a log that is not local; outlives it */
	bool forget; /* what is in the directory, whosever it is, is cleared */
	/* There is news.  Thread: any; must not block. */
	void (*wake)(void *owner);
	/* It is still at work, each second or so, in find().  Thread: find()'s. */
	void (*working)(void *owner);
	/* The program is about to end, and losing the log is no news.  Thread: any. */
	bool (*ending)(void *owner);
	void *owner;
};

/* Loads the driver.  NULL with a line in 'err'. */
struct sq_main_shared *sq_main_shared_new(const struct sq_main_shared_cfg *, struct sq_buf *err);
/* The engine has been closed.  NULL is allowed. */
void sq_main_shared_free(struct sq_main_shared **);

/* Tries once to reach the log, for two seconds at most, and has the directory be a cache of it: one without
 * tables, or with those of records that the log has no more, gets the log's newest snapshot, which may take
 * minutes.
 * SQ_EAGAIN: it can't be reached at the moment, and has been logged.  Other errors, with a line in
 * 'err', do not pass.  Thread: main. */
int sq_main_shared_find(struct sq_main_shared *, struct sq_buf *err) SQ_MUST_CHECK;

/* What the engine is given; outlives it. */
const struct sq_log_shared_cfg *sq_main_shared_log(const struct sq_main_shared *);
/* The engine's callback, whose owner is the struct. */
void sq_main_shared_role(void *shared, enum sq_engine_role, const char *why);
/* The engine is open; NULL: it is about to be closed.  Thread: main. */
void sq_main_shared_engine(struct sq_main_shared *, const struct sq_engine *);

/* Whether this broker owns the log, and if so, whether the one before had let go of it. */
bool sq_main_shared_owns(const struct sq_main_shared *);
bool sq_main_shared_yielded(const struct sq_main_shared *);

/* Whether it leaves a new log to the broker of number 0 (log.import).  Thread: any. */
bool sq_main_shared_waits(struct sq_main_shared *);
/* Whether it follows closely enough to be ready, or owns; a line in 'why' in each case.  Thread: any. */
bool sq_main_shared_ready(struct sq_main_shared *, struct sq_buf *why);
/* Thread: any. */
void sq_main_shared_metrics(const struct sq_main_shared *, struct sq_buf *out);
/* For fronts; outlives them. */
const struct sq_place_source *sq_main_shared_place(const struct sq_main_shared *);

/* Appends what makes the log where it is kept. */
void sq_main_shared_schema(const struct sq_main_shared *, struct sq_buf *out);

#endif
