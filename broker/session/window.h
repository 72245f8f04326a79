/* The window: messages on their way from a session to its client.
 *
 *   - item: a message that a queue has handed to the session.
 *   - pending: items that wait for credit or for room, oldest first. Their queue still counts them.
 *   - slot: an unfinished delivery of QoS 1 or 2. Its index + 1 is the packet id.
 *   - open: a slot that is taken; enum sq_open_state tells the progress of its delivery.
 *   - delivery id: the number by which the sidecar settles a delivery; new in each epoch.
 *   - unsent: slots that were chosen and not yet written, in a row, because a delivery of QoS 2
 *     from a durable queue is committed before it leaves.
 *   - resend: slots from before this epoch, which are sent again, in order.
 *   - orphan: a packet id that the client has open, without a delivery at the broker.
 *   - expected: a slot whose packet id the client has, and whose message comes again from its
 *     queue after a restart of the broker (docs/link.md, NO_KEEP_IDS).
 *   - acked: expected slots that the client has finished before their message came again.
 *
 * Shared by deliver.c, which sends, and settle.c, which finishes.  On the session's worker. */
#ifndef SQ_BROKER_SESSION_WINDOW_H
#define SQ_BROKER_SESSION_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/engine/item.h"
#include "broker/share/charge.h"
#include "proto/link/frame.h"

struct sq_member;
struct sq_sink;

enum {
	SQ_DELIVERIES_MAX = 65536, /* span of open delivery ids */
	SQ_SLOT_LINE = 64,         /* bytes of a cache line */
};

/* The queue from which an item came.  Zeroed: the session's own queue. */
struct sq_queue_ref {
	uint64_t id;                       /* the queue's number in targets of the store */
	struct sq_sink *sink;              /* a reference */
	void (*release)(struct sq_sink *); /* gives the reference to 'sink' back */
};

static inline bool
sq_queue_ref_own(const struct sq_queue_ref *ref)
{
	return ref->sink == NULL;
}

/* The sink of the queue; 'own' is the session's. */
static inline struct sq_sink *
sq_item_sink(struct sq_sink *own, const struct sq_queue_ref *from)
{
	return sq_queue_ref_own(from) ? own : from->sink;
}

/* Gives the reference back, if there is one, and zeroes the struct. */
static inline void
sq_queue_ref_release(struct sq_queue_ref *ref)
{
	if (ref->sink != NULL)
		ref->release(ref->sink);
	*ref = (struct sq_queue_ref){0};
}

/* Begins at a cache line, since a slot is seldom in the cache when its turn comes.  A delivery
 * writes all three lines, its settlement the first two. */
struct sq_slot {
	_Alignas(SQ_SLOT_LINE) uint8_t state; /* enum sq_open_state; 0: free */
	uint8_t qos : 2;                      /* as sent */
	bool retain : 1;                      /* as sent */
	bool sent : 1;     /* in this epoch, or the client is known to have it open */
	bool stored : 1;   /* it has a record; persist.c */
	bool unsent : 1;   /* chosen, but not written yet */
	bool expected : 1; /* the client has its id, and its item will come again */
	bool listed : 1;   /* the PUT has named the id */
	uint16_t next;     /* index + 1 of the next free, or unsent, slot */
	uint32_t weight;   /* its bytes in 'open_bytes' */
	uint64_t delivery;
	struct sq_block *subs; /* as sent; a reference */
	struct sq_queue_ref from;
	uint64_t traced_us;  /* when it was sent, of sq_clock_us(); 0: it is not traced */
	uint64_t order;      /* of first sending */
	struct sq_item item; /* no message once received, and for an orphan */
	/* A free slot has these, and the item's origin, of the last delivery. */
	uint64_t orphan_queue; /* the queue of an orphan, or of an item whose group is gone */
	uint64_t announce; /* number of the transaction that must be committed before it is sent */
	bool traced_again; /* a delivery of it was traced before; traced.c, as 'traced_us' */
};

struct sq_pending {
	struct sq_item item;
	struct sq_queue_ref from;
	struct sq_member *member; /* NULL: own queue */
};

/* A ring of pending items. */
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

/* State from before the broker's last start. */
struct sq_old {
	bool reordered;          /* deliveries from before the start are sent again */
	uint32_t items;          /* of the session's own queue, not handed out */
	uint64_t last_seq;       /* of the last of these items, once all are handed out */
	struct sq_origin *acked; /* origins of items that the client has finished */
	uint32_t n_acked, n_expected;
};

struct sq_window {
	struct sq_slot *slots;
	uint32_t n_slots, cap_slots, free_slot; /* free_slot: index + 1 */
	uint32_t n_sent;                        /* slots that count against 'receive_max' */
	uint16_t receive_max;
	uint32_t unsent_first, unsent_last; /* index + 1 */
	uint64_t next_order;
	uint64_t open_bytes;     /* of messages in slots, and of the slots */
	struct sq_charge charge; /* counts 'open_bytes' and the bytes of pending items in the
	                          * tenant's share */
	struct sq_pending_row pending;
	struct sq_delivery_ids ids;
	struct sq_resend resend;
	struct sq_old old;
};

/* Begins an empty window, whose bytes count in 'account'. */
void sq_window_init(struct sq_window *, struct sq_account *account);
/* Frees the window's memory; nothing is pending and no slot is open. */
void sq_window_fini(struct sq_window *);

/* The circumstances under which a PUT lists ids. */
struct sq_listed {
	bool fresh;    /* the ids are of another incarnation, and stay taken */
	bool durable;  /* the session's own queue outlives the broker */
	bool stores;   /* open ids have records */
	bool restored; /* the session is from before the broker's last start */
};

/* Packet ids whose records must be written; the caller frees 'ids'. */
struct sq_changed {
	uint16_t *ids;
	uint32_t n;
};

/* Applies the list of packet ids of a PUT.  Ids that the broker has lost become orphans, and stay
 * taken. */
void sq_window_list(struct sq_window *, const struct sq_attach *, const struct sq_listed *how,
    struct sq_changed *changed);
/* Begins an epoch: all open deliveries get new delivery ids, in order, and are sent again.  Puts
 * the open ids into '*out', for the caller to free; returns their number. */
uint16_t sq_window_attach(struct sq_window *, uint16_t receive_max, struct sq_open_id **out);
/* Ends the attachment: slots that were chosen and not written are unsent no longer. */
void sq_window_unattach(struct sq_window *);
/* Counts the bytes of pending and unacknowledged messages in the tenant's share of memory. */
void sq_window_charge(struct sq_window *);

/* Takes a free slot; there is one while fewer than UINT16_MAX are taken. */
struct sq_slot *sq_slot_take(struct sq_window *);
/* Fetches the slot that is taken next into the cache, and the slot of a delivery that is settled
 * soon.  They change nothing. */
void sq_slot_take_soon(const struct sq_window *);
void sq_slot_find_soon(const struct sq_window *, uint64_t delivery);
/* Takes a slot for a delivery at that QoS, with the item and its reference, and gives the delivery
 * an id.  'subs' as sent; the slot has a reference of its own. */
struct sq_slot *sq_slot_open(
    struct sq_window *, const struct sq_pending *, uint8_t qos, bool retain, struct sq_block *subs);
/* The client has received the slot's QoS 2 message, which is dropped. */
void sq_slot_received(struct sq_window *, struct sq_slot *);
/* The slot's message has gone back to its queue; the slot is freed next. */
void sq_slot_returned(struct sq_slot *);
/* Places the slot behind all others in the order of first sending. */
void sq_slot_reorder(struct sq_window *, struct sq_slot *);
/* Frees the slot with its item and the reference to its queue. */
void sq_slot_free(struct sq_window *, struct sq_slot *);
/* Counts the bytes of the slot's message anew, after the message has come or gone. */
void sq_slot_weigh(struct sq_window *, struct sq_slot *);
uint16_t sq_slot_packet_id(const struct sq_window *, const struct sq_slot *);
/* Gives a new delivery id to the slot. */
void sq_slot_number(struct sq_window *, struct sq_slot *);
/* The slot that has this delivery id in the present epoch, or NULL. */
struct sq_slot *sq_slot_find(const struct sq_window *, uint64_t delivery);
/* Counts the slot against the client's receive maximum from now on. */
void sq_slot_sent(struct sq_window *, struct sq_slot *);

/* For the broker's start: takes the slot of that id, for the caller to fill; NULL: it is taken.
 * sq_window_restored() follows the last one, before any sq_slot_take(). */
struct sq_slot *sq_slot_restore(struct sq_window *, uint16_t packet_id);
void sq_window_restored(struct sq_window *);

/* The row of unsent slots, oldest first.  'announce' is the number of the transaction that must be
 * committed before the slot is sent; 0: none. */
void sq_unsent_push(struct sq_window *, struct sq_slot *, uint64_t announce);
struct sq_slot *sq_unsent_first(const struct sq_window *);
void sq_unsent_pop(struct sq_window *);

/* The next slot to be sent again; NULL: there is none. */
struct sq_slot *sq_resend_first(const struct sq_window *);
void sq_resend_pop(struct sq_window *);

/* Finds the expected slot of the item and moves the item into it, with the reference to its queue;
 * it is a delivery of QoS 1, behind all others.  NULL: no slot expects the item. */
struct sq_slot *sq_window_expected(
    struct sq_window *, const struct sq_pending *, bool retain, struct sq_block *subs);
/* Notes that the client has finished the message that the slot expects. */
void sq_window_acked(struct sq_window *, const struct sq_slot *);
/* Whether the client has finished this item, which its queue has handed out again. */
bool sq_window_was_acked(struct sq_window *, const struct sq_pending *);
/* An item of the session's own queue was handed out, or went back. */
void sq_window_old_taken(struct sq_window *, uint64_t seq);
void sq_window_old_back(struct sq_window *, uint64_t seq);
/* The session's own queue has none of its old items left. */
void sq_window_old_gone(struct sq_window *);

/* The i-th item, oldest first. */
struct sq_pending *sq_pending_at(const struct sq_pending_row *, uint32_t i);
/* Puts an item behind all others and takes over its references. sq_window_charge() follows. */
void sq_pending_push(struct sq_pending_row *, const struct sq_pending *);
struct sq_pending sq_pending_pop(struct sq_pending_row *);
/* Puts an item before all others and takes over its references. */
void sq_pending_unpop(struct sq_pending_row *, const struct sq_pending *);
/* Empties the row; the caller owns the returned items and their ring. */
struct sq_pending_row sq_pending_take_all(struct sq_pending_row *);
/* Whether the row has an item of that member. */
bool sq_pending_of(const struct sq_pending_row *, const struct sq_member *);

#endif
