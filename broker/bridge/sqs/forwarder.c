/* The out half: SendMessageBatch, of as many messages as wait when a call is free.
 *
 *   offered ──▶ waiting, by queue ──▶ in a call ──▶ ended ──▶ the head of its lane: offered()
 *
 * A standard queue has no order, so messages of one lane may be in several calls; they end in order.  A
 * group of a FIFO queue is in one call at a time. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/sqs/out_priv.h"
#include "broker/bridge/sqs/sqs_priv.h"
#include "core/clock.h"
#include "core/mem.h"

/* --- offers --- */

static struct sq_sqs_forwarder *
forwarder_out(const struct sq_forwarder *forwarder)
{
	return SQ_CONTAINER_OF(
	    (struct sq_forwarder *)(uintptr_t)forwarder, struct sq_sqs_forwarder, forwarder);
}

static struct sq_sqs_out_line *
forwarder_line(const struct sq_sqs_forwarder *f, unsigned rule)
{
	struct sq_sqs_queue *q = sq_sqs_client_queue(f->client, rule);
	size_t i = 0;

	while (f->lines[i].queue != q)
		i++;
	return &f->lines[i];
}

/* Makes its entry; what has none ends. */
static void
forwarder_map(struct sq_sqs_forwarder *f, struct sq_sqs_out_item *i)
{
	const struct sq_sqs_out out = {.cfg = f->cfg,
	    .rule = sq_bridge_cfg_out(f->cfg, i->of->rule),
	    .space = f->env->space,
	    .queue = f->env->queue,
	    .fifo = i->line->queue->place.fifo};
	struct sq_buf why = {0};
	int rc = sq_sqs_map_out(&out, i->of, &i->entry, &why);
	uint64_t hash;

	if (rc != SQ_OK) {
		sq_buf_u8(&why, '\0');
		sq_sqs_out_never(i, rc == SQ_ETOOBIG ? SQ_OFFER_TOO_LARGE : SQ_OFFER_UNMAPPABLE,
		    (const char *)sq_buf_data(&why));
	} else if (out.fifo) {
		hash = sq_hash(i->entry.group, strlen(i->entry.group)) ^
		    sq_hash_u64((uint64_t)(i->line - f->lines) + 1);
		i->group = sq_sqs_out_key_get(&f->groups, hash);
	}
	sq_buf_fini(&why);
}

static void
forwarder_offer(struct sq_forwarder *forwarder, struct sq_offered *const *items, size_t n)
{
	struct sq_sqs_forwarder *f = forwarder_out(forwarder);

	for (size_t k = 0; k < n; k++) {
		struct sq_sqs_out_item *i = sq_xcalloc(1, sizeof *i);
		struct sq_sqs_out_key *lane;

		f->n_items++;
		i->of = items[k];
		i->of->held = i;
		i->line = forwarder_line(f, items[k]->rule);
		i->lane = lane = sq_sqs_out_key_get(&f->lanes, items[k]->lane);
		sq_list_init(&i->in_line);
		sq_list_push_back(&i->lane->items, &i->in_lane);
		forwarder_map(f, i);
		if (i->place == SQ_SQS_OUT_WAITS)
			sq_list_push_back(&i->line->waiting, &i->in_line);
		else
			sq_sqs_out_report(f, lane);
	}
	f->full = sq_sqs_out_room(f) == 0;
	sq_sqs_out_work(f);
}

/* --- life --- */

static void
forwarder_free(struct sq_sqs_forwarder *f)
{
	sq_worker_alarm_off(&f->patience);
	sq_sqs_client_free(&f->client);
	sq_htab_fini(&f->lanes);
	sq_htab_fini(&f->groups);
	free(f->lines);
	free(f);
}

static void
forwarder_finish(struct sq_sqs_forwarder *f)
{
	void (*closed)(void *) = f->closed;
	void *arg = f->closed_arg;

	assert(f->n_items == 0);
	forwarder_free(f);
	closed(arg);
}

static void
forwarder_last(struct sq_task *t)
{
	forwarder_finish(SQ_CONTAINER_OF(t, struct sq_sqs_forwarder, last));
}

static void
forwarder_changed(void *arg)
{
	struct sq_sqs_forwarder *f = arg;

	if (f->closing)
		forwarder_finish(f);
	else
		sq_sqs_out_work(f);
}

static void
forwarder_patience(struct sq_alarm *a)
{
	sq_sqs_client_cancel(SQ_CONTAINER_OF(a, struct sq_sqs_forwarder, patience)->client, false);
}

static struct sq_forwarder *
forwarder_open(const struct sq_bridge_env *env, const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	struct sq_sqs_forwarder *f = sq_xcalloc(1, sizeof *f);

	f->forwarder.ops = &sq_sqs_forwarder_ops;
	f->env = env;
	f->cfg = cfg;
	f->patience.run = forwarder_patience;
	f->last.run = forwarder_last;
	f->full = true;
	f->client = sq_sqs_client_open(&(const struct sq_sqs_client_cfg){.env = env,
					   .bridge = cfg,
					   .half = SQ_BRIDGE_OUT,
					   .changed = forwarder_changed,
					   .arg = f},
	    err);
	if (f->client == NULL) {
		free(f);
		return NULL;
	}
	f->lines = sq_xcalloc(cfg->out.n, sizeof *f->lines);
	for (unsigned i = 0; i < cfg->out.n; i++) {
		struct sq_sqs_queue *q = sq_sqs_client_queue(f->client, i);
		size_t k = 0;

		while (k < f->n_lines && f->lines[k].queue != q)
			k++;
		if (k < f->n_lines)
			continue;
		f->lines[k].queue = q;
		sq_list_init(&f->lines[k].waiting);
		f->n_lines++;
	}
	return &f->forwarder;
}

static unsigned
forwarder_room(const struct sq_forwarder *forwarder)
{
	return sq_sqs_out_room(forwarder_out(forwarder));
}

static void
forwarder_status(const struct sq_forwarder *forwarder, struct sq_buf *json)
{
	sq_sqs_client_status(forwarder_out(forwarder)->client, json);
}

static void
forwarder_close(
    struct sq_forwarder *forwarder, unsigned within_ms, void (*closed)(void *arg), void *arg)
{
	struct sq_sqs_forwarder *f = forwarder_out(forwarder);

	f->closing = true;
	f->closed = closed;
	f->closed_arg = arg;
	for (size_t i = 0; i < f->n_lines; i++)
		sq_sqs_out_give_back(f, &f->lines[i], NULL);
	sq_sqs_client_stop(f->client);
	if (sq_sqs_client_calls(f->client) == 0)
		f->env->post(f->env->owner, &f->last);
	else
		sq_worker_alarm(&f->patience, sq_clock_ms() + within_ms);
}

const struct sq_forwarder_ops sq_sqs_forwarder_ops = {.open = forwarder_open,
    .room = forwarder_room,
    .offer = forwarder_offer,
    .status = forwarder_status,
    .close = forwarder_close};
