/* Places among the messages in the disk outbox; see order.h.
 *
 * Both lists are in the order of their times, because all waits are equally long: waiting places by
 * the beginning of their wait, bars by their sequence, which is the order of their making. */
#include "sidecar/outbox/order.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"

struct sq_outbox_order {
	const struct sq_outbox_order_user *user;
	void *owner;
	uint64_t wait_ms;
	uint64_t done;        /* all up to it had a first outcome */
	uint64_t stopped_ms;  /* when the outbox's session was lost */
	bool sends;           /* it is attached */
	struct sq_list asked; /* places that wait, and whose clock runs */
	struct sq_list bars;
	unsigned n_waits; /* places that wait */
};

struct sq_outbox_order *
sq_outbox_order_new(uint64_t wait_ms, const struct sq_outbox_order_user *user, void *owner)
{
	struct sq_outbox_order *o = sq_xcalloc(1, sizeof *o);

	o->wait_ms = wait_ms;
	o->user = user;
	o->owner = owner;
	sq_list_init(&o->asked);
	sq_list_init(&o->bars);
	return o;
}

void
sq_outbox_order_free(struct sq_outbox_order **op)
{
	struct sq_outbox_order *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	assert(sq_list_empty(&o->asked) && sq_list_empty(&o->bars) && o->n_waits == 0);
	free(o);
}

void
sq_outbox_line_init(struct sq_outbox_line *line)
{
	*line = (struct sq_outbox_line){0};
	sq_list_init(&line->places);
}

void
sq_outbox_place_init(struct sq_outbox_place *p)
{
	*p = (struct sq_outbox_place){0};
	sq_list_init(&p->mine);
	sq_list_init(&p->asked);
	sq_list_init(&p->bar);
}

/* --- a place's wait for the entries in front of it --- */

static void
place_wait_no_more(struct sq_outbox_order *o, struct sq_outbox_place *p)
{
	if (!p->waits)
		return;
	p->waits = false;
	o->n_waits--;
	sq_list_remove(&p->asked);
}

static void
place_ask(struct sq_outbox_order *o, struct sq_outbox_place *p, uint64_t now_ms)
{
	if (!p->waits || p->ask_due_ms != 0)
		return;
	if (p->after <= o->done) {
		place_wait_no_more(o, p);
		return;
	}
	p->ask_due_ms = now_ms + o->wait_ms;
	sq_list_push_back(&o->asked, &p->asked);
}

static void
place_passed(struct sq_outbox_order *o, struct sq_outbox_place *p)
{
	if (p->passed)
		return;
	p->passed = true;
	o->user->passed(o->owner, p->line);
}

/* --- of a connection --- */

void
sq_outbox_order_place(struct sq_outbox_order *o, struct sq_outbox_line *line,
    struct sq_outbox_place *p, uint64_t now_ms)
{
	assert(p->line == NULL);
	if (o->wait_ms == 0)
		return;
	p->line = line;
	p->after = line->last;
	sq_list_push_back(&line->places, &p->mine);
	if (p->after <= o->done)
		return;
	p->waits = true;
	o->n_waits++;
	if (line->asks)
		place_ask(o, p, now_ms);
}

void
sq_outbox_order_entered(
    struct sq_outbox_order *o, struct sq_outbox_line *line, uint64_t seq, uint64_t now_ms)
{
	if (seq <= line->last)
		return;
	line->last = seq;
	/* The last ones: those in front of them have their bars. */
	for (struct sq_list *at = line->places.prev; at != &line->places; at = at->prev) {
		struct sq_outbox_place *p = SQ_CONTAINER_OF(at, struct sq_outbox_place, mine);

		if (p->before != 0)
			break;
		p->before = seq;
		p->bar_due_ms = o->sends ? now_ms + o->wait_ms : 0;
		sq_list_push_back(&o->bars, &p->bar);
	}
}

void
sq_outbox_order_asks(
    struct sq_outbox_order *o, struct sq_outbox_line *line, bool asks, uint64_t now_ms)
{
	line->asks = asks;
	SQ_LIST_FOR_EACH(p, &line->places, struct sq_outbox_place, mine) {
		if (asks) {
			place_ask(o, p, now_ms);
			continue;
		}
		p->ask_due_ms = 0;
		sq_list_remove(&p->asked);
	}
}

void
sq_outbox_order_leave(struct sq_outbox_order *o, struct sq_outbox_place *p)
{
	if (p->line == NULL)
		return;
	place_wait_no_more(o, p);
	sq_list_remove(&p->mine);
	sq_list_remove(&p->bar);
	sq_outbox_place_init(p);
}

void
sq_outbox_order_close(struct sq_outbox_order *o, struct sq_outbox_line *line)
{
	SQ_LIST_FOR_EACH_SAFE(p, &line->places, struct sq_outbox_place, mine)
		sq_outbox_order_leave(o, p);
}

/* --- of the outbox --- */

void
sq_outbox_order_outcomes(struct sq_outbox_order *o, uint64_t seq)
{
	if (seq <= o->done)
		return;
	o->done = seq;
	SQ_LIST_FOR_EACH_SAFE(p, &o->asked, struct sq_outbox_place, asked) {
		if (p->after > seq)
			continue;
		place_wait_no_more(o, p);
		o->user->ready(o->owner, p->line);
	}
}

bool
sq_outbox_order_waits(const struct sq_outbox_order *o)
{
	return o->n_waits != 0;
}

void
sq_outbox_order_sends(struct sq_outbox_order *o, bool sends, uint64_t now_ms)
{
	if (o->sends == sends)
		return;
	o->sends = sends;
	if (!sends) {
		o->stopped_ms = now_ms;
		return;
	}
	SQ_LIST_FOR_EACH(p, &o->bars, struct sq_outbox_place, bar) {
		if (p->bar_due_ms != 0)
			p->bar_due_ms += now_ms - o->stopped_ms;
		else
			p->bar_due_ms = now_ms + o->wait_ms;
	}
}

uint64_t
sq_outbox_order_bar(const struct sq_outbox_order *o)
{
	const struct sq_outbox_place *p = SQ_LIST_FIRST(&o->bars, struct sq_outbox_place, bar);

	return p != NULL ? p->before : UINT64_MAX;
}

void
sq_outbox_order_tick(struct sq_outbox_order *o, uint64_t now_ms)
{
	struct sq_outbox_place *p;

	while ((p = SQ_LIST_FIRST(&o->asked, struct sq_outbox_place, asked)) != NULL &&
	    p->ask_due_ms <= now_ms) {
		place_wait_no_more(o, p);
		place_passed(o, p);
		o->user->ready(o->owner, p->line);
	}
	while (o->sends && (p = SQ_LIST_FIRST(&o->bars, struct sq_outbox_place, bar)) != NULL &&
	    p->bar_due_ms <= now_ms) {
		sq_list_remove(&p->bar);
		place_passed(o, p);
	}
}

uint64_t
sq_outbox_order_due(const struct sq_outbox_order *o)
{
	const struct sq_outbox_place *ask = SQ_LIST_FIRST(&o->asked, struct sq_outbox_place, asked);
	const struct sq_outbox_place *bar = SQ_LIST_FIRST(&o->bars, struct sq_outbox_place, bar);
	uint64_t due = ask != NULL ? ask->ask_due_ms : 0;

	if (bar != NULL && o->sends && (due == 0 || bar->bar_due_ms < due))
		due = bar->bar_due_ms;
	return due;
}
