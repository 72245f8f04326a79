/* Limits of a client's packets beyond the standard's grammar, and features that are switched off
 * (MQTT 5.0 §3.2.2.3).  MQTT 5 has a reason code for each, with which the connection ends; an MQTT
 * 3.1.1 client can only be refused, or closed. */
#include "sidecar/mqtt/client.h"

#include <stdio.h>

#include "core/log.h"
#include "core/utf8.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/hold/limits.h"
#include "sidecar/hold/refusals.h"
#include "sidecar/hold/room.h"
#include "sidecar/hold/hold.h"

enum { WHY_MAX = 128, TOPIC_SHOWN_MAX = 256 /* bytes of a topic that is refused, in words */ };

static void
limits_end(struct sq_client *c, enum sq_client_end end, const char *why)
{
	sq_refusals_count(c->of->holds, SQ_REFUSAL_DENIED);
	sq_client_end_because(c, end, sq_bytes_of(why));
}

uint8_t
sq_client_limits_connect(
    const struct sq_client *c, const struct sq_mqtt_connect *k, const char **why)
{
	static char text[WHY_MAX]; /* the one loop's */
	const struct sq_limits *l = &c->of->holds->told.limits;
	int rc;

	if (k->client_id.len > l->client_id) {
		snprintf(text, sizeof text, "client identifier above %u bytes (limits.client-id)",
		    l->client_id);
		*why = text;
		return SQ_MQTT_RC_BAD_CLIENT_ID;
	}
	/* Without clean start a broker may have its session: that one says whether it is new. */
	if (sq_room_none_to_stay() && k->clean_start &&
	    !sq_hold_is_known(c->of->holds, k->client_id)) {
		sq_refusals_count(c->of->holds, SQ_REFUSAL_MEMORY);
		*why = SQ_ROOM_TEXT;
		return SQ_MQTT_RC_QUOTA_EXCEEDED;
	}
	if (!k->has_will)
		return 0;
	rc = sq_topic_name_check_levels(k->will_topic, l->topic_levels, why);
	if (rc != 0)
		return SQ_MQTT_RC_TOPIC_INVALID;
	if (k->will_qos > l->max_qos) {
		*why = "the will's QoS is above mqtt.max-qos";
		return SQ_MQTT_RC_QOS_UNSUPPORTED;
	}
	if (k->will_retain && (l->off & SQ_OFF_RETAIN) != 0) {
		*why = "retained messages are switched off (mqtt.retain)";
		return SQ_MQTT_RC_RETAIN_UNSUPPORTED;
	}
	return 0;
}

bool
sq_client_limits_publish(struct sq_client *c, const struct sq_mqtt_publish *m)
{
	const struct sq_limits *l = &c->of->holds->told.limits;

	if (m->qos > l->max_qos) {
		limits_end(c, SQ_END_QOS, "a publish above mqtt.max-qos");
		return false;
	}
	if (m->retain && (l->off & SQ_OFF_RETAIN) != 0) {
		limits_end(c, SQ_END_RETAIN, "retained messages are switched off (mqtt.retain)");
		return false;
	}
	return true;
}

bool
sq_client_limits_subscribe(struct sq_client *c, const struct sq_mqtt_packet *p)
{
	const struct sq_limits *l = &c->of->holds->told.limits;
	struct sq_bytes entries = p->subscribe.entries;
	struct sq_topic_filter f;
	struct sq_mqtt_sub sub;
	const char *why;

	if (c->in.decoder.version != SQ_MQTT_V5)
		return true; /* each entry has its code in SUBACK */
	if ((l->off & SQ_OFF_SUB_IDS) && sq_mqtt_has(&p->props, SQ_MQTT_PROP_SUBSCRIPTION_ID)) {
		limits_end(c, SQ_END_SUB_IDS,
		    "subscription identifiers are switched off (mqtt.subscription-ids)");
		return false;
	}
	if ((l->off & (SQ_OFF_WILDCARD | SQ_OFF_SHARED)) == 0)
		return true;
	while (sq_mqtt_sub_next(&entries, &sub)) {
		uint8_t code = sq_topic_filter_parse(sub.filter, &f, NULL) != 0
		    ? 0
		    : sq_limits_filter(l, sub.filter, &f, &why);

		if (code != SQ_MQTT_RC_SHARED_UNSUPPORTED &&
		    code != SQ_MQTT_RC_WILDCARD_UNSUPPORTED)
			continue;
		limits_end(c,
		    code == SQ_MQTT_RC_SHARED_UNSUPPORTED ? SQ_END_SHARED : SQ_END_WILDCARD, why);
		return false;
	}
	return true;
}

void
sq_client_reserved(
    const struct sq_client *c, const char *what, struct sq_bytes topic, const char *why)
{
	size_t shown = sq_utf8_cut(topic.p, topic.len, TOPIC_SHOWN_MAX);

	sq_holds_count(c->of->holds, SQ_M_REFUSED_RESERVED, 1);
	sq_refusals_count(c->of->holds, SQ_REFUSAL_TOPIC);
	SQ_WARN("client", "%s: %s to '%.*s' refused, %s", sq_client_name(c), what, (int)shown,
	    (const char *)topic.p, why);
}
