/* Calls that receive, by long polls; see broker/bridge/sqs/in_priv.h. */
#include <stdlib.h>

#include "broker/bridge/sqs/in_priv.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	MESSAGE_OVERHEAD = 8192, /* bytes of a message in an answer beside its body */
	FITTED_MAX = 32,         /* answers that fit until one more message is asked for */
};

struct receive {
	struct sq_sqs_call call;
	struct sq_sqs_in_source *source;
	unsigned asked;
	uint64_t sent_ms;
	struct sq_sqs_messages messages;
};

static bool
receive_good(struct sq_sqs_call *call)
{
	struct receive *k = call->arg;

	return sq_sqs_read_messages(call->answer, &k->messages) == SQ_OK;
}

/* Makes an item of a message; NULL: it came damaged, and comes again. */
static struct sq_sqs_in_item *
receive_item(struct sq_sqs_inlet *in, struct receive *k, const struct sq_sqs_received *r)
{
	const struct sq_json_tokens *t = &k->messages.tokens;
	const struct sq_sqs_in cfg = {.cfg = in->cfg,
	    .rule = sq_bridge_cfg_in(in->cfg, k->source->rule),
	    .space = in->env->space,
	    .queue = k->source->queue->place.name,
	    .max_packet = in->env->max_packet,
	    .wall_ms = sq_clock_wall_ms()};
	struct sq_buf body = {0};
	struct sq_sqs_in_item *i;
	bool whole;

	sq_json_unescape(t, r->body, &body);
	whole = sq_sqs_body_whole(
	    sq_buf_bytes(&body), r->md5 != 0 ? sq_json_raw(t, r->md5) : (struct sq_bytes){0});
	sq_buf_fini(&body);
	if (!whole)
		return NULL;
	i = sq_xcalloc(1, sizeof *i);
	i->source = k->source;
	sq_list_init(&i->node);
	sq_list_push_back(&in->items, &i->all);
	in->n_items++;
	i->source->n++;
	sq_json_unescape(t, r->handle, &i->handle);
	sq_sqs_map_in(&cfg, &k->messages, r, &i->arrival);
	i->arrival.arrived.rule = k->source->rule;
	i->arrival.arrived.held = i;
	sq_sqs_in_item_hidden(in, i, k->sent_ms);
	return i;
}

/* Fewer messages at a time where they were too large for an answer.  What was in it is hidden, and was
 * counted as received, so more are tried slowly. */
static void
receive_adapt_batch(struct sq_sqs_in_source *s, const struct receive *k)
{
	if (k->call.large && s->batch > 1) {
		s->batch /= 2;
		s->fitted = 0;
	} else if (k->call.said.fault == SQ_SQS_DONE && k->messages.n > 0 &&
	    s->batch < SQ_SQS_BATCH_MAX && ++s->fitted == FITTED_MAX) {
		s->batch++;
		s->fitted = 0;
	}
}

/* More calls while there is more than one brings, fewer while there is nothing. */
static void
receive_adapt(struct sq_sqs_inlet *in, struct receive *k)
{
	struct sq_sqs_in_source *s = k->source;
	unsigned most = (unsigned)sq_bridge_cfg_in(in->cfg, s->rule)->parallel;

	receive_adapt_batch(s, k);
	if (k->call.said.fault != SQ_SQS_DONE)
		s->polls_wanted = 1;
	else if (k->messages.n == k->asked && s->polls_wanted < most)
		s->polls_wanted++;
	else if (k->messages.n == 0 && s->polls_wanted > 1)
		s->polls_wanted--;
}

static void
receive_ended(struct sq_sqs_call *call)
{
	struct receive *k = call->arg;
	struct sq_sqs_inlet *in = k->source->inlet;
	struct sq_sqs_in_item *batch[SQ_SQS_BATCH_MAX];
	unsigned n = 0, damaged = 0;

	k->source->polls--;
	k->source->asked -= k->asked;
	receive_adapt(in, k);
	for (unsigned i = 0; i < k->messages.n && call->said.fault == SQ_SQS_DONE; i++) {
		struct sq_sqs_in_item *item = receive_item(in, k, &k->messages.v[i]);

		if (item == NULL) {
			damaged++;
			continue;
		}
		/* Nobody wants it any more, or not yet. */
		if (in->closing || in->n_user + n >= in->demand)
			item->place = SQ_SQS_IN_HELD;
		else
			batch[n++] = item;
	}
	if (damaged > 0 && k->source->vain.n == 0)
		SQ_WARN(in->env->scope, "%u messages of queue %s came damaged, and come again",
		    damaged, k->source->queue->place.name);
	sq_sqs_vain(&k->source->vain,
	    call->said.fault == SQ_SQS_DONE && k->messages.n == damaged &&
		(damaged > 0 || sq_clock_ms() - k->sent_ms < in->cfg->wait_ms / 2));
	sq_sqs_messages_fini(&k->messages);
	sq_sqs_call_fini(call);
	free(k);
	sq_sqs_in_bring(in, batch, n);
	sq_sqs_in_post(in);
}

/* How many messages a source's next call may bring: each has an equal part of what is wanted. */
static unsigned
receive_share(const struct sq_sqs_inlet *in, const struct sq_sqs_in_source *s)
{
	unsigned used = in->n_items, share = in->demand / (unsigned)in->n_sources;
	unsigned most = (unsigned)sq_bridge_cfg_in(in->cfg, s->rule)->prefetch;

	for (size_t i = 0; i < in->n_sources; i++)
		used += in->sources[i].asked;
	if (share == 0)
		share = 1;
	if (share > most)
		share = most;
	if (used >= in->demand || s->n + s->asked >= share)
		return 0;
	share -= s->n + s->asked;
	if (share > in->demand - used)
		share = in->demand - used;
	return share < s->batch ? share : s->batch;
}

void
sq_sqs_in_receive(struct sq_sqs_inlet *in, struct sq_sqs_in_source *s)
{
	unsigned n;

	if (sq_clock_ms() < s->vain.until_ms) {
		sq_sqs_in_alarm_at(in, s->vain.until_ms);
		return;
	}
	while (s->polls < s->polls_wanted && sq_sqs_queue_ready(s->queue) &&
	    (n = receive_share(in, s)) > 0) {
		struct receive *k = sq_xcalloc(1, sizeof *k);

		k->source = s;
		k->asked = n;
		k->sent_ms = sq_clock_ms();
		k->call.action = SQ_SQS_RECEIVE;
		k->call.queue = s->queue;
		k->call.timeout_ms = (unsigned)in->cfg->wait_ms + SQ_SQS_CALL_MS;
		/* Quotes and such have two bytes in JSON. */
		k->call.max_answer = n * (2 * (size_t)SQ_SQS_MESSAGE_MAX + MESSAGE_OVERHEAD);
		k->call.good = receive_good;
		k->call.ended = receive_ended;
		k->call.arg = k;
		sq_sqs_put_receive(&k->call.body, s->queue->place.url, n,
		    (unsigned)(in->cfg->wait_ms / 1000), sq_sqs_in_visibility_s(in));
		if (sq_sqs_call_send(in->client, &k->call) != SQ_OK) {
			sq_sqs_call_fini(&k->call);
			free(k);
			return;
		}
		s->polls++;
		s->asked += n;
	}
}
