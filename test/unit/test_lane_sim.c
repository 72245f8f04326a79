/* Both ends of a lane against each other, through a network that loses, delays
 * and reorders, and a store whose commits fail.  Seeded: a failure names its
 * seed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "proto/link/lane_in.h"
#include "proto/link/lane_out.h"

enum { MESSAGES = 400, REQUESTS = 16, PARKED = 3, OUTCOMES_KEPT = 4096 };
enum answer { A_NONE, A_OUTCOMES, A_FAILED, A_GAP, A_RUN };

/* A request from when it leaves until its answer is told or lost. */
struct request {
	bool used, arrived, parked, waits; /* waits: for the commit */
	enum answer answer;
	uint64_t epoch, last, upto_number;
	struct sq_lane_flight flight;
	struct sq_buf body;
	struct sq_batch batch;
};

struct world {
	unsigned seed;
	uint64_t random;
	struct sq_lane_out *out;
	struct sq_lane_in in;
	uint64_t epoch, runs;
	struct request requests[REQUESTS];
	uint32_t stored[4 * MESSAGES]; /* messages in the order of their commit */
	size_t n_stored, n_committed;
	uint64_t number[4 * MESSAGES]; /* of each stored message */
	uint32_t published, told;      /* next to publish; next outcome expected */
	bool attached;
};

static unsigned
pick(struct world *w, unsigned n)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % n;
}

static void
publish(struct world *w)
{
	unsigned char payload[64] = {0};
	struct sq_lane_publish m = {.qos = 1,
	    .packet_id = (uint16_t)(w->published + 1),
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = {(const unsigned char *)"t", 1},
	    .payload = {payload, 4 + pick(w, 60)}};

	if (w->published == MESSAGES)
		return;
	sq_put32(payload, w->published);
	if (sq_lane_out_message(w->out, &m) == 0)
		w->published++;
}

static void
send_batch(struct world *w)
{
	for (int i = 0; i < REQUESTS && w->attached; i++) {
		struct request *r = &w->requests[i];

		if (r->used)
			continue;
		if (!sq_lane_out_take(w->out, 0, &r->flight))
			return;
		r->used = true;
		r->epoch = w->epoch;
		sq_buf_append(&r->body, r->flight.header, SQ_BATCH_HEADER);
		sq_buf_append(&r->body, r->flight.entries.p, r->flight.entries.len);
		cr_assert_eq(sq_batch_decode(sq_buf_data(&r->body), sq_buf_len(&r->body),
				 SQ_LINK_VERSION, &r->batch),
		    0, "seed %u", w->seed);
		return;
	}
}

/* --- the broker --- */

static void
store(struct world *w, const struct request *r, uint16_t skip)
{
	struct sq_bytes rest = r->batch.entries;

	for (uint16_t i = 0; i < r->batch.n; i++) {
		struct sq_entry e = sq_batch_next(&rest);

		if (i < skip)
			continue;
		cr_assert_lt(w->n_stored, sizeof w->stored / sizeof *w->stored);
		w->number[w->n_stored] = r->batch.first + i;
		w->stored[w->n_stored++] = sq_get32(sq_image_payload(e.image).p);
		sq_lane_in_set(&w->in, r->batch.first + i,
		    sq_get32(sq_image_payload(e.image).p) % 3 == 0 ? 0x10 : 0);
	}
}

static unsigned
parked(const struct world *w)
{
	unsigned n = 0;

	for (int i = 0; i < REQUESTS; i++)
		n += w->requests[i].parked;
	return n;
}

static void
offer(struct world *w, struct request *r)
{
	uint16_t skip;

	r->parked = false;
	switch (sq_lane_in_offer(&w->in, &r->batch, &skip)) {
	case SQ_LANE_ADMIT:
		sq_lane_in_admit(&w->in, &r->batch);
		store(w, r, skip);
		r->waits = true;
		break;
	case SQ_LANE_KNOWN:
		r->waits = true;
		break;
	case SQ_LANE_EARLY:
		if (parked(w) < PARKED) {
			r->parked = true;
		} else {
			r->answer = A_GAP;
			r->last = w->in.last;
		}
		break;
	case SQ_LANE_RUN:
		r->answer = A_RUN;
		break;
	}
	r->upto_number = r->batch.first + r->batch.n - 1;
}

static void
unpark(struct world *w)
{
	for (int i = 0; i < REQUESTS; i++) {
		struct request *r = &w->requests[i];

		if (r->parked && r->batch.first <= w->in.last + 1) {
			offer(w, r);
			i = -1;
		}
	}
}

static void
arrive(struct world *w, struct request *r)
{
	if (!r->used || r->arrived)
		return;
	r->arrived = true;
	if (r->epoch != w->epoch) {
		r->answer = A_FAILED; /* 409 epoch */
		return;
	}
	offer(w, r);
	unpark(w);
}

static void
commit(struct world *w, bool ok)
{
	if (ok) {
		sq_lane_in_done(&w->in, w->in.last);
		w->n_committed = w->n_stored;
	} else {
		sq_lane_in_failed(&w->in);
		w->n_stored = w->n_committed;
	}
	for (int i = 0; i < REQUESTS; i++) {
		struct request *r = &w->requests[i];

		if (!r->waits)
			continue;
		r->waits = false;
		r->answer = r->upto_number <= w->in.done ? A_OUTCOMES : A_FAILED;
	}
}

/* --- back at the sidecar --- */

static void
end(struct request *r)
{
	sq_buf_fini(&r->body);
	*r = (struct request){0};
}

/* False: the sidecar must attach. */
static bool
tell(struct world *w, struct request *r)
{
	unsigned char codes[OUTCOMES_KEPT];
	struct sq_outcomes o = {.first = r->batch.first, .n = r->batch.n, .codes = codes};
	bool good = true;

	if (!r->used || r->answer == A_NONE)
		return true;
	switch (r->answer) {
	case A_NONE:
		break;
	case A_OUTCOMES:
		if (sq_lane_in_outcomes(&w->in, o.first, o.n, codes)) {
			cr_assert_eq(sq_lane_out_answered(w->out, &r->flight, &o), 0);
		} else { /* it was answered before, the lane has moved on */
			sq_lane_out_failed(w->out, &r->flight);
		}
		break;
	case A_FAILED:
		good = r->epoch != w->epoch;
		sq_lane_out_failed(w->out, &r->flight);
		break;
	case A_GAP:
		good = sq_lane_out_gap(w->out, &r->flight, r->last) == 0;
		break;
	case A_RUN:
		good = sq_lane_out_run_lost(w->out, &r->flight) == 0 || r->epoch != w->epoch;
		break;
	}
	end(r);
	return good;
}

static void
outcomes(struct world *w)
{
	struct sq_lane_outcome o;

	while (sq_lane_out_outcome(w->out, &o)) {
		cr_assert_eq(o.packet_id, w->told + 1, "seed %u: outcome of %u, not of %u", w->seed,
		    o.packet_id, w->told + 1);
		cr_assert_eq(o.reason, w->told % 3 == 0 ? 0x10 : 0, "seed %u", w->seed);
		w->told++;
	}
}

/* The link is lost: what was on its way may have arrived or not. */
static void
cut(struct world *w)
{
	for (int i = 0; i < REQUESTS; i++) {
		struct request *r = &w->requests[i];

		if (!r->used)
			continue;
		if (pick(w, 2) == 0)
			arrive(w, r);
	}
	for (int i = 0; i < REQUESTS; i++) {
		if (w->requests[i].used) {
			sq_lane_out_failed(w->out, &w->requests[i].flight);
			w->requests[i].waits = w->requests[i].parked = false;
			end(&w->requests[i]);
		}
	}
	w->attached = false;
}

/* Fences, then answers: what was admitted has committed or failed by then. */
static void
attach(struct world *w)
{
	struct sq_lane_attach a = {.same = true, .run = 1000 + ++w->runs};

	for (int i = 0; i < REQUESTS; i++) {
		if (w->requests[i].parked) {
			w->requests[i].parked = false;
			w->requests[i].answer = A_FAILED;
		}
	}
	commit(w, pick(w, 4) != 0);
	w->epoch++;
	a.last = w->in.last;
	sq_lane_out_attached(w->out, &a);
	w->attached = true;
}

static void
step(struct world *w, bool faults)
{
	struct request *r = &w->requests[pick(w, REQUESTS)];
	unsigned dice = pick(w, 100);

	if (!w->attached)
		attach(w);
	if (dice < 30)
		publish(w);
	else if (dice < 50)
		send_batch(w);
	else if (dice < 70)
		arrive(w, r);
	else if (dice < 80)
		commit(w, true);
	else if (dice < 96)
		w->attached = tell(w, r) && w->attached;
	else if (faults && dice == 96)
		commit(w, false);
	else if (faults && dice == 97)
		cut(w);
	else if (faults && dice == 98)
		attach(w); /* a move: older requests are still open */
	outcomes(w);
}

static void
run(unsigned seed)
{
	struct world w = {.seed = seed, .random = seed * 2654435761u + 1};
	bool seen[MESSAGES] = {false};

	w.out = sq_lane_out_new(1, 1000, 4000);
	w.runs = 0;
	for (int i = 0; i < 20000; i++)
		step(&w, true);
	for (int i = 0; w.told < MESSAGES || !sq_lane_out_idle(w.out); i++) {
		cr_assert_lt(i, 200000, "seed %u: stuck at %u of %u", seed, w.told, MESSAGES);
		step(&w, false);
	}
	commit(&w, true);
	/* No loss, no duplicate, and in order: the run never changed. */
	cr_assert_eq(w.n_stored, MESSAGES, "seed %u: %zu stored", seed, w.n_stored);
	for (size_t i = 0; i < w.n_stored; i++) {
		cr_assert_eq(w.stored[i], i, "seed %u: place %zu has %u", seed, i, w.stored[i]);
		cr_assert_not(seen[w.stored[i]]);
		seen[w.stored[i]] = true;
	}
	cut(&w);
	sq_lane_out_free(&w.out);
	sq_lane_in_fini(&w.in);
}

Test(lane_sim, nothing_is_lost_doubled_or_reordered_whatever_fails)
{
	for (unsigned seed = 1; seed <= 200; seed++)
		run(seed);
}
