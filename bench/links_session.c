/* A session as the user of its hold. */
#include <stdio.h>
#include <string.h>

#include "bench/links.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "proto/mqtt/reason.h"
#include "sidecar/hold/user.h"

enum { NAME_ROOM = 16, PAYLOAD_MAX = 1 << 20 };

static uint32_t
session_number(const struct sq_links_session *s)
{
	return (uint32_t)(s - s->of->sessions);
}

static struct sq_bytes
session_topic(char out[NAME_ROOM], uint32_t n)
{
	return (struct sq_bytes){
	    (const unsigned char *)out, (size_t)snprintf(out, NAME_ROOM, "s/%u", n)};
}

static void
session_subscribe(struct sq_links_session *s)
{
	unsigned char entry[2 + NAME_ROOM + 1];
	char name[NAME_ROOM];
	struct sq_bytes topic = session_topic(name, session_number(s));

	sq_put16(entry, (uint16_t)topic.len);
	memcpy(entry + 2, topic.p, topic.len);
	entry[2 + topic.len] = 1; /* QoS 1 */
	if (sq_hold_subscribe(s->hold, 1, 1, (struct sq_bytes){entry, topic.len + 3}, 0) != SQ_OK)
		s->of->sums.told++;
}

static void
session_send(struct sq_links_session *s)
{
	static unsigned char payload[PAYLOAD_MAX];
	const struct sq_links *l = s->of;
	char name[NAME_ROOM];
	struct sq_lane_publish m = {
	    .qos = 1,
	    .packet_id = 1,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = session_topic(
		name, (session_number(s) + l->o.sessions / 2 + 1) % l->o.sessions),
	    .payload = {payload, l->o.size},
	};

	sq_put64(payload, s->sent);
	sq_put64(payload + 8, s->due_us);
	s->refused = sq_hold_publish(s->hold, &m) != SQ_OK;
	if (s->refused)
		return; /* writable() follows */
	s->sent++;
	s->of->sums.sent++;
}

void
sq_links_session_publish(struct sq_links_session *s, uint64_t due_us)
{
	s->due_us = due_us;
	s->of->busy++;
	session_send(s);
}

/* --- from the hold --- */

static void
session_attached(void *user, const struct sq_hold_attached *a)
{
	struct sq_links_session *s = user;

	s->attached = true;
	s->of->attached++;
	s->of->run.attached_us = sq_clock_us();
	if (a->first)
		session_subscribe(s);
	else if (s->of->run.phase == SQ_LINKS_OUTAGE && s->due_us == 0)
		sq_links_session_publish(s, s->of->run.attached_us);
}

static void
session_unlinked(void *user)
{
	struct sq_links_session *s = user;

	if (!s->attached)
		return;
	s->attached = false;
	s->of->attached--;
	s->of->sums.unlinked++;
}

static void
session_waits(void *user)
{
	struct sq_links_session *s = user;

	s->of->sums.waits++;
}

static bool
session_denied(void *user, const struct sq_answer *answer, const char *text)
{
	struct sq_links_session *s = user;

	(void)answer;
	(void)text;
	s->of->sums.told++;
	return false;
}

/* The client would be gone. */
static void
session_end(struct sq_links_session *s)
{
	struct sq_hold *hold = s->hold;

	session_unlinked(s);
	s->of->sums.told++;
	s->of->gone++;
	s->of->busy -= s->due_us != 0;
	s->due_us = 0;
	s->refused = false;
	s->hold = NULL;
	sq_hold_leave(hold, 0, 0);
}

static void
session_not_taken(void *user, enum sq_hold_end end, uint8_t reason, const char *text)
{
	(void)end;
	(void)reason;
	(void)text;
	session_end(user);
}

static void
session_ended(void *user, enum sq_hold_end end, struct sq_bytes text)
{
	(void)end;
	(void)text;
	session_end(user);
}

static void
session_catch_up(void *user)
{
	(void)user;
}

static void
session_writable(void *user)
{
	struct sq_links_session *s = user;

	if (s->refused)
		session_send(s);
}

static void
session_acked(void *user, const struct sq_lane_outcome *o)
{
	struct sq_links_session *s = user;
	struct sq_links *l = s->of;
	uint64_t now = sq_clock_us();

	if (sq_mqtt_reason_failed(o->reason))
		l->sums.told++;
	l->sums.acked++;
	l->sums.unmatched += o->reason == SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS;
	sq_hist_add(l->run.ack, now - s->due_us);
	l->run.acked_us = now;
	s->due_us = 0;
	l->busy--;
}

static void
session_subscribed(void *user, const struct sq_sub_answer *a)
{
	struct sq_links_session *s = user;

	if (a->n == 1 && !sq_mqtt_reason_failed(a->codes[0]))
		s->of->subscribed++;
	else
		s->of->sums.told++;
}

static void
session_released(void *user, uint16_t packet_id, uint8_t reason)
{
	(void)user;
	(void)packet_id;
	(void)reason;
}

static int
session_deliver(void *user, const struct sq_delivery *d, const struct sq_target *t)
{
	struct sq_links_session *s = user;
	struct sq_links *l = s->of;
	struct sq_bytes payload = sq_image_payload(d->message->image);
	uint64_t now = sq_clock_us();

	if (payload.len < SQ_LINKS_HEADER || (t->flags & SQ_TARGET_QOS) != 1)
		return SQ_EINVAL;
	switch (sq_track_see(&s->seen, sq_get64(payload.p))) {
	case SQ_TRACK_DUPLICATE:
		l->sums.duplicates++;
		break;
	case SQ_TRACK_LATE:
		l->sums.late++;
		/* fallthrough */
	default:
		l->sums.arrived++;
		l->run.arrived_us = now;
		sq_hist_add(l->run.latency, now - sq_get64(payload.p + 8));
	}
	if (sq_hold_ack(s->hold, SQ_MQTT_PUBACK, t->packet_id, 0) != SQ_OK)
		l->sums.told++;
	return SQ_OK;
}

static const struct sq_hold_user session_user = {
    .attached = session_attached,
    .unlinked = session_unlinked,
    .waits = session_waits,
    .denied = session_denied,
    .not_taken = session_not_taken,
    .ended = session_ended,
    .catch_up = session_catch_up,
    .writable = session_writable,
    .acked = session_acked,
    .subscribed = session_subscribed,
    .released = session_released,
    .deliver = session_deliver,
};

void
sq_links_session_open(struct sq_links_session *s)
{
	const struct sq_links *l = s->of;
	char name[NAME_ROOM];
	struct sq_hold_params p = {
	    .client_id = name,
	    .version = SQ_MQTT_V5,
	    .clean_start = true,
	    .durable = l->o.durable,
	    .expiry_s = l->o.durable ? l->o.expiry_s : 0,
	    .receive_max = (uint16_t)l->cfg.receive_max,
	};

	snprintf(name, sizeof name, "c%u", session_number(s));
	s->hold = sq_hold_open(l->tables[session_number(s) % l->o.links], &p, &session_user, s);
}
