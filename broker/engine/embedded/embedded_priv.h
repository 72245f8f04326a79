/* The engine's layout, for embedded.c (what a broker asks for), embedded_start.c (open, start, follow and
 * end) and embedded_commit.c. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_EMBEDDED_PRIV_H
#define SQ_BROKER_ENGINE_EMBEDDED_EMBEDDED_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/engine/embedded/build.h"
#include "broker/engine/embedded/checkpoint.h"
#include "broker/engine/embedded/delta.h"
#include "broker/engine/embedded/embedded.h"
#include "broker/engine/embedded/health.h"
#include "broker/engine/embedded/hold.h"
#include "broker/engine/embedded/oplog.h"
#include "broker/engine/embedded/pager.h"
#include "broker/engine/embedded/table.h"
#include "broker/engine/files.h"
#include "broker/engine/queue/queue.h"

/* Whose the log is. */
struct embedded_role {
	atomic_bool owns;    /* this engine's, from the first claim that was answered */
	atomic_bool lost;    /* another's, for good */
	struct sq_list back; /* entries that the log has given back: nobody answers them */
	/* Whom to tell: sq_engine_cfg.role. */
	void (*tell)(void *owner, enum sq_engine_role, const char *why);
	void *owner;
};

struct embedded {
	struct sq_engine engine;
	struct sq_engine_files files;
	struct sq_build_limits limits;
	struct sq_metrics metrics;
	int lock; /* of the directory */
	struct sq_table *table;
	struct sq_log *log;
	struct sq_delta *delta;
	struct sq_health *health;
	struct sq_checkpoint *checkpoint;
	struct sq_hold *hold; /* the checkpoint's */
	struct sq_pager *pager;
	struct sq_queue_store store;
	struct embedded_role role;
	atomic_bool complete; /* all parts are there: the log's thread may use them */
	atomic_bool started;  /* ready() was called */
	uint64_t start_lsn;   /* sq_delta_promote() */
	atomic_uint_fast64_t next_queue;
	pthread_mutex_t queues_lock; /* before a queue's lock */
	struct sq_list queues;       /* the durable ones, by 'paged' */
};

static inline struct embedded *
sq_embedded_of(const struct sq_engine *e)
{
	return SQ_CONTAINER_OF((struct sq_engine *)(uintptr_t)e, struct embedded, engine);
}

/* --- embedded_commit.c --- */

/* The engine's own entries are durable, as record 'lsn'.  Thread: the log's. */
void sq_embedded_committed(struct embedded *, uint64_t lsn, struct sq_list *entries);
/* The delta has changed: it needs room in the tables as well. */
void sq_embedded_check_room(struct embedded *);
/* Slows the log's thread after a record of 'bytes' to the rate of checkpoints, when the log fills
 * up. */
void sq_embedded_throttle(struct embedded *, uint64_t bytes);
void sq_embedded_commit(struct sq_txn *);

/* --- embedded_start.c --- */

/* Looks at the log, some times a second. */
void sq_embedded_tick(struct embedded *);
/* Items that are in the tables may leave memory. */
void sq_embedded_page_out(struct embedded *);

/* Functions of struct sq_engine_ops. */
struct sq_engine *
sq_embedded_open(const struct sq_engine_ops *, const struct sq_engine_cfg *, struct sq_buf *err);
void sq_embedded_close(struct sq_engine *);
void sq_embedded_own(struct sq_engine *);
int sq_embedded_load(struct sq_engine *, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg);
const char *sq_embedded_load_error(const struct sq_engine *);
int sq_embedded_claim(struct sq_queue *, uint64_t seq, struct sq_item *out);
void sq_embedded_ready(struct sq_engine *);

#endif
