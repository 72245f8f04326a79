#include "fake_bridge.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/cfg.h"
#include "core/mem.h"
#include "core/task.h"

/* Criterion does not run under ThreadSanitizer. */
#define MUST(good, text) \
	do { \
		if (!(good)) { \
			(void)fprintf(stderr, "fake bridge: %s\n", text); \
			abort(); \
		} \
	} while (0)

enum { PEERS = 16, SCRIPTS = 64 };

enum at { WAITS, OUT, BACK, TAKEN };

/* A message that the peer has for the bridge. */
struct message {
	struct sq_arrived arrived;
	char key[64], hops[256];
	enum at at;
};

/* What either half has; of the bridge's worker, but for what is under the peer's lock. */
struct half {
	const struct sq_bridge_env *env;
	bool open, posted; /* under the lock */
	bool said;
	const char *why; /* as it was said last; NULL: it is up */
	struct sq_task task;
	void (*closed)(void *);
	void *arg;
	unsigned opens, closes; /* under the lock */
};

struct fake_out {
	struct sq_forwarder forwarder;
	struct fake_peer *peer;
	struct half half;
	struct sq_offered *held[FAKE_MAX];
	size_t
	    n_held; /* under the lock, as the next two: what was set when the worker looked last */
	unsigned room;
	bool away;
};

struct fake_in {
	struct sq_inlet inlet;
	struct fake_peer *peer;
	struct half half;
	unsigned demand, out; /* under the lock, as 'away', which is as the forwarder's */
	bool away;
};

struct fake_peer {
	pthread_mutex_t lock;
	char name[SQ_BRIDGE_NAME_MAX + 1];
	struct fake_out out;
	struct fake_in in;
	unsigned fails, room;
	bool away, uncertain, holds, holds_close;
	const char *why; /* it is away */
	const struct sq_offer_end *refuses;
	void (*watch)(void *arg, const struct sq_offered *);
	void *watch_arg;
	struct {
		char payload[64];
		struct sq_offer_end end;
	} scripts[SCRIPTS];
	size_t n_scripts, n_got, n_taken_out, offers, back, held_most;
	struct fake_got got[FAKE_MAX];
	struct message messages[FAKE_MAX];
	size_t n_messages;
};

static struct fake_peer *peers[PEERS];
static pthread_mutex_t peers_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct sq_forwarder_ops out_ops;
static const struct sq_inlet_ops in_ops;

static void peer_out_run(struct sq_task *);
static void peer_in_run(struct sq_task *);

struct fake_peer *
fake_peer(const char *bridge)
{
	struct fake_peer *p = NULL;
	size_t i;

	pthread_mutex_lock(&peers_lock);
	for (i = 0; i < PEERS && peers[i] != NULL; i++) {
		if (strcmp(peers[i]->name, bridge) == 0)
			p = peers[i];
	}
	if (p == NULL) {
		MUST(i < PEERS, "too many peers");
		p = peers[i] = sq_xcalloc(1, sizeof *p);
		(void)snprintf(p->name, sizeof p->name, "%s", bridge);
		pthread_mutex_init(&p->lock, NULL);
		p->room = FAKE_ROOM;
		p->why = "cut";
		p->out.peer = p->in.peer = p;
		p->out.forwarder.ops = &out_ops;
		p->in.inlet.ops = &in_ops;
		p->out.half.task.run = peer_out_run;
		p->in.half.task.run = peer_in_run;
	}
	pthread_mutex_unlock(&peers_lock);
	return p;
}

void
fake_peers_reset(void)
{
	pthread_mutex_lock(&peers_lock);
	for (size_t i = 0; i < PEERS && peers[i] != NULL; i++) {
		struct fake_peer *p = peers[i];

		MUST(!p->out.half.open && !p->in.half.open, "a half is open");
		for (size_t k = 0; k < p->n_messages; k++)
			sq_msg_unref(&p->messages[k].arrived.msg);
		pthread_mutex_destroy(&p->lock);
		free(p);
		peers[i] = NULL;
	}
	pthread_mutex_unlock(&peers_lock);
}

static void
peer_lock(struct fake_peer *p)
{
	pthread_mutex_lock(&p->lock);
}

static void
peer_unlock(struct fake_peer *p)
{
	pthread_mutex_unlock(&p->lock);
}

/* Has the half look at what was set.  Under the lock. */
static void
half_poke(struct half *h)
{
	if (!h->open || h->posted)
		return;
	h->posted = true;
	h->env->post(h->env->owner, &h->task);
}

static void
peer_poke(struct fake_peer *p)
{
	half_poke(&p->out.half);
	half_poke(&p->in.half);
}

/* A half that opens; false: it is to fail. */
static bool
half_open(struct fake_peer *p, struct half *h, const struct sq_bridge_env *env, struct sq_buf *err)
{
	bool good;

	peer_lock(p);
	MUST(!h->open, "it is open already");
	good = p->fails == 0;
	if (good) {
		*h = (struct half){.env = env,
		    .open = true,
		    .task = h->task,
		    .opens = h->opens,
		    .closes = h->closes};
		h->opens++;
		half_poke(h);
	} else {
		p->fails--;
		sq_buf_printf(err, "no such file");
	}
	peer_unlock(p);
	return good;
}

/* Says whether it is there, if that has changed, and why it is not; 'why' NULL: it is. */
static void
half_state(struct half *h, enum sq_bridge_half which, const char *why)
{
	if (h->why == why && h->said)
		return;
	h->said = true;
	h->why = why;
	h->env->state(h->env->owner, which, why == NULL, why != NULL ? why : "connected");
}

/* Says that it is closed, unless that has to wait. */
static void
half_end(struct fake_peer *p, struct half *h)
{
	void (*closed)(void *) = h->closed;

	peer_lock(p);
	if (closed != NULL && !p->holds_close && !h->posted) {
		h->open = false;
		h->closed = NULL;
		h->closes++;
	} else {
		closed = NULL;
	}
	peer_unlock(p);
	if (closed != NULL)
		closed(h->arg);
}

/* --- out --- */

static struct fake_out *
out_of(const struct sq_forwarder *f)
{
	return SQ_CONTAINER_OF((struct sq_forwarder *)(uintptr_t)f, struct fake_out, forwarder);
}

static unsigned
out_room(const struct sq_forwarder *forwarder)
{
	const struct fake_out *f = out_of(forwarder);
	struct fake_peer *p = f->peer;
	unsigned n = 0;

	peer_lock(p);
	if (!f->away && f->half.closed == NULL && f->room > f->n_held)
		n = f->room - (unsigned)f->n_held;
	peer_unlock(p);
	return n;
}

/* Takes the i-th of those held out. */
static struct sq_offered *
out_take(struct fake_out *f, size_t i)
{
	struct sq_offered *o;

	peer_lock(f->peer);
	MUST(i < f->n_held, "it is not held");
	o = f->held[i];
	memmove(&f->held[i], &f->held[i + 1], (f->n_held - i - 1) * sizeof(f->held[0]));
	f->n_held--;
	peer_unlock(f->peer);
	return o;
}

static void
text_of(struct sq_bytes b, char out[64])
{
	size_t n = b.len < 63 ? b.len : 63;

	memcpy(out, b.p, n);
	out[n] = '\0';
}

static void
out_note(struct fake_peer *p, const struct sq_offered *o)
{
	struct fake_got *g;

	if (p->watch != NULL) {
		p->watch(p->watch_arg, o);
		return;
	}
	peer_lock(p);
	MUST(p->n_got < FAKE_MAX, "too many");
	g = &p->got[p->n_got];
	*g = (struct fake_got){.lane = o->lane,
	    .expires_ms = o->expires_ms,
	    .attempt = o->attempt,
	    .rule = o->rule,
	    .again = o->again,
	    .qos = o->qos};
	text_of(sq_image_topic(o->msg->image), g->topic);
	text_of(sq_image_payload(o->msg->image), g->payload);
	(void)snprintf(g->origin, sizeof g->origin, "%s", o->origin);
	(void)snprintf(g->hops, sizeof g->hops, "%s", o->hops);
	p->n_got++;
	peer_unlock(p);
}

/* Ends the i-th of those held; what is held of its lane behind a LATER or FAILED ends, too. */
static void
out_end(struct fake_out *f, size_t i, const struct sq_offer_end *end)
{
	const struct sq_bridge_env *env = f->half.env;
	struct sq_offered *o = out_take(f, i);
	uint64_t lane = o->lane;

	if (end->how == SQ_OFFER_ACCEPTED)
		out_note(f->peer, o);
	env->offered(env->owner, o, end);
	if (end->how != SQ_OFFER_LATER && end->how != SQ_OFFER_FAILED)
		return;
	while (i < f->n_held) {
		if (f->held[i]->lane == lane)
			env->offered(env->owner, out_take(f, i),
			    &(struct sq_offer_end){.how = SQ_OFFER_LATER});
		else
			i++;
	}
}

/* The script for that offer, taken out. */
static bool
out_script(struct fake_peer *p, const struct sq_offered *o, struct sq_offer_end *end)
{
	bool found = false;
	char payload[64];

	text_of(sq_image_payload(o->msg->image), payload);
	peer_lock(p);
	for (size_t i = 0; i < p->n_scripts && !found; i++) {
		if (strcmp(p->scripts[i].payload, payload) != 0)
			continue;
		*end = p->scripts[i].end;
		memmove(&p->scripts[i], &p->scripts[i + 1],
		    (p->n_scripts - i - 1) * sizeof(p->scripts[0]));
		p->n_scripts--;
		found = true;
	}
	peer_unlock(p);
	return found;
}

static bool
peer_holds(struct fake_peer *p)
{
	bool holds;

	peer_lock(p);
	holds = p->holds;
	peer_unlock(p);
	return holds;
}

/* How an offer ends that nothing else is said of. */
static struct sq_offer_end
peer_end(struct fake_peer *p)
{
	struct sq_offer_end end = {.how = SQ_OFFER_ACCEPTED};

	peer_lock(p);
	if (p->refuses != NULL)
		end = *p->refuses;
	peer_unlock(p);
	return end;
}

static bool
peer_holds_close(struct fake_peer *p)
{
	bool holds;

	peer_lock(p);
	holds = p->holds_close;
	peer_unlock(p);
	return holds;
}

/* Ends what is not to be held. */
static void
out_go(struct fake_out *f)
{
	struct fake_peer *p = f->peer;
	size_t i = 0;

	while (i < f->n_held) {
		struct sq_offer_end end = peer_end(p);

		if (out_script(p, f->held[i], &end) || !peer_holds(p))
			out_end(f, i, &end);
		else
			i++;
	}
}

static void
out_offer(struct sq_forwarder *forwarder, struct sq_offered *const *items, size_t n)
{
	struct fake_out *f = out_of(forwarder);
	struct fake_peer *p = f->peer;

	MUST(n <= out_room(forwarder), "more is offered than there is room for");
	peer_lock(p);
	for (size_t i = 0; i < n; i++)
		f->held[f->n_held++] = items[i];
	p->offers += n;
	if (f->n_held > p->held_most)
		p->held_most = f->n_held;
	peer_unlock(p);
	out_go(f);
}

static void
peer_out_run(struct sq_task *t)
{
	struct fake_out *f = SQ_CONTAINER_OF(t, struct fake_out, half.task);
	struct fake_peer *p = f->peer;
	bool away, uncertain;
	const char *why;

	peer_lock(p);
	f->half.posted = false;
	away = f->away = p->away;
	f->room = p->room;
	uncertain = p->away && p->uncertain;
	why = p->away ? p->why : NULL;
	peer_unlock(p);
	while ((away || (f->half.closed != NULL && !peer_holds_close(p))) && f->n_held > 0)
		out_end(f, 0,
		    &(struct sq_offer_end){
			.how = SQ_OFFER_LATER, .uncertain = uncertain, .why = "cut"});
	half_state(&f->half, SQ_BRIDGE_OUT, why);
	if (f->half.closed == NULL) {
		out_go(f);
		if (out_room(&f->forwarder) > 0)
			f->half.env->room(f->half.env->owner);
	}
	half_end(p, &f->half);
}

static struct sq_forwarder *
out_open(const struct sq_bridge_env *env, const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	struct fake_peer *p = fake_peer(cfg->record.name);

	if (!half_open(p, &p->out.half, env, err))
		return NULL;
	peer_lock(p);
	p->out.room = p->room;
	p->out.away = p->away;
	peer_unlock(p);
	return &p->out.forwarder;
}

static void
half_close(struct fake_peer *p, struct half *h, void (*closed)(void *), void *arg)
{
	peer_lock(p);
	h->closed = closed;
	h->arg = arg;
	half_poke(h);
	peer_unlock(p);
}

static void
out_close(struct sq_forwarder *forwarder, unsigned within_ms, void (*closed)(void *), void *arg)
{
	struct fake_out *f = out_of(forwarder);

	(void)within_ms;
	half_close(f->peer, &f->half, closed, arg);
}

static void
out_status(const struct sq_forwarder *forwarder, struct sq_buf *out)
{
	sq_buf_printf(out, "\"held\":%zu", out_of(forwarder)->n_held);
}

/* --- in --- */

static struct fake_in *
in_of(const struct sq_inlet *in)
{
	return SQ_CONTAINER_OF((struct sq_inlet *)(uintptr_t)in, struct fake_in, inlet);
}

/* Brings what is asked for. */
static void
in_go(struct fake_in *in)
{
	struct sq_arrived *items[64];
	struct fake_peer *p = in->peer;
	size_t n;

	do {
		n = 0;
		peer_lock(p);
		for (size_t i = 0; i < p->n_messages && in->out < in->demand && n < 64 &&
		     !in->away && in->half.closed == NULL;
		     i++) {
			if (p->messages[i].at != WAITS)
				continue;
			p->messages[i].at = OUT;
			items[n++] = &p->messages[i].arrived;
			in->out++;
		}
		peer_unlock(p);
		if (n > 0)
			in->half.env->arrived(in->half.env->owner, items, n);
	} while (n > 0);
}

static void
in_demand(struct sq_inlet *inlet, unsigned n)
{
	struct fake_in *in = in_of(inlet);

	peer_lock(in->peer);
	in->demand = n;
	half_poke(&in->half);
	peer_unlock(in->peer);
}

static void
in_settled(struct sq_inlet *inlet, struct sq_arrived *a, enum sq_arrival how)
{
	struct fake_in *in = in_of(inlet);
	struct message *m = SQ_CONTAINER_OF(a, struct message, arrived);
	struct fake_peer *p = in->peer;

	peer_lock(p);
	MUST(m->at == OUT, "settled twice");
	m->at = how == SQ_ARRIVAL_TAKEN ? TAKEN : BACK;
	p->back += how == SQ_ARRIVAL_LATER;
	m->arrived.again = true;
	in->out--;
	half_poke(&in->half);
	peer_unlock(p);
}

static void
peer_in_run(struct sq_task *t)
{
	struct fake_in *in = SQ_CONTAINER_OF(t, struct fake_in, half.task);
	struct fake_peer *p = in->peer;
	const char *why;

	peer_lock(p);
	in->half.posted = false;
	in->away = p->away;
	why = p->away ? p->why : NULL;
	for (size_t i = 0; i < p->n_messages && in->half.closed != NULL; i++) {
		if (p->messages[i].at == OUT || p->messages[i].at == BACK)
			p->messages[i].at = WAITS;
		in->out = 0;
	}
	peer_unlock(p);
	half_state(&in->half, SQ_BRIDGE_IN, why);
	in_go(in);
	half_end(p, &in->half);
}

static struct sq_inlet *
in_open(const struct sq_bridge_env *env, const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	struct fake_peer *p = fake_peer(cfg->record.name);

	if (!half_open(p, &p->in.half, env, err))
		return NULL;
	peer_lock(p);
	p->in.demand = p->in.out = 0;
	p->in.away = p->away;
	peer_unlock(p);
	return &p->in.inlet;
}

static void
in_close(struct sq_inlet *inlet, unsigned within_ms, void (*closed)(void *), void *arg)
{
	struct fake_in *in = in_of(inlet);

	(void)within_ms;
	half_close(in->peer, &in->half, closed, arg);
}

static void
in_status(const struct sq_inlet *inlet, struct sq_buf *out)
{
	sq_buf_printf(out, "\"demand\":%u", in_of(inlet)->demand);
}

static int
fake_check(const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	(void)cfg;
	(void)err;
	return SQ_OK;
}

static const struct sq_forwarder_ops out_ops = {.open = out_open,
    .room = out_room,
    .offer = out_offer,
    .status = out_status,
    .close = out_close};
static const struct sq_inlet_ops in_ops = {.open = in_open,
    .demand = in_demand,
    .settled = in_settled,
    .status = in_status,
    .close = in_close};
const struct sq_bridge_kind fake_bridge_kind = {
    .name = "amqp", .check = fake_check, .out = &out_ops, .in = &in_ops};

/* --- the test's side --- */

unsigned
fake_peer_opened(struct fake_peer *p, enum sq_bridge_half half)
{
	unsigned n;

	peer_lock(p);
	n = half == SQ_BRIDGE_OUT ? p->out.half.opens : p->in.half.opens;
	peer_unlock(p);
	return n;
}

unsigned
fake_peer_closed(struct fake_peer *p, enum sq_bridge_half half)
{
	unsigned n;

	peer_lock(p);
	n = half == SQ_BRIDGE_OUT ? p->out.half.closes : p->in.half.closes;
	peer_unlock(p);
	return n;
}

void
fake_peer_fail_open(struct fake_peer *p, unsigned n)
{
	peer_lock(p);
	p->fails = n;
	peer_unlock(p);
}

void
fake_peer_set_room(struct fake_peer *p, unsigned room)
{
	peer_lock(p);
	p->room = room;
	peer_poke(p);
	peer_unlock(p);
}

void
fake_peer_away(struct fake_peer *p, bool away, bool uncertain)
{
	peer_lock(p);
	p->away = away;
	p->uncertain = uncertain;
	peer_poke(p);
	peer_unlock(p);
}

void
fake_peer_set_why(struct fake_peer *p, const char *why)
{
	peer_lock(p);
	p->why = why;
	peer_poke(p);
	peer_unlock(p);
}

void
fake_peer_refuse(struct fake_peer *p, const struct sq_offer_end *end)
{
	peer_lock(p);
	p->refuses = end;
	peer_unlock(p);
}

void
fake_peer_watch(struct fake_peer *p, void (*fn)(void *arg, const struct sq_offered *), void *arg)
{
	peer_lock(p);
	p->watch = fn;
	p->watch_arg = arg;
	peer_unlock(p);
}

void
fake_peer_hold(struct fake_peer *p, bool holds)
{
	peer_lock(p);
	p->holds = holds;
	peer_poke(p);
	peer_unlock(p);
}

void
fake_peer_hold_close(struct fake_peer *p, bool holds)
{
	peer_lock(p);
	p->holds_close = holds;
	peer_poke(p);
	peer_unlock(p);
}

size_t
fake_peer_held(struct fake_peer *p)
{
	size_t n;

	peer_lock(p);
	n = p->out.n_held;
	peer_unlock(p);
	return n;
}

size_t
fake_peer_held_most(struct fake_peer *p)
{
	size_t n;

	peer_lock(p);
	n = p->held_most;
	peer_unlock(p);
	return n;
}

void
fake_peer_held_payload(struct fake_peer *p, size_t i, char out[64])
{
	peer_lock(p);
	MUST(i < p->out.n_held, "it is not held");
	text_of(sq_image_payload(p->out.held[i]->msg->image), out);
	peer_unlock(p);
}

void
fake_peer_answer(struct fake_peer *p, size_t i, const struct sq_offer_end *end)
{
	bool full = out_room(&p->out.forwarder) == 0;

	out_end(&p->out, i, end);
	if (full && out_room(&p->out.forwarder) > 0)
		p->out.half.env->room(p->out.half.env->owner);
}

void
fake_peer_script(struct fake_peer *p, const char *payload, const struct sq_offer_end *end)
{
	peer_lock(p);
	MUST(p->n_scripts < SCRIPTS, "too many");
	(void)snprintf(p->scripts[p->n_scripts].payload, 64, "%s", payload);
	p->scripts[p->n_scripts++].end = *end;
	peer_unlock(p);
}

size_t
fake_peer_got(struct fake_peer *p)
{
	size_t n;

	peer_lock(p);
	n = p->n_got;
	peer_unlock(p);
	return n;
}

struct fake_got
fake_peer_got_at(struct fake_peer *p, size_t i)
{
	struct fake_got g;

	peer_lock(p);
	MUST(i < p->n_got, "it has not got that many");
	g = p->got[i];
	peer_unlock(p);
	return g;
}

size_t
fake_peer_offers(struct fake_peer *p)
{
	size_t n;

	peer_lock(p);
	n = p->offers;
	peer_unlock(p);
	return n;
}

void
fake_peer_put(
    struct fake_peer *p, const char *topic, const char *payload, const char *key, const char *hops)
{
	struct message *m;

	peer_lock(p);
	MUST(p->n_messages < FAKE_MAX, "too many");
	m = &p->messages[p->n_messages++];
	(void)snprintf(m->key, sizeof m->key, "%s", key != NULL ? key : "");
	(void)snprintf(m->hops, sizeof m->hops, "%s", hops != NULL ? hops : "");
	m->arrived = (struct sq_arrived){
	    .msg = sq_msg_new(1, false, sq_bytes_of(*topic != '\0' ? topic : "unmappable"),
		(struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, sq_bytes_of(payload)),
	    .unmappable = *topic == '\0' ? "it has no topic" : NULL,
	    .key = sq_bytes_of(m->key),
	    .hops = sq_bytes_of(m->hops)};
	peer_poke(p);
	peer_unlock(p);
}

size_t
fake_peer_left(struct fake_peer *p)
{
	size_t n = 0;

	peer_lock(p);
	for (size_t i = 0; i < p->n_messages; i++)
		n += p->messages[i].at != TAKEN;
	peer_unlock(p);
	return n;
}

size_t
fake_peer_handed_back(struct fake_peer *p)
{
	size_t n;

	peer_lock(p);
	n = p->back;
	peer_unlock(p);
	return n;
}

void
fake_peer_bring_again(struct fake_peer *p)
{
	peer_lock(p);
	for (size_t i = 0; i < p->n_messages; i++) {
		if (p->messages[i].at == BACK)
			p->messages[i].at = WAITS;
	}
	half_poke(&p->in.half);
	peer_unlock(p);
}

unsigned
fake_peer_demand(struct fake_peer *p)
{
	unsigned n;

	peer_lock(p);
	n = p->in.demand;
	peer_unlock(p);
	return n;
}

/* --- as one of the suite's --- */

static void
suite_begin(const char *address)
{
	(void)address;
	fake_peers_reset();
	(void)fake_peer("b");
}

static void
suite_configure(struct sq_bridge_cfg *c, struct sq_bridge_out *out, struct sq_bridge_in *in)
{
	(void)c;
	out->exchange = "fake";
	in->queue = "fake";
}

static bool
suite_next(struct peer_message *m)
{
	struct fake_peer *p = fake_peer("b");
	struct fake_got g;

	if (p->n_taken_out == fake_peer_got(p))
		return false;
	g = fake_peer_got_at(p, p->n_taken_out++);
	memcpy(m->topic, g.topic, sizeof g.topic);
	memcpy(m->payload, g.payload, sizeof g.payload);
	memcpy(m->origin, g.origin, sizeof g.origin);
	memcpy(m->hops, g.hops, sizeof g.hops);
	return true;
}

static void
suite_put(const struct peer_message *m)
{
	fake_peer_put(fake_peer("b"), "in/t", m->payload, m->origin, m->hops);
}

static size_t
suite_left(void)
{
	fake_peer_bring_again(fake_peer("b"));
	return fake_peer_left(fake_peer("b"));
}

static void
suite_away(bool away)
{
	fake_peer_away(fake_peer("b"), away, true);
}

const struct bridge_peer fake_bridge_peer = {.name = "fake",
    .kind = &fake_bridge_kind,
    .begin = suite_begin,
    .end = fake_peers_reset,
    .configure = suite_configure,
    .next = suite_next,
    .put = suite_put,
    .left = suite_left,
    .away = suite_away,
    .ordered = true,
    .has_hops = true};
