#include "proto/dispatch/dispatch.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"
#include "proto/dispatch/lanes.h"

struct sq_dispatch {
	struct sq_dispatch_cfg cfg;
	struct sq_htab lanes;   /* none with SQ_DISPATCH_NONE */
	struct sq_list serving; /* lanes of which the first grant takes */
	struct sq_heap ready;   /* items that may go now, by seq */
	struct sq_heap times;   /* of leases, and of items that wait */
	struct sq_list grants;
	uint64_t granted;     /* items of all grants */
	struct sq_list to_do; /* items with an action other than HAND */
	struct sq_dispatch_counts n;
	uint64_t random;
};

struct sq_dispatch *
sq_dispatch_new(const struct sq_dispatch_cfg *cfg)
{
	struct sq_dispatch *d = sq_xcalloc(1, sizeof *d);

	assert(cfg->retry.factor > 0 && cfg->held_max > 0 && cfg->out_max > 0);
	d->cfg = *cfg;
	d->random = cfg->seed;
	sq_list_init(&d->serving);
	sq_list_init(&d->grants);
	sq_list_init(&d->to_do);
	return d;
}

void
sq_dispatch_configure(struct sq_dispatch *d, const struct sq_dispatch_cfg *cfg)
{
	assert(cfg->order == d->cfg.order && cfg->retry.factor > 0 && cfg->held_max > 0 &&
	    cfg->out_max > 0);
	d->cfg = *cfg;
}

void
sq_dispatch_free(struct sq_dispatch **dp)
{
	struct sq_dispatch *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	sq_lanes_fini(&d->lanes);
	sq_heap_fini(&d->ready);
	sq_heap_fini(&d->times);
	free(d);
}

/* States. */

static const unsigned from_to[] = {
    [SQ_DISPATCH_FREE] = 1u << SQ_DISPATCH_OUT | 1u << SQ_DISPATCH_ENDED,
    [SQ_DISPATCH_OUT] = 1u << SQ_DISPATCH_FREE | 1u << SQ_DISPATCH_TRYING |
	1u << SQ_DISPATCH_WAITING | 1u << SQ_DISPATCH_ENDED,
    [SQ_DISPATCH_TRYING] = 1u << SQ_DISPATCH_FREE | 1u << SQ_DISPATCH_WAITING |
	1u << SQ_DISPATCH_BLOCKED | 1u << SQ_DISPATCH_ENDED,
    [SQ_DISPATCH_WAITING] = 1u << SQ_DISPATCH_FREE | 1u << SQ_DISPATCH_ENDED,
    [SQ_DISPATCH_BLOCKED] = 1u << SQ_DISPATCH_FREE | 1u << SQ_DISPATCH_ENDED,
    [SQ_DISPATCH_ENDED] = 0,
};

/* Counts the item in its state, or out of it. */
static void
item_count(struct sq_dispatch *d, const struct sq_dispatch_item *item, unsigned by)
{
	if (item->state == SQ_DISPATCH_ENDED)
		return;
	if (item->state == SQ_DISPATCH_OUT) {
		d->n.out += by;
		if (item->lane != NULL)
			item->lane->out += by;
		return;
	}
	d->n.held += by;
	d->n.held_bytes += by == 1 ? item->bytes : -(uint64_t)item->bytes;
	if (item->state == SQ_DISPATCH_FREE) {
		d->n.free += by;
		d->n.free_bytes += by == 1 ? item->bytes : -(uint64_t)item->bytes;
	}
}

/* Lanes. */

static void
lane_offer(struct sq_dispatch *d, struct sq_dispatch_lane *lane, struct sq_dispatch_item *item)
{
	if (lane->offered != NULL)
		sq_heap_remove(&d->ready, &lane->offered->ready);
	lane->offered = item;
	if (item != NULL)
		sq_heap_set(&d->ready, &item->ready, item->seq);
}

/* What is behind the items that the grant has taken waits for them. */
static void
lane_served(struct sq_dispatch *d, struct sq_dispatch_lane *lane)
{
	sq_list_remove(&lane->serving);
	lane->last = NULL;
	if (lane->out > 0)
		lane_offer(d, lane, NULL);
}

/* The one place where a state changes. */
static void
item_become(struct sq_dispatch *d, struct sq_dispatch_item *item, enum sq_dispatch_state state)
{
	assert((from_to[item->state] >> state & 1) != 0);
	assert(sq_list_empty(&item->in_grant)); /* nothing is said before SERVED */
	item_count(d, item, -1u);
	sq_heap_remove(&d->times, &item->at);
	item->state = state;
	item_count(d, item, 1);
}

/* Offers the first item of a lane of which nothing is out, or the next one for the grant that takes of
 * it, if that is free. */
static void
lane_look(struct sq_dispatch *d, struct sq_dispatch_lane *lane)
{
	struct sq_dispatch_item *item = NULL;

	if (lane->last != NULL)
		item = sq_lane_next(lane, lane->last);
	else if (lane->out == 0)
		item = sq_lane_first(lane);
	lane_offer(d, lane, item != NULL && item->state == SQ_DISPATCH_FREE ? item : NULL);
}

/* The grant that is being served may have the next one of the lane, too. */
static void
lane_serve(struct sq_dispatch *d, struct sq_dispatch_item *taken)
{
	struct sq_dispatch_lane *lane = taken->lane;

	lane->offered = NULL;
	if (d->cfg.order != SQ_DISPATCH_LANES)
		return;
	if (sq_list_empty(&lane->serving))
		sq_list_push_back(&d->serving, &lane->serving);
	lane->last = taken;
	lane_look(d, lane);
}

static void
lanes_served(struct sq_dispatch *d)
{
	SQ_LIST_FOR_EACH_SAFE(lane, &d->serving, struct sq_dispatch_lane, serving)
		lane_served(d, lane);
}

/* Items. */

static void
item_look(struct sq_dispatch *d, struct sq_dispatch_item *item)
{
	if (item->lane != NULL)
		lane_look(d, item->lane);
	else if (item->state == SQ_DISPATCH_FREE)
		sq_heap_set(&d->ready, &item->ready, item->seq);
}

static void
item_do(struct sq_dispatch *d, struct sq_dispatch_item *item)
{
	sq_list_remove(&item->to_do);
	sq_list_push_back(&d->to_do, &item->to_do);
}

static void
item_end(struct sq_dispatch *d, struct sq_dispatch_item *item, enum sq_dispatch_end end)
{
	struct sq_dispatch_lane *lane = item->lane;

	item_become(d, item, SQ_DISPATCH_ENDED);
	item->end = end;
	if (lane != NULL && lane->offered == item)
		lane_offer(d, lane, NULL);
	sq_heap_remove(&d->ready, &item->ready);
	if (lane != NULL && (lane = sq_lanes_remove(&d->lanes, item)) != NULL)
		lane_look(d, lane);
	item_do(d, item);
}

/* The item is free 'delay_ms' from now. */
static void
item_rest(struct sq_dispatch *d, struct sq_dispatch_item *item, uint64_t delay_ms, uint64_t now_ms)
{
	item_become(d, item, delay_ms > 0 ? SQ_DISPATCH_WAITING : SQ_DISPATCH_FREE);
	if (delay_ms > 0)
		sq_heap_set(&d->times, &item->at, now_ms + delay_ms);
	item_look(d, item);
}

static uint64_t
retry_draw(struct sq_dispatch *d, uint64_t most)
{
	d->random = sq_hash_u64(d->random + 1);
	return most / 2 + d->random % (most - most / 2 + 1);
}

/* How long the item waits behind its last attempt. */
static uint64_t
retry_ms(struct sq_dispatch *d, uint32_t attempts)
{
	const struct sq_dispatch_retry *r = &d->cfg.retry;
	uint64_t ms = r->first_ms;

	for (uint32_t i = 1; i < attempts && r->factor > 1 && ms > 0 && ms < r->max_ms; i++)
		ms *= r->factor;
	if (ms > r->max_ms)
		ms = r->max_ms;
	return r->jitter ? retry_draw(d, ms) : ms;
}

static bool
item_worn(const struct sq_dispatch *d, const struct sq_dispatch_item *item,
    enum sq_dispatch_outcome outcome)
{
	if (outcome != SQ_DISPATCH_FAILED)
		return outcome == SQ_DISPATCH_LAST;
	return d->cfg.max_attempts > 0 && item->attempts >= d->cfg.max_attempts;
}

/* An attempt has failed, by that outcome; the item is free 'delay_ms' after that is durable. */
static void
item_fail(struct sq_dispatch *d, struct sq_dispatch_item *item, enum sq_dispatch_outcome outcome,
    uint64_t delay_ms)
{
	item->attempts++;
	item->delay_ms = delay_ms;
	item->worn = item_worn(d, item, outcome);
	if (item->worn && !d->cfg.blocks) {
		item_end(d, item, SQ_DISPATCH_ATTEMPTS);
		return;
	}
	item_become(d, item, SQ_DISPATCH_TRYING);
	item_look(d, item);
	item_do(d, item);
}

/* Input. */

unsigned
sq_dispatch_demand(const struct sq_dispatch *d)
{
	uint64_t most = d->cfg.held_max - d->n.held;

	if (d->granted <= d->ready.n || d->n.held >= d->cfg.held_max ||
	    d->n.held_bytes >= d->cfg.held_bytes_max || d->n.out >= d->cfg.out_max)
		return 0;
	if (most > d->granted - d->ready.n)
		most = d->granted - d->ready.n;
	if (most > d->cfg.out_max - d->n.out)
		most = d->cfg.out_max - d->n.out;
	return (unsigned)most;
}

/* Takes the item in, in a state that it begins with. */
static void
item_begin(struct sq_dispatch *d, struct sq_dispatch_item *item, enum sq_dispatch_state state)
{
	item->state = state;
	item->overdue = item->worn = false;
	item->lane = NULL;
	item->ready.owner = item->at.owner = item;
	sq_list_init(&item->in_lane);
	sq_list_init(&item->in_grant);
	sq_list_init(&item->to_do);
	if (d->cfg.order == SQ_DISPATCH_STRICT)
		item->key = 0;
	if (d->cfg.order != SQ_DISPATCH_NONE)
		sq_lanes_add(&d->lanes, item);
	item_count(d, item, 1);
	/* It has come back to its old place, in front of what a grant has taken. */
	if (item->lane != NULL && item->lane->last != NULL && item->seq < item->lane->last->seq)
		lane_served(d, item->lane);
}

void
sq_dispatch_take(struct sq_dispatch *d, struct sq_dispatch_item *item)
{
	item_begin(d, item, SQ_DISPATCH_FREE);
	item_look(d, item);
}

void
sq_dispatch_take_later(struct sq_dispatch *d, struct sq_dispatch_item *item, uint64_t until_ms)
{
	item_begin(d, item, SQ_DISPATCH_WAITING);
	sq_heap_set(&d->times, &item->at, until_ms);
	item_look(d, item);
}

void
sq_dispatch_adopt(struct sq_dispatch *d, struct sq_dispatch_item *item, uint64_t until_ms)
{
	item_begin(d, item, SQ_DISPATCH_OUT);
	if (item->lane != NULL)
		lane_offer(d, item->lane, NULL);
	if (until_ms != UINT64_MAX)
		sq_heap_set(&d->times, &item->at, until_ms);
}

void
sq_dispatch_grant(struct sq_dispatch *d, struct sq_dispatch_grant *g)
{
	assert(g->n > 0);
	g->taken = 0;
	g->taken_bytes = 0;
	sq_list_init(&g->items);
	d->granted += g->n;
	sq_list_push_back(&d->grants, &g->node);
}

/* The grant waits no more: what is behind the items that it has taken has to wait for them. */
static void
grant_leave(struct sq_dispatch *d, struct sq_dispatch_grant *g)
{
	d->granted -= g->n - g->taken;
	sq_list_remove(&g->node);
	if (g->taken > 0)
		lanes_served(d);
}

void
sq_dispatch_revoke(struct sq_dispatch *d, struct sq_dispatch_grant *g)
{
	if (g->node.next == NULL || sq_list_empty(&g->node))
		return;
	grant_leave(d, g);
	SQ_LIST_FOR_EACH_SAFE(item, &g->items, struct sq_dispatch_item, in_grant) {
		sq_list_remove(&item->in_grant);
		item_rest(d, item, 0, 0);
	}
}

bool
sq_dispatch_holds(const struct sq_dispatch_item *item, bool ok)
{
	return item->state == SQ_DISPATCH_OUT ||
	    (ok && item->state == SQ_DISPATCH_TRYING && item->overdue);
}

bool
sq_dispatch_outcome(struct sq_dispatch *d, struct sq_dispatch_item *item,
    enum sq_dispatch_outcome outcome, uint64_t delay_ms, uint64_t now_ms)
{
	if (!sq_dispatch_holds(item, outcome == SQ_DISPATCH_OK))
		return false;
	switch (outcome) {
	case SQ_DISPATCH_OK:
		item_end(d, item, SQ_DISPATCH_DONE);
		break;
	case SQ_DISPATCH_NEVER:
		item_end(d, item, SQ_DISPATCH_REFUSED);
		break;
	case SQ_DISPATCH_LATER:
		item_rest(d, item, delay_ms, now_ms);
		break;
	case SQ_DISPATCH_FAILED:
	case SQ_DISPATCH_LAST:
	case SQ_DISPATCH_AGAIN:
		item->overdue = false;
		item_fail(
		    d, item, outcome, delay_ms > 0 ? delay_ms : retry_ms(d, item->attempts + 1));
		break;
	}
	return true;
}

bool
sq_dispatch_extend(struct sq_dispatch *d, struct sq_dispatch_item *item, uint64_t until_ms)
{
	if (item->state != SQ_DISPATCH_OUT)
		return false;
	sq_heap_set(&d->times, &item->at, until_ms);
	return true;
}

void
sq_dispatch_tried(struct sq_dispatch *d, struct sq_dispatch_item *item, uint64_t now_ms)
{
	assert(item->state == SQ_DISPATCH_TRYING);
	if (item->worn)
		item_become(d, item, SQ_DISPATCH_BLOCKED);
	else
		item_rest(d, item, item->delay_ms, now_ms);
}

bool
sq_dispatch_release(struct sq_dispatch *d, struct sq_dispatch_item *item)
{
	if (item->state != SQ_DISPATCH_FREE && item->state != SQ_DISPATCH_WAITING &&
	    item->state != SQ_DISPATCH_BLOCKED)
		return false;
	item_end(d, item, SQ_DISPATCH_BACK);
	return true;
}

void
sq_dispatch_unblock(struct sq_dispatch *d, struct sq_dispatch_item *item)
{
	if (item->state != SQ_DISPATCH_BLOCKED)
		return;
	item->attempts = 0;
	item->worn = false;
	item_rest(d, item, 0, 0);
}

void
sq_dispatch_tick(struct sq_dispatch *d, uint64_t now_ms)
{
	struct sq_heap_node *n;

	while ((n = sq_heap_pop(&d->times, now_ms)) != NULL) {
		struct sq_dispatch_item *item = n->owner;

		if (item->state == SQ_DISPATCH_WAITING) {
			item_rest(d, item, 0, now_ms);
			continue;
		}
		item->overdue = true;
		item_fail(d, item, SQ_DISPATCH_FAILED, 0);
	}
}

uint64_t
sq_dispatch_due_ms(const struct sq_dispatch *d)
{
	const struct sq_dispatch_grant *g = SQ_LIST_FIRST(
	    &d->grants, struct sq_dispatch_grant, node);
	uint64_t due_ms = d->times.n > 0 ? d->times.v[0]->due : UINT64_MAX;

	return g != NULL && g->taken > 0 && g->due_ms < due_ms ? g->due_ms : due_ms;
}

/* Actions. */

bool
sq_dispatch_owed(struct sq_dispatch *d, struct sq_dispatch_action *out)
{
	struct sq_dispatch_item *item = SQ_LIST_FIRST(&d->to_do, struct sq_dispatch_item, to_do);

	if (item == NULL)
		return false;
	sq_list_remove(&item->to_do);
	*out = (struct sq_dispatch_action){
	    .what = item->state == SQ_DISPATCH_ENDED ? SQ_DISPATCH_SETTLE : SQ_DISPATCH_TRY,
	    .item = item,
	    .end = item->end};
	return true;
}

/* The item that goes next, if there is one. */
static struct sq_dispatch_item *
ready_first(const struct sq_dispatch *d)
{
	return d->ready.n > 0 ? d->ready.v[0]->owner : NULL;
}

static bool
grant_fits(const struct sq_dispatch *d, const struct sq_dispatch_grant *g,
    const struct sq_dispatch_item *item)
{
	return item != NULL && d->n.out < d->cfg.out_max && g->taken < g->n &&
	    (g->taken == 0 || item->bytes <= g->bytes - g->taken_bytes);
}

static void
grant_hand(struct sq_dispatch *d, struct sq_dispatch_grant *g, struct sq_dispatch_item *item,
    uint64_t now_ms)
{
	sq_heap_remove(&d->ready, &item->ready);
	item_become(d, item, SQ_DISPATCH_OUT);
	sq_list_push_back(&g->items, &item->in_grant);
	if (item->lane != NULL)
		lane_serve(d, item);
	if (g->taken == 0)
		g->due_ms = now_ms + g->linger_ms;
	d->granted--;
	g->taken++;
	g->taken_bytes += item->bytes;
	if (g->taken_bytes > g->bytes) /* its first, of any size */
		g->taken_bytes = g->bytes;
}

/* Whether the grant, which can't have 'item' (NULL: there is none), may have others soon. */
static bool
grant_lingers(const struct sq_dispatch *d, const struct sq_dispatch_grant *g,
    const struct sq_dispatch_item *item, uint64_t now_ms)
{
	return now_ms < g->due_ms && item == NULL && g->taken < g->n && g->taken_bytes < g->bytes &&
	    d->n.out < d->cfg.out_max && d->cfg.order != SQ_DISPATCH_STRICT;
}

/* Ends what has expired while the grant lingered; false: nothing has. */
static bool
grant_expire(struct sq_dispatch *d, struct sq_dispatch_grant *g, uint64_t now_ms)
{
	unsigned before = g->taken;

	g->taken_bytes = 0;
	SQ_LIST_FOR_EACH_SAFE(item, &g->items, struct sq_dispatch_item, in_grant) {
		if (item->expires_ms == 0 || item->expires_ms > now_ms) {
			g->taken_bytes += item->bytes;
			continue;
		}
		sq_list_remove(&item->in_grant);
		if (item->lane != NULL && item->lane->last != NULL)
			lane_served(d, item->lane); /* it has no more of that */
		item_end(d, item, SQ_DISPATCH_EXPIRED);
		g->taken--;
		d->granted++;
	}
	if (g->taken_bytes > g->bytes)
		g->taken_bytes = g->bytes;
	return g->taken < before;
}

static void
grant_serve(struct sq_dispatch *d, struct sq_dispatch_grant *g, uint64_t now_ms)
{
	grant_leave(d, g);
	SQ_LIST_FOR_EACH_SAFE(item, &g->items, struct sq_dispatch_item, in_grant) {
		sq_list_remove(&item->in_grant);
		if (g->lease_ms > 0)
			sq_heap_set(&d->times, &item->at, now_ms + g->lease_ms);
	}
}

static bool
action_serve(struct sq_dispatch *d, uint64_t now_ms, struct sq_dispatch_action *out)
{
	struct sq_dispatch_grant *g = SQ_LIST_FIRST(&d->grants, struct sq_dispatch_grant, node);
	struct sq_dispatch_item *item = ready_first(d);

	if (g == NULL)
		return false;
	*out = (struct sq_dispatch_action){.what = SQ_DISPATCH_HAND, .grant = g};
	if (grant_fits(d, g, item)) {
		grant_hand(d, g, item, now_ms);
		out->item = item;
		return true;
	}
	if (g->taken == 0 || grant_lingers(d, g, item, now_ms))
		return false;
	if (g->linger_ms > 0 && grant_expire(d, g, now_ms))
		return sq_dispatch_owed(d, out);
	grant_serve(d, g, now_ms);
	out->what = SQ_DISPATCH_SERVED;
	return true;
}

bool
sq_dispatch_next(struct sq_dispatch *d, uint64_t now_ms, struct sq_dispatch_action *out)
{
	struct sq_dispatch_item *item;

	/* What has expired, while somebody would have it, and what nobody waits for. */
	while ((item = ready_first(d)) != NULL && item->expires_ms != 0 &&
	    item->expires_ms <= now_ms && !sq_list_empty(&d->grants))
		item_end(d, item, SQ_DISPATCH_EXPIRED);
	while (d->cfg.order == SQ_DISPATCH_NONE && sq_list_empty(&d->grants) &&
	    (item = ready_first(d)) != NULL)
		item_end(d, item, SQ_DISPATCH_BACK);
	return sq_dispatch_owed(d, out) || action_serve(d, now_ms, out);
}

/* Counts. */

static bool
lane_stuck(const struct sq_dispatch_lane *lane)
{
	const struct sq_dispatch_item *first = sq_lane_first(lane);

	return (first->state == SQ_DISPATCH_WAITING || first->state == SQ_DISPATCH_BLOCKED) &&
	    sq_lane_next(lane, first) != NULL;
}

struct sq_dispatch_counts
sq_dispatch_sums(const struct sq_dispatch *d)
{
	struct sq_dispatch_counts n = d->n;

	n.ready = (unsigned)d->ready.n;
	n.lanes = (unsigned)d->lanes.n;
	return n;
}

struct sq_dispatch_counts
sq_dispatch_count(const struct sq_dispatch *d)
{
	struct sq_dispatch_counts n = sq_dispatch_sums(d);

	for (struct sq_hnode *at = NULL; (at = sq_htab_walk(&d->lanes, at)) != NULL;)
		n.stuck += lane_stuck(SQ_CONTAINER_OF(at, struct sq_dispatch_lane, node));
	return n;
}
