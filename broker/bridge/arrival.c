#include "broker/bridge/arrival.h"

#include <assert.h>
#include <string.h>

#include "broker/bridge/carry.h"
#include "broker/bridge/cfg.h"
#include "core/htab.h"
#include "core/utf8.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"
#include "proto/topic/topic.h"

enum {
	PROP_HEAD = 3,           /* before a user property's name: its length, and what it is */
	LETTER_PROPS_MAX = 8192, /* bytes that a letter has of a message that is too large */
};

static void
props_add(struct sq_buf *props, const char *name, struct sq_bytes value)
{
	int err = sq_mqtt_user_append(props, sq_bytes_of(name), value);

	assert(err == SQ_OK); /* tags and hops are bounded */
}

/* Peers may have written anything. */
static void
props_add_hops(struct sq_buf *props, struct sq_bytes hops)
{
	struct sq_buf text = {0};

	if (hops.len > SQ_CARRY_HOPS_MAX)
		hops.len = SQ_CARRY_HOPS_MAX;
	for (size_t i = 0; i < hops.len; i++)
		sq_buf_u8(&text, hops.p[i] > 0x20 && hops.p[i] < 0x7f ? hops.p[i] : '_');
	props_add(props, SQ_CARRY_HOPS, sq_buf_bytes(&text));
	sq_buf_fini(&text);
}

/* Whether a user property stays: one that goes along, or the inlet's own. */
static bool
arrival_keeps(struct sq_bytes name, const struct sq_bridge_in *rule)
{
	return (sq_carry_property(name) || sq_bytes_are(name, SQ_PROP_PEER_ATTEMPTS)) &&
	    (rule->tag == NULL || !sq_bytes_are(name, SQ_PROP_TAG));
}

static bool
arrival_is_good(const struct sq_arrived *a, const struct sq_bridge_in *rule)
{
	struct sq_bytes props = sq_image_props(a->msg.image), name, value;

	if (a->hops.len > 0 || rule->tag != NULL || sq_image_qos(a->msg.image) != rule->qos)
		return false;
	while (sq_props_user_next(&props, &name, &value)) {
		if (!arrival_keeps(name, rule))
			return false;
	}
	return true;
}

/* Appends the property block without what does not stay. */
static void
arrival_props(struct sq_buf *out, struct sq_bytes props, const struct sq_bridge_in *rule)
{
	struct sq_bytes rest = props, name, value;
	const unsigned char *from = props.p;

	while (sq_props_user_next(&rest, &name, &value)) {
		if (arrival_keeps(name, rule))
			continue;
		sq_buf_append(out, from, (size_t)(name.p - PROP_HEAD - from));
		from = rest.p;
	}
	if (props.len > 0)
		sq_buf_append(out, from, (size_t)(props.p + props.len - from));
}

struct sq_msg
sq_arrival_message(const struct sq_arrived *a, const struct sq_bridge_in *rule)
{
	const unsigned char *image = a->msg.image;
	struct sq_buf props = {0};
	struct sq_msg out;

	if (arrival_is_good(a, rule))
		return sq_msg_ref(a->msg);
	arrival_props(&props, sq_image_props(image), rule);
	if (rule->tag != NULL)
		props_add(&props, SQ_PROP_TAG, sq_bytes_of(rule->tag));
	if (a->hops.len > 0)
		props_add_hops(&props, a->hops);
	out = sq_msg_new((unsigned)rule->qos, sq_image_retain(image), sq_image_topic(image),
	    sq_buf_bytes(&props), sq_image_expiry(image), sq_image_payload(image));
	sq_buf_fini(&props);
	return out;
}

struct sq_msg
sq_arrival_letter(const struct sq_arrived *a, const char *topic, bool too_large)
{
	const unsigned char *image = a->msg.image;
	struct sq_bytes name = sq_image_topic(image), props = sq_image_props(image);
	unsigned qos = sq_image_qos(image);

	if (sq_topic_name_check(name, NULL) != SQ_OK || !sq_utf8_valid(name.p, name.len))
		name = sq_bytes_of(topic);
	if (too_large && props.len > LETTER_PROPS_MAX)
		props = (struct sq_bytes){0};
	return sq_msg_new(qos > 0 ? qos : 1, false, name, props, SQ_MSG_NO_EXPIRY,
	    too_large ? (struct sq_bytes){0} : sq_image_payload(image));
}

uint64_t
sq_arrival_lane(const struct sq_arrived *a)
{
	struct sq_bytes props = sq_image_props(a->msg.image), name, value;
	struct sq_bytes lane = sq_image_topic(a->msg.image);

	while (sq_props_user_next(&props, &name, &value)) {
		if (sq_bytes_are(name, SQ_PROP_ORDER_KEY)) /* the last one counts */
			lane = value;
	}
	return sq_hash(lane.p, lane.len);
}
