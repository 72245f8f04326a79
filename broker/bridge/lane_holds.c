#include "broker/bridge/lane_holds.h"

#include <stdlib.h>

#include "core/mem.h"

struct lane_hold {
	struct sq_hnode node; /* its hash is the lane */
	struct sq_list of_all;
	uint64_t upto; /* UINT64_MAX: the inlet has not heard */
};

static struct lane_hold *
lane_find(const struct sq_lane_holds *l, uint64_t lane)
{
	struct sq_hnode *n = sq_htab_find(&l->held, lane);

	return n != NULL ? SQ_CONTAINER_OF(n, struct lane_hold, node) : NULL;
}

static void
lane_free(struct sq_lane_holds *l, struct lane_hold *at)
{
	sq_htab_remove(&l->held, &at->node);
	sq_list_remove(&at->of_all);
	free(at);
}

void
sq_lane_holds_init(struct sq_lane_holds *l)
{
	*l = (struct sq_lane_holds){0};
	sq_list_init(&l->all);
}

void
sq_lane_holds_add(struct sq_lane_holds *l, uint64_t lane)
{
	struct lane_hold *at = lane_find(l, lane);

	if (at == NULL) {
		at = sq_xcalloc(1, sizeof *at);
		sq_htab_insert(&l->held, &at->node, lane);
		sq_list_push_back(&l->all, &at->of_all);
	}
	at->upto = UINT64_MAX;
}

void
sq_lane_holds_told(struct sq_lane_holds *l, uint64_t lane, uint64_t upto)
{
	struct lane_hold *at = lane_find(l, lane);

	if (at != NULL)
		at->upto = upto;
}

bool
sq_lane_holds_back(struct sq_lane_holds *l, uint64_t lane, uint64_t number)
{
	struct lane_hold *at = lane_find(l, lane);

	if (at == NULL)
		return false;
	if (number <= at->upto)
		return true;
	lane_free(l, at);
	return false;
}

void
sq_lane_holds_pass(struct sq_lane_holds *l, uint64_t number)
{
	SQ_LIST_FOR_EACH_SAFE(at, &l->all, struct lane_hold, of_all) {
		if (at->upto <= number)
			lane_free(l, at);
	}
}

void
sq_lane_holds_fini(struct sq_lane_holds *l)
{
	SQ_LIST_FOR_EACH_SAFE(at, &l->all, struct lane_hold, of_all)
		lane_free(l, at);
	sq_htab_fini(&l->held);
}
