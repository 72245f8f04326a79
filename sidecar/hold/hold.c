/* Holds: opening, leaving, and the work of their turns.  attach.c has the attach, request.c the
 * requests, subs.c the subscriptions. */
#include "sidecar/hold/hold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "proto/link/key.h"
#include "proto/link/lane_mark.h"
#include "proto/mqtt/reason.h"
#include "sidecar/hold/room.h"
#include "sidecar/hold/order.h"
#include "sidecar/hold/hold_priv.h"

static char *
hold_path(const struct sq_holds *h, const struct sq_hold_params *p)
{
	struct sq_key key = {0};
	struct sq_buf b = {0};

	strcpy(key.space, h->cfg->space);
	strcpy(key.workload, h->cfg->workload);
	strcpy(key.client, p->client_id);
	if (!p->durable)
		strcpy(key.pod, h->cfg->pod);
	sq_buf_append(&b, "/v1/sessions/", 13);
	sq_key_encode(&b, &key);
	sq_buf_u8(&b, 0);
	return sq_xrealloc(b.base, sq_buf_len(&b));
}

static struct sq_hold *
hold_by_client(const struct sq_holds *h, const char *client_id, uint64_t hash)
{
	struct sq_hnode *n = sq_htab_find(&h->by_client, hash);

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_hold *hold = SQ_CONTAINER_OF(n, struct sq_hold, client_node);

		if (strcmp(hold->client_id, client_id) == 0)
			return hold;
	}
	return NULL;
}

bool
sq_hold_is_known(const struct sq_holds *h, struct sq_bytes client_id)
{
	char *id = sq_xmemdup0(client_id.p, client_id.len);
	bool known = hold_by_client(h, id, sq_hash(id, client_id.len)) != NULL;

	free(id);
	return known;
}

/* The session that a new connection of this client id comes after. */
static struct sq_hold *
hold_before(struct sq_holds *h, const char *client_id)
{
	uint64_t hash = sq_hash(client_id, strlen(client_id));
	struct sq_hold *hold = hold_by_client(h, client_id, hash);

	if (hold == NULL || !sq_hold_has_client(hold))
		return hold;
	hold->ops->catch_up(hold->user);
	return hold_by_client(h, client_id, hash); /* it may have ended */
}

static bool
hold_flushed(const struct sq_hold *hold)
{
	for (int i = 0; i < SQ_LANES; i++) {
		if (hold->up.lane[i] != NULL && !sq_lane_out_idle(hold->up.lane[i]))
			return false;
	}
	return sq_inbox_flushed(hold->inbox) && sq_hold_order_flushed(hold);
}

bool
sq_hold_owes(const struct sq_hold *hold)
{
	/* A source leaves when all is sent. */
	return hold->bye.will != NULL || !hold_flushed(hold) ||
	    (hold->ops->source != NULL && !hold->bye.leaving);
}

void
sq_hold_over(struct sq_hold *hold, struct sq_hold *heir)
{
	sq_hold_order_end(hold);
	if (heir != NULL)
		sq_hold_inherit_subs(heir, hold);
	sq_hold_free_subs(hold);
}

/* Schedules the hold's turn for the earliest of its times. */
static void
hold_arm(struct sq_hold *hold)
{
	uint64_t due = UINT64_MAX;

	if (hold->state == SQ_HOLD_DOWN && hold->due.attach != 0)
		due = hold->due.attach;
	if (hold->state == SQ_HOLD_ATTACHED && hold->due.pause != 0)
		due = hold->due.pause;
	else if (hold->state == SQ_HOLD_ATTACHED && hold->due.retry != 0)
		due = hold->due.retry;
	/* Not a time that has passed: what was due then waits for the answer to an earlier request. */
	if (hold->state == SQ_HOLD_ATTACHED && hold->due.pause == 0 &&
	    hold->due.settle > sq_holds_now(hold->holds) && hold->due.settle < due)
		due = hold->due.settle;
	if (hold->due.linger != 0 && hold->due.linger < due)
		due = hold->due.linger;
	sq_loop_at(hold->holds->loop, &hold->turn, due != UINT64_MAX ? due : 0);
}

static void
hold_post(struct sq_hold *hold, uint64_t now_ms)
{
	uint32_t before = hold->requests;

	if (hold->due.pause != 0 && now_ms < hold->due.pause)
		return;
	sq_hold_post_at(hold, 0);
	if (hold->ops->source != NULL)
		hold->ops->source->post(hold->user, now_ms);
	else
		sq_hold_post_in_order(hold, now_ms);
	sq_hold_post_settlements(hold, now_ms, hold->bye.leaving || hold->requests != before);
	if (hold->bye.leaving && hold->state == SQ_HOLD_ATTACHED && hold_flushed(hold))
		sq_hold_post_detach(hold);
}

/* Carries out the work that is due. */
static void
hold_on_turn(struct sq_turn *t)
{
	struct sq_hold *hold = SQ_CONTAINER_OF(t, struct sq_hold, turn.turn);
	uint64_t now_ms = sq_holds_now(hold->holds);

	if (hold->state == SQ_HOLD_ENDED)
		return;
	if (hold->due.linger != 0 && now_ms >= hold->due.linger) {
		SQ_WARN("session", "client %s: no broker took its last publishes in time",
		    hold->client_id);
		sq_hold_end(hold);
		return;
	}
	if (hold->state == SQ_HOLD_DOWN && now_ms >= hold->due.attach)
		sq_hold_attach(hold);
	else if (hold->state == SQ_HOLD_ATTACHED)
		hold_post(hold, now_ms);
	sq_hold_backlog(hold);
	hold_arm(hold);
}

struct sq_hold *
sq_hold_open(
    struct sq_holds *h, const struct sq_hold_params *p, const struct sq_hold_user *ops, void *user)
{
	static const struct sq_hold_user nobody;
	struct sq_hold *older = hold_before(h, p->client_id);
	struct sq_hold *hold = sq_xcalloc(1, sizeof *hold);

	assert(strlen(p->client_id) <= SQ_KEY_CLIENT_MAX);
	hold->holds = h;
	hold->ops = user != NULL ? ops : &nobody;
	hold->user = user;
	hold->client_id = sq_xstrdup(p->client_id);
	hold->path = hold_path(h, p);
	hold->version = p->version;
	hold->at.clean_start = p->clean_start;
	hold->at.keeper = p->keeper;
	hold->durable = p->durable;
	hold->bye.expiry_s = p->expiry_s;
	hold->at.receive_max = p->receive_max;
	hold->bye.will = p->will;
	hold->bye.will_delay_s = p->will_delay_s;
	sq_budget_open(&h->budget, &hold->share, sq_memory_limit());
	hold->inbox = sq_inbox_new(h->cfg->credit_msgs, hold->share.window, p->receive_max);
	sq_list_init(&hold->all);
	sq_turn_init(&hold->turn.turn, hold_on_turn);
	sq_list_init(&hold->at.place);
	sq_list_init(&hold->subs.asked);
	sq_order_out_init(&hold->subs.order);
	hold->gate = p->gate;
	hold->at.incarnation = p->incarnation;
	hold->state = SQ_HOLD_DOWN;
	hold->at.ordinal = sq_holds_enter(h, &hold->all);
	sq_hold_show(hold, older);
	if (older != NULL && sq_hold_has_client(older)) {
		sq_holds_count(h, SQ_M_TAKEOVERS, 1);
		sq_hold_tell_ended(older, SQ_HOLD_END_TAKEN_OVER, (struct sq_bytes){0});
	}
	sq_hold_wake(hold);
	return hold;
}

/* The user hears of it no more, but for one that still sends by it. */
static void
hold_let_go(struct sq_hold *hold)
{
	if (hold->ops->source == NULL)
		hold->user = NULL;
}

void
sq_hold_drop(struct sq_hold *hold)
{
	hold_let_go(hold);
	sq_hold_end(hold);
}

void
sq_hold_leave(struct sq_hold *hold, unsigned how, uint32_t expiry_s)
{
	bool silent;

	assert(!hold->bye.leaving);
	hold_let_go(hold);
	hold->bye.leaving = true;
	hold->bye.expiry_s = expiry_s;
	hold->bye.quiet = (how & SQ_LEAVE_QUIET) != 0;
	hold->bye.publish_will = (how & SQ_LEAVE_WILL) != 0 && hold->bye.will != NULL;
	if (!hold->bye.publish_will)
		sq_hold_drop_will(hold);
	sq_hold_order_leave(hold);
	for (int i = 0; i < SQ_LANES; i++) {
		if (hold->up.lane[i] != NULL)
			sq_lane_out_unhold(hold->up.lane[i]);
	}
	hold->due.linger = sq_holds_now(hold->holds) + hold->holds->cfg->linger_ms;
	sq_hold_outcomes(hold, 0);
	if (hold->up.lane[0] != NULL && !sq_lane_out_idle(hold->up.lane[0]))
		sq_inbox_ask(hold->inbox);
	/* Nothing that the broker has to hear of?  A transient connection ends the
	 * durable session of its client id, unless one before it does already. */
	silent = !hold->at.put_sent && hold->bye.will == NULL &&
	    sq_order_out_idle(&hold->subs.order) &&
	    (hold->durable || hold->at.turned_away ||
		(hold->older != NULL && !hold->older->durable)) &&
	    (hold->up.lane[0] == NULL || sq_lane_out_idle(hold->up.lane[0])) &&
	    (hold->up.lane[1] == NULL || sq_lane_out_idle(hold->up.lane[1]));
	if (silent && hold->state != SQ_HOLD_ATTACHING)
		sq_hold_end(hold);
	else
		sq_hold_wake(hold);
}
