/* The head of an outgoing PUBLISH (§3.3), the encoder's hot path: everything
 * up to the payload, which its owner sends from where it is. */
#include "proto/mqtt/encode.h"

#include <assert.h>
#include <string.h>

#include "proto/mqtt/mqtt_priv.h"

struct sizes {
	uint32_t props;     /* properties without their length */
	uint32_t remaining; /* of the fixed header, with the payload */
	size_t head;
};

/* Bytes of the properties, without their length. */
static size_t
publish_props_size(const struct sq_mqtt_publish_out *pub)
{
	size_t n = pub->props.len;

	if (pub->expiry_s != SQ_MSG_NO_EXPIRY)
		n += 5;
	if (pub->topic_alias != 0)
		n += 3;
	for (size_t i = 0; i < pub->sub_ids_n; i++)
		n += 1 + sq_mqtt_varint_size(pub->sub_ids[i]);
	return n;
}

/* Works out all lengths; false when the packet can't be. */
static bool
publish_sizes(const struct sq_mqtt_publish_out *pub, struct sizes *s)
{
	size_t body = 2 + pub->topic.len + (pub->qos > 0 ? 2 : 0), props = 0;

	if (pub->topic.len > SQ_MQTT_STRING_MAX || pub->payload_len > SQ_MQTT_MAX_REMAINING)
		return false;
	if (pub->version >= SQ_MQTT_V5) {
		props = publish_props_size(pub);
		if (props > SQ_MQTT_MAX_REMAINING)
			return false;
		body += sq_mqtt_varint_size((uint32_t)props) + props;
	}
	if (body + pub->payload_len > SQ_MQTT_MAX_REMAINING)
		return false;
	s->props = (uint32_t)props;
	s->remaining = (uint32_t)(body + pub->payload_len);
	s->head = 1 + sq_mqtt_varint_size(s->remaining) + body;
	return true;
}

static unsigned char *
publish_props(unsigned char *p, const struct sq_mqtt_publish_out *pub)
{
	if (pub->expiry_s != SQ_MSG_NO_EXPIRY) {
		*p = SQ_MQTT_PROP_MESSAGE_EXPIRY;
		sq_put32(p + 1, pub->expiry_s);
		p += 5;
	}
	if (pub->topic_alias != 0) {
		*p = SQ_MQTT_PROP_TOPIC_ALIAS;
		sq_put16(p + 1, pub->topic_alias);
		p += 3;
	}
	for (size_t i = 0; i < pub->sub_ids_n; i++) {
		*p++ = SQ_MQTT_PROP_SUBSCRIPTION_ID;
		p = sq_mqtt_varint_write(p, pub->sub_ids[i]);
	}
	if (pub->props.len > 0)
		memcpy(p, pub->props.p, pub->props.len);
	return p + pub->props.len;
}

size_t
sq_mqtt_publish_head_size(const struct sq_mqtt_publish_out *pub)
{
	struct sizes s;

	return publish_sizes(pub, &s) ? s.head : 0;
}

size_t
sq_mqtt_publish_head(unsigned char *out, size_t cap, const struct sq_mqtt_publish_out *pub)
{
	unsigned char *p = out;
	struct sizes s;

	assert(pub->qos <= 2 && (pub->qos == 0 || pub->packet_id != 0));
	if (!publish_sizes(pub, &s) || s.head > cap)
		return 0;
	*p++ = (unsigned char)(SQ_MQTT_PUBLISH << 4 | (unsigned)pub->dup << 3 |
	    (unsigned)pub->qos << 1 | pub->retain);
	p = sq_mqtt_varint_write(p, s.remaining);
	p = sq_mqtt_string_write(p, pub->topic);
	if (pub->qos > 0) {
		sq_put16(p, pub->packet_id);
		p += 2;
	}
	if (pub->version >= SQ_MQTT_V5) {
		p = sq_mqtt_varint_write(p, s.props);
		p = publish_props(p, pub);
	}
	assert(p == out + s.head);
	return s.head;
}
