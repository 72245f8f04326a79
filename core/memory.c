/* Counted memory and its level; see core/memory.h.  Who allocates is not known here: the
 * hooks of core/memory_malloc.c or core/memory_sanitizer.c count. */
#include "core/memory.h"

#include "core/memory_priv.h"

_Atomic unsigned sq_memory_level_now;
_Atomic uint64_t sq_memory_fair_now = UINT64_MAX;

static _Atomic int64_t memory_counted;
static _Atomic int64_t memory_most; /* of what was counted, since it was taken */
static _Atomic int64_t memory_kept; /* of the allocator, beyond what is counted */
static _Atomic uint64_t memory_limit;
_Thread_local int64_t sq_memory_own;

static int64_t
memory_used_now(void)
{
	int64_t n = atomic_load_explicit(&memory_counted, memory_order_relaxed) +
	    atomic_load_explicit(&memory_kept, memory_order_relaxed);

	return n > 0 ? n : 0;
}

/* See sq_memory_fair(). */
static uint64_t
memory_fair_of(uint64_t limit, uint64_t used)
{
	uint64_t most = limit / 4 * 3, floor = limit / 4096, fair;

	if (limit == 0)
		return UINT64_MAX;
	fair = used < most ? (most - used) / 4 : 0;
	floor = floor < SQ_MEMORY_FLOOR ? floor : SQ_MEMORY_FLOOR;
	floor = floor > SQ_MEMORY_FLOOR_MIN ? floor : SQ_MEMORY_FLOOR_MIN;
	return fair > floor ? fair : floor;
}

/* Two threads may write in turn; the next that counts puts it right. */
static void
memory_judge(void)
{
	uint64_t limit = atomic_load_explicit(&memory_limit, memory_order_relaxed);
	uint64_t used = (uint64_t)memory_used_now();
	unsigned level = SQ_MEMORY_FREE;

	if (limit != 0 && used >= limit / 20 * 19)
		level = SQ_MEMORY_REFUSED;
	else if (limit != 0 && used >= limit / 5 * 4)
		level = SQ_MEMORY_PACED;
	else if (limit != 0 && used >= limit / 20 * 13)
		level = SQ_MEMORY_FILLED;
	if (level != atomic_load_explicit(&sq_memory_level_now, memory_order_relaxed))
		atomic_store_explicit(&sq_memory_level_now, level, memory_order_relaxed);
	atomic_store_explicit(
	    &sq_memory_fair_now, memory_fair_of(limit, used), memory_order_relaxed);
}

void
sq_memory_flush(void)
{
	int64_t n = sq_memory_own;

	sq_memory_own = 0;
	n += atomic_fetch_add_explicit(&memory_counted, n, memory_order_relaxed);
	if (n > atomic_load_explicit(&memory_most, memory_order_relaxed))
		atomic_store_explicit(&memory_most, n, memory_order_relaxed);
	memory_judge();
}

int64_t
sq_memory_take_most(void)
{
	int64_t now = atomic_load_explicit(&memory_counted, memory_order_relaxed);

	return atomic_exchange_explicit(&memory_most, now, memory_order_relaxed);
}

void
sq_memory_limit_set(uint64_t bytes)
{
	atomic_store_explicit(&memory_limit, bytes, memory_order_relaxed);
	memory_judge();
}

uint64_t
sq_memory_limit(void)
{
	return atomic_load_explicit(&memory_limit, memory_order_relaxed);
}

uint64_t
sq_memory_bytes(void)
{
	int64_t n = atomic_load_explicit(&memory_counted, memory_order_relaxed) + sq_memory_own;

	return n > 0 ? (uint64_t)n : 0;
}

uint64_t
sq_memory_used(void)
{
	return (uint64_t)memory_used_now();
}

void
sq_memory_keeps(int64_t bytes)
{
	atomic_store_explicit(&memory_kept, bytes, memory_order_relaxed);
	memory_judge();
}

void
sq_memory_metrics(const struct sq_metrics *m, size_t first)
{
	sq_metric_set(m, first, (int64_t)sq_memory_bytes());
	sq_metric_set(m, first + 1, (int64_t)sq_memory_used());
	sq_metric_set(m, first + 2, (int64_t)sq_memory_limit());
	sq_metric_set(m, first + 3, (int64_t)sq_memory_level());
}

uint64_t
sq_memory_share(struct sq_memory_room room, unsigned quarters)
{
	return room.bytes / 4 * (room.cgroup || quarters < 2 ? quarters : 2);
}
