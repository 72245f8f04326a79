/* Encoding of MQTT packets; see encode.h.  Each encoder first adds up the exact
 * size, so that a packet that can't be is refused with nothing written. */
#include "proto/mqtt/encode.h"

#include <assert.h>
#include <string.h>

#include "proto/mqtt/mqtt_priv.h"

#define FIXED_MAX (1 + SQ_MQTT_VARINT_MAX)

/* A packet on its way into a buffer. */
struct out {
	struct sq_buf *buf;
	unsigned char *p, *end; /* where the next byte goes, where the last must */
	size_t size;
};

/* Adds sizes up; SIZE_MAX, "can't be", sticks. */
static size_t
add(size_t a, size_t b)
{
	return a == SIZE_MAX || b == SIZE_MAX ? SIZE_MAX : a + b;
}

static size_t
string_size(struct sq_bytes s)
{
	return s.len <= SQ_MQTT_STRING_MAX ? 2 + s.len : SIZE_MAX;
}

/* Size of the properties with their length; 0 before MQTT 5. */
static size_t
props_size(uint8_t version, const struct sq_mqtt_props *props)
{
	size_t n;

	if (version < SQ_MQTT_V5)
		return 0;
	n = props != NULL ? sq_mqtt_props_size(props) : 0;
	return n <= SQ_MQTT_MAX_REMAINING ? sq_mqtt_varint_size((uint32_t)n) + n : SIZE_MAX;
}

static unsigned char *
props_write(unsigned char *p, uint8_t version, const struct sq_mqtt_props *props)
{
	if (version < SQ_MQTT_V5)
		return p;
	if (props == NULL) {
		*p = 0;
		return p + 1;
	}
	p = sq_mqtt_varint_write(p, (uint32_t)sq_mqtt_props_size(props));
	return sq_mqtt_props_write(p, props);
}

/* Opens a packet whose body has 'size' bytes, writes its fixed header. */
static int
out_open(struct out *o, struct sq_buf *b, unsigned first, size_t size)
{
	if (size > SQ_MQTT_MAX_REMAINING)
		return SQ_ETOOBIG;
	o->buf = b;
	o->size = 1 + sq_mqtt_varint_size((uint32_t)size) + size;
	o->p = sq_buf_reserve(b, o->size);
	o->end = o->p + o->size;
	*o->p++ = (unsigned char)first;
	o->p = sq_mqtt_varint_write(o->p, (uint32_t)size);
	return 0;
}

/* Closes it: the body has exactly the bytes that were announced. */
static int
out_close(struct out *o)
{
	assert(o->p == o->end);
	sq_buf_commit(o->buf, o->size);
	return 0;
}

static void
out_u8(struct out *o, unsigned v)
{
	*o->p++ = (unsigned char)v;
}

static void
out_u16(struct out *o, uint16_t v)
{
	sq_put16(o->p, v);
	o->p += 2;
}

static void
out_string(struct out *o, struct sq_bytes s)
{
	o->p = sq_mqtt_string_write(o->p, s);
}

static void
out_props(struct out *o, uint8_t version, const struct sq_mqtt_props *props)
{
	o->p = props_write(o->p, version, props);
}

/* First byte of a packet of 'type', with the flags that the table asks for. */
static unsigned
first_byte(enum sq_mqtt_type type)
{
	return type << 4 | sq_mqtt_type_def(type)->flags;
}

size_t
sq_mqtt_ack(
    unsigned char *out, uint8_t version, enum sq_mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	bool shortest = version < SQ_MQTT_V5 || reason == SQ_MQTT_RC_SUCCESS;

	assert(type >= SQ_MQTT_PUBACK && type <= SQ_MQTT_PUBCOMP && packet_id != 0);
	out[0] = (unsigned char)first_byte(type);
	out[1] = shortest ? 2 : 3;
	sq_put16(out + 2, packet_id);
	out[4] = reason;
	return shortest ? 4 : 5;
}

void
sq_mqtt_put_ack(
    struct sq_buf *b, uint8_t version, enum sq_mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	unsigned char *p = sq_buf_reserve(b, SQ_MQTT_ACK_MAX);

	sq_buf_commit(b, sq_mqtt_ack(p, version, type, packet_id, reason));
}

int
sq_mqtt_put_ack_props(struct sq_buf *b, uint8_t version, enum sq_mqtt_type type, uint16_t packet_id,
    uint8_t reason, const struct sq_mqtt_props *props)
{
	struct out o;
	int rc;

	if (version < SQ_MQTT_V5 || props == NULL || props->has == 0) {
		sq_mqtt_put_ack(b, version, type, packet_id, reason);
		return 0;
	}
	assert(packet_id != 0);
	rc = out_open(&o, b, first_byte(type), add(3, props_size(version, props)));
	if (rc != 0)
		return rc;
	out_u16(&o, packet_id);
	out_u8(&o, reason);
	out_props(&o, version, props);
	return out_close(&o);
}

static size_t
connect_size(const struct sq_mqtt_connect *con, bool v31, const struct sq_mqtt_props *props)
{
	size_t size = add(v31 ? 12 : 10, props_size(con->version, props));

	size = add(size, string_size(con->client_id));
	if (con->has_will) {
		size = add(size, props_size(con->version, &con->will_props));
		size = add(size, string_size(con->will_topic));
		size = add(size, string_size(con->will_payload));
	}
	if (con->has_username)
		size = add(size, string_size(con->username));
	if (con->has_password)
		size = add(size, string_size(con->password));
	return size;
}

int
sq_mqtt_put_connect(
    struct sq_buf *b, const struct sq_mqtt_connect *con, const struct sq_mqtt_props *props)
{
	static const struct sq_bytes names[] = {
	    {(const unsigned char *)"MQTT", 4}, {(const unsigned char *)"MQIsdp", 6}};
	bool v31 = con->version == SQ_MQTT_V31;
	struct out o;
	int rc = out_open(&o, b, first_byte(SQ_MQTT_CONNECT), connect_size(con, v31, props));

	if (rc != 0)
		return rc;
	out_string(&o, names[v31]);
	out_u8(&o, con->version);
	out_u8(&o,
	    (unsigned)con->has_username << 7 | (unsigned)con->has_password << 6 |
		(con->has_will ? (unsigned)con->will_retain << 5 | con->will_qos << 3 | 4 : 0) |
		(unsigned)con->clean_start << 1);
	out_u16(&o, con->keep_alive_s);
	out_props(&o, con->version, props);
	out_string(&o, con->client_id);
	if (con->has_will) {
		out_props(&o, con->version, &con->will_props);
		out_string(&o, con->will_topic);
		out_string(&o, con->will_payload);
	}
	if (con->has_username)
		out_string(&o, con->username);
	if (con->has_password)
		out_string(&o, con->password);
	return out_close(&o);
}

int
sq_mqtt_put_connack(struct sq_buf *b, uint8_t version, bool session_present, uint8_t reason,
    const struct sq_mqtt_props *props)
{
	struct out o;
	int rc = out_open(&o, b, first_byte(SQ_MQTT_CONNACK), add(2, props_size(version, props)));

	if (rc != 0)
		return rc;
	/* MQTT 3.1 has no such flag: its byte is reserved. */
	out_u8(&o, session_present && reason == SQ_MQTT_RC_SUCCESS && version > SQ_MQTT_V31);
	out_u8(&o, version < SQ_MQTT_V5 ? sq_mqtt_reason_to_v3(reason) : reason);
	out_props(&o, version, props);
	return out_close(&o);
}

int
sq_mqtt_put_subscribe(struct sq_buf *b, uint8_t version, uint16_t packet_id,
    const struct sq_mqtt_sub *subs, size_t n, const struct sq_mqtt_props *props)
{
	size_t size = add(2, props_size(version, props));
	struct out o;
	int rc;

	assert(packet_id != 0 && n > 0);
	for (size_t i = 0; i < n; i++)
		size = add(size, add(1, string_size(subs[i].filter)));
	rc = out_open(&o, b, first_byte(SQ_MQTT_SUBSCRIBE), size);
	if (rc != 0)
		return rc;
	out_u16(&o, packet_id);
	out_props(&o, version, props);
	for (size_t i = 0; i < n; i++) {
		unsigned opts = (unsigned)subs[i].no_local << 2 |
		    (unsigned)subs[i].retain_as_published << 3 |
		    (unsigned)subs[i].retain_handling << 4;

		out_string(&o, subs[i].filter);
		out_u8(&o, version < SQ_MQTT_V5 ? subs[i].qos : opts | subs[i].qos);
	}
	return out_close(&o);
}

int
sq_mqtt_put_unsubscribe(struct sq_buf *b, uint8_t version, uint16_t packet_id,
    const struct sq_bytes *filters, size_t n, const struct sq_mqtt_props *props)
{
	size_t size = add(2, props_size(version, props));
	struct out o;
	int rc;

	assert(packet_id != 0 && n > 0);
	for (size_t i = 0; i < n; i++)
		size = add(size, string_size(filters[i]));
	rc = out_open(&o, b, first_byte(SQ_MQTT_UNSUBSCRIBE), size);
	if (rc != 0)
		return rc;
	out_u16(&o, packet_id);
	out_props(&o, version, props);
	for (size_t i = 0; i < n; i++)
		out_string(&o, filters[i]);
	return out_close(&o);
}

int
sq_mqtt_put_suback(struct sq_buf *b, uint8_t version, enum sq_mqtt_type type, uint16_t packet_id,
    const uint8_t *reasons, size_t n, const struct sq_mqtt_props *props)
{
	struct out o;
	int rc;

	assert(packet_id != 0 && (type == SQ_MQTT_SUBACK || type == SQ_MQTT_UNSUBACK));
	if (version < SQ_MQTT_V5 && type == SQ_MQTT_UNSUBACK)
		n = 0;
	rc = out_open(&o, b, first_byte(type), add(add(2, n), props_size(version, props)));
	if (rc != 0)
		return rc;
	out_u16(&o, packet_id);
	out_props(&o, version, props);
	for (size_t i = 0; i < n; i++) {
		bool failed = reasons[i] >= SQ_MQTT_RC_UNSPECIFIED;

		out_u8(&o, version < SQ_MQTT_V5 && failed ? SQ_MQTT_RC_UNSPECIFIED : reasons[i]);
	}
	return out_close(&o);
}

int
sq_mqtt_put_disconnect(
    struct sq_buf *b, uint8_t version, uint8_t reason, const struct sq_mqtt_props *props)
{
	bool plain = props == NULL || props->has == 0;
	size_t size = plain ? reason != SQ_MQTT_RC_SUCCESS : add(1, props_size(version, props));
	struct out o;
	int rc;

	if (version < SQ_MQTT_V5)
		size = 0;
	rc = out_open(&o, b, first_byte(SQ_MQTT_DISCONNECT), size);
	if (rc != 0)
		return rc;
	if (size > 0)
		out_u8(&o, reason);
	if (size > 1)
		out_props(&o, version, props);
	return out_close(&o);
}

int
sq_mqtt_put_auth(struct sq_buf *b, uint8_t reason, const struct sq_mqtt_props *props)
{
	bool shortest = reason == SQ_MQTT_RC_SUCCESS && (props == NULL || props->has == 0);
	size_t size = shortest ? 0 : add(1, props_size(SQ_MQTT_V5, props));
	struct out o;
	int rc = out_open(&o, b, first_byte(SQ_MQTT_AUTH), size);

	if (rc != 0)
		return rc;
	if (!shortest) {
		out_u8(&o, reason);
		out_props(&o, SQ_MQTT_V5, props);
	}
	return out_close(&o);
}

void
sq_mqtt_put_pingreq(struct sq_buf *b)
{
	sq_buf_append(b, "\xc0\x00", 2);
}

void
sq_mqtt_put_pingresp(struct sq_buf *b)
{
	sq_buf_append(b, "\xd0\x00", 2);
}

/* SUBSCRIBE and UNSUBSCRIBE as the decoder left them: entries as they are. */
static int
put_entries(struct sq_buf *b, uint8_t version, const struct sq_mqtt_packet *pkt, uint16_t packet_id,
    struct sq_bytes entries)
{
	struct out o;
	int rc = out_open(&o, b, first_byte(pkt->type),
	    add(add(2, entries.len), props_size(version, &pkt->props)));

	if (rc != 0)
		return rc;
	out_u16(&o, packet_id);
	out_props(&o, version, &pkt->props);
	memcpy(o.p, entries.p, entries.len);
	o.p += entries.len;
	return out_close(&o);
}

static int
put_publish(struct sq_buf *b, uint8_t version, const struct sq_mqtt_packet *pkt)
{
	const struct sq_mqtt_publish *pub = &pkt->publish;
	size_t size = add(string_size(pub->topic), pub->qos > 0 ? 2 : 0);
	struct out o;
	int rc;

	size = add(add(size, props_size(version, &pkt->props)), pub->payload.len);
	rc = out_open(&o, b,
	    SQ_MQTT_PUBLISH << 4 | (unsigned)pub->dup << 3 | (unsigned)pub->qos << 1 | pub->retain,
	    size);
	if (rc != 0)
		return rc;
	out_string(&o, pub->topic);
	if (pub->qos > 0)
		out_u16(&o, pub->packet_id);
	out_props(&o, version, &pkt->props);
	if (pub->payload.len > 0)
		memcpy(o.p, pub->payload.p, pub->payload.len);
	o.p += pub->payload.len;
	return out_close(&o);
}

int
sq_mqtt_put(struct sq_buf *b, uint8_t version, const struct sq_mqtt_packet *pkt)
{
	const struct sq_mqtt_props *props = &pkt->props;

	switch ((enum sq_mqtt_type)pkt->type) {
	case SQ_MQTT_CONNECT:
		return sq_mqtt_put_connect(b, &pkt->connect, props);
	case SQ_MQTT_CONNACK:
		return sq_mqtt_put_connack(
		    b, version, pkt->connack.session_present, pkt->connack.reason, props);
	case SQ_MQTT_PUBLISH:
		return put_publish(b, version, pkt);
	case SQ_MQTT_PUBACK:
	case SQ_MQTT_PUBREC:
	case SQ_MQTT_PUBREL:
	case SQ_MQTT_PUBCOMP:
		return sq_mqtt_put_ack_props(
		    b, version, pkt->type, pkt->ack.packet_id, pkt->ack.reason, props);
	case SQ_MQTT_SUBSCRIBE:
		return put_entries(
		    b, version, pkt, pkt->subscribe.packet_id, pkt->subscribe.entries);
	case SQ_MQTT_UNSUBSCRIBE:
		return put_entries(
		    b, version, pkt, pkt->unsubscribe.packet_id, pkt->unsubscribe.filters);
	case SQ_MQTT_SUBACK:
	case SQ_MQTT_UNSUBACK:
		return sq_mqtt_put_suback(b, version, pkt->type, pkt->suback.packet_id,
		    pkt->suback.reasons.p, pkt->suback.reasons.len, props);
	case SQ_MQTT_PINGREQ:
		sq_mqtt_put_pingreq(b);
		return 0;
	case SQ_MQTT_PINGRESP:
		sq_mqtt_put_pingresp(b);
		return 0;
	case SQ_MQTT_DISCONNECT:
		return sq_mqtt_put_disconnect(b, version, pkt->disconnect.reason, props);
	case SQ_MQTT_AUTH:
		return sq_mqtt_put_auth(b, pkt->auth.reason, props);
	}
	return SQ_EINVAL;
}
