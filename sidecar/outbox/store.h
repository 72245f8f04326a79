/* The disk outbox: publishes that the app was told are safe, until a broker has
 * taken them.
 *
 *   app -> append -> journal -> synced: the app's acknowledgement
 *                                  |
 *                                  v
 *                     waiting in memory (ahead), or only on disk (behind)
 *                                  |
 *                                  v
 *                     numbered, in batches -> broker -> outcome -> released
 *
 * Entries have a sequence of their own; their numbers on the link are counted
 * from that of the first one that is not finished, and run and numbers are in
 * the journal before anything is sent under them.  So a restart sends again
 * what it does not know the outcome of under the same numbers, and the broker
 * takes nothing twice (docs/link.md).
 *
 * Nothing is sent before it is synced: a number that a crash takes back would
 * be given to another message.
 *
 * Knows no sessions, links or loops.  Everything but the wake-up is on the
 * owner's thread. */
#ifndef SQ_SIDECAR_OUTBOX_STORE_H
#define SQ_SIDECAR_OUTBOX_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/list.h"
#include "proto/link/frame.h"
#include "proto/link/lane_out.h"
#include "sidecar/outbox/send.h"

struct sq_outbox_store;

/* A publisher, for its acknowledgements.  Starts with 'pending' empty. */
struct sq_outbox_port {
	struct sq_list pending; /* its entries that are not synced */
	uint64_t last;          /* sequence of its last message; 0: it has none */
	void *user;
};

struct sq_outbox_store_cfg {
	const char *dir; /* made where it is missing; locked */
	uint64_t size;   /* bytes of entries that are not finished */
	/* Call sq_outbox_store_turn() soon.  Thread: the journal's.  Locks: none. */
	void (*wake)(void *owner);
	/* From sq_outbox_store_turn(): an entry of the port is synced. */
	void (*acked)(void *owner, struct sq_outbox_port *, const struct sq_lane_outcome *);
	sq_outbox_refused_fn *refused;
	void *owner;
};

/* SQ_EEXIST: another process has the directory.  SQ_EINVAL: its content does
 * not verify.  SQ_EIO.  A line in 'err'. */
int sq_outbox_store_open(struct sq_outbox_store **, const struct sq_outbox_store_cfg *,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Syncs the entries that were appended, unless the disk stalls.  No batch may be out. */
void sq_outbox_store_close(struct sq_outbox_store **);

/* No client will go on with its ids: none is held any more, though that is not written down. */
void sq_outbox_store_forget_all(struct sq_outbox_store *);
/* Whether it holds nothing at all that a later start would need. */
bool sq_outbox_store_spent(const struct sq_outbox_store *);
/* Closes a store that is spent, and removes its directory. */
void sq_outbox_store_remove(struct sq_outbox_store **);

/* --- the app's side --- */

/* SQ_EAGAIN: full, or the disk does not keep up; again after a turn that made
 * room.  An id of QoS 2 that is held already is only acknowledged again. */
int sq_outbox_store_publish(struct sq_outbox_store *, struct sq_outbox_port *,
    const char *client_id, const struct sq_lane_publish *) SQ_MUST_CHECK;
/* PUBREL; the id is held. */
int sq_outbox_store_release(struct sq_outbox_store *, struct sq_outbox_port *,
    const char *client_id, uint16_t packet_id) SQ_MUST_CHECK;
/* Whether a QoS 2 id awaits its PUBREL. */
bool sq_outbox_store_holds(const struct sq_outbox_store *, const char *client_id, uint16_t id);
/* The client's session has ended: none of its ids is held. */
void sq_outbox_store_forget(struct sq_outbox_store *, const char *client_id);
/* Its entries are acknowledged no more. */
void sq_outbox_port_close(struct sq_outbox_port *);

/* Acknowledges synced entries, reads ahead, and releases finished ones.  True:
 * there may be room, or something to send, that there was not. */
bool sq_outbox_store_turn(struct sq_outbox_store *);
/* Once a second: writes the state down when nothing else does. */
void sq_outbox_store_rest(struct sq_outbox_store *);

/* --- towards the broker --- */

/* The session is attached.  'run' is random, for when a new one is due. */
void sq_outbox_store_attached(
    struct sq_outbox_store *, uint64_t incarnation, uint64_t last, uint64_t run);
/* From sequence 'seq' on nothing is sent for the first time; UINT64_MAX: all is. */
void sq_outbox_store_bar(struct sq_outbox_store *, uint64_t seq);
/* The sequence up to which every message had an outcome, be it that it was refused. */
uint64_t sq_outbox_store_outcomes(struct sq_outbox_store *);
/* The next batch, or NULL; ends by exactly one of the four below. */
struct sq_outbox_batch *sq_outbox_store_take(struct sq_outbox_store *, uint64_t now_ms);
/* SQ_EINVAL: the answer does not fit; the batch has failed. */
int sq_outbox_store_answered(struct sq_outbox_store *, struct sq_outbox_batch **,
    const struct sq_outcomes *, uint64_t now_ms) SQ_MUST_CHECK;
/* No answer, or one that says: again. */
void sq_outbox_store_failed(struct sq_outbox_store *, struct sq_outbox_batch **);
/* The session is not ours to have: from now on it is another one, which has no numbers yet.
 * Unfinished messages are sent again there, even those that a broker took.  SQ_EIO
 * with a line in 'err': it is the same still. */
int sq_outbox_store_renew(struct sq_outbox_store *, struct sq_buf *err) SQ_MUST_CHECK;
/* 409 run: attach again. */
void sq_outbox_store_run_lost(struct sq_outbox_store *, struct sq_outbox_batch **);
/* 413: the message is dropped; attach again. */
void sq_outbox_store_too_big(struct sq_outbox_store *, struct sq_outbox_batch **);

/* --- its figures --- */

/* The number in the name of its session at the brokers. */
uint64_t sq_outbox_store_id(const struct sq_outbox_store *);
uint64_t sq_outbox_store_incarnation(const struct sq_outbox_store *); /* 0: none */
/* The number of the last entry with an outcome, for Detach. */
uint64_t sq_outbox_store_last(const struct sq_outbox_store *);
/* Bytes that wait, on disk and not yet there. */
uint64_t sq_outbox_store_bytes(const struct sq_outbox_store *);
/* Nothing waits and nothing is on its way. */
bool sq_outbox_store_idle(const struct sq_outbox_store *);
/* Whether a batch is on its way. */
bool sq_outbox_store_flies(const struct sq_outbox_store *);
/* When sq_outbox_store_take() has something again after a refusal; 0: no wait. */
uint64_t sq_outbox_store_due(const struct sq_outbox_store *);
/* Why the disk takes nothing just now; NULL: it does.  Valid until the next turn. */
const char *sq_outbox_store_stalled(const struct sq_outbox_store *);
/* Not above the size that it was opened with: the journal has room for that. */
void sq_outbox_store_resize(struct sq_outbox_store *, uint64_t size);

#endif
