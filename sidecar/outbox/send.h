/* The sender of a disk outbox: the numbers, batches and outcomes of the entries that wait for a
 * broker.
 *
 *   load ─▶ ahead: waits ─(take)─▶ flies ─(answered)─▶ done ─▶ finished, once at the head
 *                    ▲               │
 *                    └── refused for a while, failed: again
 *
 * Entries get new numbers only while no batch is on its way, and a state with the numbers is synced
 * before an entry is sent under them: sq_outbox_send_settle() asks for the state, and until
 * sq_outbox_send_written() no batch is made.
 *
 * Pure: knows no journal, sessions or clock. */
#ifndef SQ_SIDECAR_OUTBOX_SEND_H
#define SQ_SIDECAR_OUTBOX_SEND_H

#include "proto/link/frame.h"
#include "sidecar/outbox/entry.h"
#include "sidecar/outbox/state.h"

/* A batch on its way: 'body' has SQ_BATCH_HEADER bytes and the entries. */
struct sq_outbox_batch {
	struct sq_list node; /* the sender's */
	struct sq_buf body;
	uint64_t first;
	uint16_t n;
};

/* A broker has refused a message of that client: 'for_good', or the message is sent again. */
typedef void sq_outbox_refused_fn(
    void *owner, const char *client_id, uint8_t reason, const struct sq_note *note, bool for_good);

/* The numbers of entries on the link. */
struct sq_outbox_numbers {
	uint64_t run, incarnation;
	uint64_t next;    /* number for the next loaded entry */
	uint64_t highest; /* highest number that was sent, as far as is known after a restart */
	/* Outcomes up to this number are in a synced state.  The broker hears of no later ones: after a
	 * kill, a sender that reads the state asks for them again. */
	uint64_t seen, seen_bytes; /* seen_bytes: of all messages up to it */
	uint64_t window;           /* how many numbers may be above it */
	/* New numbers follow 'last', under 'new_run', once no batch is on its way. */
	uint64_t last, new_run;
	bool renumber;
	bool run_lost; /* until the next attach */
	bool rewind;   /* new numbers are due, since a message was refused for a while */
};

/* Written by send.c alone. */
struct sq_outbox_send {
	sq_outbox_refused_fn *refused;
	void *owner;
	/* Entries in order; the head is not finished. */
	struct sq_list ahead;
	size_t ahead_bytes;
	uint64_t loaded_seq, loaded_bytes; /* of the last entry of 'ahead', or the one before it */
	struct sq_outbox_skips skips;      /* finished entries that are not loaded yet */
	/* The last entry of those that had an outcome at the last sq_outbox_send_outcomes(); NULL:
	 * none is loaded. */
	struct sq_outbox_entry *outcome;
	struct sq_outbox_numbers numbers;
	uint64_t bar;   /* from this sequence on nothing is sent */
	unsigned gates; /* states to be synced before the next batch */
	bool attached;
	bool slow; /* one message in a batch, until one is accepted */
	uint64_t due_ms;
	uint32_t retry_ms;
	struct sq_list batches;
	unsigned flying;
};

void sq_outbox_send_init(struct sq_outbox_send *, sq_outbox_refused_fn *, void *owner);
/* Frees the waiting entries; no batch is on its way. */
void sq_outbox_send_fini(struct sq_outbox_send *);
/* Continues from a state that was read; takes over its skips. */
void sq_outbox_send_restore(struct sq_outbox_send *, struct sq_outbox_state *);
/* Fills the sender's part of a state; the caller frees the skips. */
void sq_outbox_send_state(struct sq_outbox_send *, struct sq_outbox_state *);
/* Whether a state may be written now: a sender that reads it gives the numbers from the first one
 * on to the entries that are not finished, one after the other, so these have to be theirs. */
bool sq_outbox_send_whole(const struct sq_outbox_send *);
/* A state with that first number, and those finished bytes, has been synced; 'gates':
 * sq_outbox_send_settle() asked for it. */
void sq_outbox_send_written(
    struct sq_outbox_send *, uint64_t first_number, uint64_t done_bytes, bool gates);
/* Whether a state is due, since sending stops when too many outcomes are in none. */
bool sq_outbox_send_due(const struct sq_outbox_send *);

/* Takes over the next entry of the sequence; frees it if it is finished already. */
void sq_outbox_send_load(struct sq_outbox_send *, struct sq_outbox_entry *);
/* Whether entries that were sent before a restart are not loaded yet: after a refusal their outcomes
 * are needed before anything gets a new number. */
bool sq_outbox_send_lacks(const struct sq_outbox_send *);
/* Frees finished entries at the head; returns their bytes. */
size_t sq_outbox_send_finish(struct sq_outbox_send *);
/* Gives new numbers if they are due and no batch is on its way.  True: the caller writes and syncs
 * a state, and then calls sq_outbox_send_written(). */
bool sq_outbox_send_settle(struct sq_outbox_send *) SQ_MUST_CHECK;

/* Contracts of the functions with the same names in store.h; sq_outbox_send_finish() and
 * sq_outbox_send_settle() follow each call. */
void sq_outbox_send_attached(
    struct sq_outbox_send *, uint64_t incarnation, uint64_t last, uint64_t run, uint64_t next_seq);
void sq_outbox_send_renew(struct sq_outbox_send *);
int sq_outbox_send_answered(struct sq_outbox_send *, struct sq_outbox_batch **,
    const struct sq_outcomes *, uint64_t now_ms) SQ_MUST_CHECK;
void sq_outbox_send_failed(struct sq_outbox_send *, struct sq_outbox_batch **);
void sq_outbox_send_run_lost(struct sq_outbox_send *, struct sq_outbox_batch **);
void sq_outbox_send_too_big(struct sq_outbox_send *, struct sq_outbox_batch **);

void sq_outbox_send_bar(struct sq_outbox_send *, uint64_t seq);
uint64_t sq_outbox_send_outcomes(struct sq_outbox_send *);
struct sq_outbox_batch *sq_outbox_send_take(struct sq_outbox_send *, uint64_t now_ms);

/* The sequence, and the bytes, up to which all entries are finished. */
uint64_t sq_outbox_send_done_seq(const struct sq_outbox_send *);
uint64_t sq_outbox_send_done_bytes(const struct sq_outbox_send *);
/* The number of the first entry that is not finished. */
uint64_t sq_outbox_send_first_number(const struct sq_outbox_send *);
/* The first entry that is not finished; NULL: none is loaded. */
const struct sq_outbox_entry *sq_outbox_send_first(const struct sq_outbox_send *);

#endif
