/* The sender of a disk outbox: which entries wait for a broker, under which numbers and in which
 * batches they go, and their outcomes.
 *
 *   load ─▶ ahead: waits ─(take)─▶ flies ─(answered)─▶ done ─▶ finished, once at the head
 *                    ▲               │
 *                    └── refused for a while, failed: again
 *
 * Numbers are given anew only while no batch is on its way, and a state with them has to be
 * synced before one is sent under them: sq_outbox_send_settle() says when, and until
 * sq_outbox_send_written() nothing is taken.
 *
 * Knows no journal, sessions or clock. */
#ifndef SQ_SIDECAR_OUTBOX_SEND_H
#define SQ_SIDECAR_OUTBOX_SEND_H

#include "proto/link/frame.h"
#include "sidecar/outbox/entry.h"
#include "sidecar/outbox/state.h"

/* A batch on its way: 'body' is its SQ_BATCH_HEADER bytes and its entries. */
struct sq_outbox_batch {
	struct sq_list node; /* the sender's */
	struct sq_buf body;
	uint64_t first;
	uint16_t n;
};

/* A broker refused a message of that client: 'for_good', or it is sent again. */
typedef void sq_outbox_refused_fn(
    void *owner, const char *client_id, uint8_t reason, const struct sq_note *note, bool for_good);

/* The numbers of entries on the link. */
struct sq_outbox_numbers {
	uint64_t run, incarnation;
	uint64_t next;    /* for the next entry that is loaded */
	uint64_t highest; /* that was sent */
	/* To be given anew behind 'last', as of 'new_run', once nothing flies. */
	uint64_t last, new_run;
	bool renumber;
	bool run_lost; /* until the next attach */
	bool rewind;   /* to be given anew, as something was refused for a while */
};

/* Written by send.c only. */
struct sq_outbox_send {
	sq_outbox_refused_fn *refused;
	void *owner;
	/* Entries in order; those at the head are not finished. */
	struct sq_list ahead;
	size_t ahead_bytes;
	uint64_t loaded_seq, loaded_bytes; /* the last one of 'ahead', or before it */
	struct sq_outbox_skips skips;      /* finished, and not loaded yet */
	/* Up to it each had an outcome, when that was asked last; NULL: none that is there. */
	struct sq_outbox_entry *outcome;
	struct sq_outbox_numbers numbers;
	uint64_t bar;   /* from this sequence on nothing is sent */
	unsigned gates; /* states that are not synced and that sending waits for */
	bool attached;
	bool slow; /* one at a time, until one is taken */
	uint64_t due_ms;
	uint32_t retry_ms;
	struct sq_list batches;
	unsigned flying;
};

void sq_outbox_send_init(struct sq_outbox_send *, sq_outbox_refused_fn *, void *owner);
/* No batch is out; frees the entries that wait. */
void sq_outbox_send_fini(struct sq_outbox_send *);
/* Goes on from a state that was read; takes its skips. */
void sq_outbox_send_restore(struct sq_outbox_send *, struct sq_outbox_state *);
/* The sender's part of a state to be written; the skips are the caller's to free. */
void sq_outbox_send_state(struct sq_outbox_send *, struct sq_outbox_state *);
/* A state that sq_outbox_send_settle() asked for is synced. */
void sq_outbox_send_written(struct sq_outbox_send *);

/* Takes over an entry that is next in sequence, and frees it if it is finished already. */
void sq_outbox_send_load(struct sq_outbox_send *, struct sq_outbox_entry *);
/* Frees entries at the head that are done; returns their bytes. */
size_t sq_outbox_send_finish(struct sq_outbox_send *);
/* Gives new numbers where that is due and nothing is on its way.  True: a state must be written
 * and synced now; sq_outbox_send_written() says so. */
bool sq_outbox_send_settle(struct sq_outbox_send *) SQ_MUST_CHECK;

/* As of sq_outbox_store_*() of the same names (store.h); after each of them come
 * sq_outbox_send_finish() and sq_outbox_send_settle(). */
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

/* The sequence and the bytes up to which all is finished. */
uint64_t sq_outbox_send_done_seq(const struct sq_outbox_send *);
uint64_t sq_outbox_send_done_bytes(const struct sq_outbox_send *);
/* The number of the first entry that is not finished. */
uint64_t sq_outbox_send_first_number(const struct sq_outbox_send *);
/* That entry; NULL: none is loaded. */
const struct sq_outbox_entry *sq_outbox_send_first(const struct sq_outbox_send *);

#endif
