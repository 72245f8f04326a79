/* The embedded engine's parts; broker/engine/engine.h is what others see.
 *
 *   commit() --> journal --committed()--> delta --checkpoint--> tables
 *                                 |                               |
 *                                 +--> queues <------pager--------+
 *
 * Threads: the workers, the journal's, the checkpoint's and the pager's. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_EMBEDDED_H
#define SQ_BROKER_ENGINE_EMBEDDED_EMBEDDED_H

#include <pthread.h>

#include "broker/engine/embedded/delta.h"
#include "broker/engine/embedded/oplog.h"
#include "broker/engine/embedded/table.h"
#include "broker/engine/queue/queue.h"

struct sq_checkpoint;
struct sq_pager;

/* Why nothing can be made durable, by who says so; what can't be read just now, which
 * refuses nothing; and what is damaged. */
enum sq_health_cause {
	SQ_HEALTH_JOURNAL,
	SQ_HEALTH_TABLES,
	SQ_HEALTH_READS,
	SQ_HEALTH_DAMAGE,
	SQ_HEALTH_CAUSES
};

struct sq_embedded {
	struct sq_engine engine;
	struct sq_engine_cfg cfg;
	struct sq_metrics metrics;
	int lock; /* of the directory */
	struct sq_table *table;
	struct sq_log *log;
	struct sq_delta *delta;
	struct sq_checkpoint *checkpoint;
	struct sq_pager *pager;
	struct sq_queue_store store;
	atomic_uint_fast64_t
	    rate;     /* bytes of the journal that checkpoints lately freed in a second */
	bool started; /* ready() was called */
	atomic_uint_fast64_t next_queue;

	pthread_mutex_t queues_lock; /* before a queue's lock */
	struct sq_list queues;       /* the durable ones, by 'paged' */

	pthread_mutex_t health_lock;
	char *causes[SQ_HEALTH_CAUSES]; /* NULL: none */
	char *stall;                    /* why the journal waits; NULL: it does not */
	uint64_t stall_ms;              /* since when */
	atomic_bool no_room;            /* the tables are as full as they may be */
};

static inline struct sq_embedded *
sq_embedded_of(struct sq_engine *e)
{
	return SQ_CONTAINER_OF(e, struct sq_embedded, engine);
}

/* --- item.c --- */

/* Time of the workers' clock, on any thread: items come back on others than theirs. */
uint64_t sq_embedded_mono(uint64_t wall_ms);
/* Whether an item of the tables, which verifies, is one that was ever put. */
static inline bool
sq_embedded_item_good(const struct sq_table_item *stored)
{
	return (stored->qos == 1 || stored->qos == 2) &&
	    sq_image_check(stored->image.p, stored->image.len) == SQ_OK;
}

/* Such an item, with references of its own. */
struct sq_item sq_embedded_item(const struct sq_table_item *);

/* --- build.c: a transaction before its commit; see engine.h --- */

/* What becomes of a put when it is committed; in the transaction's 'ops'. */
struct sq_put {
	struct sq_queue *queue; /* a reference */
	struct sq_item item;
};

bool sq_embedded_txn_room(const struct sq_txn *, uint64_t items, uint64_t bytes);
int sq_embedded_put(struct sq_txn *, struct sq_queue *, struct sq_item *);
bool sq_embedded_pass(struct sq_txn *, struct sq_consumer *, struct sq_item *);
void sq_embedded_settle(struct sq_txn *, struct sq_queue *, struct sq_item *, enum sq_settle_how);
void sq_embedded_record(struct sq_txn *, const struct sq_record_key *, struct sq_bytes value);
bool sq_embedded_is_durable(const struct sq_txn *);

/* --- health.c --- */

/* Notes a trouble, with one line in the log where it is new; NULL: it is over.
 * Damage is never over. */
void sq_health_note(struct sq_embedded *, enum sq_health_cause, const char *why);
/* Refuses puts when the tables fill up, and takes them again. */
void sq_embedded_check_room(struct sq_embedded *);
/* The journal waits, and why; NULL: it goes on.  Its own thread. */
void sq_embedded_stalled(void *embedded, const char *why);
/* A journal that waits for long is trouble; for a moment it only slows who publishes.
 * Called now and then. */
void sq_embedded_check_stall(struct sq_embedded *);
/* sq_engine_ops.healthy and .stalled: with reads that fail it is healthy, and says so;
 * with trouble of the tables alone commits go on,
 * as far as the journal reaches. */
bool sq_embedded_healthy(struct sq_engine *, struct sq_buf *why);
bool sq_embedded_stalls(struct sq_engine *);
bool sq_embedded_full(const struct sq_engine *);

/* --- checkpoint.c --- */

struct sq_checkpoint *sq_checkpoint_start(struct sq_embedded *);
void sq_checkpoint_stop(struct sq_checkpoint **);

/* --- pager.c --- */

struct sq_pager *sq_pager_start(struct sq_embedded *);
void sq_pager_stop(struct sq_pager **);
/* The queue's gap shall be read; under the queue's lock. */
void sq_pager_want(struct sq_queue *);
/* sq_table_item(), at the start: one that fails is tried again for some seconds. */
int sq_pager_item(struct sq_embedded *, uint64_t queue, uint64_t seq,
    void (*fn)(void *arg, const struct sq_table_item *), void *arg) SQ_MUST_CHECK;

#endif
