/* The messages that a pull's dispatcher has, their leases, and the records of these. */
#ifndef SQ_BROKER_SUBSCRIBER_PULL_ITEMS_H
#define SQ_BROKER_SUBSCRIBER_PULL_ITEMS_H

#include "broker/subscriber/lease.h"
#include "broker/subscriber/pull_priv.h"

void sq_pull_items_init(struct sq_pull *);
void sq_pull_items_fini(struct sq_pull *);
/* Takes an item of the queue over; the dispatcher does not know it yet. */
struct sq_pull_item *sq_pull_item_new(struct sq_pull *, const struct sq_item *);
/* Has it ready for another dispatcher. */
void sq_pull_item_again(struct sq_pull *, struct sq_pull_item *);
/* The item of that place; NULL: it is not here. */
struct sq_pull_item *sq_pull_item_find(const struct sq_pull *, uint64_t seq);
static inline struct sq_pull_item *
sq_pull_item_of(struct sq_dispatch_item *d)
{
	return SQ_CONTAINER_OF(d, struct sq_pull_item, d);
}

/* The item has left the dispatcher: settles it in the queue, and frees it. */
void sq_pull_item_end(struct sq_pull *, struct sq_pull_item *, enum sq_dispatch_end end);
/* Frees the item; it stays with its lease until the next start of the broker. */
void sq_pull_item_keep(struct sq_pull *, struct sq_pull_item *);
/* An attempt of it has failed: makes that durable, with the end of its lease.  The dispatcher is told
 * when it is. */
void sq_pull_item_tried(struct sq_pull *, struct sq_pull_item *);
/* Takes it in at the dispatcher: what has failed before, soon after the start, waits a while. */
void sq_pull_item_take(struct sq_pull *, struct sq_pull_item *);
/* It goes to another consumer: what was said of it before is forgotten. */
void sq_pull_item_handed(struct sq_pull_item *);
/* What its consumer says of it, for its dead letter: a 'reason' that stays valid, or NULL; and a detail,
 * or NULL, which is copied. */
void sq_pull_item_note(struct sq_pull_item *, const char *reason, const char *detail);
/* Items of a list (in_poll) have left their queue for a consumer. */
void sq_pull_items_sent(struct sq_pull *, const struct sq_list *);
/* It is with a consumer, whose memory it counts in, or no longer. */
void sq_pull_item_out(struct sq_pull *, struct sq_pull_item *, bool out);
/* Leases it for 'lease_ms', and writes the text of the lease.  One with a record begins when that is
 * durable. */
void sq_pull_item_lease(struct sq_pull *, struct sq_pull_item *, const struct sq_identity *,
    uint64_t lease_ms, char text[SQ_LEASE_TEXT_MAX]);
/* It is with no consumer any more: ends its lease. */
void sq_pull_item_free(struct sq_pull *, struct sq_pull_item *);
/* The lease holds for 'lease_ms' more: in its record, if there is one. */
void sq_pull_item_extend(struct sq_pull *, struct sq_pull_item *, uint64_t lease_ms);
/* Whether the lease is that of the item. */
bool sq_pull_item_holds(const struct sq_pull_item *, const struct sq_lease *);
/* Has the dispatcher go on with an item that is out until 'until_ms'.  Its lane may have items before
 * it that wait in the queue: see the next one. */
void sq_pull_item_adopt(
    struct sq_pull *, struct sq_dispatch *, struct sq_pull_item *, uint64_t until_ms);
/* Takes what waits in the queue before what was adopted, so that no lane has a hole.  False: not all of
 * it can be read now; what is behind it must not be handed out. */
bool sq_pull_items_catch_up(struct sq_pull *);
/* Whether the lease was acknowledged, of late. */
bool sq_pull_acked(const struct sq_pull *, const struct sq_lease *);
/* Forgets leases that were acknowledged long ago. */
void sq_pull_acked_sweep(struct sq_pull *);
/* Takes the value of a lease's record in, at the start.  SQ_EINVAL: it does not read.  Other errors:
 * the engine's. */
int sq_pull_item_load(
    struct sq_pull *, uint64_t seq, struct sq_bytes value, uint64_t now_ms) SQ_MUST_CHECK;

#endif
