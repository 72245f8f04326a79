#include "broker/session/txn.h"

#include <stdlib.h>

#include "broker/shard/pace.h"
#include "broker/session/persist.h"
#include "core/fault.h"
#include "core/mem.h"

struct sq_loose_txn {
	struct sq_txn txn;
	struct sq_session *session;
};

void
sq_txn_begin(struct sq_txn *txn, struct sq_session *s, void (*done)(struct sq_txn *, int err))
{
	txn->worker = s->shard->worker;
	txn->engine = s->shard->broker->engine;
	txn->done = done;
	s->running++;
	sq_session_pin(s);
}

void
sq_txn_end(struct sq_session *s)
{
	s->running--;
	sq_session_ran(s);
	sq_session_unpin(s);
}

/* What the batch admitted never was; the sidecar attaches again. */
static void
op_failed(struct sq_op *op)
{
	struct sq_session *s = op->session;

	for (uint16_t i = 0; i < op->n_held; i++)
		(void)sq_held_remove(s, op->held[i]);
	if (op->first != 0)
		s->failed[op->lane] = true;
	if (op->call != NULL) {
		op->call->status = 500;
		op->call->detail = "the commit failed";
		sq_pace_answer(op->call);
	}
	if (op->answer != NULL)
		sq_order_failed(op->answer);
	if (s->state == SQ_SESSION_ATTACHED)
		sq_session_link_lost(s);
}

static void
op_outcomes(struct sq_op *op)
{
	struct sq_lane_in *lane = &op->session->lanes[op->lane];

	sq_lane_in_done(lane, op->last);
	sq_publish_answer(op->session, op->call, op->lane, op->first,
	    (uint16_t)(op->last - op->first + 1), &op->notes);
}

static void
op_fault(const struct sq_op *op)
{
	if (op->first != 0 && !op->releases)
		SQ_FAULT("broker-publish-committed");
	if (op->releases)
		SQ_FAULT("broker-release-committed");
	if (op->receives)
		SQ_FAULT("broker-settlement-committed");
}

/* Answers its call and frees it. */
static void
op_end(struct sq_op *op)
{
	struct sq_session *s = op->session;

	if (op->err != SQ_OK || (op->first != 0 && s->failed[op->lane]))
		op_failed(op);
	else if (op->first != 0)
		op_outcomes(op);
	else if (op->answer != NULL)
		sq_order_ready(s, op->answer);
	else if (op->call != NULL) /* what has an answer of its own has put it there */
		sq_call_answer(op->call, sq_buf_len(&op->call->out) > 0 ? 200 : 204, NULL);
	free(op->held);
	sq_notes_fini(&op->notes);
	free(op);
	sq_txn_end(s);
}

/* One of its transactions is done.  A batch that holds nothing durable is done before older
 * ones that do; outcomes leave in the order of the numbers. */
static void
op_part_done(struct sq_op *op, int err)
{
	struct sq_session *s = op->session;
	struct sq_list *row;

	if (err != SQ_OK)
		op->err = err;
	if (--op->pending > 0)
		return;
	op_fault(op);
	op->ended = true;
	if (op->first == 0) {
		op_end(op);
		return;
	}
	row = &s->ops[op->lane];
	sq_session_pin(s);
	while ((op = SQ_LIST_FIRST(row, struct sq_op, node)) != NULL && op->ended) {
		sq_list_remove(&op->node);
		op_end(op);
	}
	sq_session_unpin(s);
}

static void
op_done(struct sq_txn *txn, int err)
{
	op_part_done(SQ_CONTAINER_OF(txn, struct sq_op, begun), err);
}

/* One that was begun when another was full. */
struct op_part {
	struct sq_txn txn;
	struct sq_op *op;
};

static void
part_done(struct sq_txn *txn, int err)
{
	struct op_part *part = SQ_CONTAINER_OF(txn, struct op_part, txn);
	struct sq_op *op = part->op;

	free(part);
	op_part_done(op, err);
}

void
sq_op_part(struct sq_op *op)
{
	struct op_part *next = sq_xcalloc(1, sizeof *next);

	next->op = op;
	next->txn.worker = op->txn->worker;
	next->txn.engine = op->txn->engine;
	next->txn.done = part_done;
	op->pending++;
	op->txn->engine->ops->txn.commit(op->txn);
	op->txn = &next->txn;
	SQ_FAULT("broker-part-admitted");
}

bool
sq_op_split(struct sq_op *op, uint64_t number)
{
	if (!op->txn->engine->ops->txn.is_durable(op->txn))
		return false;
	if (op->first != 0)
		sq_stored_batch(op->session, op->txn, op->lane, number - 1, op->held, op->n_held);
	sq_op_part(op);
	return true;
}

struct sq_op *
sq_op_new(struct sq_session *s, struct sq_call *call)
{
	struct sq_op *op = sq_xcalloc(1, sizeof *op);

	sq_txn_begin(&op->begun, s, op_done);
	op->txn = &op->begun;
	op->session = s;
	op->call = call;
	op->pending = 1;
	sq_list_init(&op->node);
	return op;
}

void
sq_op_held(struct sq_op *op, uint16_t packet_id)
{
	if ((op->n_held & (op->n_held - 1)) == 0) /* a power of two is full */
		op->held = sq_xrealloc(
		    op->held, (op->n_held > 0 ? op->n_held * 2u : 1u) * sizeof(*op->held));
	op->held[op->n_held++] = packet_id;
}

void
sq_op_commit(struct sq_op *op)
{
	if (op->first != 0)
		sq_list_push_back(&op->session->ops[op->lane], &op->node);
	op->txn->engine->ops->txn.commit(op->txn);
}

void
sq_op_abandon(struct sq_op *op)
{
	op->err = SQ_ECLOSED;
	sq_op_commit(op);
}

static void
loose_done(struct sq_txn *txn, int err)
{
	struct sq_loose_txn *loose = SQ_CONTAINER_OF(txn, struct sq_loose_txn, txn);
	struct sq_session *s = loose->session;

	if (err != SQ_OK && s->admitted) /* unsettled items come again, but a PUT is lost */
		s->lost = true;
	free(loose);
	sq_txn_end(s);
}

struct sq_txn *
sq_loose_txn(struct sq_session *s, struct sq_loose_txn **loose)
{
	if (*loose == NULL) {
		*loose = sq_xcalloc(1, sizeof **loose);
		(*loose)->session = s;
		sq_txn_begin(&(*loose)->txn, s, loose_done);
	}
	return &(*loose)->txn;
}

void
sq_loose_commit(struct sq_loose_txn **loose)
{
	struct sq_loose_txn *l = *loose;

	*loose = NULL;
	if (l != NULL)
		l->txn.engine->ops->txn.commit(&l->txn);
}
