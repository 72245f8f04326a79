/* The order of messages that go out: how they end, lane by lane; see broker/bridge/amqp/out_priv.h. */
#include <stdlib.h>

#include "broker/bridge/amqp/out_priv.h"
#include "core/mem.h"

enum {
	RETRY_MS = 50,         /* LATER, where nothing says when */
	RETRY_OTHER_MS = 1000, /* the same, while other lines are up */
};

/* The next batch has the end that a halt waits for. */
static void
lane_halt_ends(struct sq_amqp_out_line *l, const struct sq_amqp_item *it)
{
	for (size_t i = 0; i < l->n_halts; i++) {
		struct sq_amqp_halt *h = &l->halts[i];

		if (h->lane == it->lane && !h->ended) {
			h->ended = true;
			return;
		}
	}
}

/* Brings what has ended in order, of the item's bucket, nearer to the user. */
static void
lane_settle(struct sq_amqp_out_line *l, uint64_t lane)
{
	struct sq_list *bucket = &l->buckets[lane % SQ_AMQP_BUCKETS];
	struct sq_amqp_item *it;

	while ((it = SQ_LIST_FIRST(bucket, struct sq_amqp_item, in_lane)) != NULL &&
	    it->state == SQ_AMQP_ENDED) {
		sq_list_remove(&it->in_lane);
		sq_list_push_back(&l->done, &it->node);
		if (it->end.how == SQ_OFFER_FAILED)
			lane_halt_ends(l, it);
	}
}

static void
lane_end(struct sq_amqp_out_line *l, struct sq_amqp_item *it, const struct sq_offer_end *end)
{
	sq_list_remove(&it->node);
	it->state = SQ_AMQP_ENDED;
	it->end = *end;
	lane_settle(l, it->lane);
}

void
sq_amqp_out_later(struct sq_amqp_out_line *l, struct sq_amqp_item *it, bool uncertain)
{
	const struct sq_offer_end end = {.how = SQ_OFFER_LATER,
	    .after_ms = l->f->half.n_lines > 1 ? RETRY_OTHER_MS : RETRY_MS,
	    .uncertain = uncertain,
	    .why = uncertain ? SQ_AMQP_UNCERTAIN : NULL};

	lane_end(l, it, &end);
}

/* All that waits, or that of a lane, goes back. */
void
sq_amqp_out_return(struct sq_amqp_out_line *l, bool all, uint64_t lane)
{
	SQ_LIST_FOR_EACH_SAFE(it, &l->waiting, struct sq_amqp_item, node)
		if (all || it->lane == lane)
			sq_amqp_out_later(l, it, false);
}

/* Nothing more of the lane goes out until the user knows what became of the message before it. */
static void
lane_halt(struct sq_amqp_out_line *l, uint64_t lane)
{
	if (l->n_halts == l->halts_room) {
		l->halts_room = l->halts_room > 0 ? 2 * l->halts_room : 16;
		l->halts = sq_xrealloc(l->halts, l->halts_room * sizeof *l->halts);
	}
	l->halts[l->n_halts++] = (struct sq_amqp_halt){.lane = lane, .batch = SQ_AMQP_NO_BATCH};
	sq_amqp_out_return(l, false, lane);
}

bool
sq_amqp_out_is_halted(struct sq_amqp_out_line *l, const struct sq_amqp_item *it)
{
	bool halted = it->seen < l->halt_all;
	size_t kept = 0;

	for (size_t i = 0; i < l->n_halts; i++) {
		if (l->halts[i].batch <= it->seen)
			continue; /* and so has all that is offered after it */
		halted |= l->halts[i].lane == it->lane;
		l->halts[kept++] = l->halts[i];
	}
	l->n_halts = kept;
	return halted;
}

void
sq_amqp_out_end(struct sq_amqp_out_line *l, struct sq_amqp_item *it, enum sq_offer how,
    enum sq_offer_never never, const char *why)
{
	struct sq_offer_end end = {.how = how, .never = never};

	if (why != NULL) {
		free(it->why);
		it->why = sq_xstrdup(why);
		end.why = it->why;
	}
	if (how == SQ_OFFER_FAILED)
		lane_halt(l, it->lane);
	lane_end(l, it, &end);
}

void
sq_amqp_out_give_back(struct sq_amqp_out_line *l)
{
	if (l->out > 0 || !sq_list_empty(&l->waiting))
		l->halt_all = SQ_AMQP_NO_BATCH; /* until all of it is in one */
	for (uint64_t tag = l->low; tag != l->next; tag++) {
		struct sq_amqp_item *it = l->ring[tag & l->mask];

		l->ring[tag & l->mask] = NULL;
		if (it != NULL)
			sq_amqp_out_later(l, it, true);
	}
	sq_amqp_out_return(l, true, 0);
	l->out = 0;
	l->low = l->next = 1;
	l->returning.state = SQ_AMQP_NO_RETURN;
}

/* Gives the worker what has ended. */
void
sq_amqp_out_flush(struct sq_amqp_out_line *l)
{
	struct sq_amqp_forwarder *f = l->f;
	uint64_t batch;

	if (sq_list_empty(&l->done))
		return;
	pthread_mutex_lock(&f->half.lock);
	batch = ++f->batch;
	sq_list_splice(&f->done, &l->done);
	pthread_mutex_unlock(&f->half.lock);
	if (l->halt_all == SQ_AMQP_NO_BATCH)
		l->halt_all = batch;
	for (size_t i = 0; i < l->n_halts; i++)
		if (l->halts[i].ended && l->halts[i].batch == SQ_AMQP_NO_BATCH)
			l->halts[i].batch = batch;
	sq_amqp_half_post(&f->half);
}
