/* MQTT control packets and their decoder: 3.1.1 (level 4), 5.0 (level 5), and
 * 3.1 ("MQIsdp", level 3) with the semantics of 3.1.1.
 *
 * Pure: no sockets, no clock, no allocation, no session state.  encode.h writes
 * packets, props.h and reason.h have the tables.  proto/topic checks topic filters beyond their form
 * as strings.  Section numbers are of the MQTT 5.0 standard. */
#ifndef SQ_PROTO_MQTT_MQTT_H
#define SQ_PROTO_MQTT_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/msg.h"
#include "proto/mqtt/props.h"
#include "proto/mqtt/reason.h"

enum sq_mqtt_type {
	SQ_MQTT_CONNECT = 1,
	SQ_MQTT_CONNACK,
	SQ_MQTT_PUBLISH,
	SQ_MQTT_PUBACK,
	SQ_MQTT_PUBREC,
	SQ_MQTT_PUBREL,
	SQ_MQTT_PUBCOMP,
	SQ_MQTT_SUBSCRIBE,
	SQ_MQTT_SUBACK,
	SQ_MQTT_UNSUBSCRIBE,
	SQ_MQTT_UNSUBACK,
	SQ_MQTT_PINGREQ,
	SQ_MQTT_PINGRESP,
	SQ_MQTT_DISCONNECT,
	SQ_MQTT_AUTH,
};

enum sq_mqtt_version { SQ_MQTT_V31 = 3, SQ_MQTT_V311 = 4, SQ_MQTT_V5 = 5 };

#define SQ_MQTT_MAX_REMAINING 268435455u /* §1.5.5 */

struct sq_mqtt_connect { /* §3.1; its properties are in the packet */
	uint8_t version;
	bool clean_start; /* 3.1.1: clean session */
	bool has_will, has_username, has_password;
	bool will_retain;
	uint8_t will_qos;
	uint16_t keep_alive_s;
	struct sq_bytes client_id; /* may be empty: the server's business */
	struct sq_bytes will_topic, will_payload, username, password;
	struct sq_mqtt_props will_props;
};

struct sq_mqtt_publish { /* §3.3 */
	uint8_t qos;
	bool dup, retain;
	uint16_t packet_id;    /* 0 with QoS 0 */
	struct sq_bytes topic; /* empty: by props.topic_alias */
	struct sq_bytes payload;
};

struct sq_mqtt_packet {
	uint8_t type; /* enum sq_mqtt_type; selects the valid member */
	union {
		struct sq_mqtt_connect connect;
		struct { /* §3.2 */
			bool session_present;
			uint8_t reason;
		} connack;
		struct sq_mqtt_publish publish;
		struct { /* PUBACK, PUBREC, PUBREL, PUBCOMP: §3.4 to §3.7 */
			uint16_t packet_id;
			uint8_t reason;
		} ack;
		struct { /* §3.8; at least one entry, for sq_mqtt_sub_next() */
			uint16_t packet_id;
			uint32_t count;
			struct sq_bytes entries;
		} subscribe;
		struct { /* §3.10; at least one filter, for sq_mqtt_filter_next() */
			uint16_t packet_id;
			uint32_t count;
			struct sq_bytes filters;
		} unsubscribe;
		struct { /* SUBACK and UNSUBACK: §3.9, §3.11 */
			uint16_t packet_id;
			struct sq_bytes reasons; /* a byte each; none in an UNSUBACK of 3.1.1 */
		} suback;
		struct { /* §3.14, §3.15 */
			uint8_t reason;
		} disconnect, auth;
	};
	struct sq_mqtt_props props; /* sq_mqtt_props_none in 3.1.1 */
};

/* One entry of a SUBSCRIBE (§3.8.3). */
struct sq_mqtt_sub {
	struct sq_bytes filter;
	uint8_t qos;
	bool no_local, retain_as_published;
	uint8_t retain_handling; /* 0 send, 1 send if new, 2 don't send */
};

/* Zero it, then set the first four fields. */
struct sq_mqtt_decoder {
	enum sq_mqtt_role role; /* of the decoder: a server decodes packets of clients */
	uint8_t version;        /* server: 0, set by CONNECT; client: its own */
	uint32_t max_packet;    /* whole packet, bytes; 0: the protocol's limit */
	bool plain; /* refuse control and non-characters in topics, filters, client id, user name */
	size_t need;       /* after SQ_EAGAIN: bytes that the next call needs */
	uint8_t reason;    /* after an error: reason code for the peer */
	const char *error; /* after an error: its description, with the section */
};

/* Decodes the packet that starts at 'p', of which 'len' bytes are there.
 *
 * 0: '*out' is filled, with views into 'p', and '*used' is its length.
 * SQ_EAGAIN: incomplete; call again with the same start and at least
 * decoder->need bytes (once the fixed header is there: the whole packet's).
 * SQ_EINVAL, SQ_ETOOBIG (only for max_packet): see 'reason' and 'error', send
 * CONNACK or DISCONNECT, close, and do not decode further.  After a bad CONNECT, 'version' is the
 * form of the answer; 0: the input is not MQTT, just close.  A wrong type, flags or size is refused
 * before the body has arrived.
 *
 * A server's decoder accepts CONNECT first, and once.  Its owner tracks packet identifiers, quotas,
 * alias limits and authentication. */
int sq_mqtt_decode(struct sq_mqtt_decoder *, const unsigned char *p, size_t len,
    struct sq_mqtt_packet *out, size_t *used) SQ_MUST_CHECK;

/* Take the next entry off '*rest' (start with a copy of the packet's view);
 * return false at the end. */
bool sq_mqtt_sub_next(struct sq_bytes *rest, struct sq_mqtt_sub *out);
bool sq_mqtt_filter_next(struct sq_bytes *rest, struct sq_bytes *filter);

/* "PUBLISH" and so on; "reserved" for values that are no type. */
const char *sq_mqtt_type_name(unsigned type);

#endif
