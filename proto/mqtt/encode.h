/* MQTT packets to bytes.  A PUBLISH is written as a head to which the payload
 * is sent as an element of its own, so that it is never copied.
 *
 * 'version' is the receiver's (enum sq_mqtt_version); below 5 properties are
 * left out and reasons translated or dropped.  'props' may be NULL for none.
 * The caller keeps the receiver's Maximum Packet Size.  Functions that return
 * int yield 0, or SQ_ETOOBIG and an unchanged buffer when a string is above 65,535 bytes or the
 * packet is above the limit of the fixed header. */
#ifndef SQ_PROTO_MQTT_ENCODE_H
#define SQ_PROTO_MQTT_ENCODE_H

#include "core/buf.h"
#include "proto/mqtt/mqtt.h"

struct sq_mqtt_publish_out {
	uint8_t version;
	uint8_t qos;
	bool dup, retain;
	uint16_t packet_id;   /* not 0 with QoS 1 and 2 */
	uint16_t topic_alias; /* 0: none; with one, 'topic' may be empty */
	uint32_t expiry_s;    /* SQ_MSG_NO_EXPIRY: none */
	struct sq_bytes topic;
	struct sq_bytes props;   /* the message's forwardable block, copied unchanged */
	const uint32_t *sub_ids; /* subscription identifiers, 1 to 268,435,455 */
	size_t sub_ids_n;
	size_t payload_len;
};

/* Bytes of the head of a PUBLISH; 0: it is too long to be encoded.  The packet's size is the head
 * and payload_len. */
size_t sq_mqtt_publish_head_size(const struct sq_mqtt_publish_out *);
/* Room that is enough for the head, without a look at what it needs. */
static inline size_t
sq_mqtt_publish_head_room(const struct sq_mqtt_publish_out *p)
{
	enum { SUB_ID = 5, REST = 64 }; /* an identifier at most; all that is not named below */

	return p->topic.len + p->props.len + SUB_ID * p->sub_ids_n + REST;
}

/* Writes the head: fixed header, topic, packet id, properties.  Returns its
 * bytes, or 0 when 'cap' is too small or it can't be encoded. */
size_t sq_mqtt_publish_head(unsigned char *out, size_t cap, const struct sq_mqtt_publish_out *);

#define SQ_MQTT_ACK_MAX 5u

/* Writes a PUBACK, PUBREC, PUBREL or PUBCOMP without properties, in its short
 * form for success, to 'out' (SQ_MQTT_ACK_MAX bytes); returns its bytes. */
size_t sq_mqtt_ack(unsigned char *out, uint8_t version, enum sq_mqtt_type type, uint16_t packet_id,
    uint8_t reason);
void sq_mqtt_put_ack(
    struct sq_buf *, uint8_t version, enum sq_mqtt_type type, uint16_t packet_id, uint8_t reason);
int sq_mqtt_put_ack_props(struct sq_buf *, uint8_t version, enum sq_mqtt_type type,
    uint16_t packet_id, uint8_t reason, const struct sq_mqtt_props *props) SQ_MUST_CHECK;

/* Appends a CONNECT in the form of connect->version. */
int sq_mqtt_put_connect(struct sq_buf *, const struct sq_mqtt_connect *connect,
    const struct sq_mqtt_props *props) SQ_MUST_CHECK;
int sq_mqtt_put_connack(struct sq_buf *, uint8_t version, bool session_present, uint8_t reason,
    const struct sq_mqtt_props *props) SQ_MUST_CHECK;
int sq_mqtt_put_subscribe(struct sq_buf *, uint8_t version, uint16_t packet_id,
    const struct sq_mqtt_sub *subs, size_t n, const struct sq_mqtt_props *props) SQ_MUST_CHECK;
int sq_mqtt_put_unsubscribe(struct sq_buf *, uint8_t version, uint16_t packet_id,
    const struct sq_bytes *filters, size_t n, const struct sq_mqtt_props *props) SQ_MUST_CHECK;
/* SUBACK or UNSUBACK with 'n' reason codes (3.1.1: every failure as 0x80; no
 * codes at all in an UNSUBACK). */
int sq_mqtt_put_suback(struct sq_buf *, uint8_t version, enum sq_mqtt_type type, uint16_t packet_id,
    const uint8_t *reasons, size_t n, const struct sq_mqtt_props *props) SQ_MUST_CHECK;
/* In 3.1.1 only a client sends a DISCONNECT, and it has no reason code. */
int sq_mqtt_put_disconnect(struct sq_buf *, uint8_t version, uint8_t reason,
    const struct sq_mqtt_props *props) SQ_MUST_CHECK;
/* MQTT 5 only. */
int
sq_mqtt_put_auth(struct sq_buf *, uint8_t reason, const struct sq_mqtt_props *props) SQ_MUST_CHECK;
void sq_mqtt_put_pingreq(struct sq_buf *);
void sq_mqtt_put_pingresp(struct sq_buf *);

/* Appends any packet in the form that the decoder yields; a PUBLISH with its payload. */
int sq_mqtt_put(struct sq_buf *, uint8_t version, const struct sq_mqtt_packet *) SQ_MUST_CHECK;

#endif
