/* A dispatcher between a queue and consumers that take, fail, forget, and crash with the broker.
 * Whatever happens: no message is with two consumers at a time or lost, lanes keep their order, none
 * has more attempts than it may, and nothing stands still.  Seeded: a failure names its seed. */
#include <criterion/criterion.h>
#include <limits.h>
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
	bool last, more;  /* its consumer has given it up, or wants more attempts than it has */
	unsigned serving; /* in which it was handed out, to: */
	unsigned grant;
	uint64_t not_before_ms;
	unsigned lane;
	/* durable: */
	bool ended;
	bool leased; /* with leases that outlive a crash: it is out by one */
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
	unsigned served[GRANTS];   /* items since it was given */
	uint64_t first_ms[GRANTS]; /* when it got the first of them */
	unsigned servings;
	unsigned handed[MESSAGES]; /* times */
	unsigned crashes, adopted, done, dead, expired, late, lingered, given_up;
	unsigned out_max; /* what is out by leases of before a crash comes on top */
	bool faults;
	bool keeps; /* leases outlive a crash */
	bool released;
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
	CHECK(m->attempts < ATTEMPTS || m->more, w, number(w, m));
	CHECK(m->not_before_ms <= w->now_ms, w, number(w, m));
	check_order(w, m);
	m->out = true;
	m->serving = w->servings;
	m->grant = k;
	w->handed[number(w, m)]++;
	if (w->served[k]++ == 0)
		w->first_ms[k] = w->now_ms;
	w->lingered += w->first_ms[k] < w->now_ms;
	CHECK(w->served[k] <= g->n, w, k);
}

/* Whether it was handed to a grant that has not been served yet. */
static bool
lingers(const struct world *w, const struct message *m)
{
	return m->out && m->serving == w->servings;
}

static void
served(struct world *w, unsigned k)
{
	CHECK(w->waits[k] && w->served[k] > 0, w, k);
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message *m = &w->messages[i];

		if (!lingers(w, m))
			continue;
		CHECK(m->item.expires_ms == 0 || m->item.expires_ms > w->now_ms, w, i);
		m->leased = w->keeps;
	}
	w->waits[k] = false;
	w->servings++;
}

static void
settle(struct world *w, struct message *m, enum sq_dispatch_end end)
{
	CHECK(m->taken && !m->ended, w, number(w, m));
	if (lingers(w, m)) {
		CHECK(end == SQ_DISPATCH_EXPIRED, w, number(w, m));
		w->served[m->grant]--;
		w->late++;
	}
	m->taken = m->out = m->leased = false;
	m->ended = end != SQ_DISPATCH_BACK;
	w->done += end == SQ_DISPATCH_DONE;
	w->dead += end == SQ_DISPATCH_ATTEMPTS;
	w->given_up += m->last && m->item.attempts < ATTEMPTS;
	w->expired += end == SQ_DISPATCH_EXPIRED;
	if (end == SQ_DISPATCH_ATTEMPTS && !m->last && !m->more)
		cr_assert_eq(m->item.attempts, ATTEMPTS, "seed %u", w->seed);
	if (end == SQ_DISPATCH_BACK)
		cr_assert(w->cfg.order == SQ_DISPATCH_NONE || w->released);
}

/* Items that all grants may still have. */
static unsigned
waited_for(const struct world *w)
{
	unsigned n = 0;

	for (unsigned k = 0; k < GRANTS; k++)
		n += w->waits[k] ? w->grants[k].n - w->served[k] : 0;
	return n;
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
			served(w, (unsigned)(a.grant - w->grants));
			break;
		case SQ_DISPATCH_TRY:
			m->out = false; /* it may say OK until then, but is not to be waited for */
			break;
		case SQ_DISPATCH_SETTLE:
			settle(w, m, a.end);
			break;
		}
	}
	for (unsigned k = 0; k < GRANTS; k++) {
		if (w->waits[k] && w->served[k] > 0) {
			CHECK(w->cfg.order != SQ_DISPATCH_STRICT, w, k);
			CHECK(w->now_ms < w->first_ms[k] + w->grants[k].linger_ms, w, k);
			CHECK(sq_dispatch_due_ms(w->d) <= w->first_ms[k] + w->grants[k].linger_ms,
			    w, k);
		}
	}
	cr_assert_leq(sq_dispatch_demand(w->d), waited_for(w), "seed %u", w->seed);
	n = sq_dispatch_count(w->d);
	cr_assert_leq(n.out, w->out_max);
	cr_assert_leq(n.held, (unsigned)HELD + w->out_max); /* those that were out, too */
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
		if (m->item.expires_ms == 0 && draw(w, 15) == 0)
			m->item.expires_ms = w->now_ms + 1 + draw(w, 40);
		m->item = (struct sq_dispatch_item){.seq = i + 1,
		    .key = m->lane,
		    .bytes = 10 + i,
		    .attempts = m->attempts,
		    .expires_ms = m->item.expires_ms};
		m->taken = true;
		m->not_before_ms = m->attempts > 0 && draw(w, 2) == 0 ? w->now_ms + draw(w, 20) : 0;
		if (m->not_before_ms > w->now_ms)
			sq_dispatch_take_later(w->d, &m->item, m->not_before_ms);
		else
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
	    .lease_ms = draw(w, 3) == 0 ? 0 : 50,
	    .linger_ms = draw(w, 3) == 0 ? draw(w, 60) : 0};
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
	if (w->served[k] > 0) {
		for (unsigned i = 0; i < MESSAGES; i++) {
			if (lingers(w, &w->messages[i]))
				w->messages[i].out = false;
		}
		w->servings++;
	}
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

	if (m == NULL || lingers(w, m))
		return;
	if (w->faults)
		outcome = (enum sq_dispatch_outcome[]){SQ_DISPATCH_OK, SQ_DISPATCH_OK,
		    SQ_DISPATCH_FAILED, SQ_DISPATCH_LATER}[draw(w, 4)];
	if (outcome == SQ_DISPATCH_FAILED && draw(w, 8) == 0)
		outcome = draw(w, 4) == 0 ? SQ_DISPATCH_AGAIN : SQ_DISPATCH_LAST;
	CHECK(m->out, w, number(w, m));
	m->out = false;
	m->last = outcome == SQ_DISPATCH_LAST;
	m->more |= outcome == SQ_DISPATCH_AGAIN;
	if (outcome == SQ_DISPATCH_LATER) /* else with what follows */
		m->leased = false;
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
	m->leased = false;
	sq_dispatch_tried(w->d, &m->item, w->now_ms);
	CHECK(!sq_dispatch_outcome(w->d, &m->item, SQ_DISPATCH_OK, 0, w->now_ms), w, number(w, m));
	carry_out(w);
}

static void
extend(struct world *w)
{
	struct message *m = some(w, SQ_DISPATCH_OUT);

	if (m != NULL && !lingers(w, m))
		CHECK(sq_dispatch_extend(w->d, &m->item, w->now_ms + 80), w, number(w, m));
}

/* Somebody has what nobody has come back, as for a purge. */
static void
release(struct world *w)
{
	w->released = true;
	for (unsigned i = 0; i < MESSAGES; i++) {
		if (w->messages[i].taken)
			(void)sq_dispatch_release(w->d, &w->messages[i].item);
	}
	carry_out(w);
	w->released = false;
}

static void
tick(struct world *w)
{
	w->now_ms += 1 + draw(w, 10);
	sq_dispatch_tick(w->d, w->now_ms);
	carry_out(w);
}

/* The consumer of before goes on with its message. */
static void
adopt(struct world *w, struct message *m)
{
	m->item = (struct sq_dispatch_item){.seq = number(w, m) + 1,
	    .key = m->lane,
	    .bytes = 10 + number(w, m),
	    .attempts = m->attempts,
	    .expires_ms = m->item.expires_ms};
	m->taken = m->out = true;
	m->serving = UINT_MAX;
	sq_dispatch_adopt(w->d, &m->item, w->now_ms + 50);
	w->adopted++;
}

/* What is not durable is gone. */
static void
crash(struct world *w)
{
	unsigned out = 0;

	sq_dispatch_free(&w->d);
	memset(w->waits, 0, sizeof w->waits);
	w->d = sq_dispatch_new(&w->cfg);
	for (unsigned i = 0; i < MESSAGES; i++) {
		w->messages[i].taken = w->messages[i].out = false;
		if (!w->messages[i].leased)
			continue;
		adopt(w, &w->messages[i]);
		out++;
	}
	w->out_max = out > OUT ? out : OUT;
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
		else if (w->faults && draw(w, 20) == 0)
			release(w);
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
	w->keeps = seed / 3 % 2 == 0;
	w->out_max = OUT;
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
	unsigned crashes = 0, adopted = 0, dead = 0, expired = 0, late = 0, lingered = 0,
		 given_up = 0;
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
		adopted += w.adopted;
		dead += w.dead;
		expired += w.expired;
		late += w.late;
		lingered += w.lingered;
		given_up += w.given_up;
		sq_dispatch_free(&w.d);
	}
	cr_assert(crashes > 100 && adopted > 100 && dead > 100 && expired > 100 && late > 100 &&
		lingered > 100 && given_up > 100,
	    "%u %u %u %u %u %u %u: nothing was tried", crashes, adopted, dead, expired, late,
	    lingered, given_up);
}
