/* See mqtt_packets.h.  Knows neither Criterion nor libFuzzer. */
#include "mqtt_packets.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static unsigned
packet_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a' + 10);
	fprintf(stderr, "bad digit '%c' in a packet\n", c);
	abort();
}

void
packet_bytes(struct sq_buf *b, const char *text)
{
	while (*text != '\0') {
		if (isspace((unsigned char)*text)) {
			text++;
		} else if (*text == '\'') {
			size_t n = strcspn(text + 1, "'");

			sq_buf_append(b, text + 1, n);
			text += n + 1;
			if (*text++ != '\'')
				abort();
		} else {
			sq_buf_u8(b, (uint8_t)(packet_digit(text[0]) << 4 | packet_digit(text[1])));
			text += 2;
		}
	}
}

/* Decodes 'len' bytes in a block of that size; views in 'out' are gone. */
static int
packet_try(struct sq_mqtt_decoder *d, const unsigned char *p, size_t len, size_t *used)
{
	unsigned char *exact = sq_xmalloc(len > 0 ? len : 1);
	struct sq_mqtt_packet out;
	int rc;

	if (len > 0)
		memcpy(exact, p, len);
	rc = sq_mqtt_decode(d, exact, len, &out, used);
	free(exact);
	return rc;
}

/* Compares the outcome of a truncation with that of the whole. */
static const char *
packet_disagrees(int rc, const struct sq_mqtt_decoder *part, size_t len, int whole_rc,
    const struct sq_mqtt_decoder *whole, size_t total)
{
	if (rc == SQ_EAGAIN) {
		if (part->need <= len)
			return "asks for no more than there is";
		if (whole_rc == 0 && part->need > total)
			return "asks for more than the packet has";
		return NULL;
	}
	if (rc == 0)
		return "a truncation is accepted";
	if (rc != whole_rc || part->reason != whole->reason || part->error != whole->error)
		return "a truncation gives another error";
	return NULL;
}

int
packet_decode_splits(struct sq_mqtt_decoder *d, const unsigned char *p, size_t len,
    struct sq_mqtt_packet *out, size_t *used, const char **why)
{
	const struct sq_mqtt_decoder fresh = *d;
	struct sq_mqtt_decoder part, growing = fresh;
	size_t total, n, used_part = 0;
	int whole_rc, rc = SQ_EAGAIN;

	*used = 0;
	*why = NULL;
	whole_rc = sq_mqtt_decode(d, p, len, out, used);
	total = whole_rc == 0 ? *used : len;
	for (n = 0; n < total && *why == NULL; n++) {
		part = fresh;
		rc = packet_try(&part, p, n, &used_part);
		*why = packet_disagrees(rc, &part, n, whole_rc, d, total);
	}
	rc = SQ_EAGAIN;
	for (n = 0; n <= total && rc == SQ_EAGAIN; n++)
		rc = packet_try(&growing, p, n, &used_part);
	if (*why == NULL && rc != whole_rc)
		*why = "byte by byte differs from whole";
	if (*why == NULL && rc == 0 && (used_part != *used || growing.version != d->version))
		*why = "byte by byte ends elsewhere than whole";
	if (*why == NULL && rc == SQ_EINVAL && growing.error != d->error)
		*why = "byte by byte gives another error than whole";
	return *why != NULL ? 1 : whole_rc;
}

static bool
bytes_equal(struct sq_bytes a, struct sq_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* Compares what may be there several times, in order. */
static bool
packet_repeated_equal(struct sq_bytes a, struct sq_bytes b, uint8_t id)
{
	struct sq_mqtt_prop x, y;
	bool more_a, more_b;

	for (;;) {
		do
			more_a = sq_mqtt_prop_next(&a, &x);
		while (more_a && x.id != id);
		do
			more_b = sq_mqtt_prop_next(&b, &y);
		while (more_b && y.id != id);
		if (!more_a || !more_b)
			return more_a == more_b;
		if (!bytes_equal(x.whole, y.whole))
			return false;
	}
}

#define EQUAL_BYTE(field) a->field == b->field
#define EQUAL_U16(field) a->field == b->field
#define EQUAL_U32(field) a->field == b->field
#define EQUAL_VARINT(field) a->field == b->field
#define EQUAL_STRING(field) bytes_equal(a->field, b->field)
#define EQUAL_BINARY(field) bytes_equal(a->field, b->field)
#define EQUAL_PAIR(field) true

bool
packet_props_equal(const struct sq_mqtt_props *a, const struct sq_mqtt_props *b)
{
#define EQUAL(name, id, type, field, min, max, forward, client, server) &&EQUAL_##type(field)
	return a->has == b->has && a->forwardable == b->forwardable SQ_MQTT_PROPS(EQUAL) &&
	    packet_repeated_equal(a->raw, b->raw, SQ_MQTT_PROP_USER_PROPERTY) &&
	    packet_repeated_equal(a->raw, b->raw, SQ_MQTT_PROP_SUBSCRIPTION_ID);
#undef EQUAL
}

static bool
connect_equal(const struct sq_mqtt_connect *a, const struct sq_mqtt_connect *b)
{
	return a->version == b->version && a->clean_start == b->clean_start &&
	    a->has_will == b->has_will && a->has_username == b->has_username &&
	    a->has_password == b->has_password && a->will_retain == b->will_retain &&
	    a->will_qos == b->will_qos && a->keep_alive_s == b->keep_alive_s &&
	    bytes_equal(a->client_id, b->client_id) && bytes_equal(a->will_topic, b->will_topic) &&
	    bytes_equal(a->will_payload, b->will_payload) &&
	    bytes_equal(a->username, b->username) && bytes_equal(a->password, b->password) &&
	    packet_props_equal(&a->will_props, &b->will_props);
}

static bool
publish_equal(const struct sq_mqtt_publish *a, const struct sq_mqtt_publish *b)
{
	return a->qos == b->qos && a->dup == b->dup && a->retain == b->retain &&
	    a->packet_id == b->packet_id && bytes_equal(a->topic, b->topic) &&
	    bytes_equal(a->payload, b->payload);
}

bool
packet_equal(const struct sq_mqtt_packet *a, const struct sq_mqtt_packet *b)
{
	if (a->type != b->type || !packet_props_equal(&a->props, &b->props))
		return false;
	switch ((enum sq_mqtt_type)a->type) {
	case SQ_MQTT_CONNECT:
		return connect_equal(&a->connect, &b->connect);
	case SQ_MQTT_CONNACK:
		return a->connack.session_present == b->connack.session_present &&
		    a->connack.reason == b->connack.reason;
	case SQ_MQTT_PUBLISH:
		return publish_equal(&a->publish, &b->publish);
	case SQ_MQTT_PUBACK:
	case SQ_MQTT_PUBREC:
	case SQ_MQTT_PUBREL:
	case SQ_MQTT_PUBCOMP:
		return a->ack.packet_id == b->ack.packet_id && a->ack.reason == b->ack.reason;
	case SQ_MQTT_SUBSCRIBE:
		return a->subscribe.packet_id == b->subscribe.packet_id &&
		    a->subscribe.count == b->subscribe.count &&
		    bytes_equal(a->subscribe.entries, b->subscribe.entries);
	case SQ_MQTT_UNSUBSCRIBE:
		return a->unsubscribe.packet_id == b->unsubscribe.packet_id &&
		    a->unsubscribe.count == b->unsubscribe.count &&
		    bytes_equal(a->unsubscribe.filters, b->unsubscribe.filters);
	case SQ_MQTT_SUBACK:
	case SQ_MQTT_UNSUBACK:
		return a->suback.packet_id == b->suback.packet_id &&
		    bytes_equal(a->suback.reasons, b->suback.reasons);
	case SQ_MQTT_DISCONNECT:
	case SQ_MQTT_AUTH:
		return a->disconnect.reason == b->disconnect.reason;
	case SQ_MQTT_PINGREQ:
	case SQ_MQTT_PINGRESP:
		return true;
	}
	return false;
}
