#include "broker/deed/purge.h"

#include "broker/deed/find.h"
#include "broker/deed/work.h"
#include "broker/group/purge.h"
#include "core/fault.h"

static struct sq_txn *
purge_txn(void *arg)
{
	return sq_deed_txn(arg);
}

/* Puts the next items into a transaction; returns how many, and why there are no more. */
static uint64_t
purge_slice(struct sq_deed *d, struct sq_sink *sink, int *err)
{
	const struct sq_purge p = {.sink = sink,
	    .burial = d->work.broker->burial,
	    .upto = d->at.upto,
	    .most = d->most - d->n,
	    .letters = d->bury,
	    .txn = purge_txn,
	    .arg = d};

	return sq_purge_slice(&p, err);
}

static void
purge_step(struct sq_deed *d)
{
	struct sq_sink *sink = sq_deed_sink(d);
	struct sq_queue_state q;
	uint64_t n;
	int err;

	if (sink == NULL) { /* with all that it had */
		sq_deed_end(d, SQ_DEED_DONE, NULL);
		return;
	}
	if (d->at.upto == 0) {
		sink->engine->ops->queue.state(sink->queue, &q);
		d->at.upto = q.last;
	}
	if (d->work.begun)
		SQ_FAULT("broker-purge-committed");
	d->more = d->n >= d->most || sq_deed_over(d);
	if (d->more) {
		sq_deed_end(d, SQ_DEED_DONE, NULL);
		return;
	}
	n = purge_slice(d, sink, &err);
	if (n > 0) {
		d->work.begun = true;
		d->n += n;
		sq_count(d->work.broker, SQ_M_PURGED, (int64_t)n);
		SQ_FAULT("broker-purge");
		sq_deed_commit(d);
	} else if (err == SQ_EAGAIN) {
		sq_deed_wait(d);
	} else {
		d->more = err == SQ_ENOMEM;
		sq_deed_end(d, SQ_DEED_DONE, NULL);
	}
}

void
sq_deed_purge(struct sq_deed *d)
{
	sq_deed_find_queue(d, purge_step);
}
