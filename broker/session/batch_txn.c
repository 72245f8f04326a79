#include "broker/session/batch_txn.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/publish/own.h"
#include "broker/session/session.h"
#include "broker/shard/pace.h"
#include "core/fault.h"
#include "core/mem.h"

void
sq_batch_txn_known(struct sq_session *s, struct sq_call *c, uint8_t lane, uint64_t first,
    uint16_t n, struct sq_bytes notes)
{
	uint8_t *codes = sq_buf_reserve(&c->store, n);

	assert(sq_buf_len(&c->store) == 0);
	if (!sq_lane_in_outcomes(&s->in.lanes[lane], first, n, codes)) {
		c->verdict = SQ_VERDICT_RUN;
		sq_pace_answer(c);
		return;
	}
	sq_buf_commit(&c->store, n);
	sq_buf_append(&c->store, notes.p, notes.len);
	c->out.outcomes = (struct sq_outcomes){
	    .first = first, .n = n, .codes = sq_buf_data(&c->store), .notes = sq_call_stored(c, n)};
	c->verdict = SQ_VERDICT_OK;
	sq_pace_answer(c);
}

/* The commit failed: takes back everything that the batch admitted; the sidecar attaches again. */
static void
batch_txn_failed(struct sq_batch_txn *b)
{
	struct sq_session *s = b->base.session;

	for (uint16_t i = 0; i < b->n_held; i++)
		(void)sq_qos2_in_remove(&s->in.qos2, b->held[i]);
	s->batches.failed[b->lane] = true;
	sq_call_txn_refuse(&b->base);
}

static void
batch_txn_outcomes(struct sq_batch_txn *b)
{
	struct sq_session *s = b->base.session;

	sq_lane_in_done(&s->in.lanes[b->lane], b->last);
	sq_batch_txn_known(s, b->base.call, b->lane, b->first, (uint16_t)(b->last - b->first + 1),
	    sq_notes_view(&b->notes));
}

/* Answers its call and frees it. */
static void
batch_txn_end(struct sq_batch_txn *b)
{
	struct sq_session *s = b->base.session;

	if (b->err != SQ_OK || s->batches.failed[b->lane])
		batch_txn_failed(b);
	else
		batch_txn_outcomes(b);
	if (b->traced.n > 0)
		sq_traced_end(&b->traced, b->err == SQ_OK && !s->batches.failed[b->lane]);
	free(b->held);
	sq_notes_fini(&b->notes);
	free(b);
	sq_session_txn_end(s);
}

static void
batch_txn_done(struct sq_call_txn *ct, int err)
{
	struct sq_batch_txn *b = SQ_CONTAINER_OF(ct, struct sq_batch_txn, base);
	struct sq_session *s = ct->session;
	struct sq_list *row = &s->batches.rows[b->lane];

	if (b->releases)
		SQ_FAULT("broker-release-committed");
	else
		SQ_FAULT("broker-publish-committed");
	b->ended = true;
	b->err = err;
	sq_session_pin(s);
	while ((b = SQ_LIST_FIRST(row, struct sq_batch_txn, node)) != NULL && b->ended) {
		sq_list_remove(&b->node);
		batch_txn_end(b);
	}
	sq_session_unpin(s);
}

void
sq_batches_begin(struct sq_session *s)
{
	for (int lane = 0; lane < SQ_LANES; lane++) {
		if (s->batches.failed[lane])
			sq_lane_in_failed(&s->in.lanes[lane]);
		s->batches.failed[lane] = false;
	}
}

struct sq_batch_txn *
sq_batch_txn_new(struct sq_session *s, struct sq_call *call, const struct sq_batch *batch)
{
	struct sq_batch_txn *b = sq_xcalloc(1, sizeof *b);

	sq_call_txn_init(&b->base, s, call, batch_txn_done);
	sq_list_init(&b->node);
	b->lane = batch->lane;
	b->first = batch->first;
	b->last = batch->first + batch->n - 1;
	return b;
}

void
sq_batch_txn_held(struct sq_batch_txn *b, uint16_t packet_id)
{
	if ((b->n_held & (b->n_held - 1)) == 0) /* a power of two is full */
		b->held = sq_xrealloc(
		    b->held, (b->n_held > 0 ? b->n_held * 2u : 1u) * sizeof(*b->held));
	b->held[b->n_held++] = packet_id;
}

void
sq_batch_txn_persist(struct sq_batch_txn *b, uint64_t last)
{
	sq_persist_batch(b->base.session, b->base.parts.txn, b->lane, last, b->held, b->n_held);
}

struct sq_txn *
sq_batch_txn_split(void *arg, uint64_t number)
{
	struct sq_batch_txn *b = arg;

	if (!b->base.parts.txn->engine->ops->txn.is_durable(b->base.parts.txn))
		return NULL;
	sq_batch_txn_persist(b, number - 1);
	sq_call_txn_part(&b->base);
	return b->base.parts.txn;
}

struct sq_txn *
sq_batch_txn_part(void *arg, uint64_t number)
{
	struct sq_batch_txn *b = arg;

	sq_own_receipts(b->base.session->shard, b->base.parts.txn);
	if (sq_batch_txn_split(b, number) == NULL)
		sq_call_txn_part(&b->base);
	return b->base.parts.txn;
}

void
sq_batch_txn_commit(struct sq_batch_txn *b)
{
	sq_list_push_back(&b->base.session->batches.rows[b->lane], &b->node);
	sq_call_txn_commit(&b->base);
}

void
sq_batch_txn_abandon(struct sq_batch_txn *b)
{
	sq_list_push_back(&b->base.session->batches.rows[b->lane], &b->node);
	sq_call_txn_abandon(&b->base);
}
