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

/* The bound is the budget's; a lane has none of its own. */
#define LANE_MAX (SIZE_MAX / 4)

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
	if (hold->due.linger != 0 && hold->due.linger < due)
		due = hold->due.linger;
	sq_loop_at(hold->holds->loop, &hold->turn, due != UINT64_MAX ? due : 0);
}

static void
hold_post(struct sq_hold *hold, uint64_t now_ms)
{
	if (hold->due.pause != 0 && now_ms < hold->due.pause)
		return;
	hold->due.pause = 0;
	if (hold->ops->source != NULL)
		hold->ops->source->post(hold->user, now_ms);
	else
		sq_hold_post_in_order(hold, now_ms);
	sq_hold_post_settlements(hold);
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
	hold->at.ordinal = ++h->ordinals;
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
	h->n++;
	sq_holds_count(h, SQ_M_SESSIONS, 1);
	sq_list_push_back(&h->all, &hold->all);
	if (older != NULL) {
		sq_hold_hide(older);
		older->newer = hold;
		hold->older = older;
		hold->state = SQ_HOLD_QUEUED;
		if (sq_hold_has_client(older)) {
			sq_holds_count(h, SQ_M_TAKEOVERS, 1);
			older->ops->ended(
			    older->user, SQ_HOLD_END_TAKEN_OVER, (struct sq_bytes){0});
		}
	}
	sq_hold_show(hold);
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
		sq_block_unref(&hold->bye.will);
	sq_hold_order_leave(hold);
	for (int i = 0; i < SQ_LANES; i++) {
		if (hold->up.lane[i] != NULL)
			sq_lane_out_unhold(hold->up.lane[i]);
	}
	hold->due.linger = sq_holds_now(hold->holds) + hold->holds->cfg->linger_ms;
	sq_hold_outcomes(hold, 0);
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

/* The lane of a publish, made when it is first needed. */
static struct sq_lane_out *
hold_lane(struct sq_hold *hold, unsigned lane)
{
	struct sq_lane_out *l = hold->up.lane[lane];
	struct sq_lane_attach a;

	if (l != NULL)
		return l;
	hold->up.lane[lane] = l = sq_lane_out_new(lane, sq_random_u64(), LANE_MAX);
	a = (struct sq_lane_attach){.last = hold->up.last[lane], .run = sq_random_u64()};
	sq_lane_out_attached(l, &a);
	sq_lane_out_mark(l, hold->subs.order.given);
	return l;
}

/* Which lane a message goes by.  QoS 0 may change its lane, as retained messages
 * have theirs, but a topic's messages stay in order (MQTT-4.6.0-6): none goes by
 * lane 0 while lane 1 has some, and the first of them waits, with what comes behind it, for
 * what lane 0 had before. */
static unsigned
hold_lane_of(struct sq_hold *hold, const struct sq_lane_publish *m)
{
	if (sq_lane_publish_qos(m) > 0)
		return 1;
	if (hold->up.lane[1] == NULL || sq_lane_out_idle(hold->up.lane[1]))
		hold->up.lane1_qos0 = 0;
	return m->retain || hold->up.lane1_qos0 > 0;
}

/* One of QoS 0 is about to go by lane 1. */
static void
hold_lane_1_qos0(struct sq_hold *hold)
{
	if (hold->up.lane1_qos0++ > 0 || hold->up.lane[0] == NULL ||
	    sq_lane_out_idle(hold->up.lane[0]))
		return;
	sq_lane_out_wait(hold_lane(hold, 1));
	hold->up.lane1_waits = true;
}

/* Whether it may hold 'size' bytes more. */
static int
hold_admit(struct sq_hold *hold, size_t size)
{
	return sq_budget_admit(&hold->holds->budget, &hold->share, size, sq_hold_attached(hold));
}

/* The end of an offer to a lane: posts what was taken.  Returns 'rc'. */
static int
hold_took(struct sq_hold *hold, int rc)
{
	if (rc != 0)
		return rc;
	sq_hold_backlog(hold);
	sq_hold_wake(hold);
	return 0;
}

int
sq_hold_publish(struct sq_hold *hold, const struct sq_lane_publish *m)
{
	size_t size = SQ_ENTRY_HEADER + SQ_MSG_HEADER + m->topic.len + m->props.len +
	    m->payload.len;
	unsigned lane = hold_lane_of(hold, m);
	int rc;

	if (lane == 0 &&
	    sq_budget_drops(&hold->holds->budget, &hold->share, size, sq_hold_attached(hold))) {
		sq_holds_count(hold->holds, SQ_M_OUTBOX_DROPPED_QOS0, 1);
		return 0;
	}
	if (sq_room_waits(hold->share.held, size)) {
		sq_hold_pause(hold);
		return SQ_EAGAIN;
	}
	rc = hold_admit(hold, size);
	if (rc == 0 && lane == 1 && sq_lane_publish_qos(m) == 0)
		hold_lane_1_qos0(hold);
	if (rc == 0)
		rc = sq_lane_out_message(hold_lane(hold, lane), m);
	return hold_took(hold, rc);
}

int
sq_hold_refuse(struct sq_hold *hold, const struct sq_lane_publish *m, uint8_t reason,
    uint8_t refusal, struct sq_bytes text)
{
	int rc;

	rc = hold_admit(hold, SQ_ENTRY_HEADER);
	if (rc == 0)
		rc = sq_lane_out_refused(
		    hold_lane(hold, 1), m->qos, m->packet_id, reason, refusal, text);
	return hold_took(hold, rc);
}

int
sq_hold_release(struct sq_hold *hold, uint16_t packet_id)
{
	int rc;

	rc = hold_admit(hold, SQ_ENTRY_HEADER);
	if (rc == 0)
		rc = sq_lane_out_release(hold_lane(hold, 1), packet_id);
	return hold_took(hold, rc);
}
