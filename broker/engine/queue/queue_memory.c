/* The memory of a queue: its part of the free memory, and of its tenant's share. */
#include "broker/engine/queue/queue_priv.h"
#include "core/memory.h"

enum { ITEM_BYTES = 2 * sizeof(struct sq_item) }; /* of one in a ring, which may be half empty */

static uint64_t
memory_now(const struct sq_queue *q)
{
	return q->bytes + (uint64_t)(q->head.n + q->tail.n) * ITEM_BYTES;
}

uint64_t
sq_queue_memory_fair(const struct sq_queue *q)
{
	uint64_t n = sq_queue_waiting(q) + q->coming.n, fair;
	uint64_t all = sq_queue_waiting_bytes(q) + q->coming.bytes + n * ITEM_BYTES;

	if (q->id != 0 || n == 0)
		return UINT64_MAX;
	fair = sq_memory_fair();
	fair = fair > SQ_MEMORY_FLOOR_MIN ? fair : SQ_MEMORY_FLOOR_MIN;
	return fair > all ? fair - all : 0;
}

bool
sq_queue_memory_left(void)
{
	return sq_memory_used() < sq_memory_limit() / 5 * 3;
}

uint64_t
sq_queue_memory_room(const struct sq_queue *q)
{
	if (q->id == 0)
		return sq_charge_room(&q->charge, memory_now(q) + q->coming.bytes + ITEM_BYTES);
	/* Where messages wait, one more can leave memory for the store; where none does, it is sent
	 * to a session that need not acknowledge it. */
	if (q->charge.account == NULL || sq_queue_waiting(q) + q->coming.n > 0 ||
	    sq_memory_limit() == 0 || sq_queue_memory_left())
		return UINT64_MAX;
	return sq_share_room(q->charge.account, SQ_SHARE_MEMORY);
}

bool
sq_queue_memory_short(const struct sq_queue *q, uint32_t bytes)
{
	return q->id == 0 && (sq_queue_memory_fair(q) < bytes || sq_queue_memory_room(q) < bytes);
}

void
sq_queue_charge_memory(struct sq_queue *q)
{
	sq_charge_set(&q->charge, memory_now(q));
}

bool
sq_queue_memory_fits(const struct sq_queue *q, uint64_t bytes, uint32_t n)
{
	return sq_charge_fits(&q->charge, memory_now(q) + bytes + (uint64_t)n * ITEM_BYTES);
}
