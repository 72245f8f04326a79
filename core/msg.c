/* The message image: check, writing and copies; the layout is in core/msg.h. */
#include "core/msg.h"

#include <assert.h>
#include <string.h>

/* MQTT 5.0 §2.2.2.2 */
enum { PROP_PAYLOAD_FORMAT = 0x01, PROP_USER = 0x26 };

#define MSG_FLAGS (3u | SQ_MSG_RETAIN)

int
sq_image_check(const unsigned char *p, size_t len)
{
	uint64_t head;
	uint32_t size;

	if (len < SQ_MSG_HEADER)
		return SQ_EINVAL;
	size = sq_get32(p);
	if (size > len || (p[4] & ~MSG_FLAGS) != 0 || (p[4] & 3u) == 3u || p[5] != 0)
		return SQ_EINVAL;
	if (sq_get16(p + 6) == 0)
		return SQ_EINVAL;
	head = UINT64_C(0) + SQ_MSG_HEADER + sq_get16(p + 6) + sq_get32(p + 8);
	return head <= size ? 0 : SQ_EINVAL;
}

bool
sq_props_user_next(struct sq_bytes *props, struct sq_bytes *name, struct sq_bytes *value)
{
	struct sq_reader r = sq_reader(props->p, props->len);
	bool found = false;

	while (!found && !r.bad && sq_reader_left(&r) > 0) {
		uint8_t id = sq_read8(&r);

		if (id == PROP_PAYLOAD_FORMAT) {
			(void)sq_read8(&r);
			continue;
		}
		name->len = sq_read16(&r); /* all others that are forwarded start with a string */
		name->p = sq_read_bytes(&r, name->len);
		if (id != PROP_USER)
			continue;
		value->len = sq_read16(&r);
		value->p = sq_read_bytes(&r, value->len);
		found = true;
	}
	*props = (struct sq_bytes){r.p, sq_reader_left(&r)};
	return found && !r.bad;
}

bool
sq_props_user_has(struct sq_bytes props, struct sq_bytes wanted)
{
	struct sq_bytes name, value;

	while (sq_props_user_next(&props, &name, &value))
		if (name.len == wanted.len && memcmp(name.p, wanted.p, name.len) == 0)
			return true;
	return false;
}

static unsigned char *
msg_put(unsigned char *at, struct sq_bytes part)
{
	if (part.len != 0)
		memcpy(at, part.p, part.len);
	return at + part.len;
}

void
sq_image_write(unsigned char *out, unsigned qos, bool retain, struct sq_bytes topic,
    struct sq_bytes props, uint32_t expiry_s, struct sq_bytes payload)
{
	assert(qos <= 2 && topic.len >= 1 && topic.len <= UINT16_MAX);
	assert(props.len <= UINT32_MAX && payload.len <= UINT32_MAX);
	assert(SQ_MSG_HEADER + topic.len + props.len + payload.len <= UINT32_MAX);
	sq_put32(out, (uint32_t)(SQ_MSG_HEADER + topic.len + props.len + payload.len));
	out[4] = (unsigned char)(qos | (retain ? SQ_MSG_RETAIN : 0u));
	out[5] = 0;
	sq_put16(out + 6, (uint16_t)topic.len);
	sq_put32(out + 8, (uint32_t)props.len);
	sq_put32(out + 12, expiry_s);
	msg_put(msg_put(msg_put(out + SQ_MSG_HEADER, topic), props), payload);
}

struct sq_msg
sq_msg_new(unsigned qos, bool retain, struct sq_bytes topic, struct sq_bytes props,
    uint32_t expiry_s, struct sq_bytes payload)
{
	struct sq_block *b = sq_block_new(SQ_MSG_HEADER + topic.len + props.len + payload.len);

	sq_image_write(b->bytes, qos, retain, topic, props, expiry_s, payload);
	return (struct sq_msg){b, b->bytes};
}

struct sq_msg
sq_msg_clone(const struct sq_msg *m)
{
	struct sq_block *b = sq_block_copy(m->image, sq_image_size(m->image));

	return (struct sq_msg){b, b->bytes};
}
