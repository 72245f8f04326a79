/* The outbox: publishes of the pod's apps that no broker has accepted yet.
 *
 * Mode memory: publishes wait unacknowledged within one bound for the pod, shared so that no client
 * shuts out another; at the bound a client's input is not read.
 *
 * Mode disk: QoS 1 and 2 are acknowledged after a sync in a journal of the sidecar's own (store.h),
 * and forwarded by a session of its own (disk.h).  QoS 0, and QoS 3, which waits for the broker's
 * outcome, go like in mode memory.  If many pods share outbox.dir, each has a folder there, and
 * empties one folder at a time that was left behind (folders.h).  On the loop's thread. */
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
/* Frees the outbox and nulls the pointer; every request has been answered. */
void sq_outbox_free(struct sq_outbox **);
/* Applies the annotation, after each read of it; before sq_outbox_start() it chooses the mode. */
void sq_outbox_annotated(struct sq_outbox *, const struct sq_outbox_annotation *);
/* Opens the disk in mode disk, and keeps trying if that fails. */
void sq_outbox_start(struct sq_outbox *);
/* Begins the shutdown: the disk outbox's session leaves when no message waits. */
void sq_outbox_stop(struct sq_outbox *);
/* Called once a second. */
void sq_outbox_sweep(struct sq_outbox *);
/* Whether the outbox works.  False with a line in 'why': the disk can't be used at present.  A full
 * outbox works. */
bool sq_outbox_ready(const struct sq_outbox *, struct sq_buf *why);

/* --- from clients, which ask it before their hold --- */

/* Makes a client's writer to the disk, which becomes the gate of its hold; the caller sets 'hold'.
 * NULL: there is no disk outbox. */
struct sq_outbox_writer *sq_outbox_writer(struct sq_outbox *);
/* Whether the message goes to the disk, by its QoS or because its first copy is there. */
bool sq_outbox_takes(const struct sq_outbox_writer *, const struct sq_lane_publish *);
/* Writes a publish to the disk.  SQ_EAGAIN: not now; the user's writable() follows. */
int sq_outbox_publish(struct sq_outbox_writer *, const struct sq_lane_publish *) SQ_MUST_CHECK;
/* Whether a QoS 2 id on the disk awaits its PUBREL; the writer may be NULL. */
bool sq_outbox_holds(const struct sq_outbox_writer *, uint16_t packet_id);
/* Handles PUBREL of a held id.  SQ_EAGAIN: not now; the user's writable() follows. */
int sq_outbox_release(struct sq_outbox_writer *, uint16_t packet_id) SQ_MUST_CHECK;

#endif
