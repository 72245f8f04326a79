/* What the sidecar's limits mean to MQTT: properties of CONNACK, and filters. */
#include <criterion/criterion.h>
#include <string.h>

#include "proto/mqtt/reason.h"
#include "sidecar/hold/limits.h"

static struct sq_mqtt_props
said(uint8_t max_qos, uint8_t off)
{
	struct sq_limits l = {.topic_levels = 3, .client_id = 32, .max_qos = max_qos, .off = off};
	struct sq_mqtt_props props = sq_mqtt_props_none;

	sq_limits_props(&l, &props);
	return props;
}

static uint8_t
filter(uint8_t off, const char *text)
{
	struct sq_limits l = {.topic_levels = 3, .client_id = 32, .max_qos = 2, .off = off};
	struct sq_bytes b = {(const unsigned char *)text, strlen(text)};
	struct sq_topic_filter f;
	const char *why = NULL;
	uint8_t code;

	cr_assert_eq(sq_topic_filter_parse(b, &f, NULL), 0);
	code = sq_limits_filter(&l, b, &f, &why);
	cr_assert_eq(code != 0, why != NULL);
	return code;
}

Test(limits, connack_says_what_is_off_and_nothing_of_what_is_on)
{
	cr_assert_eq(said(2, 0).has, 0);
	cr_assert_eq(said(2, SQ_OFF_CONTROL).has, 0, "MQTT has no property for it");
	cr_assert_eq(said(1, 0).has, SQ_MQTT_HAS(SQ_MQTT_PROP_MAXIMUM_QOS));
	cr_assert_eq(said(1, 0).maximum_qos, 1);
	cr_assert_eq(said(0, 0).maximum_qos, 0);
	cr_assert_eq(said(2, SQ_OFF_RETAIN).has, SQ_MQTT_HAS(SQ_MQTT_PROP_RETAIN_AVAILABLE));
	cr_assert_eq(said(2, SQ_OFF_WILDCARD).has, SQ_MQTT_HAS(SQ_MQTT_PROP_WILDCARD_AVAILABLE));
	cr_assert_eq(said(2, SQ_OFF_SHARED).has, SQ_MQTT_HAS(SQ_MQTT_PROP_SHARED_AVAILABLE));
	cr_assert_eq(
	    said(2, SQ_OFF_SUB_IDS).has, SQ_MQTT_HAS(SQ_MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE));
	cr_assert_eq(said(2, SQ_OFF_ALL).retain_available, 0);
	cr_assert_eq(said(2, SQ_OFF_ALL).wildcard_available, 0);
	cr_assert_eq(said(2, SQ_OFF_ALL).shared_available, 0);
	cr_assert_eq(said(2, SQ_OFF_ALL).subscription_id_available, 0);
}

Test(limits, filters)
{
	cr_assert_eq(filter(0, "a/+/#"), 0);
	cr_assert_eq(filter(0, "a/b/c/d"), SQ_MQTT_RC_FILTER_INVALID);
	cr_assert_eq(filter(0, "$share/g/a/b/c"), 0);
	cr_assert_eq(filter(SQ_OFF_WILDCARD, "a/b"), 0);
	cr_assert_eq(filter(SQ_OFF_WILDCARD, "a/+"), SQ_MQTT_RC_WILDCARD_UNSUPPORTED);
	cr_assert_eq(filter(SQ_OFF_WILDCARD, "#"), SQ_MQTT_RC_WILDCARD_UNSUPPORTED);
	cr_assert_eq(filter(SQ_OFF_WILDCARD, "$tag/red"), 0, "it has none");
	cr_assert_eq(filter(SQ_OFF_WILDCARD, "$share/g/+"), SQ_MQTT_RC_WILDCARD_UNSUPPORTED);
	cr_assert_eq(filter(SQ_OFF_SHARED, "$share/g/a"), SQ_MQTT_RC_SHARED_UNSUPPORTED);
	cr_assert_eq(filter(SQ_OFF_SHARED, "$share"), 0);
	cr_assert_eq(filter(SQ_OFF_SHARED, "a/+"), 0);
}

Test(limits, of_a_configuration)
{
	struct sq_limits_cfg cfg = {.topic_levels = 7,
	    .client_id = 99,
	    .max_qos = 1,
	    .retain = true,
	    .shared = true,
	    .control_refused = 1};
	struct sq_limits l = sq_limits_own(&cfg);

	cr_assert(l.topic_levels == 7 && l.client_id == 99 && l.max_qos == 1);
	cr_assert_eq(l.off, SQ_OFF_WILDCARD | SQ_OFF_SUB_IDS | SQ_OFF_CONTROL);
}
