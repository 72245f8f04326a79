/* The operations log behind the checksums of the journal. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "broker/engine/embedded/oplog.h"
#include "core/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read as a put is written and read again as the same. */
static void
see_put(const struct sq_op_view *op)
{
	struct sq_item item = {.origin = op->put.origin,
	    .qos = op->put.qos & 3u,
	    .retain = op->put.retain,
	    .assured = op->put.assured,
	    .arrived_ms = op->put.arrived_ms};
	struct sq_oplog_reader r;
	const struct sq_op_view *again;
	struct sq_buf log = {0};
	uint64_t arrived_ms = 0;
	size_t last = 0;

	item.msg.image = op->put.image;
	item.subs = sq_oplog_subs(op);
	assert(sq_oplog_message(&log, &last, &item, op->put.expires_ms));
	sq_oplog_put(&log, &arrived_ms, op->queue, &item);
	sq_oplog_read(&r, sq_buf_bytes(&log));
	again = sq_oplog_next(&r);
	assert(again != NULL && again->kind == SQ_OP_PUT && again->queue == op->queue);
	assert(again->put.arrived_ms == op->put.arrived_ms);
	assert(again->put.expires_ms == op->put.expires_ms);
	assert(again->put.qos == op->put.qos && again->put.subs.len == op->put.subs.len);
	assert(sq_oplog_next(&r) == NULL && !r.in.bad);
	sq_block_unref(&item.subs);
	sq_buf_fini(&log);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_oplog_reader r;
	const struct sq_op_view *op;

	sq_oplog_read(&r, (struct sq_bytes){data, size});
	while ((op = sq_oplog_next(&r)) != NULL) {
		assert(op->kind != SQ_OP_SETTLE || op->queue != 0);
		if (op->kind == SQ_OP_PUT)
			see_put(op);
	}
	return 0;
}
