#include "broker/session/call_txn.h"

#include <stdlib.h>

#include "broker/session/session.h"
#include "broker/shard/pace.h"
#include "core/fault.h"
#include "core/mem.h"

void
sq_call_txn_refuse(struct sq_call_txn *ct)
{
	struct sq_session *s = ct->session;

	if (ct->call != NULL) {
		ct->call->verdict = SQ_VERDICT_FAILED;
		ct->call->detail = "the commit failed";
		sq_pace_answer(ct->call);
	}
	if (s->state == SQ_SESSION_ATTACHED)
		s->hooks->failed(s);
}

void
sq_call_txn_answer(struct sq_call_txn *ct, int err)
{
	if (err != SQ_OK)
		sq_call_txn_refuse(ct);
	else if (ct->call != NULL)
		sq_call_answer(ct->call, SQ_VERDICT_OK, NULL);
}

/* One of its transactions is done. */
static void
call_txn_done(struct sq_call_txn *ct, int err)
{
	if (err != SQ_OK)
		ct->err = err;
	if (--ct->pending == 0)
		ct->done(ct, ct->err);
}

static void
begun_done(struct sq_txn *txn, int err)
{
	call_txn_done(SQ_CONTAINER_OF(txn, struct sq_call_txn, begun), err);
}

/* One that was begun when another was full. */
struct part {
	struct sq_txn txn;
	struct sq_call_txn *of;
};

static void
part_done(struct sq_txn *txn, int err)
{
	struct part *part = SQ_CONTAINER_OF(txn, struct part, txn);
	struct sq_call_txn *ct = part->of;

	free(part);
	call_txn_done(ct, err);
}

void
sq_call_txn_part(struct sq_call_txn *ct)
{
	struct part *next = sq_xcalloc(1, sizeof *next);

	next->of = ct;
	next->txn.worker = ct->txn->worker;
	next->txn.engine = ct->txn->engine;
	next->txn.done = part_done;
	ct->pending++;
	ct->txn->engine->ops->txn.commit(ct->txn);
	ct->txn = &next->txn;
	SQ_FAULT("broker-part-admitted");
}

bool
sq_call_txn_split(struct sq_call_txn *ct)
{
	if (!ct->txn->engine->ops->txn.is_durable(ct->txn))
		return false;
	sq_call_txn_part(ct);
	return true;
}

void
sq_call_txn_init(struct sq_call_txn *ct, struct sq_session *s, struct sq_call *call,
    void (*done)(struct sq_call_txn *, int err))
{
	sq_session_txn_begin(&ct->begun, s, begun_done);
	ct->txn = &ct->begun;
	ct->session = s;
	ct->call = call;
	ct->done = done;
	ct->pending = 1;
}

static void
simple_done(struct sq_call_txn *ct, int err)
{
	struct sq_session *s = ct->session;

	sq_call_txn_answer(ct, err);
	free(ct);
	sq_session_txn_end(s);
}

struct sq_call_txn *
sq_call_txn_new(struct sq_session *s, struct sq_call *call)
{
	struct sq_call_txn *ct = sq_xcalloc(1, sizeof *ct);

	sq_call_txn_init(ct, s, call, simple_done);
	return ct;
}

void
sq_call_txn_commit(struct sq_call_txn *ct)
{
	ct->txn->engine->ops->txn.commit(ct->txn);
}

void
sq_call_txn_abandon(struct sq_call_txn *ct)
{
	ct->err = SQ_ECLOSED;
	sq_call_txn_commit(ct);
}
