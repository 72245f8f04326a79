/* The lanes of a hold: what its client publishes, the batches, and their outcomes. */
#include "sidecar/hold/hold.h"

#include <assert.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/mem.h"
#include "proto/link/lane_mark.h"
#include "proto/link/retry.h"
#include "proto/mqtt/reason.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/refused.h"
#include "sidecar/hold/room.h"

/* The bound is the budget's; a lane has none of its own. */
#define LANE_MAX (SIZE_MAX / 4)

struct batch_post {
	struct sq_hold_post post;
	struct sq_lane_flight flight;
	unsigned lane;
};

/* --- batches --- */

/* Whether the batch has an entry of this kind; of messages, one of QoS 2. */
static bool
batch_has(const struct sq_lane_flight *f, uint8_t kind)
{
	struct sq_bytes rest = f->entries;

	for (unsigned i = 0; i < f->n; i++) {
		struct sq_entry e = sq_batch_next(&rest);

		if (e.kind == kind && e.packet_id != 0)
			return true;
	}
	return false;
}

void
sq_hold_outcomes(struct sq_hold *hold, uint64_t now_ms)
{
	struct sq_lane_outcome o;
	size_t before = hold->share.held;

	for (int i = 0; i < SQ_LANES; i++) {
		struct sq_lane_out *l = hold->up.lane[i];
		while (l != NULL && sq_lane_out_outcome(l, &o)) {
			/* An unknown id is no error during recovery (MQTT 5.0 §3.7.2.1). */
			if (o.reason == SQ_MQTT_RC_PACKET_ID_NOT_FOUND && hold->at.recovered)
				o.reason = SQ_MQTT_RC_SUCCESS;
			if (i == 1 && o.image_qos == 0 && hold->up.lane1_qos0 > 0)
				hold->up.lane1_qos0--;
			if (sq_mqtt_reason_failed(o.reason) && o.kind == SQ_ENTRY_MESSAGE)
				sq_hold_publish_refused(hold, &o);
			else if (o.refusal == SQ_REFUSAL_UNMATCHED)
				sq_refusals_count(hold->holds, SQ_REFUSAL_UNMATCHED);
			if (!sq_hold_has_client(hold) || o.image_qos == 0)
				continue;
			if (sq_mqtt_reason_failed(o.reason) && !sq_hold_hears(hold, &o)) {
				if (sq_hold_park_refused(hold, l, &o, now_ms))
					break;
				continue; /* the client may be gone now */
			}
			sq_hold_refused_over(hold);
			if (o.qos > 0)
				hold->ops->acked(hold->user, &o);
		}
	}
	sq_hold_backlog(hold);
	if (hold->share.held != before &&
	    hold->share.held <= hold->holds->cfg->lane_bytes - hold->holds->cfg->lane_bytes / 4)
		sq_hold_writable(hold);
}

static void
batch_accepted(struct sq_hold *hold, struct batch_post *p, const struct sq_answer *ans)
{
	struct sq_outcomes o;

	if (sq_outcomes_decode(ans->body, ans->len, ans->version, &o) != 0)
		o = (struct sq_outcomes){0};
	if (sq_lane_out_answered(hold->up.lane[p->lane], &p->flight, &o) != 0) {
		sq_uplink_fail(p->post.req.link, "its outcomes don't fit the batch");
		return;
	}
	sq_hold_post_good(&p->post);
	if (hold->up.refused_ms != 0)
		sq_hold_accepted(hold, &o);
	sq_hold_outcomes(hold, sq_holds_now(hold->holds));
}

static int
batch_too_big(struct sq_hold *hold, struct batch_post *p)
{
	static const char text[] = SQ_RETRY_TOO_BIG;
	struct sq_refusal_seen r = {.client = hold->client_id,
	    .what = "publish",
	    .code = SQ_MQTT_RC_IMPLEMENTATION,
	    .refusal = SQ_REFUSAL_QUOTA,
	    .text = {(const unsigned char *)text, sizeof text - 1}};

	sq_holds_count(hold->holds, SQ_M_REFUSED_BROKER, 1);
	sq_refusals_note(hold->holds, &hold->up.refusals, &r);
	return sq_lane_out_too_big(hold->up.lane[p->lane], &p->flight, r.code, r.refusal, r.text);
}

static void
batch_refused(struct sq_hold *hold, struct batch_post *p, const struct sq_answer *ans)
{
	struct sq_lane_out *l = hold->up.lane[p->lane];
	bool settled = false; /* nothing follows for the attachment */
	int rc = 0;

	if (ans->status == 409 && ans->conflict == SQ_CONFLICT_GAP) {
		rc = sq_lane_out_gap(l, &p->flight, ans->last);
	} else if (ans->status == 409 && ans->conflict == SQ_CONFLICT_RUN) {
		rc = sq_lane_out_run_lost(l, &p->flight);
		settled = rc == 0;
	} else if (ans->status == 413) {
		rc = batch_too_big(hold, p);
		settled = rc == 0;
	} else {
		sq_lane_out_failed(l, &p->flight);
	}
	if (settled)
		return;
	if (rc != 0 && sq_hold_post_holds(&p->post))
		sq_hold_again(hold, 0);
	else
		(void)sq_hold_refused(hold, &p->post, ans);
}

/* A flight of a session that has ended needs its lane no more than to let go. */
static void
batch_done(struct sq_request *req, const struct sq_answer *ans)
{
	struct batch_post *p = SQ_CONTAINER_OF(req, struct batch_post, post.req);
	struct sq_hold *hold = p->post.hold;

	if (hold->state == SQ_HOLD_ENDED) {
		sq_lane_out_failed(hold->up.lane[p->lane], &p->flight);
	} else if (ans->status == 200) {
		SQ_FAULT_IF(batch_has(&p->flight, SQ_ENTRY_MESSAGE), "sidecar-publish-answered");
		SQ_FAULT_IF(batch_has(&p->flight, SQ_ENTRY_RELEASE), "sidecar-release-answered");
		batch_accepted(hold, p, ans);
	} else {
		batch_refused(hold, p, ans);
	}
	sq_hold_post_free(&p->post);
}

static void
batch_post_send(struct batch_post *p)
{
	struct sq_uplink *link = p->post.hold->at.link;

	SQ_FAULT_IF(batch_has(&p->flight, SQ_ENTRY_MESSAGE), "sidecar-publish-posting");
	SQ_FAULT_IF(batch_has(&p->flight, SQ_ENTRY_RELEASE), "sidecar-release-posting");
	sq_hold_post_send(&p->post, link);
	SQ_FAULT_LATER(batch_has(&p->flight, SQ_ENTRY_MESSAGE), "sidecar-publish-posted", link);
	SQ_FAULT_LATER(batch_has(&p->flight, SQ_ENTRY_RELEASE), "sidecar-release-posted", link);
}

void
sq_hold_post_lanes(struct sq_hold *hold, uint64_t now_ms)
{
	uint32_t top = sq_order_out_top(&hold->subs.order);
	struct batch_post *p;

	if (hold->due.retry != 0 && now_ms >= hold->due.retry) {
		sq_hold_retry_at(hold, 0);
		sq_lane_out_retry(hold->up.lane[1]);
	}
	if (hold->up.lane1_waits && sq_lane_out_idle(hold->up.lane[0])) {
		hold->up.lane1_waits = false;
		sq_lane_out_go(hold->up.lane[1]);
	}
	for (unsigned i = 0; i < SQ_LANES; i++) {
		struct sq_lane_flight f;

		while (hold->up.lane[i] != NULL && sq_lane_out_take(hold->up.lane[i], top, &f)) {
			p = sq_hold_post_new(hold, sizeof *p, "messages");
			p->lane = i;
			p->flight = f;
			p->post.req.body[0] = (struct iovec){p->flight.header,
			    sq_batch_header_size(sq_uplink_version(hold->at.link))};
			p->post.req.body[1] = (struct iovec){
			    (void *)(uintptr_t)f.entries.p, f.entries.len};
			p->post.req.n_body = 2;
			p->post.req.done = batch_done;
			batch_post_send(p);
		}
	}
}

/* --- from the attach --- */

void
sq_hold_lanes_attached(struct sq_hold *hold, const struct sq_attached *a, bool same, bool first)
{
	for (int i = 0; i < SQ_LANES; i++) {
		/* Of a renewed session's lane 0 the broker knows nothing. */
		struct sq_lane_attach la = {.last = a->last[i],
		    .same = same && (i == 1 || !a->renewed),
		    .clean = first && hold->at.clean_start,
		    .run = sq_random_u64()};

		hold->up.last[i] = a->last[i];
		if (hold->up.lane[i] == NULL)
			continue;
		sq_lane_out_attached(hold->up.lane[i], &la);
		if (sq_lane_out_held(hold->up.lane[i]))
			sq_hold_retry_at(hold, sq_holds_now(hold->holds));
	}
}

void
sq_hold_set_last(struct sq_hold *hold, uint64_t last)
{
	hold->up.last[1] = last;
}

/* --- from the client --- */

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
	sq_inbox_ask(hold->inbox);
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

	assert(!hold->bye.leaving && hold->state != SQ_HOLD_ENDED);
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

	assert(!hold->bye.leaving && hold->state != SQ_HOLD_ENDED);
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

	assert(!hold->bye.leaving && hold->state != SQ_HOLD_ENDED);
	rc = hold_admit(hold, SQ_ENTRY_HEADER);
	if (rc == 0)
		rc = sq_lane_out_release(hold_lane(hold, 1), packet_id);
	return hold_took(hold, rc);
}
