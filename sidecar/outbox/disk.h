/* A disk outbox: the store in one directory (store.h), and the hold that forwards its messages to a
 * broker.
 *
 * A sidecar has its own, for its apps' publishes.  Where many pods share a place, it also empties
 * one that another sidecar has left behind (folders.h).  The user has the memory bounds and the
 * clients that wait for room.  On the loop's thread. */
#ifndef SQ_SIDECAR_OUTBOX_DISK_H
#define SQ_SIDECAR_OUTBOX_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "sidecar/outbox/store.h"

struct sq_holds;
struct sq_outbox_disk;

/* The owner; called from the loop, and may not free the disk. */
struct sq_outbox_disk_user {
	/* After each turn of the store.  'room': room may have become free. */
	void (*turned)(void *owner, struct sq_outbox_disk *, bool room);
	/* An entry of that publisher is synced. */
	void (*acked)(void *owner, struct sq_outbox_port *, const struct sq_lane_outcome *);
	/* The outbox's session has been attached, or is attached no longer. */
	void (*linked)(void *owner, struct sq_outbox_disk *, bool is);
	/* A broker has refused a message of that client: 'for_good', or the message is sent again. */
	void (*refused)(void *owner, const char *client_id, uint8_t reason,
	    const struct sq_note *note, bool for_good);
};

/* Opens the store in 'dir' (copied) for 'size' bytes, and a session, if messages wait or with
 * 'own'.  Errors as of sq_outbox_store_open(). */
int sq_outbox_disk_open(struct sq_outbox_disk **, struct sq_holds *, const char *dir, uint64_t size,
    bool own, const struct sq_outbox_disk_user *, void *owner, struct sq_buf *err) SQ_MUST_CHECK;
/* Frees the outbox after its session has ended, or every request has been answered.  'remove':
 * removes the directory too if sq_outbox_store_spent(). */
void sq_outbox_disk_free(struct sq_outbox_disk **, bool remove);
const char *sq_outbox_disk_dir(const struct sq_outbox_disk *);
struct sq_outbox_store *sq_outbox_disk_store(const struct sq_outbox_disk *);
/* Processes the journal's news, and has the session send. */
void sq_outbox_disk_turn(struct sq_outbox_disk *);
/* Sends nothing from sequence 'seq' on, until the next call; UINT64_MAX: no bar. */
void sq_outbox_disk_bar(struct sq_outbox_disk *, uint64_t seq);
/* Has the session leave when no message waits; 'for_good': brokers forget it then. */
void sq_outbox_disk_finish(struct sq_outbox_disk *, bool for_good);
/* Has the session leave at once; waiting messages stay on disk. */
void sq_outbox_disk_let_go(struct sq_outbox_disk *);
/* Whether its session has ended and no request is on its way. */
bool sq_outbox_disk_over(const struct sq_outbox_disk *);

#endif
