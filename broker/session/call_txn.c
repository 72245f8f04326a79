#include "broker/session/call_txn.h"

#include <stdlib.h>

#include "broker/session/persist.h"
#include "broker/session/session.h"
#include "broker/shard/pace.h"
#include "core/fault.h"
#include "core/mem.h"

/* What the batch admitted never was; the sidecar attaches again. */
static void
op_failed(struct sq_call_txn *op)
{
	struct sq_session *s = op->session;

	for (uint16_t i = 0; i < op->n_held; i++)
		(void)sq_qos2_in_remove(s, op->held[i]);
	if (op->first != 0)
		s->in.failed[op->lane] = true;
	if (op->call != NULL) {
		op->call->verdict = SQ_VERDICT_FAILED;
		op->call->detail = "the commit failed";
		sq_pace_answer(op->call);
	}
	if (op->answer != NULL)
		sq_order_failed(op->answer);
	if (s->state == SQ_SESSION_ATTACHED)
		s->hooks->failed(s);
}

static void
op_outcomes(struct sq_call_txn *op)
{
	struct sq_lane_in *lane = &op->session->in.lanes[op->lane];

	sq_lane_in_done(lane, op->last);
	sq_publish_answer(op->session, op->call, op->lane, op->first,
	    (uint16_t)(op->last - op->first + 1), &op->notes);
}

static void
op_fault(const struct sq_call_txn *op)
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
op_end(struct sq_call_txn *op)
{
	struct sq_session *s = op->session;

	if (op->err != SQ_OK || (op->first != 0 && s->in.failed[op->lane]))
		op_failed(op);
	else if (op->first != 0)
		op_outcomes(op);
	else if (op->answer != NULL)
		sq_order_ready(s, op->answer);
	else if (op->call != NULL) /* what has an answer of its own has put it there */
		sq_call_answer(op->call, SQ_VERDICT_OK, NULL);
	free(op->held);
	sq_notes_fini(&op->notes);
	free(op);
	sq_session_txn_end(s);
}

/* One of its transactions is done.  A batch that holds nothing durable is done before older
 * ones that do; outcomes leave in the order of the numbers. */
static void
op_part_done(struct sq_call_txn *op, int err)
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
	row = &s->in.batches[op->lane];
	sq_session_pin(s);
	while ((op = SQ_LIST_FIRST(row, struct sq_call_txn, node)) != NULL && op->ended) {
		sq_list_remove(&op->node);
		op_end(op);
	}
	sq_session_unpin(s);
}

static void
op_done(struct sq_txn *txn, int err)
{
	op_part_done(SQ_CONTAINER_OF(txn, struct sq_call_txn, begun), err);
}

/* One that was begun when another was full. */
struct op_part {
	struct sq_txn txn;
	struct sq_call_txn *op;
};

static void
part_done(struct sq_txn *txn, int err)
{
	struct op_part *part = SQ_CONTAINER_OF(txn, struct op_part, txn);
	struct sq_call_txn *op = part->op;

	free(part);
	op_part_done(op, err);
}

void
sq_call_txn_part(struct sq_call_txn *op)
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
sq_call_txn_split(struct sq_call_txn *op, uint64_t number)
{
	if (!op->txn->engine->ops->txn.is_durable(op->txn))
		return false;
	if (op->first != 0)
		sq_persist_batch(op->session, op->txn, op->lane, number - 1, op->held, op->n_held);
	sq_call_txn_part(op);
	return true;
}

struct sq_call_txn *
sq_call_txn_new(struct sq_session *s, struct sq_call *call)
{
	struct sq_call_txn *op = sq_xcalloc(1, sizeof *op);

	sq_session_txn_begin(&op->begun, s, op_done);
	op->txn = &op->begun;
	op->session = s;
	op->call = call;
	op->pending = 1;
	sq_list_init(&op->node);
	return op;
}

void
sq_call_txn_held(struct sq_call_txn *op, uint16_t packet_id)
{
	if ((op->n_held & (op->n_held - 1)) == 0) /* a power of two is full */
		op->held = sq_xrealloc(
		    op->held, (op->n_held > 0 ? op->n_held * 2u : 1u) * sizeof(*op->held));
	op->held[op->n_held++] = packet_id;
}

void
sq_call_txn_commit(struct sq_call_txn *op)
{
	if (op->first != 0)
		sq_list_push_back(&op->session->in.batches[op->lane], &op->node);
	op->txn->engine->ops->txn.commit(op->txn);
}

void
sq_call_txn_abandon(struct sq_call_txn *op)
{
	op->err = SQ_ECLOSED;
	sq_call_txn_commit(op);
}
