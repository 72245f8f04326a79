/* The packet decoder: fixed header, dispatch, PUBLISH and the small packets.
 * CONNECT and CONNACK are in decode_connect.c, SUBSCRIBE and its kin in
 * decode_subscribe.c.
 *
 * Type, flags, direction and length come first, from the table, so that a bad
 * packet is refused on its first bytes.  The body is read only when it is all
 * there, so no state is kept between calls but how much to wait for. */
#include "proto/mqtt/mqtt.h"

#include <assert.h>
#include <string.h>

#include "proto/mqtt/mqtt_priv.h"

struct header {
	uint8_t first;
	bool padded; /* remaining length in more bytes than it needs */
	uint8_t size;
	uint32_t remaining;
};

/* Checks the flags of a PUBLISH (§3.3.1). */
static int
decode_publish_flags(struct sq_mqtt_decoder *d, uint8_t first)
{
	if ((first & 0x06) == 0x06)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, "PUBLISH with QoS 3 (MQTT 3.3.1.2)");
	if ((first & 0x0e) == 0x08)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_MALFORMED, "PUBLISH with DUP and QoS 0 (MQTT 3.3.1.1)");
	return 0;
}

/* Checks the first byte: type, who may send it and when, flags (§2.1). */
static int
decode_first(struct sq_mqtt_decoder *d, uint8_t first)
{
	unsigned type = first >> 4;
	const struct sq_mqtt_type_def *def = sq_mqtt_type_def(type);
	uint8_t since = d->role == SQ_MQTT_SERVER ? def->client : def->server;
	uint8_t flags = first & def->flags_mask;

	if (type == 0 || (type == SQ_MQTT_AUTH && d->version != 0 && d->version < SQ_MQTT_V5))
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, "reserved packet type (MQTT 2.1.2)");
	if (since == 0 || (d->version != 0 && since > d->version))
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "packet that this side does not send (MQTT 2.1.2)");
	if (d->role == SQ_MQTT_SERVER && (type == SQ_MQTT_CONNECT) != (d->version == 0))
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    d->version == 0 ? "first packet is not CONNECT (MQTT 3.1)"
				    : "second CONNECT on a connection (MQTT 3.1)");
	if (type == SQ_MQTT_PUBLISH)
		return decode_publish_flags(d, first);
	if (d->version == SQ_MQTT_V31 && def->flags != 0)
		flags &= 0x07; /* 3.1 has DUP in these, too (its §2.1) */
	if (flags != def->flags)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_MALFORMED, "reserved flags are wrong (MQTT 2.1.3)");
	return 0;
}

/* Checks the packet's length, as far as it can without the body. */
static int
decode_length(struct sq_mqtt_decoder *d, const struct header *h)
{
	const struct sq_mqtt_type_def *def = sq_mqtt_type_def(h->first >> 4);
	unsigned v5 = d->version == SQ_MQTT_V5;

	if (d->max_packet != 0 && h->remaining + h->size > d->max_packet) {
		(void)sq_mqtt_fail(d, SQ_MQTT_RC_PACKET_TOO_LARGE,
		    "packet above the maximum packet size (MQTT 3.1.2.11.4)");
		return SQ_ETOOBIG;
	}
	if (v5 && h->padded)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
		    "remaining length in more bytes than it needs (MQTT 1.5.5)");
	if (h->remaining < def->min[v5] || h->remaining > def->max[v5])
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
		    "remaining length is wrong for this type of packet (MQTT 2.1.4)");
	return 0;
}

/* Reads the fixed header; SQ_EAGAIN with 'need' set when it is incomplete. */
static int
decode_header(struct sq_mqtt_decoder *d, const unsigned char *p, size_t len, struct header *h)
{
	size_t i;
	int rc;

	if (len == 0) {
		d->need = 1;
		return SQ_EAGAIN;
	}
	h->first = p[0];
	h->remaining = 0;
	rc = decode_first(d, p[0]);
	if (rc != 0)
		return rc;
	for (i = 1; i <= SQ_MQTT_VARINT_MAX; i++) {
		if (i == len) {
			d->need = len + 1;
			return SQ_EAGAIN;
		}
		h->remaining |= (uint32_t)(p[i] & 0x7f) << 7 * (i - 1);
		if (p[i] < 0x80)
			break;
	}
	if (i > SQ_MQTT_VARINT_MAX)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
		    "remaining length in more than four bytes (MQTT 1.5.5)");
	h->padded = i > 1 && p[i] == 0;
	h->size = (uint8_t)(i + 1);
	return decode_length(d, h);
}

/* PUBLISH (§3.3), the hot one: no properties and plain ASCII go straight
 * through. */
static int
decode_publish(
    struct sq_mqtt_decoder *d, struct sq_reader *r, uint8_t first, struct sq_mqtt_packet *out)
{
	struct sq_mqtt_publish *pub = &out->publish;
	int rc;

	pub->qos = first >> 1 & 3;
	pub->dup = (first & 8) != 0;
	pub->retain = (first & 1) != 0;
	pub->packet_id = 0;
	rc = sq_mqtt_read_topic(d, r, &pub->topic);
	if (rc == 0 && pub->qos > 0)
		rc = sq_mqtt_read_packet_id(d, r, &pub->packet_id);
	if (rc == 0 && d->version == SQ_MQTT_V5)
		rc = sq_mqtt_props_read(d, r, SQ_MQTT_PUBLISH, &out->props);
	else
		out->props = sq_mqtt_props_none;
	if (rc != 0)
		return rc;
	if (pub->topic.len == 0 && out->props.topic_alias == 0)
		return sq_mqtt_fail(d,
		    d->version == SQ_MQTT_V5 ? SQ_MQTT_RC_PROTOCOL_ERROR : SQ_MQTT_RC_MALFORMED,
		    "PUBLISH without topic and topic alias (MQTT 3.3.2.1)");
	pub->payload.len = sq_reader_left(r);
	pub->payload.p = sq_read_bytes(r, pub->payload.len);
	return 0;
}

/* Reads what ends most packets of MQTT 5: a reason code and properties, the
 * latter, or both, left out for success. */
static int
decode_reason(
    struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_packet *out, uint8_t *reason)
{
	*reason = SQ_MQTT_RC_SUCCESS;
	out->props = sq_mqtt_props_none;
	if (d->version < SQ_MQTT_V5 || sq_reader_left(r) == 0)
		return 0;
	*reason = sq_read8(r);
	if (!sq_mqtt_reason_allowed(*reason, out->type, sq_mqtt_sender(d)))
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "reason code that this packet can't have (MQTT 2.4)");
	if (sq_reader_left(r) == 0 && out->type != SQ_MQTT_AUTH)
		return 0;
	return sq_mqtt_props_read(d, r, out->type, &out->props);
}

/* PUBACK, PUBREC, PUBREL, PUBCOMP (§3.4 to §3.7). */
static int
decode_ack(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_packet *out)
{
	int rc = sq_mqtt_read_packet_id(d, r, &out->ack.packet_id);

	return rc != 0 ? rc : decode_reason(d, r, out, &out->ack.reason);
}

/* AUTH (§3.15): what is not plain success names its method. */
static int
decode_auth(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_mqtt_packet *out)
{
	bool shortest = sq_reader_left(r) == 0;
	int rc = decode_reason(d, r, out, &out->auth.reason);

	if (rc != 0)
		return rc;
	if (shortest && sq_mqtt_sender(d) == SQ_MQTT_CLIENT)
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "AUTH with success from a client (MQTT 3.15.2.1)");
	if (!shortest && !sq_mqtt_has(&out->props, SQ_MQTT_PROP_AUTH_METHOD))
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
		    "AUTH without Authentication Method (MQTT 3.15.2.2.2)");
	return 0;
}

/* Reads what follows the fixed header. */
static int
decode_body(
    struct sq_mqtt_decoder *d, struct sq_reader *r, uint8_t first, struct sq_mqtt_packet *out)
{
	switch (out->type) {
	case SQ_MQTT_PUBLISH:
		return decode_publish(d, r, first, out);
	case SQ_MQTT_PUBACK:
	case SQ_MQTT_PUBREC:
	case SQ_MQTT_PUBREL:
	case SQ_MQTT_PUBCOMP:
		return decode_ack(d, r, out);
	case SQ_MQTT_CONNECT:
		return sq_mqtt_read_connect(d, r, out);
	case SQ_MQTT_CONNACK:
		return sq_mqtt_read_connack(d, r, out);
	case SQ_MQTT_SUBSCRIBE:
		return sq_mqtt_read_subscribe(d, r, out);
	case SQ_MQTT_UNSUBSCRIBE:
		return sq_mqtt_read_unsubscribe(d, r, out);
	case SQ_MQTT_SUBACK:
	case SQ_MQTT_UNSUBACK:
		return sq_mqtt_read_suback(d, r, out);
	case SQ_MQTT_DISCONNECT:
		return decode_reason(d, r, out, &out->disconnect.reason);
	case SQ_MQTT_AUTH:
		return decode_auth(d, r, out);
	default: /* pings, which the length check has found empty */
		out->props = sq_mqtt_props_none;
		return 0;
	}
}

int
sq_mqtt_decode(struct sq_mqtt_decoder *d, const unsigned char *p, size_t len,
    struct sq_mqtt_packet *out, size_t *used)
{
	struct sq_reader r;
	struct header h = {0};
	size_t total;
	int rc;

	assert(d->role == SQ_MQTT_SERVER || d->version != 0);
	if (len < d->need)
		return SQ_EAGAIN;
	rc = decode_header(d, p, len, &h);
	if (rc != 0)
		return rc;
	total = h.size + h.remaining;
	if (len < total) {
		d->need = total;
		return SQ_EAGAIN;
	}
	d->need = 0;
	r = sq_reader(p + h.size, h.remaining);
	out->type = h.first >> 4;
	rc = decode_body(d, &r, h.first, out);
	if (rc != 0)
		return rc;
	if (sq_reader_left(&r) > 0)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_MALFORMED, "bytes after the packet's last field (MQTT 2.1.4)");
	if (out->type == SQ_MQTT_CONNECT && h.padded && d->version == SQ_MQTT_V5)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
		    "remaining length in more bytes than it needs (MQTT 1.5.5)");
	*used = total;
	return 0;
}
