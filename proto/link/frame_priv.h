/* Readers shared by the codecs of bodies (frame.c) and of frames (frame_stream.c). */
#ifndef SQ_PROTO_LINK_FRAME_PRIV_H
#define SQ_PROTO_LINK_FRAME_PRIV_H

#include "proto/link/frame.h"

/* The result of a decoder: SQ_EINVAL if the input was too short, or has bytes left. */
static inline int
frame_end(const struct sq_reader *r)
{
	return r->bad || r->p != r->end ? SQ_EINVAL : SQ_OK;
}

static inline struct sq_bytes
frame_take(struct sq_reader *r, size_t len)
{
	const unsigned char *p = sq_read_bytes(r, len);

	return (struct sq_bytes){p, p != NULL ? len : 0};
}

static inline struct sq_bytes
frame_take16(struct sq_reader *r)
{
	return frame_take(r, sq_read16(r));
}

/* Takes a whole, well-formed image. */
static inline struct sq_bytes
frame_take_image(struct sq_reader *r)
{
	if (r->bad || sq_image_check(r->p, sq_reader_left(r)) != SQ_OK) {
		r->bad = true;
		return (struct sq_bytes){NULL, 0};
	}
	return frame_take(r, sq_image_size(r->p));
}

/* bytes16 */
static inline void
frame_put16(struct sq_buf *b, struct sq_bytes s)
{
	sq_buf_u16(b, (uint16_t)s.len);
	sq_buf_append(b, s.p, s.len);
}

#endif
