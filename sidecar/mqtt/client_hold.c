#include "sidecar/mqtt/client_hold.h"

#include "core/mem.h"
#include "sidecar/hold/refusals.h"
#include "sidecar/mqtt/client_priv.h"

static void
client_on_attached(void *user, const struct sq_hold_attached *a)
{
	struct sq_client *c = user;

	if (!a->bound)
		sq_declared_attached(c->of->declared, c->hold);
	if (!a->first)
		return;
	c->con.broker_max_packet = a->answer->max_packet;
	c->con.granted_expiry_s = a->answer->expiry_s;
	if (c->state != SQ_CLIENT_WAITING)
		return;
	sq_client_connack(c, a->present);
	sq_client_resume(c);
}

static void
client_on_waits(void *user)
{
	sq_client_go_ahead(user);
}

static bool
client_on_denied(void *user, const struct sq_answer *ans, const char *text)
{
	(void)ans;
	sq_client_refuse(user, SQ_MQTT_RC_NOT_AUTHORIZED, text);
	return false;
}

static enum sq_client_end
client_end_of(enum sq_hold_end why)
{
	static const uint8_t ends[SQ_HOLD_ENDS] = {
	    [SQ_HOLD_END_TAKEN_OVER] = SQ_END_TAKEN_OVER,
	    [SQ_HOLD_END_QUOTA] = SQ_END_QUOTA,
	    [SQ_HOLD_END_REVOKED] = SQ_END_ADMIN,
	    [SQ_HOLD_END_ADMIN] = SQ_END_ADMIN,
	    [SQ_HOLD_END_UNTOLD] = SQ_END_MESSAGE_REFUSED,
	    [SQ_HOLD_END_STUCK] = SQ_END_STUCK,
	    [SQ_HOLD_END_FULL] = SQ_END_FULL,
	    [SQ_HOLD_END_CLIENT_ID] = SQ_END_CLIENT_ID,
	    [SQ_HOLD_END_WILL] = SQ_END_TOO_LARGE,
	    [SQ_HOLD_END_DENIED] = SQ_END_NOT_AUTHORIZED,
	};

	return (enum sq_client_end)ends[why];
}

static void
client_on_not_taken(void *user, enum sq_hold_end why, uint8_t reason, const char *text)
{
	static const uint8_t refusals[SQ_HOLD_ENDS] = {
	    [SQ_HOLD_END_FULL] = SQ_REFUSAL_SESSIONS_FULL,
	    [SQ_HOLD_END_CLIENT_ID] = SQ_REFUSAL_QUOTA,
	    [SQ_HOLD_END_WILL] = SQ_REFUSAL_QUOTA,
	    [SQ_HOLD_END_DENIED] = SQ_REFUSAL_DENIED,
	};
	struct sq_client *c = user;

	if (why == SQ_HOLD_END_FULL)
		sq_holds_count(c->of->holds, SQ_M_CLIENTS_FULL, 1);
	sq_refusals_count(c->of->holds, (enum sq_refusal)refusals[why]);
	if (c->state == SQ_CLIENT_WAITING)
		sq_client_refuse(c, reason, text);
	else
		sq_client_end_because(c, client_end_of(why), sq_bytes_of(text));
}

static void
client_on_ended(void *user, enum sq_hold_end why, struct sq_bytes text)
{
	sq_client_end_because(user, client_end_of(why), text);
}

static void
client_on_catch_up(void *user)
{
	sq_client_catch_up(user);
}

static void
client_on_writable(void *user)
{
	sq_client_resume(user);
}

static void
client_on_acked(void *user, const struct sq_lane_outcome *o)
{
	sq_client_acked(user, o);
}

static void
client_on_subscribed(void *user, const struct sq_sub_answer *a)
{
	sq_client_suback(user, a);
}

static void
client_on_declared(void *user, uint32_t token, uint8_t code, struct sq_bytes note)
{
	struct sq_client *c = user;

	sq_declared_answer(c->of->declared, c->hold, token, code, note);
}

static bool
client_on_allows(void *user, const struct sq_topic_filter *f)
{
	struct sq_client *c = user;

	return sq_declared_allows(c->of->declared, f);
}

static void
client_on_released(void *user, uint16_t packet_id, uint8_t reason)
{
	sq_client_pubrel(user, packet_id, reason);
}

static int
client_on_deliver(void *user, const struct sq_delivery *d, const struct sq_target *t)
{
	return sq_client_deliver(user, d, t);
}

const struct sq_hold_user sq_client_hold_user = {
    .attached = client_on_attached,
    .waits = client_on_waits,
    .denied = client_on_denied,
    .not_taken = client_on_not_taken,
    .ended = client_on_ended,
    .catch_up = client_on_catch_up,
    .writable = client_on_writable,
    .acked = client_on_acked,
    .subscribed = client_on_subscribed,
    .declared = client_on_declared,
    .allows = client_on_allows,
    .released = client_on_released,
    .deliver = client_on_deliver,
};
