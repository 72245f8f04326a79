/* A dispatcher between a queue and consumers that take, fail, forget, and crash with the broker.
 * Whatever happens: no message is with two consumers at a time or lost, lanes keep their order, none
 * has more attempts than it may, and nothing stands still.  Seeded: a failure names its seed. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/mem.h"
#include "proto/dispatch/dispatch.h"

enum {
	MESSAGES = 60,
	LANES = 4,
	GRANTS = 5,
	ATTEMPTS = 5,
	HELD = 12,
	OUT = 10,
	STEPS = 3000,      /* with faults */
	REST_STEPS = 6000, /* without, in which all has to end */
	SEEDS = 3000,
};

/* A message, as the queue has it on its disk, and where its consumer thinks it is. */
struct message {
	struct sq_dispatch_item item; /* first */
	bool taken;                   /* by the dispatcher */
	bool out;
	unsigned serving; /* in which it was handed out */
	unsigned lane;
	/* durable: */
	bool ended;
	uint32_t attempts;
};

struct world {
	unsigned seed;
	uint64_t random, now_ms;
	struct sq_dispatch_cfg cfg;
	struct sq_dispatch *d;
	struct message messages[MESSAGES];
	struct sq_dispatch_grant grants[GRANTS];
	bool waits[GRANTS];
	unsigned served[GRANTS]; /* items since it was given */
	unsigned servings;
	unsigned handed[MESSAGES]; /* times */
	unsigned crashes, done, dead, expired;
	bool faults;
};

static unsigned
draw(struct world *w, unsigned n)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % n;
}

#define CHECK(cond, w, i) cr_assert((cond), "seed %u, message %u: " #cond, (w)->seed, (unsigned)(i))

static unsigned
number(const struct world *w, const struct message *m)
{
	return (unsigned)(m - w->messages);
}

/* No earlier one of the lane is in the queue, unless it is out by the same serving. */
static void
check_order(struct world *w, const struct message *m)
{
	if (w->cfg.order == SQ_DISPATCH_NONE)
		return;
	for (unsigned i = 0; i < MESSAGES; i++) {
		const struct message *o = &w->messages[i];
		bool same = w->cfg.order == SQ_DISPATCH_LANES && o->serving == w->servings;

		if (o == m || o->ended || (w->cfg.order == SQ_DISPATCH_LANES && o->lane != m->lane))
			continue;
		if (o->out)
			CHECK(same && o < m, w, i);
		else if (o->taken)
			CHECK(o > m, w, i);
	}
}

static void
hand(struct world *w, struct message *m, struct sq_dispatch_grant *g)
{
	unsigned k = (unsigned)(g - w->grants);

	CHECK(m->taken && !m->out && !m->ended, w, number(w, m));
	CHECK(m->item.expires_ms == 0 || m->item.expires_ms > w->now_ms, w, number(w, m));
	CHECK(w->waits[k], w, k);
	CHECK(m->attempts < ATTEMPTS, w, number(w, m));
	check_order(w, m);
	m->out = true;
	m->serving = w->servings;
	w->handed[number(w, m)]++;
	w->served[k]++;
	CHECK(w->served[k] <= g->n, w, k);
}

static void
settle(struct world *w, struct message *m, enum sq_dispatch_end end)
{
	CHECK(m->taken && !m->ended, w, number(w, m));
	m->taken = m->out = false;
	m->ended = end != SQ_DISPATCH_BACK;
	w->done += end == SQ_DISPATCH_DONE;
	w->dead += end == SQ_DISPATCH_ATTEMPTS;
	w->expired += end == SQ_DISPATCH_EXPIRED;
	if (end == SQ_DISPATCH_ATTEMPTS)
		cr_assert_eq(m->item.attempts, ATTEMPTS, "seed %u", w->seed);
	if (end == SQ_DISPATCH_BACK)
		cr_assert(w->cfg.order == SQ_DISPATCH_NONE);
}

/* Carries out what the dispatcher asks for. */
static void
carry_out(struct world *w)
{
	struct sq_dispatch_action a;
	struct sq_dispatch_counts n;

	while (sq_dispatch_next(w->d, w->now_ms, &a)) {
		struct message *m = (struct message *)a.item;

		switch (a.what) {
		case SQ_DISPATCH_HAND:
			hand(w, m, a.grant);
			break;
		case SQ_DISPATCH_SERVED:
			CHECK(w->served[a.grant - w->grants] > 0, w, a.grant - w->grants);
			w->waits[a.grant - w->grants] = false;
			w->servings++;
			break;
		case SQ_DISPATCH_TRY:
			m->out = false; /* it may say OK until then, but is not to be waited for */
			break;
		case SQ_DISPATCH_SETTLE:
			settle(w, m, a.end);
			break;
		}
	}
	n = sq_dispatch_count(w->d);
	cr_assert_leq(n.out, (unsigned)OUT);
	cr_assert_leq(n.held, (unsigned)HELD + OUT); /* those that were out, too */
}

/* --- what may happen --- */

static void
take(struct world *w)
{
	unsigned want = sq_dispatch_demand(w->d);

	for (unsigned i = 0; i < MESSAGES && want > 0; i++) {
		struct message *m = &w->messages[i];

		if (m->taken || m->ended)
			continue;
		m->item = (struct sq_dispatch_item){.seq = i + 1,
		    .key = m->lane,
		    .bytes = 10 + i,
		    .attempts = m->attempts,
		    .expires_ms = m->item.expires_ms};
		m->taken = true;
		sq_dispatch_take(w->d, &m->item);
		want--;
	}
	carry_out(w);
}

static void
grant(struct world *w)
{
	unsigned k = draw(w, GRANTS);

	if (w->waits[k])
		return;
	w->grants[k] = (struct sq_dispatch_grant){.n = 1 + draw(w, 4),
	    .bytes = draw(w, 3) == 0 ? 100 : 100000,
	    .lease_ms = draw(w, 3) == 0 ? 0 : 50};
	w->waits[k] = true;
	w->served[k] = 0;
	sq_dispatch_grant(w->d, &w->grants[k]);
	carry_out(w);
}

static void
revoke(struct world *w)
{
	unsigned k = draw(w, GRANTS);

	if (!w->waits[k])
		return;
	w->waits[k] = false;
	sq_dispatch_revoke(w->d, &w->grants[k]);
	carry_out(w);
}

static struct message *
some(struct world *w, enum sq_dispatch_state state)
{
	unsigned from = draw(w, MESSAGES);

	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message *m = &w->messages[(from + i) % MESSAGES];

		if (m->taken && m->item.state == state)
			return m;
	}
	return NULL;
}

static void
say(struct world *w)
{
	struct message *m = some(w, SQ_DISPATCH_OUT);
	enum sq_dispatch_outcome outcome = SQ_DISPATCH_OK;

	if (m == NULL)
		return;
	if (w->faults)
		outcome = (enum sq_dispatch_outcome[]){SQ_DISPATCH_OK, SQ_DISPATCH_OK,
		    SQ_DISPATCH_FAILED, SQ_DISPATCH_LATER}[draw(w, 4)];
	CHECK(m->out, w, number(w, m));
	m->out = false;
	CHECK(sq_dispatch_outcome(w->d, &m->item, outcome, draw(w, 2) * 7, w->now_ms), w,
	    number(w, m));
	carry_out(w);
}

/* An attempt is durable; before that its consumer may have said OK. */
static void
tried(struct world *w)
{
	struct message *m = some(w, SQ_DISPATCH_TRYING);

	if (m == NULL)
		return;
	if (w->faults && m->item.overdue && draw(w, 4) == 0) {
		CHECK(sq_dispatch_outcome(w->d, &m->item, SQ_DISPATCH_OK, 0, w->now_ms), w,
		    number(w, m));
		carry_out(w);
		return;
	}
	m->attempts = m->item.attempts;
	sq_dispatch_tried(w->d, &m->item, w->now_ms);
	CHECK(!sq_dispatch_outcome(w->d, &m->item, SQ_DISPATCH_OK, 0, w->now_ms), w, number(w, m));
	carry_out(w);
}

static void
extend(struct world *w)
{
	struct message *m = some(w, SQ_DISPATCH_OUT);

	if (m != NULL)
		CHECK(sq_dispatch_extend(w->d, &m->item, w->now_ms + 80), w, number(w, m));
}

static void
tick(struct world *w)
{
	w->now_ms += 1 + draw(w, 10);
	sq_dispatch_tick(w->d, w->now_ms);
	carry_out(w);
}

/* What is not durable is gone. */
static void
crash(struct world *w)
{
	sq_dispatch_free(&w->d);
	for (unsigned i = 0; i < MESSAGES; i++)
		w->messages[i].taken = w->messages[i].out = false;
	memset(w->waits, 0, sizeof w->waits);
	w->d = sq_dispatch_new(&w->cfg);
	w->crashes++;
}

static void
step(struct world *w)
{
	switch (draw(w, 8)) {
	case 0:
		grant(w);
		break;
	case 1:
	case 2:
		take(w);
		break;
	case 3:
		say(w);
		break;
	case 4:
		tried(w);
		break;
	case 5:
		tick(w);
		break;
	case 6:
		if (w->faults)
			revoke(w);
		else
			say(w);
		break;
	default:
		if (w->faults && draw(w, 40) == 0)
			crash(w);
		else if (w->faults)
			extend(w);
	}
}

static bool
all_ended(const struct world *w)
{
	for (unsigned i = 0; i < MESSAGES; i++)
		if (!w->messages[i].ended)
			return false;
	return true;
}

static void
begin(struct world *w, unsigned seed)
{
	memset(w, 0, sizeof *w);
	w->seed = seed;
	w->random = seed;
	w->faults = true;
	w->cfg = (struct sq_dispatch_cfg){.order = (enum sq_dispatch_order)(seed % 3),
	    .retry = {.first_ms = 3, .max_ms = 20, .factor = 2, .jitter = seed % 2 == 0},
	    .max_attempts = ATTEMPTS,
	    .held_max = HELD,
	    .held_bytes_max = 100000,
	    .out_max = OUT,
	    .seed = seed};
	for (unsigned i = 0; i < MESSAGES; i++) {
		w->messages[i].lane = draw(w, LANES);
		if (draw(w, 10) == 0)
			w->messages[i].item.expires_ms = 1 + draw(w, 500);
	}
	w->d = sq_dispatch_new(&w->cfg);
}

Test(dispatch, keeps_its_promises_over_faults)
{
	unsigned crashes = 0, dead = 0, expired = 0;
	static struct world w;

	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct sq_dispatch_counts n;

		begin(&w, seed);
		for (unsigned i = 0; i < STEPS && !all_ended(&w); i++)
			step(&w);
		w.faults = false;
		for (unsigned i = 0; i < REST_STEPS && !all_ended(&w); i++)
			step(&w);
		cr_assert(all_ended(&w), "seed %u: something stands still", seed);
		n = sq_dispatch_count(w.d);
		cr_assert(n.held == 0 && n.out == 0 && n.held_bytes == 0 && n.lanes == 0,
		    "seed %u: something is left over", seed);
		crashes += w.crashes;
		dead += w.dead;
		expired += w.expired;
		sq_dispatch_free(&w.d);
	}
	cr_assert(crashes > 100 && dead > 100 && expired > 100, "%u %u %u: nothing was tried",
	    crashes, dead, expired);
}
