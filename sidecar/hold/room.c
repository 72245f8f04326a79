#include "sidecar/hold/room.h"

#include "core/log.h"
#include "core/memory.h"
#include "sidecar/hold/table.h"

enum {
	PACED_BACKLOG = 64 * 1024,
	REFUSED_BACKLOG = 16 * 1024,
};

bool
sq_room_none(void)
{
	return sq_memory_level() == SQ_MEMORY_REFUSED;
}

bool
sq_room_waits(size_t backlog, size_t size)
{
	switch (sq_memory_level()) {
	case SQ_MEMORY_FREE:
	case SQ_MEMORY_FILLED:
		break;
	case SQ_MEMORY_PACED:
		return backlog != 0 && backlog + size > PACED_BACKLOG;
	case SQ_MEMORY_REFUSED:
		return backlog + size > REFUSED_BACKLOG;
	}
	return false;
}

bool
sq_room_none_to_stay(void)
{
	return sq_memory_level() != SQ_MEMORY_FREE;
}

static void
room_changed(struct sq_holds *h, enum sq_memory_level level, uint64_t now_ms)
{
	bool none = level == SQ_MEMORY_REFUSED;

	if (none && now_ms >= h->short_quiet_ms) {
		SQ_WARN("memory",
		    "%llu of %llu bytes (limits.memory) are in use: nothing is taken "
		    "that needs more",
		    (unsigned long long)sq_memory_used(), (unsigned long long)sq_memory_limit());
		h->short_quiet_ms = now_ms + 10000;
	}
	if (none)
		h->short_ms = now_ms;
	if (level < h->memory_level)
		sq_budget_resume(&h->budget);
	h->memory_level = level;
}

void
sq_room_turn(struct sq_holds *h)
{
	uint64_t now_ms = sq_holds_now(h);
	enum sq_memory_level level;

	sq_memory_tick(now_ms);
	level = sq_memory_level();
	if (level != h->memory_level)
		room_changed(h, level, now_ms);
}
