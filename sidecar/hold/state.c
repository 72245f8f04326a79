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

/* The one writer of the state.  An answer to an attach may come late, after a later attach has
 * begun, so that ATTACHED follows all states of a hold that has sent one. */
static void
hold_enter(struct sq_hold *hold, enum sq_hold_state to)
{
	static const uint8_t from[] = {
	    [SQ_HOLD_QUEUED] = 1 << SQ_HOLD_DOWN,
	    [SQ_HOLD_WAITING] = 1 << SQ_HOLD_DOWN,
	    [SQ_HOLD_DOWN] = (1 << SQ_HOLD_ENDED) - 1,
	    [SQ_HOLD_ATTACHING] = 1 << SQ_HOLD_DOWN | 1 << SQ_HOLD_ATTACHED,
	    [SQ_HOLD_ATTACHED] = ((1 << SQ_HOLD_ENDED) - 1) & ~(1 << SQ_HOLD_QUEUED),
	    [SQ_HOLD_DETACHING] = 1 << SQ_HOLD_ATTACHED,
	    [SQ_HOLD_ENDED] = (1 << SQ_HOLD_ENDED) - 1,
	};

	assert((from[to] >> hold->state & 1) != 0);
	hold->state = (uint8_t)to;
}

void
sq_hold_writable(struct sq_hold *hold)
{
	if (sq_hold_has_client(hold))
		hold->ops->writable(hold->user);
}

void
sq_hold_wake(struct sq_hold *hold)
{
	if (hold->state != SQ_HOLD_ENDED)
		sq_loop_post(hold->holds->loop, SQ_TURN_HOLD, &hold->turn.turn);
}

void
sq_hold_pause(struct sq_hold *hold)
{
	sq_budget_pause(&hold->holds->budget, &hold->share);
}

void
sq_hold_acked(struct sq_hold *hold, const struct sq_lane_outcome *o)
{
	if (sq_hold_has_client(hold))
		hold->ops->acked(hold->user, o);
}

void *
sq_hold_client(const struct sq_hold *hold)
{
	return sq_hold_has_client(hold) ? hold->user : NULL;
}

const char *
sq_hold_client_id(const struct sq_hold *hold)
{
	return hold->client_id;
}

bool
sq_hold_attached(const struct sq_hold *hold)
{
	return hold->state == SQ_HOLD_ATTACHED;
}

static void
hold_show(struct sq_hold *hold)
{
	assert(!hold->in_clients);
	sq_htab_insert(&hold->holds->by_client, &hold->client_node,
	    sq_hash(hold->client_id, strlen(hold->client_id)));
	hold->in_clients = true;
}

static void
hold_hide(struct sq_hold *hold)
{
	if (hold->in_clients)
		sq_htab_remove(&hold->holds->by_client, &hold->client_node);
	hold->in_clients = false;
}

void
sq_hold_show(struct sq_hold *hold, struct sq_hold *older)
{
	assert(hold->state == SQ_HOLD_DOWN && hold->older == NULL);
	if (older != NULL) {
		assert(older->newer == NULL && older->state != SQ_HOLD_ENDED);
		hold_hide(older);
		older->newer = hold;
		hold->older = older;
		hold_enter(hold, SQ_HOLD_QUEUED);
	}
	hold_show(hold);
}

void
sq_hold_backlog(struct sq_hold *hold)
{
	size_t now = 0;

	for (int i = 0; i < SQ_LANES && hold->state != SQ_HOLD_ENDED; i++)
		now += hold->up.lane[i] != NULL ? sq_lane_out_bytes(hold->up.lane[i]) : 0;
	if (now == hold->share.held)
		return;
	sq_holds_count(hold->holds, SQ_M_OUTBOX_BYTES, (int64_t)now - (int64_t)hold->share.held);
	sq_budget_held(&hold->holds->budget, &hold->share, now);
	sq_metric_set(hold->holds->metrics, SQ_M_BACKLOG, (int64_t)hold->holds->budget.held);
}

/* --- the link --- */

/* Forgets the link and the epoch. */
static void
hold_unlink(struct sq_hold *hold)
{
	struct sq_holds *h = hold->holds;

	sq_list_remove(&hold->at.place);
	if (hold->at.epoch != 0) {
		sq_htab_remove(&h->by_epoch, &hold->at.epoch_node);
		hold->at.epoch = 0;
		sq_holds_count(h, SQ_M_ATTACHED, -1);
	}
	if (hold->at.link != NULL)
		sq_uplink_use(hold->at.link, -1);
	hold->at.link = NULL;
	if (hold->gate != NULL)
		hold->gate->ops->unlinked(hold->gate);
	if (hold->user != NULL && hold->ops->unlinked != NULL)
		hold->ops->unlinked(hold->user);
}

/* The attachment is gone, and with it what the answers to its requests would say. */
static void
hold_unattach(struct sq_hold *hold)
{
	hold_unlink(hold);
	hold->at.seq++;
}

void
sq_hold_unlink_moving(struct sq_hold *hold)
{
	assert(hold->state == SQ_HOLD_ATTACHING);
	hold_unlink(hold);
}

void
sq_hold_move(struct sq_hold *hold)
{
	assert(hold->state == SQ_HOLD_ATTACHED);
	hold->at.seq++;
}

void
sq_hold_link_to(struct sq_hold *hold, struct sq_hold_link *hl, uint64_t epoch)
{
	assert(hl != NULL && epoch != 0);
	hold_unattach(hold);
	hold->at.epoch = epoch;
	hold->due.pause = 0; /* of another attachment, perhaps at another broker */
	sq_htab_insert(&hold->holds->by_epoch, &hold->at.epoch_node, sq_hash_u64(epoch));
	sq_holds_count(hold->holds, SQ_M_ATTACHED, 1);
	hold->at.link = hl->link;
	sq_uplink_use(hl->link, 1);
	sq_list_push_back(&hl->holds, &hold->at.place);
	hold->at.since_ms = sq_holds_now(hold->holds);
	hold_enter(hold, SQ_HOLD_ATTACHED);
}

void
sq_hold_wait(struct sq_hold *hold)
{
	hold_enter(hold, SQ_HOLD_WAITING);
	sq_list_remove(&hold->at.place);
	sq_list_push_back(&hold->holds->waiting, &hold->at.place);
}

void
sq_holds_attach_waiting(struct sq_holds *h)
{
	struct sq_list waiting;

	sq_list_init(&waiting);
	sq_list_splice(&waiting, &h->waiting);
	SQ_LIST_FOR_EACH_SAFE(hold, &waiting, struct sq_hold, at.place) {
		sq_list_remove(&hold->at.place);
		hold_enter(hold, SQ_HOLD_DOWN);
		hold->due.attach = 0;
		sq_hold_wake(hold);
	}
}

void
sq_hold_attaching(struct sq_hold *hold)
{
	hold_enter(hold, SQ_HOLD_ATTACHING);
	hold->at.put_sent = true;
	hold->due.attach = 0;
}

void
sq_hold_detaching(struct sq_hold *hold)
{
	hold_enter(hold, SQ_HOLD_DETACHING);
}

void
sq_hold_attach_failed(struct sq_hold *hold)
{
	hold_enter(hold, SQ_HOLD_DOWN);
}

void
sq_hold_unknown(struct sq_hold *hold)
{
	hold->at.put_sent = false;
}

void
sq_hold_good(struct sq_hold *hold)
{
	hold->at.failures = 0;
}

void
sq_hold_bad(struct sq_hold *hold)
{
	if (hold->at.failures == 0)
		hold->at.failures = 1;
}

void
sq_hold_post_at(struct sq_hold *hold, uint64_t due_ms)
{
	hold->due.pause = due_ms;
}

void
sq_hold_retry_at(struct sq_hold *hold, uint64_t due_ms)
{
	hold->due.retry = due_ms;
}

void
sq_hold_drop_will(struct sq_hold *hold)
{
	sq_block_unref(&hold->bye.will);
}

void
sq_hold_will_done(struct sq_hold *hold)
{
	hold->bye.publish_will = false;
}

void
sq_hold_again(struct sq_hold *hold, unsigned least_ms)
{
	uint64_t wait_ms = least_ms;

	hold_unattach(hold);
	if (hold->at.since_ms != 0 && sq_holds_now(hold->holds) - hold->at.since_ms > SETTLED_MS)
		hold->at.failures = 0;
	hold->at.since_ms = 0;
	if (hold->at.failures > 0 && wait_ms == 0) {
		unsigned shift = hold->at.failures < 8 ? hold->at.failures - 1 : 7;
		uint64_t most = (uint64_t)AGAIN_MIN_MS << shift;

		if (most > AGAIN_MAX_MS)
			most = AGAIN_MAX_MS;
		wait_ms = most / 2 + sq_random_u64() % (most / 2 + 1);
	}
	hold->at.failures++;
	hold_enter(hold, SQ_HOLD_DOWN);
	hold->due.attach = wait_ms != 0 ? sq_holds_now(hold->holds) + wait_ms : 0;
	sq_hold_wake(hold);
}

static void
hold_free(struct sq_turn *t)
{
	struct sq_hold *hold = SQ_CONTAINER_OF(t, struct sq_hold, turn.turn);

	assert(hold->requests == 0 && hold->state == SQ_HOLD_ENDED && hold->gate == NULL);
	assert(hold->at.epoch == 0 && hold->at.link == NULL && sq_list_empty(&hold->at.place));
	assert(sq_list_empty(&hold->all) && !hold->in_clients);
	assert(hold->subs.asking == NULL && sq_list_empty(&hold->subs.asked) &&
	    sq_order_out_idle(&hold->subs.order));
	assert(hold->subs.flights == 0 && hold->subs.bytes == 0 && hold->subs.n_asked == 0);
	sq_lane_out_free(&hold->up.lane[0]);
	sq_lane_out_free(&hold->up.lane[1]);
	sq_inbox_free(&hold->inbox);
	sq_budget_close(&hold->holds->budget, &hold->share);
	sq_block_unref(&hold->bye.will);
	free(hold->path);
	free(hold->client_id);
	free(hold);
}

void
sq_hold_bury(struct sq_hold *hold)
{
	sq_turn_init(&hold->turn.turn, hold_free);
	sq_loop_post(hold->holds->loop, SQ_TURN_REAP, &hold->turn.turn);
}

void
sq_hold_end(struct sq_hold *hold)
{
	struct sq_holds *h = hold->holds;
	struct sq_hold *heir = NULL;

	if (hold->state == SQ_HOLD_ENDED)
		return;
	assert(!sq_hold_has_client(hold));
	hold_unattach(hold);
	hold_enter(hold, SQ_HOLD_ENDED);
	hold_hide(hold);
	if (hold->older != NULL) {
		hold->older->newer = hold->newer;
		if (hold->newer == NULL) /* the next one has to wait for the older again */
			hold_show(hold->older);
	}
	if (hold->newer != NULL) {
		hold->newer->older = hold->older;
		if (hold->older == NULL && hold->newer->state == SQ_HOLD_QUEUED) {
			hold_enter(hold->newer, SQ_HOLD_DOWN);
			heir = hold->newer;
			sq_hold_wake(heir);
		}
	}
	hold->older = hold->newer = NULL;
	sq_holds_leave(h, &hold->all);
	sq_turn_cancel(&hold->turn.turn);
	sq_loop_at(h->loop, &hold->turn, 0);
	sq_list_remove(&hold->at.place);
	sq_budget_unwait(&h->budget, &hold->share);
	if (hold->user != NULL && hold->ops->source != NULL)
		hold->ops->source->gone(hold->user);
	sq_hold_backlog(hold);
	h->over(hold, heir);
	if (hold->gate != NULL)
		hold->gate->ops->close(hold->gate);
	hold->gate = NULL;
	if (hold->requests == 0)
		sq_hold_bury(hold);
}

void
sq_hold_tell_ended(struct sq_hold *hold, enum sq_hold_end end, struct sq_bytes text)
{
	assert(sq_hold_has_client(hold));
	hold->ops->ended(hold->user, end, text);
	assert(hold->user == NULL && hold->bye.leaving);
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
sq_hold_detached(struct sq_hold *hold, uint8_t reason, struct sq_bytes text)
{
	enum sq_hold_end end = detached_end(reason);

	SQ_INFO("session", "client %s: the broker ended the attachment, reason 0x%02x%s%.*s",
	    hold->client_id, reason, text.len > 0 ? ": " : "", (int)text.len, (const char *)text.p);
	if (hold->ops->comes_again && !hold->bye.leaving) {
		if (end == SQ_HOLD_END_REVOKED && hold->ops->ended != NULL)
			hold->ops->ended(hold->user, end, text);
		sq_hold_again(hold, AGAIN_MAX_MS);
		return;
	}
	hold_unattach(hold);
	hold_enter(hold, SQ_HOLD_DOWN);
	sq_hold_unknown(hold); /* nothing is left there that would have to end */
	sq_hold_drop_will(hold);
	for (int i = 0; i < SQ_LANES; i++) {
		if (hold->up.lane[i] != NULL)
			sq_lane_out_unhold(hold->up.lane[i]);
	}
	if (sq_hold_has_client(hold))
		sq_hold_tell_ended(hold, end, text);
	sq_hold_end(hold);
}

void
sq_hold_superseded(struct sq_hold *hold)
{
	static const char words[] = "another connection has the session"; /* as the frame's */

	sq_hold_detached(hold, SQ_MQTT_RC_TAKEN_OVER,
	    (struct sq_bytes){(const unsigned char *)words, sizeof words - 1});
}
