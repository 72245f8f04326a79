#include "broker/engine/item.h"

void
sq_item_fini(struct sq_item *item)
{
	sq_msg_unref(&item->msg);
	sq_block_unref(&item->subs);
}

const char *
sq_death_name(enum sq_death why)
{
	static const char *const names[] = {
	    [SQ_DEAD_EXPIRED] = "expired",
	    [SQ_DEAD_ATTEMPTS] = "attempts",
	    [SQ_DEAD_REJECTED] = "rejected",
	    [SQ_DEAD_UNFINISHED] = "unfinished",
	    [SQ_DEAD_OVERFLOW] = "overflow",
	    [SQ_DEAD_ABANDONED] = "abandoned",
	};

	return names[why];
}

const char *
sq_death_said(enum sq_death why, const struct sq_death_note *note)
{
	return note != NULL && note->reason != NULL ? note->reason : sq_death_name(why);
}
