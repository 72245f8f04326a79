/* Looks at what the allocator keeps of the system's memory beyond what is counted, and has it
 * give that back; see core/memory.h. */
#include "core/memory_priv.h"

enum {
	LOOK_MS = 100,   /* between two looks at what the system gave */
	REST_TIMES = 50, /* a trim may take one part in so many of the time */
};

static _Atomic uint64_t memory_look_ms, memory_trim_ms; /* when next */

/* Takes what the allocator keeps, and returns it. */
static int64_t
memory_look(void)
{
	int64_t kept = sq_memory_allocator_resident() - (int64_t)sq_memory_bytes();

	kept = kept > 0 ? kept : 0;
	sq_memory_keeps(kept);
	return kept;
}

/* Whether it is the caller who does what is due at '*at'; next after 'pause_ms'. */
static bool
memory_due(_Atomic uint64_t *at, uint64_t now_ms, uint64_t pause_ms)
{
	uint64_t due = atomic_load_explicit(at, memory_order_relaxed);

	return now_ms >= due &&
	    atomic_compare_exchange_strong_explicit(
		at, &due, now_ms + pause_ms, memory_order_relaxed, memory_order_relaxed);
}

void
sq_memory_tick(uint64_t now_ms)
{
	uint64_t limit = sq_memory_limit();

	if (sq_memory_own != 0)
		sq_memory_flush();
	if (limit == 0 || !memory_due(&memory_look_ms, now_ms, LOOK_MS))
		return;
	if ((uint64_t)memory_look() < limit / 16 || sq_memory_used() < limit / 4 * 3 ||
	    !memory_due(&memory_trim_ms, now_ms, LOOK_MS))
		return;
	atomic_store_explicit(&memory_trim_ms,
	    now_ms + LOOK_MS + REST_TIMES * sq_memory_allocator_trim(), memory_order_relaxed);
	memory_look();
}
