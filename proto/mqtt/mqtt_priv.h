/* The inner interface of proto/mqtt: rows of the tables, failure of a decoder, and variable byte
 * integers. */
#ifndef SQ_PROTO_MQTT_MQTT_PRIV_H
#define SQ_PROTO_MQTT_MQTT_PRIV_H

#include "core/bytes.h"
#include "core/utf8.h"
#include "proto/mqtt/mqtt.h"

/* Sets of packets, as bits by type.  A will is not a packet, but has
 * properties like one; type 0 is free for it. */
#define SQ_MQTT_WILL 0u
#define SQ_MQTT_BIT(type) (1u << (type))

#define SQ_MQTT_VARINT_MAX 4u /* bytes */
#define SQ_MQTT_STRING_MAX 65535u

struct sq_mqtt_type_def {
	const char *name;
	uint8_t flags, flags_mask; /* required value of the masked low bits (§2.1.3) */
	uint8_t client, server;    /* first version in which each sends the type; 0: never */
	uint32_t min[2], max[2];   /* of the remaining length: 3.1.1, 5.0 */
};

enum sq_mqtt_prop_type {
	MQTT_BYTE,
	MQTT_U16,
	MQTT_U32,
	MQTT_VARINT,
	MQTT_STRING,
	MQTT_BINARY,
	MQTT_PAIR
};

struct sq_mqtt_prop_def {
	enum sq_mqtt_prop_type type;
	uint8_t id; /* 0: no such property */
	bool forward;
	uint16_t offset;         /* of its field in struct sq_mqtt_props */
	uint16_t client, server; /* sets of packets in which they may send it */
	uint32_t min, max;       /* both 0: any */
	const char *misplaced, *twice, *range, *string; /* error texts */
};

/* Row of 'type', 0 to 15. */
const struct sq_mqtt_type_def *sq_mqtt_type_def(unsigned type);
/* Row of property 'id', or NULL. */
const struct sq_mqtt_prop_def *sq_mqtt_prop_def(uint8_t id);

/* Stores the reason of the refusal in the decoder and returns SQ_EINVAL. */
__attribute__((cold, noinline)) int
sq_mqtt_fail(struct sq_mqtt_decoder *, uint8_t reason, const char *error);

static inline enum sq_mqtt_role
sq_mqtt_sender(const struct sq_mqtt_decoder *d)
{
	return d->role == SQ_MQTT_SERVER ? SQ_MQTT_CLIENT : SQ_MQTT_SERVER;
}

/* Reads a string (§1.5.4, UTF-8 checked) or binary data (§1.5.6). */
int sq_mqtt_read_string(struct sq_mqtt_decoder *, struct sq_reader *, struct sq_bytes *out);
int sq_mqtt_read_binary(struct sq_mqtt_decoder *, struct sq_reader *, struct sq_bytes *out);
/* Reads a name: a string without control characters and non-characters if the decoder is 'plain'
 * (§1.5.4). */
int sq_mqtt_read_name(struct sq_mqtt_decoder *, struct sq_reader *, struct sq_bytes *out);
#define SQ_MQTT_NOT_PLAIN "name with a control character or a non-character (MQTT 1.5.4)"
/* Reads a string that is a topic name (§4.7): no wildcards; may be empty. */
int sq_mqtt_read_topic(struct sq_mqtt_decoder *, struct sq_reader *, struct sq_bytes *out);
bool sq_mqtt_has_wildcard(struct sq_bytes topic);
/* Reads a packet identifier (§2.2.1), which is never 0. */
int sq_mqtt_read_packet_id(struct sq_mqtt_decoder *, struct sq_reader *, uint16_t *out);

/* Reads properties with their length for 'type' (or SQ_MQTT_WILL). */
int sq_mqtt_props_read(
    struct sq_mqtt_decoder *, struct sq_reader *, unsigned type, struct sq_mqtt_props *out);
/* Bytes of the properties as encoded, without and with their length; SIZE_MAX
 * if one can't be encoded. */
size_t sq_mqtt_props_size(const struct sq_mqtt_props *);
/* Writes them without their length; returns the end. */
unsigned char *sq_mqtt_props_write(unsigned char *p, const struct sq_mqtt_props *);

/* Read bodies; the reader has all bytes behind the fixed header. */
int sq_mqtt_read_connect(struct sq_mqtt_decoder *, struct sq_reader *, struct sq_mqtt_packet *);
int sq_mqtt_read_connack(struct sq_mqtt_decoder *, struct sq_reader *, struct sq_mqtt_packet *);
int sq_mqtt_read_subscribe(struct sq_mqtt_decoder *, struct sq_reader *, struct sq_mqtt_packet *);
int sq_mqtt_read_unsubscribe(struct sq_mqtt_decoder *, struct sq_reader *, struct sq_mqtt_packet *);
/* SUBACK and UNSUBACK. */
int sq_mqtt_read_suback(struct sq_mqtt_decoder *, struct sq_reader *, struct sq_mqtt_packet *);

/* Variable byte integers (§1.5.5).  Reading refuses what is cut off, above four
 * bytes, or longer than it must be: that sets 'bad'. */
uint32_t sq_mqtt_read_varint(struct sq_reader *);

static inline size_t
sq_mqtt_varint_size(uint32_t v)
{
	return v < 1u << 7 ? 1 : v < 1u << 14 ? 2 : v < 1u << 21 ? 3 : 4;
}

static inline unsigned char *
sq_mqtt_varint_write(unsigned char *p, uint32_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (unsigned char)(v | 0x80);
	*p++ = (unsigned char)v;
	return p;
}

static inline unsigned char *
sq_mqtt_string_write(unsigned char *p, struct sq_bytes s)
{
	sq_put16(p, (uint16_t)s.len);
	if (s.len > 0)
		memcpy(p + 2, s.p, s.len);
	return p + 2 + s.len;
}

#endif
