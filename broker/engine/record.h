/* The broker's records in the engine's store: kinds and what their keys mean.
 * The values are laid out where they are encoded; docs/store.md lists them all. */
#ifndef SQ_BROKER_ENGINE_RECORD_H
#define SQ_BROKER_ENGINE_RECORD_H

#include "core/buf.h"
#include "core/bytes.h"
#include "core/msg.h"

/* Stored: never reuse or renumber one. */
enum sq_record_kind {
	/* A session: id its incarnation, sub 0.  broker/session/persist.c */
	SQ_RECORD_SESSION = 1,
	/* The last number of its QoS >= 1 lane: id the incarnation, sub the lane. */
	SQ_RECORD_LANE = 2,
	/* An inbound QoS 2 id that is held: id the incarnation, sub the packet id. */
	SQ_RECORD_HELD = 3,
	/* An outbound QoS 2 id: id the incarnation, sub the packet id. */
	SQ_RECORD_OPEN = 4,
	/* A subscription: id the incarnation, sub a number of the session's. */
	SQ_RECORD_SUBSCRIPTION = 5,
	/* A group: id the group's, sub 0.  broker/group/group.c */
	SQ_RECORD_GROUP = 6,
	/* A binding of a group: id the group's, sub a number of the group's. */
	SQ_RECORD_BINDING = 7,
	/* A retained message: id drawn from sq_broker_id(), sub 0.  broker/route/retained.c */
	SQ_RECORD_RETAINED = 8,
	/* A delayed message: id drawn from sq_broker_id(), sub 0.  broker/publish/delayed.c */
	SQ_RECORD_DELAYED = 9,
	/* An idempotency key: id and sub are halves of its hash.  broker/publish/idempotency.c */
	SQ_RECORD_KEY = 10,
	/* A dead-letter queue of a tenant: id the group's, sub 0, or 1 for those that are not
	 * of QoS 3.  broker/publish/dead_letters.c */
	SQ_RECORD_DEAD = 11,
	/* A queue that is ending: id drawn from sq_broker_id(), sub 0.
	 * broker/group/ending.c */
	SQ_RECORD_ENDING = 12,
};

/* Appends bytes16: a u16 length and as many bytes. */
static inline void
sq_record_put_text(struct sq_buf *b, const void *p, size_t len)
{
	sq_buf_u16(b, (uint16_t)len);
	sq_buf_append(b, p, len);
}

/* Takes one, as a view; empty once the reader is bad. */
static inline struct sq_bytes
sq_record_take_text(struct sq_reader *r)
{
	size_t len = sq_read16(r);
	const unsigned char *p = sq_read_bytes(r, len);

	return (struct sq_bytes){p, r->bad ? 0 : len};
}

/* The name of a queue in the store: that of its session or group, '#' and the incarnation
 * or number in hexadecimal; the caller frees it. */
char *sq_record_queue_name(const char *name, uint64_t number);

#endif
