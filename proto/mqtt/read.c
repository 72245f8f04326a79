/* How a decoder refuses its input, and reads the parts that all packets are made of. */
#include <string.h>

#include "proto/mqtt/mqtt_priv.h"

#define CUT_SHORT "packet ends within a field (MQTT 2.1.4)"

int
sq_mqtt_fail(struct sq_mqtt_decoder *d, uint8_t reason, const char *error)
{
	d->reason = reason;
	d->error = error;
	return SQ_EINVAL;
}

bool
sq_mqtt_has_wildcard(struct sq_bytes topic)
{
	return topic.len > 0 &&
	    (memchr(topic.p, '+', topic.len) != NULL || memchr(topic.p, '#', topic.len) != NULL);
}

int
sq_mqtt_read_binary(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_bytes *out)
{
	out->len = sq_read16(r);
	out->p = sq_read_bytes(r, out->len);
	if (r->bad)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, CUT_SHORT);
	return 0;
}

int
sq_mqtt_read_string(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_bytes *out)
{
	int rc = sq_mqtt_read_binary(d, r, out);

	if (rc == 0 && !sq_utf8_valid(out->p, out->len))
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
		    "string is not valid UTF-8, or has U+0000 in it (MQTT 1.5.4)");
	return rc;
}

int
sq_mqtt_read_name(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_bytes *out)
{
	int rc = sq_mqtt_read_string(d, r, out);

	if (rc == 0 && d->plain && !sq_utf8_plain(out->p, out->len))
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, SQ_MQTT_NOT_PLAIN);
	return rc;
}

int
sq_mqtt_read_topic(struct sq_mqtt_decoder *d, struct sq_reader *r, struct sq_bytes *out)
{
	int rc = sq_mqtt_read_name(d, r, out);

	if (rc == 0 && sq_mqtt_has_wildcard(*out))
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_MALFORMED, "topic name with a wildcard character (MQTT 4.7.1)");
	return rc;
}

int
sq_mqtt_read_packet_id(struct sq_mqtt_decoder *d, struct sq_reader *r, uint16_t *out)
{
	*out = sq_read16(r);
	if (r->bad)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, CUT_SHORT);
	if (*out == 0)
		return sq_mqtt_fail(
		    d, SQ_MQTT_RC_PROTOCOL_ERROR, "packet identifier is 0 (MQTT 2.2.1)");
	return 0;
}
