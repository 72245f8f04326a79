/* A session at the broker: MQTT session state of a client, and the attachment
 * over which a sidecar holds it (docs/link.md, "a session at the broker").
 *
 * Owned by one shard; everything here runs on its worker.  session.c has its
 * life, attach.c the PUT, attach_room.c whether there is room for it, order.c what waits for
 * its turn, batch.c, publish.c and held.c messages up, permit.c what it may do, deliver.c,
 * demand.c, window.c and settle.c messages down, refused.c the words of refusals, subscribe.c
 * bindings, retained_scan.c what is retained for them, members.c its parts in groups, group.c
 * and its like the queues that sessions share, ending.c queues whose session or group is
 * gone, stored.c what of all this is in the store. */
#ifndef SQ_BROKER_SESSION_H
#define SQ_BROKER_SESSION_H

#include "broker/share/charge.h"
#include "broker/port/link.h"
#include "broker/group/ending.h"
#include "broker/session/order.h"
#include "broker/shard/shard.h"
#include "proto/link/lane_in.h"

enum sq_session_state {
	SQ_SESSION_FENCING, /* a PUT waits for what was admitted before it */
	SQ_SESSION_ATTACHED,
	SQ_SESSION_GRACE,    /* the link was lost */
	SQ_SESSION_DETACHED, /* the client is gone, the session has not expired */
	SQ_SESSION_DEAD,     /* waits for its consumers to end */
};

struct sq_group;
struct sq_loose_txn;
struct sq_slices;

/* A session's part in a group's queue. */
struct sq_member {
	struct sq_consumer consumer;
	struct sq_list node; /* of the session, while it takes part */
	struct sq_session *session;
	struct sq_group *group; /* a reference */
	struct sq_block *subs;
	struct sq_demand demanded; /* and not handed out yet */
	uint32_t open;             /* handed to the session and not finished */
	uint32_t concurrency;      /* the most of these; 0: no limit of its own */
	uint32_t after;            /* takes nothing before the answer of this mark; 0: it may */
	uint8_t max_qos;
	bool as_published;
	bool attends; /* the group's queue was told that it is there */
};

/* One entry of SUBSCRIBE or of an annotation. */
struct sq_subscription {
	struct sq_list node;
	struct sq_hnode by_name;
	struct sq_hnode by_group;  /* of the table of those that consume, if it leads */
	struct sq_list of_group;   /* the ring of those that consume from the same group */
	char *name;                /* what makes it one: filter, or group, tag and filter */
	struct sq_binding binding; /* of the session's own queue */
	struct sq_group *group;    /* or of this group's; a reference */
	struct sq_group_binding *group_binding;
	uint32_t number;              /* of its record; 0: it has none */
	uint32_t filter_len;          /* bytes */
	uint8_t counted;              /* enum sq_sys_count; SQ_SYS_COUNTS: nowhere */
	bool consumes;                /* from the group */
	bool leads;                   /* it is the one of its ring that is in the table */
	struct sq_declarer *word;     /* what it declares of the group's queue; NULL: nothing */
	struct sq_member *member;     /* one of the session's subscriptions to a group has it */
	struct sq_subscription *twin; /* of one to $dead/#: to the other queue of the two */
	struct sq_sub_scan *scan;     /* retained messages still come: see retained_scan.h */
};

/* An unfinished delivery; the packet id is its index + 1. */
struct sq_slot {
	struct sq_item item;    /* no message once received, and for an orphan */
	struct sq_group *group; /* whose queue it came from (a reference); NULL: own */
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
	bool queued;           /* chosen, but not written yet: see deliver.c */
	bool expected;         /* the client has its id, its item will come: see window.c */
	bool listed;           /* the PUT names what is expected */
	uint32_t weight;       /* bytes that it counts in 'open_bytes' */
	uint16_t next_free;    /* index + 1 */
	uint16_t next_out;     /* index + 1 */
};

/* An inbound QoS 2 packet id that awaits its release. */
struct sq_held {
	uint16_t id;
	bool stored; /* it has a record */
};

/* A handed item that was not sent: its queue goes on counting it. */
struct sq_ready {
	struct sq_item item;
	struct sq_group *group;   /* a reference; NULL: own queue */
	struct sq_member *member; /* NULL: own queue */
};

/* What one instance had when another took the session from it. */
struct sq_superseded {
	uint64_t instance, ordinal, epoch;
};

enum { SQ_SUPERSEDED_MAX = 4 };

/* What the session is subscribed to, and the sidecar that has it. */
enum sq_kept_state {
	SQ_KEPT_KNOWN,
	SQ_KEPT_WANTED, /* it wants to know, and may not have its epoch yet */
	SQ_KEPT_DUE,    /* it is to be told, as soon as the link has room */
};

struct sq_session {
	struct sq_hnode by_key, by_epoch;
	struct sq_list node;      /* of the shard */
	struct sq_list on_link;   /* of 'linked' */
	struct sq_list blocked;   /* the same, while that is full */
	struct sq_linked *linked; /* its link's, or that of the PUT that waits: see linked.h */
	struct sq_shard *shard;
	struct sq_tenant *tenant; /* a reference */
	struct sq_sys_part
	    *sys;      /* where its shard counts for the tenant: see broker/shard/sys_counts.h */
	bool internal; /* no client's, but a sidecar's own */
	char *key;
	enum sq_session_state state;
	uint64_t incarnation;
	uint32_t expiry_s;
	bool durable;
	bool attends; /* its queue was told that it is there */

	/* The store. */
	bool stored; /* it has a base record, which names this holder */
	uint64_t stored_instance, stored_ordinal;
	bool lane_stored;        /* and one of lane 1 */
	bool restored;           /* from before a restart, and not used since */
	uint32_t next_sub;       /* number of the next record of a subscription */
	bool reordered;          /* what is sent again comes from before a restart */
	uint32_t old_items;      /* of the own queue, from before it, not handed out */
	uint64_t old_last;       /* the seq of the last one of them, once all are */
	struct sq_origin *acked; /* of these: what the client has finished */
	uint32_t n_acked, n_expected;

	/* The attachment. */
	uint64_t epoch;       /* 0: none */
	struct sq_link *link; /* a reference */
	uint64_t owner;       /* sq_identity.id of who has it */

	/* What he may do: see permit.h. */
	const struct sq_identity *identity; /* his, a reference; NULL: not known */
	struct sq_acl_subject *permit;      /* NULL: anything */
	uint64_t permit_version;            /* of the rules that say so */

	/* Which attachment it is. */
	uint64_t instance, ordinal;
	uint32_t attempt;
	uint64_t cleaned_instance, cleaned_ordinal; /* whose clean start was applied */
	bool answered;                              /* a PUT was answered; the answer may be lost */
	uint8_t kept;                               /* enum sq_kept_state */
	bool present;    /* an attachment was used: the client knows of it */
	bool takes_over; /* the PUT that waits ends a live connection */
	bool left;       /* the ordinal's client has left by a detach */
	bool broke;      /* and not on purpose: what it had counts an attempt */
	bool admitted;   /* what the waiting PUT says is taken in, its commit is awaited */
	bool lost;       /* and has failed */
	struct sq_superseded superseded[SQ_SUPERSEDED_MAX];
	struct sq_call *attaching; /* the PUT that waits in FENCING */
	unsigned running;          /* transactions that are not done */
	struct sq_list waiting;    /* calls: what is parked, or known, detach */
	struct sq_order order;

	/* Up. */
	struct sq_lane_in lanes[SQ_LANES];
	struct sq_held *held; /* ascending */
	uint32_t n_held, cap_held;
	struct sq_list ops[SQ_LANES];       /* struct sq_op: batches that are not answered */
	struct sq_slices *slices[SQ_LANES]; /* a batch that is taken in bit by bit: see batch.c */
	bool failed[SQ_LANES];              /* a commit failed: attach again */
	uint64_t put_off_ms;                /* since when its QoS 0 is not taken; 0: it is */
	bool sparse;                        /* few of the last batch's messages matched */
	_Atomic uint64_t quiet_until_ms;    /* see refused.h */

	/* Will. */
	struct sq_msg will; /* a reference; no image: none */
	uint32_t will_delay_s;
	struct sq_heap_node will_timer;
	struct sq_heap_node timer; /* grace or expiry */
	uint64_t grace_ms;         /* when the grace ends */

	/* Down. */
	struct sq_sink sink;
	struct sq_consumer consumer; /* of the own queue */
	struct sq_task pump;
	bool pump_posted;
	unsigned pins;             /* consumers and tasks that still point here */
	struct sq_demand demanded; /* and not handed out yet */
	uint64_t credit_msgs, credit_bytes, used_msgs, used_bytes;
	uint16_t receive_max;
	struct sq_slot *slots;
	uint32_t n_slots, cap_slots, free_slot; /* free_slot: index + 1 */
	uint32_t n_sent;                        /* slots that count against 'receive_max' */
	uint64_t open_bytes;                    /* of messages in slots, and these */
	struct sq_charge charge;                /* of these bytes, and 'ready_bytes' */
	uint64_t next_order;
	uint64_t next_delivery, base_delivery; /* ids in [base, next) may be open */
	uint16_t *by_delivery;                 /* ring: slot index + 1, 0 finished */
	uint32_t cap_delivery;
	uint16_t *resend; /* slots to send again after an attach */
	uint32_t n_resend, resend_at;
	uint32_t out_first, out_last;       /* queued slots: index + 1 */
	uint64_t announced, announced_done; /* transactions that announce slots */
	struct sq_ready *ready;             /* ring */
	uint32_t ready_head, n_ready, cap_ready;
	uint64_t ready_bytes; /* of messages in it */

	struct sq_list subscriptions, members;
	struct sq_htab subs_by_name, subs_by_group;
	uint32_t n_subscriptions;
	struct sq_list scans; /* of retained messages: see retained_scan.h */
	struct sq_task scan_task;
	bool scan_posted;
	uint64_t filter_bytes; /* of these */
};

/* session.c */
struct sq_session *sq_session_find(struct sq_shard *, const struct sq_key *key);
struct sq_session *sq_session_find_epoch(struct sq_shard *, uint64_t epoch);
/* Without its queue, in FENCING; its tenant's account counts it already. */
struct sq_session *
sq_session_new(struct sq_shard *, const struct sq_key *, bool durable, uint64_t incarnation);
/* Opens its queue; a durable one that is new is made by 'txn'. */
void sq_session_open(struct sq_session *, struct sq_txn *txn);
/* The expiry that the broker grants, in seconds. */
uint32_t sq_session_expiry_s(const struct sq_session *, uint32_t wanted_s);
/* Ends it for good: will, bindings, records, everything unfinished, in 'txn' (NULL: one of
 * its own).  Its queue is ending then, where it is not empty.  Freed when its consumers and
 * what is running have ended. */
void sq_session_end(struct sq_session *, enum sq_ending_why, struct sq_txn *txn);
/* The broker ends: what is stored of it stays, and its client is not gone. */
void sq_session_close(struct sq_session *);
void sq_session_set_state(struct sq_session *, enum sq_session_state);
/* The attachment has ended, whyever: parked calls are refused with 'why'. */
void sq_session_unattach(struct sq_session *, enum sq_conflict why);
/* Whether somebody is there to take what the session gets: its client, or a sidecar that
 * has lost its link and is expected back within the grace. */
bool sq_session_attends(const struct sq_session *);
/* The link is gone. */
void sq_session_link_lost(struct sq_session *);
void sq_session_detach(struct sq_session *, struct sq_call *);
void sq_session_timer(struct sq_session *, struct sq_heap_node *);
/* Something admitted has ended: goes on with what waited for it. */
void sq_session_ran(struct sq_session *);
void sq_session_pin(struct sq_session *);
void sq_session_unpin(struct sq_session *);

/* attach.c */
void sq_attach_call(struct sq_shard *, struct sq_call *);
/* What was admitted before has ended. */
void sq_attach_finish(struct sq_session *);

/* batch.c, publish.c */
/* Answers a batch of 'n' numbers from 'first', which are all done, with their
 * outcomes and the notes on them (NULL: none). */
void sq_publish_answer(struct sq_session *, struct sq_call *, uint8_t lane, uint64_t first,
    uint16_t n, const struct sq_notes *notes);
void sq_publish_call(struct sq_session *, struct sq_call *);
/* Takes a batch in, or lets it wait; the call is in no list. */
void sq_publish_offer(struct sq_session *, struct sq_call *);
/* The session ends: of batches that are taken in in slices nothing more is. */
void sq_publish_cut(struct sq_session *);
/* Publishes the will now, if there is one. */
void sq_publish_will(struct sq_session *);

/* held.c */
/* NULL: it is not held.  Valid until the next change. */
struct sq_held *sq_held_find(struct sq_session *, uint16_t packet_id);
bool sq_held_add(struct sq_session *, uint16_t packet_id);
bool sq_held_remove(struct sq_session *, uint16_t packet_id);
/* Their ids, for the caller to free. */
uint16_t *sq_held_ids(const struct sq_session *);

/* deliver.c */
void sq_deliver_init(struct sq_session *);
void sq_deliver_fini(struct sq_session *);
void sq_deliver_pump(struct sq_session *); /* at the end of the turn */
/* The link is full: goes on when it is not. */
void sq_deliver_blocked(struct sq_session *);
/* Sends the item now if nothing stands before it and the session has credit:
 * 'item' is then taken.  False: put it.  So a message goes to all sessions of a
 * link in one frame, and not through their queues. */
bool sq_deliver_now(struct sq_session *, struct sq_txn *, struct sq_item *item);
/* Nothing waits and nothing is unfinished. */
bool sq_deliver_idle(const struct sq_session *);
void sq_deliver_take_member(struct sq_consumer *, struct sq_item *, size_t n);

/* window.c */
/* Takes in what a PUT lists: ids of another incarnation ('fresh') and such as the
 * broker has lost stay taken.  'loose' is for what of it is stored. */
void sq_window_list(
    struct sq_session *, const struct sq_attach *, bool fresh, struct sq_loose_txn **loose);
/* Prepares for a new epoch: new delivery ids for all that is open, in order.
 * Writes the open ids into 'out', which the caller frees; returns their number. */
uint16_t sq_window_attach(struct sq_session *, const struct sq_attach *, struct sq_open_id **out);
/* The attachment is over: nothing that was chosen is written any more. */
void sq_window_unattach(struct sq_session *);

/* settle.c */
void sq_settle_call(struct sq_session *, struct sq_call *);
/* What becomes of unfinished deliveries. */
enum sq_return {
	SQ_RETURN_GROUPS, /* the client is gone: what came from groups and isn't in a QoS 2
			   * handshake goes back */
	SQ_RETURN_ALL,    /* so is the session: everything goes */
	SQ_RETURN_CLOSE,  /* the broker is: what is in the store waits there */
};
/* In 'txn', or, if it is NULL, in one of its own. */
void sq_settle_return(struct sq_session *, enum sq_return, struct sq_txn *txn);
/* What was not sent yet goes back to its queue: of groups (SQ_RETURN_GROUPS) or all. */
void sq_settle_return_ready(struct sq_session *, enum sq_return);

/* subscribe.c */
void sq_subscribe_call(struct sq_session *, struct sq_call *);
/* Carries a Subscriptions out, or lets it wait; the call is in no list. */
void sq_subscribe_offer(struct sq_session *, struct sq_call *);
/* Who has declared something through the session is gone: until it is declared anew it
 * counts no more. */
void sq_subscribe_unsay(struct sq_session *);
/* Ends these of its subscriptions, no twin among them, under one lock of their space. */
void sq_subscribe_end(struct sq_session *, struct sq_subscription *const *, size_t n);
/* The session ends; 'txn' is NULL when the broker does. */
void sq_subscribe_drop_all(struct sq_session *, struct sq_txn *txn);
/* A subscription from the store: the value of its record.  Before the session's
 * queue is open. */
int sq_subscribe_restore(struct sq_session *, uint32_t number, struct sq_bytes value) SQ_MUST_CHECK;

/* kept.c.  The answer to the PUT has arrived: the sidecar may be told what the session's
 * client had subscribed to before it came, if it wants to know. */
void sq_kept_used(struct sq_session *);
/* Tells it what is due, once the link has room. */
void sq_kept_tell(struct sq_session *);

/* members.c */
/* Makes the session's part in the group of 'sub', which has none; the subscription's other
 * options follow.  It takes nothing before the answer to the request that is carried out, if
 * that has a mark. */
void sq_member_join(struct sq_session *, struct sq_subscription *sub, const struct sq_sub *);
/* The answer of that mark was written. */
void sq_members_answered(struct sq_session *, uint32_t mark);
/* Ends it; freed when its consumer has ended. */
void sq_member_leave(struct sq_session *, struct sq_member *);
/* Whether they are there to take from their groups' queues: see sq_session_attends(). */
void sq_members_attend(struct sq_session *, bool attend);
/* Members take items only while the session is attached. */
void sq_members_start(struct sq_session *);
void sq_members_stop(struct sq_session *);

#endif
