/* The state of a hold: steps that any file of this folder may take. hold.c handles the end's effect
 * on subscriptions (sq_holds.over). */
#include "sidecar/hold/hold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "sidecar/hold/hold_priv.h"

/* Waits between attaches, and how long one must hold to count as good. */
enum { AGAIN_MIN_MS = 50, AGAIN_MAX_MS = 5000, SETTLED_MS = 10000 };

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
sq_hold_pause(struct sq_hold *s)
{
	sq_budget_pause(&s->holds->budget, &s->share);
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
sq_hold_show(struct sq_hold *s)
{
	sq_htab_insert(
	    &s->holds->by_client, &s->client_node, sq_hash(s->client_id, strlen(s->client_id)));
	s->in_clients = true;
}

void
sq_hold_hide(struct sq_hold *s)
{
	if (s->in_clients)
		sq_htab_remove(&s->holds->by_client, &s->client_node);
	s->in_clients = false;
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
sq_hold_unlink(struct sq_hold *s)
{
	struct sq_holds *h = s->holds;

	sq_list_remove(&s->at.place);
	if (s->at.epoch != 0) {
		sq_htab_remove(&h->by_epoch, &s->at.epoch_node);
		s->at.epoch = 0;
		sq_holds_count(h, SQ_M_ATTACHED, -1);
	}
	if (s->at.link != NULL)
		sq_uplink_use(s->at.link, -1);
	s->at.link = NULL;
	if (s->gate != NULL)
		s->gate->ops->unlinked(s->gate);
	if (s->user != NULL && s->ops->unlinked != NULL)
		s->ops->unlinked(s->user);
	s->at.seq++;
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

static void
hold_free(struct sq_turn *t)
{
	struct sq_hold *s = SQ_CONTAINER_OF(t, struct sq_hold, turn.turn);

	assert(s->requests == 0 && s->state == SQ_HOLD_ENDED);
	sq_lane_out_free(&s->up.lane[0]);
	sq_lane_out_free(&s->up.lane[1]);
	sq_inbox_free(&s->inbox);
	sq_budget_close(&s->holds->budget, &s->share);
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
sq_hold_end(struct sq_hold *s)
{
	struct sq_holds *h = s->holds;
	struct sq_hold *heir = NULL;

	if (s->state == SQ_HOLD_ENDED)
		return;
	assert(!sq_hold_has_client(s));
	sq_hold_unlink(s);
	s->state = SQ_HOLD_ENDED;
	sq_hold_hide(s);
	if (s->older != NULL) {
		s->older->newer = s->newer;
		if (s->newer == NULL) /* the next one has to wait for the older again */
			sq_hold_show(s->older);
	}
	if (s->newer != NULL) {
		s->newer->older = s->older;
		if (s->older == NULL && s->newer->state == SQ_HOLD_QUEUED) {
			s->newer->state = SQ_HOLD_DOWN;
			heir = s->newer;
			sq_hold_wake(heir);
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
	h->over(s, heir);
	if (s->gate != NULL)
		s->gate->ops->close(s->gate);
	s->gate = NULL;
	if (s->requests == 0)
		sq_hold_bury(s);
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
