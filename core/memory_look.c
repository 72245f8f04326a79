/* Looks at what the allocator keeps of the system's memory beyond what is counted, and has it
 * give that back; see core/memory.h. */
#include "core/memory_priv.h"

enum {
	LOOK_MS = 100,         /* between two looks at what the system gave */
	REST_TIMES = 50,       /* a trim may take one part in so many of the time */
	LOAD_MS = 1000,        /* a span, of which the most that was allocated counts */
	LOAD_GONE = 3,         /* spans with less than before: a load has gone */
	LOAD_MIN = 256 * 1024, /* it had so many bytes at least, */
	LOAD_PART = 8,         /* and one part in so many of what remains */
};

static _Atomic uint64_t memory_look_ms, memory_trim_ms, memory_load_ms; /* when next */
static _Atomic int64_t memory_high;  /* allocated at most since the last load has gone */
static _Atomic unsigned memory_less; /* spans since then with much less */

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

/* Trims, and looks at what remains. */
static void
memory_trim(uint64_t now_ms)
{
	atomic_store_explicit(&memory_trim_ms,
	    now_ms + LOOK_MS + REST_TIMES * sq_memory_allocator_trim(), memory_order_relaxed);
	memory_look();
}

/* Whether a load has gone since the last call: once for each. */
static bool
memory_load_gone(void)
{
	int64_t most = sq_memory_take_most();
	int64_t high = atomic_load_explicit(&memory_high, memory_order_relaxed);
	unsigned less = atomic_load_explicit(&memory_less, memory_order_relaxed) + 1;
	bool gone;

	if (high - most < LOAD_MIN + most / LOAD_PART)
		less = 0;
	gone = less == LOAD_GONE;
	if (gone)
		less = 0;
	if (gone || most > high)
		atomic_store_explicit(&memory_high, most, memory_order_relaxed);
	atomic_store_explicit(&memory_less, less, memory_order_relaxed);
	return gone;
}

void
sq_memory_tick(uint64_t now_ms)
{
	uint64_t limit = sq_memory_limit();

	if (sq_memory_own != 0)
		sq_memory_flush();
	if (memory_due(&memory_load_ms, now_ms, LOAD_MS) && memory_load_gone())
		memory_trim(now_ms);
	if (limit == 0 || !memory_due(&memory_look_ms, now_ms, LOOK_MS))
		return;
	if ((uint64_t)memory_look() < limit / 16 || sq_memory_used() < limit / 4 * 3 ||
	    !memory_due(&memory_trim_ms, now_ms, LOOK_MS))
		return;
	memory_trim(now_ms);
}
