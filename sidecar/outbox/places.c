/* Places of subscriptions, connected to clients and disk; see places.h. */
#include "sidecar/outbox/places.h"

#include <ev.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/mem.h"
#include "sidecar/hold/table.h"
#include "sidecar/outbox/disk.h"
#include "sidecar/hold/hold.h"
#include "sidecar/hold/post.h"
#include "sidecar/outbox/writer.h"

struct sq_outbox_places {
	struct sq_holds *holds;
	struct sq_outbox_order *order;
	struct sq_outbox_disk *disk; /* NULL: not open yet */
	uint64_t bar;                /* as the disk knows it */
	uint64_t armed_ms;           /* what 'timer' is set for; 0: nothing */
	ev_timer timer;
};

static struct sq_hold *
places_hold(struct sq_outbox_line *line)
{
	return SQ_CONTAINER_OF(line, struct sq_outbox_writer, line)->hold;
}

static void
places_on_ready(void *owner, struct sq_outbox_line *line)
{
	(void)owner;
	sq_hold_wake(places_hold(line));
}

static void
places_on_passed(void *owner, struct sq_outbox_line *line)
{
	struct sq_outbox_places *p = owner;

	sq_holds_count(p->holds, SQ_M_OUTBOX_ORDER_PASSED, 1);
	SQ_WARN("outbox",
	    "client %s: a subscription lost its place among what the client publishes by the "
	    "disk: it has waited for %llu ms (outbox.order-wait)",
	    sq_hold_client_id(places_hold(line)),
	    (unsigned long long)p->holds->cfg->outbox_order_wait_ms);
}

static const struct sq_outbox_order_user order_user = {
    .ready = places_on_ready,
    .passed = places_on_passed,
};

/* Has the timer ring when something is due next. */
static void
places_arm(struct sq_outbox_places *p)
{
	uint64_t due = sq_outbox_order_due(p->order);

	if (due == p->armed_ms)
		return;
	p->armed_ms = due;
	sq_loop_ring(p->holds->loop, &p->timer, due);
}

/* Takes over outcomes from the store, where a place waits for them. */
static void
places_outcomes(struct sq_outbox_places *p)
{
	if (p->disk != NULL && sq_outbox_order_waits(p->order))
		sq_outbox_order_outcomes(
		    p->order, sq_outbox_store_outcomes(sq_outbox_disk_store(p->disk)));
}

/* Tells the disk of a new bar, and sets the timer. */
static void
places_settle(struct sq_outbox_places *p)
{
	uint64_t bar = sq_outbox_order_bar(p->order);

	if (p->disk != NULL && bar != p->bar) {
		p->bar = bar;
		sq_outbox_disk_bar(p->disk, bar);
	}
	places_arm(p);
}

static void
places_on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct sq_outbox_places *p = w->data;

	(void)loop;
	(void)events;
	p->armed_ms = 0;
	sq_outbox_order_tick(p->order, sq_holds_now(p->holds));
	places_settle(p);
}

struct sq_outbox_places *
sq_outbox_places_new(struct sq_holds *h)
{
	struct sq_outbox_places *p;

	if (h->cfg->outbox_order_wait_ms == 0)
		return NULL;
	p = sq_xcalloc(1, sizeof *p);
	p->holds = h;
	p->bar = UINT64_MAX;
	p->order = sq_outbox_order_new(h->cfg->outbox_order_wait_ms, &order_user, p);
	ev_timer_init(&p->timer, places_on_timer, 0.0, 0.0);
	p->timer.data = p;
	return p;
}

void
sq_outbox_places_free(struct sq_outbox_places **pp)
{
	struct sq_outbox_places *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	ev_timer_stop(p->holds->loop->ev, &p->timer);
	sq_outbox_order_free(&p->order);
	free(p);
}

/* --- from sessions --- */

void
sq_outbox_places_take(
    struct sq_outbox_places *p, struct sq_outbox_writer *w, struct sq_outbox_place *place)
{
	sq_outbox_order_place(p->order, &w->line, place, sq_holds_now(p->holds));
	places_outcomes(p); /* none may have been asked for yet */
	places_arm(p);
}

void
sq_outbox_places_leave(struct sq_outbox_places *p, struct sq_outbox_place *place)
{
	sq_outbox_order_leave(p->order, place);
	places_settle(p);
}

void
sq_outbox_places_asks(struct sq_outbox_places *p, struct sq_outbox_writer *w, bool is)
{
	sq_outbox_order_asks(p->order, &w->line, is, sq_holds_now(p->holds));
	places_outcomes(p);
	places_settle(p);
}

/* --- from the outbox --- */

void
sq_outbox_places_open(struct sq_outbox_places *p, struct sq_outbox_disk *d)
{
	if (p != NULL)
		p->disk = d;
}

void
sq_outbox_places_sends(struct sq_outbox_places *p, bool is)
{
	if (p == NULL)
		return;
	sq_outbox_order_sends(p->order, is, sq_holds_now(p->holds));
	places_outcomes(p); /* an attach may tell of messages that a broker had taken */
	places_settle(p);
}

void
sq_outbox_places_turned(struct sq_outbox_places *p)
{
	if (p == NULL)
		return;
	places_outcomes(p);
	places_arm(p);
}

void
sq_outbox_places_entered(struct sq_outbox_places *p, struct sq_outbox_writer *w)
{
	if (p == NULL || w->port.last == w->line.last)
		return;
	sq_outbox_order_entered(p->order, &w->line, w->port.last, sq_holds_now(p->holds));
	if (!sq_list_empty(&w->line.places))
		places_settle(p);
}

void
sq_outbox_places_gone(struct sq_outbox_places *p, struct sq_outbox_writer *w)
{
	sq_outbox_order_close(p->order, &w->line);
	places_settle(p);
}
