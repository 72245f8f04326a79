#include "broker/session/view.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/group/message_view.h"
#include "broker/group/queue_view.h"
#include "broker/session/session.h"
#include "core/wallclock.h"
#include "web/worker.h"

/* X(symbol, name, type, unit, help) */
#define SESSION_COLUMNS(X) \
	X(SESSION, "session", TEXT, "", \
	    "its key, as in logs: `SPACE~WORKLOAD~CLIENT`, of a transient one with `~POD`") \
	X(SPACE, "space", TEXT, "", "") \
	X(WORKLOAD, "workload", TEXT, "", "") \
	X(CLIENT, "client", TEXT, "", "client id") \
	X(POD, "pod", TEXT, "", "of a transient session; else null") \
	X(STATE, "state", TEXT, "", \
	    "`attached`; `attaching`; `grace`: its link was lost; `detached`: its client is " \
	    "away; " \
	    "`ending`: it has ended, and its queues are given back") \
	X(SINCE, "since", TIME, "ms", \
	    "when it came into that state; null: before the broker's start") \
	X(DURABLE, "durable", TRUTH, "", "outlives its pod, and the broker") \
	X(INTERNAL, "internal", TRUTH, "", "a sidecar's own, without a client") \
	X(IDENTITY, "identity", TEXT, "", \
	    "whose token or certificate holds it; null: not known, or nobody was asked") \
	X(LINK, "link", NUMBER, "", "over which it is attached, as in `links`; null: none") \
	X(EPOCH, "epoch", NUMBER, "", "of the attachment; null: none") \
	X(EXPIRY, "expiry", NUMBER, "s", "how long it is kept without its client; null: for ever") \
	X(EXPIRES, "expires", TIME, "ms", \
	    "when it, or its grace, ends unless its client comes back; null: it does not") \
	X(INCARNATION, "incarnation", TEXT, "", \
	    "under which it publishes: the beginning of `origin` in `messages`") \
	X(SUBSCRIPTIONS, "subscriptions", NUMBER, "", "") \
	X(INFLIGHT, "inflight", NUMBER, "", \
	    "deliveries of QoS 1 and 2 that its client has and has not finished") \
	X(PENDING, "pending", NUMBER, "", \
	    "messages taken from queues, for which the client has no room yet") \
	X(QUEUED, "queued", NUMBER, "", "messages that wait in its own queue") \
	X(QUEUED_BYTES, "queued_bytes", NUMBER, "bytes", "of these")

#define SESSION_COLUMN(symbol, name, type, unit, help) SESSION_##symbol,
enum session_column { SESSION_COLUMNS(SESSION_COLUMN) SESSION_COLUMN_COUNT };
#undef SESSION_COLUMN

static const struct sq_view_column session_columns[] = {SESSION_COLUMNS(SQ_VIEW_COLUMN)};

const struct sq_view_table sq_session_view = {
    .name = "sessions",
    .help = "Sessions of clients, and of sidecars themselves.",
    .named = "session",
    .columns = session_columns,
    .n_columns = SESSION_COLUMN_COUNT,
};

static const char *
session_state(const struct sq_session *s)
{
	static const char *const names[] = {
	    [SQ_SESSION_FENCING] = "attaching",
	    [SQ_SESSION_ATTACHED] = "attached",
	    [SQ_SESSION_GRACE] = "grace",
	    [SQ_SESSION_DETACHED] = "detached",
	    [SQ_SESSION_DEAD] = "ending",
	};

	return names[s->state];
}

static void
session_key_cells(struct sq_view_slice *v, const struct sq_session *s)
{
	struct sq_key key;

	sq_session_key(s, &key);
	sq_view_text(v, SESSION_SESSION, s->id.key);
	sq_view_text(v, SESSION_SPACE, key.space);
	sq_view_text(v, SESSION_WORKLOAD, key.workload);
	sq_view_text(v, SESSION_CLIENT, key.client);
	if (key.pod[0] != '\0')
		sq_view_text(v, SESSION_POD, key.pod);
}

static void
session_life_cells(struct sq_view_slice *v, const struct sq_session *s, uint64_t now_ms)
{
	sq_view_text(v, SESSION_STATE, session_state(s));
	if (s->since_ms != 0)
		sq_view_number(v, SESSION_SINCE, sq_wallclock_from_mono(s->since_ms, now_ms));
	sq_view_truth(v, SESSION_DURABLE, s->id.durable);
	sq_view_truth(v, SESSION_INTERNAL, s->id.internal);
	if (s->life.expiry_s != UINT32_MAX)
		sq_view_number(v, SESSION_EXPIRY, s->life.expiry_s);
	if (s->state == SQ_SESSION_GRACE && s->life.grace_ms != 0)
		sq_view_number(
		    v, SESSION_EXPIRES, sq_wallclock_from_mono(s->life.grace_ms, now_ms));
	else if (s->state == SQ_SESSION_DETACHED && s->life.timer.pos != 0)
		sq_view_number(
		    v, SESSION_EXPIRES, sq_wallclock_from_mono(s->life.timer.due, now_ms));
}

static void
session_holder_cells(struct sq_view_slice *v, const struct sq_session *s)
{
	if (s->permit.identity != NULL && s->permit.identity->name[0] != '\0')
		sq_view_text(v, SESSION_IDENTITY, s->permit.identity->name);
	if (s->at.outlet != NULL)
		sq_view_number(v, SESSION_LINK, sq_outlet_number(s->at.outlet));
	if (s->at.epoch != 0)
		sq_view_number(v, SESSION_EPOCH, s->at.epoch);
}

static void
session_load_cells(struct sq_view_slice *v, const struct sq_session *s)
{
	struct sq_queue_state q = {0};

	char incarnation[17];

	(void)snprintf(incarnation, sizeof incarnation, "%016" PRIx64, s->id.incarnation);
	sq_view_text(v, SESSION_INCARNATION, incarnation);
	sq_view_number(v, SESSION_SUBSCRIPTIONS, s->subs.n);
	sq_view_number(v, SESSION_INFLIGHT, s->window.n_sent);
	sq_view_number(v, SESSION_PENDING, s->window.pending.n);
	if (s->sink.queue == NULL)
		return;
	s->sink.engine->ops->queue.state(s->sink.queue, &q);
	sq_view_number(v, SESSION_QUEUED, q.n);
	sq_view_number(v, SESSION_QUEUED_BYTES, q.bytes);
}

static void
session_row(struct sq_view_slice *v, struct sq_hnode *at, void *arg)
{
	const struct sq_session *s = SQ_CONTAINER_OF(at, struct sq_session, id.by_key);

	(void)arg;
	if (!sq_view_wants(v, sq_tenant_name(s->id.tenant), s->id.key))
		return;
	sq_view_row(v);
	session_key_cells(v, s);
	session_life_cells(v, s, sq_worker_now_ms(s->shard->worker));
	session_holder_cells(v, s);
	session_load_cells(v, s);
}

bool
sq_sessions_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	const struct sq_broker *b = owner;

	return sq_view_walk_htab(v, &b->shards[worker].sessions->by_key, session_row, NULL);
}

static void
session_queue_row(struct sq_view_slice *v, struct sq_hnode *at, void *arg)
{
	const struct sq_session *s = SQ_CONTAINER_OF(at, struct sq_session, id.by_key);

	(void)arg;
	if (s->sink.queue != NULL)
		(void)sq_queue_view_row(v, s->shard->broker, &s->sink, "session");
}

bool
sq_session_queues_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	const struct sq_broker *b = owner;

	return sq_view_walk_htab(v, &b->shards[worker].sessions->by_key, session_queue_row, NULL);
}

/* Those of one session from 'at' on, and a visit of the session itself behind them. */
static bool
session_messages(struct sq_view_slice *v, struct sq_hnode *node, struct sq_view_place at)
{
	const struct sq_session *s = SQ_CONTAINER_OF(node, struct sq_session, id.by_key);

	return s->sink.queue != NULL ? sq_messages_of(v, &s->sink, at) : sq_view_visit(v, at);
}

bool
sq_session_messages_view(void *owner, unsigned worker, struct sq_view_slice *v)
{
	const struct sq_broker *b = owner;

	return sq_view_walk_htab_rows(v, &b->shards[worker].sessions->by_key, session_messages);
}
