/* The tables of the standard: packet types, properties and reason codes, all
 * made from the lists in the headers, and the look-ups into them. */
#include "proto/mqtt/mqtt_priv.h"

#include <assert.h>

#include "core/mem.h"

/* The letters of the lists in props.h and reason.h. */
enum {
	W = SQ_MQTT_BIT(SQ_MQTT_WILL),
	K = SQ_MQTT_BIT(SQ_MQTT_CONNECT),
	N = SQ_MQTT_BIT(SQ_MQTT_CONNACK),
	P = SQ_MQTT_BIT(SQ_MQTT_PUBLISH),
	A = SQ_MQTT_BIT(SQ_MQTT_PUBACK),
	R = SQ_MQTT_BIT(SQ_MQTT_PUBREC),
	L = SQ_MQTT_BIT(SQ_MQTT_PUBREL),
	C = SQ_MQTT_BIT(SQ_MQTT_PUBCOMP),
	B = SQ_MQTT_BIT(SQ_MQTT_SUBSCRIBE),
	S = SQ_MQTT_BIT(SQ_MQTT_SUBACK),
	Q = SQ_MQTT_BIT(SQ_MQTT_UNSUBSCRIBE),
	U = SQ_MQTT_BIT(SQ_MQTT_UNSUBACK),
	D = SQ_MQTT_BIT(SQ_MQTT_DISCONNECT),
	H = SQ_MQTT_BIT(SQ_MQTT_AUTH),
	ACKS = A | R | L | C,
};

#define ANY SQ_MQTT_MAX_REMAINING

static const struct sq_mqtt_type_def types[16] = {
    [0] = {"reserved", 0, 0, 0, 0, {0, 0}, {0, 0}},
    [SQ_MQTT_CONNECT] = {"CONNECT", 0, 15, 3, 0, {10, 10}, {ANY, ANY}},
    [SQ_MQTT_CONNACK] = {"CONNACK", 0, 15, 0, 3, {2, 3}, {2, ANY}},
    [SQ_MQTT_PUBLISH] = {"PUBLISH", 0, 0, 3, 3, {2, 3}, {ANY, ANY}},
    [SQ_MQTT_PUBACK] = {"PUBACK", 0, 15, 3, 3, {2, 2}, {2, ANY}},
    [SQ_MQTT_PUBREC] = {"PUBREC", 0, 15, 3, 3, {2, 2}, {2, ANY}},
    [SQ_MQTT_PUBREL] = {"PUBREL", 2, 15, 3, 3, {2, 2}, {2, ANY}},
    [SQ_MQTT_PUBCOMP] = {"PUBCOMP", 0, 15, 3, 3, {2, 2}, {2, ANY}},
    [SQ_MQTT_SUBSCRIBE] = {"SUBSCRIBE", 2, 15, 3, 0, {2, 3}, {ANY, ANY}},
    [SQ_MQTT_SUBACK] = {"SUBACK", 0, 15, 0, 3, {2, 3}, {ANY, ANY}},
    [SQ_MQTT_UNSUBSCRIBE] = {"UNSUBSCRIBE", 2, 15, 3, 0, {2, 3}, {ANY, ANY}},
    [SQ_MQTT_UNSUBACK] = {"UNSUBACK", 0, 15, 0, 3, {2, 3}, {2, ANY}},
    [SQ_MQTT_PINGREQ] = {"PINGREQ", 0, 15, 3, 0, {0, 0}, {0, 0}},
    [SQ_MQTT_PINGRESP] = {"PINGRESP", 0, 15, 0, 3, {0, 0}, {0, 0}},
    [SQ_MQTT_DISCONNECT] = {"DISCONNECT", 0, 15, 3, 5, {0, 0}, {0, ANY}},
    [SQ_MQTT_AUTH] = {"AUTH", 0, 15, 5, 5, {0, 0}, {0, ANY}},
};

#define PROP_ROW(name, pid, ptype, field, least, most, fwd, c, s) \
	[pid] = { \
	    .type = MQTT_##ptype, \
	    .id = pid, \
	    .forward = fwd, \
	    .offset = offsetof(struct sq_mqtt_props, field), \
	    .client = c, \
	    .server = s, \
	    .min = least, \
	    .max = most, \
	    .misplaced = "property " #name " in a packet that can't have it (MQTT 2.2.2.2)", \
	    .twice = "property " #name " more than once (MQTT 2.2.2.2)", \
	    .range = "property " #name " out of its range (MQTT 2.2.2.2)", \
	    .string = "property " #name " is not valid UTF-8 (MQTT 1.5.4)", \
	},
static const struct sq_mqtt_prop_def props[] = {SQ_MQTT_PROPS(PROP_ROW)};

struct reason_def {
	uint8_t value;
	uint16_t client, server;
	const char *text;
};

#define REASON_ROW(name, rvalue, rtext, c, s) [rvalue] = {rvalue, c, s, rtext},
static const struct reason_def reasons[] = {SQ_MQTT_REASONS(REASON_ROW)};

/* Return codes of MQTT 3.1.1, §3.2.2.3, by value. */
static const uint8_t v3_codes[] = {
    SQ_MQTT_RC_SUCCESS,
    SQ_MQTT_RC_UNSUPPORTED_VERSION,
    SQ_MQTT_RC_BAD_CLIENT_ID,
    SQ_MQTT_RC_SERVER_UNAVAILABLE,
    SQ_MQTT_RC_BAD_CREDENTIALS,
    SQ_MQTT_RC_NOT_AUTHORIZED,
};

const struct sq_mqtt_type_def *
sq_mqtt_type_def(unsigned type)
{
	assert(type < SQ_ARRAY_LEN(types));
	return &types[type];
}

const char *
sq_mqtt_type_name(unsigned type)
{
	return type < SQ_ARRAY_LEN(types) ? types[type].name : types[0].name;
}

const struct sq_mqtt_prop_def *
sq_mqtt_prop_def(uint8_t id)
{
	return id < SQ_ARRAY_LEN(props) && props[id].id != 0 ? &props[id] : NULL;
}

/* The row of 'reason', or NULL. */
static const struct reason_def *
reason_find(uint8_t reason)
{
	return reason < SQ_ARRAY_LEN(reasons) && reasons[reason].text != NULL ? &reasons[reason]
									      : NULL;
}

const char *
sq_mqtt_reason_name(uint8_t reason)
{
	const struct reason_def *def = reason_find(reason);

	return def != NULL ? def->text : "Unknown reason code";
}

bool
sq_mqtt_reason_allowed(uint8_t reason, unsigned type, enum sq_mqtt_role sender)
{
	const struct reason_def *def = reason_find(reason);

	if (def == NULL || type >= SQ_ARRAY_LEN(types))
		return false;
	return ((sender == SQ_MQTT_CLIENT ? def->client : def->server) & SQ_MQTT_BIT(type)) != 0;
}

uint8_t
sq_mqtt_reason_to_v3(uint8_t reason)
{
	for (uint8_t code = 0; code < SQ_ARRAY_LEN(v3_codes); code++) {
		if (v3_codes[code] == reason)
			return code;
	}
	switch (reason) {
	case SQ_MQTT_RC_BANNED:
	case SQ_MQTT_RC_BAD_AUTH_METHOD:
	case SQ_MQTT_RC_TOPIC_INVALID:
	case SQ_MQTT_RC_RETAIN_UNSUPPORTED:
	case SQ_MQTT_RC_QOS_UNSUPPORTED:
		return 5; /* not authorised */
	default:
		return 3; /* server unavailable */
	}
}

uint8_t
sq_mqtt_reason_from_v3(uint8_t code)
{
	assert(code < SQ_ARRAY_LEN(v3_codes));
	return v3_codes[code];
}
