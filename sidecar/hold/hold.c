/* Sessions: opening, leaving, and what is done when their turn comes.  The
 * attach is in attach.c, requests in post.c, subscriptions in
 * subs.c. */
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

/* Waits between attaches, and how long one must hold to count as good. */
enum { AGAIN_MIN_MS = 50, AGAIN_MAX_MS = 5000, SETTLED_MS = 10000 };

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
		struct sq_hold *s = SQ_CONTAINER_OF(n, struct sq_hold, client_node);

		if (strcmp(s->client_id, client_id) == 0)
			return s;
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

void
sq_hold_pause(struct sq_hold *s)
{
	sq_budget_pause(&s->holds->budget, &s->share);
}

/* Makes it the session of its client id that the next one finds. */
static void
hold_show(struct sq_hold *s)
{
	sq_htab_insert(
	    &s->holds->by_client, &s->client_node, sq_hash(s->client_id, strlen(s->client_id)));
	s->in_clients = true;
}

static void
hold_hide(struct sq_hold *s)
{
	if (s->in_clients)
		sq_htab_remove(&s->holds->by_client, &s->client_node);
	s->in_clients = false;
}

/* The session that a new connection of this client id comes after. */
static struct sq_hold *
hold_before(struct sq_holds *h, const char *client_id)
{
	uint64_t hash = sq_hash(client_id, strlen(client_id));
	struct sq_hold *s = hold_by_client(h, client_id, hash);

	if (s == NULL || !sq_hold_has_client(s))
		return s;
	s->ops->catch_up(s->user);
	return hold_by_client(h, client_id, hash); /* it may have ended */
}

/* The earliest of what is due; its turn comes then. */
static void
hold_arm(struct sq_hold *s)
{
	uint64_t due = UINT64_MAX;

	if (s->state == SQ_HOLD_DOWN && s->due.attach != 0)
		due = s->due.attach;
	if (s->state == SQ_HOLD_ATTACHED && s->due.pause != 0)
		due = s->due.pause;
	else if (s->state == SQ_HOLD_ATTACHED && s->due.retry != 0)
		due = s->due.retry;
	if (s->due.linger != 0 && s->due.linger < due)
		due = s->due.linger;
	sq_loop_at(s->holds->loop, &s->turn, due != UINT64_MAX ? due : 0);
}

static void
hold_post(struct sq_hold *s, uint64_t now_ms)
{
	if (s->due.pause != 0 && now_ms < s->due.pause)
		return;
	s->due.pause = 0;
	if (s->ops->source != NULL)
		s->ops->source->post(s->user, now_ms);
	else
		sq_hold_post_in_order(s, now_ms);
	sq_hold_post_settlements(s);
	if (s->bye.leaving && s->state == SQ_HOLD_ATTACHED && sq_hold_flushed(s))
		sq_hold_post_detach(s);
}

/* Carries out what is due. */
static void
hold_on_turn(struct sq_turn *t)
{
	struct sq_hold *s = SQ_CONTAINER_OF(t, struct sq_hold, turn.turn);
	uint64_t now_ms = sq_holds_now(s->holds);

	if (s->state == SQ_HOLD_ENDED)
		return;
	if (s->due.linger != 0 && now_ms >= s->due.linger) {
		SQ_WARN("session", "client %s: no broker took its last publishes in time",
		    s->client_id);
		sq_hold_end(s);
		return;
	}
	if (s->state == SQ_HOLD_DOWN && now_ms >= s->due.attach)
		sq_hold_attach(s);
	else if (s->state == SQ_HOLD_ATTACHED)
		hold_post(s, now_ms);
	sq_hold_backlog(s);
	hold_arm(s);
}

struct sq_hold *
sq_hold_open(
    struct sq_holds *h, const struct sq_hold_params *p, const struct sq_hold_user *ops, void *user)
{
	static const struct sq_hold_user nobody;
	struct sq_hold *older = hold_before(h, p->client_id);
	struct sq_hold *s = sq_xcalloc(1, sizeof *s);

	assert(strlen(p->client_id) <= SQ_KEY_CLIENT_MAX);
	s->holds = h;
	s->ops = user != NULL ? ops : &nobody;
	s->user = user;
	s->client_id = sq_xstrdup(p->client_id);
	s->path = hold_path(h, p);
	s->version = p->version;
	s->at.clean_start = p->clean_start;
	s->at.keeper = p->keeper;
	s->durable = p->durable;
	s->bye.expiry_s = p->expiry_s;
	s->at.receive_max = p->receive_max;
	s->bye.will = p->will;
	s->bye.will_delay_s = p->will_delay_s;
	s->at.ordinal = ++h->ordinals;
	sq_budget_open(&h->budget, &s->share, sq_memory_limit());
	s->inbox = sq_inbox_new(h->cfg->credit_msgs, s->share.window, p->receive_max);
	sq_list_init(&s->all);
	sq_turn_init(&s->turn.turn, hold_on_turn);
	sq_list_init(&s->at.place);
	sq_list_init(&s->subs.asked);
	sq_order_init(&s->subs.order);
	s->gate = p->gate;
	s->at.incarnation = p->incarnation;
	s->state = SQ_HOLD_DOWN;
	h->n++;
	sq_holds_count(h, SQ_M_SESSIONS, 1);
	sq_list_push_back(&h->all, &s->all);
	if (older != NULL) {
		hold_hide(older);
		older->newer = s;
		s->older = older;
		s->state = SQ_HOLD_QUEUED;
		if (sq_hold_has_client(older)) {
			sq_holds_count(h, SQ_M_TAKEOVERS, 1);
			older->ops->ended(
			    older->user, SQ_HOLD_END_TAKEN_OVER, (struct sq_bytes){0});
		}
	}
	hold_show(s);
	sq_hold_wake(s);
	return s;
}

static void
hold_free(struct sq_turn *t)
{
	struct sq_hold *s = SQ_CONTAINER_OF(t, struct sq_hold, turn.turn);

	assert(s->requests == 0 && s->state == SQ_HOLD_ENDED);
	sq_lane_out_free(&s->up.lane[0]);
	sq_lane_out_free(&s->up.lane[1]);
	sq_inbox_free(&s->inbox);
	sq_budget_close(&s->holds->budget, &s->share);
	sq_hold_free_subs(s);
	sq_block_unref(&s->bye.will);
	free(s->path);
	free(s->client_id);
	free(s);
}

void
sq_hold_bury(struct sq_hold *s)
{
	sq_turn_init(&s->turn.turn, hold_free);
	sq_loop_post(s->holds->loop, SQ_TURN_REAP, &s->turn.turn);
}

void
sq_hold_backlog(struct sq_hold *s)
{
	size_t now = 0;

	for (int i = 0; i < SQ_LANES && s->state != SQ_HOLD_ENDED; i++)
		now += s->up.lane[i] != NULL ? sq_lane_out_bytes(s->up.lane[i]) : 0;
	if (now == s->share.held)
		return;
	sq_holds_count(s->holds, SQ_M_OUTBOX_BYTES, (int64_t)now - (int64_t)s->share.held);
	sq_budget_held(&s->holds->budget, &s->share, now);
	sq_metric_set(s->holds->metrics, SQ_M_BACKLOG, (int64_t)s->holds->budget.held);
}

void
sq_hold_end(struct sq_hold *s)
{
	struct sq_holds *h = s->holds;

	if (s->state == SQ_HOLD_ENDED)
		return;
	assert(!sq_hold_has_client(s));
	sq_hold_unlink(s);
	s->state = SQ_HOLD_ENDED;
	hold_hide(s);
	if (s->older != NULL) {
		s->older->newer = s->newer;
		if (s->newer == NULL) /* the next one has to wait for the older again */
			hold_show(s->older);
	}
	if (s->newer != NULL) {
		s->newer->older = s->older;
		if (s->older == NULL && s->newer->state == SQ_HOLD_QUEUED) {
			s->newer->state = SQ_HOLD_DOWN;
			sq_hold_inherit_subs(s->newer, s);
			sq_hold_wake(s->newer);
		}
	}
	s->older = s->newer = NULL;
	sq_list_remove(&s->all);
	sq_turn_cancel(&s->turn.turn);
	sq_loop_at(h->loop, &s->turn, 0);
	sq_list_remove(&s->at.place);
	sq_budget_unwait(&h->budget, &s->share);
	if (s->user != NULL && s->ops->source != NULL)
		s->ops->source->gone(s->user);
	h->n--;
	sq_holds_count(h, SQ_M_SESSIONS, -1);
	sq_hold_backlog(s);
	sq_hold_order_end(s);
	if (s->gate != NULL)
		s->gate->ops->close(s->gate);
	s->gate = NULL;
	if (s->requests == 0)
		sq_hold_bury(s);
}

/* The user hears of it no more, but for one that still sends by it. */
static void
hold_let_go(struct sq_hold *s)
{
	if (s->ops->source == NULL)
		s->user = NULL;
}

void
sq_hold_drop(struct sq_hold *s)
{
	hold_let_go(s);
	sq_hold_end(s);
}

void
sq_hold_writable(struct sq_hold *s)
{
	if (sq_hold_has_client(s))
		s->ops->writable(s->user);
}

void
sq_hold_wake(struct sq_hold *s)
{
	if (s->state != SQ_HOLD_ENDED)
		sq_loop_post(s->holds->loop, SQ_TURN_HOLD, &s->turn.turn);
}

void
sq_hold_again(struct sq_hold *s, unsigned least_ms)
{
	uint64_t wait_ms = least_ms;

	sq_hold_unlink(s);
	if (s->at.since_ms != 0 && sq_holds_now(s->holds) - s->at.since_ms > SETTLED_MS)
		s->at.failures = 0;
	s->at.since_ms = 0;
	if (s->at.failures > 0 && wait_ms == 0) {
		unsigned shift = s->at.failures < 8 ? s->at.failures - 1 : 7;
		uint64_t most = (uint64_t)AGAIN_MIN_MS << shift;

		if (most > AGAIN_MAX_MS)
			most = AGAIN_MAX_MS;
		wait_ms = most / 2 + sq_random_u64() % (most / 2 + 1);
	}
	s->at.failures++;
	s->state = SQ_HOLD_DOWN;
	s->due.attach = wait_ms != 0 ? sq_holds_now(s->holds) + wait_ms : 0;
	sq_hold_wake(s);
}

void
sq_hold_leave(struct sq_hold *s, unsigned how, uint32_t expiry_s)
{
	bool silent;

	assert(!s->bye.leaving);
	hold_let_go(s);
	s->bye.leaving = true;
	s->bye.expiry_s = expiry_s;
	s->bye.quiet = (how & SQ_LEAVE_QUIET) != 0;
	s->bye.publish_will = (how & SQ_LEAVE_WILL) != 0 && s->bye.will != NULL;
	if (!s->bye.publish_will)
		sq_block_unref(&s->bye.will);
	sq_hold_order_leave(s);
	for (int i = 0; i < SQ_LANES; i++) {
		if (s->up.lane[i] != NULL)
			sq_lane_out_unhold(s->up.lane[i]);
	}
	s->due.linger = sq_holds_now(s->holds) + s->holds->cfg->linger_ms;
	sq_hold_outcomes(s, 0);
	/* Nothing that the broker has to hear of?  A transient connection ends the
	 * durable session of its client id, unless one before it does already. */
	silent = !s->at.put_sent && s->bye.will == NULL && sq_order_idle(&s->subs.order) &&
	    (s->durable || s->at.turned_away || (s->older != NULL && !s->older->durable)) &&
	    (s->up.lane[0] == NULL || sq_lane_out_idle(s->up.lane[0])) &&
	    (s->up.lane[1] == NULL || sq_lane_out_idle(s->up.lane[1]));
	if (silent && s->state != SQ_HOLD_ATTACHING)
		sq_hold_end(s);
	else
		sq_hold_wake(s);
}

/* The lane of a publish, made when it is first needed. */
static struct sq_lane_out *
hold_lane(struct sq_hold *s, unsigned lane)
{
	struct sq_lane_out *l = s->up.lane[lane];
	struct sq_lane_attach a;

	if (l != NULL)
		return l;
	s->up.lane[lane] = l = sq_lane_out_new(lane, sq_random_u64(), LANE_MAX);
	a = (struct sq_lane_attach){.last = s->up.last[lane], .run = sq_random_u64()};
	sq_lane_out_attached(l, &a);
	sq_lane_out_mark(l, s->subs.order.given);
	return l;
}

/* Which lane a message goes by.  QoS 0 may change its lane, as retained messages
 * have theirs, but a topic's messages stay in order (MQTT-4.6.0-6): none goes by
 * lane 0 while lane 1 has some, and the first of them waits, with what comes behind it, for
 * what lane 0 had before. */
static unsigned
hold_lane_of(struct sq_hold *s, const struct sq_lane_publish *m)
{
	if (sq_lane_publish_qos(m) > 0)
		return 1;
	if (s->up.lane[1] == NULL || sq_lane_out_idle(s->up.lane[1]))
		s->up.lane1_qos0 = 0;
	return m->retain || s->up.lane1_qos0 > 0;
}

/* One of QoS 0 is about to go by lane 1. */
static void
hold_lane_1_qos0(struct sq_hold *s)
{
	if (s->up.lane1_qos0++ > 0 || s->up.lane[0] == NULL || sq_lane_out_idle(s->up.lane[0]))
		return;
	sq_lane_out_wait(hold_lane(s, 1));
	s->up.lane1_waits = true;
}

/* Whether it may hold 'size' bytes more. */
static int
hold_admit(struct sq_hold *s, size_t size)
{
	return sq_budget_admit(&s->holds->budget, &s->share, size, sq_hold_attached(s));
}

int
sq_hold_publish(struct sq_hold *s, const struct sq_lane_publish *m)
{
	size_t size = SQ_ENTRY_HEADER + SQ_MSG_HEADER + m->topic.len + m->props.len +
	    m->payload.len;
	unsigned lane = hold_lane_of(s, m);
	int rc;

	if (lane == 0 && sq_budget_drops(&s->holds->budget, &s->share, size, sq_hold_attached(s))) {
		sq_holds_count(s->holds, SQ_M_OUTBOX_DROPPED_QOS0, 1);
		return 0;
	}
	if (sq_room_waits(s->share.held, size)) {
		sq_hold_pause(s);
		return SQ_EAGAIN;
	}
	rc = hold_admit(s, size);
	if (rc == 0 && lane == 1 && sq_lane_publish_qos(m) == 0)
		hold_lane_1_qos0(s);
	if (rc == 0)
		rc = sq_lane_out_message(hold_lane(s, lane), m);
	if (rc != 0)
		return rc;
	sq_hold_backlog(s);
	sq_hold_wake(s);
	return 0;
}

int
sq_hold_refuse(struct sq_hold *s, const struct sq_lane_publish *m, uint8_t reason, uint8_t refusal,
    struct sq_bytes text)
{
	int rc;

	rc = hold_admit(s, SQ_ENTRY_HEADER);
	if (rc == 0)
		rc = sq_lane_out_refused(
		    hold_lane(s, 1), m->qos, m->packet_id, reason, refusal, text);
	if (rc != 0)
		return rc;
	sq_hold_backlog(s);
	sq_hold_wake(s);
	return 0;
}

int
sq_hold_release(struct sq_hold *s, uint16_t packet_id)
{
	int rc;

	rc = hold_admit(s, SQ_ENTRY_HEADER);
	if (rc == 0)
		rc = sq_lane_out_release(hold_lane(s, 1), packet_id);
	if (rc != 0)
		return rc;
	sq_hold_backlog(s);
	sq_hold_wake(s);
	return 0;
}

int
sq_hold_ack(struct sq_hold *s, enum sq_mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	int rc;

	if (type == SQ_MQTT_PUBACK)
		rc = sq_inbox_puback(s->inbox, packet_id, reason);
	else if (type == SQ_MQTT_PUBREC)
		rc = sq_inbox_pubrec(s->inbox, packet_id, reason);
	else
		rc = sq_inbox_pubcomp(s->inbox, packet_id);
	sq_hold_flush_pubrels(s);
	sq_hold_wake(s);
	return rc;
}

void
sq_hold_written(struct sq_hold *s, uint64_t msgs, uint64_t bytes)
{
	sq_inbox_written(s->inbox, msgs, bytes);
	if (sq_inbox_due(s->inbox))
		sq_hold_wake(s);
}

void
sq_hold_acked(struct sq_hold *s, const struct sq_lane_outcome *o)
{
	if (sq_hold_has_client(s))
		s->ops->acked(s->user, o);
}

void *
sq_hold_client(const struct sq_hold *s)
{
	return sq_hold_has_client(s) ? s->user : NULL;
}

const char *
sq_hold_client_id(const struct sq_hold *s)
{
	return s->client_id;
}

bool
sq_hold_attached(const struct sq_hold *s)
{
	return s->state == SQ_HOLD_ATTACHED;
}

void
sq_hold_trim(struct sq_hold *s)
{
	sq_inbox_trim(s->inbox);
}

static enum sq_hold_end
detached_end(uint8_t reason)
{
	switch (reason) {
	case SQ_MQTT_RC_TAKEN_OVER:
		return SQ_HOLD_END_TAKEN_OVER;
	case SQ_MQTT_RC_QUOTA_EXCEEDED:
		return SQ_HOLD_END_QUOTA;
	case SQ_MQTT_RC_NOT_AUTHORIZED:
		return SQ_HOLD_END_REVOKED;
	default:
		return SQ_HOLD_END_ADMIN;
	}
}

void
sq_hold_detached(struct sq_hold *s, uint8_t reason, struct sq_bytes text)
{
	enum sq_hold_end end = detached_end(reason);

	SQ_INFO("session", "client %s: the broker ended the attachment, reason 0x%02x%s%.*s",
	    s->client_id, reason, text.len > 0 ? ": " : "", (int)text.len, (const char *)text.p);
	if (s->ops->comes_again && !s->bye.leaving) {
		if (end == SQ_HOLD_END_REVOKED && s->ops->ended != NULL)
			s->ops->ended(s->user, end, text);
		sq_hold_again(s, AGAIN_MAX_MS);
		return;
	}
	sq_hold_unlink(s);
	s->state = SQ_HOLD_DOWN;
	s->at.put_sent = false; /* nothing is left there that would have to end */
	sq_block_unref(&s->bye.will);
	for (int i = 0; i < SQ_LANES; i++) {
		if (s->up.lane[i] != NULL)
			sq_lane_out_unhold(s->up.lane[i]);
	}
	if (sq_hold_has_client(s))
		s->ops->ended(s->user, end, text);
	sq_hold_end(s);
}

void
sq_hold_superseded(struct sq_hold *s)
{
	static const char words[] = "another connection has the session"; /* as the frame's */

	sq_hold_detached(s, SQ_MQTT_RC_TAKEN_OVER,
	    (struct sq_bytes){(const unsigned char *)words, sizeof words - 1});
}
