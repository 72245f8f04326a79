/* The in half: ReceiveMessage by long polls, DeleteMessageBatch after the commit.
 *
 *   received ──▶ with the user ──TAKEN──▶ deleted
 *                 │        ▲
 *               LATER      │ after a while, in order
 *                 ▼        │
 *                held ─────┘
 *
 * What was put off is held here and brought again: handed back, it would come again at once, and after some
 * times go to the dead letters of SQS.  While a message is here it is kept hidden from others: at half of its
 * time that is made longer.  Only where nobody wants messages any more, at that time or as the inlet
 * closes, it is handed back. */
#include <assert.h>
#include <stdlib.h>

#include "broker/bridge/sqs/in_priv.h"
#include "broker/bridge/sqs/sqs_priv.h"
#include "core/clock.h"
#include "core/mem.h"

enum { LATER_MAX_MS = 15000 };

static void inlet_finish(struct sq_sqs_inlet *);

/* --- work --- */

/* The earliest time at which there is something to do. */
static void
inlet_arm(struct sq_sqs_inlet *in, uint64_t now)
{
	SQ_LIST_FOR_EACH(i, &in->items, struct sq_sqs_in_item, all)
		if (!i->called && (i->place == SQ_SQS_IN_USER || i->place == SQ_SQS_IN_HELD))
			sq_sqs_in_alarm_at(in, i->extend_ms > now ? i->extend_ms : now + 1000);
}

static void
inlet_work(struct sq_task *t)
{
	struct sq_sqs_inlet *in = SQ_CONTAINER_OF(t, struct sq_sqs_inlet, task);

	in->posted = false;
	if (!in->closing)
		sq_sqs_in_bring_held(in);
	for (size_t i = 0; i < in->n_sources; i++) {
		sq_sqs_in_delete(in, &in->sources[i]);
		sq_sqs_in_hide(in, &in->sources[i], true);
		if (!in->closing) {
			sq_sqs_in_hide(in, &in->sources[i], false);
			sq_sqs_in_receive(in, &in->sources[i]);
		}
	}
	if (in->closing && sq_sqs_client_calls(in->client) == 0)
		inlet_finish(in);
}

static void
inlet_alarm(struct sq_alarm *a)
{
	struct sq_sqs_inlet *in = SQ_CONTAINER_OF(a, struct sq_sqs_inlet, alarm);

	in->alarm_ms = 0;
	if (in->closing && sq_clock_ms() >= in->closing_ms)
		sq_sqs_client_cancel(in->client, false);
	else if (!in->closing)
		inlet_arm(in, sq_clock_ms());
	sq_sqs_in_post(in);
}

static void
inlet_changed(void *arg)
{
	sq_sqs_in_post(arg);
}

/* --- the user's --- */

static struct sq_sqs_inlet *
inlet_in(const struct sq_inlet *inlet)
{
	return SQ_CONTAINER_OF((struct sq_inlet *)(uintptr_t)inlet, struct sq_sqs_inlet, inlet);
}

static void
inlet_demand(struct sq_inlet *inlet, unsigned n)
{
	struct sq_sqs_inlet *in = inlet_in(inlet);

	in->demand = n;
	if (n == 0)
		sq_sqs_client_cancel(in->client, true);
	sq_sqs_in_post(in);
}

static void
inlet_settled(struct sq_inlet *inlet, struct sq_arrived *a, enum sq_arrival how)
{
	struct sq_sqs_inlet *in = inlet_in(inlet);
	struct sq_sqs_in_item *i = a->held;
	uint64_t wait = SQ_BRIDGE_LATER_MS;

	assert(i->place == SQ_SQS_IN_USER);
	in->n_user--;
	if (how == SQ_ARRIVAL_TAKEN) {
		i->place = SQ_SQS_IN_DELETED;
		if (!i->called)
			sq_list_push_back(&i->source->deletes, &i->node);
	} else {
		for (unsigned k = 0; k < i->laters && wait < LATER_MAX_MS; k++)
			wait *= 2;
		i->place = SQ_SQS_IN_HELD;
		i->laters++;
		i->held_ms = sq_clock_ms() + (wait < LATER_MAX_MS ? wait : LATER_MAX_MS);
	}
	sq_sqs_in_post(in);
}

static void
inlet_status(const struct sq_inlet *inlet, struct sq_buf *json)
{
	sq_sqs_client_status(inlet_in(inlet)->client, json);
}

/* --- life --- */

static void
inlet_finish(struct sq_sqs_inlet *in)
{
	void (*closed)(void *) = in->closed;
	void *arg = in->closed_arg;

	SQ_LIST_FOR_EACH_SAFE(i, &in->items, struct sq_sqs_in_item, all)
		sq_sqs_in_item_free(in, i);
	sq_worker_alarm_off(&in->alarm);
	sq_sqs_client_free(&in->client);
	free(in->sources);
	free(in);
	closed(arg);
}

static struct sq_inlet *
inlet_open(const struct sq_bridge_env *env, const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	struct sq_sqs_inlet *in = sq_xcalloc(1, sizeof *in);

	in->inlet.ops = &sq_sqs_inlet_ops;
	in->env = env;
	in->cfg = cfg;
	in->alarm.run = inlet_alarm;
	in->task.run = inlet_work;
	sq_list_init(&in->items);
	in->client = sq_sqs_client_open(&(const struct sq_sqs_client_cfg){.env = env,
					    .bridge = cfg,
					    .half = SQ_BRIDGE_IN,
					    .changed = inlet_changed,
					    .arg = in},
	    err);
	if (in->client == NULL) {
		free(in);
		return NULL;
	}
	in->n_sources = cfg->in.n;
	in->sources = sq_xcalloc(in->n_sources, sizeof *in->sources);
	for (unsigned i = 0; i < in->n_sources; i++) {
		struct sq_sqs_in_source *s = &in->sources[i];

		s->inlet = in;
		s->queue = sq_sqs_client_queue(in->client, i);
		s->rule = i;
		s->polls_wanted = 1;
		s->batch = SQ_SQS_BATCH_MAX;
		sq_list_init(&s->deletes);
	}
	return &in->inlet;
}

static void
inlet_close(struct sq_inlet *inlet, unsigned within_ms, void (*closed)(void *arg), void *arg)
{
	struct sq_sqs_inlet *in = inlet_in(inlet);

	in->closing = true;
	in->closed = closed;
	in->closed_arg = arg;
	in->closing_ms = sq_clock_ms() + within_ms;
	sq_sqs_client_stop(in->client);
	sq_sqs_client_cancel(in->client, true);
	in->alarm_ms = 0;
	sq_sqs_in_alarm_at(in, in->closing_ms);
	sq_sqs_in_post(in);
}

const struct sq_inlet_ops sq_sqs_inlet_ops = {.open = inlet_open,
    .demand = inlet_demand,
    .settled = inlet_settled,
    .status = inlet_status,
    .close = inlet_close};
