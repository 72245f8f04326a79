/* The sender of a disk outbox against the broker's end of its lane: kills of the sidecar and of the
 * broker, lost links, refusals for a while, and answers in any order.  Each message is taken
 * exactly once, or at least once where a broker has lost its sessions, and nothing stands still.
 * Seeded: a failure names its seed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "proto/link/lane_in.h"
#include "proto/mqtt/reason.h"
#include "sidecar/outbox/send.h"

enum {
	MESSAGES = 60,
	AHEAD = 9,         /* entries that the sender has at a time */
	STATES = 64,       /* written and not synced */
	TXNS = 64,         /* admitted and not committed */
	WINDOW = 5,        /* numbers without a state, in every other seed */
	STEPS = 1500,      /* with faults */
	REST_STEPS = 5000, /* without, in which all has to be taken */
	SEEDS = 1500,
};

struct state {
	struct sq_buf bytes;
	uint64_t first_number, done_bytes;
	bool gates;
};

/* A batch on its way: to the broker, there, or its answer on the way back. */
struct wire {
	struct sq_outbox_batch *batch; /* NULL: unused */
	enum { W_SENT, W_THERE, W_ANSWERED } at;
	enum { A_OUTCOMES, A_RUN, A_EPOCH } answer;
	bool admitted; /* its commit is awaited */
	uint64_t epoch;
	uint8_t codes[1024];
};

struct txn {
	uint64_t last;
	struct sq_buf lane;
	unsigned taken[MESSAGES], n_taken;
};

/* What a broker has: in memory, or on its disk. */
struct kept {
	struct sq_buf lane;
	unsigned taken[MESSAGES + 1];
};

struct world {
	unsigned seed;
	uint64_t random, now_ms;
	/* the sidecar */
	struct sq_outbox_send send;
	struct state synced, states[STATES];
	unsigned n_states;
	uint64_t next_seq, bytes;
	bool asked, attached, faults; /* asked: the answer to an attach is on its way */
	uint64_t asked_last;          /* what it says */
	struct wire wires[SQ_BATCH_FLYING_MAX];
	/* the broker */
	uint64_t epoch;
	struct sq_lane_in lane;
	unsigned taken[MESSAGES + 1];
	struct txn txns[TXNS];
	unsigned n_txns;
	struct kept disk;
	uint64_t incarnation;
	bool loses;         /* its sessions, now and then */
	bool full, forgets; /* forgets: outcomes, when it is killed; then it refuses nothing */
};

static unsigned
draw(struct world *w, unsigned n)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % n;
}

/* --- the sidecar's store --- */

static void
on_refused(
    void *owner, const char *client_id, uint8_t reason, const struct sq_note *note, bool for_good)
{
	(void)owner;
	(void)client_id;
	(void)reason;
	(void)note;
	cr_assert_not(for_good);
}

static void
state_write(struct world *w, bool gates)
{
	struct sq_outbox_held held = {0};
	struct sq_outbox_state s = {.next_seq = w->next_seq, .tail_bytes = w->bytes};
	struct state *at = &w->states[w->n_states++];

	cr_assert_leq(w->n_states, (unsigned)STATES);
	cr_assert(sq_outbox_send_whole(&w->send), "seed %u", w->seed);
	sq_outbox_held_init(&held);
	sq_outbox_send_state(&w->send, &s);
	*at = (struct state){
	    .first_number = s.first_number, .done_bytes = s.done_bytes, .gates = gates};
	sq_outbox_state_put(&s, &held, &at->bytes);
	sq_outbox_skips_fini(&s.skips);
	sq_outbox_held_fini(&held);
}

/* Behind each call of the sender. */
static void
settle(struct world *w)
{
	(void)sq_outbox_send_finish(&w->send);
	if (sq_outbox_send_settle(&w->send))
		state_write(w, true);
}

/* The first state that was written is on the disk. */
static void
state_sync(struct world *w, bool lives)
{
	struct state s = w->states[0];

	sq_buf_fini(&w->synced.bytes);
	w->synced = s;
	memmove(w->states, w->states + 1, --w->n_states * sizeof s);
	if (lives)
		sq_outbox_send_written(&w->send, s.first_number, s.done_bytes, s.gates);
}

static unsigned
n_ahead(struct world *w)
{
	unsigned n = 0;

	SQ_LIST_FOR_EACH(e, &w->send.ahead, struct sq_outbox_entry, journal.node)
		n++;
	return n;
}

static struct sq_outbox_entry *
entry(uint64_t seq)
{
	unsigned char payload[4];
	struct sq_lane_publish m = {.qos = 1,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = {(const unsigned char *)"t", 1},
	    .payload = {payload, sizeof payload}};
	size_t size = sq_outbox_entry_message_size("app", &m);

	sq_put32(payload, (uint32_t)seq);
	return sq_outbox_entry_message("app", &m, seq, (seq - 1) * size);
}

static void
read_ahead(struct world *w)
{
	if (w->send.loaded_seq + 1 < w->next_seq &&
	    (n_ahead(w) < AHEAD || sq_outbox_send_lacks(&w->send))) {
		struct sq_outbox_entry *e = entry(w->send.loaded_seq + 1);

		sq_list_init(&e->journal.node);
		sq_outbox_send_load(&w->send, e);
	}
}

static void
publish(struct world *w)
{
	struct sq_outbox_entry *e;

	if (w->next_seq > MESSAGES)
		return;
	e = entry(w->next_seq++);
	w->bytes = e->end;
	sq_outbox_entry_free(e);
}

/* --- the link --- */

static void
cut(struct world *w)
{
	w->attached = w->asked = false;
	for (unsigned i = 0; i < SQ_BATCH_FLYING_MAX; i++) {
		if (w->wires[i].batch == NULL)
			continue;
		sq_outbox_send_failed(&w->send, &w->wires[i].batch);
		settle(w);
	}
}

static void
take(struct world *w)
{
	struct sq_outbox_batch *b;

	if (!w->attached)
		return;
	for (unsigned i = 0; i < SQ_BATCH_FLYING_MAX; i++) {
		if (w->wires[i].batch != NULL)
			continue;
		b = sq_outbox_send_take(&w->send, w->now_ms);
		if (b == NULL)
			return;
		w->wires[i] = (struct wire){.batch = b, .at = W_SENT, .epoch = w->epoch};
		return;
	}
}

/* --- the broker --- */

static void
admit(struct world *w, struct wire *wire, const struct sq_batch *head, uint16_t skip)
{
	struct txn *t = &w->txns[w->n_txns++];
	struct sq_bytes rest = head->entries;

	cr_assert_leq(w->n_txns, (unsigned)TXNS);
	*t = (struct txn){.last = head->first + head->n - 1};
	sq_lane_in_admit(&w->lane, head);
	for (uint16_t i = 0; i < head->n; i++) {
		struct sq_entry e = sq_batch_next(&rest);
		unsigned seq = sq_get32(sq_image_payload(e.image).p);
		bool refused = w->full && draw(w, 3) != 0;

		if (i < skip)
			continue;
		sq_lane_in_set(&w->lane, head->first + i, refused ? SQ_MQTT_RC_QUOTA_EXCEEDED : 0);
		if (refused)
			continue;
		w->taken[seq]++;
		t->taken[t->n_taken++] = seq;
	}
	sq_lane_in_save(&w->lane, &t->lane);
	wire->admitted = true;
}

static void
answer(struct world *w, struct wire *wire)
{
	wire->at = W_ANSWERED;
	wire->answer = A_OUTCOMES;
	if (!sq_lane_in_outcomes(&w->lane, wire->batch->first, wire->batch->n, wire->codes))
		wire->answer = A_RUN;
}

/* Looks at a batch that is there; again when the lane has moved on. */
static void
offer(struct world *w, struct wire *wire)
{
	struct sq_batch head;
	uint16_t skip;

	cr_assert_eq(sq_batch_decode(sq_buf_data(&wire->batch->body),
			 sq_buf_len(&wire->batch->body), SQ_LINK_VERSION, &head),
	    0);
	switch (sq_lane_in_offer(&w->lane, &head, &skip)) {
	case SQ_LANE_ADMIT:
		admit(w, wire, &head, skip);
		break;
	case SQ_LANE_KNOWN:
		wire->admitted = true;
		if (head.first + head.n - 1 <= w->lane.done)
			answer(w, wire);
		break;
	case SQ_LANE_EARLY:
		break;
	case SQ_LANE_RUN:
		wire->at = W_ANSWERED;
		wire->answer = A_RUN;
		break;
	}
}

static void
offer_again(struct world *w)
{
	for (unsigned round = 0; round < SQ_BATCH_FLYING_MAX; round++) {
		for (unsigned i = 0; i < SQ_BATCH_FLYING_MAX; i++) {
			if (w->wires[i].batch != NULL && w->wires[i].at == W_THERE)
				offer(w, &w->wires[i]);
		}
	}
}

static void
arrive(struct world *w)
{
	struct wire *wire = &w->wires[draw(w, SQ_BATCH_FLYING_MAX)];

	if (wire->batch == NULL || wire->at != W_SENT)
		return;
	wire->at = wire->epoch == w->epoch ? W_THERE : W_ANSWERED;
	wire->answer = A_EPOCH;
	offer_again(w);
}

static void
txn_drop(struct world *w)
{
	sq_buf_fini(&w->txns[0].lane);
	memmove(w->txns, w->txns + 1, --w->n_txns * sizeof w->txns[0]);
}

/* The first transaction is on the disk. */
static void
commit(struct world *w, bool lives)
{
	struct txn *t = &w->txns[0];

	if (w->n_txns == 0)
		return;
	sq_buf_fini(&w->disk.lane);
	sq_buf_append(&w->disk.lane, sq_buf_data(&t->lane), sq_buf_len(&t->lane));
	for (unsigned i = 0; i < t->n_taken; i++)
		w->disk.taken[t->taken[i]]++;
	if (lives)
		sq_lane_in_done(&w->lane, t->last);
	txn_drop(w);
	if (lives)
		offer_again(w);
}

static void
broker_killed(struct world *w)
{
	unsigned n = draw(w, w->n_txns + 1); /* written, and found */

	cut(w);
	while (n-- > 0)
		commit(w, false);
	while (w->n_txns > 0)
		txn_drop(w);
	sq_lane_in_fini(&w->lane);
	memcpy(w->taken, w->disk.taken, sizeof w->taken);
	if (sq_buf_len(&w->disk.lane) != 0)
		cr_assert_eq(sq_lane_in_load(&w->lane, sq_buf_bytes(&w->disk.lane)), 0);
	if (w->forgets)
		w->lane.kept = w->lane.last;
	if (!w->loses || draw(w, 3) != 0)
		return;
	w->incarnation++;
	sq_lane_in_fini(&w->lane);
	sq_buf_fini(&w->disk.lane);
}

/* Ends the older epoch, and waits for what was admitted in it. */
static void
ask(struct world *w)
{
	if (w->attached || w->asked)
		return;
	w->epoch++;
	for (unsigned i = 0; i < SQ_BATCH_FLYING_MAX; i++) {
		struct wire *wire = &w->wires[i];

		if (wire->batch != NULL && wire->at == W_THERE && !wire->admitted) {
			wire->at = W_ANSWERED;
			wire->answer = A_EPOCH;
		}
	}
	while (w->n_txns > 0)
		commit(w, true);
	w->asked = true;
	w->asked_last = w->lane.last;
}

static void
attach(struct world *w)
{
	if (!w->asked) {
		ask(w);
		return;
	}
	w->asked = false;
	w->attached = true;
	sq_outbox_send_attached(
	    &w->send, w->incarnation, w->asked_last, draw(w, 1u << 30) + 1, w->next_seq);
	settle(w);
}

/* --- answers --- */

static void
come_back(struct world *w)
{
	struct wire *wire = &w->wires[draw(w, SQ_BATCH_FLYING_MAX)];
	struct sq_outcomes o;

	if (wire->batch == NULL || wire->at != W_ANSWERED)
		return;
	if (wire->answer != A_OUTCOMES) {
		if (wire->answer == A_RUN && wire->epoch == w->epoch)
			sq_outbox_send_run_lost(&w->send, &wire->batch);
		else
			sq_outbox_send_failed(&w->send, &wire->batch);
		settle(w);
		if (wire->epoch == w->epoch)
			w->attached = false;
		return;
	}
	o = (struct sq_outcomes){
	    .first = wire->batch->first, .n = wire->batch->n, .codes = wire->codes};
	cr_assert_eq(sq_outbox_send_answered(&w->send, &wire->batch, &o, w->now_ms), 0);
	settle(w);
}

/* --- the sidecar's end --- */

static void
sidecar_begins(struct world *w)
{
	struct sq_outbox_held held;
	struct sq_outbox_state s;

	sq_outbox_send_init(&w->send, on_refused, w);
	if (w->seed % 2 == 0)
		w->send.numbers.window = WINDOW;
	if (sq_buf_len(&w->synced.bytes) == 0)
		return;
	sq_outbox_held_init(&held);
	cr_assert_eq(sq_outbox_state_get(&s, &held, sq_buf_bytes(&w->synced.bytes)), 0);
	sq_outbox_send_restore(&w->send, &s);
	sq_outbox_held_fini(&held);
}

static void
sidecar_killed(struct world *w)
{
	unsigned n = draw(w, w->n_states + 1);

	w->attached = w->asked = false;
	for (unsigned i = 0; i < SQ_BATCH_FLYING_MAX; i++) {
		if (w->wires[i].batch == NULL)
			continue;
		sq_outbox_send_failed(&w->send, &w->wires[i].batch); /* to free it */
	}
	sq_outbox_send_fini(&w->send);
	while (n-- > 0)
		state_sync(w, false);
	while (w->n_states > 0)
		sq_buf_fini(&w->states[--w->n_states].bytes);
	sidecar_begins(w);
}

/* --- the run --- */

static void
fault(struct world *w)
{
	switch (draw(w, 8)) {
	case 0:
		sidecar_killed(w);
		break;
	case 1:
		broker_killed(w);
		break;
	case 2:
	case 3:
		cut(w);
		break;
	default:
		w->full = !w->forgets && draw(w, 2) != 0;
		break;
	}
}

static void
step(struct world *w)
{
	w->now_ms += draw(w, 200);
	switch (draw(w, 10)) {
	case 0:
		publish(w);
		break;
	case 1:
		if (w->n_states == 0 && sq_outbox_send_whole(&w->send))
			state_write(w, false);
		break;
	case 2:
		if (w->n_states > 0)
			state_sync(w, true);
		break;
	case 3:
	case 4:
		take(w);
		break;
	case 5:
	case 6:
		arrive(w);
		break;
	case 7:
		commit(w, true);
		break;
	case 8:
		come_back(w);
		break;
	default:
		attach(w);
		break;
	}
	if (draw(w, 3) == 0)
		read_ahead(w);
}

static bool
all_taken(const struct world *w)
{
	for (unsigned seq = 1; seq <= MESSAGES; seq++) {
		if (w->loses ? w->disk.taken[seq] == 0 : w->disk.taken[seq] != 1)
			return false;
	}
	return w->send.flying == 0 && sq_list_empty(&w->send.ahead);
}

static void
run(unsigned seed)
{
	struct world *w = sq_xcalloc(1, sizeof *w);

	w->seed = seed;
	w->random = seed * 2654435761u + 1;
	w->next_seq = 1;
	w->faults = true;
	w->incarnation = 7;
	w->forgets = seed % 3 == 0;
	w->loses = seed % 5 == 0;
	sidecar_begins(w);
	for (unsigned i = 0; i < STEPS; i++) {
		step(w);
		if (draw(w, 25) == 0)
			fault(w);
	}
	w->faults = w->full = false;
	for (unsigned i = 0; i < REST_STEPS && !all_taken(w); i++)
		step(w);
	for (unsigned seq = 1; seq <= MESSAGES; seq++)
		cr_assert(w->loses ? w->disk.taken[seq] > 0 : w->disk.taken[seq] == 1,
		    "seed %u: message %u was taken %u times", seed, seq, w->disk.taken[seq]);
	cr_assert(all_taken(w), "seed %u: it stands still", seed);
	sidecar_killed(w);
	sq_outbox_send_fini(&w->send);
	broker_killed(w);
	sq_lane_in_fini(&w->lane);
	sq_buf_fini(&w->disk.lane);
	sq_buf_fini(&w->synced.bytes);
	free(w);
}

Test(outbox_sim, takes_each_message_once, .timeout = 300)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++)
		run(seed);
}
