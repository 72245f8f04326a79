/* Messages that are events (MQTT binding §3). */
#include <string.h>

#include "proto/cloudevents/cloudevents_priv.h"
#include "proto/mqtt/props.h"

/* Takes a user property that can be an attribute. */
static int
message_attribute(struct sq_ce *ce, struct sq_bytes name, struct sq_bytes value)
{
	struct sq_ce_error ignored;

	if (sq_ce_name_wrong(name) != NULL || sq_ce_has(ce, name) ||
	    sq_ce_string_wrong(value) != NULL || ce->n == SQ_CE_ATTRIBUTES_MAX)
		return 0;
	return sq_ce_add(ce, name, value, &ignored);
}

int
sq_ce_message(struct sq_ce *ce, struct sq_bytes props, struct sq_bytes payload)
{
	struct sq_bytes type = {0}, user_type = {0};
	struct sq_ce_error ignored;
	struct sq_mqtt_prop prop;
	int bad = 0;

	sq_ce_reset(ce);
	while (bad == 0 && sq_mqtt_prop_next(&props, &prop)) {
		if (prop.id == SQ_MQTT_PROP_CONTENT_TYPE)
			type = prop.value;
		else if (prop.id != SQ_MQTT_PROP_USER_PROPERTY)
			continue;
		else if (sq_bytes_are(prop.key, SQ_CE_CONTENT_TYPE))
			user_type = prop.value;
		else
			bad = message_attribute(ce, prop.key, prop.value);
	}
	if (bad == 0 && sq_ce_form(type) == SQ_CE_STRUCTURED)
		return sq_ce_structured(ce, payload, &ignored) == 0 ? 0 : SQ_ENOTFOUND;
	if (bad == 0)
		bad = sq_ce_binary(ce, type.len > 0 ? type : user_type, payload, &ignored);
	return bad == 0 ? 0 : SQ_ENOTFOUND;
}
