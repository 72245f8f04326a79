/* The broker's records in the engine's store: their kinds, keys, and the fields of their values.
 * Each value is laid out in the file that encodes it; docs/store.md lists all. */
#ifndef SQ_BROKER_ENGINE_RECORD_H
#define SQ_BROKER_ENGINE_RECORD_H

#include "broker/engine/txn.h"
#include "core/buf.h"
#include "core/bytes.h"
#include "core/msg.h"

/* Stored: never reuse or renumber one. */
enum sq_record_kind {
	/* A session: id its incarnation, sub 0.  broker/session/persist.c */
	SQ_RECORD_SESSION = 1,
	/* The last number of the session's QoS >= 1 lane: id the incarnation, sub the lane. */
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
	/* A dead-letter queue of a tenant: id the group's; sub 0 for letters of QoS 3, 1 for
	 * others. broker/publish/dead_letters.c */
	SQ_RECORD_DEAD = 11,
	/* A queue that is ending: id drawn from sq_broker_id(), sub 0.
	 * broker/group/ending.c */
	SQ_RECORD_ENDING = 12,
	/* The declaration of a named queue: id the group's, sub 0.  broker/subscriber/record.c */
	SQ_RECORD_DECLARED = 13,
	/* A lease of a message: id the group's, sub the message's seq.
	 * broker/subscriber/pull_items.c */
	SQ_RECORD_LEASE = 14,
	/* A request that settled and published: id and sub are halves of its hash.
	 * broker/subscriber/requests.c */
	SQ_RECORD_SETTLED = 15,
	/* The key of leases: id and sub 0.  broker/subscriber/pulls.c */
	SQ_RECORD_LEASE_KEY = 16,
	/* The consent of a push's target: id the group's, sub 0.  broker/push/consent.c */
	SQ_RECORD_CONSENT = 17,
	/* What tells this installation from others: id and sub 0.  broker/bridge/install.c */
	SQ_RECORD_INSTALL = 18,
	/* A bridge that is paused: id the hash of its name, sub 0.  broker/bridge/bridges.c */
	SQ_RECORD_BRIDGE = 19,
	/* The key of a message that came over a bridge: id and sub are halves of its hash.
	 * broker/bridge/dedup.c */
	SQ_RECORD_BRIDGE_KEY = 20,
};

/* Fields besides integers and origins (sq_origin_put(), sq_origin_get()).  A take of a malformed
 * field marks the reader bad. */

/* Puts bytes16: a u16 length and the bytes. */
void sq_record_put_text(struct sq_buf *, const void *p, size_t len);
/* Puts bytes16 with the name of a space, tenant or queue. */
void sq_record_put_name(struct sq_buf *, const char *name);
/* A view of bytes16; empty where the reader is bad. */
struct sq_bytes sq_record_take_text(struct sq_reader *);
/* A copy of bytes16, "" where the reader is bad; the caller frees it. */
char *sq_record_take_name(struct sq_reader *);
/* Puts the image of a message, the last field of a value. */
void sq_record_put_image(struct sq_buf *, const struct sq_msg *);
/* A view of the rest of the value as a message, without a reference.  Malformed: its image is NULL,
 * and the reader bad. */
struct sq_msg sq_record_take_image(struct sq_reader *);

/* Writes the record in the transaction, and frees the value's buffer. */
void sq_record_write(struct sq_txn *, const struct sq_record_key *, struct sq_buf *value);
void sq_record_delete(struct sq_txn *, const struct sq_record_key *);

/* The name of a queue in the store: that of its session or group, '#' and the incarnation
 * or number in hexadecimal; the caller frees it. */
char *sq_record_queue_name(const char *name, uint64_t number);

#endif
