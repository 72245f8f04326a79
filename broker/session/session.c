#include "broker/session/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/shard/source.h"
#include "broker/shard/sys_counts.h"
#include "core/mem.h"
#include "web/worker.h"

/* The key as one string, the caller's. */
static char *
session_key(const struct sq_key *key)
{
	struct sq_buf text = {0};

	sq_key_encode(&text, key);
	return sq_buf_take_text(&text);
}

struct sq_session *
sq_session_find(struct sq_shard *sh, const struct sq_key *key)
{
	char *text = session_key(key);
	uint64_t hash = sq_hash(text, strlen(text));
	struct sq_session *found = NULL;

	for (struct sq_hnode *n = sq_htab_find(&sh->sessions->by_key, hash);
	     n != NULL && found == NULL; n = sq_htab_next_same(n)) {
		struct sq_session *s = SQ_CONTAINER_OF(n, struct sq_session, id.by_key);

		if (strcmp(s->id.key, text) == 0)
			found = s;
	}
	free(text);
	return found;
}

struct sq_session *
sq_session_find_epoch(struct sq_shard *sh, uint64_t epoch)
{
	struct sq_hnode *n = sq_htab_find(&sh->sessions->by_epoch, sq_hash_u64(epoch));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_session *s = SQ_CONTAINER_OF(n, struct sq_session, at.by_epoch);

		if (s->at.epoch == epoch)
			return s;
	}
	return NULL;
}

bool
sq_session_attends(const struct sq_session *s)
{
	return s->state == SQ_SESSION_FENCING || s->state == SQ_SESSION_ATTACHED ||
	    s->state == SQ_SESSION_GRACE;
}

/* Has the session's own queue, if it is open, count the session, or no longer. */
static void
session_attend(struct sq_session *s)
{
	bool attends = sq_session_attends(s);

	if (s->sink.queue != NULL && s->attends != attends) {
		s->attends = attends;
		s->sink.engine->ops->queue.attend(s->sink.queue, attends ? 1 : -1);
	}
}

void
sq_session_opened(struct sq_session *s, struct sq_queue *queue)
{
	assert(s->sink.queue == NULL);
	s->sink.queue = queue;
	session_attend(s);
}

void
sq_session_queue_gone(struct sq_session *s)
{
	s->sink.queue = NULL;
	s->sink.source = NULL;
}

void
sq_session_set_state(struct sq_session *s, enum sq_session_state to)
{
	struct sq_broker *b = s->shard->broker;

	int change = (to == SQ_SESSION_ATTACHED) - (s->state == SQ_SESSION_ATTACHED);

	sq_count(b, SQ_M_ATTACHED, change);
	if (change > 0 && !s->id.internal)
		sq_sys_counts_connected(b->sys_counts, s->id.tenant, s->id.sys);
	else if (!s->id.internal)
		sq_sys_add(s->id.sys, SQ_SYS_CONNECTED, change);
	if (to != s->state && sq_worker_self() != NULL)
		s->since_ms = sq_worker_now_ms(s->shard->worker);
	s->state = to;
	atomic_store_explicit(&s->sink.offline, to == SQ_SESSION_DETACHED, memory_order_relaxed);
	session_attend(s);
}

static void
session_pump(struct sq_task *t)
{
	struct sq_session *s = SQ_CONTAINER_OF(t, struct sq_session, pump.task);

	s->pump.posted = false;
	s->hooks->flow(s);
	sq_session_unpin(s);
}

struct sq_session *
sq_session_new(struct sq_shard *sh, const struct sq_key *key, bool durable, uint64_t incarnation,
    const struct sq_session_hooks *hooks)
{
	struct sq_session *s = sq_xcalloc(1, sizeof *s);

	s->id.key = session_key(key);
	s->shard = sh;
	s->hooks = hooks;
	s->id.tenant = sq_tenant_get(sh->broker->tenants, key->space);
	sq_window_init(&s->window, sq_tenant_account(s->id.tenant));
	s->id.sys = sq_sys_counts_part(
	    sh->broker->sys_counts, s->id.tenant, sq_worker_index(sh->worker));
	s->id.internal = sq_key_internal(sq_bytes_of(key->client));
	if (!s->id.internal)
		sq_sys_add(s->id.sys, SQ_SYS_TOTAL, 1);
	s->state = SQ_SESSION_FENCING;
	if (sq_worker_self() != NULL)
		s->since_ms = sq_worker_now_ms(sh->worker);
	s->id.incarnation = incarnation;
	s->id.durable = durable;
	s->uses.pins = 1; /* the table's */
	s->pump.task.run = session_pump;
	s->life.timer.owner = s->will.timer.owner = s;
	sq_list_init(&s->on_link.node);
	sq_list_init(&s->on_link.blocked);
	sq_list_init(&s->waiting);
	sq_order_init(&s->order);
	sq_list_init(&s->subs.list);
	sq_list_init(&s->members.list);
	sq_list_init(&s->scans.list);
	s->sink.shard = sh;
	s->sink.engine = sh->broker->engine;
	s->sink.pass = hooks->pass;
	s->sink.soon = hooks->soon;
	s->sink.source = sq_source_new(sh->broker, s->id.tenant, s->id.key, durable);
	s->sink.reject = s->sink.durable = durable;
	for (int lane = 0; lane < SQ_LANES; lane++)
		sq_list_init(&s->batches.rows[lane]);
	sq_htab_insert(&sh->sessions->by_key, &s->id.by_key, sq_hash(s->id.key, strlen(s->id.key)));
	sq_list_push_back(&sh->sessions->all, &s->id.node);
	sh->sessions->n++;
	sq_broker_object(sh->broker, 1);
	sq_count(sh->broker, SQ_M_SESSIONS, 1);
	return s;
}

struct sq_refused_of
sq_session_refused(struct sq_session *s)
{
	return (struct sq_refused_of){.broker = s->shard->broker,
	    .space = sq_tenant_name(s->id.tenant),
	    .name = s->id.key,
	    .identity = s->permit.identity,
	    .quiet_until_ms = &s->in.quiet_until_ms};
}

void
sq_session_wake(struct sq_session *s)
{
	assert(sq_worker_self() == s->shard->worker);
	if (s->pump.posted || s->state != SQ_SESSION_ATTACHED)
		return;
	s->pump.posted = true;
	sq_session_pin(s);
	sq_worker_post(s->shard->worker, &s->pump.task);
}

void
sq_session_key(const struct sq_session *s, struct sq_key *key)
{
	if (sq_key_decode(sq_bytes_of(s->id.key), key) != SQ_OK)
		abort(); /* sq_key_encode() has made it */
}

void
sq_session_txn_begin(
    struct sq_txn *txn, struct sq_session *s, void (*done)(struct sq_txn *, int err))
{
	assert(sq_worker_self() == s->shard->worker);
	txn->worker = s->shard->worker;
	txn->engine = s->shard->broker->engine;
	txn->done = done;
	s->uses.running++;
	sq_session_pin(s);
}

void
sq_session_txn_end(struct sq_session *s)
{
	assert(sq_worker_self() == s->shard->worker && s->uses.running > 0);
	s->uses.running--;
	s->hooks->ran(s);
	sq_session_unpin(s);
}

void
sq_session_unlist(struct sq_session *s)
{
	struct sq_session_table *table = s->shard->sessions;

	assert(table->n > 0);
	sq_htab_remove(&table->by_key, &s->id.by_key);
	sq_list_remove(&s->id.node);
	table->n--;
}

/* What the files of this folder leave behind when a session ends. */
static bool
session_bare(const struct sq_session *s)
{
	bool sends = s->pump.posted || s->scans.posted || s->at.epoch != 0 ||
	    s->at.attaching != NULL || s->on_link.of != NULL;
	bool has = s->subs.n > 0 || !sq_list_empty(&s->members.list) || s->members.n_joining > 0 ||
	    !sq_list_empty(&s->scans.list) || s->will.msg.image != NULL;
	bool works = s->uses.running > 0 || !sq_list_empty(&s->waiting);

	for (int lane = 0; lane < SQ_LANES; lane++)
		works = works || s->in.slices[lane] != NULL ||
		    !sq_list_empty(&s->batches.rows[lane]);
	return !sends && !has && !works;
}

void
sq_session_pin(struct sq_session *s)
{
	assert(s->uses.pins > 0);
	s->uses.pins++;
}

void
sq_session_unpin(struct sq_session *s)
{
	assert(sq_worker_self() == s->shard->worker && s->uses.pins > 0);
	if (--s->uses.pins > 0)
		return;
	assert(s->state == SQ_SESSION_DEAD && session_bare(s));
	sq_order_fini(&s->order);
	sq_window_fini(&s->window);
	for (int lane = 0; lane < SQ_LANES; lane++)
		sq_lane_in_fini(&s->in.lanes[lane]);
	sq_source_free(&s->sink.source, s->shard->worker);
	sq_permit_fini(&s->permit);
	sq_tenant_unref(&s->id.tenant);
	free(s->in.qos2.ids);
	free(s->id.key);
	sq_broker_object(s->shard->broker, -1);
	free(s);
}
