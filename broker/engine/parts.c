#include "broker/engine/parts.h"

#include <stdlib.h>

#include "core/fault.h"
#include "core/mem.h"

/* A part that was begun when another was full. */
struct part {
	struct sq_txn txn;
	struct sq_parts *of;
};

static void
parts_done(struct sq_parts *p, int err)
{
	if (err != SQ_OK)
		p->err = err;
	if (--p->pending == 0)
		p->done(p, p->err);
}

static void
begun_done(struct sq_txn *txn, int err)
{
	parts_done(SQ_CONTAINER_OF(txn, struct sq_parts, begun), err);
}

static void
part_done(struct sq_txn *txn, int err)
{
	struct part *part = SQ_CONTAINER_OF(txn, struct part, txn);
	struct sq_parts *of = part->of;

	free(part);
	parts_done(of, err);
}

void
sq_parts_begin(struct sq_parts *p, void (*done)(struct sq_parts *, int err))
{
	p->begun.done = begun_done;
	p->txn = &p->begun;
	p->done = done;
	p->pending = 1;
}

void
sq_parts_next(struct sq_parts *p)
{
	struct part *next = sq_xcalloc(1, sizeof *next);

	next->of = p;
	next->txn.worker = p->txn->worker;
	next->txn.engine = p->txn->engine;
	next->txn.done = part_done;
	p->pending++;
	sq_parts_commit(p);
	p->txn = &next->txn;
	SQ_FAULT("broker-part-admitted");
}

bool
sq_parts_split(struct sq_parts *p)
{
	if (!p->txn->engine->ops->txn.is_durable(p->txn))
		return false;
	sq_parts_next(p);
	return true;
}

void
sq_parts_commit(struct sq_parts *p)
{
	p->txn->engine->ops->txn.commit(p->txn);
}

void
sq_parts_fail(struct sq_parts *p, int err)
{
	p->err = err;
}
