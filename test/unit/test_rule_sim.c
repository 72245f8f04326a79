/* Three brokers by the rule of store/shared/rule.h on a log of two copies (test/support/fake_log.h), in
 * a time of its own: requests that are lost, doubled and late, answers that are lost or doubtful, copies
 * that stall, fail-overs that lose what was not copied, restarts in place that show it, a first copy that
 * goes on beside the second, brokers that crash, stand still, are cut off, lose their disk, yield.
 * Nothing that was acknowledged or applied is lost or differs, nothing is twice, and each run
 * acknowledges again after its last fault.
 *
 * Each rule switched off must be noticed.  Seeded: a violation names its seed. */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/fake_log.h"
#include "core/err.h"
#include "core/mem.h"
#include "store/shared/record.h"
#include "store/shared/rule.h"

enum {
	BROKERS = 3,
	TICK_MS = 100,
	STEPS = 10000,   /* of a run */
	CALM = 1000,     /* of them, without faults, at the end */
	AGAIN = 400,     /* after the last fault, an acknowledgement comes within so many */
	DEADLINE = 25,   /* of a call */
	RECORDS = STEPS, /* of a run, at most */
	PAGE = 12,       /* records of a read */
	WIRES = 128,
	STORE = 77,
	DATA = SQ_SHARED_HEADER + 8,
};

struct switches {
	struct sq_rule_broken rule;
	struct fake_log_broken log;
	bool tell_early; /* a doubtful answer is taken for DONE */
};

/* What a reader was given. */
struct page {
	struct sq_shared_head head;
	struct fake_record records[PAGE];
	unsigned char data[PAGE][DATA];
	unsigned n;
};

/* A call on its way to the log, or its answer on the way back. */
struct wire {
	uint64_t due, at; /* at: the copy that its answer waits for */
	unsigned broker, incarnation, connection, generation;
	uint64_t call;
	struct sq_rule_step step;
	unsigned char data[DATA];
	bool answer;
	struct fake_log *log; /* where it happened */
	enum sq_shared_result result;
	struct page *page;
};

struct broker {
	struct sq_rule *rule; /* NULL: it is down */
	unsigned no, incarnation, connection, generation;
	struct sq_rule_wish wish;
	uint64_t disk; /* records that its disk has */
	uint64_t paused, cut;
	uint64_t value; /* what it would append; 0: nothing yet */
	bool claimed;   /* on this connection */
	bool follows;   /* it has not owned since it started */
	/* The call that is under way: 0 none. */
	uint64_t call, sent;
	struct sq_rule_step step;
	unsigned char data[DATA];
	uint64_t chain;
};

struct figures {
	uint64_t steps, acknowledged, owners, failovers, splits, restarts, crashes, disks, fenced,
	    yields, diverged, unknown, found;
	uint64_t again; /* the most steps to an acknowledgement after the last fault */
	unsigned runs;
};

struct sim {
	struct figures *figures;
	const struct switches *broken;
	uint64_t random, now, calls, values;
	struct fake_log *log,
	    *left; /* left: a first copy that goes on after a fail-over; NULL: none */
	unsigned left_generation; /* whose connections are to that one */
	struct broker brokers[BROKERS];
	struct wire wires[WIRES];
	unsigned n_wires, generation, generations;
	uint64_t down, stall;
	uint64_t value[RECORDS + 1], chain[RECORDS + 1]; /* of what some broker has applied */
	uint64_t applied, told_at;                       /* the last of those */
	uint64_t first_calm;                             /* acknowledgement */
	char violation[160];
};

static uint64_t
roll(struct sim *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random * UINT64_C(0x2545f4914f6cdd1d);
}

/* Whether something of that chance, in millionths, comes now. */
static bool
chance(struct sim *s, uint64_t millionths)
{
	return (roll(s) >> 20) % 1000000 < millionths;
}

static uint64_t
between(struct sim *s, uint64_t low, uint64_t high)
{
	return low + (roll(s) >> 20) % (high - low + 1);
}

static bool
is_calm(const struct sim *s)
{
	return s->now > STEPS - CALM;
}

static void SQ_PRINTF(2, 3) violated(struct sim *s, const char *fmt, ...)
{
	va_list args;

	if (s->violation[0] != '\0')
		return;
	va_start(args, fmt);
	vsnprintf(s->violation, sizeof s->violation, fmt, args);
	va_end(args);
}

static uint64_t
draw(void *arg)
{
	uint64_t n = roll(arg);

	return n != 0 ? n : 1;
}

/* A broker's own clock. */
static uint64_t
clock_of(const struct sim *s, const struct broker *b, uint64_t tick)
{
	(void)s;
	return 1000000 * (b->no + 1) + tick * TICK_MS;
}

/* --- what brokers hold and tell --- */

static void
applies(struct sim *s, uint64_t lsn, uint64_t value, uint64_t chain)
{
	if (lsn > RECORDS)
		violated(s, "record %" PRIu64 " is past the end", lsn);
	else if (lsn > s->applied + 1)
		violated(s, "record %" PRIu64 " is applied, and %" PRIu64 " was the last one", lsn,
		    s->applied);
	else if (lsn <= s->applied && s->value[lsn] != value)
		violated(s, "record %" PRIu64 " has other bytes", lsn);
	if (s->violation[0] != '\0')
		return;
	s->value[lsn] = value;
	s->chain[lsn] = chain;
	if (lsn > s->applied)
		s->applied = lsn;
}

static void
told(struct sim *s)
{
	s->figures->acknowledged++;
	s->told_at = s->now;
	if (is_calm(s) && s->first_calm == 0)
		s->first_calm = s->now;
}

static void
stops(struct sim *s, struct broker *b)
{
	sq_rule_free(&b->rule);
	b->incarnation++;
	b->call = 0;
	b->wish.yield = false;
	b->cut = b->paused = 0;
	(void)s;
}

static void
starts(struct sim *s, struct broker *b)
{
	struct sq_rule_cfg cfg = {.store = STORE,
	    .applied = b->disk,
	    .needs = b->disk,
	    .chain = s->chain[b->disk],
	    .draw = draw,
	    .arg = &s->random,
	    .isolated_ms = 200 * TICK_MS};

	b->rule = sq_rule_new(&cfg);
	sq_rule_break(b->rule, &s->broken->rule);
	b->wish = (struct sq_rule_wish){.may_claim = true};
	b->follows = true;
	b->value = 0;
}

/* --- the net --- */

static void
unwire(struct sim *s, unsigned i)
{
	free(s->wires[i].page);
	s->wires[i] = s->wires[--s->n_wires];
}

static void
wire(struct sim *s, const struct wire *w)
{
	if (s->n_wires < WIRES)
		s->wires[s->n_wires++] = *w;
}

static void
send(struct sim *s, struct broker *b)
{
	struct wire w = {.broker = b->no,
	    .incarnation = b->incarnation,
	    .connection = b->connection,
	    .generation = b->generation,
	    .call = b->call,
	    .step = b->step};

	if ((b->cut > 0 && chance(s, 900000)) || (!is_calm(s) && chance(s, 30000)))
		return;
	memcpy(w.data, b->data, sizeof w.data);
	w.due = s->now + between(s, 1, 4);
	wire(s, &w);
	if (!is_calm(s) && chance(s, 50000)) {
		w.due = s->now + between(s, 2, 60);
		wire(s, &w);
	}
}

/* The end of a broker's call comes back, by the wire of its request. */
static void
answer(struct sim *s, struct wire *w, enum sq_shared_result result, bool waits)
{
	w->answer = true;
	w->result = result;
	w->due = waits ? UINT64_MAX : s->now + between(s, 1, 3);
}

/* Which server a connection is to; NULL: it is lost. */
static struct fake_log *
server_of(const struct sim *s, unsigned generation)
{
	if (generation == s->generation)
		return s->log;
	return s->left != NULL && generation == s->left_generation ? s->left : NULL;
}

static struct page *
page_of(struct sim *s, struct fake_log *log, const struct wire *w)
{
	struct page *p = sq_xmalloc(sizeof *p);
	const struct sq_shared_head *h = fake_log_seen(log);
	uint64_t sure = h->sure;

	p->head = *h;
	p->n = 0;
	for (uint64_t lsn = w->step.from + 1; lsn <= h->last && p->n < PAGE; lsn++) {
		const struct fake_record *r = fake_log_record(log, lsn);

		p->records[p->n] = *r;
		memcpy(p->data[p->n++], r->data, DATA);
		sure = r->sure > sure ? r->sure : sure;
	}
	/* A driver may leave out what is not sure, before a claim. */
	while (p->n > 0 && !s->brokers[w->broker].claimed && w->broker == 1 &&
	    p->records[p->n - 1].lsn > sure)
		p->n--;
	return p;
}

/* The log carries out a request. */
static void
execute(struct sim *s, struct fake_log *log, struct wire *w)
{
	const struct sq_rule_step *t = &w->step;
	struct sq_shared_claim claim = {
	    .expected = t->expected, .nonce = t->nonce, .roll = t->roll};
	struct sq_bytes data = {w->data, DATA};
	enum sq_shared_result result = SQ_SHARED_DONE;
	struct sq_shared_head head;
	char name[2] = {(char)('a' + w->broker), '\0'};

	w->log = log;
	w->at = 0;
	claim.holder = name;
	if (t->what == SQ_RULE_READ) {
		w->page = page_of(s, log, w);
	} else if (t->what == SQ_RULE_APPEND) {
		result = chance(s, is_calm(s) ? 0 : 5000)
		    ? SQ_SHARED_NOT_DONE
		    : fake_log_append(log, t->nonce, t->epoch, t->lsn, t->sure, data, &w->at);
	} else if (t->what == SQ_RULE_BEAT) {
		result = fake_log_beat(log, t->nonce, t->sure, t->yields, &w->at);
	} else {
		result = fake_log_claim(log, &claim, &head, &w->at);
		if (result == SQ_SHARED_DONE) {
			w->page = sq_xmalloc(sizeof *w->page);
			w->page->head = head;
			w->page->n = 0;
		}
	}
	answer(s, w, result, result == SQ_SHARED_DONE && t->what != SQ_RULE_READ);
}

/* --- brokers --- */

static uint64_t
value_of(const unsigned char *data)
{
	uint64_t value;

	memcpy(&value, data + SQ_SHARED_HEADER, sizeof value);
	return value;
}

static void
takes_record(
    struct sim *s, struct broker *b, const struct fake_record *r, const unsigned char *data)
{
	uint64_t before = sq_rule_chain(b->rule);
	struct sq_shared_record rec;
	struct sq_buf why = {0};
	enum sq_rule_verdict v;
	bool good = sq_shared_record_read((struct sq_bytes){data, DATA}, &rec, &why) == SQ_OK;

	cr_assert(good);
	if (r->lsn == sq_rule_applied_lsn(b->rule) + 1 && before != 0)
		good = rec.chain == sq_shared_chain(before, r->lsn, 8, rec.crc);
	v = sq_rule_record(b->rule, r->lsn, r->epoch, r->sure, rec.chain, good);
	if (v != SQ_RULE_APPLY && v != SQ_RULE_OURS)
		return;
	applies(s, r->lsn, value_of(data), rec.chain);
	sq_rule_applied(b->rule, true);
	if (v == SQ_RULE_OURS) {
		s->figures->found++;
		b->value = 0;
		told(s);
	}
}

static void
takes_page(struct sim *s, struct broker *b, const struct page *p)
{
	sq_rule_head(b->rule, clock_of(s, b, s->now), &p->head);
	for (unsigned i = 0; i < p->n && b->no != 2; i++) /* one does not look ahead */
		sq_rule_sure(b->rule, p->records[i].sure);
	for (unsigned i = 0; i < p->n; i++)
		takes_record(s, b, &p->records[i], p->data[i]);
}

/* A follower may think for a time that it has diverged, by a server that was left, and by no other. */
static void
diverges(struct sim *s, struct broker *b)
{
	bool left = s->left != NULL && b->generation == s->left_generation;

	s->figures->diverged++;
	if (!left || !b->follows)
		violated(s, "broker %u: %s", b->no, sq_rule_why(b->rule));
}

/* The broker's call has ended. */
static void
ends(struct sim *s, struct broker *b, enum sq_shared_result result, const struct page *p)
{
	uint64_t sent = clock_of(s, b, b->sent), now = clock_of(s, b, s->now);
	enum sq_rule_state was = sq_rule_state(b->rule), is;

	b->follows &= was != SQ_RULE_OWNS;
	b->call = 0;
	s->figures->unknown += result == SQ_SHARED_UNKNOWN && b->step.what == SQ_RULE_APPEND;
	switch (b->step.what) {
	case SQ_RULE_READ:
		if (result == SQ_SHARED_DONE)
			takes_page(s, b, p);
		sq_rule_read(b->rule, now, result);
		break;
	case SQ_RULE_CLAIM:
		b->claimed = result == SQ_SHARED_DONE;
		sq_rule_claimed(b->rule, sent, now, result, p != NULL ? &p->head : NULL);
		break;
	case SQ_RULE_APPEND:
		if (result == SQ_SHARED_DONE) {
			applies(s, b->step.lsn, b->value, b->chain);
			b->value = 0;
			told(s);
		}
		sq_rule_appended(b->rule, sent, now, result);
		break;
	case SQ_RULE_BEAT:
		sq_rule_beaten(b->rule, sent, now, result);
		break;
	default:
		abort();
	}
	is = sq_rule_state(b->rule);
	s->figures->owners += was != SQ_RULE_OWNS && is == SQ_RULE_OWNS;
	if (is == SQ_RULE_LOST)
		violated(s, "broker %u: %s", b->no, sq_rule_why(b->rule));
	if (was != SQ_RULE_DIVERGED && is == SQ_RULE_DIVERGED)
		diverges(s, b);
}

/* A record of one value. */
static void
seals(struct broker *b)
{
	static const unsigned char room[SQ_SHARED_HEADER];
	struct sq_buf record = {0};

	sq_buf_append(&record, room, sizeof room);
	sq_buf_append(&record, &b->value, sizeof b->value);
	b->chain = sq_shared_record_seal(
	    &record, sq_rule_chain(b->rule), b->step.lsn, 1, 1700000000);
	memcpy(b->data, sq_buf_data(&record), DATA);
	sq_buf_fini(&record);
	sq_rule_sealed(b->rule, b->chain);
}

static void
dials(struct sim *s, struct broker *b)
{
	bool left = s->left != NULL && chance(s, 500000);
	bool good = (left || s->down == 0) && !(b->cut > 0 && chance(s, 900000));

	b->connection++;
	b->generation = left ? s->left_generation : s->generation;
	b->claimed = false;
	sq_rule_dialled(b->rule, clock_of(s, b, s->now), good);
}

static void
acts(struct sim *s, struct broker *b)
{
	if (b->value == 0)
		b->value = ++s->values;
	b->wish.append = true;
	b->wish.roll = chance(s, 2000);
	b->wish.yield |= !is_calm(s) && sq_rule_state(b->rule) == SQ_RULE_OWNS && chance(s, 4000);
	if (b->wish.yield && !sq_rule_in_flight(b->rule))
		b->wish.append = false;
	sq_rule_next(b->rule, clock_of(s, b, s->now), &b->wish, &b->step);
	switch (b->step.what) {
	case SQ_RULE_REST:
		return;
	case SQ_RULE_STOP:
		s->figures->fenced += sq_rule_state(b->rule) == SQ_RULE_FENCED;
		s->figures->yields += sq_rule_state(b->rule) == SQ_RULE_YIELDED;
		stops(s, b);
		return;
	case SQ_RULE_DIAL:
		dials(s, b);
		return;
	case SQ_RULE_APPEND:
		if (!b->step.again)
			seals(b);
		break;
	default:
		break;
	}
	b->call = ++s->calls;
	b->sent = s->now;
	send(s, b);
}

/* What befalls a broker; false: it does nothing in this step. */
static bool
befalls(struct sim *s, struct broker *b)
{
	if (b->rule == NULL) {
		if (chance(s, 30000))
			starts(s, b);
		return false;
	}
	if (!is_calm(s)) {
		uint64_t x = (roll(s) >> 20) % 1000000;

		if (x < 2600) {
			s->figures->crashes++;
			stops(s, b);
			if (x < 500) {
				s->figures->disks++;
				b->disk = 0;
			}
			return false;
		}
		if (x > 995500)
			b->paused = between(s, 5, 160);
		else if (x > 990500)
			b->cut = between(s, 5, 80);
		else if (x > 890500)
			b->disk = sq_rule_applied_lsn(b->rule);
	}
	b->cut -= b->cut > 0;
	if (b->paused > 0)
		return --b->paused == 0 && chance(s, 500000); /* the answer first, or the clock */
	return true;
}

static void
steps_broker(struct sim *s, struct broker *b)
{
	if (!befalls(s, b))
		return;
	if (b->call != 0 && b->step.what != SQ_RULE_DIAL) {
		bool lost = server_of(s, b->generation) == NULL && chance(s, 300000);

		if (lost || s->now - b->sent > DEADLINE)
			ends(s, b, SQ_SHARED_UNKNOWN, NULL);
	}
	if (b->rule != NULL && b->call == 0)
		acts(s, b);
}

/* --- the log --- */

static void
lose_connections(struct sim *s, unsigned generation)
{
	for (unsigned i = s->n_wires; i-- > 0;) {
		if (s->wires[i].generation != generation)
			continue;
		if (s->wires[i].answer ? s->wires[i].due == UINT64_MAX : chance(s, 500000))
			unwire(s, i);
	}
}

static void
leaves(struct sim *s)
{
	if (s->left == NULL)
		return;
	lose_connections(s, s->left_generation);
	fake_log_free(&s->left);
}

/* The second copy takes over.  Mostly the first one is dead; else its connections are what they were. */
static void
fails_over(struct sim *s)
{
	leaves(s);
	if (chance(s, 300000)) {
		s->figures->splits++;
		s->left = fake_log_fork(s->log);
		s->left_generation = s->generation;
		for (unsigned i = 0; i < s->n_wires; i++) {
			if (s->wires[i].generation == s->generation)
				s->wires[i].log = s->left;
		}
	} else {
		lose_connections(s, s->generation);
	}
	fake_log_fail_over(s->log);
	s->generation = ++s->generations;
	s->down = between(s, 2, 15);
	s->figures->failovers++;
	if (fake_log_durable(s->log)->last < s->applied)
		violated(s, "records up to %" PRIu64 " were applied, and the log ends at %" PRIu64,
		    s->applied, fake_log_durable(s->log)->last);
}

static void
restarts(struct sim *s)
{
	fake_log_restart(s->log);
	s->figures->restarts++;
	lose_connections(s, s->generation);
	s->generation = ++s->generations;
	s->down = between(s, 1, 6);
}

/* The server that was left restarts, or ends. */
static void
steps_left(struct sim *s)
{
	if (s->left == NULL)
		return;
	if (is_calm(s) || chance(s, 8000)) {
		leaves(s);
	} else if (chance(s, 40000)) {
		fake_log_restart(s->left);
		lose_connections(s, s->left_generation);
		s->left_generation = ++s->generations;
	}
}

static void
steps_log(struct sim *s)
{
	uint64_t x = is_calm(s) ? 1000000 : (roll(s) >> 20) % 1000000;

	if (s->stall > 0)
		s->stall--;
	else if (!is_calm(s) && chance(s, 4000))
		s->stall = between(s, 5, 60);
	if (s->down > 0) {
		s->down--;
	} else if (x < (s->stall > 0 ? 30000 : 4000)) {
		fails_over(s);
	} else if (x < (s->stall > 0 ? 60000 : 10000)) {
		restarts(s);
	}
	steps_left(s);
	if (s->down == 0 && s->stall == 0 && fake_log_uncopied(s->log) > 0 &&
	    chance(s, s->now / 400 % 4 != 0 ? 700000 : 250000))
		fake_log_copy(s->log, (unsigned)between(s, 1, fake_log_uncopied(s->log)));
}

/* An answer that waits for its copy leaves; or a doubtful one does, before. */
static void
releases(struct sim *s, unsigned i)
{
	struct wire *w = &s->wires[i];

	if (fake_log_has(w->log, w->at)) {
		answer(s, w, w->result, false);
		if (!is_calm(s) && chance(s, 70000))
			unwire(s, i);
	} else if (!is_calm(s) && chance(s, 20000)) {
		answer(s, w, s->broken->tell_early ? w->result : SQ_SHARED_UNKNOWN, false);
	}
}

static void
arrives(struct sim *s, unsigned i)
{
	struct wire w = s->wires[i];
	struct broker *b = &s->brokers[w.broker];
	struct fake_log *log = server_of(s, w.generation);

	if (!w.answer) {
		if ((log != s->left && s->down > 0) || (log == NULL && chance(s, 900000)))
			unwire(s, i);
		else
			execute(s, log != NULL ? log : s->log, &s->wires[i]);
		return;
	}
	if (b->rule != NULL && b->paused > 0) { /* it lies there until the broker goes on */
		s->wires[i].due = s->now + 1;
		return;
	}
	s->wires[i].page = NULL;
	unwire(s, i);
	if (b->rule != NULL && b->incarnation == w.incarnation && b->call == w.call &&
	    b->connection == w.connection && log != NULL)
		ends(s, b, w.result, w.page);
	free(w.page);
}

static void
steps_net(struct sim *s)
{
	for (unsigned i = s->n_wires; i-- > 0;) {
		if (i >= s->n_wires)
			continue;
		if (s->wires[i].due == UINT64_MAX)
			releases(s, i);
		else if (s->wires[i].due <= s->now)
			arrives(s, i);
	}
}

/* --- a run --- */

static void
check_log(struct sim *s)
{
	const struct sq_shared_head *h = fake_log_durable(s->log);
	unsigned char *seen = sq_xcalloc(s->values + 1, 1);

	for (uint64_t lsn = 1; lsn <= h->last; lsn++) {
		const struct fake_record *r = fake_log_record(s->log, lsn);
		uint64_t value = value_of(r->data);

		if (r->lsn != lsn)
			violated(s, "record %" PRIu64 " is at place %" PRIu64, r->lsn, lsn);
		if (lsn <= s->applied && value != s->value[lsn])
			violated(s, "record %" PRIu64 " of the log has other bytes", lsn);
		if (seen[value]++ > 0)
			violated(s, "the entries of record %" PRIu64 " are there twice", lsn);
	}
	free(seen);
	if (h->last < s->applied)
		violated(s, "the log has lost record %" PRIu64, h->last + 1);
}

static void
check_life(struct sim *s)
{
	uint64_t again = s->first_calm - (STEPS - CALM);

	for (unsigned i = 0; i < BROKERS; i++) {
		if (s->brokers[i].rule != NULL &&
		    sq_rule_state(s->brokers[i].rule) == SQ_RULE_DIVERGED)
			violated(s, "broker %u is left diverged", i);
	}
	if (s->first_calm == 0 || again > AGAIN)
		violated(s, "no acknowledgement within %u steps of the last fault", AGAIN);
	else if (s->now - s->told_at > AGAIN)
		violated(
		    s, "no acknowledgement in the last %" PRIu64 " steps", s->now - s->told_at);
	else if (again > s->figures->again)
		s->figures->again = again;
}

/* Whether the run of that seed violates something; tells it, too. */
static bool
run(uint64_t seed, const struct switches *broken, struct figures *figures)
{
	struct sim *s = sq_xcalloc(1, sizeof *s);
	bool bad;

	s->figures = figures;
	s->broken = broken;
	s->random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	s->log = fake_log_new(STORE);
	fake_log_break(s->log, broken->log);
	for (unsigned i = 0; i < BROKERS; i++) {
		s->brokers[i].no = i;
		starts(s, &s->brokers[i]);
	}
	for (s->now = 1; s->now <= STEPS && s->violation[0] == '\0'; s->now++) {
		steps_log(s);
		steps_net(s);
		for (unsigned i = 0; i < BROKERS; i++)
			steps_broker(s, &s->brokers[(i + s->now) % BROKERS]);
	}
	check_log(s);
	check_life(s);
	figures->steps += s->now - 1;
	figures->runs++;
	bad = s->violation[0] != '\0';
	if (bad)
		printf("seed %" PRIu64 ", step %" PRIu64 ": %s\n", seed, s->now, s->violation);
	while (s->n_wires > 0)
		unwire(s, 0);
	for (unsigned i = 0; i < BROKERS; i++)
		sq_rule_free(&s->brokers[i].rule);
	fake_log_free(&s->left);
	fake_log_free(&s->log);
	free(s);
	return bad;
}

static void
print(const struct figures *f)
{
	printf("%u runs, %" PRIu64 " steps, %" PRIu64 " acknowledged, %" PRIu64
	       " times owner; %" PRIu64 " fail-overs, %" PRIu64 " of them splits, %" PRIu64
	       " restarts, %" PRIu64 " crashes, %" PRIu64 " disks; %" PRIu64 " fenced, %" PRIu64
	       " yields, %" PRIu64 " diverged for a time, %" PRIu64 " unknown, %" PRIu64
	       " of them there; %" PRIu64 " steps at most after the last fault\n",
	    f->runs, f->steps, f->acknowledged, f->owners, f->failovers, f->splits, f->restarts,
	    f->crashes, f->disks, f->fenced, f->yields, f->diverged, f->unknown, f->found,
	    f->again);
}

/* A part of ten million steps; the parts run side by side. */
static void
keeps(uint64_t part)
{
	static const struct switches none;
	struct figures f = {.runs = 0};
	unsigned bad = 0;

	for (uint64_t seed = part * 1000; seed < part * 1000 + 125; seed++)
		bad += run(seed, &none, &f);
	print(&f);
	cr_assert_eq(bad, 0, "%u runs violate something; their seeds are above", bad);
	cr_assert_geq(f.steps, 1250000);
	cr_assert_gt(f.acknowledged, f.runs * 100);
	cr_assert(f.failovers > f.runs && f.restarts > f.runs && f.found > f.runs &&
	    f.fenced > f.runs && f.yields > 0 && f.unknown > f.found);
}

/* The switch is noticed. */
static void
fails(struct switches broken)
{
	struct figures f = {.runs = 0};

	for (uint64_t seed = 0; seed < 400; seed++) {
		if (run(seed, &broken, &f)) {
			print(&f);
			return;
		}
	}
	cr_assert_fail("no violation in %u runs", f.runs);
}

#define KEEPS(part) \
	Test(rule_sim, the_rule_keeps_##part, .timeout = 300) \
	{ \
		keeps(part); \
	}
KEEPS(0)
KEEPS(1)
KEEPS(2)
KEEPS(3)
KEEPS(4)
KEEPS(5)
KEEPS(6)
KEEPS(7)

Test(rule_sim, no_nonce)
{
	fails((struct switches){.log.no_nonce = true});
}

Test(rule_sim, no_last)
{
	fails((struct switches){.log.no_last = true});
}

Test(rule_sim, no_barrier)
{
	fails((struct switches){.rule.no_barrier = true});
}

Test(rule_sim, no_sure)
{
	fails((struct switches){.rule.no_sure = true});
}

Test(rule_sim, no_expect)
{
	fails((struct switches){.rule.no_expect = true});
}

Test(rule_sim, tell_early)
{
	fails((struct switches){.tell_early = true});
}
