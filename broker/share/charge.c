#include "broker/share/charge.h"

#include "core/memory.h"

enum {
	STEP = 16 << 10,
	SMALL_MAX = 4 * STEP, /* up to so much by small steps */
	FREE_PART = 2,        /* of the limit: while less is used no share is asked for */
};

static uint64_t
charge_step(uint64_t now)
{
	return now < SMALL_MAX ? SQ_CHARGE_STEP_MIN : STEP;
}

/* Whether there is so much memory that no share is asked for. */
static bool
charge_unasked(const struct sq_charge *c)
{
	return !sq_share_limited(c->account, SQ_SHARE_MEMORY) &&
	    sq_memory_used() < sq_memory_limit() / FREE_PART;
}

void
sq_charge_step(struct sq_charge *c, uint64_t now)
{
	uint64_t step = charge_step(now), n, room;

	if (c->account == NULL)
		return;
	if (now >= c->charged + step) {
		n = (now - c->charged) / step * step;
		room = sq_share_room(c->account, SQ_SHARE_MEMORY) / step * step;
		n = n < room ? n : room;
		if (n == 0)
			return;
		sq_share_force(c->account, SQ_SHARE_MEMORY, n);
		c->charged += n;
	} else if (now == 0 ? c->charged > 0 : c->charged >= now + 2 * step) {
		n = now == 0 ? c->charged : (c->charged - now) / step * step;
		sq_share_give(c->account, SQ_SHARE_MEMORY, n);
		c->charged -= n;
	}
}

uint64_t
sq_charge_room(const struct sq_charge *c, uint64_t now)
{
	uint64_t room;

	if (c->account == NULL || charge_unasked(c))
		return UINT64_MAX;
	room = sq_share_room(c->account, SQ_SHARE_MEMORY);
	room = c->charged +
	    (room > SQ_CHARGE_STEP_MIN ? room : SQ_CHARGE_STEP_MIN); /* less is not counted */
	return room > now ? room - now : 0;
}

bool
sq_charge_fits(const struct sq_charge *c, uint64_t now)
{
	uint64_t step = charge_step(now);

	if (c->account == NULL || now < c->charged + step || charge_unasked(c) ||
	    sq_share_used(c->account, SQ_SHARE_MEMORY) <= c->charged)
		return true;
	return sq_share_room(c->account, SQ_SHARE_MEMORY) >= (now - c->charged) / step * step;
}
