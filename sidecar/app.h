/* The sidecar's parts, put together: what is made, in which order, and what each is given.
 *
 *   listener -> clients <-> holds -> pool ==HTTP/2==> brokers
 *                  |          ^
 *                  |          +--- outbox (what is on disk), keeper of declared (annotations)
 *                  +-> declared: who gets what it declares
 *
 * Nothing below includes this header. */
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
	struct sq_declared *declared; /* NULL: not yet, or not any more */
	struct sq_clients *clients;
	struct sq_listener *listener;
	struct sq_self *self; /* what is said of the sidecar below $SYS/sidecar */
	uint64_t rounds_seen; /* of the loop, at the last sweep */
	bool rests;           /* it gave back what the last load left */
	ev_prepare prepare;   /* after all turns, before the pool's */
	ev_timer sweep;
};

/* Makes all but what listens and what is declared, and starts to dial; the configuration and the
 * loop must stay.  NULL with a line in 'err'. */
struct sq_app *sq_app_new(struct ev_loop *, const struct sq_sidecar_cfg *, struct sq_buf *err);
/* Reads the annotations, if the configuration names any, and follows them. */
void sq_app_declare(struct sq_app *);
/* Opens the disk outbox, which the annotations may want, and listens; false with a line in
 * 'err'. */
bool sq_app_start(struct sq_app *, struct sq_buf *err);
/* Ends all clients and holds where they are, and frees '*ap', if any. */
void sq_app_free(struct sq_app **ap);
/* No new client; the others are told and leave; what was published still goes out.
 * sq_app_idle() tells when that is done; while no broker is linked, also when there is nothing
 * for one but that sessions end. */
void sq_app_stop(struct sq_app *);
bool sq_app_idle(const struct sq_app *);

#endif
