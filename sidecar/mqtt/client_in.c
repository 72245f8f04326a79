/* Packets from a client: PUBLISH, acknowledgements, SUBSCRIBE, DISCONNECT. */
#include "sidecar/mqtt/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/link/notes.h"
#include "proto/mqtt/encode.h"
#include "proto/topic/topic.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/hold/refusals.h"
#include "sidecar/hold/room.h"
#include "sidecar/declared/pod_rules.h"
#include "sidecar/hold/hold.h"

enum { TOPIC_SHOWN_MAX = 256 }; /* bytes of one that is refused, in words */

/* Makes room for 'alias' among those that the client has set. */
static struct sq_alias *
alias_place(struct sq_client *c, uint16_t alias)
{
	uint64_t max = c->of->cfg->topic_alias_max;
	uint64_t n = c->in.n_aliases;

	if (alias > n) {
		n = 2 * n > alias ? 2 * n : alias < 16 ? 16 : alias;
		n = n < max ? n : max;
		c->in.aliases = sq_xrealloc(c->in.aliases, n * sizeof *c->in.aliases);
		memset(c->in.aliases + c->in.n_aliases, 0,
		    (n - c->in.n_aliases) * sizeof *c->in.aliases);
		c->in.n_aliases = (uint16_t)n;
	}
	return &c->in.aliases[alias - 1];
}

/* Resolves or learns a topic alias (MQTT 5.0 §3.3.2.3.4); false: the connection
 * has been ended. */
static bool
publish_alias(struct sq_client *c, uint16_t alias, struct sq_bytes *topic)
{
	static const char full[] = "the topics of its aliases are above 1 MiB";
	struct sq_alias *a;

	if (alias == 0 || alias > c->of->cfg->topic_alias_max) {
		sq_client_end(c, SQ_END_ALIAS);
		return false;
	}
	a = alias_place(c, alias);
	if (topic->len == 0) {
		if (a->topic == NULL) {
			sq_client_end(c, SQ_END_PROTOCOL);
			return false;
		}
		*topic = (struct sq_bytes){(const unsigned char *)a->topic, a->len};
		return true;
	}
	if (a->len == topic->len && memcmp(a->topic, topic->p, topic->len) == 0)
		return true;
	if (c->in.alias_bytes - a->len + topic->len > SQ_ALIAS_IN_BYTES_MAX) {
		sq_refusals_count(c->of->holds, SQ_REFUSAL_QUOTA);
		sq_client_end_because(c, SQ_END_QUOTA,
		    (struct sq_bytes){(const unsigned char *)full, sizeof full - 1});
		return false;
	}
	free(a->topic);
	a->topic = sq_xmemdup0(topic->p, topic->len);
	c->in.alias_bytes += (uint32_t)topic->len - a->len;
	a->len = (uint16_t)topic->len;
	return true;
}

/* Whether the client keeps to our Receive Maximum (§4.9). */
static bool
publish_within_quota(struct sq_client *c, const struct sq_mqtt_publish *m)
{
	if (m->qos == 0 || c->in.decoder.version != SQ_MQTT_V5 ||
	    c->in.unfinished < (int32_t)c->of->cfg->publish_max)
		return true;
	sq_client_end(c, SQ_END_RECEIVE_MAX);
	return false;
}

/* Hands the message to the disk outbox, or to the hold. */
static int
publish_pass(struct sq_client *c, const struct sq_lane_publish *m)
{
	return sq_outbox_takes(c->disk, m) ? sq_outbox_publish(c->disk, m)
					   : sq_hold_publish(c->hold, m);
}

/* Refuses the message in its place among the others, unless it is a second copy of what the disk
 * outbox has accepted before. */
static int
publish_refuse(struct sq_client *c, const struct sq_lane_publish *m, uint8_t reason,
    enum sq_refusal refusal, struct sq_bytes text)
{
	return m->qos == 2 && sq_outbox_holds(c->disk, m->packet_id)
	    ? sq_outbox_publish(c->disk, m)
	    : sq_hold_refuse(c->hold, m, reason, (uint8_t)refusal, text);
}

/* Refuses a publish: MQTT 5 gets the reason, in its place among the others; an MQTT 3.1.1 client
 * whose publish needs an acknowledgement is ended, by 'end'.  'why' goes before "the topic ...",
 * 'trace' is for the log: see sq_trace_words().  SQ_EAGAIN as for any publish. */
static int
publish_refused(struct sq_client *c, const struct sq_lane_publish *m, uint8_t reason,
    enum sq_refusal refusal, enum sq_client_end end, const char *why, const char *trace)
{
	size_t shown = sq_utf8_cut(m->topic.p, m->topic.len, TOPIC_SHOWN_MAX);
	struct sq_buf text = {0};
	int rc = 0;

	sq_buf_printf(&text, "%s the topic %.*s%s", why, (int)shown, (const char *)m->topic.p,
	    shown < m->topic.len ? "..." : "");
	if (m->qos > 0 && c->in.decoder.version == SQ_MQTT_V5)
		rc = publish_refuse(c, m, reason, refusal, sq_buf_bytes(&text));
	if (rc == 0) {
		sq_refusals_count(c->of->holds, refusal);
		SQ_WARN("client", "%s: publish to '%.*s' refused, %s it%s", sq_client_name(c),
		    (int)shown, (const char *)m->topic.p, why, trace);
		if (m->qos > 0 && c->in.decoder.version == SQ_MQTT_V5)
			c->in.unfinished++;
		else if (m->qos > 0)
			sq_client_end(c, end);
	}
	sq_buf_fini(&text);
	return rc;
}

/* A publish that no rule allows. */
static int
publish_denied(struct sq_client *c, const struct sq_lane_publish *m)
{
	char trace[SQ_TRACE_WORDS];
	int rc = publish_refused(c, m, SQ_MQTT_RC_NOT_AUTHORIZED, SQ_REFUSAL_DENIED,
	    SQ_END_MESSAGE_DENIED, "no rule of " SQ_ANNOTATION_PUBLISH " allows",
	    sq_trace_words(m->props, trace));

	if (rc == 0)
		sq_holds_count(c->of->holds, SQ_M_REFUSED_STRICT, 1);
	return rc;
}

/* One whose topic has more levels than may be. */
static int
publish_too_deep(struct sq_client *c, const struct sq_lane_publish *m)
{
	char why[64];

	snprintf(why, sizeof why, "limits.topic-levels (%u) does not allow",
	    c->of->holds->told.limits.topic_levels);
	return publish_refused(
	    c, m, SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC, SQ_END_MESSAGE_REFUSED, why, "");
}

/* A publish to a topic that is not for apps ('why'): MQTT 5 is told so; MQTT 3.1.1, which
 * has no word for it, hears that it was taken.  SQ_EAGAIN as for any. */
static int
publish_reserved(struct sq_client *c, const struct sq_lane_publish *m, const char *why)
{
	bool told = c->in.decoder.version == SQ_MQTT_V5;
	int rc;

	if (m->qos > 0) {
		rc = publish_refuse(c, m, told ? SQ_MQTT_RC_TOPIC_INVALID : SQ_MQTT_RC_SUCCESS,
		    SQ_REFUSAL_TOPIC, sq_bytes_of(why));
		if (rc != 0)
			return rc;
		c->in.unfinished++;
	}
	sq_client_reserved(c, "publish", m->topic, why);
	return 0;
}

/* One that there is no memory for, to a client that can be told.  No line of the log: there
 * is one for all. */
static int
publish_no_room(struct sq_client *c, const struct sq_lane_publish *m)
{
	int rc = publish_refuse(
	    c, m, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_MEMORY, sq_bytes_of(SQ_ROOM_TEXT));

	if (rc != 0)
		return rc;
	sq_refusals_count(c->of->holds, SQ_REFUSAL_MEMORY);
	sq_holds_count(c->of->holds, SQ_M_REFUSED_MEMORY, 1);
	c->in.unfinished++;
	return 0;
}

/* Hands the message to the session as the rules want it. */
static int
publish_by_rules(struct sq_client *c, const struct sq_mqtt_packet *p, struct sq_lane_publish *out)
{
	struct sq_buf props = {0};
	int rc;

	/* Without rules, only QoS 3 that the app asks for itself is of interest. */
	if (sq_declared_rules(c->of->declared) == NULL &&
	    (out->qos < 2 || !sq_mqtt_has(&p->props, SQ_MQTT_PROP_USER_PROPERTY)))
		return publish_pass(c, out);
	rc = sq_pod_rules_apply(sq_declared_rules(c->of->declared), out, &props);
	if (rc == 0)
		rc = publish_pass(c, out);
	sq_buf_fini(&props);
	return rc;
}

/* The same for a message that gets a trace if it is sampled, unless the app gave it one; 'size' is the
 * packet's.  One that is as large as can be gets none. */
static int
publish_traced(
    struct sq_client *c, const struct sq_mqtt_packet *p, struct sq_lane_publish *out, size_t size)
{
	uint64_t max = c->con.broker_max_packet != 0 ? c->con.broker_max_packet
						     : c->of->cfg->max_packet;
	struct sq_bytes own = out->props;
	struct sq_buf props = {0};
	struct sq_traced traced;
	int rc;

	if (!sq_tracer_publish(c->of->tracer, out, size + SQ_TRACER_ADDS <= max, &props, &traced))
		return publish_by_rules(c, p, out);
	rc = publish_by_rules(c, p, out);
	if (rc == 0)
		sq_tracer_taken(c->of->tracer, c, sq_client_name(c), out, &traced);
	out->props = own;
	sq_buf_fini(&props);
	return rc;
}

/* Whether the broker takes a packet of that size; false: the connection has been ended. */
static bool
publish_fits(struct sq_client *c, size_t size)
{
	struct sq_buf text = {0};

	if (c->con.broker_max_packet == 0 || size <= c->con.broker_max_packet)
		return true;
	sq_buf_printf(&text, "a packet of %zu bytes, and the broker's limits.max-packet is %u",
	    size, c->con.broker_max_packet);
	sq_refusals_count(c->of->holds, SQ_REFUSAL_QUOTA);
	sq_client_end_because(c, SQ_END_TOO_LARGE, sq_buf_bytes(&text));
	sq_buf_fini(&text);
	return false;
}

/* Whether the topic is one to publish to: 0; SQ_ETOOBIG: it has too many levels; else the
 * connection has been ended. */
static int
publish_topic(struct sq_client *c, struct sq_bytes topic)
{
	const char *why = "not UTF-8";
	int rc = sq_topic_name_check_levels(topic, c->of->holds->told.limits.topic_levels, &why);

	if (rc == 0 || rc == SQ_ETOOBIG)
		return rc;
	sq_refusals_count(c->of->holds, SQ_REFUSAL_TOPIC);
	sq_client_end_because(c, SQ_END_TOPIC, sq_bytes_of(why));
	return rc;
}

static int
client_publish(struct sq_client *c, const struct sq_mqtt_packet *p, size_t size)
{
	const struct sq_mqtt_publish *m = &p->publish;
	struct sq_lane_publish out = {.qos = m->qos,
	    .retain = m->retain,
	    .packet_id = m->packet_id,
	    .expiry_s = p->props.expiry_s,
	    .topic = m->topic,
	    .props = p->props.raw,
	    .payload = m->payload};
	unsigned char *kept = NULL;
	const char *reserved;
	int rc;

	SQ_FAULT_IF(m->qos == 2, "sidecar-publish-read");
	if (!publish_fits(c, size) || !publish_within_quota(c, m) ||
	    !sq_client_limits_publish(c, m))
		return 0;
	if ((m->topic.len == 0 || sq_mqtt_has(&p->props, SQ_MQTT_PROP_TOPIC_ALIAS)) &&
	    !publish_alias(c, p->props.topic_alias, &out.topic))
		return 0;
	rc = publish_topic(c, out.topic);
	if (rc != 0)
		return rc == SQ_ETOOBIG ? publish_too_deep(c, &out) : 0;
	if ((reserved = sq_topic_reserved(out.topic)) != NULL)
		return publish_reserved(c, &out, reserved);
	if (sq_room_none() && m->qos > 0 && c->in.decoder.version == SQ_MQTT_V5)
		return publish_no_room(c, &out);
	if (out.props.len > 0 && !p->props.forwardable) {
		kept = sq_xmalloc(out.props.len);
		out.props = (struct sq_bytes){kept, sq_mqtt_props_forward(p->props.raw, kept)};
	}
	rc = c->of->tracer == NULL ? publish_by_rules(c, p, &out)
				   : publish_traced(c, p, &out, size);
	if (rc == SQ_EDENIED) {
		rc = publish_denied(c, &out);
		free(kept);
		return rc;
	}
	free(kept);
	if (rc == SQ_EAGAIN)
		return rc;
	if (rc != 0) {
		sq_client_end(c, SQ_END_TOO_LARGE);
		return 0;
	}
	if (m->qos > 0)
		c->in.unfinished++;
	sq_holds_count(c->of->holds, SQ_M_RECEIVED_QOS0 + m->qos, 1);
	return 0;
}

/* Whether MQTT has such a filter; false: the connection has been ended, for the packet
 * that has it is malformed as a whole (§4.7, §4.8.2, §4.13).  To MQTT 3.1.1 a filter that
 * starts with "$share/" is one like any other. */
static bool
client_filter(struct sq_client *c, struct sq_bytes filter)
{
	unsigned char room[SQ_NOTE_TEXT_MAX];
	struct sq_buf text = {0};
	const char *why;

	if (sq_topic_filter_form(filter, c->in.decoder.version == SQ_MQTT_V5, &why) == 0)
		return true;
	sq_buf_printf(&text, "%s: filter %.*s", why, (int)filter.len, (const char *)filter.p);
	sq_refusals_count(c->of->holds, SQ_REFUSAL_TOPIC);
	sq_client_end_because(c, SQ_END_MALFORMED, sq_note_text_clean(sq_buf_bytes(&text), room));
	sq_buf_fini(&text);
	return false;
}

static int
client_subscribe(struct sq_client *c, const struct sq_mqtt_packet *p)
{
	struct sq_bytes rest = p->subscribe.entries;
	struct sq_mqtt_sub sub;
	uint32_t sub_id = sq_mqtt_has(&p->props, SQ_MQTT_PROP_SUBSCRIPTION_ID)
	    ? p->props.subscription_id
	    : 0;

	while (sq_mqtt_sub_next(&rest, &sub)) {
		if (!client_filter(c, sub.filter))
			return 0;
	}
	if (!sq_client_limits_subscribe(c, p))
		return 0;
	return sq_hold_subscribe(
	    c->hold, p->subscribe.packet_id, p->subscribe.count, p->subscribe.entries, sub_id);
}

static int
client_unsubscribe(struct sq_client *c, const struct sq_mqtt_packet *p)
{
	struct sq_bytes rest = p->unsubscribe.filters, filter;
	int rc;

	while (sq_mqtt_filter_next(&rest, &filter)) {
		if (!client_filter(c, filter))
			return 0;
	}
	rc = sq_hold_unsubscribe(
	    c->hold, p->unsubscribe.packet_id, p->unsubscribe.count, p->unsubscribe.filters);
	if (rc != SQ_ETOOBIG)
		return rc;
	sq_client_end(c, SQ_END_QUOTA);
	return 0;
}

/* Handles an acknowledgement.  One that does not fit the delivery under its packet identifier is a
 * protocol error (§4.3, §4.13). */
static void
client_ack(struct sq_client *c, const struct sq_mqtt_packet *p)
{
	struct sq_buf text = {0};

	if (sq_hold_ack(c->hold, p->type, p->ack.packet_id, p->ack.reason) == 0)
		return;
	sq_buf_printf(&text, "%s is not what the message of packet identifier %u waits for",
	    sq_mqtt_type_name(p->type), p->ack.packet_id);
	sq_client_end_because(c, SQ_END_PROTOCOL, sq_buf_bytes(&text));
	sq_buf_fini(&text);
}

static void
client_disconnect(struct sq_client *c, const struct sq_mqtt_packet *p)
{
	if (sq_mqtt_has(&p->props, SQ_MQTT_PROP_SESSION_EXPIRY)) {
		if (c->con.expiry_s == 0 && p->props.session_expiry_s != 0) {
			sq_client_end(c, SQ_END_PROTOCOL); /* §3.14.2.2.2 */
			return;
		}
		c->con.expiry_s = p->props.session_expiry_s;
	}
	/* Any reason but 0 leaves the will in place (§3.14.2.1). */
	sq_client_end(c, p->disconnect.reason == 0 ? SQ_END_DISCONNECTED : SQ_END_LEFT_WILL);
}

int
sq_client_packet(struct sq_client *c, const struct sq_mqtt_packet *p, size_t size)
{
	/* A client that doesn't read what it asks for is not read either. */
	if (sq_output_len(&c->out.queue) > c->of->cfg->output_bytes + c->of->cfg->credit_bytes &&
	    c->state == SQ_CLIENT_OPEN && p->type != SQ_MQTT_DISCONNECT)
		return SQ_EAGAIN;
	switch (p->type) {
	case SQ_MQTT_PUBLISH:
		sq_client_did(c, SQ_TAKER_PUBLISHED);
		return client_publish(c, p, size);
	case SQ_MQTT_PUBACK:
	case SQ_MQTT_PUBREC:
	case SQ_MQTT_PUBCOMP:
		SQ_FAULT_IF(p->type == SQ_MQTT_PUBREC, "sidecar-pubrec-read");
		SQ_FAULT_IF(p->type == SQ_MQTT_PUBCOMP, "sidecar-pubcomp-read");
		client_ack(c, p);
		return 0;
	case SQ_MQTT_PUBREL:
		SQ_FAULT("sidecar-pubrel-read");
		return sq_outbox_holds(c->disk, p->ack.packet_id)
		    ? sq_outbox_release(c->disk, p->ack.packet_id)
		    : sq_hold_release(c->hold, p->ack.packet_id);
	case SQ_MQTT_SUBSCRIBE:
		sq_client_did(c, SQ_TAKER_SUBSCRIBED);
		return client_subscribe(c, p);
	case SQ_MQTT_UNSUBSCRIBE:
		return client_unsubscribe(c, p);
	case SQ_MQTT_PINGREQ: {
		struct sq_buf b = {0};

		sq_mqtt_put_pingresp(&b);
		(void)sq_client_put(c, &b);
		sq_buf_fini(&b);
		return 0;
	}
	case SQ_MQTT_DISCONNECT:
		client_disconnect(c, p);
		return 0;
	default: /* AUTH without a method (§4.12), or what only a server sends */
		sq_client_end(c, SQ_END_PROTOCOL);
		return 0;
	}
}
