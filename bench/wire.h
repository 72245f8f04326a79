/* The few MQTT packets that a load generator needs, 3.1.1 and 5.
 *
 * On purpose it isn't the project's codec: what measures and checks the
 * brokers must not share their mistakes.  The receive path is inline because
 * it runs millions of times a second. */
#ifndef SQ_BENCH_WIRE_H
#define SQ_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/bytes.h"

enum sq_wire_type {
	SQ_WIRE_CONNACK = 2,
	SQ_WIRE_PUBLISH = 3,
	SQ_WIRE_PUBACK = 4,
	SQ_WIRE_PUBREC = 5,
	SQ_WIRE_PUBREL = 6,
	SQ_WIRE_PUBCOMP = 7,
	SQ_WIRE_SUBACK = 9,
	SQ_WIRE_DISCONNECT = 14,
};

struct sq_wire_frame {
	unsigned char head; /* type and flags */
	const unsigned char *body;
	size_t len;   /* of the body */
	size_t total; /* with the fixed header */
};

struct sq_wire_msg {
	const unsigned char *payload;
	size_t len;
	uint16_t packet_id; /* 0 at QoS 0 */
	uint8_t qos;
};

struct sq_wire_connect {
	const char *client_id;
	bool v5;
	bool clean;
	uint32_t expiry_s;    /* MQTT 5, when not clean */
	uint16_t receive_max; /* MQTT 5; 0: none is said */
};

struct sq_wire_connack {
	uint8_t reason; /* 0: accepted */
	uint16_t receive_max;
	bool present; /* the session was there */
};

/* What sq_wire_template() built: copy it, patch it, send it. */
struct sq_wire_template {
	unsigned char *bytes; /* the caller frees it */
	size_t len;
	size_t packet_id_at; /* unused at QoS 0 */
	size_t payload_at;
};

/* Variable byte integer.  Returns the bytes used, 0 if there are too few, -1
 * if it is malformed. */
static inline int
sq_wire_varint(const unsigned char *p, size_t n, size_t *value)
{
	size_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		if (i >= n)
			return 0;
		v |= (size_t)(p[i] & 0x7f) << (7 * i);
		if (p[i] < 0x80) {
			*value = v;
			return (int)i + 1;
		}
	}
	return -1;
}

/* Cuts one packet off the front of 'n' bytes.  Returns 1, 0 if it isn't whole
 * yet (f->total is then its size, or 0 if that isn't known), -1 if malformed. */
static inline int
sq_wire_cut(const unsigned char *p, size_t n, struct sq_wire_frame *f)
{
	size_t len = 0;
	int used;

	f->total = 0;
	if (n < 2)
		return 0;
	used = sq_wire_varint(p + 1, n - 1, &len);
	if (used <= 0)
		return used;
	f->head = p[0];
	f->body = p + 1 + used;
	f->len = len;
	f->total = 1 + (size_t)used + len;
	return f->total <= n;
}

/* Reads a PUBLISH; returns false if it is malformed. */
static inline bool
sq_wire_read_publish(const struct sq_wire_frame *f, bool v5, struct sq_wire_msg *m)
{
	size_t at, props;
	int used;

	if (f->len < 2)
		return false;
	m->qos = f->head >> 1 & 3;
	at = 2 + (size_t)sq_get16(f->body);
	m->packet_id = 0;
	if (m->qos > 0) {
		if (at + 2 > f->len)
			return false;
		m->packet_id = sq_get16(f->body + at);
		at += 2;
	}
	if (v5) {
		if (at >= f->len)
			return false;
		used = sq_wire_varint(f->body + at, f->len - at, &props);
		if (used <= 0)
			return false;
		at += (size_t)used + props;
	}
	if (at > f->len)
		return false;
	m->payload = f->body + at;
	m->len = f->len - at;
	return true;
}

/* Writes PUBACK, PUBREC, PUBREL or PUBCOMP with success: 4 bytes. */
static inline void
sq_wire_put_ack(unsigned char *out, enum sq_wire_type type, uint16_t packet_id)
{
	out[0] = (unsigned char)(type << 4 | (type == SQ_WIRE_PUBREL ? 2 : 0));
	out[1] = 2;
	sq_put16(out + 2, packet_id);
}

/* Reads what sq_wire_put_ack() writes, from a peer; false if malformed. */
bool sq_wire_read_ack(const struct sq_wire_frame *, uint16_t *packet_id, uint8_t *reason);
bool sq_wire_read_connack(const struct sq_wire_frame *, bool v5, struct sq_wire_connack *);
/* Reads a SUBACK for one filter; 'code' is what it grants or why not. */
bool sq_wire_read_suback(const struct sq_wire_frame *, bool v5, uint16_t *packet_id, uint8_t *code);

enum { SQ_WIRE_SMALL = 512 }; /* room for any of the packets below */

/* Write into SQ_WIRE_SMALL bytes and return the length.  Names are cut off
 * at 200 bytes. */
size_t sq_wire_put_connect(unsigned char *out, const struct sq_wire_connect *);
size_t sq_wire_put_subscribe(
    unsigned char *out, uint16_t packet_id, const char *filter, uint8_t qos, bool v5);
/* DISCONNECT; 'forget' makes an MQTT 5 session end with the connection. */
size_t sq_wire_put_disconnect(unsigned char *out, bool v5, bool forget);

/* Builds a whole PUBLISH with a payload of 'size' bytes of filler. */
struct sq_wire_template sq_wire_template(const char *topic, uint8_t qos, size_t size, bool v5);

#endif
