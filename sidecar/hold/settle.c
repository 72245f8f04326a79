/* Messages to the client: deliveries, their acknowledgements, and the settlements and credit for
 * the broker. */
#include "sidecar/hold/hold.h"

#include "core/fault.h"
#include "core/mem.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/refused.h"

enum { GATHER_MS = 4 }; /* and up to one more of the loop's timer */

struct settle_post {
	struct sq_hold_post post;
	struct sq_inbox_flight flight;
};

void
sq_hold_flush_pubrels(struct sq_hold *hold)
{
	struct sq_inbox_pubrel rel;

	while (sq_inbox_pubrel(hold->inbox, &rel)) {
		if (sq_hold_has_client(hold))
			hold->ops->released(hold->user, rel.packet_id, rel.reason);
	}
}

void
sq_hold_written(struct sq_hold *hold, uint64_t msgs, uint64_t bytes)
{
	sq_inbox_written(hold->inbox, msgs, bytes);
	if (sq_inbox_due(hold->inbox))
		sq_hold_wake(hold);
}

void
sq_hold_trim(struct sq_hold *hold)
{
	sq_inbox_trim(hold->inbox);
}

int
sq_hold_ack(struct sq_hold *hold, enum sq_mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	int rc;

	if (type == SQ_MQTT_PUBACK)
		rc = sq_inbox_puback(hold->inbox, packet_id, reason);
	else if (type == SQ_MQTT_PUBREC)
		rc = sq_inbox_pubrec(hold->inbox, packet_id, reason);
	else
		rc = sq_inbox_pubcomp(hold->inbox, packet_id);
	sq_hold_flush_pubrels(hold);
	sq_hold_wake(hold);
	return rc;
}

static bool
settle_has(const struct sq_inbox_flight *f, uint8_t kind)
{
	struct sq_settlements body;
	struct sq_settle e;

	if (sq_settlements_decode(sq_buf_data(&f->body), sq_buf_len(&f->body), &body) != 0)
		return false;
	while (sq_settle_next(&body.entries, &e)) {
		if (e.kind == kind)
			return true;
	}
	return false;
}

static void
settle_done(struct sq_request *req, const struct sq_answer *ans)
{
	struct settle_post *p = SQ_CONTAINER_OF(req, struct settle_post, post.req);
	struct sq_hold *hold = p->post.hold;
	bool ok = ans->status == 204 || ans->status == 200;

	if (hold->state == SQ_HOLD_ENDED || ok) {
		if (ok)
			sq_hold_post_good(&p->post);
		if (ok && hold->up.refused_ms != 0)
			sq_hold_settled(hold, &p->flight);
		SQ_FAULT_IF(
		    settle_has(&p->flight, SQ_SETTLE_RECEIVED), "sidecar-received-answered");
		SQ_FAULT_IF(
		    settle_has(&p->flight, SQ_SETTLE_COMPLETE), "sidecar-complete-answered");
		sq_inbox_done(hold->inbox, &p->flight, ok);
		if (hold->state != SQ_HOLD_ENDED)
			sq_hold_flush_pubrels(hold);
	} else if (ans->status == 0 || ans->status == 429 || ans->status == 503) {
		sq_inbox_again(hold->inbox, &p->flight);
		(void)sq_hold_refused(hold, &p->post, ans);
	} else {
		sq_inbox_done(hold->inbox, &p->flight, false);
		(void)sq_hold_refused(hold, &p->post, ans);
	}
	sq_hold_post_free(&p->post);
}

/* Whether what is due stays until 'due.settle'.  The time is one of a grid that all holds share, so
 * that what they gather leaves in one turn.  A durable session gathers nothing: its client may go on
 * through another sidecar at any time, and what is not settled comes again there. */
static bool
settle_gathers(struct sq_hold *hold, uint64_t now_ms)
{
	if (hold->durable || sq_inbox_pressing(hold->inbox) ||
	    (hold->due.settle != 0 && now_ms >= hold->due.settle))
		return false;
	if (hold->due.settle == 0)
		hold->due.settle = (now_ms / GATHER_MS + 1) * GATHER_MS;
	return true;
}

void
sq_hold_post_settlements(struct sq_hold *hold, uint64_t now_ms, bool all)
{
	struct sq_inbox_flight f;
	struct settle_post *p;

	if (!sq_inbox_due(hold->inbox) || (!all && settle_gathers(hold, now_ms)))
		return;
	while (sq_inbox_take(hold->inbox, &f)) {
		hold->due.settle = 0;
		p = sq_hold_post_new(hold, sizeof *p, "settlements");
		p->flight = f;
		p->post.req.body[0] = (struct iovec){sq_buf_data(&f.body), sq_buf_len(&f.body)};
		p->post.req.n_body = 1;
		p->post.req.done = settle_done;
		sq_hold_post_send(&p->post, hold->at.link);
		SQ_FAULT_LATER(settle_has(&p->flight, SQ_SETTLE_RECEIVED),
		    "sidecar-received-posted", hold->at.link);
		SQ_FAULT_LATER(settle_has(&p->flight, SQ_SETTLE_COMPLETE),
		    "sidecar-complete-posted", hold->at.link);
	}
}

void
sq_hold_deliver(struct sq_hold *hold, const struct sq_delivery *delivery, const struct sq_target *t)
{
	const struct sq_deliver *d = delivery->message;
	uint32_t size = sq_image_size(d->image);
	unsigned qos = t->flags & SQ_TARGET_QOS;
	static const struct sq_origin no_origin;

	if (!sq_hold_has_client(hold))
		return; /* on its way out: the broker takes it back */
	if (qos == 0) {
		sq_inbox_qos0(hold->inbox, size);
		if (hold->ops->deliver(hold->user, delivery, t) != 0)
			sq_hold_written(hold, 1, size);
		return;
	}
	if (sq_inbox_deliver(hold->inbox, t, d->has_origin ? &d->origin : &no_origin, size) ==
	    SQ_INBOX_WRITE) {
		SQ_FAULT_IF(qos == 2, "sidecar-deliver-read");
		if (hold->ops->deliver(hold->user, delivery, t) != 0)
			sq_inbox_discard(hold->inbox, t->packet_id, SQ_MQTT_RC_PACKET_TOO_LARGE);
	}
	if (sq_inbox_due(hold->inbox))
		sq_hold_wake(hold);
}
