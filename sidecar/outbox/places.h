/* Between the sessions, whose subscriptions have places among what goes by the disk
 * outbox, and that outbox: outbox_order.h at work, with a timer, a counter and the store.
 *
 * Without a disk outbox, or with outbox.order-wait 0, there is none: every function takes
 * NULL, and then nothing waits. */
#ifndef SQ_SIDECAR_OUTBOX_PLACES_H
#define SQ_SIDECAR_OUTBOX_PLACES_H

#include <stdbool.h>

#include "sidecar/outbox/order.h"

struct sq_holds;
struct sq_outbox_disk;
struct sq_outbox_places;
struct sq_hold;

struct sq_outbox_places *sq_outbox_places_new(struct sq_holds *);
/* No session is left. */
void sq_outbox_places_free(struct sq_outbox_places **);

/* --- from sessions --- */

/* A subscriptions request of the session takes its place behind what its client has
 * published by the disk; what follows goes behind it. */
void sq_outbox_places_take(struct sq_outbox_places *, struct sq_hold *, struct sq_outbox_place *);
/* Whether the request may be posted; if not, sq_hold_wake() comes when it may. */
bool sq_outbox_places_ready(const struct sq_outbox_places *, const struct sq_outbox_place *);
/* The request is answered, or will not be made. */
void sq_outbox_places_leave(struct sq_outbox_places *, struct sq_outbox_place *);
/* The session, be it a client's or the outbox's, is attached; it is not any more. */
void sq_outbox_places_attached(struct sq_outbox_places *, struct sq_hold *);
void sq_outbox_places_unlinked(struct sq_outbox_places *, struct sq_hold *);

/* --- from the outbox --- */

/* The pod's own disk is open. */
void sq_outbox_places_open(struct sq_outbox_places *, struct sq_outbox_disk *);
/* It has looked at its store. */
void sq_outbox_places_turned(struct sq_outbox_places *);
/* The session's client has published by the disk. */
void sq_outbox_places_entered(struct sq_outbox_places *, struct sq_hold *);
/* The session has ended: its places go with it. */
void sq_outbox_places_gone(struct sq_outbox_places *, struct sq_hold *);

#endif
