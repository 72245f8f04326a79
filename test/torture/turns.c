/* Subscribing and unsubscribing of a torture app, in the stream of what it publishes: one
 * packet in a second or a handful, alone or with publishes before, between and behind
 * in one segment.  At most APP_TURNS_MAX have no answer; each is in the ledger
 * before it is sent. */
#include "app.h"

#include <string.h>

void
app_turns_none(struct app *a)
{
	a->n_turns = 0;
	a->on = 0;
}

void
app_turns_asked(struct app *a, const struct app_turn *t)
{
	if (a->n_turns == APP_TURNS_MAX) /* an older life's, which nobody answers */
		memmove(a->turns, a->turns + 1, --a->n_turns * sizeof *a->turns);
	a->turns[a->n_turns++] = *t;
	a->turn_id = t->id;
	a->on = t->on ? a->on | t->mask : a->on & ~t->mask;
}

void
app_turns_answered(struct app *a, uint16_t id)
{
	for (size_t i = 0; i < a->n_turns; i++) {
		if (a->turns[i].id != id)
			continue;
		memmove(a->turns + i, a->turns + i + 1, (--a->n_turns - i) * sizeof *a->turns);
		return;
	}
	app_ledger(a, "Z answer to packet %u, which was not asked", id);
}

static void
turns_ask(struct app *a, bool on, unsigned mask)
{
	struct app_turn t = {a->turn_id, on, mask};

	if (mask == 0)
		return;
	t.id = t.id < APP_ID_FIRST || t.id >= APP_ID_LAST ? APP_ID_FIRST : (uint16_t)(t.id + 1);
	app_ledger(a, "T %u %d %u", t.id, on, mask);
	app_turns_asked(a, &t);
	app_send_turn(a, &t);
}

void
app_turns_again(struct app *a)
{
	unsigned open = 0;

	for (size_t i = 0; i < a->n_turns; i++)
		open |= a->turns[i].mask;
	a->n_turns = 0;
	turns_ask(a, true, open & a->on);
	turns_ask(a, false, open & ~a->on);
}

void
app_turns_answer(struct app *a, const struct app_packet *p)
{
	unsigned id = p->n >= 2 ? (unsigned)(p->body[0] << 8 | p->body[1]) : 0;
	size_t codes = a->o.version == 5 ? 3 : 2; /* behind the id, and no properties */
	unsigned worst = 0;

	if (a->o.version == 5 && p->n > 2)
		codes += p->body[2] & 0x7fu; /* ours are short */
	for (size_t i = codes; i < p->n; i++)
		worst = p->body[i] > worst ? p->body[i] : worst;
	app_ledger(a, "K %u %u", id, worst);
	app_turns_answered(a, (uint16_t)id);
}

/* A few messages; of QoS 3 none, which would be letters while nobody subscribes. */
static void
turns_publish(struct app *a, unsigned most)
{
	for (uint64_t n = app_random(a) % (most + 1); n > 0; n--)
		app_publish_one(a, (unsigned)(app_random(a) % 3));
}

void
app_turns(struct app *a, uint64_t us)
{
	a->due_turns += (double)us * a->o.turn_rate / 1e6;
	if (a->due_turns > 2)
		a->due_turns = 2;
	while (a->due_turns >= 1 && a->o.n_turn > 0) {
		unsigned mask = 1u << app_random(a) % a->o.n_turn;

		a->due_turns--;
		if (app_random(a) % 4 == 0)
			mask = (1u << a->o.n_turn) - 1;
		if (a->n_turns + 3 > APP_TURNS_MAX)
			return;
		turns_publish(a, 2);
		turns_ask(a, (a->on & mask) == 0, mask);
		turns_publish(a, 3);
		if (app_random(a) % 2 == 0)
			return;
		turns_ask(a, (a->on & mask) == 0, mask);
		turns_publish(a, 2);
	}
}
