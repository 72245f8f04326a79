/* The rare packets of the generator's MQTT; the frequent ones are inline. */
#include "bench/wire.h"

#include <assert.h>
#include <stdlib.h>

enum { NAME_MAX_BYTES = 200 };

enum prop {
	PROP_SESSION_EXPIRY = 0x11,
	PROP_RECEIVE_MAX = 0x21,
};

static size_t
wire_put_varint(unsigned char *out, size_t v)
{
	size_t n = 0;

	do {
		out[n] = (unsigned char)(v & 0x7f);
		v >>= 7;
		if (v > 0)
			out[n] |= 0x80;
		n++;
	} while (v > 0);
	return n;
}

static size_t
wire_put_string(unsigned char *out, const char *s)
{
	size_t len = strnlen(s, NAME_MAX_BYTES);

	sq_put16(out, (uint16_t)len);
	memcpy(out + 2, s, len);
	return 2 + len;
}

/* Puts the fixed header before the body in 'body' and returns the total. */
static size_t
wire_finish(unsigned char *out, unsigned char head, const unsigned char *body, size_t len)
{
	size_t n;

	out[0] = head;
	n = 1 + wire_put_varint(out + 1, len);
	memcpy(out + n, body, len);
	return n + len;
}

static size_t
wire_put_connect_props(unsigned char *b, const struct sq_wire_connect *c)
{
	size_t n = 1;

	if (!c->clean) {
		b[n++] = PROP_SESSION_EXPIRY;
		sq_put32(b + n, c->expiry_s);
		n += 4;
	}
	if (c->receive_max > 0) {
		b[n++] = PROP_RECEIVE_MAX;
		sq_put16(b + n, c->receive_max);
		n += 2;
	}
	b[0] = (unsigned char)(n - 1);
	return n;
}

size_t
sq_wire_put_connect(unsigned char *out, const struct sq_wire_connect *c)
{
	unsigned char b[SQ_WIRE_SMALL];
	size_t n = wire_put_string(b, "MQTT");

	b[n++] = c->v5 ? 5 : 4;
	b[n++] = c->clean ? 2 : 0;
	sq_put16(b + n, 0); /* no keep-alive */
	n += 2;
	if (c->v5)
		n += wire_put_connect_props(b + n, c);
	n += wire_put_string(b + n, c->client_id);
	return wire_finish(out, 0x10, b, n);
}

size_t
sq_wire_put_subscribe(
    unsigned char *out, uint16_t packet_id, const char *filter, uint8_t qos, bool v5)
{
	unsigned char b[SQ_WIRE_SMALL];
	size_t n = 2;

	sq_put16(b, packet_id);
	if (v5)
		b[n++] = 0;
	n += wire_put_string(b + n, filter);
	b[n++] = qos;
	return wire_finish(out, 0x82, b, n);
}

size_t
sq_wire_put_disconnect(unsigned char *out, bool v5, bool forget)
{
	unsigned char b[8] = {0};

	if (!v5 || !forget)
		return wire_finish(out, 0xe0, b, 0);
	b[0] = 0; /* normal disconnection */
	b[1] = 5;
	b[2] = PROP_SESSION_EXPIRY;
	sq_put32(b + 3, 0);
	return wire_finish(out, 0xe0, b, 7);
}

struct sq_wire_template
sq_wire_template(const char *topic, uint8_t qos, size_t size, bool v5)
{
	size_t topic_len = strnlen(topic, NAME_MAX_BYTES);
	size_t len = 2 + topic_len + (qos > 0 ? 2 : 0) + (v5 ? 1 : 0) + size;
	struct sq_wire_template t = {.bytes = malloc(5 + len)};

	if (t.bytes == NULL)
		abort();
	t.bytes[0] = (unsigned char)(SQ_WIRE_PUBLISH << 4 | qos << 1);
	t.len = 1 + wire_put_varint(t.bytes + 1, len);
	t.len += wire_put_string(t.bytes + t.len, topic);
	t.packet_id_at = t.len;
	if (qos > 0)
		t.len += 2;
	if (v5)
		t.bytes[t.len++] = 0;
	t.payload_at = t.len;
	for (size_t i = 0; i < size; i++)
		t.bytes[t.len++] = (unsigned char)('a' + i % 26);
	assert(t.len <= 5 + len);
	return t;
}

bool
sq_wire_read_ack(const struct sq_wire_frame *f, uint16_t *packet_id, uint8_t *reason)
{
	if (f->len < 2)
		return false;
	*packet_id = sq_get16(f->body);
	*reason = f->len > 2 ? f->body[2] : 0;
	return true;
}

/* Finds the receive maximum among CONNACK's properties. */
static bool
wire_connack_props(const unsigned char *p, size_t n, struct sq_wire_connack *c)
{
	struct sq_reader r = sq_reader(p, n);

	while (!r.bad && sq_reader_left(&r) > 0) {
		uint8_t id = sq_read8(&r);

		switch (id) {
		case PROP_RECEIVE_MAX:
			c->receive_max = sq_read16(&r);
			break;
		case 0x24:
		case 0x25:
		case 0x28:
		case 0x29:
		case 0x2a:
			sq_read8(&r);
			break;
		case 0x13:
		case 0x22:
			sq_read16(&r);
			break;
		case PROP_SESSION_EXPIRY:
		case 0x27:
			sq_read32(&r);
			break;
		case 0x26: /* user property: two strings */
			sq_read_bytes(&r, sq_read16(&r));
			/* fall through */
		case 0x12:
		case 0x15:
		case 0x16:
		case 0x1a:
		case 0x1c:
		case 0x1f:
			sq_read_bytes(&r, sq_read16(&r));
			break;
		default:
			return false;
		}
	}
	return !r.bad;
}

bool
sq_wire_read_connack(const struct sq_wire_frame *f, bool v5, struct sq_wire_connack *c)
{
	size_t props;
	int used;

	if (f->len < 2)
		return false;
	c->reason = f->body[1];
	c->present = f->body[0] & 1;
	c->receive_max = UINT16_MAX;
	if (!v5 || f->len == 2)
		return true;
	used = sq_wire_varint(f->body + 2, f->len - 2, &props);
	if (used <= 0 || 2 + (size_t)used + props != f->len)
		return false;
	return wire_connack_props(f->body + 2 + used, props, c);
}

bool
sq_wire_read_suback(const struct sq_wire_frame *f, bool v5, uint16_t *packet_id, uint8_t *code)
{
	size_t at = 2, props = 0;
	int used;

	if (v5 && f->len > 2) {
		used = sq_wire_varint(f->body + 2, f->len - 2, &props);
		if (used <= 0)
			return false;
		at += (size_t)used + props;
	}
	if (at + 1 != f->len)
		return false;
	*packet_id = sq_get16(f->body);
	*code = f->body[at];
	return true;
}
