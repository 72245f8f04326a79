/* The inlet of amqp, as the worker sees it; see broker/bridge/amqp/in_priv.h. */
#include "broker/bridge/amqp/inlet.h"

#include <stdlib.h>

#include "broker/bridge/amqp/in_priv.h"
#include "core/mem.h"

enum { ARRIVED_MAX = 64 }; /* messages that are brought by one call */

static struct sq_amqp_inlet *
inlet_in(const struct sq_inlet *inlet)
{
	return SQ_CONTAINER_OF((struct sq_inlet *)(uintptr_t)inlet, struct sq_amqp_inlet, inlet);
}

static struct sq_amqp_inlet *
inlet_of(struct sq_amqp_half *h)
{
	return SQ_CONTAINER_OF(h, struct sq_amqp_inlet, half);
}

static void
inlet_wake(struct sq_amqp_inlet *in)
{
	for (unsigned i = 0; i < in->half.n_lines; i++)
		sq_amqp_line_wake(in->half.lines[i]);
}

/* Brings the user what the lines have. */
static void
inlet_run(struct sq_amqp_half *h)
{
	struct sq_amqp_inlet *in = inlet_of(h);
	struct sq_arrived *batch[ARRIVED_MAX];
	struct sq_amqp_arrival *a;
	size_t n = 1;

	while (h->closed == NULL && n > 0) {
		n = 0;
		pthread_mutex_lock(&h->lock);
		while (n < ARRIVED_MAX &&
		    (a = SQ_LIST_FIRST(&in->brought, struct sq_amqp_arrival, node)) != NULL) {
			sq_list_remove(&a->node);
			sq_list_push_back(&in->with_user, &a->node);
			batch[n++] = &a->arrived;
		}
		pthread_mutex_unlock(&h->lock);
		if (n > 0)
			h->env.arrived(h->env.owner, batch, n);
	}
}

static void
inlet_free_all(struct sq_list *list)
{
	struct sq_amqp_arrival *a;

	while ((a = SQ_LIST_FIRST(list, struct sq_amqp_arrival, node)) != NULL)
		sq_amqp_arrival_free(a);
}

static void
inlet_over(struct sq_amqp_half *h)
{
	struct sq_amqp_inlet *in = inlet_of(h);
	void (*closed)(void *arg) = h->closed;
	void *arg = h->closed_arg;

	inlet_free_all(&in->brought);
	inlet_free_all(&in->with_user);
	for (unsigned i = 0; i < h->n_lines; i++) {
		inlet_free_all(&in->lines[i].settled);
		sq_amqp_in_line_fini(&in->lines[i]);
	}
	sq_amqp_half_fini(h);
	free(in->lines);
	free(in);
	closed(arg);
}

static struct sq_inlet *
inlet_open(const struct sq_bridge_env *env, const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	struct sq_amqp_inlet *in = sq_xcalloc(1, sizeof *in);
	struct sq_amqp_half *h = &in->half;
	struct sq_amqp_peer_cfg peer;

	in->inlet.ops = &sq_amqp_inlet_ops;
	sq_amqp_half_init(h, env, cfg, SQ_BRIDGE_IN);
	if (sq_amqp_half_peer_cfg(h, &peer, err) != SQ_OK) {
		sq_amqp_half_fini(h);
		free(in);
		return NULL;
	}
	h->run = inlet_run;
	h->over = inlet_over;
	h->n_lines = (unsigned)cfg->connections;
	sq_list_init(&in->brought);
	sq_list_init(&in->with_user);
	in->lines = sq_xcalloc(h->n_lines, sizeof *in->lines);
	for (unsigned i = 0; i < h->n_lines; i++)
		sq_amqp_in_line_init(&in->lines[i], in, i);
	for (unsigned i = 0; i < h->n_lines; i++) {
		struct sq_amqp_line_user user = sq_amqp_in_line_user;

		user.arg = &in->lines[i];
		h->lines[i] = sq_amqp_line_new(&peer, i, &user);
	}
	sq_amqp_peer_cfg_fini(&peer);
	return &in->inlet;
}

static void
inlet_demand(struct sq_inlet *inlet, unsigned n)
{
	struct sq_amqp_inlet *in = inlet_in(inlet);

	pthread_mutex_lock(&in->half.lock);
	in->demand = n;
	pthread_mutex_unlock(&in->half.lock);
	inlet_wake(in);
}

static void
inlet_settled(struct sq_inlet *inlet, struct sq_arrived *arrived, enum sq_arrival how)
{
	struct sq_amqp_inlet *in = inlet_in(inlet);
	struct sq_amqp_arrival *a = arrived->held;

	sq_list_remove(&a->node);
	pthread_mutex_lock(&in->half.lock);
	in->n_user--;
	a->how = how;
	sq_list_push_back(&a->line->settled, &a->node);
	pthread_mutex_unlock(&in->half.lock);
	inlet_wake(in); /* any of them may have waited for room */
}

static void
inlet_status(const struct sq_inlet *inlet, struct sq_buf *json)
{
	sq_amqp_half_status(&inlet_in(inlet)->half, json);
}

static void
inlet_close(struct sq_inlet *inlet, unsigned within_ms, void (*closed)(void *arg), void *arg)
{
	sq_amqp_half_close(&inlet_in(inlet)->half, within_ms, closed, arg);
}

const struct sq_inlet_ops sq_amqp_inlet_ops = {.open = inlet_open,
    .demand = inlet_demand,
    .settled = inlet_settled,
    .status = inlet_status,
    .close = inlet_close};
