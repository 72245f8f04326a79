#include "broker/publish/letter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/trace.h"
#include "core/utf8.h"
#include "proto/props/names.h"
#include "proto/topic/topic.h"

enum {
	PROP_USER = 0x26, /* MQTT 5.0 §2.2.2.2 */
	TIME_MAX = 32,
	UTF8_MAX = 4, /* bytes of a character: a letter's topic that was cut lacks fewer */
	QUEUE_SHOWN_MAX = 1024, /* bytes of a queue's name, which may have a filter in it */
};

static const char topic_prefix[] = "$dead/";

static void
props_add(struct sq_buf *props, const char *name, struct sq_bytes value)
{
	size_t len = strlen(name);

	if (value.len == 0)
		return;
	sq_buf_u8(props, PROP_USER);
	sq_buf_u16(props, (uint16_t)len);
	sq_buf_append(props, name, len);
	sq_buf_u16(props, (uint16_t)value.len);
	sq_buf_append(props, value.p, value.len);
}

static void
props_add_text(struct sq_buf *props, const char *name, const char *value)
{
	props_add(props, name, sq_bytes_of(value));
}

/* RFC 3339, in UTC. */
static void
props_add_now(struct sq_buf *props, const char *name)
{
	uint64_t ms = sq_clock_wall_ms();
	time_t s = (time_t)(ms / 1000);
	char date[TIME_MAX], text[2 * TIME_MAX];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof text, "%s.%03uZ", date, (unsigned)(ms % 1000));
	props_add_text(props, name, text);
}

/* "$dead/" and the topic, which is cut at a character where that is too long. */
static void
letter_topic(struct sq_buf *out, struct sq_bytes topic)
{
	size_t room = SQ_TOPIC_MAX - (sizeof topic_prefix - 1);

	if (topic.len > room) {
		topic.len = room;
		while (!sq_utf8_valid(topic.p, topic.len))
			topic.len--;
	}
	sq_buf_append(out, topic_prefix, sizeof topic_prefix - 1);
	sq_buf_append(out, topic.p, topic.len);
}

struct sq_msg
sq_letter_new(const struct sq_msg *m, const char *queue, const char *reason, const char *detail)
{
	struct sq_bytes old = sq_image_props(m->image);
	struct sq_buf props = {0}, topic = {0};
	struct sq_msg out;

	letter_topic(&topic, sq_image_topic(m->image));
	sq_buf_append(&props, old.p, old.len);
	props_add_text(&props, SQ_PROP_DEAD_REASON, reason);
	props_add_now(&props, SQ_PROP_DEAD_TIME);
	/* The added properties always fit into a frame of the link. */
	props_add(&props, SQ_PROP_DEAD_QUEUE,
	    (struct sq_bytes){
		(const unsigned char *)queue, sq_utf8_cut(queue, strlen(queue), QUEUE_SHOWN_MAX)});
	if (detail != NULL)
		props_add(&props, SQ_PROP_DEAD_DETAIL,
		    (struct sq_bytes){(const unsigned char *)detail,
			sq_utf8_cut(detail, strlen(detail), SQ_LETTER_DETAIL_MAX)});
	out = sq_msg_new(sq_image_qos(m->image), false, sq_buf_bytes(&topic), sq_buf_bytes(&props),
	    SQ_MSG_NO_EXPIRY, sq_image_payload(m->image));
	sq_buf_fini(&props);
	sq_buf_fini(&topic);
	return out;
}

static void
props_add_trace(struct sq_buf *props, struct sq_bytes from)
{
	struct sq_bytes name, value;

	while (sq_props_user_next(&from, &name, &value)) {
		if (sq_bytes_are(name, SQ_PROP_TRACEPARENT))
			props_add(props, SQ_PROP_TRACEPARENT, value);
		else if (sq_bytes_are(name, SQ_PROP_TRACESTATE))
			props_add(props, SQ_PROP_TRACESTATE, value);
	}
}

static bool
letter_is_own(struct sq_bytes name)
{
	return sq_bytes_are(name, SQ_PROP_DEAD_REASON) || sq_bytes_are(name, SQ_PROP_DEAD_TIME) ||
	    sq_bytes_are(name, SQ_PROP_DEAD_QUEUE) || sq_bytes_are(name, SQ_PROP_DEAD_DETAIL);
}

/* Appends the property block without those of a letter. */
static void
props_without_own(struct sq_buf *out, struct sq_bytes props)
{
	struct sq_bytes rest = props, name, value;
	const unsigned char *from = props.p;

	while (sq_props_user_next(&rest, &name, &value)) {
		if (!letter_is_own(name))
			continue;
		/* before the name: its length, and what makes it a user property */
		sq_buf_append(out, from, (size_t)(name.p - 3 - from));
		from = rest.p;
	}
	if (props.len > 0)
		sq_buf_append(out, from, (size_t)(props.p + props.len - from));
}

struct sq_bytes
sq_letter_topic(const struct sq_msg *letter)
{
	const size_t prefix = sizeof topic_prefix - 1;
	struct sq_bytes topic = sq_image_topic(letter->image);

	if (topic.len <= prefix || memcmp(topic.p, topic_prefix, prefix) != 0)
		return (struct sq_bytes){0};
	return (struct sq_bytes){topic.p + prefix, topic.len - prefix};
}

struct sq_msg
sq_letter_original(const struct sq_msg *letter, const char *to)
{
	struct sq_bytes topic = to != NULL ? sq_bytes_of(to) : sq_letter_topic(letter);
	struct sq_buf props = {0};
	struct sq_msg out;

	if (topic.len == 0 || sq_image_topic(letter->image).len > SQ_TOPIC_MAX - UTF8_MAX)
		return (struct sq_msg){0};
	props_without_own(&props, sq_image_props(letter->image));
	out = sq_msg_new(sq_image_qos(letter->image), false, topic, sq_buf_bytes(&props),
	    SQ_MSG_NO_EXPIRY, sq_image_payload(letter->image));
	sq_buf_fini(&props);
	return out;
}

struct sq_msg
sq_letter_receipt(const struct sq_msg *m, const struct sq_publish_options *asked,
    const char *target, const char *outcome)
{
	struct sq_buf props = {0};
	struct sq_msg out;

	props_add(&props, SQ_PROP_KEY, asked->key);
	props_add_text(&props, SQ_PROP_TARGET, target);
	props_add_text(&props, SQ_PROP_OUTCOME, outcome);
	props_add_now(&props, SQ_PROP_TIME);
	props_add_trace(&props, sq_image_props(m->image));
	out = sq_msg_new(
	    1, false, asked->receipt, sq_buf_bytes(&props), SQ_MSG_NO_EXPIRY, (struct sq_bytes){0});
	sq_buf_fini(&props);
	return out;
}
