#include "broker/subscriber/pull_txn.h"

#include <stdlib.h>

#include "broker/group/group.h"
#include "core/fault.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	ROOM_ITEMS = 8, /* of a settlement, with its records, letter and receipt */
	ROOM_BYTES = 4096,
};

void
sq_pull_txns_init(struct sq_pull *p)
{
	sq_list_init(&p->txns.on_way);
	sq_list_init(&p->txns.answers);
	sq_list_init(&p->txns.settled);
}

void
sq_pull_set_busy(struct sq_pull *p)
{
	if (!p->over && sq_list_empty(&p->busy))
		sq_list_push_back(sq_pulls_busy(p->all, p->shard), &p->busy);
}

void
sq_pull_wake(struct sq_pull *p)
{
	sq_pull_set_busy(p);
	if (p->posted)
		return;
	p->posted = true;
	/* When all that comes in this turn has come. */
	sq_worker_post_in(p->shard->worker, SQ_TURN_FLUSH, &p->task);
}

void
sq_pull_refuse(struct sq_call *c, enum sq_verdict verdict, const char *detail)
{
	sq_queue_out_fini(&c->out.queue);
	c->out.queue = (struct sq_queue_out){0};
	sq_call_answer(c, verdict, detail);
}

/* Answers all of a list, which nobody else adds to. */
static void
txn_answer(struct sq_list *calls, int err)
{
	struct sq_call *c;

	while ((c = SQ_LIST_FIRST(calls, struct sq_call, node)) != NULL) {
		sq_list_remove(&c->node);
		if (err != SQ_OK)
			sq_pull_refuse(c, SQ_VERDICT_FAILED, "the commit failed");
		else
			sq_call_answer(c, SQ_VERDICT_OK, NULL);
	}
}

/* The same of settlements: their takers may go on with any of them. */
static void
txn_settled(struct sq_list *settlements, int err)
{
	struct sq_taker_settlement *s;

	while ((s = SQ_LIST_FIRST(settlements, struct sq_taker_settlement, node)) != NULL) {
		sq_list_remove(&s->node);
		sq_list_remove(&s->of_taker);
		if (err != SQ_OK)
			s->end = SQ_TAKER_GONE;
		s->taker->ops->settled(s->taker, s);
	}
}

static void
txn_free(struct sq_pull_txn *t)
{
	sq_buf_fini(&t->tried);
	sq_buf_fini(&t->leased);
	free(t);
}

static void
txn_done(struct sq_txn *txn, int err)
{
	struct sq_pull_txn *t = SQ_CONTAINER_OF(txn, struct sq_pull_txn, txn);
	struct sq_pull *p = t->pull;

	SQ_FAULT_IF(sq_buf_len(&t->leased) > 0, "broker-pull-lease-committed");
	SQ_FAULT_IF(t->settles, "broker-pull-settle-committed");
	sq_list_remove(&t->node);
	txn_answer(&t->calls, err);
	txn_settled(&t->settlements, err);
	if (err == SQ_OK && t->keeps)
		sq_pulls_kept(p->all);
	if (err == SQ_OK)
		p->durable(p, t);
	if (t->traced.n > 0)
		sq_traced_end(&t->traced, err == SQ_OK);
	txn_free(t);
	sq_pull_wake(p);
}

static struct sq_pull_txn *
txn_new(struct sq_pull *p)
{
	struct sq_pull_txn *t = sq_xcalloc(1, sizeof *t);

	t->pull = p;
	t->txn.worker = p->shard->worker;
	t->txn.engine = p->shard->broker->engine;
	t->txn.done = txn_done;
	sq_list_init(&t->calls);
	sq_list_init(&t->settlements);
	sq_list_init(&t->node);
	return t;
}

static void
txn_commit(struct sq_pull *p)
{
	struct sq_pull_txn *t = p->txns.now;

	p->txns.now = NULL;
	SQ_FAULT_IF(sq_buf_len(&t->leased) > 0, "broker-pull-lease");
	SQ_FAULT_IF(t->settles, "broker-pull-settle");
	sq_list_push_back(&p->txns.on_way, &t->node);
	t->txn.engine->ops->txn.commit(&t->txn);
}

struct sq_pull_txn *
sq_pull_txn(struct sq_pull *p)
{
	struct sq_pull_txn *t = p->txns.now;

	if (t != NULL && !t->whole &&
	    !t->txn.engine->ops->txn.room(&t->txn, ROOM_ITEMS, ROOM_BYTES))
		txn_commit(p);
	if (p->txns.now == NULL)
		p->txns.now = txn_new(p);
	return p->txns.now;
}

struct sq_txn *
sq_pull_changes(struct sq_pull *p)
{
	return &sq_pull_txn(p)->txn;
}

void
sq_pull_txn_keep_key(struct sq_pull *p)
{
	struct sq_pull_txn *t = p->txns.now;

	if (!t->keeps)
		t->keeps = sq_pulls_keep(p->all, &t->txn);
}

struct sq_pull_txn *
sq_pull_txn_whole(struct sq_pull *p)
{
	sq_pull_commit(p);
	p->txns.now = txn_new(p);
	p->txns.now->whole = true;
	return p->txns.now;
}

void
sq_pull_txn_drop(struct sq_pull *p)
{
	struct sq_pull_txn *t = p->txns.now;

	p->txns.now = NULL;
	sq_traced_end(&t->traced, true); /* of what was refused */
	txn_free(t);
}

void
sq_pull_evict(struct sq_pull *p, struct sq_settled *s, unsigned most, struct sq_txn *txn,
    void (*forget)(struct sq_pull *, struct sq_txn *, struct sq_settled_entry *))
{
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);
	struct sq_settled_entry *e;

	for (; most > 0 && (e = sq_settled_over(s, now_ms)) != NULL; most--)
		forget(p, txn != NULL ? txn : sq_pull_changes(p), e);
}

void
sq_pull_settled(struct sq_pull *p, struct sq_taker_settlement *s)
{
	sq_list_push_back(&p->txns.settled, &s->node);
}

void
sq_pull_answer(struct sq_pull *p, struct sq_call *c)
{
	sq_list_push_back(&p->txns.answers, &c->node);
}

/* Has who waits for an answer wait for the end of the transaction. */
static void
txn_attach(struct sq_pull *p, struct sq_pull_txn *t)
{
	sq_list_splice(&t->calls, &p->txns.answers);
	sq_list_splice(&t->settlements, &p->txns.settled);
}

void
sq_pull_commit(struct sq_pull *p)
{
	struct sq_list *at = p->txns.on_way.prev, answers, settled;

	if (p->txns.now != NULL) {
		txn_attach(p, p->txns.now);
		txn_commit(p);
	} else if (at != &p->txns.on_way) {
		txn_attach(p, SQ_CONTAINER_OF(at, struct sq_pull_txn, node));
	} else { /* an answer may bring the next call */
		sq_list_init(&answers);
		sq_list_init(&settled);
		sq_list_splice(&answers, &p->txns.answers);
		sq_list_splice(&settled, &p->txns.settled);
		txn_answer(&answers, SQ_OK);
		txn_settled(&settled, SQ_OK);
	}
}

bool
sq_pull_txns_idle(const struct sq_pull *p)
{
	return p->txns.now == NULL && sq_list_empty(&p->txns.on_way);
}
