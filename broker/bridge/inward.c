#include <assert.h>
#include <stdlib.h>

#include "broker/bridge/inward_priv.h"
#include "broker/bridge/told.h"
#include "core/mem.h"
#include "core/memory.h"
#include "web/worker.h"

enum {
	SWEEP_TICKS = 16,   /* between two looks at the oldest keys */
	PACED_PART = 8,     /* of the demand that is left while publishers are slowed down */
	SIZE_DECAY = 64,    /* messages after which a large one counts for less */
	DEMAND_MAX = 65536, /* of any configuration */
};

static void
inward_post(struct sq_inward *in)
{
	if (!in->posted)
		sq_worker_post(in->cfg.shard->worker, &in->task);
	in->posted = true;
}

/* What has arrived. */

static void
waiting_push(struct sq_inward_waiting *w, struct sq_arrived *a)
{
	if (w->n == w->cap) {
		size_t cap = w->cap > 0 ? w->cap * 2 : 64;
		struct sq_arrived **v = sq_xmalloc(cap * sizeof(*v));

		for (size_t i = 0; i < w->n; i++)
			v[i] = w->v[(w->at + i) & (w->cap - 1)];
		free(w->v);
		w->v = v;
		w->at = 0;
		w->cap = cap;
	}
	w->v[(w->at + w->n++) & (w->cap - 1)] = a;
	w->number++;
}

static void
inward_arrived(void *owner, struct sq_arrived *const *v, size_t n)
{
	struct sq_inward *in = owner;

	if (in->end.begun) /* they go back when the inlet is closed */
		return;
	for (size_t i = 0; i < n; i++) {
		uint32_t size = sq_image_size(v[i]->msg.image);

		in->asks.size -= in->asks.size / SIZE_DECAY;
		if (size > in->asks.size)
			in->asks.size = size;
		waiting_push(&in->waiting, v[i]);
	}
	in->asks.out += n;
	sq_inward_tell_out(in);
	inward_post(in);
}

/* The demand. */

static unsigned
inward_window(const struct sq_bridge_cfg *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < c->in.n; i++)
		n += sq_bridge_cfg_in(c, i)->prefetch;
	n *= c->connections > 0 ? c->connections : 1;
	if (n < c->window)
		n = c->window;
	return n < DEMAND_MAX ? (unsigned)n : DEMAND_MAX;
}

/* Whether what has arrived is published now. */
static bool
inward_turns(const struct sq_inward *in, uint64_t now_ms)
{
	struct sq_broker *b = sq_inward_broker(in);

	return !in->end.begun && !sq_broker_closing(b) && !sq_broker_recovers(b, now_ms);
}

static unsigned
inward_wants(const struct sq_inward *in, uint64_t now_ms)
{
	enum sq_memory_level level = sq_memory_level();
	uint64_t n = in->asks.window, fits = UINT64_MAX;

	if (in->paused || !inward_turns(in, now_ms) || level == SQ_MEMORY_REFUSED)
		return 0;
	if (level == SQ_MEMORY_PACED)
		n /= PACED_PART;
	if (in->asks.size > 0)
		fits = sq_memory_fair() / in->asks.size;
	if (fits < n)
		n = fits;
	return n > 0 ? (unsigned)n : 1;
}

static void
inward_ask(struct sq_inward *in, uint64_t now_ms)
{
	unsigned n = inward_wants(in, now_ms);

	if (in->inlet == NULL || n == in->asks.demand)
		return;
	in->asks.demand = n;
	in->inlet->ops->demand(in->inlet, n);
}

/* The end. */

static void
inward_free(struct sq_inward *in)
{
	void (*done)(void *arg) = in->end.done;
	void *arg = in->end.arg;

	sq_dedup_close(&in->dedup);
	sq_lane_holds_fini(&in->lanes);
	sq_identity_unref(&in->who);
	sq_tenant_unref(&in->tenant);
	free(in->waiting.v);
	free(in);
	if (done != NULL)
		done(arg);
}

static void inward_end_look(struct sq_inward *in);

static void
inward_inlet_closed(void *arg)
{
	struct sq_inward *in = arg;

	in->end.closed = true;
	inward_end_look(in);
}

/* Closes the inlet when nothing is on its way, or its time is over; and ends when all is closed. */
static void
inward_end_look(struct sq_inward *in)
{
	uint64_t now_ms = sq_worker_now_ms(in->cfg.shard->worker);
	struct sq_inlet *inlet = in->inlet;
	bool idle = sq_list_empty(&in->batches);

	if (!in->end.begun)
		return;
	if (inlet != NULL && !in->end.closes && (idle || now_ms >= in->end.until_ms)) {
		in->end.closes = true;
		in->inlet = NULL;
		inlet->ops->close(inlet,
		    now_ms < in->end.until_ms ? (unsigned)(in->end.until_ms - now_ms) : 0,
		    inward_inlet_closed, in);
	}
	if (in->end.closed && idle)
		inward_post(in);
}

static void
inward_run(struct sq_task *t)
{
	struct sq_inward *in = SQ_CONTAINER_OF(t, struct sq_inward, task);

	in->posted = false;
	if (in->end.closed && sq_list_empty(&in->batches)) {
		inward_free(in);
		return;
	}
	if (in->waiting.n == 0 || !inward_turns(in, sq_worker_now_ms(in->cfg.shard->worker)))
		return; /* the tick looks again */
	sq_inward_slice(in);
	if (in->waiting.n > 0 && !in->posted) {
		in->posted = true;
		sq_worker_post_later(&in->task);
	}
}

void
sq_inward_close(struct sq_inward *in, unsigned within_ms, void (*closed)(void *arg), void *arg)
{
	assert(!in->end.begun);
	in->end = (struct sq_inward_end){.begun = true,
	    .until_ms = sq_worker_now_ms(in->cfg.shard->worker) + within_ms,
	    .done = closed,
	    .arg = arg};
	in->waiting.n = 0;
	inward_ask(in, 0);
	inward_end_look(in);
}

/* Of the user's environment. */

static void
inward_env_post(void *owner, struct sq_task *t)
{
	const struct sq_bridge_env *env = ((struct sq_inward *)owner)->cfg.env;

	env->post(env->owner, t);
}

static struct sq_out *
inward_env_http(void *owner, struct sq_buf *err)
{
	const struct sq_bridge_env *env = ((struct sq_inward *)owner)->cfg.env;

	return env->http(env->owner, err);
}

static void
inward_env_state(void *owner, enum sq_bridge_half half, bool up, const char *why)
{
	const struct sq_bridge_env *env = ((struct sq_inward *)owner)->cfg.env;

	env->state(env->owner, half, up, why);
}

static const struct sq_identity *
inward_identity(const char *space, const char *bridge)
{
	const struct sq_identity *who;
	struct sq_buf name = {0};
	const char *spaces[1] = {space};

	sq_buf_printf(&name, "bridge:%s/%s", space, bridge);
	sq_buf_u8(&name, '\0');
	who = sq_identity_new(&(struct sq_identity){
	    .name = (const char *)sq_buf_data(&name), .spaces = spaces, .n_spaces = 1});
	sq_buf_fini(&name);
	return who;
}

struct sq_inward *
sq_inward_open(const struct sq_inward_cfg *cfg, struct sq_buf *err)
{
	const struct sq_bridge_cfg *c = cfg->bridge;
	struct sq_inward *in = sq_xcalloc(1, sizeof *in);

	in->cfg = *cfg;
	in->paused = cfg->paused;
	in->task.run = inward_run;
	in->settled = inward_end_look;
	in->env = *cfg->env;
	in->env.owner = in;
	in->env.post = inward_env_post;
	in->env.http = inward_env_http;
	in->env.state = inward_env_state;
	in->env.arrived = inward_arrived;
	in->tenant = sq_tenant_get(sq_inward_broker(in)->tenants, c->space);
	in->who = inward_identity(c->space, c->record.name);
	in->dedup = sq_dedup_open(cfg->dedups, c->record.name, c->dedup_for_ms, c->dedup_max);
	in->asks.window = inward_window(c);
	sq_list_init(&in->batches);
	sq_lane_holds_init(&in->lanes);
	in->inlet = cfg->ops->open(&in->env, c, err);
	if (in->inlet == NULL) {
		inward_free(in);
		return NULL;
	}
	inward_ask(in, sq_worker_now_ms(cfg->shard->worker));
	return in;
}

void
sq_inward_pause(struct sq_inward *in, bool paused)
{
	in->paused = paused;
	inward_ask(in, sq_worker_now_ms(in->cfg.shard->worker));
}

void
sq_inward_tick(struct sq_inward *in, uint64_t now_ms)
{
	if (in->end.begun) {
		inward_end_look(in);
		return;
	}
	inward_ask(in, now_ms);
	if (in->waiting.n > 0)
		inward_post(in);
	if (in->ticks++ % SWEEP_TICKS == 0 && !sq_broker_closing(sq_inward_broker(in)))
		atomic_fetch_add_explicit(&in->cfg.told->dedup_early,
		    sq_dedup_sweep(in->dedup, in->cfg.shard, now_ms), memory_order_relaxed);
}

void
sq_inward_status(const struct sq_inward *in, struct sq_buf *out)
{
	if (in->inlet != NULL) {
		size_t before = sq_buf_len(out);

		in->inlet->ops->status(in->inlet, out);
		if (sq_buf_len(out) > before)
			sq_buf_u8(out, ',');
	}
	sq_buf_printf(out, "\"keys\":%zu", sq_dedup_count(in->dedup));
}

bool
sq_inward_idle(const struct sq_inward *in)
{
	return in->asks.out == 0;
}
