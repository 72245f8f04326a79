/* The writer of a client into the disk outbox: its publishes, and the gate that keeps its
 * subscriptions in their place among them. */
#ifndef SQ_SIDECAR_OUTBOX_WRITER_H
#define SQ_SIDECAR_OUTBOX_WRITER_H

#include "sidecar/hold/user.h"
#include "sidecar/outbox/order.h"
#include "sidecar/outbox/store.h"

struct sq_outbox;
struct sq_outbox_places;

/* Freed with its hold, by the gate's close(). */
struct sq_outbox_writer {
	struct sq_hold_gate gate;
	struct sq_hold *hold; /* the client's hold, once it is open */
	struct sq_outbox *outbox;
	struct sq_outbox_places *places; /* NULL: subscriptions have no places */
	struct sq_outbox_port port;
	struct sq_outbox_line line; /* places of its subscriptions */
};

struct sq_outbox_writer *sq_outbox_writer_new(struct sq_outbox *, struct sq_outbox_places *);

#endif
