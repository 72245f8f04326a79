/* CONNECT and CONNACK (MQTT 5.0 §3.1, §3.2). */
#include "sidecar/mqtt/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/link/key.h"
#include "proto/mqtt/encode.h"
#include "proto/topic/topic.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/declared/declared.h"
#include "sidecar/hold/limits.h"
#include "sidecar/outbox/outbox.h"
#include "sidecar/outbox/writer.h"
#include "sidecar/hold/refusals.h"
#include "sidecar/declared/pod_rules.h"
#include "sidecar/hold/hold.h"

/* A will has its trace from the CONNECT; no span is recorded for it here. */
static void
connect_will_trace(const struct sq_client *c, struct sq_lane_publish *m, struct sq_buf *props)
{
	size_t size = SQ_MSG_HEADER + m->topic.len + m->props.len + m->payload.len;
	struct sq_traced traced;

	if (c->of->tracer != NULL)
		sq_tracer_publish(c->of->tracer, m,
		    c->con.broker_max_packet == 0 ||
			size + SQ_TRACER_ADDS <= c->con.broker_max_packet,
		    props, &traced);
}

/* Makes the will's image, with one reference, in '*out'.  SQ_EDENIED: the publish rules do not
 * allow it. */
static int
connect_will(const struct sq_client *c, const struct sq_mqtt_connect *k, struct sq_block **out)
{
	struct sq_lane_publish m = {.qos = k->will_qos,
	    .retain = k->will_retain,
	    .expiry_s = k->will_props.expiry_s,
	    .topic = k->will_topic,
	    .props = k->will_props.raw,
	    .payload = k->will_payload};
	unsigned char *kept = NULL;
	struct sq_buf props = {0}, traced = {0};
	int rc;

	if (!k->will_props.forwardable && m.props.len > 0) {
		kept = sq_xmalloc(m.props.len);
		m.props = (struct sq_bytes){kept, sq_mqtt_props_forward(m.props, kept)};
	}
	connect_will_trace(c, &m, &traced);
	rc = sq_pod_rules_apply(sq_declared_rules(c->of->declared), &m, &props);
	if (rc == 0)
		*out = sq_msg_new(
		    sq_lane_publish_qos(&m), m.retain, m.topic, m.props, m.expiry_s, m.payload)
			   .block;
	sq_buf_fini(&props);
	sq_buf_fini(&traced);
	free(kept);
	return rc;
}

/* Puts the will into 'sp'; false: the CONNECT has been refused for it.  One to a reserved
 * topic is refused, too, but of MQTT 3.1.1, which has no code for it: it is left out. */
static bool
connect_take_will(struct sq_client *c, const struct sq_mqtt_connect *k, struct sq_hold_params *sp)
{
	const char *reserved = sq_topic_closed(k->will_topic);

	if (reserved != NULL) {
		sq_client_reserved(c, "will", k->will_topic, reserved);
		if (k->version == SQ_MQTT_V5)
			sq_client_refuse(c, SQ_MQTT_RC_TOPIC_INVALID, reserved);
		return k->version != SQ_MQTT_V5;
	}
	if (connect_will(c, k, &sp->will) != 0) {
		sq_holds_count(c->of->holds, SQ_M_REFUSED_STRICT, 1);
		sq_refusals_count(c->of->holds, SQ_REFUSAL_DENIED);
		sq_client_refuse(c, SQ_MQTT_RC_NOT_AUTHORIZED,
		    "no rule of " SQ_ANNOTATION_PUBLISH " allows its will");
		return false;
	}
	sp->will_delay_s = k->will_props.will_delay_s;
	return true;
}

/* The reason code that refuses this CONNECT; 0: it is allowed. */
static uint8_t
connect_refusal(const struct sq_client *c, const struct sq_mqtt_packet *p, const char **text)
{
	const struct sq_mqtt_connect *k = &p->connect;
	uint8_t reason;

	if (c->of->stopping) {
		*text = "shutting down";
		return SQ_MQTT_RC_SERVER_UNAVAILABLE;
	}
	if (sq_mqtt_has(&p->props, SQ_MQTT_PROP_AUTH_METHOD)) {
		*text = "enhanced authentication is not supported";
		return SQ_MQTT_RC_BAD_AUTH_METHOD;
	}
	if (k->client_id.len == 0 && k->version == SQ_MQTT_V31) {
		*text = "an empty client identifier needs MQTT 3.1.1 or 5";
		return SQ_MQTT_RC_BAD_CLIENT_ID;
	}
	if (k->client_id.len == 0 && !k->clean_start && k->version != SQ_MQTT_V5) {
		*text = "an empty client identifier needs clean session";
		return SQ_MQTT_RC_BAD_CLIENT_ID;
	}
	if (sq_key_internal(k->client_id)) {
		*text = "client identifier is reserved";
		return SQ_MQTT_RC_BAD_CLIENT_ID;
	}
	reason = sq_client_limits_connect(c, k, text);
	if (reason != 0)
		return reason;
	/* Departed sessions that still flush count, too. */
	if (c->of->holds->n >= c->of->cfg->max_clients * 2) {
		*text = "too many sessions";
		return SQ_MQTT_RC_SERVER_BUSY;
	}
	return 0;
}

/* The limits and times of this connection. */
static void
connect_settings(struct sq_client *c, const struct sq_mqtt_packet *p)
{
	const struct sq_mqtt_connect *k = &p->connect;
	uint64_t longest_s = c->of->cfg->keep_alive_max_ms / 1000;

	c->con.keep_alive_s = k->keep_alive_s;
	c->con.clean_start = k->clean_start;
	c->con.receive_max = (uint16_t)c->of->cfg->receive_max;
	if (k->version != SQ_MQTT_V5) {
		c->con.expiry_s = k->clean_start ? 0 : UINT32_MAX;
		return;
	}
	c->con.expiry_s = sq_mqtt_has(&p->props, SQ_MQTT_PROP_SESSION_EXPIRY)
	    ? p->props.session_expiry_s
	    : 0;
	if (sq_mqtt_has(&p->props, SQ_MQTT_PROP_REQUEST_PROBLEM_INFO))
		c->out.wants_words = p->props.request_problem_info != 0;
	if (sq_mqtt_has(&p->props, SQ_MQTT_PROP_RECEIVE_MAXIMUM))
		c->con.receive_max = p->props.receive_maximum;
	if (sq_mqtt_has(&p->props, SQ_MQTT_PROP_TOPIC_ALIAS_MAXIMUM))
		c->out.alias_max = p->props.topic_alias_maximum < SQ_ALIAS_OUT_MAX
		    ? p->props.topic_alias_maximum
		    : SQ_ALIAS_OUT_MAX;
	if (longest_s != 0 && (c->con.keep_alive_s == 0 || c->con.keep_alive_s > longest_s)) {
		c->con.keep_alive_s = (uint16_t)longest_s;
		c->con.server_keep_alive = true;
	}
}

bool
sq_client_may_connect(struct sq_client *c, const struct sq_mqtt_packet *p)
{
	const char *text = NULL;
	uint8_t reason = connect_refusal(c, p, &text);

	if (sq_mqtt_has(&p->props, SQ_MQTT_PROP_MAXIMUM_PACKET_SIZE))
		c->out.max_packet = p->props.maximum_packet_size; /* of a refusal, too */
	if (reason != 0)
		sq_client_refuse(c, reason, text);
	return reason == 0;
}

/* Whether a broker takes the will; false: refused.  What a broker may take that did not say
 * so yet, it refuses itself. */
static bool
connect_will_fits(struct sq_client *c, const struct sq_block *will)
{
	uint32_t max = c->of->holds->told.max_packet;

	if (max == 0 || will->size <= (size_t)max + SQ_BODY_SLACK / 2)
		return true;
	sq_refusals_count(c->of->holds, SQ_REFUSAL_QUOTA);
	sq_client_refuse(c, SQ_MQTT_RC_PACKET_TOO_LARGE, "its will is above limits.max-packet");
	return false;
}

/* Whether this transient client's CONNACK waits for the first answer of a broker since the
 * start, so that it names the broker's limits, too.  Without a link it waits for nothing. */
static bool
connect_awaits_limits(const struct sq_client *c)
{
	return !c->of->holds->told.limits_told && sq_pool_pick(c->of->holds->pool) != NULL;
}

void
sq_client_connect(struct sq_client *c, const struct sq_mqtt_packet *p)
{
	const struct sq_mqtt_connect *k = &p->connect;
	char id[SQ_KEY_CLIENT_MAX + 1];
	struct sq_hold_params sp = {
	    .client_id = id, .version = k->version, .clean_start = k->clean_start};

	if (!sq_client_may_connect(c, p))
		return;
	if (k->client_id.len == 0) {
		snprintf(id, sizeof id, "sq-%016llx", (unsigned long long)sq_random_u64());
		c->con.assigned = true;
		sp.clean_start = true; /* there is no session of this name */
	} else {
		memcpy(id, k->client_id.p, k->client_id.len);
		id[k->client_id.len] = '\0';
	}
	if (k->has_will && !connect_take_will(c, k, &sp))
		return;
	if (sp.will != NULL && !connect_will_fits(c, sp.will)) {
		sq_block_unref(&sp.will);
		return;
	}
	connect_settings(c, p);
	/* Without clean start there may be a session to go on with, even if this
	 * connection is its last (§3.1.2.4). */
	sp.durable = c->con.expiry_s != 0 || !sp.clean_start;
	sp.expiry_s = c->con.expiry_s;
	sp.receive_max = c->con.receive_max;
	c->con.broker_max_packet = c->of->holds->told.max_packet;
	c->disk = sq_outbox_writer(c->of->outbox);
	sp.gate = c->disk != NULL ? &c->disk->gate : NULL;
	c->hold = sq_hold_open(c->of->holds, &sp, c->of->user, c);
	sq_outbox_writer_opened(c->disk, c->hold);
	if (sp.clean_start)
		sq_outbox_writer_forget(c->disk);
	c->since_ms = sq_holds_now(c->of->holds);
	sq_client_enter(c, SQ_CLIENT_WAITING);
	c->con.transient = !sp.durable;
	if (c->con.transient && !connect_awaits_limits(c))
		sq_client_connack(c, false);
	if (c->hold != NULL)
		sq_receiver_opened(sq_declared_receiver(c->of->declared), &c->taker, c->hold);
}

void
sq_client_connack(struct sq_client *c, bool present)
{
	struct sq_mqtt_props props = sq_mqtt_props_none;
	const struct sq_sidecar_cfg *cfg = c->of->cfg;
	uint32_t max = (uint32_t)cfg->max_packet;
	struct sq_buf b = {0};
	bool fits;

	if (c->con.broker_max_packet != 0 && c->con.broker_max_packet < max)
		max = c->con.broker_max_packet;
	props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_MAXIMUM_PACKET_SIZE);
	props.maximum_packet_size = max;
	sq_limits_props(&c->of->holds->told.limits, &props);
	c->in.decoder.plain = (c->of->holds->told.limits.off & SQ_OFF_CONTROL) != 0;
	if (cfg->topic_alias_max > 0) {
		props.has |= SQ_MQTT_HAS(SQ_MQTT_PROP_TOPIC_ALIAS_MAXIMUM);
		props.topic_alias_maximum = (uint16_t)cfg->topic_alias_max;
	}
	if (cfg->publish_max < UINT16_MAX) {
		props.has |= SQ_MQTT_HAS(SQ_MQTT_PROP_RECEIVE_MAXIMUM);
		props.receive_maximum = (uint16_t)cfg->publish_max;
	}
	if (c->con.granted_expiry_s < c->con.expiry_s) { /* §3.2.2.3.2 */
		props.has |= SQ_MQTT_HAS(SQ_MQTT_PROP_SESSION_EXPIRY);
		props.session_expiry_s = c->con.granted_expiry_s;
	}
	if (c->con.assigned) {
		const char *id = sq_hold_client_id(c->hold);

		props.has |= SQ_MQTT_HAS(SQ_MQTT_PROP_ASSIGNED_CLIENT_ID);
		props.assigned_client_id = sq_bytes_of(id);
	}
	if (c->con.server_keep_alive) {
		props.has |= SQ_MQTT_HAS(SQ_MQTT_PROP_SERVER_KEEP_ALIVE);
		props.server_keep_alive_s = c->con.keep_alive_s;
	}
	fits = sq_mqtt_put_connack(&b, c->in.decoder.version, present, 0, &props) == 0 &&
	    sq_client_put(c, &b);
	sq_buf_fini(&b);
	if (!fits) {
		sq_client_refuse(c, SQ_MQTT_RC_PACKET_TOO_LARGE,
		    "its maximum packet size has no room for CONNACK");
		return;
	}
	sq_client_enter(c, SQ_CLIENT_OPEN);
	c->in.heard_ms = sq_holds_now(c->of->holds);
	SQ_DEBUG("client", "%s: CONNACK, from %s, version %u, expiry %u, present %d",
	    sq_client_name(c), c->from, c->in.decoder.version, c->con.expiry_s, present);
}

/* Whether the client hears of it.  Without a version it wasn't MQTT; MQTT 3.1.1
 * has no CONNACK for what doesn't conform (its MQTT-3.1.4-1). */
static bool
refuse_says(uint8_t version, uint8_t reason)
{
	if (version == 0 || reason == 0)
		return false;
	return version == SQ_MQTT_V5 ||
	    (reason != SQ_MQTT_RC_MALFORMED && reason != SQ_MQTT_RC_PROTOCOL_ERROR &&
		reason != SQ_MQTT_RC_TOPIC_INVALID);
}

void
sq_client_refuse(struct sq_client *c, uint8_t reason, const char *text)
{
	struct sq_mqtt_props props = sq_mqtt_props_none;
	struct sq_buf b = {0};

	if (c->state > SQ_CLIENT_WAITING)
		return;
	if (text != NULL && strlen(text) <= UINT16_MAX) {
		props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_REASON_STRING);
		props.reason_string = sq_bytes_of(text);
	}
	if (refuse_says(c->in.decoder.version, reason) &&
	    sq_mqtt_put_connack(&b, c->in.decoder.version, false, reason, &props) == 0 &&
	    !sq_client_put(c, &b)) { /* without words (MQTT-3.2.2-19) */
		sq_buf_fini(&b);
		if (sq_mqtt_put_connack(&b, c->in.decoder.version, false, reason, NULL) == 0)
			(void)sq_client_put(c, &b);
	}
	sq_buf_fini(&b);
	SQ_WARN("client", "%s: CONNECT refused with 0x%02x, %s", sq_client_name(c), reason,
	    text != NULL ? text : "no reason given");
	sq_client_end(c, SQ_END_REFUSED);
}

void
sq_client_go_ahead(struct sq_client *c)
{
	if (c->state != SQ_CLIENT_WAITING || !c->con.transient)
		return;
	sq_client_connack(c, false);
	sq_client_resume(c);
}
