#include "broker/engine/embedded/oplog.h"

#include <string.h>

enum {
	FLAG_ASSURED = 1,
	PUT_QOS = 3,
	PUT_RETAIN = 4,
	PUT_TIMED = 8,
	/* A settlement in this queue, which no queue has, says with its seq when the timed puts behind it
	 * arrived.  Brokers that know nothing of it settle nothing, and ignore PUT_TIMED. */
	ARRIVED = 0,
	MESSAGE_HEADER = 1 + 1 + SQ_ORIGIN_SIZE + 8,
	DELETED = UINT32_MAX, /* as the length of a record's value */
};

_Static_assert((int)MESSAGE_HEADER <= (int)SQ_OPLOG_MESSAGE, "what txn_room() goes by");

bool
sq_oplog_message(struct sq_buf *log, size_t *last, const struct sq_item *item, uint64_t expires_ms)
{
	size_t at = sq_buf_len(log), size = sq_image_size(item->msg.image);
	const unsigned char *old;

	sq_buf_u8(log, SQ_OP_MESSAGE);
	sq_buf_u8(log, item->assured ? FLAG_ASSURED : 0);
	sq_origin_put(log, &item->origin);
	sq_buf_u64(log, expires_ms);
	old = sq_buf_data(log) + *last - 1;
	if (*last != 0 && memcmp(old, sq_buf_data(log) + at, MESSAGE_HEADER) == 0 &&
	    sq_image_size(old + MESSAGE_HEADER) == size &&
	    memcmp(old + MESSAGE_HEADER, item->msg.image, size) == 0) {
		log->end -= MESSAGE_HEADER; /* it goes to another queue */
		return false;
	}
	sq_buf_append(log, item->msg.image, size);
	*last = at + 1;
	return true;
}

void
sq_oplog_put(struct sq_buf *log, uint64_t *arrived_ms, uint64_t queue, const struct sq_item *item)
{
	uint32_t n = item->subs != NULL ? item->subs->size / sizeof(uint32_t) : 0, sub;
	bool timed = item->arrived_ms != 0;

	if (timed && *arrived_ms != item->arrived_ms) {
		*arrived_ms = item->arrived_ms;
		sq_oplog_settle(log, ARRIVED, item->arrived_ms);
	}
	sq_buf_u8(log, SQ_OP_PUT);
	sq_buf_u64(log, queue);
	sq_buf_u8(
	    log, (uint8_t)(item->qos | (item->retain ? PUT_RETAIN : 0) | (timed ? PUT_TIMED : 0)));
	sq_buf_u8(log, (uint8_t)n);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(&sub, item->subs->bytes + i * sizeof sub, sizeof sub);
		sq_buf_u32(log, sub);
	}
}

void
sq_oplog_settle(struct sq_buf *log, uint64_t queue, uint64_t seq)
{
	sq_buf_u8(log, SQ_OP_SETTLE);
	sq_buf_u64(log, queue);
	sq_buf_u64(log, seq);
}

void
sq_oplog_attempts(struct sq_buf *log, uint64_t queue, uint64_t seq, uint16_t attempts)
{
	sq_buf_u8(log, SQ_OP_ATTEMPTS);
	sq_buf_u64(log, queue);
	sq_buf_u64(log, seq);
	sq_buf_u16(log, attempts);
}

void
sq_oplog_record(struct sq_buf *log, const struct sq_record_key *key, struct sq_bytes value)
{
	sq_buf_u8(log, SQ_OP_RECORD);
	sq_buf_u8(log, key->kind);
	sq_buf_u64(log, key->id);
	sq_buf_u64(log, key->sub);
	sq_buf_u32(log, value.p != NULL ? (uint32_t)value.len : DELETED);
	if (value.p != NULL)
		sq_buf_append(log, value.p, value.len);
}

void
sq_oplog_queue_open(struct sq_buf *log, uint64_t queue, const char *name)
{
	sq_buf_u8(log, SQ_OP_QUEUE_OPEN);
	sq_buf_u64(log, queue);
	sq_buf_u32(log, (uint32_t)strlen(name));
	sq_buf_append(log, name, strlen(name));
}

void
sq_oplog_queue_delete(struct sq_buf *log, uint64_t queue)
{
	sq_buf_u8(log, SQ_OP_QUEUE_DELETE);
	sq_buf_u64(log, queue);
}

struct sq_block *
sq_oplog_subs(const struct sq_op_view *op)
{
	struct sq_block *b;

	if (op->put.subs.len == 0)
		return NULL;
	b = sq_block_new(op->put.subs.len);
	for (size_t at = 0; at < op->put.subs.len; at += sizeof(uint32_t)) {
		uint32_t sub = sq_get32(op->put.subs.p + at);

		memcpy(b->bytes + at, &sub, sizeof sub);
	}
	return b;
}

void
sq_oplog_read(struct sq_oplog_reader *r, struct sq_bytes data)
{
	*r = (struct sq_oplog_reader){.in = sq_reader(data.p, data.len)};
}

static void
read_message(struct sq_oplog_reader *r)
{
	struct sq_op_view *op = &r->op;

	op->put.assured = (sq_read8(&r->in) & FLAG_ASSURED) != 0;
	op->put.origin = sq_origin_get(&r->in);
	op->put.expires_ms = sq_read64(&r->in);
	if (r->in.bad || sq_image_check(r->in.p, sq_reader_left(&r->in)) != SQ_OK) {
		r->in.bad = true;
		return;
	}
	op->put.image = sq_read_bytes(&r->in, sq_image_size(r->in.p));
}

static void
read_put(struct sq_oplog_reader *r)
{
	struct sq_op_view *op = &r->op;
	uint8_t flags;

	op->queue = sq_read64(&r->in);
	flags = sq_read8(&r->in);
	op->put.qos = flags & PUT_QOS;
	op->put.retain = (flags & PUT_RETAIN) != 0;
	op->put.arrived_ms = (flags & PUT_TIMED) != 0 ? r->arrived_ms : 0;
	op->put.subs.len = sq_read8(&r->in) * sizeof(uint32_t);
	op->put.subs.p = sq_read_bytes(&r->in, op->put.subs.len);
	if (op->put.image == NULL || op->put.qos == 0 || op->put.qos == PUT_QOS)
		r->in.bad = true;
}

static void
read_record(struct sq_oplog_reader *r)
{
	struct sq_op_view *op = &r->op;
	uint32_t len;

	op->key.kind = sq_read8(&r->in);
	op->key.id = sq_read64(&r->in);
	op->key.sub = sq_read64(&r->in);
	len = sq_read32(&r->in);
	op->value = (struct sq_bytes){0};
	if (len != DELETED)
		op->value = (struct sq_bytes){sq_read_bytes(&r->in, len), len};
}

/* Reads the rest of an operation that is neither message nor put nor record. */
static void
read_small(struct sq_oplog_reader *r)
{
	struct sq_op_view *op = &r->op;

	op->queue = sq_read64(&r->in);
	if (op->kind == SQ_OP_SETTLE || op->kind == SQ_OP_ATTEMPTS)
		op->seq = sq_read64(&r->in);
	if (op->kind == SQ_OP_ATTEMPTS)
		op->attempts = sq_read16(&r->in);
	if (op->kind == SQ_OP_QUEUE_OPEN) {
		op->value.len = sq_read32(&r->in);
		op->value.p = sq_read_bytes(&r->in, op->value.len);
	}
}

const struct sq_op_view *
sq_oplog_next(struct sq_oplog_reader *r)
{
	while (!r->in.bad && sq_reader_left(&r->in) > 0) {
		uint8_t kind = sq_read8(&r->in);

		if (kind == SQ_OP_MESSAGE) {
			read_message(r);
			continue;
		}
		r->op.kind = (enum sq_op_kind)kind;
		if (kind == SQ_OP_PUT)
			read_put(r);
		else if (kind == SQ_OP_RECORD)
			read_record(r);
		else if (kind >= SQ_OP_SETTLE && kind <= SQ_OP_QUEUE_DELETE)
			read_small(r);
		else
			r->in.bad = true;
		if (kind == SQ_OP_SETTLE && r->op.queue == ARRIVED)
			r->arrived_ms = r->op.seq;
		else if (!r->in.bad)
			return &r->op;
	}
	return NULL;
}

bool
sq_oplog_sound(struct sq_bytes data)
{
	struct sq_oplog_reader r;

	sq_oplog_read(&r, data);
	while (sq_oplog_next(&r) != NULL)
		continue;
	return !r.in.bad;
}
