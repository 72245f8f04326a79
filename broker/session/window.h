/* What a session has under way to its client: items that wait for credit
 * ("ready"), and unfinished deliveries ("slots", whose index + 1 is the packet
 * id).  Shared by deliver.c, which sends, and settle.c, which finishes. */
#ifndef SQ_BROKER_WINDOW_H
#define SQ_BROKER_WINDOW_H

#include "broker/session/session.h"
#include "broker/session/txn.h"

enum { SQ_DELIVERIES_MAX = 65536 }; /* span of open delivery ids */

/* A free slot, not yet sent; there is one while fewer than UINT16_MAX are taken. */
struct sq_slot *sq_slot_take(struct sq_session *);
void sq_slot_free(struct sq_session *, struct sq_slot *);
/* Its message has come, or has gone: counts what it holds now in the session's memory. */
void sq_slot_weigh(struct sq_session *, struct sq_slot *);
/* Counts what is ready and what is unacknowledged in the tenant's share of memory. */
void sq_window_charge(struct sq_session *);
uint16_t sq_slot_packet_id(const struct sq_session *, const struct sq_slot *);
/* Gives a new delivery id to the slot. */
void sq_slot_number(struct sq_session *, struct sq_slot *);
/* The slot that has this delivery id in the present epoch, or NULL. */
struct sq_slot *sq_slot_find(struct sq_session *, uint64_t delivery);
/* It counts against the client's receive maximum from now on. */
void sq_slot_sent(struct sq_session *, struct sq_slot *);

/* Start: the slot of that id, for the caller to fill; NULL: it is taken.  None is taken
 * before sq_window_restored(). */
struct sq_slot *sq_slot_restore(struct sq_session *, uint16_t packet_id);
void sq_window_restored(struct sq_session *);

/* Slots that were chosen wait in a row, because those of QoS 2 from durable queues are
 * committed first. */
void sq_out_push(struct sq_session *, struct sq_slot *);
struct sq_slot *sq_out_first(const struct sq_session *);
void sq_out_pop(struct sq_session *);

/* After a restart the client has ids of QoS 1 whose messages are in their queues again
 * (docs/link.md, NO_KEEP_IDS).  The slot that waits for this item, which it takes, or
 * NULL. */
struct sq_slot *sq_window_expected(struct sq_session *, struct sq_ready *);
/* The client has finished what the slot waits for, which is yet to come. */
void sq_window_acked(struct sq_session *, const struct sq_slot *);
/* Whether it has finished this item, which has come now. */
bool sq_window_was_acked(struct sq_session *, const struct sq_ready *);

/* The i-th ready item, oldest first. */
struct sq_ready *sq_ready_at(const struct sq_session *, uint32_t i);
/* Puts one behind all others; its fields are taken.  sq_window_charge() follows. */
void sq_ready_push(struct sq_session *, const struct sq_ready *);
struct sq_ready sq_ready_pop(struct sq_session *);
/* Puts one before all others; its fields are taken. */
void sq_ready_unpop(struct sq_session *, const struct sq_ready *);
/* Forgets the first 'n', which are the caller's. */
void sq_ready_drop(struct sq_session *, uint32_t n);

/* An item of 'g' is finished or went back: the session's member there, if it is
 * still one, may have another.  'g' may be NULL. */
void sq_window_left(struct sq_session *, const struct sq_group *g);
/* The queue that an item came from: the group's, or the session's own. */
struct sq_queue *sq_window_queue(const struct sq_session *, const struct sq_group *);
/* Settles an item that needs no answer, or no longer has anybody to give one.
 * 'loose' may be NULL at QoS 0, where there is nothing to settle. */
void sq_window_drop(struct sq_session *, struct sq_loose_txn **loose, struct sq_ready *);

#endif
