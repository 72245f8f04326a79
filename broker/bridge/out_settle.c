#include <stdlib.h>
#include <string.h>

#include "broker/bridge/outward_priv.h"
#include "broker/shard/shard.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "web/worker.h"

enum { UNSURE_MIN = 1024 }; /* that are known at a time, at least */

/* What the peer may have. */

static struct sq_out_unsure *
unsure_find(const struct sq_outward *o, uint64_t seq)
{
	struct sq_hnode *n = sq_htab_find(&o->unsure.by_seq, sq_hash_u64(seq));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_out_unsure *u = SQ_CONTAINER_OF(n, struct sq_out_unsure, by_seq);

		if (u->seq == seq)
			return u;
	}
	return NULL;
}

bool
sq_out_is_unsure(const struct sq_outward *o, uint64_t seq)
{
	return o->unsure.by_seq.n > 0 && unsure_find(o, seq) != NULL;
}

static void
unsure_remove(struct sq_outward *o, struct sq_out_unsure *u)
{
	sq_htab_remove(&o->unsure.by_seq, &u->by_seq);
	sq_list_remove(&u->by_age);
	free(u);
}

static void
unsure_add(struct sq_outward *o, uint64_t seq)
{
	uint64_t most = 2 * o->cfg.bridge->window;
	struct sq_out_unsure *u;

	if (unsure_find(o, seq) != NULL)
		return;
	if (o->unsure.by_seq.n >= (most > UNSURE_MIN ? most : UNSURE_MIN)) /* one that expired */
		unsure_remove(o, SQ_LIST_FIRST(&o->unsure.by_age, struct sq_out_unsure, by_age));
	u = sq_xcalloc(1, sizeof *u);
	u->seq = seq;
	sq_htab_insert(&o->unsure.by_seq, &u->by_seq, sq_hash_u64(seq));
	sq_list_push_back(&o->unsure.by_age, &u->by_age);
}

void
sq_out_set_unsure(struct sq_outward *o, uint64_t seq, bool unsure)
{
	struct sq_out_unsure *u;

	if (unsure)
		unsure_add(o, seq);
	else if ((u = unsure_find(o, seq)) != NULL)
		unsure_remove(o, u);
}

void
sq_out_unsure_free(struct sq_outward *o)
{
	struct sq_out_unsure *u;

	while ((u = SQ_LIST_FIRST(&o->unsure.by_age, struct sq_out_unsure, by_age)) != NULL)
		unsure_remove(o, u);
	sq_htab_fini(&o->unsure.by_seq);
}

/* Settlements. */

void
sq_out_later(struct sq_outward *o)
{
	if (o->turn.posted)
		return;
	o->turn.posted = true;
	sq_worker_post(o->cfg.shard->worker, &o->turn.task);
}

static void
settle_free(struct sq_outward *o, struct sq_out_settle *s)
{
	o->settling.n -= (unsigned)s->n;
	for (size_t i = 0; i < s->n; i++)
		free((char *)s->v[i].detail);
	free(s->v);
	free(s);
}

void
sq_out_settle(struct sq_outward *o, const struct sq_taker_outcome *outcome, const char *detail)
{
	struct sq_out_settle *s = o->settling.now;
	struct sq_taker_outcome *to;

	if (s == NULL) {
		s = o->settling.now = sq_xcalloc(1, sizeof *s);
		s->of = o;
	}
	if (s->n == s->room) {
		s->room = s->room > 0 ? 2 * s->room : 64;
		s->v = sq_xrealloc(s->v, s->room * sizeof *s->v);
	}
	to = &s->v[s->n++];
	o->settling.n++;
	*to = *outcome;
	to->detail = NULL;
	if (detail != NULL && detail[0] != '\0')
		to->detail = sq_xmemdup0(
		    detail, sq_utf8_cut(detail, strlen(detail), SQ_BRIDGE_DETAIL_MAX));
	sq_out_later(o);
}

void
sq_out_settle_hand(struct sq_outward *o)
{
	struct sq_out_settle *s = o->settling.now;

	/* What ends while others are committed is one transaction with all that does. */
	if (s == NULL || (o->joined && !sq_list_empty(&o->settling.list)))
		return;
	o->settling.now = NULL;
	if (!o->joined) { /* the queue has its messages back */
		settle_free(o, s);
		return;
	}
	s->settlement.outcomes = s->v;
	s->settlement.n = s->n;
	sq_list_push_back(&o->settling.list, &s->node);
	sq_taker_settle(&o->taker, &s->settlement);
}

void
sq_out_settled(struct sq_taker *t, struct sq_taker_settlement *settlement)
{
	struct sq_outward *o = SQ_CONTAINER_OF(t, struct sq_outward, taker);
	struct sq_out_settle *s = SQ_CONTAINER_OF(settlement, struct sq_out_settle, settlement);

	sq_list_remove(&s->node);
	settle_free(o, s);
	sq_out_later(o);
}

void
sq_out_settle_drop(struct sq_outward *o)
{
	struct sq_out_settle *s = o->settling.now;

	o->settling.now = NULL;
	if (s != NULL)
		settle_free(o, s);
}
