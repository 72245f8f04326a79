/* The operations log: the content of a record of the journal, operations in a row.
 *
 * The items that a record puts are counted from 0 through the whole record.  An item's seq consists
 * of the record's lsn and that count, so that seqs rise in the order of commits and need not be
 * written. docs/store.md has the bytes.  Pure. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_OPLOG_H
#define SQ_BROKER_ENGINE_EMBEDDED_OPLOG_H

#include "broker/engine/item.h"
#include "broker/engine/txn.h"
#include "core/buf.h"
#include "core/bytes.h"

/* Upper bounds in bytes: of a put or a record without its subscription identifiers or value, and of
 * a message without its image. */
enum { SQ_SEQ_BITS = 22, SQ_OPLOG_OP = 24, SQ_OPLOG_MESSAGE = 64 };

static inline uint64_t
sq_seq(uint64_t lsn, uint32_t count)
{
	return lsn << SQ_SEQ_BITS | count;
}

/* The version of all this, for logs that say so: sq_log_cfg.format. */
enum { SQ_OPLOG_FORMAT = 1 };

enum sq_op_kind {
	SQ_OP_MESSAGE = 1,  /* the message of the puts that follow */
	SQ_OP_PUT = 2,      /* that message to a queue */
	SQ_OP_SETTLE = 3,   /* an item is settled; of queue 0, which is none: oplog.c, ARRIVED */
	SQ_OP_ATTEMPTS = 4, /* an item has come back */
	SQ_OP_RECORD = 5,
	SQ_OP_QUEUE_OPEN = 6,
	SQ_OP_QUEUE_DELETE = 7,
};

/* One operation; 'put' combines SQ_OP_MESSAGE and SQ_OP_PUT. */
struct sq_op_view {
	enum sq_op_kind kind; /* never SQ_OP_MESSAGE */
	uint64_t queue, seq;  /* seq: of SQ_OP_SETTLE and SQ_OP_ATTEMPTS */
	uint16_t attempts;
	struct {
		struct sq_origin origin;
		uint64_t expires_ms; /* wall-clock; 0: never */
		const unsigned char *image;
		uint8_t qos;
		bool retain, assured;
		struct sq_bytes subs; /* u32 each */
		uint64_t arrived_ms;  /* wall-clock; 0: not kept */
	} put;
	struct sq_record_key key;
	struct sq_bytes value; /* a record's value, p NULL: deleted; or a queue's name */
};

/* --- writing --- */

/* Writes the message of 'item'; false, and nothing happens, if it equals the last one written.
 * '*last' is its offset in 'log' + 1; 0: none. */
bool
sq_oplog_message(struct sq_buf *log, size_t *last, const struct sq_item *item, uint64_t expires_ms);
/* Writes a put of the last message.  Its time of arrival, where it has one, is written first unless
 * '*arrived_ms', which starts at 0, is the same. */
void
sq_oplog_put(struct sq_buf *log, uint64_t *arrived_ms, uint64_t queue, const struct sq_item *item);
void sq_oplog_settle(struct sq_buf *log, uint64_t queue, uint64_t seq);
void sq_oplog_attempts(struct sq_buf *log, uint64_t queue, uint64_t seq, uint16_t attempts);
void sq_oplog_record(struct sq_buf *log, const struct sq_record_key *, struct sq_bytes value);
void sq_oplog_queue_open(struct sq_buf *log, uint64_t queue, const char *name);
void sq_oplog_queue_delete(struct sq_buf *log, uint64_t queue);

/* --- reading --- */

/* The subscription identifiers of a put in a block for an item, with one reference; NULL: none. */
struct sq_block *sq_oplog_subs(const struct sq_op_view *);

struct sq_oplog_reader {
	struct sq_reader in;
	struct sq_op_view op;
	uint64_t arrived_ms; /* of the timed puts that follow */
};

void sq_oplog_read(struct sq_oplog_reader *, struct sq_bytes data);
/* The next operation, valid until the next call; NULL at the end, or at a malformed one
 * ('in.bad'). */
const struct sq_op_view *sq_oplog_next(struct sq_oplog_reader *);
/* Whether all operations of a record are well-formed. */
bool sq_oplog_sound(struct sq_bytes data);

#endif
