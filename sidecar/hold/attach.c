/* Attach and detach of a hold (docs/link.md, "Requests"). */
#include "sidecar/hold/hold.h"

#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "sidecar/hold/order.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/refused.h"
#include "sidecar/hold/subs.h"

struct attach_post {
	struct sq_hold_post post;
	struct sq_buf body;
};

struct detach_post {
	struct sq_hold_post post;
	struct sq_buf body;
};

/* What a connection begins with is the broker's to say: an older one that was here may have missed
 * that its client has unsubscribed over another sidecar since.  What is lost later is made again. */
static void
attach_subscriptions(struct sq_hold *hold, const struct sq_hold_attached *attached)
{
	if (attached->first) {
		sq_hold_ask_not_again(hold); /* whoever declares does so again */
		if (!attached->answer->present)
			sq_hold_disinherit(hold);
	} else if (!attached->bound) {
		sq_hold_resubscribe(hold);
	}
}

static void
attach_succeeded(struct sq_hold *hold, struct sq_uplink *link, const struct sq_attached *a)
{
	bool first = hold->at.incarnation == 0;
	bool same = hold->at.incarnation == a->incarnation;
	struct sq_hold_attached attached = {.answer = a,
	    .first = first,
	    .present = a->present && !hold->at.clean_start,
	    .bound = same && !a->renewed};

	SQ_DEBUG("session", "client %s: attached over %s, present=%d same=%d renewed=%d",
	    hold->client_id, sq_uplink_name(link), a->present, same, a->renewed);
	sq_hold_link_to(hold, sq_holds_link(hold->holds, link), a->epoch);
	sq_holds_told(hold->holds, a);
	if (!same && !a->present)
		sq_holds_has_room(hold->holds); /* there was room for it */
	sq_hold_refused_anew(hold);
	hold->at.incarnation = a->incarnation;
	if (!a->present)
		sq_hold_knows_made(hold);
	hold->at.recovered = !first || (a->present && !hold->at.clean_start);
	sq_hold_order_attached(hold);
	sq_hold_lanes_attached(hold, a, same, first);
	if (hold->gate != NULL)
		hold->gate->ops->attached(hold->gate, first && hold->durable && !a->present);
	sq_inbox_attached(hold->inbox, a);
	if (!first && !attached.bound)
		SQ_INFO("session", "client %s: the broker has lost the %s, making %s again",
		    hold->client_id, same ? "subscriptions" : "session", same ? "them" : "it");
	/* The broker has applied the detach, and with it the will; only the answer was lost. */
	if (hold->bye.detach_sent && !a->present)
		sq_hold_will_done(hold);
	attach_subscriptions(hold, &attached);
	if (hold->user != NULL)
		hold->ops->attached(hold->user, &attached);
	sq_hold_flush_pubrels(hold);
	sq_hold_outcomes(hold, sq_holds_now(hold->holds));
	sq_hold_writable(hold);
	sq_hold_wake(hold);
	if (sq_uplink_draining(link))
		sq_hold_link_draining(hold);
}

/* Tells the client, which there is, that it gets no session; it has left afterwards. */
static void
attach_tell_not_taken(struct sq_hold *hold, enum sq_hold_end end, uint8_t reason, const char *text)
{
	hold->ops->not_taken(hold->user, end, reason, text);
	assert(hold->user == NULL && hold->bye.leaving);
}

/* The broker has no room for one more session.  Who was never attached is sent away,
 * with those that wait behind it; who was there before waits for room, as do the keeper
 * and the outbox.  A transient session that was sent away ends at once, unless its client
 * has left something to publish. */
static void
attach_full(struct sq_hold *hold, enum sq_full what)
{
	struct sq_buf text = {0};
	struct sq_hold *next;

	sq_holds_say_full(hold->holds, what, &text);
	sq_buf_u8(&text, 0);
	sq_holds_full(hold->holds, what);
	sq_hold_attach_failed(hold);
	for (struct sq_hold *n = hold; n != NULL; n = next) {
		next = n->newer;
		if (!sq_hold_has_client(n) || n->at.incarnation != 0 || (n != hold && n->durable))
			continue;
		sq_hold_unknown(n);
		n->at.turned_away = true;
		if (n->durable) /* its CONNECT is not accepted, so its will is none */
			sq_hold_drop_will(n);
		attach_tell_not_taken(n, SQ_HOLD_END_FULL, SQ_MQTT_RC_QUOTA_EXCEEDED,
		    (const char *)sq_buf_data(&text));
	}
	sq_buf_fini(&text);
}

/* The broker does not let this pod have the session.  Its client is told; the keeper and
 * the outbox come again, the latter maybe under another name. */
static void
attach_denied(struct sq_hold *hold, const struct sq_answer *ans)
{
	const char *text = sq_hold_denied_text(hold, ans);

	SQ_WARN("session", "client %s: %s (HTTP %u)", hold->client_id, text, ans->status);
	if (hold->at.incarnation == 0)
		sq_hold_unknown(hold);
	if (hold->user != NULL && hold->ops->denied(hold->user, ans, text))
		return;
	if (hold->state != SQ_HOLD_ENDED)
		sq_hold_bad(hold);
}

/* The broker takes no such session, now and later.  The client is told and ends; the keeper
 * and the outbox, whose names are short and who have no will, are never meant. */
static void
attach_not_taken(struct sq_hold *hold, uint8_t reason, enum sq_hold_end end, const char *text)
{
	SQ_WARN("session", "client %.64s: %s", hold->client_id, text);
	sq_hold_attach_failed(hold);
	sq_hold_unknown(hold);
	hold->at.turned_away = true;
	sq_hold_drop_will(hold);
	if (sq_hold_has_client(hold))
		attach_tell_not_taken(hold, end, reason, text);
	else if (hold->bye.leaving)
		sq_hold_end(hold);
}

/* Whether a client that has no session yet is denied one, or its will.  The pod's own session and
 * the outbox come again, and so does a client whose session was there. */
static bool
attach_denied_client(const struct sq_hold *hold, const struct sq_answer *ans)
{
	return ans->status == 403 &&
	    (ans->denied == SQ_DENIED_WILL ||
		(sq_hold_has_client(hold) && hold->at.incarnation == 0));
}

static void
attach_refused(struct sq_hold *hold, struct sq_uplink *link, const struct sq_answer *ans)
{
	if (sq_hold_has_client(hold) && ans->status != 413 && ans->status != 422 &&
	    !attach_denied_client(hold, ans))
		hold->ops->waits(hold->user);
	switch (ans->status) {
	case 409:
		sq_holds_count(hold->holds, SQ_M_CONFLICTS, 1);
		if (ans->conflict == SQ_CONFLICT_SUPERSEDED) {
			sq_hold_superseded(hold);
			return;
		}
		break;
	case 422:
		attach_not_taken(hold, SQ_MQTT_RC_BAD_CLIENT_ID, SQ_HOLD_END_CLIENT_ID,
		    "its client id is above the broker's limits.client-id");
		if (hold->state == SQ_HOLD_ENDED)
			return;
		break;
	case 413:
		attach_not_taken(hold, SQ_MQTT_RC_PACKET_TOO_LARGE, SQ_HOLD_END_WILL,
		    "its will is above the broker's limits.will");
		if (hold->state == SQ_HOLD_ENDED)
			return;
		break;
	case 400:
		sq_uplink_fail(link, "it calls an attach malformed");
		break;
	case 401:
	case 403:
		if (ans->status == 403)
			sq_holds_count(hold->holds, SQ_M_DENIED, 1);
		if (attach_denied_client(hold, ans))
			attach_not_taken(hold, SQ_MQTT_RC_NOT_AUTHORIZED, SQ_HOLD_END_DENIED,
			    sq_hold_denied_text(hold, ans));
		else
			attach_denied(hold, ans);
		if (hold->state == SQ_HOLD_ENDED)
			return;
		break;
	case 429:
		if (ans->full == SQ_FULL_NOT)
			break;
		attach_full(hold, ans->full);
		if (hold->state == SQ_HOLD_ENDED)
			return;
		break;
	default:
		break;
	}
	/* A link that drains refuses because of its own end, not of what the next one would say. */
	sq_hold_again(hold, sq_uplink_draining(link) ? 0 : ans->retry_after_ms);
}

static void
attach_done(struct sq_request *req, const struct sq_answer *ans)
{
	struct attach_post *p = SQ_CONTAINER_OF(req, struct attach_post, post.req);
	struct sq_hold *hold = p->post.hold;
	struct sq_attached a;

	if (hold->state == SQ_HOLD_ENDED) {
		/* the broker finds that out by the next attach, or its grace time */
	} else if (ans->status != 200) {
		attach_refused(hold, p->post.req.link, ans);
	} else if (sq_attached_decode(ans->body, ans->len, ans->version, &a) == 0) {
		attach_succeeded(hold, p->post.req.link, &a);
	} else {
		sq_uplink_fail(p->post.req.link, "it answered an attach with something malformed");
		sq_hold_again(hold, 0);
	}
	sq_buf_fini(&p->body);
	sq_hold_post_free(&p->post);
}

void
sq_hold_attach(struct sq_hold *hold)
{
	struct sq_uplink *link = sq_pool_pick(hold->holds->pool);
	struct sq_open_id *ids = NULL;
	struct attach_post *p;
	struct sq_attach a = {0};

	if (link == NULL) {
		sq_hold_wait(hold);
		return;
	}
	p = sq_hold_post_new(hold, sizeof *p, NULL);
	a.instance = hold->holds->instance;
	a.ordinal = hold->at.ordinal;
	a.attempt = ++hold->at.attempt;
	a.link = sq_uplink_id(link);
	a.flags = (uint8_t)((hold->at.clean_start ? SQ_ATTACH_CLEAN_START : 0) |
	    (hold->bye.will != NULL ? SQ_ATTACH_WILL : 0) |
	    (hold->version == SQ_MQTT_V5 ? SQ_ATTACH_MQTT5 : 0) |
	    (hold->at.keeper ? SQ_ATTACH_KEEPER : 0) |
	    (hold->bye.leaving && hold->at.incarnation != 0 ? SQ_ATTACH_GONE : 0) |
	    (!hold->subs.knows_made && sq_uplink_version(link) >= 2 ? SQ_ATTACH_TELL : 0));
	a.expiry_s = hold->bye.expiry_s;
	a.incarnation = hold->at.incarnation;
	if (hold->bye.will != NULL) {
		a.will_delay_s = hold->bye.will_delay_s;
		a.will = (struct sq_bytes){hold->bye.will->bytes, hold->bye.will->size};
	}
	sq_inbox_attach(hold->inbox, &a, &ids);
	sq_attach_encode(&p->body, &a, ids);
	free(ids);
	p->post.req.method = SQ_PUT;
	p->post.req.body[0] = (struct iovec){sq_buf_data(&p->body), sq_buf_len(&p->body)};
	p->post.req.n_body = 1;
	p->post.req.done = attach_done;
	sq_hold_attaching(hold);
	sq_hold_post_send(&p->post, link);
}

void
sq_hold_link_draining(struct sq_hold *hold)
{
	if (hold->state != SQ_HOLD_ATTACHED || sq_pool_pick(hold->holds->pool) == NULL)
		return;
	/* The hold stays attached here until the other broker has answered. */
	sq_hold_move(hold);
	sq_hold_attach(hold);
}

void
sq_hold_link_down(struct sq_hold *hold)
{
	/* A move that is on its way over another link goes on. */
	if (hold->state == SQ_HOLD_ATTACHING)
		sq_hold_unlink_moving(hold);
	else
		sq_hold_again(hold, 0);
}

static void
detach_done(struct sq_request *req, const struct sq_answer *ans)
{
	struct detach_post *p = SQ_CONTAINER_OF(req, struct detach_post, post.req);
	struct sq_hold *hold = p->post.hold;

	sq_buf_fini(&p->body);
	if (hold->state == SQ_HOLD_ENDED) {
		/* gone meanwhile */
	} else if (ans->status == 204 || ans->status == 200) {
		sq_hold_end(hold);
	} else if (hold->state != SQ_HOLD_DETACHING) {
		/* the link went down first: the attach is under way */
	} else if (ans->status == 409 && ans->conflict == SQ_CONFLICT_SUPERSEDED) {
		sq_hold_end(hold);
	} else {
		sq_hold_again(hold, ans->retry_after_ms);
	}
	sq_hold_post_free(&p->post);
}

void
sq_hold_post_detach(struct sq_hold *hold)
{
	struct detach_post *p = sq_hold_post_new(hold, sizeof *p, "detach");
	struct sq_detach d = {.expiry_s = hold->bye.expiry_s,
	    .will = hold->bye.publish_will,
	    .flags = hold->bye.quiet ? SQ_DETACH_QUIET : 0};

	for (int i = 0; i < SQ_LANES; i++)
		d.last[i] = hold->up.lane[i] != NULL ? sq_lane_out_last(hold->up.lane[i])
						     : hold->up.last[i];
	sq_detach_encode(&p->body, &d, sq_uplink_version(hold->at.link));
	p->post.req.body[0] = (struct iovec){sq_buf_data(&p->body), sq_buf_len(&p->body)};
	p->post.req.n_body = 1;
	p->post.req.done = detach_done;
	sq_hold_detaching(hold);
	hold->bye.detach_sent = true;
	sq_hold_post_send(&p->post, hold->at.link);
}
