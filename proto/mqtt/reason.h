/* MQTT reason codes (MQTT 5.0 §2.4), in one table.
 *
 * A reason code in our interfaces is always MQTT 5's.  Encoder and decoder translate return codes of
 * 3.1.1. */
#ifndef SQ_PROTO_MQTT_REASON_H
#define SQ_PROTO_MQTT_REASON_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, value, text, packets that a client may send it in, that a server
 * may).  A, R, L, C, S, U, D and H stand for PUBACK, PUBREC, PUBREL, PUBCOMP,
 * SUBACK, UNSUBACK, DISCONNECT and AUTH, N for CONNACK; tables.c defines them. */
#define SQ_MQTT_REASONS(X) \
	X(SUCCESS, 0x00, "Success", A | R | L | C | D, N | A | R | L | C | S | U | D | H) \
	X(GRANTED_QOS_1, 0x01, "Granted QoS 1", 0, S) \
	X(GRANTED_QOS_2, 0x02, "Granted QoS 2", 0, S) \
	X(DISCONNECT_WITH_WILL, 0x04, "Disconnect with Will Message", D, 0) \
	X(NO_MATCHING_SUBSCRIBERS, 0x10, "No matching subscribers", A | R, A | R) \
	X(NO_SUBSCRIPTION, 0x11, "No subscription existed", 0, U) \
	X(CONTINUE_AUTH, 0x18, "Continue authentication", H, H) \
	X(REAUTHENTICATE, 0x19, "Re-authenticate", H, 0) \
	X(UNSPECIFIED, 0x80, "Unspecified error", A | R | D, N | A | R | S | U | D) \
	X(MALFORMED, 0x81, "Malformed Packet", D, N | D) \
	X(PROTOCOL_ERROR, 0x82, "Protocol Error", D, N | D) \
	X(IMPLEMENTATION, 0x83, "Implementation specific error", A | R | D, N | A | R | S | U | D) \
	X(UNSUPPORTED_VERSION, 0x84, "Unsupported Protocol Version", 0, N) \
	X(BAD_CLIENT_ID, 0x85, "Client Identifier not valid", 0, N) \
	X(BAD_CREDENTIALS, 0x86, "Bad User Name or Password", 0, N) \
	X(NOT_AUTHORIZED, 0x87, "Not authorized", A | R, N | A | R | S | U | D) \
	X(SERVER_UNAVAILABLE, 0x88, "Server unavailable", 0, N) \
	X(SERVER_BUSY, 0x89, "Server busy", 0, N | D) \
	X(BANNED, 0x8a, "Banned", 0, N) \
	X(SHUTTING_DOWN, 0x8b, "Server shutting down", 0, D) \
	X(BAD_AUTH_METHOD, 0x8c, "Bad authentication method", D, N | D) \
	X(KEEP_ALIVE_TIMEOUT, 0x8d, "Keep Alive timeout", 0, D) \
	X(TAKEN_OVER, 0x8e, "Session taken over", 0, D) \
	X(FILTER_INVALID, 0x8f, "Topic Filter invalid", 0, S | U | D) \
	X(TOPIC_INVALID, 0x90, "Topic Name invalid", A | R | D, N | A | R | D) \
	X(PACKET_ID_IN_USE, 0x91, "Packet Identifier in use", A | R, A | R | S | U) \
	X(PACKET_ID_NOT_FOUND, 0x92, "Packet Identifier not found", L | C, L | C) \
	X(RECEIVE_MAX_EXCEEDED, 0x93, "Receive Maximum exceeded", D, D) \
	X(TOPIC_ALIAS_INVALID, 0x94, "Topic Alias invalid", D, D) \
	X(PACKET_TOO_LARGE, 0x95, "Packet too large", D, N | D) \
	X(RATE_TOO_HIGH, 0x96, "Message rate too high", D, D) \
	X(QUOTA_EXCEEDED, 0x97, "Quota exceeded", A | R | D, N | A | R | S | D) \
	X(ADMIN_ACTION, 0x98, "Administrative action", D, D) \
	X(PAYLOAD_FORMAT_INVALID, 0x99, "Payload format invalid", A | R | D, N | A | R | D) \
	X(RETAIN_UNSUPPORTED, 0x9a, "Retain not supported", 0, N | D) \
	X(QOS_UNSUPPORTED, 0x9b, "QoS not supported", 0, N | D) \
	X(USE_ANOTHER_SERVER, 0x9c, "Use another server", 0, N | D) \
	X(SERVER_MOVED, 0x9d, "Server moved", 0, N | D) \
	X(SHARED_UNSUPPORTED, 0x9e, "Shared Subscriptions not supported", 0, S | D) \
	X(RATE_EXCEEDED, 0x9f, "Connection rate exceeded", 0, N | D) \
	X(MAX_CONNECT_TIME, 0xa0, "Maximum connect time", 0, D) \
	X(SUB_ID_UNSUPPORTED, 0xa1, "Subscription Identifiers not supported", 0, S | D) \
	X(WILDCARD_UNSUPPORTED, 0xa2, "Wildcard Subscriptions not supported", 0, S | D)

enum sq_mqtt_reason {
#define SQ_MQTT_REASON_ENUM(name, value, text, client, server) SQ_MQTT_RC_##name = value,
	SQ_MQTT_REASONS(SQ_MQTT_REASON_ENUM)
#undef SQ_MQTT_REASON_ENUM
};

enum sq_mqtt_role { SQ_MQTT_SERVER, SQ_MQTT_CLIENT };

/* Whether the code means a failure. */
static inline bool
sq_mqtt_reason_failed(uint8_t reason)
{
	return reason >= SQ_MQTT_RC_UNSPECIFIED;
}

/* The standard's name of 'reason', "Unknown reason code" for any other value. */
const char *sq_mqtt_reason_name(uint8_t reason);

/* Whether 'sender' may put 'reason' into a packet of 'type' (enum sq_mqtt_type): for values from
 * outside, before they are encoded. */
bool sq_mqtt_reason_allowed(uint8_t reason, unsigned type, enum sq_mqtt_role sender);

/* CONNACK return codes of MQTT 3.1.1 (§3.2.2.3) from and to reason codes.  A reason without a return
 * code becomes the nearest one that has. */
uint8_t sq_mqtt_reason_to_v3(uint8_t reason);
uint8_t sq_mqtt_reason_from_v3(uint8_t code); /* 'code' at most 5 */

#endif
