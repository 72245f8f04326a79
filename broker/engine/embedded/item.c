#include "broker/engine/embedded/item.h"

#include "core/clock.h"
#include "core/wallclock.h"

struct sq_item
sq_item_from_table(const struct sq_table_item *stored)
{
	struct sq_item item = {
	    .origin = stored->origin,
	    .seq = stored->seq,
	    .expires_ms = sq_wallclock_to_mono(stored->expires_ms, sq_clock_ms()),
	    .qos = stored->qos & 3u,
	    .retain = stored->retain,
	    .assured = stored->assured,
	    .stored = true,
	    .attempts = stored->attempts,
	    .arrived_ms = stored->arrived_ms,
	};

	item.msg.block = sq_block_copy(stored->image.p, stored->image.len);
	item.msg.image = item.msg.block->bytes;
	if (stored->subs.len > 0)
		item.subs = sq_block_copy(stored->subs.p, stored->subs.len);
	return item;
}
