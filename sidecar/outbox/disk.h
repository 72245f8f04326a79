/* A disk outbox at work: the store in one directory (store.h), and the hold that
 * forwards its messages to a broker.
 *
 * There is the pod's own, which the apps' publishes go into, and, where many pods share a
 * place, one that another sidecar has left behind (folders.h).  Bounds of
 * memory, and clients that wait for room, are its user's.  One loop thread. */
#ifndef SQ_SIDECAR_OUTBOX_DISK_H
#define SQ_SIDECAR_OUTBOX_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "sidecar/outbox/store.h"

struct sq_holds;
struct sq_outbox_disk;
struct sq_hold;

/* The owner; called from the loop, and may not free the disk. */
struct sq_outbox_disk_user {
	/* After each look at the store.  'room': there may be room that there was not. */
	void (*turned)(void *owner, struct sq_outbox_disk *, bool room);
	/* An entry of that publisher is synced. */
	void (*acked)(void *owner, struct sq_outbox_port *, const struct sq_lane_outcome *);
	/* Its session is attached, or not any more. */
	void (*linked)(void *owner, struct sq_outbox_disk *, bool is);
	/* A broker refused a message of that client: 'for_good', or it is sent again. */
	void (*refused)(void *owner, const char *client_id, uint8_t reason,
	    const struct sq_note *note, bool for_good);
};

/* Opens the store in 'dir' (copied) for 'size' bytes, and its session where anything waits, or
 * 'own'.  Errors as of sq_outbox_store_open(). */
int sq_outbox_disk_open(struct sq_outbox_disk **, struct sq_holds *, const char *dir, uint64_t size,
    bool own, const struct sq_outbox_disk_user *, void *owner, struct sq_buf *err) SQ_MUST_CHECK;
/* Its session is gone, or every request has been answered.  'remove': the directory
 * goes, too, if sq_outbox_store_spent(). */
void sq_outbox_disk_free(struct sq_outbox_disk **, bool remove);
const char *sq_outbox_disk_dir(const struct sq_outbox_disk *);
struct sq_outbox_store *sq_outbox_disk_store(const struct sq_outbox_disk *);
/* Takes over the journal's news, and lets the session send. */
void sq_outbox_disk_turn(struct sq_outbox_disk *);
/* Nothing from that sequence on is sent until the bar is raised; UINT64_MAX: none. */
void sq_outbox_disk_bar(struct sq_outbox_disk *, uint64_t seq);
/* Its session leaves as soon as nothing waits; 'for_good': brokers forget it then. */
void sq_outbox_disk_finish(struct sq_outbox_disk *, bool for_good);
/* Its session leaves at once; messages that wait stay on disk. */
void sq_outbox_disk_let_go(struct sq_outbox_disk *);
/* Whether it has no session any more, and nothing on its way. */
bool sq_outbox_disk_over(const struct sq_outbox_disk *);

#endif
