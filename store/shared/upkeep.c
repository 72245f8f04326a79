#include "store/shared/upkeep.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"

struct sq_upkeep {
	const struct sq_shared_ops *driver;
	const void *driver_cfg;
	pthread_t thread;
	uint64_t dropped; /* up to there, on the thread */

	pthread_mutex_t lock; /* of the members below */
	pthread_cond_t work;
	uint64_t kept; /* of a wish to drop; 0: there is none */
	bool stop;
};

uint64_t
sq_upkeep_may_drop(
    uint64_t kept, const struct sq_shared_snapshot *newest, const struct sq_shared_snapshot *older)
{
	if (newest->n == 0 || older->n == 0)
		return 0;
	if (newest->lsn < kept) /* two brokers may have written at once */
		kept = newest->lsn;
	return kept < older->lsn ? kept : older->lsn;
}

static void
upkeep_try_drop(struct sq_upkeep *u, struct sq_shared *conn, uint64_t kept)
{
	struct sq_shared_snapshot newest = {0}, older = {0};
	uint64_t lsn;

	if (u->driver->snap_newest(conn, &newest, &older) != SQ_SHARED_DONE)
		goto fail;
	lsn = sq_upkeep_may_drop(kept, &newest, &older);
	if (lsn <= u->dropped)
		return;
	if (u->driver->drop(conn, lsn) != SQ_SHARED_DONE)
		goto fail;
	SQ_DEBUG("log", "segments of records up to %" PRIu64 " are dropped", lsn);
	u->dropped = lsn;
	return;
fail:
	SQ_WARN("log", "no segments are dropped: %s", u->driver->error(conn));
}

static void
upkeep_work(struct sq_upkeep *u, uint64_t kept)
{
	struct sq_shared *conn = NULL;
	struct sq_buf err = {0};

	if (u->driver->dial(&conn, u->driver_cfg, SQ_UPKEEP_DEADLINE_MS, &err) == SQ_OK)
		upkeep_try_drop(u, conn, kept);
	u->driver->hang_up(&conn);
	sq_buf_fini(&err); /* the log's thread says when the log can't be reached */
}

static void *
upkeep_run(void *arg)
{
	struct sq_upkeep *u = arg;

	pthread_mutex_lock(&u->lock);
	for (;;) {
		uint64_t kept;

		while (u->kept == 0 && !u->stop)
			pthread_cond_wait(&u->work, &u->lock);
		if (u->stop)
			break;
		kept = u->kept;
		u->kept = 0;
		pthread_mutex_unlock(&u->lock);
		upkeep_work(u, kept);
		pthread_mutex_lock(&u->lock);
	}
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

struct sq_upkeep *
sq_upkeep_new(const struct sq_shared_ops *driver, const void *driver_cfg)
{
	struct sq_upkeep *u = sq_xcalloc(1, sizeof *u);

	u->driver = driver;
	u->driver_cfg = driver_cfg;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->work, NULL);
	sq_thread_start(&u->thread, upkeep_run, u);
	return u;
}

void
sq_upkeep_free(struct sq_upkeep **up)
{
	struct sq_upkeep *u = *up;

	if (u == NULL)
		return;
	pthread_mutex_lock(&u->lock);
	u->stop = true;
	pthread_cond_signal(&u->work);
	pthread_mutex_unlock(&u->lock);
	pthread_join(u->thread, NULL);
	pthread_mutex_destroy(&u->lock);
	pthread_cond_destroy(&u->work);
	free(u);
	*up = NULL;
}

void
sq_upkeep_drop(struct sq_upkeep *u, uint64_t kept)
{
	pthread_mutex_lock(&u->lock);
	u->kept = kept;
	pthread_cond_signal(&u->work);
	pthread_mutex_unlock(&u->lock);
}
