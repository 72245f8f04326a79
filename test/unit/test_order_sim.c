/* A connection's two lanes and its requests to subscribe against a broker that keeps to
 * docs/link.md, "Order of a connection", through a network that loses, delays and reorders:
 * what the client did is carried out in its order, and nothing stands still.  Seeded: a
 * failure names its seed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "proto/link/lane_in.h"
#include "proto/link/lane_mark.h"
#include "proto/link/order_out.h"

enum { OPS = 150, WIRES = 128, FLY = 2, BATCHES_PARKED = 4, SUBS_PARKED = 2, ENTRIES = 64 };
enum op { OP_QOS0, OP_QOS1, OP_RETAINED, OP_SUB }; /* retained: QoS 0, by lane 1 */
enum answer { A_NONE, A_DONE, A_FAILED, A_GAP, A_RUN };

/* What is asked for together. */
struct ask {
	struct sq_order_request order;
	unsigned ops[OPS], n;
	struct wire *wire; /* NULL: none is open */
};

/* A request from when it leaves until its answer is told or lost. */
struct wire {
	bool used, sub, arrived, parked, waits; /* waits: for the commit, or the frame */
	enum answer answer;
	uint64_t epoch, last;
	/* a batch */
	unsigned lane;
	struct sq_lane_flight flight;
	struct sq_buf body;
	struct sq_batch batch;
	/* a request to subscribe */
	struct ask *ask; /* NULL: it says nothing any more */
	struct sq_subs_head head;
	unsigned ops[OPS], n;
};

struct world {
	unsigned seed;
	uint64_t random, epoch, runs;
	bool attached;
	/* the sidecar */
	struct sq_order_out order;
	struct sq_lane_out *out[SQ_LANES];
	unsigned lane1_qos0;
	bool lane1_waits;
	enum op ops[OPS];
	unsigned n_ops;
	bool told[OPS];
	/* the broker */
	struct sq_lane_in in[SQ_LANES];
	uint32_t mark;                   /* admitted */
	uint32_t framed, read;           /* marks whose frame was written, was read */
	unsigned done[OPS * 20], n_done; /* what was carried out, in order */
	bool ever[OPS];                  /* of them, each once */
	bool taken[OPS];                 /* it was refused before */
	struct wire wires[WIRES];
};

static unsigned
pick(struct world *w, unsigned n)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % n;
}

/* --- the client --- */

static struct ask *
ask_of(struct sq_order_request *o)
{
	return SQ_CONTAINER_OF(o, struct ask, order);
}

static void
subscribe(struct world *w, unsigned op)
{
	struct sq_order_request *o = sq_order_out_growing(&w->order);
	struct ask *a;

	for (int i = 0; i < SQ_LANES && o != NULL; i++) {
		if (sq_lane_out_behind(w->out[i], o->mark))
			o = NULL;
	}
	if (o == NULL) {
		a = sq_xcalloc(1, sizeof *a);
		sq_list_init(&a->order.node);
		sq_order_out_add(&w->order, &a->order);
		for (int i = 0; i < SQ_LANES; i++)
			sq_lane_out_mark(w->out[i], a->order.mark);
		o = &a->order;
	}
	a = ask_of(o);
	a->ops[a->n++] = op;
}

static void
publish(struct world *w, unsigned op)
{
	unsigned char payload[4];
	struct sq_lane_publish m = {.qos = w->ops[op] == OP_QOS1,
	    .retain = w->ops[op] == OP_RETAINED,
	    .packet_id = w->ops[op] == OP_QOS1 ? (uint16_t)(op + 1) : 0,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = {(const unsigned char *)"t", 1},
	    .payload = {payload, sizeof payload}};
	unsigned lane = w->ops[op] != OP_QOS0 || w->lane1_qos0 > 0;

	if (lane == 1 && m.qos == 0 && w->lane1_qos0++ == 0 && !sq_lane_out_idle(w->out[0])) {
		sq_lane_out_wait(w->out[1]);
		w->lane1_waits = true;
	}
	sq_put32(payload, op);
	cr_assert_eq(sq_lane_out_message(w->out[lane], &m), 0);
}

static void
act(struct world *w)
{
	unsigned op = w->n_ops;

	if (op == OPS)
		return;
	w->ops[w->n_ops++] = (enum op)pick(w, 4);
	if (sq_lane_out_idle(w->out[1]))
		w->lane1_qos0 = 0;
	if (w->ops[op] == OP_SUB)
		subscribe(w, op);
	else
		publish(w, op);
}

/* --- the sidecar --- */

static struct wire *
wire_new(struct world *w)
{
	for (int i = 0; i < WIRES; i++) {
		if (!w->wires[i].used) {
			w->wires[i] = (struct wire){.used = true, .epoch = w->epoch};
			return &w->wires[i];
		}
	}
	cr_assert_fail("seed %u: no wire is free", w->seed);
	return NULL;
}

static void
post_batches(struct world *w)
{
	struct sq_lane_flight f;

	if (w->lane1_waits && sq_lane_out_idle(w->out[0])) {
		w->lane1_waits = false;
		sq_lane_out_go(w->out[1]);
	}
	for (unsigned lane = 0; lane < SQ_LANES; lane++) {
		while (sq_lane_out_take(w->out[lane], sq_order_out_top(&w->order), &f)) {
			struct wire *x = wire_new(w);

			x->lane = lane;
			x->flight = f;
			sq_buf_append(&x->body, f.header, SQ_BATCH_HEADER);
			sq_buf_append(&x->body, f.entries.p, f.entries.len);
			cr_assert_eq(sq_batch_decode(sq_buf_data(&x->body), sq_buf_len(&x->body),
					 SQ_LINK_VERSION, &x->batch),
			    0, "seed %u", w->seed);
		}
	}
}

static bool
post_ask(struct world *w)
{
	struct sq_order_request *o = sq_order_out_next(&w->order, FLY);
	struct wire *x;

	for (int i = 0; i < SQ_LANES && o != NULL; i++) {
		if (!sq_lane_out_sent(w->out[i], o->mark))
			o = NULL;
	}
	if (o == NULL)
		return false;
	sq_order_out_flies(&w->order, o);
	x = wire_new(w);
	x->sub = true;
	x->ask = ask_of(o);
	x->ask->wire = x;
	x->head.mark = o->mark;
	for (int i = 0; i < SQ_LANES; i++)
		x->head.after[i] = sq_lane_out_before(w->out[i], o->mark);
	x->n = x->ask->n;
	memcpy(x->ops, x->ask->ops, sizeof x->ops);
	return true;
}

static void
post(struct world *w)
{
	if (!w->attached)
		return;
	do
		post_batches(w);
	while (post_ask(w));
}

/* --- the broker --- */

/* Something is carried out for the first time: what came before it was, and what came after
 * it was not, where one of the two is a subscription. */
static void
carry_out(struct world *w, unsigned op)
{
	bool sub = w->ops[op] == OP_SUB;

	if (w->ever[op])
		return;
	w->ever[op] = true;
	for (unsigned i = 0; i < w->n_ops; i++) {
		if ((!sub && w->ops[i] != OP_SUB) || i == op)
			continue;
		if (i > op)
			cr_assert_not(w->ever[i], "seed %u: %u before %u", w->seed, i, op);
		else if (w->ops[i] == OP_SUB || w->ops[i] == OP_QOS1)
			cr_assert(w->ever[i], "seed %u: %u before %u", w->seed, op, i);
	}
}

static unsigned
parked(const struct world *w, bool sub, unsigned lane)
{
	unsigned n = 0;

	for (int i = 0; i < WIRES; i++)
		n += w->wires[i].parked && w->wires[i].sub == sub && w->wires[i].lane == lane;
	return n;
}

static void
park(struct world *w, struct wire *x)
{
	if (parked(w, x->sub, x->lane) < (x->sub ? SUBS_PARKED : BATCHES_PARKED)) {
		x->parked = true;
		return;
	}
	x->answer = A_GAP;
	x->last = w->in[x->lane].last;
}

static void
offer_sub(struct world *w, struct wire *x)
{
	if (x->head.mark > w->mark) {
		if (x->head.mark != w->mark + 1 || x->head.after[0] > w->in[0].last ||
		    x->head.after[1] > w->in[1].last) {
			park(w, x);
			return;
		}
		w->mark = x->head.mark;
		for (unsigned i = 0; i < x->n; i++)
			carry_out(w, x->ops[i]);
	}
	x->waits = true; /* for the frame */
}

static uint8_t
outcome(struct world *w, unsigned op)
{
	if (w->ops[op] != OP_QOS1 || op % 7 != 3 || w->taken[op])
		return 0;
	w->taken[op] = pick(w, 3) == 0;
	return 0x97;
}

static void
admit(struct world *w, struct wire *x, uint16_t skip)
{
	struct sq_bytes rest = x->batch.entries;

	sq_lane_in_admit(&w->in[x->lane], &x->batch);
	for (uint16_t i = 0; i < x->batch.n; i++) {
		struct sq_entry e = sq_batch_next(&rest);
		unsigned op = sq_get32(sq_image_payload(e.image).p);

		if (i < skip)
			continue;
		carry_out(w, op);
		sq_lane_in_set(&w->in[x->lane], x->batch.first + i, outcome(w, op));
	}
}

static void
offer_batch(struct world *w, struct wire *x)
{
	uint16_t skip;

	switch (sq_lane_in_offer(&w->in[x->lane], &x->batch, &skip)) {
	case SQ_LANE_ADMIT:
		if (x->batch.mark > w->mark) {
			park(w, x);
			return;
		}
		admit(w, x, skip);
		x->waits = true;
		break;
	case SQ_LANE_KNOWN:
		x->waits = true;
		break;
	case SQ_LANE_EARLY:
		park(w, x);
		break;
	case SQ_LANE_RUN:
		x->answer = A_RUN;
		break;
	}
}

static void
offer(struct world *w, struct wire *x)
{
	x->parked = false;
	if (x->sub)
		offer_sub(w, x);
	else
		offer_batch(w, x);
}

static void
arrive(struct world *w, struct wire *x)
{
	bool again = true;

	if (!x->used || x->arrived)
		return;
	x->arrived = true;
	if (x->epoch != w->epoch) {
		x->answer = A_FAILED; /* 409 epoch */
		return;
	}
	offer(w, x);
	while (again) { /* what is parked may follow */
		again = false;
		for (int i = 0; i < WIRES; i++) {
			if (w->wires[i].parked) {
				offer(w, &w->wires[i]);
				again = again || !w->wires[i].parked;
			}
		}
	}
}

/* Commits, and writes the frames of what was carried out. */
static void
commit(struct world *w)
{
	for (int i = 0; i < SQ_LANES; i++)
		sq_lane_in_done(&w->in[i], w->in[i].last);
	w->framed = w->mark;
	for (int i = 0; i < WIRES; i++) {
		struct wire *x = &w->wires[i];

		if (x->waits)
			x->answer = A_DONE;
		x->waits = false;
	}
}

/* --- back at the sidecar --- */

static void
wire_end(struct wire *x)
{
	if (x->ask != NULL)
		x->ask->wire = NULL;
	sq_buf_fini(&x->body);
	*x = (struct wire){0};
}

/* One frame is read. */
static void
read_frame(struct world *w)
{
	struct sq_order_request *o;
	struct ask *a;

	if (!w->attached || w->read == w->framed)
		return;
	o = sq_order_out_find(&w->order, ++w->read);
	cr_assert(o, "seed %u: mark %u", w->seed, w->read);
	a = ask_of(o);
	for (unsigned i = 0; i < a->n; i++) {
		cr_assert_not(w->told[a->ops[i]]);
		w->told[a->ops[i]] = true;
	}
	if (a->wire != NULL)
		a->wire->ask = NULL;
	sq_order_out_end(&w->order, o);
	free(a);
}

static void
tell_sub(struct world *w, struct wire *x)
{
	if (x->ask != NULL && x->answer == A_DONE)
		sq_order_out_written(&w->order, &x->ask->order);
	else if (x->ask != NULL)
		sq_order_out_failed(&w->order, &x->ask->order, x->answer == A_GAP);
}

/* False: the sidecar must attach. */
static bool
tell_batch(struct world *w, struct wire *x)
{
	struct sq_lane_out *l = w->out[x->lane];
	unsigned char codes[OPS];
	struct sq_outcomes o = {.first = x->batch.first, .n = x->batch.n, .codes = codes};

	switch (x->answer) {
	case A_DONE:
		if (sq_lane_in_outcomes(&w->in[x->lane], o.first, o.n, codes))
			cr_assert_eq(sq_lane_out_answered(l, &x->flight, &o), 0);
		else /* it was answered before, the lane has moved on */
			sq_lane_out_failed(l, &x->flight);
		return true;
	case A_GAP:
		return sq_lane_out_gap(l, &x->flight, x->last) == 0;
	case A_RUN:
		return sq_lane_out_run_lost(l, &x->flight) == 0 || x->epoch != w->epoch;
	default:
		sq_lane_out_failed(l, &x->flight);
		return true;
	}
}

static void
tell(struct world *w, struct wire *x, bool lost)
{
	if (!x->used || (x->answer == A_NONE && !lost))
		return;
	if (lost) {
		x->parked = x->waits = false;
		x->answer = A_FAILED;
	}
	if (x->sub)
		tell_sub(w, x);
	else if (!tell_batch(w, x))
		w->attached = false;
	wire_end(x);
}

static void
outcomes(struct world *w)
{
	struct sq_lane_outcome o;

	for (unsigned lane = 0; lane < SQ_LANES; lane++) {
		while (sq_lane_out_outcome(w->out[lane], &o)) {
			if (lane == 1 && o.image_qos == 0 && w->lane1_qos0 > 0)
				w->lane1_qos0--;
			if (o.reason >= 0x80) { /* MQTT 3.1.1 */
				sq_lane_out_hold(w->out[lane]);
				break;
			}
			if (o.packet_id != 0)
				w->told[o.packet_id - 1] = true;
		}
	}
}

static void
attach(struct world *w)
{
	for (int i = 0; i < WIRES; i++) {
		struct wire *x = &w->wires[i];

		if (x->parked || x->waits) { /* a fence */
			x->answer = A_FAILED;
			x->parked = x->waits = false;
		}
		if (x->ask != NULL)
			x->ask->wire = NULL;
		x->ask = NULL;
	}
	commit(w);
	w->epoch++;
	w->mark = w->framed = w->read = 0;
	for (int i = 0; i < SQ_LANES; i++) {
		struct sq_order_out_rank rank = sq_order_out_rank_begin(&w->order);
		struct sq_lane_attach a = {
		    .last = w->in[i].last, .same = true, .run = 1000 + ++w->runs};

		sq_lane_out_remark(w->out[i], sq_order_out_rank, &rank);
		sq_lane_out_attached(w->out[i], &a);
	}
	sq_order_out_attached(&w->order);
	w->attached = true;
}

/* The link is lost: what was on its way may have arrived or not. */
static void
cut(struct world *w)
{
	for (int i = 0; i < WIRES; i++) {
		if (pick(w, 2) == 0)
			arrive(w, &w->wires[i]);
	}
	for (int i = 0; i < WIRES; i++)
		tell(w, &w->wires[i], true);
	w->attached = false;
}

/* One that is used, if any is. */
static struct wire *
some_wire(struct world *w)
{
	unsigned at = pick(w, WIRES);

	for (unsigned i = 0; i < WIRES && !w->wires[at].used; i++)
		at = (at + 1) % WIRES;
	return &w->wires[at];
}

static void
step(struct world *w, bool faults)
{
	struct wire *x = some_wire(w);
	unsigned dice = pick(w, 1000);

	if (!w->attached)
		attach(w);
	if (dice < 200)
		act(w);
	else if (dice < 300)
		post(w);
	else if (dice < 650)
		arrive(w, x);
	else if (dice < 720)
		commit(w);
	else if (dice < 900)
		tell(w, x, false);
	else if (dice < 960)
		read_frame(w);
	else if (dice < 980)
		sq_lane_out_retry(w->out[1]);
	else if (faults && dice < 988)
		tell(w, x, true); /* its stream is lost, or it is 503 */
	else if (faults && dice < 992)
		cut(w);
	else if (faults && dice < 996)
		attach(w); /* a move: older requests are still open */
	outcomes(w);
}

static bool
finished(const struct world *w)
{
	return w->n_ops == OPS && sq_order_out_idle(&w->order) && sq_lane_out_idle(w->out[0]) &&
	    sq_lane_out_idle(w->out[1]);
}

static void
run(unsigned seed)
{
	struct world *w = sq_xcalloc(1, sizeof *w);

	w->seed = seed;
	w->random = seed * 2654435761u + 1;
	sq_order_out_init(&w->order);
	for (unsigned i = 0; i < SQ_LANES; i++)
		w->out[i] = sq_lane_out_new(i, 1000, 1 << 20);
	for (int i = 0; i < 4000; i++)
		step(w, true);
	for (int i = 0; !finished(w); i++) {
		cr_assert_lt(i, 200000, "seed %u: it stands still", seed);
		step(w, false);
	}
	for (unsigned i = 0; i < OPS; i++)
		cr_assert(w->told[i] || w->ops[i] == OP_QOS0 || w->ops[i] == OP_RETAINED,
		    "seed %u: %u has no answer", seed, i);
	cut(w);
	for (unsigned i = 0; i < SQ_LANES; i++) {
		sq_lane_out_free(&w->out[i]);
		sq_lane_in_fini(&w->in[i]);
	}
	free(w);
}

Test(order_sim, a_connection_keeps_its_order_whatever_fails_and_nothing_stands_still)
{
	for (unsigned seed = 1; seed <= 300; seed++)
		run(seed);
}
