/* MQTT 5 properties (§2.2.2.2): their one table, their decoded form, and walks over their encoded
 * form. */
#ifndef SQ_PROTO_MQTT_PROPS_H
#define SQ_PROTO_MQTT_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

/* X(name, identifier, type, field of struct sq_mqtt_props, least, greatest
 * value (0, 0: any), forwarded unchanged, packets that a client may send it
 * in, packets that a server may; the letters are defined in tables.c). */
#define SQ_MQTT_PROPS(X) \
	X(PAYLOAD_FORMAT, 0x01, BYTE, payload_format, 0, 1, 1, P | W, P) \
	X(MESSAGE_EXPIRY, 0x02, U32, expiry_s, 0, 0, 0, P | W, P) \
	X(CONTENT_TYPE, 0x03, STRING, content_type, 0, 0, 1, P | W, P) \
	X(RESPONSE_TOPIC, 0x08, STRING, response_topic, 0, 0, 1, P | W, P) \
	X(CORRELATION_DATA, 0x09, BINARY, correlation_data, 0, 0, 1, P | W, P) \
	X(SUBSCRIPTION_ID, 0x0b, VARINT, subscription_id, 1, 268435455, 0, B, P) \
	X(SESSION_EXPIRY, 0x11, U32, session_expiry_s, 0, 0, 0, K | D, N) \
	X(ASSIGNED_CLIENT_ID, 0x12, STRING, assigned_client_id, 0, 0, 0, 0, N) \
	X(SERVER_KEEP_ALIVE, 0x13, U16, server_keep_alive_s, 0, 0, 0, 0, N) \
	X(AUTH_METHOD, 0x15, STRING, auth_method, 0, 0, 0, K | H, N | H) \
	X(AUTH_DATA, 0x16, BINARY, auth_data, 0, 0, 0, K | H, N | H) \
	X(REQUEST_PROBLEM_INFO, 0x17, BYTE, request_problem_info, 0, 1, 0, K, 0) \
	X(WILL_DELAY, 0x18, U32, will_delay_s, 0, 0, 0, W, 0) \
	X(REQUEST_RESPONSE_INFO, 0x19, BYTE, request_response_info, 0, 1, 0, K, 0) \
	X(RESPONSE_INFO, 0x1a, STRING, response_info, 0, 0, 0, 0, N) \
	X(SERVER_REFERENCE, 0x1c, STRING, server_reference, 0, 0, 0, 0, N | D) \
	X(REASON_STRING, 0x1f, STRING, reason_string, 0, 0, 0, ACKS | D | H, \
	    N | ACKS | S | U | D | H) \
	X(RECEIVE_MAXIMUM, 0x21, U16, receive_maximum, 1, 65535, 0, K, N) \
	X(TOPIC_ALIAS_MAXIMUM, 0x22, U16, topic_alias_maximum, 0, 0, 0, K, N) \
	X(TOPIC_ALIAS, 0x23, U16, topic_alias, 1, 65535, 0, P, P) \
	X(MAXIMUM_QOS, 0x24, BYTE, maximum_qos, 0, 1, 0, 0, N) \
	X(RETAIN_AVAILABLE, 0x25, BYTE, retain_available, 0, 1, 0, 0, N) \
	X(USER_PROPERTY, 0x26, PAIR, raw, 0, 0, 1, P | W | K | ACKS | B | Q | D | H, \
	    P | N | ACKS | S | U | D | H) \
	X(MAXIMUM_PACKET_SIZE, 0x27, U32, maximum_packet_size, 1, UINT32_MAX, 0, K, N) \
	X(WILDCARD_AVAILABLE, 0x28, BYTE, wildcard_available, 0, 1, 0, 0, N) \
	X(SUBSCRIPTION_ID_AVAILABLE, 0x29, BYTE, subscription_id_available, 0, 1, 0, 0, N) \
	X(SHARED_AVAILABLE, 0x2a, BYTE, shared_available, 0, 1, 0, 0, N)

enum sq_mqtt_prop_id {
#define SQ_MQTT_PROP_ENUM(name, id, type, field, min, max, forward, client, server) \
	SQ_MQTT_PROP_##name = id,
	SQ_MQTT_PROPS(SQ_MQTT_PROP_ENUM)
#undef SQ_MQTT_PROP_ENUM
};

#define SQ_MQTT_HAS(id) (UINT64_C(1) << (id))

/* Properties of one packet or will.  An absent property has the standard's default (for "no limit" the
 * greatest value), so most readers need not look at 'has'.  Views point into the decoder's input. */
struct sq_mqtt_props {
	uint64_t has; /* SQ_MQTT_HAS(identifier) of each property that is present */
	/* Decoded: the encoded properties without their length.  To encode: user
	 * properties (and, for a PUBLISH, subscription identifiers after the first)
	 * are copied from here when their bits are in 'has'; the rest is ignored. */
	struct sq_bytes raw;
	bool forwardable; /* 'raw' has only properties that are forwarded unchanged */
	uint8_t payload_format, request_problem_info, request_response_info, maximum_qos;
	uint8_t retain_available, wildcard_available, subscription_id_available, shared_available;
	uint16_t topic_alias, topic_alias_maximum, receive_maximum, server_keep_alive_s;
	uint32_t expiry_s;        /* SQ_MSG_NO_EXPIRY: none */
	uint32_t subscription_id; /* the first; walk 'raw' for more */
	uint32_t session_expiry_s, will_delay_s, maximum_packet_size;
	struct sq_bytes content_type, response_topic, correlation_data, reason_string;
	struct sq_bytes auth_method, auth_data;
	struct sq_bytes assigned_client_id, response_info, server_reference;
};

/* No property is present, and all have their defaults: the start of an encoder. */
extern const struct sq_mqtt_props sq_mqtt_props_none;

static inline bool
sq_mqtt_has(const struct sq_mqtt_props *props, enum sq_mqtt_prop_id id)
{
	return (props->has & SQ_MQTT_HAS(id)) != 0;
}

/* One property in its encoded form. */
struct sq_mqtt_prop {
	uint8_t id;
	bool forward;          /* forwarded unchanged (§3.3.2.3) */
	uint32_t num;          /* of a number */
	struct sq_bytes key;   /* of a user property */
	struct sq_bytes value; /* of a string, binary or user property */
	struct sq_bytes whole; /* identifier and value, as encoded */
};

/* Takes the next property off '*rest' (a copy of 'raw' at first).  False: the end, or malformed
 * input. */
bool sq_mqtt_prop_next(struct sq_bytes *rest, struct sq_mqtt_prop *out);
/* Takes the next user property off '*rest', and the properties before it. */
bool sq_mqtt_user_next(struct sq_bytes *rest, struct sq_bytes *key, struct sq_bytes *value);
/* Appends an encoded user property; SQ_ETOOBIG if a part is above 65,535 bytes. */
int sq_mqtt_user_append(struct sq_buf *, struct sq_bytes key, struct sq_bytes value) SQ_MUST_CHECK;

/* Copies the properties of 'raw' that are forwarded unchanged, in their order, to 'out', which has
 * room for raw.len bytes; returns the bytes written.  With 'forwardable' set, 'raw' itself is the
 * result, and no copy is needed. */
size_t sq_mqtt_props_forward(struct sq_bytes raw, unsigned char *out);
/* Appends an encoded property of a string or of bytes; none if it is empty.  SQ_ETOOBIG as above. */
int sq_mqtt_prop_append(struct sq_buf *, enum sq_mqtt_prop_id, struct sq_bytes value) SQ_MUST_CHECK;

/* Checks a block that did not come through this decoder: well-formed, only properties that are
 * forwarded unchanged, none twice but user properties.  0 or SQ_EINVAL. */
int sq_mqtt_props_check(struct sq_bytes block) SQ_MUST_CHECK;

#endif
