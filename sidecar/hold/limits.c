#include "sidecar/hold/limits.h"

#include <string.h>

#include "core/mem.h"
#include "proto/mqtt/reason.h"

void
sq_limits_props(const struct sq_limits *l, struct sq_mqtt_props *props)
{
	if (l->max_qos < 2) {
		props->has |= SQ_MQTT_HAS(SQ_MQTT_PROP_MAXIMUM_QOS);
		props->maximum_qos = l->max_qos;
	}
	if (l->off & SQ_OFF_RETAIN) {
		props->has |= SQ_MQTT_HAS(SQ_MQTT_PROP_RETAIN_AVAILABLE);
		props->retain_available = 0;
	}
	if (l->off & SQ_OFF_WILDCARD) {
		props->has |= SQ_MQTT_HAS(SQ_MQTT_PROP_WILDCARD_AVAILABLE);
		props->wildcard_available = 0;
	}
	if (l->off & SQ_OFF_SHARED) {
		props->has |= SQ_MQTT_HAS(SQ_MQTT_PROP_SHARED_AVAILABLE);
		props->shared_available = 0;
	}
	if (l->off & SQ_OFF_SUB_IDS) {
		props->has |= SQ_MQTT_HAS(SQ_MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE);
		props->subscription_id_available = 0;
	}
}

uint8_t
sq_limits_filter(const struct sq_limits *l, struct sq_bytes filter, const struct sq_topic_filter *f,
    const char **why)
{
	bool wildcard = memchr(filter.p, '+', filter.len) != NULL ||
	    memchr(filter.p, '#', filter.len) != NULL;

	if ((l->off & SQ_OFF_SHARED) && f->share.len > 0) {
		*why = "shared subscriptions are switched off (mqtt.shared-subscriptions)";
		return SQ_MQTT_RC_SHARED_UNSUPPORTED;
	}
	if ((l->off & SQ_OFF_WILDCARD) && wildcard) {
		*why = "wildcards are switched off (mqtt.wildcard-subscriptions)";
		return SQ_MQTT_RC_WILDCARD_UNSUPPORTED;
	}
	if (f->levels > l->topic_levels) {
		*why = "the topic filter has too many levels (limits.topic-levels)";
		return SQ_MQTT_RC_FILTER_INVALID;
	}
	return 0;
}

void
sq_limits_print(const struct sq_limits *l, struct sq_buf *out)
{
	static const struct {
		uint8_t bit;
		const char *text;
	} offs[] = {{SQ_OFF_RETAIN, "retained messages"}, {SQ_OFF_WILDCARD, "wildcards"},
	    {SQ_OFF_SHARED, "shared subscriptions"}, {SQ_OFF_SUB_IDS, "subscription identifiers"},
	    {SQ_OFF_CONTROL, "control characters"}};

	sq_buf_printf(out, "%u levels of a topic, client ids of %u bytes, QoS up to %u",
	    l->topic_levels, l->client_id, l->max_qos);
	for (size_t i = 0; i < SQ_ARRAY_LEN(offs); i++) {
		if (l->off & offs[i].bit)
			sq_buf_printf(out, ", no %s", offs[i].text);
	}
}
