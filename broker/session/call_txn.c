#include "broker/session/call_txn.h"

#include <stdlib.h>

#include "broker/session/session.h"
#include "broker/shard/pace.h"
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

static void
call_txn_done(struct sq_parts *parts, int err)
{
	struct sq_call_txn *ct = SQ_CONTAINER_OF(parts, struct sq_call_txn, parts);

	ct->done(ct, err);
}

void
sq_call_txn_part(struct sq_call_txn *ct)
{
	sq_parts_next(&ct->parts);
}

bool
sq_call_txn_split(struct sq_call_txn *ct)
{
	return sq_parts_split(&ct->parts);
}

void
sq_call_txn_init(struct sq_call_txn *ct, struct sq_session *s, struct sq_call *call,
    void (*done)(struct sq_call_txn *, int err))
{
	sq_session_txn_begin(&ct->parts.begun, s, NULL);
	sq_parts_begin(&ct->parts, call_txn_done);
	ct->session = s;
	ct->call = call;
	ct->done = done;
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
	sq_parts_commit(&ct->parts);
}

void
sq_call_txn_abandon(struct sq_call_txn *ct)
{
	sq_parts_fail(&ct->parts, SQ_ECLOSED);
	sq_call_txn_commit(ct);
}
