/* Layout of an inbox, for inbox*.c. */
#ifndef SQ_PROTO_LINK_INBOX_PRIV_H
#define SQ_PROTO_LINK_INBOX_PRIV_H

#include "proto/link/inbox.h"

enum sq_inbox_state {
	E_SENT1 = 1,
	E_SENT2,
	E_RECEIVING, /* PUBREC came; its 'received' is not confirmed */
	E_RELEASED,  /* PUBREL is due or written */
	E_SETTLING,  /* finished; 'kind' is not confirmed */
	E_EXPECTED,  /* QoS 2, listed by the broker: its message will come again */
	E_GHOST,     /* finished and forgotten, but its message may come once more */
};

enum {
	F_ORPHAN = 1,    /* the broker has only the id */
	F_CHARGED = 2,   /* it uses credit of this attach */
	F_POSTED = 4,    /* the settlement of its state was put since the attach */
	F_SEEN = 8,      /* its message came in this attach, or will not come */
	F_LISTED = 16,   /* the answer to this attach lists it, so its delivery id is known */
	F_QOS2 = 32,     /* else QoS 1 */
	F_COMPLETE = 64, /* finished by 'complete', not by an acknowledgement */
	F_REASON = 128,  /* finished with a reason code other than 0 */
};

/* What each step of a delivery needs: four entries to a cache line. */
struct sq_inbox_entry {
	uint64_t delivery;
	uint32_t size;
	uint16_t packet_id; /* 0: the slot is free */
	uint8_t state, flags;
};

/* The rest of an entry, which is read when a delivery comes again, and by an attach. */
struct sq_inbox_name {
	uint64_t incarnation, run, number;
	uint64_t queue;
	uint32_t seq;
	uint8_t copy;
	uint8_t reason; /* with F_REASON */
};

/* Entries by packet id: inbox_table.c. */
struct sq_inbox_table {
	struct sq_inbox_entry *slots;
	struct sq_inbox_name *names; /* of 'slots', in the same memory */
	uint32_t mask, n;            /* slots - 1; entries */
	uint32_t astray;             /* entries that another one keeps from their own slot */
	uint32_t seq;
	uint32_t ghosts, unlisted; /* 'unlisted': ghosts without F_LISTED */
};

/* Room that the broker may fill, in messages and bytes: inbox.c. */
struct sq_inbox_credit {
	uint64_t window_msgs, window_bytes;
	int64_t msgs, bytes; /* totals to announce */
	int64_t announced_msgs, announced_bytes;
	int64_t came_msgs, came_bytes;            /* totals that came of what was announced */
	uint64_t unwritten_msgs, unwritten_bytes; /* QoS 0 in the client's output */
	bool held;                                /* no more credit is announced */
};

/* Settlements that no flight has taken yet, and the packet id of each: inbox_table.c. */
struct sq_inbox_settled {
	struct sq_buf body;
	struct sq_settle run; /* the run that still grows, behind 'body'; n 0: none */
	uint16_t *ids;
	uint32_t n, cap; /* of 'ids' */
	bool pressing;   /* one of them is waited for */
};

/* PUBRELs that the client has not been given yet. */
struct sq_inbox_pubrels {
	struct sq_inbox_pubrel *v;
	uint32_t n, next, cap;
};

/* A bit for each id of an exchange that has ended here and that the client may continue; NULL:
 * none. inbox_acks.c. */
struct sq_inbox_strays {
	uint64_t *bits;
	uint32_t n;
};

struct sq_inbox {
	struct sq_inbox_table table;
	struct sq_inbox_credit credit;
	struct sq_inbox_settled settled;
	struct sq_inbox_pubrels pubrels;
	struct sq_inbox_strays strays;
	uint64_t attach; /* counts attaches */
	uint32_t limit;  /* of unfinished deliveries, at most the receive maximum */
	uint16_t receive_max;
	uint8_t flying; /* flights of this attach */
	bool asked;     /* Settlements are due, with or without content */
};

/* The table.  Pointers are valid until the next insert or erase.  'id' of an insert is not in the
 * table; queue and origin are those of the entry's message. */
struct sq_inbox_entry *sq_inbox_find(const struct sq_inbox *in, uint16_t id);
struct sq_inbox_entry *
sq_inbox_insert(struct sq_inbox *in, uint16_t id, uint64_t queue, const struct sq_origin *o);
void sq_inbox_erase(struct sq_inbox *in, struct sq_inbox_entry *e);
/* Keeps a finished entry whose message may come once more. */
void sq_inbox_make_ghost(struct sq_inbox *in, struct sq_inbox_entry *e);
/* Counts a ghost that comes ('by' 1) or goes (-1). */
void sq_inbox_count_ghost(struct sq_inbox *in, const struct sq_inbox_entry *e, int by);
/* Forgets all ghosts, or those whose delivery id is not known. */
void sq_inbox_forget_ghosts(struct sq_inbox *in, bool all);
/* Puts a settlement of one delivery. */
void
sq_inbox_settle(struct sq_inbox *in, uint16_t id, uint8_t kind, uint8_t reason, uint64_t delivery);
/* Puts the run that still grows behind the body. */
void sq_inbox_end_run(struct sq_inbox *in);
/* Queues a PUBREL for the client. */
void sq_inbox_push_pubrel(struct sq_inbox *in, uint16_t id, uint8_t reason);
/* Forgets an entry that is over at the broker.  Later packets of the client for its id are no error,
 * even if another delivery has the id by then. */
void sq_inbox_abandon(struct sq_inbox *in, struct sq_inbox_entry *e);
/* Where an entry's name is. */
struct sq_inbox_name *
sq_inbox_entry_name(const struct sq_inbox *in, const struct sq_inbox_entry *e);
/* Whether the entry's message is the one of that queue and origin. */
bool sq_inbox_entry_is(const struct sq_inbox *in, const struct sq_inbox_entry *e, uint64_t queue,
    const struct sq_origin *o);
/* Puts the settlement of the entry's state, once in each attach. */
void sq_inbox_entry_post(struct sq_inbox *in, struct sq_inbox_entry *e);
/* Settles an entry that the client has finished, by 'kind' (an orphan: complete). */
void
sq_inbox_entry_finish(struct sq_inbox *in, struct sq_inbox_entry *e, uint8_t kind, uint8_t reason);
/* Queues the PUBREL of an entry whose 'received' the broker has confirmed. */
void sq_inbox_entry_release(struct sq_inbox *in, struct sq_inbox_entry *e);

#endif
