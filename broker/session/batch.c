/* Messages from a client: batches of a lane, each committed in as many transactions as it needs. */
#include <stdlib.h>

#include "broker/publish/own.h"
#include "broker/publish/received.h"
#include "broker/session/batch_txn.h"
#include "broker/session/persist.h"
#include "broker/session/session.h"
#include "broker/session/traced.h"
#include "broker/shard/pace.h"
#include "broker/shard/sys_counts.h"
#include "core/clock.h"
#include "core/fault.h"
#include "core/mem.h"
#include "core/memory.h"
#include "proto/mqtt/reason.h"
#include "web/worker.h"

enum {
	OUTCOMES_MAX = 65536, /* kept outcomes of a lane */
	PUT_OFF_MS = 5000,    /* longest that QoS 0 of a session is not taken for want of memory */
	SPARSE_RATIO = 4,     /* below one match in so many, matches are copied out */
	SLICE_MAX = 2048,     /* matches after which others have their turn */
	UNROUTED_WORK = 4,    /* matches: as long takes an entry that is not routed */
};

static uint8_t
batch_release(struct sq_session *s, struct sq_batch_txn *op, uint16_t packet_id)
{
	const struct sq_qos2_id *held = sq_qos2_in_find(&s->in.qos2, packet_id);

	if (held == NULL)
		return SQ_MQTT_RC_PACKET_ID_NOT_FOUND;
	if (held->stored)
		sq_persist_released(s, op->base.parts.txn, packet_id);
	(void)sq_qos2_in_remove(&s->in.qos2, packet_id);
	op->releases = true;
	return SQ_MQTT_RC_SUCCESS;
}

static uint8_t
batch_message(
    struct sq_session *s, struct sq_batch_txn *op, const struct sq_entry *e, struct sq_publish *p)
{
	uint8_t code;

	if (e->packet_id != 0 && sq_qos2_in_find(&s->in.qos2, e->packet_id) != NULL)
		return SQ_MQTT_RC_SUCCESS; /* a second copy of what awaits its release */
	code = sq_received_message(p);
	if (e->packet_id != 0 && !sq_mqtt_reason_failed(code) &&
	    sq_qos2_in_add(&s->in.qos2, e->packet_id))
		sq_batch_txn_held(op, e->packet_id);
	return code;
}

/* A batch that is taken in.  One that matches so much that others would have to wait goes on in
 * later turns of the worker; each slice is committed by itself, and admitted only then, so that
 * what comes behind it waits as for any number that is missing. */
struct sq_slices {
	struct sq_task task;
	struct sq_session *session; /* pinned by the task, and by 'op' */
	struct sq_call *call;
	struct sq_batch_txn *op; /* NULL: the session has ended */
	struct sq_batch batch;   /* its entries: those that are not read */
	uint16_t at;             /* of these the first */
	uint16_t skip;           /* entries that were admitted before */
	struct sq_origin origin;
	struct sq_msg msg;
	size_t matched, messages, taken;
};

/* For the messages of a slice, one after the other in 'msg' and 'origin'. */
static struct sq_publish
batch_publish(struct sq_slices *b)
{
	struct sq_session *s = b->session;

	return (struct sq_publish){.broker = s->shard->broker,
	    .home = s->shard,
	    .from = {.of = sq_session_refused(s),
		.permit = s->permit.subject,
		.not_from = s->id.incarnation,
		.stores_ids = s->id.durable,
		.told = true},
	    .tenant = s->id.tenant,
	    .txn = b->op->base.parts.txn,
	    .more = {sq_batch_txn_split, sq_batch_txn_part, b->op},
	    .msg = &b->msg,
	    .origin = &b->origin,
	    .copies = {.own = s->in.sparse, .pass = true},
	    .pace.call = b->call};
}

/* Begins the span of the message that is admitted. */
static void
batch_traced(struct sq_slices *b, uint8_t code, uint64_t began_us)
{
	struct sq_span *span = sq_traced_admitted(
	    &b->op->traced, b->msg.image, &b->origin, code, began_us);

	if (span != NULL)
		sq_traced_client(span, b->session);
}

static void
batch_entry(struct sq_slices *b, const struct sq_entry *e, uint16_t i, struct sq_publish *p)
{
	struct sq_session *s = b->session;
	uint64_t began_us = 0;
	size_t before = p->work;
	uint8_t code;

	if (e->kind == SQ_ENTRY_RELEASE) {
		code = batch_release(s, b->op, e->packet_id);
	} else {
		b->msg.image = e->image;
		began_us = sq_traced_begin(e->image);
		code = batch_message(s, b->op, e, p);
		b->messages++;
		b->matched += p->n > 0;
		b->taken += !sq_mqtt_reason_failed(code);
		sq_received_explain(p, code, i, &b->op->notes);
		if (began_us != 0)
			batch_traced(b, code, began_us);
	}
	if (p->work == before) /* refused, known already, kept for later, a release */
		p->work += UNROUTED_WORK;
	sq_lane_in_set(&s->in.lanes[b->batch.lane], b->origin.number, code);
	sq_publish_pause(p);
}

/* Takes entries in, until there are no more or it is others' turn. */
static void
batch_slice(struct sq_slices *b, struct sq_publish *p)
{
	sq_lane_in_admit(&b->session->in.lanes[b->batch.lane], &b->batch);
	b->batch.upto = 0;
	while (b->at < b->batch.n && p->work < SLICE_MAX) {
		struct sq_entry e = sq_batch_next(&b->batch.entries);
		uint16_t i = b->at++;

		b->origin.number++;
		if (i >= b->skip)
			batch_entry(b, &e, i, p);
	}
	sq_refused_fini(&p->refused);
	sq_route_unlock(p);
	sq_own_receipts(b->session->shard, b->op->base.parts.txn);
}

/* Commits the accepted part of the batch, with the notes on all entries. */
static void
batch_end(struct sq_slices *b)
{
	struct sq_session *s = b->session;
	struct sq_batch_txn *op = b->op;

	sq_sys_add(s->id.sys, SQ_SYS_RECEIVED, (int64_t)b->taken);
	sq_sys_add(s->id.sys, SQ_SYS_RECEIVED_BYTES, (int64_t)b->call->body->size);
	s->in.sparse = b->messages >= SPARSE_RATIO && b->matched * SPARSE_RATIO < b->messages;
	sq_batch_txn_persist(op, op->last);
	if (b->messages > 0)
		SQ_FAULT("broker-publish-admitted");
	if (op->releases)
		SQ_FAULT("broker-release-admitted");
	if (b->messages > 0)
		sq_pace_memory(s->shard, b->call);
	sq_batch_txn_commit(op);
}

/* True: it is taken in. */
static bool
batch_go_on(struct sq_slices *b)
{
	struct sq_session *s = b->session;
	struct sq_publish p;

	sq_permit_refresh(s);
	p = batch_publish(b);
	batch_slice(b, &p);
	if (b->at < b->batch.n) {
		sq_lane_in_cut(&s->in.lanes[b->batch.lane], b->origin.number);
		sq_publish_part(&p);
		return false;
	}
	batch_end(b);
	sq_publish_committed(&p);
	return true;
}

/* In the next turn; until then the session stays. */
static void
batch_later(struct sq_slices *b)
{
	sq_session_pin(b->session);
	sq_worker_post_later(&b->task);
}

static void
batch_run(struct sq_task *t)
{
	struct sq_slices *b = SQ_CONTAINER_OF(t, struct sq_slices, task);
	struct sq_session *s = b->session;

	if (b->op == NULL) {
		free(b);
	} else if (!batch_go_on(b)) {
		batch_later(b);
	} else {
		s->in.slices[b->batch.lane] = NULL;
		free(b);
		s->hooks->ran(s);
	}
	sq_session_unpin(s);
}

static void
batch_admit(struct sq_session *s, struct sq_call *c, const struct sq_batch *batch, uint16_t skip)
{
	struct sq_slices first = {.task = {.run = batch_run},
	    .session = s,
	    .call = c,
	    .op = sq_batch_txn_new(s, c, batch),
	    .batch = *batch,
	    .skip = skip,
	    .origin = {s->id.incarnation, batch->run, batch->first - 1, 0},
	    .msg = {c->body, NULL}};
	struct sq_slices *rest;

	if (batch_go_on(&first))
		return;
	s->in.slices[batch->lane] = rest = sq_xmalloc(sizeof *rest);
	*rest = first;
	batch_later(rest);
}

void
sq_batch_cut(struct sq_session *s)
{
	for (int lane = 0; lane < SQ_LANES; lane++) {
		struct sq_slices *b = s->in.slices[lane];

		if (b == NULL)
			continue;
		s->in.slices[lane] = NULL;
		sq_batch_txn_abandon(b->op);
		b->op = NULL;
	}
}

/* The number of the lane's batches that wait for earlier ones, not for their commit. */
static unsigned
batch_parked(const struct sq_session *s, uint8_t lane)
{
	unsigned n = 0;

	SQ_LIST_FOR_EACH(c, &s->waiting, struct sq_call, node)
		n += c->kind == SQ_CALL_MESSAGES && c->in.batch.lane == lane &&
		    c->in.batch.first + c->in.batch.n - 1 > s->in.lanes[lane].last;
	return n;
}

/* One that comes too early: as many wait as a sidecar may have in flight. */
static void
batch_park(struct sq_session *s, struct sq_call *c, uint8_t lane)
{
	if (batch_parked(s, lane) < SQ_BATCH_FLYING_MAX && sq_memory_level() != SQ_MEMORY_REFUSED) {
		sq_list_push_back(&s->waiting, &c->node);
		return;
	}
	c->last = s->in.lanes[lane].last;
	sq_call_refuse(c, SQ_VERDICT_GAP);
}

/* Answers a batch of QoS 0 that comes while nothing is taken that needs memory: its sidecar
 * keeps it, and reads its client no further.  Not for ever, as what the client acknowledges
 * comes behind it, and that may be what makes memory free: later its messages are dropped. */
static bool
batch_put_off(struct sq_session *s, struct sq_call *c, uint8_t lane)
{
	uint64_t now_ms = sq_worker_now_ms(s->shard->worker);

	if (lane != 0)
		return false;
	if (sq_memory_level() != SQ_MEMORY_REFUSED) {
		s->in.put_off_ms = 0;
		return false;
	}
	if (s->in.put_off_ms == 0)
		s->in.put_off_ms = now_ms;
	if (now_ms - s->in.put_off_ms >= PUT_OFF_MS)
		return false;
	sq_call_answer(c, SQ_VERDICT_BUSY, "the broker's memory is nearly used up");
	return true;
}

void
sq_batch_offer(struct sq_session *s, struct sq_call *c)
{
	struct sq_lane_in *lane;
	struct sq_batch b = c->in.batch;
	uint16_t skip;

	lane = &s->in.lanes[b.lane];
	if (b.run == lane->run && b.first <= lane->last + 1 &&
	    b.first + b.n > lane->kept + OUTCOMES_MAX) {
		sq_call_answer(c, SQ_VERDICT_MALFORMED, "outcomes are never acknowledged");
		return;
	}
	switch (sq_lane_in_offer(lane, &b, &skip)) {
	case SQ_LANE_ADMIT:
		if (s->in.slices[b.lane] == NULL && batch_put_off(s, c, b.lane))
			return;
		if (s->in.slices[b.lane] == NULL && sq_order_in_batch(&s->order.in, b.mark))
			batch_admit(s, c, &b, skip);
		else
			batch_park(s, c, b.lane);
		return;
	case SQ_LANE_KNOWN:
		if (b.first + b.n - 1 <= lane->done)
			sq_batch_txn_known(s, c, b.lane, b.first, b.n, (struct sq_bytes){0});
		else
			sq_list_push_back(&s->waiting, &c->node);
		return;
	case SQ_LANE_EARLY:
		batch_park(s, c, b.lane);
		return;
	case SQ_LANE_RUN:
		sq_call_refuse(c, SQ_VERDICT_RUN);
		return;
	}
}
