/* Requests of an attached session: batches up, settlements and credit down, and
 * what their answers mean. */
#include "sidecar/hold/hold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/link/lane_mark.h"
#include "proto/mqtt/reason.h"
#include "sidecar/hold/order.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/refused.h"

enum { PAUSE_MS = 50, PAUSE_BUSY_MS = 500 };

struct batch_post {
	struct sq_hold_post post;
	struct sq_lane_flight flight;
	unsigned lane;
};

struct settle_post {
	struct sq_hold_post post;
	struct sq_inbox_flight flight;
};

void *
sq_hold_post_new(struct sq_hold *s, size_t size, const char *what)
{
	size_t base = strlen(s->path), tail = what != NULL ? strlen(what) + 25 : 1;
	struct sq_hold_post *p = sq_xmalloc(size + base + tail);
	char *path = (char *)p + size;

	memset(p, 0, size);
	memcpy(path, s->path, base + 1);
	if (what != NULL)
		snprintf(
		    path + base, tail, "/%s?epoch=%016llx", what, (unsigned long long)s->at.epoch);
	sq_list_init(&p->req.node);
	p->req.path = path;
	p->hold = s;
	sq_list_init(&p->all);
	return p;
}

void
sq_hold_post_send(struct sq_hold_post *p, struct sq_uplink *link)
{
	struct sq_hold *s = p->hold;

	p->attach_seq = s->at.seq;
	p->link = link;
	s->requests++;
	sq_list_push_back(&s->holds->posts, &p->all);
	sq_uplink_send(link, &p->req);
}

void
sq_hold_post_free(struct sq_hold_post *p)
{
	struct sq_hold *s = p->hold;

	sq_list_remove(&p->all);
	s->requests--;
	if (s->state != SQ_HOLD_ENDED)
		sq_hold_wake(s);
	else if (s->requests == 0)
		sq_hold_bury(s);
	free(p);
}

struct sq_uplink *
sq_hold_link(const struct sq_hold *s)
{
	return s->at.link;
}

bool
sq_hold_ended(const struct sq_hold *s)
{
	return s->state == SQ_HOLD_ENDED;
}

void
sq_hold_post_good(const struct sq_hold_post *p)
{
	if (p->attach_seq == p->hold->at.seq)
		p->hold->at.failures = 0;
}

void
sq_hold_post_again(const struct sq_hold_post *p)
{
	if (p->attach_seq == p->hold->at.seq && p->hold->state == SQ_HOLD_ATTACHED)
		sq_hold_again(p->hold, 0);
}

void
sq_hold_set_last(struct sq_hold *s, uint64_t last)
{
	s->up.last[1] = last;
}

void
sq_hold_retry_at(struct sq_hold *s, uint64_t due_ms)
{
	s->due.retry = due_ms;
}

void
sq_hold_fail_posts(struct sq_holds *h)
{
	static const struct sq_answer lost;
	struct sq_hold_post *p;

	while ((p = SQ_LIST_FIRST(&h->posts, struct sq_hold_post, all)) != NULL)
		p->req.done(&p->req, &lost);
}

bool
sq_hold_refused(struct sq_hold *s, const struct sq_hold_post *p, const struct sq_answer *ans)
{
	if (ans->status == 409)
		sq_holds_count(s->holds, SQ_M_CONFLICTS, 1);
	if (p->attach_seq != s->at.seq || s->state != SQ_HOLD_ATTACHED)
		return false; /* of an older attachment: nothing follows from it */
	s->up.refused_ms = 0; /* the broker does not even say whether it takes something */
	switch (ans->status) {
	case 0: /* the stream alone, or its link, which will say so */
	case 429:
	case 503:
		s->due.pause = sq_holds_now(s->holds) +
		    (ans->retry_after_ms != 0  ? ans->retry_after_ms
			    : ans->status == 0 ? PAUSE_MS
					       : PAUSE_BUSY_MS);
		sq_hold_wake(s);
		return true;
	case 409:
		if (ans->conflict == SQ_CONFLICT_GAP) {
			sq_hold_wake(s);
			return true;
		}
		if (ans->conflict == SQ_CONFLICT_SUPERSEDED) {
			sq_hold_superseded(s);
			return false;
		}
		break;
	case 403: /* not its own session: what it declares, or another link's token */
		SQ_WARN("session", "client %s: a request is %s", s->client_id,
		    sq_hold_denied_text(s, ans));
		sq_holds_count(s->holds, SQ_M_DENIED, 1);
		break;
	case 400:
	case 404:
		sq_uplink_fail(s->at.link, "it calls a request malformed");
		return true; /* the link's end follows */
	default:
		break;
	}
	sq_hold_again(s, ans->retry_after_ms);
	return false;
}

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
sq_hold_outcomes(struct sq_hold *s, uint64_t now_ms)
{
	struct sq_lane_outcome o;
	size_t before = s->share.held;

	for (int i = 0; i < SQ_LANES; i++) {
		struct sq_lane_out *l = s->up.lane[i];
		while (l != NULL && sq_lane_out_outcome(l, &o)) {
			/* An unknown id is no error during recovery (MQTT 5.0 §3.7.2.1). */
			if (o.reason == SQ_MQTT_RC_PACKET_ID_NOT_FOUND && s->at.recovered)
				o.reason = SQ_MQTT_RC_SUCCESS;
			if (i == 1 && o.image_qos == 0 && s->up.lane1_qos0 > 0)
				s->up.lane1_qos0--;
			if (sq_mqtt_reason_failed(o.reason) && o.kind == SQ_ENTRY_MESSAGE)
				sq_hold_publish_refused(s, &o);
			else if (o.refusal == SQ_REFUSAL_UNMATCHED)
				sq_refusals_count(s->holds, SQ_REFUSAL_UNMATCHED);
			if (!sq_hold_has_client(s) || o.image_qos == 0)
				continue;
			if (sq_mqtt_reason_failed(o.reason) && !sq_hold_hears(s, &o)) {
				if (sq_hold_park_refused(s, l, &o, now_ms))
					break;
				continue; /* the client may be gone now */
			}
			s->up.retry_ms = 0;
			s->up.refused_ms = 0;
			if (o.qos > 0)
				s->ops->acked(s->user, &o);
		}
	}
	sq_hold_backlog(s);
	if (s->share.held != before &&
	    s->share.held <= s->holds->cfg->lane_bytes - s->holds->cfg->lane_bytes / 4)
		sq_hold_writable(s);
}

static void
batch_accepted(struct sq_hold *s, struct batch_post *p, const struct sq_answer *ans)
{
	struct sq_outcomes o;

	if (sq_outcomes_decode(ans->body, ans->len, ans->version, &o) != 0)
		o = (struct sq_outcomes){0};
	if (sq_lane_out_answered(s->up.lane[p->lane], &p->flight, &o) != 0) {
		sq_uplink_fail(p->post.link, "its outcomes don't fit the batch");
		return;
	}
	if (p->post.attach_seq == s->at.seq)
		s->at.failures = 0;
	if (s->up.refused_ms != 0)
		sq_hold_accepted(s, &o);
	sq_hold_outcomes(s, sq_holds_now(s->holds));
}

static int
batch_too_big(struct sq_hold *s, struct batch_post *p)
{
	static const char text[] = "the message is above the broker's limits.max-packet";
	struct sq_refusal_seen r = {.client = s->client_id,
	    .what = "publish",
	    .code = SQ_MQTT_RC_IMPLEMENTATION,
	    .refusal = SQ_REFUSAL_QUOTA,
	    .text = {(const unsigned char *)text, sizeof text - 1}};

	sq_holds_count(s->holds, SQ_M_REFUSED_BROKER, 1);
	sq_refusals_note(s->holds, &s->up.refusals, &r);
	return sq_lane_out_too_big(s->up.lane[p->lane], &p->flight, r.code, r.refusal, r.text);
}

static void
batch_refused(struct sq_hold *s, struct batch_post *p, const struct sq_answer *ans)
{
	struct sq_lane_out *l = s->up.lane[p->lane];
	bool settled = false; /* nothing follows for the attachment */
	int rc = 0;

	if (ans->status == 409 && ans->conflict == SQ_CONFLICT_GAP) {
		rc = sq_lane_out_gap(l, &p->flight, ans->last);
	} else if (ans->status == 409 && ans->conflict == SQ_CONFLICT_RUN) {
		rc = sq_lane_out_run_lost(l, &p->flight);
		settled = rc == 0;
	} else if (ans->status == 413) {
		rc = batch_too_big(s, p);
		settled = rc == 0;
	} else {
		sq_lane_out_failed(l, &p->flight);
	}
	if (settled)
		return;
	if (rc != 0 && p->post.attach_seq == s->at.seq && s->state == SQ_HOLD_ATTACHED)
		sq_hold_again(s, 0);
	else
		(void)sq_hold_refused(s, &p->post, ans);
}

/* A flight of a session that has ended needs its lane no more than to let go. */
static void
batch_done(struct sq_request *req, const struct sq_answer *ans)
{
	struct batch_post *p = SQ_CONTAINER_OF(req, struct batch_post, post.req);
	struct sq_hold *s = p->post.hold;

	if (s->state == SQ_HOLD_ENDED) {
		sq_lane_out_failed(s->up.lane[p->lane], &p->flight);
	} else if (ans->status == 200) {
		SQ_FAULT_IF(batch_has(&p->flight, SQ_ENTRY_MESSAGE), "sidecar-publish-answered");
		SQ_FAULT_IF(batch_has(&p->flight, SQ_ENTRY_RELEASE), "sidecar-release-answered");
		batch_accepted(s, p, ans);
	} else {
		batch_refused(s, p, ans);
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
sq_hold_post_lanes(struct sq_hold *s, uint64_t now_ms)
{
	uint32_t top = sq_order_top(&s->subs.order);
	struct batch_post *p;

	if (s->due.retry != 0 && now_ms >= s->due.retry) {
		s->due.retry = 0;
		sq_lane_out_retry(s->up.lane[1]);
	}
	if (s->up.lane1_waits && sq_lane_out_idle(s->up.lane[0])) {
		s->up.lane1_waits = false;
		sq_lane_out_go(s->up.lane[1]);
	}
	for (unsigned i = 0; i < SQ_LANES; i++) {
		struct sq_lane_flight f;

		while (s->up.lane[i] != NULL && sq_lane_out_take(s->up.lane[i], top, &f)) {
			p = sq_hold_post_new(s, sizeof *p, "messages");
			p->lane = i;
			p->flight = f;
			p->post.req.body[0] = (struct iovec){
			    p->flight.header, sq_batch_header_size(sq_uplink_version(s->at.link))};
			p->post.req.body[1] = (struct iovec){
			    (void *)(uintptr_t)f.entries.p, f.entries.len};
			p->post.req.n_body = 2;
			p->post.req.done = batch_done;
			batch_post_send(p);
		}
	}
}

/* --- settlements --- */

void
sq_hold_flush_pubrels(struct sq_hold *s)
{
	struct sq_inbox_pubrel rel;

	while (sq_inbox_pubrel(s->inbox, &rel)) {
		if (sq_hold_has_client(s))
			s->ops->released(s->user, rel.packet_id, rel.reason);
	}
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
	struct sq_hold *s = p->post.hold;
	bool ok = ans->status == 204 || ans->status == 200;

	if (s->state == SQ_HOLD_ENDED || ok) {
		if (ok && p->post.attach_seq == s->at.seq)
			s->at.failures = 0;
		if (ok && s->up.refused_ms != 0)
			sq_hold_settled(s, &p->flight);
		SQ_FAULT_IF(
		    settle_has(&p->flight, SQ_SETTLE_RECEIVED), "sidecar-received-answered");
		SQ_FAULT_IF(
		    settle_has(&p->flight, SQ_SETTLE_COMPLETE), "sidecar-complete-answered");
		sq_inbox_done(s->inbox, &p->flight, ok);
		if (s->state != SQ_HOLD_ENDED)
			sq_hold_flush_pubrels(s);
	} else if (ans->status == 0 || ans->status == 429 || ans->status == 503) {
		sq_inbox_again(s->inbox, &p->flight);
		(void)sq_hold_refused(s, &p->post, ans);
	} else {
		sq_inbox_done(s->inbox, &p->flight, false);
		(void)sq_hold_refused(s, &p->post, ans);
	}
	sq_hold_post_free(&p->post);
}

void
sq_hold_post_settlements(struct sq_hold *s)
{
	struct sq_inbox_flight f;
	struct settle_post *p;

	while (sq_inbox_take(s->inbox, &f)) {
		p = sq_hold_post_new(s, sizeof *p, "settlements");
		p->flight = f;
		p->post.req.body[0] = (struct iovec){sq_buf_data(&f.body), sq_buf_len(&f.body)};
		p->post.req.n_body = 1;
		p->post.req.done = settle_done;
		sq_hold_post_send(&p->post, s->at.link);
		SQ_FAULT_LATER(settle_has(&p->flight, SQ_SETTLE_RECEIVED),
		    "sidecar-received-posted", s->at.link);
		SQ_FAULT_LATER(settle_has(&p->flight, SQ_SETTLE_COMPLETE),
		    "sidecar-complete-posted", s->at.link);
	}
}

bool
sq_hold_flushed(const struct sq_hold *s)
{
	for (int i = 0; i < SQ_LANES; i++) {
		if (s->up.lane[i] != NULL && !sq_lane_out_idle(s->up.lane[i]))
			return false;
	}
	return sq_inbox_flushed(s->inbox) && sq_hold_order_flushed(s);
}

bool
sq_hold_owes(const struct sq_hold *s)
{
	/* A source leaves when all is sent. */
	return s->bye.will != NULL || !sq_hold_flushed(s) ||
	    (s->ops->source != NULL && !s->bye.leaving);
}

/* --- deliveries --- */

void
sq_hold_deliver(struct sq_hold *s, const struct sq_deliver *d, const struct sq_target *t,
    struct sq_block *block)
{
	uint32_t size = sq_image_size(d->image);
	unsigned qos = t->flags & SQ_TARGET_QOS;
	static const struct sq_origin no_origin;

	if (!sq_hold_has_client(s))
		return; /* on its way out: the broker takes it back */
	if (qos == 0) {
		sq_inbox_qos0(s->inbox, size);
		if (s->ops->deliver(s->user, d, t, block) != 0)
			sq_hold_written(s, 1, size);
		return;
	}
	if (sq_inbox_deliver(s->inbox, t, d->has_origin ? &d->origin : &no_origin, size) ==
	    SQ_INBOX_WRITE) {
		SQ_FAULT_IF(qos == 2, "sidecar-deliver-read");
		if (s->ops->deliver(s->user, d, t, block) != 0)
			sq_inbox_discard(s->inbox, t->packet_id, SQ_MQTT_RC_PACKET_TOO_LARGE);
	}
	if (sq_inbox_due(s->inbox))
		sq_hold_wake(s);
}
