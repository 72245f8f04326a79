/* The lanes of a dispatcher: the items of each key, by their place in the queue. */
#ifndef SQ_PROTO_DISPATCH_LANES_H
#define SQ_PROTO_DISPATCH_LANES_H

#include "core/htab.h"
#include "proto/dispatch/dispatch.h"

struct sq_dispatch_lane {
	struct sq_hnode node;
	uint64_t key;
	struct sq_list items;          /* by seq */
	struct sq_list serving;        /* in the dispatcher's list while a grant takes of it: */
	struct sq_dispatch_item *last; /* what that has taken last */
	unsigned out;
	struct sq_dispatch_item *offered; /* that may go now; NULL: none may */
};

/* Puts the item into its lane, which is made if it is missing. */
void sq_lanes_add(struct sq_htab *, struct sq_dispatch_item *);
/* Takes the item out of its lane, which is freed with its last one.  Returns the lane; NULL: it is
 * gone. */
struct sq_dispatch_lane *sq_lanes_remove(struct sq_htab *, struct sq_dispatch_item *);
/* The lane's first item. */
struct sq_dispatch_item *sq_lane_first(const struct sq_dispatch_lane *);
/* The next behind 'item'; NULL: none is. */
struct sq_dispatch_item *
sq_lane_next(const struct sq_dispatch_lane *, const struct sq_dispatch_item *item);
/* Frees all lanes, not the items. */
void sq_lanes_fini(struct sq_htab *);

#endif
