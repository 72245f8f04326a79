/* A message: one immutable image in a reference-counted block.
 *
 * The link carries the image and a store keeps it, byte for byte (docs/link.md, "Image").
 * Big-endian:
 *
 *   0  u32  size of the whole image, this field included
 *   4  u8   flags: bits 0-1 QoS (0, 1, 2), bit 2 retain
 *   5  u8   0
 *   6  u16  topic length, at least 1
 *   8  u32  property block length
 *  12  u32  message expiry interval in seconds, SQ_MSG_NO_EXPIRY for none
 *  16       topic, then the MQTT 5 property block, then the payload
 *
 * The property block has only properties that are forwarded unchanged (MQTT 5.0 §3.3.2.3):
 * payload format indicator, content type, response topic, correlation data and user properties in
 * their order.  It has no length prefix. */
#ifndef SQ_CORE_MSG_H
#define SQ_CORE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/block.h"
#include "core/buf.h"
#include "core/bytes.h"
#include "core/err.h"

#define SQ_MSG_HEADER 16u
#define SQ_MSG_NO_EXPIRY UINT32_MAX
#define SQ_MSG_RETAIN 0x04u

/* A message by value.  Its owner says whether it holds a reference to 'block'. */
struct sq_msg {
	struct sq_block *block;
	const unsigned char *image;
};

struct sq_bytes {
	const unsigned char *p;
	size_t len;
};

/* A C string's bytes, without its NUL; NULL: none. */
static inline struct sq_bytes
sq_bytes_of(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, s != NULL ? strlen(s) : 0};
}

/* A buffer's bytes, until it changes. */
static inline struct sq_bytes
sq_buf_bytes(const struct sq_buf *b)
{
	return (struct sq_bytes){sq_buf_data(b), sq_buf_len(b)};
}

/* Whether the bytes are those of a C string. */
static inline bool
sq_bytes_are(struct sq_bytes b, const char *s)
{
	return b.len == strlen(s) && (b.len == 0 || memcmp(b.p, s, b.len) == 0);
}

static inline uint32_t
sq_image_size(const unsigned char *image)
{
	return sq_get32(image);
}

static inline unsigned
sq_image_qos(const unsigned char *image)
{
	return image[4] & 3u;
}

static inline bool
sq_image_retain(const unsigned char *image)
{
	return (image[4] & SQ_MSG_RETAIN) != 0;
}

static inline uint32_t
sq_image_expiry(const unsigned char *image)
{
	return sq_get32(image + 12);
}

static inline struct sq_bytes
sq_image_topic(const unsigned char *image)
{
	return (struct sq_bytes){image + SQ_MSG_HEADER, sq_get16(image + 6)};
}

static inline struct sq_bytes
sq_image_props(const unsigned char *image)
{
	return (struct sq_bytes){image + SQ_MSG_HEADER + sq_get16(image + 6), sq_get32(image + 8)};
}

static inline struct sq_bytes
sq_image_payload(const unsigned char *image)
{
	size_t head = SQ_MSG_HEADER + sq_get16(image + 6) + sq_get32(image + 8);

	return (struct sq_bytes){image + head, sq_get32(image) - head};
}

/* SQ_OK if the 'len' bytes at 'p' start with a whole, well-formed image: lengths that add up, QoS 0
 * to 2, unknown bits zero, a topic; else SQ_EINVAL.  Characters of the topic and the inside of the
 * property block are not checked. */
int sq_image_check(const unsigned char *p, size_t len) SQ_MUST_CHECK;

/* Takes the next user property out of 'props', the rest of a property block (MQTT 5.0 §2.2.2.2).
 * False: the block is at its end, or malformed. */
bool sq_props_user_next(struct sq_bytes *props, struct sq_bytes *name, struct sq_bytes *value);
/* Whether the property block has a user property of that name. */
bool sq_props_user_has(struct sq_bytes props, struct sq_bytes wanted);

/* Writes an image of SQ_MSG_HEADER bytes and the three parts to 'out'.  'props' and 'payload' may be
 * empty.  The lengths fit the fields above. */
void sq_image_write(unsigned char *out, unsigned qos, bool retain, struct sq_bytes topic,
    struct sq_bytes props, uint32_t expiry_s, struct sq_bytes payload);

/* Returns a message in a block of its own, copied from the parts, with one reference; the parts as
 * above. */
struct sq_msg sq_msg_new(unsigned qos, bool retain, struct sq_bytes topic, struct sq_bytes props,
    uint32_t expiry_s, struct sq_bytes payload);
/* Returns a copy of 'm' in a block of its own size, with one reference: for a message that outlives
 * its batch. */
struct sq_msg sq_msg_clone(const struct sq_msg *m);

static inline struct sq_msg
sq_msg_ref(struct sq_msg m)
{
	sq_block_ref(m.block);
	return m;
}

static inline void
sq_msg_unref(struct sq_msg *m)
{
	sq_block_unref(&m->block);
	m->image = NULL;
}

#endif
