/* The writer of a client into the disk outbox: its publishes, and the gate that keeps its
 * subscriptions in their place among them. */
#ifndef SQ_SIDECAR_OUTBOX_WRITER_H
#define SQ_SIDECAR_OUTBOX_WRITER_H

#include "sidecar/hold/user.h"
#include "sidecar/outbox/order.h"
#include "sidecar/outbox/store.h"

struct sq_outbox;
struct sq_outbox_disk;
struct sq_outbox_places;

/* Freed with its hold, by the gate's close().  Written by writer.c, which sets up all of it, but for
 * 'port', which is the store's, and 'line', which is order.c's. */
struct sq_outbox_writer {
	struct sq_hold_gate gate;
	struct sq_hold *hold; /* the client's hold, once it is open */
	struct sq_outbox *outbox;
	struct sq_outbox_disk *const *disk; /* the outbox's own; NULL in it: not open */
	struct sq_outbox_places *places;    /* NULL: subscriptions have no places */
	struct sq_outbox_port port;
	struct sq_outbox_line line; /* places of its subscriptions */
};

/* Makes a writer.  'disk' and the places outlive it. */
struct sq_outbox_writer *sq_outbox_writer_new(
    struct sq_outbox *, struct sq_outbox_disk *const *disk, struct sq_outbox_places *);
/* The client's hold has been opened with the writer as its gate.  The writer may be NULL. */
void sq_outbox_writer_opened(struct sq_outbox_writer *, struct sq_hold *);
/* Forgets the client's held ids, because its session starts anew, is gone or has ended.  The writer
 * may be NULL. */
void sq_outbox_writer_forget(struct sq_outbox_writer *);

#endif
