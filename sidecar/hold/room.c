#include "sidecar/hold/room.h"

#include "core/log.h"
#include "core/memory.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/hub.h"
#include "sidecar/outbox/outbox.h"

enum {
	WINDOWS_PART = 4, /* of the limit: all windows; copies of it may be twice as much */
	WINDOW_SHARE = 4, /* a new one gets this part of what is left of that */
	WINDOW_MIN = 32 * 1024,
	PACED_BACKLOG = 64 * 1024,
	REFUSED_BACKLOG = 16 * 1024,
	HOLDS_MIN = 16 * 1024, /* who has less does not go; below WINDOW_MIN */
	INPUT_PART = 4,        /* input counts so much less than output */
	SHORT_MS = 5000,       /* with nothing taken for so long, the greatest goes */
	EVICT_MS = 100,        /* between two */
};

bool
sq_room_none(void)
{
	return sq_memory_level() == SQ_MEMORY_REFUSED;
}

uint64_t
sq_room_window(struct sq_hub *h)
{
	uint64_t all = sq_memory_limit() / WINDOWS_PART, window = h->cfg->credit_bytes, share;

	if (all != 0) {
		share = all > h->windows ? (all - h->windows) / WINDOW_SHARE : 0;
		share = share > WINDOW_MIN ? share : WINDOW_MIN;
		window = window < share ? window : share;
	}
	h->windows += window;
	return window;
}

void
sq_room_return(struct sq_hub *h, uint64_t window)
{
	h->windows -= window;
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

/* How much speaks for ending a client.  What it does not take is its own fault; what it has sent
 * waits for the rest or because the sidecar does not read it just now. */
static size_t
room_weight(const struct sq_client *c)
{
	size_t holds = sq_client_holds(c), output = sq_client_output(c);

	return holds > HOLDS_MIN ? output + (holds - output) / INPUT_PART : 0;
}

/* Who holds most goes; false: nobody holds much. */
static bool
room_evict_most(struct sq_hub *h)
{
	struct sq_client *most = NULL;
	size_t weight = 0;

	SQ_LIST_FOR_EACH(c, &h->clients, struct sq_client, all) {
		size_t n = room_weight(c);

		if (n > weight) {
			weight = n;
			most = c;
		}
	}
	if (most == NULL)
		return false;
	sq_hub_count(h, SQ_M_CLOSED_MEMORY, 1);
	sq_client_evict(most);
	return true;
}

/* Where memory does not get free otherwise, and at once where all but a fiftieth is allocated: as
 * many go as it takes to have a tenth again.  What the allocator keeps is no reason to hurry: it
 * gives that back. */
static void
room_evict(struct sq_hub *h, uint64_t now_ms)
{
	uint64_t limit = sq_memory_limit();
	bool waits = now_ms < h->evict_ms || now_ms - h->short_ms < SHORT_MS;

	if (waits && sq_memory_bytes() < limit / 50 * 49)
		return;
	h->evict_ms = now_ms + EVICT_MS;
	while (room_evict_most(h) && sq_memory_bytes() >= limit / 10 * 9)
		continue;
}

static void
room_changed(struct sq_hub *h, enum sq_memory_level level, uint64_t now_ms)
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
		sq_outbox_resume(h->outbox);
	h->memory_level = level;
}

void
sq_room_turn(struct sq_hub *h)
{
	uint64_t now_ms = sq_hub_now(h);
	enum sq_memory_level level;

	sq_memory_tick(now_ms);
	level = sq_memory_level();
	if (level != h->memory_level)
		room_changed(h, level, now_ms);
	if (level == SQ_MEMORY_REFUSED)
		room_evict(h, now_ms);
}
