#include "broker/subscriber/purge.h"

#include <stdlib.h>

#include "broker/group/purge.h"
#include "broker/subscriber/ask.h"
#include "broker/subscriber/pull.h"
#include "core/fault.h"
#include "core/mem.h"
#include "web/worker.h"

/* A purge under way. */
struct purge {
	struct sq_task task;
	struct sq_shard *shard;
	struct sq_call *call;
	struct sq_group *group; /* a reference */
	uint64_t upto;          /* the newest message of those that go */
	struct sq_ask_txn *txn; /* of the slice; NULL: nothing is in it */
};

static void
purge_end(struct purge *p, enum sq_verdict verdict, const char *detail)
{
	struct sq_call *c = p->call;

	sq_group_unref(&p->group);
	sq_broker_object(p->shard->broker, -1);
	free(p);
	sq_call_answer(c, verdict, detail);
}

static void
purge_committed(void *arg, int err)
{
	struct purge *p = arg;

	SQ_FAULT("broker-purge-committed");
	if (err != SQ_OK)
		purge_end(p, SQ_VERDICT_FAILED, "the commit failed");
	else
		sq_worker_post(p->shard->worker, &p->task);
}

static struct sq_txn *
purge_txn(void *arg)
{
	struct purge *p = arg;

	if (p->txn == NULL)
		p->txn = sq_ask_txn_new(p->shard, NULL);
	return &p->txn->txn;
}

/* Puts the next messages into a transaction, which it makes; returns how many, and why there are no
 * more. */
static uint64_t
purge_slice(struct purge *p, int *err)
{
	const struct sq_purge slice = {.sink = &p->group->sink,
	    .burial = p->shard->broker->burial,
	    .upto = p->upto,
	    .most = UINT64_MAX,
	    .letters = true,
	    .txn = purge_txn,
	    .arg = p};

	return sq_purge_slice(&slice, err);
}

static void
purge_run(struct sq_task *t)
{
	struct purge *p = SQ_CONTAINER_OF(t, struct purge, task);
	struct sq_ask_txn *a;
	uint64_t n;
	int err;

	if (sq_broker_closing(p->shard->broker)) {
		purge_end(p, SQ_VERDICT_DRAINING, "the broker ends");
		return;
	}
	n = purge_slice(p, &err);
	a = p->txn;
	p->txn = NULL;
	p->call->out.queue.n += n;
	if (a != NULL) {
		sq_count(p->shard->broker, SQ_M_PURGED, (int64_t)n);
		a->then = purge_committed;
		a->arg = p;
		SQ_FAULT("broker-purge");
		sq_ask_txn_commit(a);
	} else if (err == SQ_EAGAIN) {
		sq_worker_post_later(&p->task);
	} else if (err == SQ_ENOMEM) {
		purge_end(p, SQ_VERDICT_BUSY, "the rest can't be read from the store now");
	} else {
		p->call->out.queue.how = SQ_QUEUE_DONE;
		purge_end(p, SQ_VERDICT_OK, NULL);
	}
}

void
sq_purge_call(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	struct sq_queue_state q;
	struct purge *p;

	if (s == NULL || s->removing != NULL) {
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
		return;
	}
	if (s->pull != NULL)
		sq_pull_release(s->pull);
	p = sq_xcalloc(1, sizeof *p);
	p->shard = sh;
	p->call = c;
	p->group = sq_group_ref(s->group);
	p->task.run = purge_run;
	s->group->sink.engine->ops->queue.state(s->group->sink.queue, &q);
	p->upto = q.last;
	sq_broker_object(sh->broker, 1);
	purge_run(&p->task);
}
