/* What of a queue is in memory, in its tenant's share of that (broker/share.h).
 *
 * It is counted in steps, so that a message seldom costs an atomic operation that workers
 * share.  Nothing is counted above a share: what is there beyond it, because nobody needed the
 * memory then, waits for room to be counted. */
#include "broker/engine/queue_priv.h"
#include "core/memory.h"

enum {
	ITEM_BYTES = 2 * sizeof(struct sq_item), /* of one in a ring, which may be half empty */
	STEP_SMALL = 4 << 10,
	STEP = 16 << 10,
	SMALL_MAX = 4 * STEP, /* up to so much by small steps */
	FREE_PART = 2,        /* of the limit: while less is used no share is asked for */
};

static uint64_t
memory_now(const struct sq_queue *q)
{
	return q->bytes + (uint64_t)(q->head.n + q->tail.n) * ITEM_BYTES;
}

uint64_t
sq_queue_memory_fair(const struct sq_queue *q)
{
	uint64_t n = sq_queue_waiting(q) + q->coming, fair;
	uint64_t all = sq_queue_waiting_bytes(q) + q->coming_bytes + n * ITEM_BYTES;

	if (q->id != 0 || n == 0)
		return UINT64_MAX;
	fair = sq_memory_fair();
	fair = fair > SQ_MEMORY_FLOOR_MIN ? fair : SQ_MEMORY_FLOOR_MIN;
	return fair > all ? fair - all : 0;
}

uint64_t
sq_queue_memory_room(const struct sq_queue *q)
{
	const struct sq_account *a = q->cfg.memory;
	uint64_t now = memory_now(q) + q->coming_bytes + ITEM_BYTES, room;

	if (a == NULL || q->id != 0)
		return UINT64_MAX;
	if (!sq_share_limited(a, SQ_SHARE_MEMORY) &&
	    sq_memory_used() < sq_memory_limit() / FREE_PART)
		return UINT64_MAX;
	room = sq_share_room(a, SQ_SHARE_MEMORY);
	room = q->charged + (room > STEP_SMALL ? room : STEP_SMALL); /* less is not counted */
	return room > now ? room - now : 0;
}

bool
sq_queue_memory_short(const struct sq_queue *q, uint32_t bytes)
{
	return q->id == 0 && (sq_queue_memory_fair(q) < bytes || sq_queue_memory_room(q) < bytes);
}

void
sq_queue_charge_memory(struct sq_queue *q)
{
	uint64_t now = memory_now(q), step = now < SMALL_MAX ? STEP_SMALL : STEP, n, room;

	if (q->cfg.memory == NULL)
		return;
	if (now >= q->charged + step) {
		n = (now - q->charged) / step * step;
		room = sq_share_room(q->cfg.memory, SQ_SHARE_MEMORY) / step * step;
		n = n < room ? n : room;
		if (n == 0)
			return;
		sq_share_force(q->cfg.memory, SQ_SHARE_MEMORY, n);
		q->charged += n;
	} else if (now == 0 ? q->charged > 0 : q->charged >= now + 2 * step) {
		n = now == 0 ? q->charged : (q->charged - now) / step * step;
		sq_share_give(q->cfg.memory, SQ_SHARE_MEMORY, n);
		q->charged -= n;
	}
}
