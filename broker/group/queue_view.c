#include "broker/group/queue_view.h"

#include <string.h>

#include "broker/engine/now.h"
#include "broker/group/group.h"
#include "broker/group/watch.h"
#include "broker/shard/source.h"
#include "core/wallclock.h"

static const struct sq_view_column queue_columns[] = {SQ_QUEUE_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_queue_view = {
    .name = "queues",
    .help = "Queues: of sessions, of groups, of dead letters, and messages that are delayed.",
    .named = "queue",
    .columns = queue_columns,
    .n_columns = SQ_QUEUE_COLUMN_COUNT,
};

static const char *
queue_overflow(enum sq_overflow overflow)
{
	static const char *const names[] = {
	    [SQ_OVERFLOW_DEFAULT] = "reject-publish",
	    [SQ_OVERFLOW_REJECT_PUBLISH] = "reject-publish",
	    [SQ_OVERFLOW_DROP_OLDEST] = "drop-oldest",
	    [SQ_OVERFLOW_DROP_NEW] = "drop-new",
	};

	return names[overflow];
}

static void
queue_limits(struct sq_view_slice *v, const struct sq_queue_state *q)
{
	sq_view_number(v, SQ_QUEUE_MAX_MESSAGES, q->max_msgs);
	sq_view_number(v, SQ_QUEUE_MAX_BYTES, q->max_bytes);
	if (q->max_attempts > 0)
		sq_view_number(v, SQ_QUEUE_MAX_ATTEMPTS, q->max_attempts);
	sq_view_text(v, SQ_QUEUE_OVERFLOW, queue_overflow(q->overflow));
}

static void
queue_losses(struct sq_view_slice *v, const struct sq_sink *sink, const struct sq_queue_state *q)
{
	sq_view_count(v, SQ_QUEUE_REFUSED, "queue-full", atomic_load(&sink->refused.queue_full));
	sq_view_count(v, SQ_QUEUE_REFUSED, "store-full", atomic_load(&sink->refused.store_full));
	sq_view_count(v, SQ_QUEUE_REFUSED, "memory", atomic_load(&sink->refused.memory));
	for (unsigned why = 0; why < SQ_LEFT_NEW; why++)
		sq_view_count(v, SQ_QUEUE_LEFT, sq_death_name(why), q->left[why]);
	sq_view_count(v, SQ_QUEUE_LEFT, "no-room", q->left[SQ_LEFT_NEW]);
}

bool
sq_queue_view_row(
    struct sq_view_slice *v, struct sq_broker *b, const struct sq_sink *sink, const char *kind)
{
	const char *name = sq_source_name(sink->source);
	const char *space = sq_tenant_name(sq_source_tenant(sink->source));
	const struct sq_queue_ops *ops = &sink->engine->ops->queue;
	uint64_t now_ms = sq_engine_now_ms(), age_ms;
	struct sq_queue_state q;

	if (!sq_view_wants(v, space, name))
		return false;
	ops->state(sink->queue, &q);
	sq_view_row(v);
	sq_view_text(v, SQ_QUEUE_QUEUE, name);
	sq_view_text(v, SQ_QUEUE_KIND, kind);
	sq_view_text(v, SQ_QUEUE_SPACE, space);
	sq_view_truth(v, SQ_QUEUE_DURABLE, sink->durable);
	sq_view_number(v, SQ_QUEUE_DEPTH, q.n);
	sq_view_number(v, SQ_QUEUE_BYTES, q.bytes);
	sq_view_number(v, SQ_QUEUE_COMING, q.coming);
	sq_view_number(v, SQ_QUEUE_UNACKNOWLEDGED, q.unsettled);
	if (sq_watch_age(b->watch, sink, now_ms, &age_ms))
		sq_view_number(v, SQ_QUEUE_AGE, age_ms);
	sq_view_number(v, SQ_QUEUE_MEMBERS, q.takers);
	if (q.lonely_since_ms != 0)
		sq_view_number(v, SQ_QUEUE_LONELY,
		    now_ms > q.lonely_since_ms ? now_ms - q.lonely_since_ms : 0);
	queue_limits(v, &q);
	sq_view_truth(v, SQ_QUEUE_FULL, ops->full(sink->queue, 1));
	queue_losses(v, sink, &q);
	return true;
}

/* What a named queue has beside others. */
static void
named_row(struct sq_view_slice *v, const struct sq_group *g)
{
	struct sq_queue_state q;

	g->sink.engine->ops->queue.state(g->sink.queue, &q);
	sq_view_truth(v, SQ_QUEUE_PAUSED, q.paused);
	sq_view_number(
	    v, SQ_QUEUE_LEASED, atomic_load_explicit(&g->pulled.leased, memory_order_relaxed));
	sq_view_number(
	    v, SQ_QUEUE_PARKED, atomic_load_explicit(&g->pulled.parked, memory_order_relaxed));
}

static const char *
group_kind(const struct sq_group *g)
{
	return g->cfg.share ? "share" : g->cfg.named ? "queue" : "declared";
}

/* Under the read lock of the group's space. */
static void
group_row(struct sq_view_slice *v, struct sq_group *g)
{
	uint64_t now_ms = sq_engine_now_ms();

	if (!g->listed || g->sink.queue == NULL ||
	    !sq_queue_view_row(v, g->broker, &g->sink, group_kind(g)))
		return;
	if (g->cfg.named)
		named_row(v, g);
	else if (g->durable)
		sq_view_number(v, SQ_QUEUE_EXPIRY, g->expiry_s);
	if (g->n_subs == 0)
		sq_view_number(v, SQ_QUEUE_EXPIRES, sq_wallclock_from_mono(g->expires_ms, now_ms));
}

static void
group_visit(struct sq_view_slice *v, struct sq_group *g)
{
	struct sq_space *space = sq_tenant_space(g->tenant);

	sq_space_rdlock(space);
	group_row(v, g);
	sq_space_unlock(space);
}

/* A declared queue of that very name, or a named one, is found without a walk: what scales workloads
 * asks for many of them. */
static bool
groups_find(struct sq_broker *b, struct sq_view_slice *v)
{
	const char *name = sq_view_name(v), *p = name;
	size_t at[SQ_GROUP_PARTS], n = 0;
	size_t parts = p != NULL && strncmp(p, "queue~", 6) == 0 ? 2 : SQ_GROUP_PARTS;
	struct sq_group *g;

	for (; p != NULL && (p = strchr(p, '~')) != NULL; p++) {
		if (n == SQ_GROUP_PARTS)
			return false; /* which of them part it is not certain */
		at[n++] = (size_t)(p - name);
	}
	g = n == parts ? sq_group_find_shown(b, name, at, n) : NULL;
	if (g == NULL)
		return false;
	group_visit(v, g);
	sq_group_unref(&g);
	return true;
}

bool
sq_groups_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	struct sq_broker *b = owner;
	struct sq_view_place at = {sq_view_from(v).of, 0};
	struct sq_group *g;

	(void)worker;
	if (at.of == 0 && groups_find(b, v))
		return true;
	while (sq_groups_seek(b, &at.of, &g)) {
		bool room = sq_view_visit(v, at);

		if (room && g != NULL)
			group_visit(v, g);
		sq_group_unref(&g);
		if (!room)
			return false;
		if (++at.of == 0)
			break;
	}
	return true;
}
