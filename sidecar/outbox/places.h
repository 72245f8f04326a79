/* Connects order.h to the clients, the disk outbox, a timer and a counter: subscriptions of clients
 * get places among the messages in the disk outbox.
 *
 * Without a disk outbox, or with outbox.order-wait 0, it does not exist: the functions for the
 * outbox accept NULL and do nothing.  On the loop's thread. */
#ifndef SQ_SIDECAR_OUTBOX_PLACES_H
#define SQ_SIDECAR_OUTBOX_PLACES_H

#include <stdbool.h>

#include "sidecar/outbox/order.h"

struct sq_holds;
struct sq_outbox_disk;
struct sq_outbox_places;
struct sq_outbox_writer;

struct sq_outbox_places *sq_outbox_places_new(struct sq_holds *);
/* Frees it and nulls the pointer; no hold is left. */
void sq_outbox_places_free(struct sq_outbox_places **);

/* --- from a client's writer --- */

/* Gives a request to subscribe its place behind the client's messages on disk, and in front of its
 * later ones. */
void sq_outbox_places_take(
    struct sq_outbox_places *, struct sq_outbox_writer *, struct sq_outbox_place *);
/* The request has been answered or dropped. */
void sq_outbox_places_leave(struct sq_outbox_places *, struct sq_outbox_place *);
/* The client's hold has been attached, or is attached no longer. */
void sq_outbox_places_asks(struct sq_outbox_places *, struct sq_outbox_writer *, bool is);
/* Drops the places of a client that has ended. */
void sq_outbox_places_gone(struct sq_outbox_places *, struct sq_outbox_writer *);

/* --- from the outbox --- */

/* The pod's own disk is open. */
void sq_outbox_places_open(struct sq_outbox_places *, struct sq_outbox_disk *);
/* The disk outbox has processed its store's news. */
void sq_outbox_places_turned(struct sq_outbox_places *);
/* The client has written a publish to the disk. */
void sq_outbox_places_entered(struct sq_outbox_places *, struct sq_outbox_writer *);
/* The session of the pod's own disk outbox has been attached, or is attached no longer. */
void sq_outbox_places_sends(struct sq_outbox_places *, bool is);

#endif
