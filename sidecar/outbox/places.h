/* Between clients, whose subscriptions have places among the messages in the disk
 * outbox, and that outbox: order.h at work, with a timer, a counter and the store.
 *
 * Without a disk outbox, or with outbox.order-wait 0, there is none: the functions for the outbox
 * take NULL, and then nothing waits. */
#ifndef SQ_SIDECAR_OUTBOX_PLACES_H
#define SQ_SIDECAR_OUTBOX_PLACES_H

#include <stdbool.h>

#include "sidecar/outbox/order.h"

struct sq_holds;
struct sq_outbox_disk;
struct sq_outbox_places;
struct sq_outbox_writer;

struct sq_outbox_places *sq_outbox_places_new(struct sq_holds *);
/* No session is left. */
void sq_outbox_places_free(struct sq_outbox_places **);

/* --- from a client's writer --- */

/* A request to subscribe takes its place behind the messages of the client that are on disk;
 * later ones go behind it. */
void sq_outbox_places_take(
    struct sq_outbox_places *, struct sq_outbox_writer *, struct sq_outbox_place *);
/* The request is answered, or will not be made. */
void sq_outbox_places_leave(struct sq_outbox_places *, struct sq_outbox_place *);
/* The client's hold is attached, or not any more. */
void sq_outbox_places_asks(struct sq_outbox_places *, struct sq_outbox_writer *, bool is);
/* Its places go. */
void sq_outbox_places_gone(struct sq_outbox_places *, struct sq_outbox_writer *);

/* --- from the outbox --- */

/* The pod's own disk is open. */
void sq_outbox_places_open(struct sq_outbox_places *, struct sq_outbox_disk *);
/* It has looked at its store. */
void sq_outbox_places_turned(struct sq_outbox_places *);
/* The client has published by the disk. */
void sq_outbox_places_entered(struct sq_outbox_places *, struct sq_outbox_writer *);
/* The session of the pod's own disk is attached, or not any more. */
void sq_outbox_places_sends(struct sq_outbox_places *, bool is);

#endif
