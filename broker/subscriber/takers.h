/* Takers of a pull, for its files: taker.h has what they ask for. */
#ifndef SQ_BROKER_SUBSCRIBER_TAKERS_H
#define SQ_BROKER_SUBSCRIBER_TAKERS_H

#include "broker/subscriber/pull_priv.h"
#include "broker/subscriber/taker.h"

void sq_takers_init(struct sq_pull *);
/* Has the dispatcher know of all asks, or of none: what these have taken by then is free again. */
void sq_takers_grant(struct sq_pull *, bool granted);
/* The item is handed to the ask of the grant, which may still linger. */
void sq_taker_hand(struct sq_pull *, struct sq_dispatch_grant *, struct sq_pull_item *);
/* The ask has its items: its taker takes them. */
void sq_taker_serve(struct sq_pull *, struct sq_dispatch_grant *);
/* The item is its taker's no more. */
static inline void
sq_taker_drop(struct sq_pull_item *it)
{
	sq_list_remove(&it->in_poll);
	it->taker = NULL;
}

/* The pull ends: nobody has anything of it any more, and joins it. */
void sq_takers_detach(struct sq_pull *);
/* Tells them so. */
void sq_takers_dismiss(struct sq_pull *);

#endif
