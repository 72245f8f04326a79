/* The store of a disk outbox: publishes that were acknowledged to the app, until a broker has
 * accepted them.
 *
 *   app -> append -> journal -> synced: the app's acknowledgement
 *                                  |
 *                                  v
 *                     waiting in memory (ahead), or only on disk (behind)
 *                                  |
 *                                  v
 *                     numbered, in batches -> broker -> outcome -> released
 *
 * Entries have a sequence of their own.  Their numbers on the link are counted from the first
 * unfinished entry; run and numbers are in the journal before an entry is sent under them.  So a
 * restart sends entries with an unknown outcome again under the same numbers, and the broker
 * accepts none twice (docs/link.md).
 *
 * Nothing is sent before it is synced: a number that a crash takes back would be given to another
 * message.
 *
 * Knows no sessions, links or loops.  On the owner's thread, except wake(). */
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

/* A publisher that gets acknowledgements; written by the store alone. */
struct sq_outbox_port {
	struct sq_list pending; /* entries that are not synced */
	uint64_t last;          /* sequence of its last message; 0: none */
	void *user;
};

struct sq_outbox_store_cfg {
	const char *dir; /* made if it is missing; locked */
	uint64_t size;   /* bytes of unfinished entries, at most */
	/* Asks for a call of sq_outbox_store_turn() soon.  Thread: the journal's.  Locks: none. */
	void (*wake)(void *owner);
	/* An entry of the port is synced; called by sq_outbox_store_turn(). */
	void (*acked)(void *owner, struct sq_outbox_port *, const struct sq_lane_outcome *);
	sq_outbox_refused_fn *refused;
	void *owner;
};

/* Opens or makes a store.  SQ_EEXIST: another process has the directory.  SQ_EINVAL: its content
 * does not verify.  SQ_EIO: the operating system reported an error.  Each with a line in 'err'. */
int sq_outbox_store_open(struct sq_outbox_store **, const struct sq_outbox_store_cfg *,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Syncs the appended entries, unless the disk stalls, and closes the store.  No batch is on its
 * way. */
void sq_outbox_store_close(struct sq_outbox_store **);

/* Forgets all held ids, because no client will continue with its own; the state on disk may still
 * have them. */
void sq_outbox_store_forget_all(struct sq_outbox_store *);
/* Whether the store holds nothing that a later start would need. */
bool sq_outbox_store_spent(const struct sq_outbox_store *);
/* Closes a store that is spent, and removes its directory. */
void sq_outbox_store_remove(struct sq_outbox_store **);

/* --- the app's side --- */

/* Appends a publish.  SQ_EAGAIN: the store is full or the disk is too slow; try again after a turn
 * that made room.  A QoS 2 id that is already held is only acknowledged again. */
int sq_outbox_store_publish(struct sq_outbox_store *, struct sq_outbox_port *,
    const char *client_id, const struct sq_lane_publish *) SQ_MUST_CHECK;
/* Appends the release of a held id.  SQ_EAGAIN: as above. */
int sq_outbox_store_release(struct sq_outbox_store *, struct sq_outbox_port *,
    const char *client_id, uint16_t packet_id) SQ_MUST_CHECK;
/* Whether a QoS 2 id awaits its PUBREL. */
bool sq_outbox_store_holds(const struct sq_outbox_store *, const char *client_id, uint16_t id);
/* Forgets the held ids of a client whose session has ended. */
void sq_outbox_store_forget(struct sq_outbox_store *, const char *client_id);
/* Opens a port for 'user', which acked() knows it by. */
void sq_outbox_port_init(struct sq_outbox_port *, void *user);
/* Closes the port: its entries are acknowledged no longer. */
void sq_outbox_port_close(struct sq_outbox_port *);

/* Acknowledges synced entries, reads ahead, and releases finished entries.  True: there may be new
 * room, or something new to send. */
bool sq_outbox_store_turn(struct sq_outbox_store *);
/* Writes a changed state if nothing else has; called once a second. */
void sq_outbox_store_rest(struct sq_outbox_store *);

/* --- towards the broker --- */

/* The session has been attached.  'run' is a random number, used if a new run is due. */
void sq_outbox_store_attached(
    struct sq_outbox_store *, uint64_t incarnation, uint64_t last, uint64_t run);
/* Entries from sequence 'seq' on are not sent for the first time; UINT64_MAX: no bar. */
void sq_outbox_store_bar(struct sq_outbox_store *, uint64_t seq);
/* The sequence up to which every message had an outcome, possibly a refusal. */
uint64_t sq_outbox_store_outcomes(struct sq_outbox_store *);
/* The next batch; NULL: none.  It ends by exactly one of _answered(), _failed(), _run_lost() and
 * _too_big(). */
struct sq_outbox_batch *sq_outbox_store_take(struct sq_outbox_store *, uint64_t now_ms);
/* Applies the outcomes of a batch, and frees it.  SQ_EINVAL: the answer does not fit the batch,
 * which has failed. */
int sq_outbox_store_answered(struct sq_outbox_store *, struct sq_outbox_batch **,
    const struct sq_outcomes *, uint64_t now_ms) SQ_MUST_CHECK;
/* The batch had no answer, or one that asks to send it again. */
void sq_outbox_store_failed(struct sq_outbox_store *, struct sq_outbox_batch **);
/* Chooses another session, without numbers yet, because brokers deny this one.  Unfinished messages
 * are sent again there, also ones that a broker has accepted.  SQ_EIO with a line in 'err': the
 * session stays the same. */
int sq_outbox_store_renew(struct sq_outbox_store *, struct sq_buf *err) SQ_MUST_CHECK;
/* The broker does not know the run (409): the caller attaches again. */
void sq_outbox_store_run_lost(struct sq_outbox_store *, struct sq_outbox_batch **);
/* The batch is too large (413): drops the message; the caller attaches again. */
void sq_outbox_store_too_big(struct sq_outbox_store *, struct sq_outbox_batch **);

/* --- its figures --- */

/* The number in the name of the session at the brokers. */
uint64_t sq_outbox_store_id(const struct sq_outbox_store *);
uint64_t sq_outbox_store_incarnation(const struct sq_outbox_store *); /* 0: none */
/* The number of the last entry with an outcome, for Detach. */
uint64_t sq_outbox_store_last(const struct sq_outbox_store *);
/* Bytes of waiting entries, on disk or about to be written. */
uint64_t sq_outbox_store_bytes(const struct sq_outbox_store *);
/* Whether no entry waits and no batch is on its way. */
bool sq_outbox_store_idle(const struct sq_outbox_store *);
/* Whether a batch is on its way. */
bool sq_outbox_store_flies(const struct sq_outbox_store *);
/* The time at which a refused message may be sent again; 0: now. */
uint64_t sq_outbox_store_due(const struct sq_outbox_store *);
/* The reason why the disk stalls, or that it has not done a commit for 30 s; NULL: it works.  Valid
 * until the next turn. */
const char *sq_outbox_store_stalled(const struct sq_outbox_store *);
/* Sets the size, at most that at open(), for which the journal has room. */
void sq_outbox_store_resize(struct sq_outbox_store *, uint64_t size);

#endif
