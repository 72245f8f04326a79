/* Why nothing can be made durable, and who is told. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/engine/embedded/embedded.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	TABLES_FULL_PERCENT = 80, /* puts are refused above; the tables can take 7/8 */
	TABLES_ROOM_PERCENT = 75, /* and then until there is so much room */
	STALL_MS = 1000,          /* a longer wait of the journal is trouble */
};

/* What waits in the journal needs room in the tables as well, at worst twice its size. */
static bool
health_no_room(struct sq_embedded *e)
{
	size_t n_changes;
	uint64_t used = sq_table_used(e->table) + 2 * sq_delta_bytes(e->delta, &n_changes);
	unsigned percent = atomic_load(&e->no_room) ? TABLES_ROOM_PERCENT : TABLES_FULL_PERCENT;

	return used > e->cfg.max_bytes / 100 * percent;
}

static void
health_check_full(struct sq_embedded *e)
{
	bool no_room = health_no_room(e), was = atomic_load(&e->no_room);
	bool full = no_room || e->causes[SQ_HEALTH_JOURNAL] != NULL ||
	    e->causes[SQ_HEALTH_TABLES] != NULL;

	if (no_room && !was)
		SQ_WARN("store",
		    "tables: %d %% of store.max-size is full, nothing new is taken until "
		    "something ends",
		    TABLES_FULL_PERCENT);
	else if (!no_room && was)
		SQ_INFO("store", "tables: there is room again");
	atomic_store(&e->no_room, no_room);
	atomic_store_explicit(&e->store.full, full, memory_order_relaxed);
	sq_metric_set(&e->metrics, SQ_M_STORE_STALLED, full);
}

/* Under the lock. */
static void
health_note(struct sq_embedded *e, enum sq_health_cause which, const char *why)
{
	char *old = e->causes[which];

	if (why != NULL && old == NULL)
		SQ_ERROR("store", "%s", why);
	else if (why == NULL && old != NULL)
		SQ_INFO("store", "goes on; it was: %s", old);
	e->causes[which] = why != NULL ? sq_xstrdup(why) : NULL;
	free(old);
	health_check_full(e);
}

void
sq_health_note(struct sq_embedded *e, enum sq_health_cause which, const char *why)
{
	pthread_mutex_lock(&e->health_lock);
	health_note(e, which, why);
	pthread_mutex_unlock(&e->health_lock);
}

void
sq_embedded_check_room(struct sq_embedded *e)
{
	if (health_no_room(e) == atomic_load(&e->no_room))
		return;
	pthread_mutex_lock(&e->health_lock);
	health_check_full(e);
	pthread_mutex_unlock(&e->health_lock);
}

bool
sq_embedded_healthy(struct sq_engine *engine, struct sq_buf *why)
{
	struct sq_embedded *e = sq_embedded_of(engine);
	bool healthy = true;

	pthread_mutex_lock(&e->health_lock);
	for (size_t i = 0; i < SQ_HEALTH_CAUSES; i++) {
		if (e->causes[i] == NULL)
			continue;
		sq_buf_printf(why, "store: %s\n", e->causes[i]);
		healthy = healthy && i == SQ_HEALTH_READS;
	}
	pthread_mutex_unlock(&e->health_lock);
	return healthy;
}

bool
sq_embedded_stalls(struct sq_engine *engine)
{
	struct sq_embedded *e = sq_embedded_of(engine);
	bool stalls;

	pthread_mutex_lock(&e->health_lock);
	stalls = e->causes[SQ_HEALTH_JOURNAL] != NULL;
	pthread_mutex_unlock(&e->health_lock);
	return stalls;
}

bool
sq_embedded_full(const struct sq_engine *engine)
{
	const struct sq_embedded *e = SQ_CONTAINER_OF(engine, const struct sq_embedded, engine);

	return atomic_load_explicit(&e->no_room, memory_order_relaxed);
}

void
sq_embedded_stalled(void *owner, const char *why)
{
	struct sq_embedded *e = owner;

	pthread_mutex_lock(&e->health_lock);
	if (e->stall == NULL)
		e->stall_ms = sq_clock_ms();
	free(e->stall);
	e->stall = why != NULL ? sq_xstrdup(why) : NULL;
	if (why == NULL)
		health_note(e, SQ_HEALTH_JOURNAL, NULL);
	pthread_mutex_unlock(&e->health_lock);
}

void
sq_embedded_check_stall(struct sq_embedded *e)
{
	char text[256];

	pthread_mutex_lock(&e->health_lock);
	if (e->stall != NULL && sq_clock_ms() - e->stall_ms > STALL_MS) {
		snprintf(text, sizeof text, "journal: %s", e->stall);
		health_note(e, SQ_HEALTH_JOURNAL, text);
	}
	pthread_mutex_unlock(&e->health_lock);
}
