/* The app: makes the sidecar's parts, in order, and connects them.
 *
 *   listener -> clients <-> holds -> pool ==HTTP/2==> brokers
 *                  |          ^
 *                  |          +--- outbox (messages on disk), keeper of declared (annotations)
 *                  +-> declared: chooses the receiver of declared messages
 *
 * Nothing below includes this header.  On the loop's thread. */
#ifndef SQ_SIDECAR_APP_H
#define SQ_SIDECAR_APP_H

#include <ev.h>
#include <stdbool.h>

#include "sidecar/declared/declared.h"
#include "sidecar/hold/table.h"
#include "sidecar/loop/loop.h"
#include "sidecar/mqtt/clients.h"
#include "sidecar/outbox/outbox.h"

struct sq_listener;
struct sq_self;

struct sq_app {
	struct sq_loop *loop;
	struct sq_holds *holds;
	struct sq_outbox *outbox;
	struct sq_declared *declared; /* NULL: not made yet, or freed */
	struct sq_clients *clients;
	struct sq_listener *listener;
	struct sq_self *self; /* messages below $SYS/sidecar */
	uint64_t rounds_seen; /* of the loop, at the last sweep */
	bool rests;           /* memory that the last load left has been freed */
	ev_prepare prepare;   /* after all turns, before the pool's */
	ev_timer sweep;
};

/* Makes all parts but the listener and the declarations, and starts to dial.  The configuration and
 * the loop must stay.  NULL with a line in 'err'. */
struct sq_app *sq_app_new(struct ev_loop *, const struct sq_sidecar_cfg *, struct sq_buf *err);
/* Reads the annotations, if the configuration names any, and follows their changes. */
void sq_app_declare(struct sq_app *);
/* Opens the disk outbox, if the configuration or the annotations choose it, and listens.  False
 * with a line in 'err'. */
bool sq_app_start(struct sq_app *, struct sq_buf *err);
/* Ends all clients and holds at once, and frees '*ap', if any. */
void sq_app_free(struct sq_app **ap);
/* Begins the shutdown: accepts no client, disconnects the present ones, and sends their publishes.
 * sq_app_idle() tells the end; while no broker is linked, ends of sessions alone do not delay
 * it. */
void sq_app_stop(struct sq_app *);
bool sq_app_idle(const struct sq_app *);

#endif
