#include "proto/dispatch/lanes.h"

#include <stdlib.h>

#include "core/mem.h"

static struct sq_dispatch_lane *
lanes_find(const struct sq_htab *lanes, uint64_t key)
{
	struct sq_hnode *n = sq_htab_find(lanes, sq_hash_u64(key));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_dispatch_lane *lane = SQ_CONTAINER_OF(n, struct sq_dispatch_lane, node);

		if (lane->key == key)
			return lane;
	}
	return NULL;
}

static struct sq_dispatch_lane *
lanes_make(struct sq_htab *lanes, uint64_t key)
{
	struct sq_dispatch_lane *lane = sq_xcalloc(1, sizeof *lane);

	lane->key = key;
	sq_list_init(&lane->items);
	sq_list_init(&lane->serving);
	sq_htab_insert(lanes, &lane->node, sq_hash_u64(key));
	return lane;
}

void
sq_lanes_add(struct sq_htab *lanes, struct sq_dispatch_item *item)
{
	struct sq_dispatch_lane *lane = lanes_find(lanes, item->key);
	struct sq_list *at;

	if (lane == NULL)
		lane = lanes_make(lanes, item->key);
	item->lane = lane;
	for (at = lane->items.prev; at != &lane->items; at = at->prev) /* most come in order */
		if (SQ_CONTAINER_OF(at, struct sq_dispatch_item, in_lane)->seq < item->seq)
			break;
	sq_list_insert(at->next, &item->in_lane);
}

static void
lanes_free(struct sq_htab *lanes, struct sq_dispatch_lane *lane)
{
	sq_htab_remove(lanes, &lane->node);
	sq_list_remove(&lane->serving);
	free(lane);
}

struct sq_dispatch_lane *
sq_lanes_remove(struct sq_htab *lanes, struct sq_dispatch_item *item)
{
	struct sq_dispatch_lane *lane = item->lane;

	item->lane = NULL;
	sq_list_remove(&item->in_lane);
	if (!sq_list_empty(&lane->items))
		return lane;
	lanes_free(lanes, lane);
	return NULL;
}

struct sq_dispatch_item *
sq_lane_first(const struct sq_dispatch_lane *lane)
{
	return SQ_CONTAINER_OF(lane->items.next, struct sq_dispatch_item, in_lane);
}

struct sq_dispatch_item *
sq_lane_next(const struct sq_dispatch_lane *lane, const struct sq_dispatch_item *item)
{
	return item->in_lane.next == &lane->items
	    ? NULL
	    : SQ_CONTAINER_OF(item->in_lane.next, struct sq_dispatch_item, in_lane);
}

void
sq_lanes_fini(struct sq_htab *lanes)
{
	struct sq_hnode *n;

	while ((n = sq_htab_walk(lanes, NULL)) != NULL)
		lanes_free(lanes, SQ_CONTAINER_OF(n, struct sq_dispatch_lane, node));
	sq_htab_fini(lanes);
}
