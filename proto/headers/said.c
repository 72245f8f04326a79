/* See proto/headers/said.h. */
#include "proto/headers/said.h"

#include <string.h>

#include "core/percent.h"
#include "proto/headers/headers.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"

/* The user properties that are members, or headers, of their own. */
static struct sq_bytes *
said_own(struct sq_said *s, struct sq_bytes name)
{
	if (sq_bytes_are(name, SQ_PROP_KEY))
		return &s->key;
	if (sq_bytes_are(name, SQ_PROP_ORDER_KEY))
		return &s->order_key;
	if (sq_bytes_are(name, SQ_PROP_RECEIPT))
		return &s->receipt;
	if (s->letter && sq_bytes_are(name, SQ_PROP_DEAD_REASON))
		return &s->reason;
	if (s->letter && sq_bytes_are(name, SQ_PROP_DEAD_TIME))
		return &s->died;
	if (s->letter && sq_bytes_are(name, SQ_PROP_DEAD_QUEUE))
		return &s->from;
	if (s->letter && sq_bytes_are(name, SQ_PROP_DEAD_DETAIL))
		return &s->detail;
	return NULL;
}

struct sq_said
sq_said_read(struct sq_bytes props, bool letter)
{
	struct sq_said s = {.props = props, .letter = letter};
	struct sq_bytes *own;
	struct sq_mqtt_prop prop;

	while (sq_mqtt_prop_next(&props, &prop)) {
		own = NULL;
		if (prop.id == SQ_MQTT_PROP_CONTENT_TYPE)
			own = &s.type;
		else if (prop.id == SQ_MQTT_PROP_RESPONSE_TOPIC)
			own = &s.response_topic;
		else if (prop.id == SQ_MQTT_PROP_CORRELATION_DATA)
			own = &s.correlation;
		else if (prop.id == SQ_MQTT_PROP_USER_PROPERTY)
			own = said_own(&s, prop.key);
		if (own != NULL)
			*own = prop.value;
	}
	return s;
}

bool
sq_said_next(const struct sq_said *s, struct sq_bytes *rest, bool tags, struct sq_bytes *name,
    struct sq_bytes *value)
{
	struct sq_said none = {.letter = s->letter};

	while (sq_mqtt_user_next(rest, name, value))
		if (sq_bytes_are(*name, SQ_PROP_TAG) == tags && said_own(&none, *name) == NULL &&
		    !sq_bytes_are(*name, SQ_PROP_QOS))
			return true;
	return false;
}

struct sq_bytes
sq_said_type(const struct sq_said *s)
{
	for (size_t i = 0; i < s->type.len; i++)
		if (s->type.p[i] < 0x20 || s->type.p[i] == 0x7f)
			return (struct sq_bytes){0};
	return s->type;
}

/* A tag that a list with commas can have stands in one, another is a property. */
static bool
said_listed(struct sq_bytes tag)
{
	return tag.len > 0 && memchr(tag.p, ',', tag.len) == NULL && tag.p[0] != ' ' &&
	    tag.p[tag.len - 1] != ' ';
}

void
sq_said_lists(const struct sq_said *s, struct sq_buf *out)
{
	struct sq_bytes rest = s->props, name, value;

	while (sq_said_next(s, &rest, true, &name, &value))
		if (said_listed(value))
			sq_headers_put(out, "sqmqos-tag", value);
	rest = s->props;
	while (sq_mqtt_user_next(&rest, &name, &value)) {
		struct sq_said none = {0};

		if (said_own(&none, name) != NULL || sq_bytes_are(name, SQ_PROP_QOS) ||
		    (sq_bytes_are(name, SQ_PROP_TAG) && said_listed(value)))
			continue;
		sq_headers_begin(out, "sqmqos-property");
		sq_percent_put_bytes(out, name);
		sq_buf_u8(out, '=');
		sq_percent_put_bytes(out, value);
		sq_headers_end(out);
	}
}

void
sq_said_headers(const struct sq_said *s, struct sq_buf *out)
{
	sq_headers_put(out, SQ_PROP_ORDER_KEY, s->order_key);
	sq_headers_put(out, "sqmqos-response-topic", s->response_topic);
	sq_headers_put(out, SQ_PROP_RECEIPT, s->receipt);
	sq_headers_bytes(out, "sqmqos-correlation", s->correlation);
}
