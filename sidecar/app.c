/* The wiring of the sidecar's parts; see app.h. */
#include "sidecar/app.h"

#include <stdlib.h>

#include "core/mem.h"
#include "core/memory.h"
#include "sidecar/hold/room.h"
#include "sidecar/mqtt/listener.h"
#include "sidecar/self.h"

enum { FEW_ROUNDS = 100 }; /* of the loop in a second: memory that they do not need is worth more */

static void
app_on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct sq_app *a = w->data;

	(void)loop;
	(void)events;
	sq_room_turn(a->holds);
	sq_clients_make_room(a->clients);
}

/* After a second of little work: the memory of a load goes back to the system. */
static void
app_rest(struct sq_app *a)
{
	bool rests = a->loop->rounds - a->rounds_seen <= FEW_ROUNDS;

	a->rounds_seen = a->loop->rounds;
	if (rests && !a->rests)
		(void)sq_memory_allocator_trim();
	a->rests = rests;
}

/* Once a second. */
static void
app_on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
	struct sq_app *a = w->data;

	(void)loop;
	(void)events;
	sq_clients_sweep(a->clients);
	sq_declared_sweep(a->declared, sq_loop_now(a->loop));
	if (!sq_room_none())
		sq_budget_resume(&a->holds->budget);
	sq_outbox_sweep(a->outbox);
	sq_memory_metrics(a->holds->metrics, SQ_M_MEMORY_BYTES);
	app_rest(a);
}

/* --- life --- */

struct sq_app *
sq_app_new(struct ev_loop *ev, const struct sq_sidecar_cfg *cfg, struct sq_buf *err)
{
	struct sq_app *a = sq_xcalloc(1, sizeof *a);

	a->loop = sq_loop_new(ev);
	a->holds = sq_holds_new(a->loop, cfg, &sq_sidecar_metrics);
	a->outbox = sq_outbox_new(a->holds);
	a->clients = sq_clients_new(a->holds, a->outbox);
	a->self = sq_self_new(a->holds, a->clients);
	ev_prepare_init(&a->prepare, app_on_prepare);
	a->prepare.data = a;
	ev_prepare_start(ev, &a->prepare);
	ev_timer_init(&a->sweep, app_on_sweep, 1.0, 1.0);
	a->sweep.data = a;
	ev_timer_start(ev, &a->sweep);
	sq_memory_metrics(a->holds->metrics, SQ_M_MEMORY_BYTES);
	if (sq_holds_dial(a->holds, err) != SQ_OK || !sq_clients_passwords(a->clients, err))
		sq_app_free(&a);
	return a;
}

void
sq_app_declare(struct sq_app *a)
{
	a->declared = sq_declared_new(a->holds, a->outbox);
	sq_clients_declare(a->clients, a->declared);
}

bool
sq_app_start(struct sq_app *a, struct sq_buf *err)
{
	sq_outbox_start(a->outbox);
	a->listener = sq_listener_open(a->clients, err);
	return a->listener != NULL;
}

void
sq_app_free(struct sq_app **ap)
{
	struct sq_app *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	sq_listener_close(&a->listener);
	sq_declared_stop(a->declared);
	sq_clients_free(&a->clients);
	sq_declared_free(&a->declared);
	sq_holds_end(a->holds);
	sq_outbox_free(&a->outbox);
	sq_self_free(&a->self);
	sq_holds_free(&a->holds);
	ev_prepare_stop(a->loop->ev, &a->prepare);
	ev_timer_stop(a->loop->ev, &a->sweep);
	sq_loop_free(&a->loop);
	free(a);
}

void
sq_app_stop(struct sq_app *a)
{
	sq_listener_close(&a->listener);
	sq_declared_stop(a->declared);
	sq_clients_stop(a->clients);
	sq_outbox_stop(a->outbox);
}

bool
sq_app_idle(const struct sq_app *a)
{
	return a->clients->n == 0 && sq_holds_idle(a->holds);
}
