/* See broker/front/http/message.h. */
#include "broker/front/http/message.h"

#include "core/mem.h"
#include "core/utf8.h"
#include "proto/topic/tags.h"
#include "proto/topic/topic.h"

enum { PACKET_HEAD = 16 }; /* bytes of an MQTT packet besides topic, properties and payload */

static int
message_topic(const struct sq_limits *limits, struct sq_bytes name, struct sq_http_fault *fault)
{
	const char *why = NULL;

	if (sq_topic_name_check_levels(name, limits->topic_levels, &why) != SQ_OK)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_TOPIC, "%s", why);
	why = sq_topic_closed(name);
	if (why != NULL)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_TOPIC, "%s", why);
	if ((limits->off & SQ_OFF_CONTROL) != 0 && !sq_utf8_plain(name.p, name.len))
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_TOPIC,
		    "control characters are refused (mqtt.control-characters)");
	return SQ_OK;
}

static int
message_features(
    const struct sq_limits *limits, const struct sq_http_fields *f, struct sq_http_fault *fault)
{
	struct sq_tags tags;

	if ((f->qos == SQ_HTTP_ASSURED ? 2 : f->qos) > limits->max_qos)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY,
		    "QoS %u is above mqtt.max-qos, %u", f->qos, limits->max_qos);
	if (f->retain && (limits->off & SQ_OFF_RETAIN) != 0)
		return sq_http_fault_say(
		    fault, SQ_HTTP_INVALID_PROPERTY, "retained messages are off (mqtt.retain)");
	if (!sq_tags_read(sq_buf_bytes(&f->user), &tags))
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY,
		    "the message has more than %d different tags", SQ_TAGS_MAX);
	return SQ_OK;
}

/* Whether it fits into the packet that subscribers may get. */
static int
message_size(uint32_t max, const struct sq_msg *msg, struct sq_http_fault *fault)
{
	size_t size = sq_image_size(msg->image) - SQ_MSG_HEADER + PACKET_HEAD;

	if (size <= max)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_TOO_LARGE,
	    "the message has %zu bytes as an MQTT packet, limits.max-packet is %u", size, max);
}

int
sq_http_message(const struct sq_http_bounds *b, const struct sq_http_fields *f,
    struct sq_bytes topic, struct sq_bytes payload, struct sq_msg *out, struct sq_http_fault *fault)
{
	int rc = message_topic(&b->limits, topic, fault);

	if (rc == SQ_OK)
		rc = message_features(&b->limits, f, fault);
	if (rc != SQ_OK)
		return rc;
	*out = sq_http_fields_message(f, topic, payload);
	rc = message_size(b->max_packet, out, fault);
	if (rc != SQ_OK)
		sq_msg_unref(out);
	return rc;
}
