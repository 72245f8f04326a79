#include "broker/deed/work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl.h"
#include "broker/group/group.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/worker.h"

/* A transaction of a slice. */
struct sq_deed_txn {
	struct sq_txn txn;
	struct sq_deed *deed;
};

void
sq_deed_end(struct sq_deed *d, enum sq_deed_end end, const char *why)
{
	struct sq_broker *b = d->work.broker;

	assert(d->work.txn == NULL && d->work.committing == 0);
	sq_group_unref(&d->work.group);
	d->end = end;
	d->why = why;
	d->done(d);
	sq_broker_object(b, -1);
}

static void
deed_run(struct sq_task *t)
{
	struct sq_deed *d = SQ_CONTAINER_OF(t, struct sq_deed, work.task);

	if (sq_broker_closing(d->work.broker))
		sq_deed_end(d, SQ_DEED_FAILED, "the broker ends");
	else
		d->work.step(d);
}

void
sq_deed_go(struct sq_deed *d, struct sq_shard *sh, void (*step)(struct sq_deed *))
{
	d->work.shard = sh;
	d->work.step = step;
	d->work.task.run = deed_run;
	sq_worker_post(sh->worker, &d->work.task);
}

void
sq_deed_wait(struct sq_deed *d)
{
	sq_worker_post_later(&d->work.task);
}

bool
sq_deed_over(const struct sq_deed *d)
{
	return sq_clock_ms() >= d->until_ms;
}

enum sq_deed_right
sq_deed_may(const struct sq_deed *d, const char *space, struct sq_bytes object)
{
	if (d->space != NULL && strcmp(d->space, space) != 0)
		return SQ_DEED_FOREIGN;
	return d->may == NULL ? SQ_DEED_MAY : d->may(d->arg, space, object);
}

enum sq_deed_right
sq_deed_may_session(const struct sq_deed *d)
{
	struct sq_buf name = {0};
	enum sq_deed_right right;

	sq_buf_printf(&name, SQ_ACL_SESSION);
	sq_key_encode(&name, &d->work.key); /* as rules have it, however it was written */
	right = sq_deed_may(d, d->work.key.space, sq_buf_bytes(&name));
	sq_buf_fini(&name);
	return right;
}

/* Goes on once all of a slice is committed. */
static void
deed_next(struct sq_deed *d)
{
	if (!d->work.sliced || d->work.committing > 0)
		return;
	d->work.sliced = false;
	if (d->work.failed)
		sq_deed_end(d, SQ_DEED_FAILED, "the store did not commit");
	else
		deed_run(&d->work.task);
}

static void
deed_txn_done(struct sq_txn *txn, int err)
{
	struct sq_deed_txn *dt = SQ_CONTAINER_OF(txn, struct sq_deed_txn, txn);
	struct sq_deed *d = dt->deed;

	free(dt);
	d->work.failed |= err != SQ_OK;
	d->work.committing--;
	deed_next(d);
}

struct sq_txn *
sq_deed_txn(struct sq_deed *d)
{
	assert(sq_worker_self() == d->work.shard->worker);
	if (d->work.txn == NULL) {
		d->work.txn = sq_xcalloc(1, sizeof *d->work.txn);
		d->work.txn->deed = d;
		d->work.txn->txn.worker = d->work.shard->worker;
		d->work.txn->txn.engine = d->work.broker->engine;
		d->work.txn->txn.done = deed_txn_done;
	}
	return &d->work.txn->txn;
}

static void
deed_txn_commit(struct sq_deed *d)
{
	struct sq_deed_txn *dt = d->work.txn;

	if (dt == NULL)
		return;
	d->work.txn = NULL;
	d->work.committing++;
	dt->txn.engine->ops->txn.commit(&dt->txn);
}

struct sq_txn *
sq_deed_split(struct sq_deed *d)
{
	deed_txn_commit(d);
	return sq_deed_txn(d);
}

void
sq_deed_commit(struct sq_deed *d)
{
	assert(d->work.txn != NULL);
	d->work.sliced = true;
	deed_txn_commit(d);
}
