/* The forwarder of amqp, as the worker sees it; see broker/bridge/amqp/out_priv.h. */
#include "broker/bridge/amqp/forwarder.h"

#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/out_priv.h"
#include "core/mem.h"

static struct sq_amqp_forwarder *
forwarder_out(const struct sq_forwarder *forwarder)
{
	return SQ_CONTAINER_OF(
	    (struct sq_forwarder *)(uintptr_t)forwarder, struct sq_amqp_forwarder, forwarder);
}

static struct sq_amqp_forwarder *
forwarder_of(struct sq_amqp_half *h)
{
	return SQ_CONTAINER_OF(h, struct sq_amqp_forwarder, half);
}

static unsigned
forwarder_room(const struct sq_forwarder *forwarder)
{
	const struct sq_amqp_forwarder *f = forwarder_out(forwarder);

	return f->usable && f->half.closed == NULL ? f->window - f->n_out : 0;
}

/* Whether a line is up that the peer does not block. */
static bool
forwarder_is_usable(const struct sq_amqp_forwarder *f)
{
	for (unsigned i = 0; i < f->half.n_lines; i++)
		if (f->half.line_up[i] && !f->lines[i].blocked)
			return true;
	return false;
}

static void
forwarder_end(struct sq_amqp_forwarder *f, struct sq_amqp_item *it)
{
	struct sq_offered *o = it->offered;

	f->n_out--;
	o->held = NULL;
	sq_list_remove(&it->node);
	f->half.env.offered(f->half.env.owner, o, &it->end);
	free(it->why);
	free(it->unroutable);
	free(it);
}

/* Takes in what the lines have done. */
static void
forwarder_run(struct sq_amqp_half *h)
{
	struct sq_amqp_forwarder *f = forwarder_of(h);
	struct sq_amqp_item *it;
	struct sq_list done;
	uint64_t batch;

	sq_list_init(&done);
	pthread_mutex_lock(&h->lock);
	sq_list_splice(&done, &f->done);
	batch = f->batch;
	f->usable = forwarder_is_usable(f);
	pthread_mutex_unlock(&h->lock);
	while ((it = SQ_LIST_FIRST(&done, struct sq_amqp_item, node)) != NULL)
		forwarder_end(f, it);
	f->seen = batch; /* not before the user has all of it */
	if (forwarder_room(&f->forwarder) == 0) {
		f->starved = true;
	} else if (f->starved) {
		f->starved = false;
		h->env.room(h->env.owner);
	}
}

/* No line is there any more: what was left to one that never came back goes back. */
static void
forwarder_over(struct sq_amqp_half *h)
{
	struct sq_amqp_forwarder *f = forwarder_of(h);
	void (*closed)(void *arg) = h->closed;
	void *arg = h->closed_arg;
	struct sq_amqp_item *it;

	for (unsigned i = 0; i < h->n_lines; i++) {
		struct sq_list *inbox = &f->lines[i].inbox;

		while ((it = SQ_LIST_FIRST(inbox, struct sq_amqp_item, node)) != NULL) {
			it->end = (struct sq_offer_end){.how = SQ_OFFER_LATER};
			forwarder_end(f, it);
		}
		sq_amqp_out_line_fini(&f->lines[i]);
	}
	sq_amqp_half_fini(h);
	free(f->lines);
	free(f);
	closed(arg);
}

static struct sq_forwarder *
forwarder_open(const struct sq_bridge_env *env, const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	struct sq_amqp_forwarder *f = sq_xcalloc(1, sizeof *f);
	struct sq_amqp_half *h = &f->half;
	struct sq_amqp_peer_cfg peer;

	f->forwarder.ops = &sq_amqp_forwarder_ops;
	sq_amqp_half_init(h, env, cfg, SQ_BRIDGE_OUT);
	if (sq_amqp_half_peer_cfg(h, &peer, err) != SQ_OK) {
		sq_amqp_half_fini(h);
		free(f);
		return NULL;
	}
	h->run = forwarder_run;
	h->over = forwarder_over;
	h->n_lines = (unsigned)cfg->connections;
	f->window = (unsigned)cfg->window;
	f->starved = true;
	sq_list_init(&f->done);
	f->lines = sq_xcalloc(h->n_lines, sizeof *f->lines);
	for (unsigned i = 0; i < h->n_lines; i++)
		sq_amqp_out_line_init(&f->lines[i], f, i);
	for (unsigned i = 0; i < h->n_lines; i++) {
		struct sq_amqp_line_user user = sq_amqp_out_line_user;

		user.arg = &f->lines[i];
		h->lines[i] = sq_amqp_line_new(&peer, i, &user);
	}
	sq_amqp_peer_cfg_fini(&peer);
	return &f->forwarder;
}

/* A lane has one line, for good. */
static unsigned
forwarder_line(const struct sq_amqp_forwarder *f, uint64_t lane)
{
	return (unsigned)((lane * UINT64_C(0x9e3779b97f4a7c15) >> 32) % f->half.n_lines);
}

static void
forwarder_offer(struct sq_forwarder *forwarder, struct sq_offered *const *items, size_t n)
{
	struct sq_amqp_forwarder *f = forwarder_out(forwarder);
	bool given[SQ_AMQP_LINES_MAX] = {false};

	f->n_out += (unsigned)n;
	pthread_mutex_lock(&f->half.lock);
	for (size_t i = 0; i < n; i++) {
		struct sq_amqp_item *it = sq_xcalloc(1, sizeof *it);
		unsigned line = forwarder_line(f, items[i]->lane);

		it->offered = items[i];
		it->lane = items[i]->lane;
		it->seen = f->seen;
		sq_list_init(&it->in_lane);
		items[i]->held = it;
		sq_list_push_back(&f->lines[line].inbox, &it->node);
		given[line] = true;
	}
	pthread_mutex_unlock(&f->half.lock);
	for (unsigned i = 0; i < f->half.n_lines; i++)
		if (given[i])
			sq_amqp_line_wake(f->half.lines[i]);
	if (forwarder_room(&f->forwarder) == 0)
		f->starved = true;
}

static void
forwarder_status(const struct sq_forwarder *forwarder, struct sq_buf *json)
{
	struct sq_amqp_forwarder *f = forwarder_out(forwarder);
	bool blocked = false;

	sq_amqp_half_status(&f->half, json);
	pthread_mutex_lock(&f->half.lock);
	for (unsigned i = 0; i < f->half.n_lines; i++)
		blocked |= f->lines[i].blocked;
	pthread_mutex_unlock(&f->half.lock);
	sq_buf_printf(json, ",\"blocked\":%s", blocked ? "true" : "false");
}

static void
forwarder_close(
    struct sq_forwarder *forwarder, unsigned within_ms, void (*closed)(void *arg), void *arg)
{
	sq_amqp_half_close(&forwarder_out(forwarder)->half, within_ms, closed, arg);
}

const struct sq_forwarder_ops sq_amqp_forwarder_ops = {.open = forwarder_open,
    .room = forwarder_room,
    .offer = forwarder_offer,
    .status = forwarder_status,
    .close = forwarder_close};
