/* What a session has under way to its client.
 *
 *  - item: a message that a queue has handed to the session.
 *  - pending: items that wait for credit or for room, oldest first.  Their queue goes on
 *    counting them.
 *  - slot: an unfinished delivery of QoS 1 or 2.  Its index + 1 is the packet id.
 *  - open: a slot that is taken; enum sq_open_state says how far its delivery is.
 *  - delivery id: the number by which the sidecar settles a delivery; new in each epoch.
 *  - unsent: slots that were chosen and not yet written, in a row, because a delivery of QoS 2
 *    from a durable queue is committed before it leaves.
 *  - resend: slots of before this epoch, which are sent again, in order.
 *  - orphan: a packet id that the client has open, and of which the broker has no delivery.
 *  - expected: a slot whose packet id the client has, and whose message comes again from its
 *    queue, because the broker was started again (docs/link.md, NO_KEEP_IDS).
 *  - acked: what the client has finished of the same, before it came again.
 *
 * Shared by deliver.c, which sends, and settle.c, which finishes. */
#ifndef SQ_BROKER_SESSION_WINDOW_H
#define SQ_BROKER_SESSION_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/engine/item.h"
#include "broker/share/charge.h"
#include "proto/link/frame.h"

struct sq_member;
struct sq_sink;

enum { SQ_DELIVERIES_MAX = 65536 }; /* span of open delivery ids */

/* The queue that an item came from.  Zeroed: the session's own. */
struct sq_queue_ref {
	uint64_t id;                       /* that targets name it by */
	struct sq_sink *sink;              /* a reference */
	void (*release)(struct sq_sink *); /* gives that back */
};

static inline bool
sq_queue_ref_own(const struct sq_queue_ref *ref)
{
	return ref->sink == NULL;
}

/* Gives the reference back, if any, and zeroes it. */
static inline void
sq_queue_ref_release(struct sq_queue_ref *ref)
{
	if (ref->sink != NULL)
		ref->release(ref->sink);
	*ref = (struct sq_queue_ref){0};
}

struct sq_slot {
	struct sq_item item; /* no message once received, and for an orphan */
	struct sq_queue_ref from;
	uint64_t delivery;
	uint64_t order;        /* of first sending */
	struct sq_block *subs; /* as sent; a reference */
	uint64_t orphan_queue; /* where an orphan came from, or one whose group is gone */
	uint64_t announce;     /* may leave when so many of the session's are committed */
	uint8_t state;         /* enum sq_open_state; 0: free */
	uint8_t qos;           /* as sent */
	bool retain;           /* as sent */
	bool sent;             /* in this epoch, or the client has it open anyway */
	bool stored;           /* it has a record */
	bool unsent;           /* chosen, but not written yet */
	bool expected;         /* the client has its id, its item will come */
	bool listed;           /* the PUT names what is expected */
	uint32_t weight;       /* bytes that it counts in 'open_bytes' */
	uint16_t next_free;    /* index + 1 */
	uint16_t next_unsent;  /* index + 1 */
};

struct sq_pending {
	struct sq_item item;
	struct sq_queue_ref from;
	struct sq_member *member; /* NULL: own queue */
};

/* A ring of them. */
struct sq_pending_row {
	struct sq_pending *ring;
	uint32_t head, n, cap; /* 'cap' is a power of two, or 0 */
	uint64_t bytes;        /* of messages in it */
};

/* Delivery ids of this epoch: those in [base, next) may be open. */
struct sq_delivery_ids {
	uint64_t next, base;
	uint16_t *slots; /* ring: slot index + 1; 0: finished */
	uint32_t cap;
};

/* Slots that are sent again after an attach. */
struct sq_resend {
	uint16_t *slots; /* indices */
	uint32_t n, at;
};

/* What there is of before the broker's last start. */
struct sq_old {
	bool reordered;          /* what is sent again comes from before it */
	uint32_t items;          /* of the own queue, not handed out */
	uint64_t last_seq;       /* of the last one of them, once all are handed out */
	struct sq_origin *acked; /* of these: what the client has finished */
	uint32_t n_acked, n_expected;
};

struct sq_window {
	struct sq_slot *slots;
	uint32_t n_slots, cap_slots, free_slot; /* free_slot: index + 1 */
	uint32_t n_sent;                        /* slots that count against 'receive_max' */
	uint16_t receive_max;
	uint32_t unsent_first, unsent_last; /* index + 1 */
	uint64_t next_order;
	uint64_t open_bytes;     /* of messages in slots, and these */
	struct sq_charge charge; /* of these bytes, and those of what is pending */
	struct sq_pending_row pending;
	struct sq_delivery_ids ids;
	struct sq_resend resend;
	struct sq_old old;
};

/* Zeroes it; what it holds counts in 'account'. */
void sq_window_init(struct sq_window *, struct sq_account *account);
/* Nothing is pending and no slot is open. */
void sq_window_fini(struct sq_window *);

/* How ids that a PUT lists are taken in. */
struct sq_listed {
	bool fresh;    /* they are of another incarnation, and stay taken */
	bool durable;  /* the session's own queue outlives the broker */
	bool stores;   /* open ids have records */
	bool restored; /* the session is from before the broker's last start */
};

/* Packet ids whose records must be written; 'ids' is the caller's to free. */
struct sq_changed {
	uint16_t *ids;
	uint32_t n;
};

/* Takes in the ids that the PUT lists: those that the broker has lost stay taken. */
void sq_window_list(struct sq_window *, const struct sq_attach *, const struct sq_listed *how,
    struct sq_changed *changed);
/* Begins a new epoch: new delivery ids for all that is open, in order, and as much is sent again.
 * Leaves the open ids in 'out', for the caller to free; returns their number. */
uint16_t sq_window_attach(struct sq_window *, uint16_t receive_max, struct sq_open_id **out);
/* The attachment is over: nothing that was chosen is written any more. */
void sq_window_unattach(struct sq_window *);
/* Counts what is pending and what is unacknowledged in the tenant's share of memory. */
void sq_window_charge(struct sq_window *);

/* A free slot, not yet sent; there is one while fewer than UINT16_MAX are taken. */
struct sq_slot *sq_slot_take(struct sq_window *);
/* Drops what the slot holds, its queue's reference with it. */
void sq_slot_free(struct sq_window *, struct sq_slot *);
/* Its message has come, or has gone: counts what it holds now in the session's memory. */
void sq_slot_weigh(struct sq_window *, struct sq_slot *);
uint16_t sq_slot_packet_id(const struct sq_window *, const struct sq_slot *);
/* Gives a new delivery id to the slot. */
void sq_slot_number(struct sq_window *, struct sq_slot *);
/* The slot that has this delivery id in the present epoch, or NULL. */
struct sq_slot *sq_slot_find(struct sq_window *, uint64_t delivery);
/* It counts against the client's receive maximum from now on. */
void sq_slot_sent(struct sq_window *, struct sq_slot *);

/* Start: the slot of that id, for the caller to fill; NULL: it is taken.  None is taken
 * before sq_window_restored(). */
struct sq_slot *sq_slot_restore(struct sq_window *, uint16_t packet_id);
void sq_window_restored(struct sq_window *);

/* Unsent slots, oldest first. */
void sq_unsent_push(struct sq_window *, struct sq_slot *);
struct sq_slot *sq_unsent_first(const struct sq_window *);
void sq_unsent_pop(struct sq_window *);

/* The next slot that is to be sent again; NULL: there is none. */
struct sq_slot *sq_resend_first(const struct sq_window *);
void sq_resend_pop(struct sq_window *);

/* The expected slot of this item, which it takes with its reference; NULL: there is none. */
struct sq_slot *sq_window_expected(struct sq_window *, const struct sq_pending *);
/* The client has finished what the slot expects. */
void sq_window_acked(struct sq_window *, const struct sq_slot *);
/* Whether it has finished this item, which has come now. */
bool sq_window_was_acked(struct sq_window *, const struct sq_pending *);
/* An item of the own queue was handed out, or went back. */
void sq_window_old_taken(struct sq_window *, uint64_t seq);
void sq_window_old_back(struct sq_window *, uint64_t seq);

/* The i-th item, oldest first. */
struct sq_pending *sq_pending_at(const struct sq_pending_row *, uint32_t i);
/* Puts one behind all others; its fields are taken.  sq_window_charge() follows. */
void sq_pending_push(struct sq_pending_row *, const struct sq_pending *);
struct sq_pending sq_pending_pop(struct sq_pending_row *);
/* Puts one before all others; its fields are taken. */
void sq_pending_unpop(struct sq_pending_row *, const struct sq_pending *);
/* Leaves the row empty; what was in it, its ring with it, is the caller's. */
struct sq_pending_row sq_pending_take_all(struct sq_pending_row *);
/* Whether it has an item of that member. */
bool sq_pending_of(const struct sq_pending_row *, const struct sq_member *);

#endif
