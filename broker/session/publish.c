/* Messages up: batches of a lane, routed and put into queues; wills. */
#include <stdlib.h>
#include <string.h>

#include "broker/session/publish.h"

#include "broker/dead.h"
#include "broker/delayed.h"
#include "broker/keys.h"
#include "broker/own.h"
#include "broker/session/asked.h"
#include "broker/session/group.h"
#include "broker/session/pace.h"
#include "broker/session/refused.h"
#include "broker/session/session.h"
#include "broker/session/stored.h"
#include "broker/session/txn.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"

enum {
	OUTCOMES_MAX = 65536, /* kept outcomes of a lane */
	PACE_EVERY = 32,      /* puts between two looks at a queue's length */
	SPARSE_RATIO = 4,     /* below one match in so many, matches are copied out */
};

/* Routing of one message. */

struct publish {
	struct sq_broker *broker;
	struct sq_shard *home;         /* the worker's */
	const struct sq_session *from; /* NULL: the broker's own */
	struct sq_space *space;
	struct sq_txn *txn;
	const struct sq_msg *msg;
	const struct sq_origin *origin;
	uint64_t not_from, expires_ms;
	uint8_t qos;
	bool retain, copy_out;
	bool own;         /* the broker's: what it asks for was done, nobody can be refused */
	bool assured;     /* QoS 3 */
	bool keys_locked; /* until the commit: see broker/keys.h */
	/* Where 'txn' has no room: the batch, or the transaction that is begun instead. */
	struct sq_op *op;
	struct sq_own_txn **due, *apart;
	size_t n; /* sinks reached */
	struct sq_refused refused;

	/* For pacing; no call: none. */
	struct sq_shard *shard;
	struct sq_call *call;
	struct sq_sink *last_sink;
	unsigned puts;
};

static uint8_t
publish_qos(const struct publish *p, const struct sq_binding *b)
{
	return p->qos < b->max_qos ? p->qos : b->max_qos;
}

static bool
publish_wanted(const struct publish *p, const struct sq_binding *b)
{
	return b->not_from == 0 || b->not_from != p->not_from;
}

/* A drop is counted there. */
static int
publish_queue(const struct publish *p, const struct sq_sink *sink, struct sq_item *item)
{
	return sink->engine->ops->put(p->txn, sink->queue, item);
}

/* A queue that drops what is new has dropped a QoS 3 message. */
static void
publish_lost(const struct publish *p, const struct sq_sink *sink)
{
	struct sq_item item = {.msg = *p->msg, .qos = p->qos, .assured = true};

	sq_dead_item(sink->dead, p->txn, &item, SQ_DEAD_OVERFLOW);
}

/* 'subs' is a reference, or NULL. */
static void
publish_put(
    struct publish *p, struct sq_sink *sink, uint8_t qos, bool as_published, struct sq_block *subs)
{
	struct sq_item item = {
	    .msg = p->copy_out && qos > 0 ? sq_msg_clone(p->msg) : sq_msg_ref(*p->msg),
	    .subs = subs,
	    .origin = *p->origin,
	    .expires_ms = p->expires_ms,
	    .qos = qos,
	    .retain = p->retain && as_published,
	    .assured = p->assured && qos > 0,
	};

	p->n++;
	if (sink->session != NULL && sink->shard == p->shard &&
	    sq_deliver_now(sink->session, p->txn, &item))
		return;
	if (qos == 0 && atomic_load_explicit(&sink->offline, memory_order_relaxed))
		sq_item_fini(&item);
	else if (publish_queue(p, sink, &item) != SQ_OK && p->assured && qos > 0)
		publish_lost(p, sink);
	if (p->call != NULL && ++p->puts % PACE_EVERY == 0)
		sq_pace_put(p->shard, p->call, sink);
	p->last_sink = sink;
}

static int
binding_by_sink(const void *a, const void *b)
{
	const struct sq_binding *x = *(struct sq_binding *const *)a;
	const struct sq_binding *y = *(struct sq_binding *const *)b;

	return x->sink < y->sink ? -1 : x->sink > y->sink;
}

/* Puts one copy for 'n' overlapping bindings of a sink: the highest QoS, all
 * identifiers (MQTT 5.0 §3.3.4). */
static void
publish_merged(struct publish *p, struct sq_binding **v, size_t n)
{
	struct sq_block *subs = NULL;
	bool as_published = false;
	uint32_t bytes = 0;
	uint8_t qos = 0;

	for (size_t i = 0; i < n; i++) {
		qos = publish_qos(p, v[i]) > qos ? publish_qos(p, v[i]) : qos;
		as_published |= v[i]->as_published;
		bytes += v[i]->subs != NULL ? v[i]->subs->size : 0;
	}
	if (bytes > UINT8_MAX * sizeof(uint32_t)) /* what a target can name */
		bytes = UINT8_MAX * sizeof(uint32_t);
	if (bytes > 0) {
		uint32_t at = 0;

		subs = sq_block_new(bytes);
		for (size_t i = 0; i < n && at < bytes; i++) {
			if (v[i]->subs == NULL)
				continue;
			memcpy(subs->bytes + at, v[i]->subs->bytes, v[i]->subs->size);
			at += v[i]->subs->size;
		}
	}
	publish_put(p, v[0]->sink, qos, as_published, subs);
}

/* Puts to the bindings whose sinks have several; 'v' is sorted in a copy. */
static void
publish_overlapping(struct publish *p, struct sq_binding *const *v, size_t n, size_t n_many)
{
	struct sq_binding **many = sq_xmalloc(n_many * sizeof(*many));
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i]->sink->n_bindings > 1 && publish_wanted(p, v[i]))
			many[k++] = v[i];
	}
	qsort(many, k, sizeof *many, binding_by_sink);
	for (size_t i = 0, j; i < k; i = j) {
		for (j = i + 1; j < k && many[j]->sink == many[i]->sink; j++)
			continue;
		publish_merged(p, many + i, j - i);
	}
	free(many);
}

/* Whether the sink's queue has no room for the message, and makes none. */
static bool
publish_is_full(const struct publish *p, const struct sq_sink *sink, uint32_t size)
{
	const struct sq_engine_ops *ops = sink->engine->ops;

	return ops->queue_full(sink->queue, size) &&
	    (p->assured || !ops->queue_yields(sink->queue));
}

/* The reason code of a full queue; 0: there is none. */
static uint8_t
publish_refused(struct publish *p, struct sq_binding *const *v, size_t n)
{
	uint32_t size = sq_image_size(p->msg->image);

	for (size_t i = 0; i < n; i++) {
		const struct sq_sink *sink = v[i]->sink;

		if ((sink->reject || (p->assured && sink->durable)) && publish_qos(p, v[i]) > 0 &&
		    publish_wanted(p, v[i]) && publish_is_full(p, sink, size))
			return sq_refused_queue(&p->refused, p->broker, sink);
	}
	if (p->assured && sq_dead_full(p->broker->dead, p->space))
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_DEAD_LETTERS);
	return SQ_MQTT_RC_SUCCESS;
}

/* Whether 'txn' has room for the message in all its queues, in one piece. */
static bool
publish_fits(const struct publish *p, struct sq_binding *const *v, size_t n)
{
	const struct sq_engine_ops *ops = p->broker->engine->ops;
	uint64_t bytes = sq_image_size(p->msg->image), subs = 0;

	if (p->retain)
		bytes *= 2;
	if (ops->txn_room(p->txn, n + 1, bytes + n * UINT8_MAX * sizeof(uint32_t)))
		return true; /* in any case */
	for (size_t i = 0; i < n; i++)
		subs += v[i]->subs != NULL ? v[i]->subs->size : 0;
	return ops->txn_room(p->txn, n + 1, bytes + subs);
}

/* Makes room for the message, which is whole in one transaction or nowhere: in a batch by
 * another part.  False: it fits into none. */
static bool
publish_make_room(struct publish *p, struct sq_binding *const *v, size_t n)
{
	if (publish_fits(p, v, n))
		return true;
	if (p->op != NULL) {
		if (!sq_op_split(p->op, p->origin->number))
			return false;
		p->txn = p->op->txn;
	} else if (p->due != NULL) {
		sq_own_commit(p->due);
		p->txn = sq_own_txn(p->home, p->due);
	} else {
		p->txn = sq_own_txn(p->home, &p->apart);
	}
	return publish_fits(p, v, n);
}

static uint8_t
publish_too_many(struct publish *p, size_t n)
{
	if (p->op == NULL) /* nobody is refused: it is lost */
		sq_count(p->broker, SQ_M_DROPPED_FULL, (int64_t)n);
	return sq_refused_say(&p->refused, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA,
	    "%zu subscriptions match, with this message more than a transaction of the store holds",
	    n);
}

/* Routes the message; the router is locked for reading.  Returns its outcome. */
static uint8_t
publish_route(struct publish *p)
{
	struct sq_router *router = p->broker->router;
	size_t n, n_many = 0;
	struct sq_binding **v = sq_router_match(
	    router, p->home->routes, p->space, p->msg->image, &n);

	uint8_t code = p->qos > 0 && !p->own ? publish_refused(p, v, n) : SQ_MQTT_RC_SUCCESS;

	if (code != SQ_MQTT_RC_SUCCESS)
		return code;
	if ((p->qos > 0 || p->retain) && !publish_make_room(p, v, n))
		return publish_too_many(p, n);
	if (p->retain &&
	    sq_router_retain(router, p->space, p->msg, p->origin, p->expires_ms, p->txn) != SQ_OK)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_RETAINED);
	for (size_t i = 0; i < n; i++) {
		if (v[i]->sink->n_bindings > 1)
			n_many++;
		else if (publish_wanted(p, v[i]))
			publish_put(p, v[i]->sink, publish_qos(p, v[i]), v[i]->as_published,
			    v[i]->subs != NULL ? sq_block_ref(v[i]->subs) : NULL);
	}
	if (n_many > 0)
		publish_overlapping(p, v, n, n_many);
	if (p->n > 0 || p->qos == 0 || (p->retain && !p->assured))
		return SQ_MQTT_RC_SUCCESS;
	return SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS;
}

/* Keeps the message for later. */
static uint8_t
publish_later(struct publish *p, uint32_t delay_s)
{
	uint64_t due_ms = sq_worker_now_ms(p->home->worker) + delay_s * UINT64_C(1000);

	if (delay_s > p->broker->cfg.delayed_max_s)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_DELAY);
	if (!publish_make_room(p, NULL, 0))
		return publish_too_many(p, 0);
	if (sq_delayed_add(p->broker->delayed, p->txn, p->space, p->msg, p->not_from, due_ms) !=
	    SQ_OK)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_DELAYED);
	return SQ_MQTT_RC_SUCCESS;
}

static uint8_t
publish_now_or_later(struct publish *p, const struct sq_asked *asked)
{
	return asked->delay_s > 0 ? publish_later(p, asked->delay_s) : publish_route(p);
}

/* A QoS 3 message with a key: stored once in its window. */
static uint8_t
publish_once(struct publish *p, const struct sq_asked *asked)
{
	struct sq_key_hash hash = sq_keys_hash(sq_space_name(p->space), asked->key);
	uint64_t now_ms = sq_worker_now_ms(p->home->worker);
	struct sq_keys *keys = p->broker->keys;
	uint8_t code;

	if (!p->keys_locked)
		sq_keys_lock(keys);
	p->keys_locked = true;
	switch (sq_keys_find(keys, p->txn, &hash, now_ms)) {
	case SQ_KEY_KNOWN:
		sq_count(p->broker, SQ_M_DUPLICATES, 1);
		return SQ_MQTT_RC_SUCCESS;
	case SQ_KEY_FULL:
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_KEYS);
	case SQ_KEY_NEW:
		break;
	}
	code = publish_now_or_later(p, asked);
	if (code == SQ_MQTT_RC_SUCCESS) /* nothing else was stored: a retry shall be */
		sq_keys_add(keys, p->txn, &hash, now_ms);
	return code;
}

/* A message with properties: does what they ask for. */
static uint8_t
publish_asked(struct publish *p)
{
	struct sq_asked asked;
	bool good = sq_asked_parse(p->msg->image, &asked);
	uint8_t code = SQ_MQTT_RC_SUCCESS;

	p->assured = asked.assured;
	if (p->own) {
		code = publish_route(p);
		if (p->assured && p->n == 0)
			sq_dead_unmatched(p->broker, p->space, p->txn, p->msg);
		return code;
	}
	if (!good || asked.unknown.len > 0)
		code = sq_refused_asked(&p->refused, p->from, &asked);
	if (code != SQ_MQTT_RC_SUCCESS)
		return code;
	if (asked.assured && asked.key.len > 0)
		return publish_once(p, &asked);
	return publish_now_or_later(p, &asked);
}

static uint8_t
publish_checked(struct publish *p)
{
	const unsigned char *image = p->msg->image;
	struct sq_bytes topic = sq_image_topic(image);
	const char *why = "the topic is not UTF-8";

	if (sq_topic_name_check(topic, &why) != SQ_OK)
		return sq_refused_say(
		    &p->refused, SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC, "%s", why);
	if (topic.p[0] == '$' && sq_asked_is_dead(topic))
		return sq_refused_say(&p->refused, SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC,
		    "$dead is for dead letters, which the broker alone publishes");
	if (sq_image_size(image) > p->broker->cfg.max_packet + SQ_BODY_SLACK / 2)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_PACKET);
	if (sq_image_props(image).len > 0)
		return publish_asked(p);
	return publish_route(p);
}

static uint8_t
publish_message(struct publish *p)
{
	const unsigned char *image = p->msg->image;
	uint32_t expiry_s = sq_image_expiry(image);
	uint8_t code;

	p->qos = (uint8_t)sq_image_qos(image);
	p->retain = sq_image_retain(image);
	p->assured = false;
	p->n = 0;
	p->expires_ms = expiry_s == SQ_MSG_NO_EXPIRY
	    ? 0
	    : sq_worker_now_ms(p->home->worker) + expiry_s * UINT64_C(1000);
	code = publish_checked(p);
	sq_count(p->broker, code < 0x80 ? SQ_M_RECEIVED_QOS0 + p->qos : SQ_M_REFUSED, 1);
	return code;
}

/* The end of a transaction that has published: 'committed' it. */
static void
publish_committed(struct publish *p)
{
	if (p->keys_locked)
		sq_keys_unlock(p->broker->keys);
	p->keys_locked = false;
}

/* Nobody is there to hear of a refusal. */
static void
publish_untold(struct publish *p, const char *of, const char *what)
{
	uint8_t code = publish_message(p);

	if (code >= 0x80)
		sq_refused_untold(&p->refused, p->broker, of, what, code);
	sq_refused_fini(&p->refused);
}

void
sq_publish_due(struct sq_shard *sh, struct sq_own_txn **own, struct sq_space *space,
    const struct sq_msg *m, uint64_t not_from)
{
	struct sq_origin origin = sq_own_origin(sh->broker);
	struct publish p = {.broker = sh->broker,
	    .home = sh,
	    .space = space,
	    .txn = sq_own_txn(sh, own),
	    .due = own,
	    .msg = m,
	    .origin = &origin,
	    .not_from = not_from,
	    .own = true};

	publish_untold(&p, sq_space_name(space), "a message of the broker's own");
}

void
sq_publish_own(struct sq_shard *sh, struct sq_txn *txn, struct sq_space *space,
    const struct sq_msg *m, uint64_t not_from)
{
	struct sq_origin origin = sq_own_origin(sh->broker);
	struct publish p = {.broker = sh->broker,
	    .home = sh,
	    .space = space,
	    .txn = txn,
	    .msg = m,
	    .origin = &origin,
	    .not_from = not_from,
	    .own = true};

	publish_untold(&p, sq_space_name(space), "a message of the broker's own");
	sq_own_commit(&p.apart);
}

/* Batches. */

static uint8_t
batch_release(struct sq_session *s, struct sq_op *op, uint16_t packet_id)
{
	const struct sq_held *held = sq_held_find(s, packet_id);

	if (held == NULL)
		return SQ_MQTT_RC_PACKET_ID_NOT_FOUND;
	if (held->stored)
		sq_stored_released(s, op->txn, packet_id);
	(void)sq_held_remove(s, packet_id);
	op->releases = true;
	return SQ_MQTT_RC_SUCCESS;
}

static uint8_t
batch_message(struct sq_session *s, struct sq_op *op, const struct sq_entry *e, struct publish *p)
{
	uint8_t code;

	if (e->packet_id != 0 && sq_held_find(s, e->packet_id) != NULL)
		return SQ_MQTT_RC_SUCCESS; /* a second copy of what awaits its release */
	code = publish_message(p);
	if (e->packet_id != 0 && code < 0x80 && sq_held_add(s, e->packet_id))
		sq_op_held(op, e->packet_id);
	return code;
}

/* What there is to say of the outcome of entry 'i'. */
static void
batch_explain(
    struct publish *p, struct sq_session *s, uint8_t code, uint16_t i, struct sq_notes *notes)
{
	if (code == SQ_MQTT_RC_SUCCESS)
		p->refused.queue = NULL;
	else if (code >= 0x80)
		sq_refused_tell(&p->refused, s, "publish", code, i, notes);
	else if (p->assured)
		sq_refused_unmatched(&p->refused, s, i, notes);
}

static void
batch_admit(struct sq_session *s, struct sq_call *c, struct sq_batch *b, uint16_t skip)
{
	struct sq_lane_in *lane = &s->lanes[b->lane];
	struct sq_origin origin = {s->incarnation, b->run, b->first - 1, 0};
	struct sq_msg msg = {c->body, NULL};
	struct sq_op *op = sq_op_new(s, c);
	struct publish p = {.broker = s->shard->broker,
	    .home = s->shard,
	    .from = s,
	    .space = s->space,
	    .txn = op->txn,
	    .op = op,
	    .msg = &msg,
	    .origin = &origin,
	    .not_from = s->incarnation,
	    .copy_out = s->sparse,
	    .shard = s->shard,
	    .call = c};
	size_t matched = 0, messages = 0;

	op->lane = b->lane;
	op->first = b->first;
	op->last = b->first + b->n - 1;
	sq_lane_in_admit(lane, b);
	sq_router_rdlock(p.broker->router);
	for (uint16_t i = 0; i < b->n; i++) {
		struct sq_entry e = sq_batch_next(&b->entries);
		uint8_t code;

		origin.number++;
		if (i < skip)
			continue;
		if (e.kind == SQ_ENTRY_RELEASE) {
			code = batch_release(s, op, e.packet_id);
		} else {
			msg.image = e.image;
			code = batch_message(s, op, &e, &p);
			messages++;
			matched += p.n > 0;
			batch_explain(&p, s, code, i, &op->notes);
		}
		sq_lane_in_set(lane, origin.number, code);
	}
	sq_refused_fini(&p.refused);
	if (p.last_sink != NULL)
		sq_pace_put(s->shard, c, p.last_sink);
	sq_dead_flush(s->shard, op->txn);
	sq_router_unlock(p.broker->router);
	s->sparse = messages >= SPARSE_RATIO && matched * SPARSE_RATIO < messages;
	sq_stored_batch(s, op->txn, b->lane, op->last, op->held, op->n_held);
	if (messages > 0)
		SQ_FAULT("broker-publish-admitted");
	if (op->releases)
		SQ_FAULT("broker-release-admitted");
	sq_op_commit(op);
	publish_committed(&p);
}

/* Batches of the lane that wait for a gap to close, not for their commit. */
static unsigned
batch_parked(const struct sq_session *s, uint8_t lane)
{
	unsigned n = 0;

	SQ_LIST_FOR_EACH(c, &s->waiting, struct sq_call, node)
		n += c->kind == SQ_CALL_MESSAGES && sq_batch_lane(c->body->bytes) == lane &&
		    sq_batch_first(c->body->bytes) > s->lanes[lane].last + 1;
	return n;
}

/* Takes a batch in, or lets it wait; 'c' is in no list. */
static void
batch_offer(struct sq_session *s, struct sq_call *c)
{
	struct sq_lane_in *lane;
	struct sq_batch b;
	uint16_t skip;

	if (sq_batch_decode(c->body->bytes, c->body->size, &b) != SQ_OK) {
		sq_call_answer(c, 400, "malformed batch");
		return;
	}
	lane = &s->lanes[b.lane];
	if (b.run == lane->run && b.first <= lane->last + 1 &&
	    b.first + b.n > lane->kept + OUTCOMES_MAX) {
		sq_call_answer(c, 400, "outcomes are never acknowledged");
		return;
	}
	switch (sq_lane_in_offer(lane, &b, &skip)) {
	case SQ_LANE_ADMIT:
		batch_admit(s, c, &b, skip);
		return;
	case SQ_LANE_KNOWN:
		if (b.first + b.n - 1 <= lane->done)
			sq_publish_answer(s, c, b.lane, b.first, b.n, NULL);
		else
			sq_list_push_back(&s->waiting, &c->node);
		return;
	case SQ_LANE_EARLY:
		if (batch_parked(s, b.lane) < SQ_BATCH_PARKED_MAX) {
			sq_list_push_back(&s->waiting, &c->node);
			return;
		}
		c->last = lane->last;
		sq_call_refuse(c, SQ_CONFLICT_GAP);
		return;
	case SQ_LANE_RUN:
		sq_call_refuse(c, SQ_CONFLICT_RUN);
		return;
	}
}

void
sq_publish_answer(struct sq_session *s, struct sq_call *c, uint8_t lane, uint64_t first, uint16_t n,
    const struct sq_notes *notes)
{
	struct sq_outcomes out;
	uint8_t *codes;

	codes = sq_xmalloc(n);
	if (!sq_lane_in_outcomes(&s->lanes[lane], first, n, codes)) {
		free(codes);
		c->conflict = SQ_CONFLICT_RUN;
		c->status = 409;
		sq_pace_answer(c);
		return;
	}
	out = (struct sq_outcomes){.first = first, .n = n, .codes = codes};
	sq_outcomes_encode(&c->out, &out, notes, sq_link_version(c->link));
	free(codes);
	c->status = 200;
	sq_pace_answer(c);
}

void
sq_publish_call(struct sq_session *s, struct sq_call *c)
{
	bool waits = !sq_list_empty(&s->waiting);

	batch_offer(s, c);
	if (waits)
		sq_publish_retry(s);
}

void
sq_publish_retry(struct sq_session *s)
{
	uint64_t epoch = s->epoch;
	struct sq_list old;

	sq_session_pin(s); /* a detach may end it */
	sq_list_init(&old);
	sq_list_splice(&old, &s->waiting);
	SQ_LIST_FOR_EACH_SAFE(c, &old, struct sq_call, node) {
		sq_list_remove(&c->node);
		if (s->epoch != epoch)
			sq_call_refuse(c, SQ_CONFLICT_EPOCH);
		else if (c->kind == SQ_CALL_DETACH)
			sq_session_detach(s, c);
		else
			batch_offer(s, c);
	}
	sq_session_unpin(s);
}

void
sq_publish_will(struct sq_session *s)
{
	struct sq_broker *b = s->shard->broker;
	struct sq_origin origin = b->own;
	struct sq_loose_txn *loose = NULL;
	struct publish p = {.broker = b,
	    .home = s->shard,
	    .from = s,
	    .space = s->space,
	    .msg = &s->will,
	    .origin = &origin,
	    .not_from = s->incarnation};

	sq_heap_remove(&s->shard->timers, &s->will_timer);
	if (s->will.image == NULL)
		return;
	origin.number = atomic_fetch_add(&b->own_number, 1);
	p.txn = sq_loose_txn(s, &loose);
	sq_router_rdlock(b->router);
	publish_untold(&p, s->key, "will");
	sq_own_commit(&p.apart);
	sq_dead_flush(s->shard, sq_loose_txn(s, &loose));
	sq_router_unlock(b->router);
	sq_stored_will_gone(s, sq_loose_txn(s, &loose));
	sq_loose_commit(&loose);
	publish_committed(&p);
	sq_count(b, SQ_M_WILLS, 1);
	sq_msg_unref(&s->will);
}
