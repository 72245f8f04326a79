/* The outbox: publishes of the pod's apps that no broker has taken yet.
 *
 * memory: publishes wait unacknowledged within one bound for the pod, shared so
 * that no client is shut out by another; at the bound a client is not read.
 * disk: QoS 1 and 2 are acknowledged when synced in a journal of the sidecar's
 * own (store.h) and forwarded by a session of its own (disk.h).  QoS 0, and
 * QoS 3, which waits for the broker's outcome, go as in memory.  Where outbox.dir is shared
 * by many pods, each has a folder of its own there, and empties one at a time of those that
 * were left behind (folders.h). */
#ifndef SQ_SIDECAR_OUTBOX_OUTBOX_H
#define SQ_SIDECAR_OUTBOX_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "proto/annotations/outbox.h"
#include "proto/link/lane_out.h"

struct sq_holds;
struct sq_outbox;
struct sq_outbox_writer;

struct sq_outbox *sq_outbox_new(struct sq_holds *);
/* Every request has been answered. */
void sq_outbox_free(struct sq_outbox **);
/* The annotation, at each reading; before the start it chooses the mode. */
void sq_outbox_annotated(struct sq_outbox *, const struct sq_outbox_annotation *);
/* Opens the disk, if that is the mode; goes on trying where it can't. */
void sq_outbox_start(struct sq_outbox *);
/* The program is shutting down: the disk outbox's session leaves once empty. */
void sq_outbox_stop(struct sq_outbox *);
/* Once a second. */
void sq_outbox_sweep(struct sq_outbox *);
/* False, with a line in 'why': the disk that was asked for can't be used just
 * now.  A full outbox can. */
bool sq_outbox_ready(const struct sq_outbox *, struct sq_buf *why);

/* --- from clients, which ask it before their hold --- */

/* A client's way to the disk, which is to be the gate of its hold; the caller sets 'hold'.  NULL:
 * nothing goes by a disk. */
struct sq_outbox_writer *sq_outbox_writer(struct sq_outbox *);
/* Whether the message goes by the disk, if only since its first copy is there. */
bool sq_outbox_takes(const struct sq_outbox_writer *, const struct sq_lane_publish *);
/* SQ_EAGAIN: not now; the user's writable() follows. */
int sq_outbox_publish(struct sq_outbox_writer *, const struct sq_lane_publish *) SQ_MUST_CHECK;
/* Whether a QoS 2 id awaits its PUBREL here; the writer may be NULL. */
bool sq_outbox_holds(const struct sq_outbox_writer *, uint16_t packet_id);
/* PUBREL; the id is held. */
int sq_outbox_release(struct sq_outbox_writer *, uint16_t packet_id) SQ_MUST_CHECK;
/* The client's session starts anew or has ended: no id of it is held.  The writer may be NULL. */
void sq_outbox_forget(struct sq_outbox_writer *);

#endif
