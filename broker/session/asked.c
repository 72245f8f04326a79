#include "broker/session/asked.h"

#include <string.h>

#include "proto/mqtt/reason.h"
#include "proto/topic/topic.h"

static const char prefix[] = "sqmqos-";
static const char dead[] = "$dead";

enum { PREFIX_LEN = sizeof prefix - 1, DEAD_LEN = sizeof dead - 1 };

static bool
asked_is(struct sq_bytes b, const char *text)
{
	return b.len == strlen(text) && memcmp(b.p, text, b.len) == 0;
}

bool
sq_asked_is_dead(struct sq_bytes topic)
{
	return topic.len >= DEAD_LEN && memcmp(topic.p, dead, DEAD_LEN) == 0 &&
	    (topic.len == DEAD_LEN || topic.p[DEAD_LEN] == '/');
}

/* A decimal number of seconds, at most 9 digits. */
static bool
asked_seconds(struct sq_bytes value, uint32_t *out)
{
	uint32_t n = 0;

	if (value.len == 0 || value.len > 9)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
		n = n * 10 + (value.p[i] - '0');
	}
	*out = n;
	return true;
}

/* Reads one property; false when its value can't be had. */
static bool
asked_take(struct sq_asked *a, struct sq_bytes name, struct sq_bytes value)
{
	name.p += PREFIX_LEN;
	name.len -= PREFIX_LEN;
	if (asked_is(name, "qos")) {
		a->assured = asked_is(value, "3");
		return a->assured;
	}
	if (asked_is(name, "delay"))
		return asked_seconds(value, &a->delay_s);
	if (asked_is(name, "key")) {
		a->key = value;
		return value.len > 0 && value.len <= SQ_ASKED_KEY_MAX;
	}
	if (asked_is(name, "receipt")) {
		a->receipt = value;
		return sq_topic_name_check(value, NULL) == SQ_OK && !sq_asked_is_dead(value);
	}
	return true;
}

uint8_t
sq_asked_parse(const unsigned char *image, struct sq_asked *out)
{
	struct sq_bytes props = sq_image_props(image), name, value;

	*out = (struct sq_asked){0};
	while (sq_props_user_next(&props, &name, &value)) {
		if (name.len > PREFIX_LEN && memcmp(name.p, prefix, PREFIX_LEN) == 0 &&
		    !asked_take(out, name, value))
			return SQ_MQTT_RC_IMPLEMENTATION;
	}
	if (out->assured && sq_image_qos(image) != 2)
		return SQ_MQTT_RC_IMPLEMENTATION;
	return SQ_MQTT_RC_SUCCESS;
}
