#include "broker/engine/embedded/health.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/engine/files.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	TABLES_ROOM_PERCENT = 75, /* and then until there is so much room */
	STALL_MS = 1000,          /* a longer wait of the log is a cause */
};

struct sq_health {
	struct sq_health_cfg cfg;
	struct sq_metrics metrics;
	atomic_bool no_room; /* the tables are as full as they may be; written under the lock */
	pthread_mutex_t lock;
	char *causes[SQ_HEALTH_CAUSES]; /* NULL: none */
	char *stall;                    /* why the log waits; NULL: it does not */
	uint64_t stall_ms;              /* since when */
	bool hangs; /* a commit is under way for too long, or the log is silent */
};

struct sq_health *
sq_health_new(const struct sq_health_cfg *cfg)
{
	struct sq_health *h = sq_xcalloc(1, sizeof *h);

	h->cfg = *cfg;
	h->metrics = *cfg->metrics;
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void
sq_health_free(struct sq_health **hp)
{
	struct sq_health *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	for (size_t i = 0; i < SQ_HEALTH_CAUSES; i++)
		free(h->causes[i]);
	free(h->stall);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static bool
health_no_room(const struct sq_health *h, uint64_t used)
{
	unsigned percent = atomic_load(&h->no_room) ? TABLES_ROOM_PERCENT : SQ_STORE_FULL_PERCENT;

	return used > h->cfg.max_bytes / 100 * percent;
}

/* Under the lock. */
static void
health_publish(struct sq_health *h)
{
	bool full = atomic_load(&h->no_room) || h->causes[SQ_HEALTH_LOG] != NULL ||
	    h->causes[SQ_HEALTH_TABLES] != NULL || h->causes[SQ_HEALTH_LOST] != NULL;

	atomic_store_explicit(h->cfg.full, full, memory_order_relaxed);
	sq_metric_set(&h->metrics, SQ_M_STORE_STALLED, full);
}

/* Under the lock. */
static void
health_note(struct sq_health *h, enum sq_health_cause which, const char *why)
{
	char *old = h->causes[which];

	if (why != NULL && old == NULL)
		SQ_ERROR("store", "%s", why);
	else if (why == NULL && old != NULL)
		SQ_INFO("store", "goes on; it was: %s", old);
	h->causes[which] = why != NULL ? sq_xstrdup(why) : NULL;
	free(old);
	health_publish(h);
}

void
sq_health_note(struct sq_health *h, enum sq_health_cause which, const char *why)
{
	pthread_mutex_lock(&h->lock);
	health_note(h, which, why);
	pthread_mutex_unlock(&h->lock);
}

/* Under the lock. */
static void
health_set_room(struct sq_health *h, bool no_room)
{
	if (no_room == atomic_load(&h->no_room))
		return;
	if (no_room)
		SQ_WARN("store",
		    "tables: %d %% of store.max-size is full, nothing new is taken until "
		    "something ends",
		    SQ_STORE_FULL_PERCENT);
	else
		SQ_INFO("store", "tables: there is room again");
	atomic_store(&h->no_room, no_room);
	health_publish(h);
}

void
sq_health_used(struct sq_health *h, uint64_t used)
{
	if (health_no_room(h, used) == atomic_load(&h->no_room))
		return;
	pthread_mutex_lock(&h->lock);
	health_set_room(h, health_no_room(h, used));
	pthread_mutex_unlock(&h->lock);
}

bool
sq_health_is_good(struct sq_health *h, struct sq_buf *why)
{
	bool healthy = true;

	pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < SQ_HEALTH_CAUSES; i++) {
		if (h->causes[i] == NULL)
			continue;
		sq_buf_printf(why, "store: %s\n", h->causes[i]);
		healthy = healthy && i == SQ_HEALTH_READS;
	}
	pthread_mutex_unlock(&h->lock);
	return healthy;
}

bool
sq_health_stalls(struct sq_health *h)
{
	bool stalls;

	pthread_mutex_lock(&h->lock);
	stalls = h->causes[SQ_HEALTH_LOG] != NULL || h->causes[SQ_HEALTH_LOST] != NULL;
	pthread_mutex_unlock(&h->lock);
	return stalls;
}

bool
sq_health_full(const struct sq_health *h)
{
	return atomic_load_explicit(&h->no_room, memory_order_relaxed);
}

void
sq_health_stalled(struct sq_health *h, const char *why)
{
	pthread_mutex_lock(&h->lock);
	if (h->stall == NULL)
		h->stall_ms = sq_clock_ms();
	free(h->stall);
	h->stall = why != NULL ? sq_xstrdup(why) : NULL;
	if (why == NULL)
		health_note(h, SQ_HEALTH_LOG, NULL);
	pthread_mutex_unlock(&h->lock);
}

/* Under the lock.  A log that says itself why it waits is not judged by its time. */
static void
health_look_at_commit(struct sq_health *h, uint64_t busy_ms, bool leased)
{
	bool hung = h->hangs, slow = h->cfg.stall_ms > 0 && busy_ms > h->cfg.stall_ms;
	char text[128];

	h->hangs = slow || !leased;
	if (!leased) {
		health_note(h, SQ_HEALTH_LOG,
		    "log: it has not answered for so long that another broker may own it");
	} else if (slow) {
		snprintf(text, sizeof text, "%s a commit for %llu s (store.stall-timeout)",
		    h->cfg.shared ? "log: it has not done" : "journal: the disk has not done",
		    (unsigned long long)busy_ms / 1000);
		health_note(h, SQ_HEALTH_LOG, text);
	} else if (hung) {
		health_note(h, SQ_HEALTH_LOG, NULL);
	}
}

void
sq_health_tick(struct sq_health *h, uint64_t busy_ms, bool leased)
{
	char text[256];

	pthread_mutex_lock(&h->lock);
	if (h->stall == NULL) {
		health_look_at_commit(h, busy_ms, leased);
	} else if (sq_clock_ms() - h->stall_ms > STALL_MS) {
		snprintf(text, sizeof text, "%s: %s", h->cfg.shared ? "log" : "journal", h->stall);
		health_note(h, SQ_HEALTH_LOG, text);
	}
	pthread_mutex_unlock(&h->lock);
}
