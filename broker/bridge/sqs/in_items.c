/* Messages that are here, and when something is to be done; see broker/bridge/sqs/in_priv.h. */
#include <stdlib.h>

#include "broker/bridge/sqs/in_priv.h"
#include "core/clock.h"

void
sq_sqs_in_post(struct sq_sqs_inlet *in)
{
	if (in->posted)
		return;
	in->posted = true;
	in->env->post(in->env->owner, &in->task);
}

void
sq_sqs_in_alarm_at(struct sq_sqs_inlet *in, uint64_t ms)
{
	if (ms == UINT64_MAX || (in->alarm_ms != 0 && in->alarm_ms <= ms))
		return;
	in->alarm_ms = ms;
	sq_worker_alarm(&in->alarm, ms);
}

void
sq_sqs_in_item_free(struct sq_sqs_inlet *in, struct sq_sqs_in_item *i)
{
	if (i->called)
		return;
	sq_list_remove(&i->all);
	sq_list_remove(&i->node);
	in->n_items--;
	i->source->n--;
	sq_sqs_arrival_fini(&i->arrival);
	sq_buf_fini(&i->handle);
	free(i);
}

unsigned
sq_sqs_in_visibility_s(const struct sq_sqs_inlet *in)
{
	return (unsigned)(in->cfg->visibility_ms / 1000);
}

void
sq_sqs_in_item_hidden(struct sq_sqs_inlet *in, struct sq_sqs_in_item *i, uint64_t since_ms)
{
	i->hidden_ms = since_ms + in->cfg->visibility_ms;
	i->extend_ms = since_ms + in->cfg->visibility_ms / 2;
	sq_sqs_in_alarm_at(in, i->extend_ms);
}

void
sq_sqs_in_bring(struct sq_sqs_inlet *in, struct sq_sqs_in_item *const *items, unsigned n)
{
	struct sq_arrived *arrived[SQ_SQS_BATCH_MAX];

	for (unsigned k = 0; k < n; k++) {
		items[k]->place = SQ_SQS_IN_USER;
		arrived[k] = &items[k]->arrival.arrived;
	}
	in->n_user += n;
	if (n > 0)
		in->env->arrived(in->env->owner, arrived, n);
}

/* Brings items, none of which is freed meanwhile; false: one was put off again at once. */
static bool
items_brought(struct sq_sqs_inlet *in, struct sq_sqs_in_item *const *items, unsigned n)
{
	sq_sqs_in_bring(in, items, n);
	for (unsigned k = 0; k < n; k++)
		if (items[k]->place == SQ_SQS_IN_HELD)
			return false;
	return true;
}

void
sq_sqs_in_bring_held(struct sq_sqs_inlet *in)
{
	struct sq_sqs_in_item *batch[SQ_SQS_BATCH_MAX];
	uint64_t now = sq_clock_ms();
	unsigned n = 0;

	SQ_LIST_FOR_EACH(i, &in->items, struct sq_sqs_in_item, all) {
		if (i->place != SQ_SQS_IN_HELD)
			continue;
		if (i->held_ms > now) {
			sq_sqs_in_alarm_at(in, i->held_ms);
			break;
		}
		if (in->n_user + n >= in->demand)
			break;
		batch[n++] = i;
		if (n < SQ_SQS_BATCH_MAX)
			continue;
		/* What comes later waits for that; it was posted that there is work. */
		if (!items_brought(in, batch, n))
			return;
		n = 0;
	}
	sq_sqs_in_bring(in, batch, n);
}
