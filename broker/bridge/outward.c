#include "broker/bridge/outward.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/bridge/outward_priv.h"
#include "broker/bridge/told.h"
#include "broker/shard/shard.h"
#include "core/mem.h"
#include "core/memory.h"
#include "web/worker.h"

enum {
	BYTES = 16 << 20,     /* that are out at a time, where memory has no limit */
	BYTES_MIN = 64 << 10, /* and in any case */
};

/* Asks. */

static void
outward_take_back(struct sq_outward *o)
{
	if (o->asking)
		sq_taker_take_back(&o->ask);
	o->asking = false;
}

/* Bytes that may be out. */
static uint64_t
outward_bytes(void)
{
	uint64_t fair = sq_memory_fair() / 2;

	if (sq_memory_limit() == 0)
		return BYTES;
	fair = fair < BYTES ? fair : BYTES;
	return sq_memory_level() >= SQ_MEMORY_PACED || fair < BYTES_MIN ? BYTES_MIN : fair;
}

/* How many messages it may have now. */
static unsigned
outward_wants(const struct sq_outward *o, uint64_t now_ms)
{
	uint64_t window = o->cfg.bridge->window;
	unsigned room;

	if (!o->joined || o->paused || sq_outward_is_closing(o) || now_ms < o->held_until)
		return 0;
	/* Those that are being settled take memory, too. */
	if (o->out.n >= window || o->settling.n >= 2 * window || o->out.bytes >= outward_bytes())
		return 0;
	room = o->forwarder->ops->room(o->forwarder);
	return room < window - o->out.n ? room : (unsigned)(window - o->out.n);
}

static bool
outward_look(struct sq_outward *o, uint64_t now_ms)
{
	unsigned n = outward_wants(o, now_ms);

	/* One that waits stays, unless it is for too many, or for far too few. */
	if (o->asking && n >= o->ask.n && n / 2 < o->ask.n)
		return false;
	outward_take_back(o);
	if (n == 0)
		return false;
	o->ask.n = n;
	o->ask.bytes = outward_bytes() - o->out.bytes;
	o->asking = true;
	sq_taker_ask(&o->taker, &o->ask);
	return !o->asking; /* it has brought some already */
}

/* Asking may bring messages before it returns, which has it look again: one look goes on then. */
static void
outward_looks(struct sq_outward *o)
{
	uint64_t now_ms = sq_worker_now_ms(o->cfg.shard->worker);

	if (o->looking)
		return;
	o->looking = true;
	while (outward_look(o, now_ms))
		continue;
	o->looking = false;
}

static void
outward_take(struct sq_taker *t, struct sq_taker_ask *ask, const struct sq_taken *taken, size_t n)
{
	struct sq_outward *o = SQ_CONTAINER_OF(t, struct sq_outward, taker);

	(void)ask;
	o->asking = false;
	sq_out_offer(o, taken, n);
	sq_out_later(o);
}

/* Its end. */

static bool
outward_busy(const struct sq_outward *o)
{
	return o->out.n > 0 || o->settling.now != NULL || !sq_list_empty(&o->settling.list);
}

static void
outward_free(struct sq_outward *o)
{
	assert(!o->joined && !outward_busy(o) && !o->turn.posted);
	sq_out_pool_free(o);
	sq_out_unsure_free(o);
	free(o->rules);
	free(o);
}

/* Ends, if the forwarder has closed, and all that it accepted is settled. */
static void
outward_end(struct sq_outward *o)
{
	void (*closed)(void *) = o->closed.fn;
	void *arg = o->closed.arg;

	if (o->forwarder != NULL || outward_busy(o) || o->turn.posted)
		return;
	if (o->joined)
		sq_taker_leave(&o->taker);
	o->joined = false;
	outward_free(o);
	closed(arg);
}

static void
outward_turn(struct sq_task *t)
{
	struct sq_outward *o = SQ_CONTAINER_OF(t, struct sq_outward, turn.task);

	o->turn.posted = false;
	sq_out_settle_hand(o);
	outward_looks(o);
	if (sq_outward_is_closing(o))
		outward_end(o);
}

static void
outward_dismissed(struct sq_taker *t)
{
	struct sq_outward *o = SQ_CONTAINER_OF(t, struct sq_outward, taker);

	o->joined = o->asking = false;
	sq_out_settle_drop(o);
	sq_out_later(o);
}

static const struct sq_taker_ops outward_taker_ops = {
    .take = outward_take, .settled = sq_out_settled, .dismissed = outward_dismissed};

static void
outward_forwarder_closed(void *arg)
{
	struct sq_outward *o = arg;

	assert(o->out.n == 0); /* each has ended before */
	o->forwarder = NULL;
	sq_out_later(o);
}

/* The forwarder's environment. */

static void
outward_post(void *owner, struct sq_task *t)
{
	const struct sq_outward *o = owner;

	o->cfg.env->post(o->cfg.env->owner, t);
}

static struct sq_out *
outward_http(void *owner, struct sq_buf *err)
{
	const struct sq_outward *o = owner;

	return o->cfg.env->http(o->cfg.env->owner, err);
}

static void
outward_room(void *owner)
{
	struct sq_outward *o = owner;

	o->laters = 0;
	o->held_until = 0;
	sq_out_later(o);
}

static void
outward_offered(void *owner, struct sq_offered *offered, const struct sq_offer_end *end)
{
	sq_out_ended(owner, SQ_CONTAINER_OF(offered, struct sq_out_item, offered), end);
}

static void
outward_state(void *owner, enum sq_bridge_half half, bool up, const char *why)
{
	struct sq_outward *o = owner;

	o->cfg.env->state(o->cfg.env->owner, half, up, why);
	if (o->forwarder != NULL) /* its room has changed, too */
		sq_out_later(o);
}

struct sq_outward *
sq_outward_open(const struct sq_outward_cfg *cfg, struct sq_buf *err)
{
	struct sq_outward *o = sq_xcalloc(1, sizeof *o);

	o->cfg = *cfg;
	o->env = *cfg->env;
	o->env.post = outward_post;
	o->env.http = cfg->env->http != NULL ? outward_http : NULL;
	o->env.room = outward_room;
	o->env.offered = outward_offered;
	o->env.state = outward_state;
	o->env.owner = o;
	o->paused = cfg->paused;
	o->taker.ops = &outward_taker_ops;
	o->turn.task.run = outward_turn;
	sq_list_init(&o->out.list);
	sq_list_init(&o->pool.list);
	sq_list_init(&o->settling.list);
	sq_list_init(&o->unsure.by_age);
	sq_list_init(&o->ask.node);
	sq_list_init(&o->ask.items);
	sq_out_rules_open(o);
	o->forwarder = cfg->ops->open(&o->env, cfg->bridge, err);
	if (o->forwarder != NULL)
		return o;
	outward_free(o);
	return NULL;
}

void
sq_outward_serve(struct sq_outward *o, struct sq_pull *pull)
{
	if (o->joined || sq_outward_is_closing(o))
		return;
	sq_out_unsure_free(o); /* numbers of another pull */
	o->epoch++;
	o->joined = true;
	sq_taker_join(&o->taker, pull);
	sq_out_later(o);
}

void
sq_outward_pause(struct sq_outward *o, bool paused)
{
	o->paused = paused;
	sq_out_later(o);
}

void
sq_outward_tick(struct sq_outward *o, uint64_t now_ms)
{
	/* Also what memory allows may have changed. */
	if (outward_wants(o, now_ms) != (o->asking ? o->ask.n : 0))
		sq_out_later(o);
	if (o->out.n == 0 && o->pool.n > 0)
		sq_out_pool_free(o);
}

void
sq_outward_status(const struct sq_outward *o, struct sq_buf *out)
{
	size_t before = sq_buf_len(out);

	if (o->forwarder != NULL)
		o->forwarder->ops->status(o->forwarder, out);
	sq_buf_printf(out, "%s\"settling\":%u", sq_buf_len(out) > before ? "," : "", o->settling.n);
}

bool
sq_outward_idle(const struct sq_outward *o)
{
	return !outward_busy(o);
}

void
sq_outward_close(struct sq_outward *o, unsigned within_ms, void (*closed)(void *arg), void *arg)
{
	assert(o->closed.fn == NULL);
	o->closed.fn = closed;
	o->closed.arg = arg;
	outward_take_back(o);
	o->forwarder->ops->close(o->forwarder, within_ms, outward_forwarder_closed, o);
	sq_out_later(o);
}
