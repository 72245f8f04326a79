/* Calls that tell the peer what became of messages: deletes, visibility, and what is handed back; see
 * broker/bridge/sqs/in_priv.h. */
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/sqs/in_priv.h"
#include "core/clock.h"
#include "core/mem.h"

enum {
	TELLS_MAX = 8,  /* calls at a time */
	ANSWER = 65536, /* bytes */
};

struct tell {
	struct sq_sqs_call call; /* DELETE, VISIBILITY */
	struct sq_sqs_in_source *source;
	struct sq_sqs_in_item *items[SQ_SQS_BATCH_MAX];
	struct sq_sqs_said said[SQ_SQS_BATCH_MAX];
	unsigned n;
	unsigned visibility_s;
	uint64_t sent_ms;
};

static bool
tell_good(struct sq_sqs_call *call)
{
	struct tell *k = call->arg;

	return sq_sqs_read_batch(call->answer, k->n, k->said) == SQ_OK;
}

/* Whether another try can make it good. */
static bool
tell_again(const struct sq_sqs_said *said)
{
	return said->fault != SQ_SQS_GONE && said->fault != SQ_SQS_MESSAGE &&
	    said->fault != SQ_SQS_REFUSED;
}

/* A delete that fails is tried again as long as its handle may be good. */
static void
tell_deleted(
    struct sq_sqs_inlet *in, struct sq_sqs_in_item *i, const struct sq_sqs_said *said, uint64_t now)
{
	if (said->fault == SQ_SQS_DONE || !tell_again(said) || in->closing ||
	    now > i->hidden_ms + in->cfg->visibility_ms) {
		sq_sqs_in_item_free(in, i);
		return;
	}
	sq_list_push_back(&i->source->deletes, &i->node);
	i->source->deletes_ms = now + sq_sqs_queue_patience(i->source->queue);
	sq_sqs_in_alarm_at(in, i->source->deletes_ms);
}

static void
tell_hidden(struct sq_sqs_inlet *in, struct tell *k, struct sq_sqs_in_item *i,
    const struct sq_sqs_said *said, uint64_t now)
{
	if (i->place == SQ_SQS_IN_BACK)
		sq_sqs_in_item_free(in, i);
	else if (i->place == SQ_SQS_IN_DELETED)
		sq_list_push_back(&i->source->deletes, &i->node);
	else if (said->fault == SQ_SQS_DONE)
		sq_sqs_in_item_hidden(in, i, k->sent_ms);
	else if (!tell_again(said) || now >= i->hidden_ms)
		i->extend_ms = UINT64_MAX; /* it comes again, and is known then */
	else
		sq_sqs_in_alarm_at(
		    in, i->extend_ms = now + sq_sqs_queue_patience(i->source->queue));
}

static void
tell_ended(struct sq_sqs_call *call)
{
	struct tell *k = call->arg;
	struct sq_sqs_inlet *in = k->source->inlet;
	uint64_t now = sq_clock_ms();

	in->n_tells--;
	for (unsigned i = 0; i < k->n; i++) {
		const struct sq_sqs_said *said = call->said.fault == SQ_SQS_DONE ? &k->said[i]
										 : &call->said;

		k->items[i]->called = false;
		if (call->action == SQ_SQS_DELETE)
			tell_deleted(in, k->items[i], said, now);
		else
			tell_hidden(in, k, k->items[i], said, now);
	}
	sq_sqs_call_fini(call);
	free(k);
	sq_sqs_in_post(in);
}

static struct tell *
tell_new(struct sq_sqs_in_source *s, enum sq_sqs_action action)
{
	struct tell *k = sq_xcalloc(1, sizeof *k);

	k->source = s;
	k->call.action = action;
	k->call.queue = s->queue;
	k->call.timeout_ms = SQ_SQS_CALL_MS;
	k->call.max_answer = ANSWER;
	k->call.good = tell_good;
	k->call.ended = tell_ended;
	k->call.arg = k;
	return k;
}

/* Whether a call that tells can be made just now. */
static bool
tell_may(const struct sq_sqs_inlet *in, const struct sq_sqs_in_source *s)
{
	return in->n_tells < TELLS_MAX && s->queue->place.url != NULL &&
	    (in->closing ? sq_clock_ms() < in->closing_ms : sq_sqs_queue_ready(s->queue));
}

/* Sends it with its items; false: it can't be, they are as they were. */
static bool
tell_send(struct sq_sqs_inlet *in, struct tell *k)
{
	struct sq_buf *body = &k->call.body;

	sq_sqs_put_begin(body, k->source->queue->place.url);
	for (unsigned i = 0; i < k->n; i++) {
		struct sq_bytes handle = sq_buf_bytes(&k->items[i]->handle);

		if (k->call.action == SQ_SQS_DELETE)
			sq_sqs_put_delete(body, i, handle);
		else
			sq_sqs_put_visibility(body, i, handle, k->visibility_s);
	}
	sq_sqs_put_end(body);
	k->sent_ms = sq_clock_ms();
	if (sq_sqs_call_send(in->client, &k->call) != SQ_OK) {
		sq_sqs_call_fini(&k->call);
		free(k);
		return false;
	}
	for (unsigned i = 0; i < k->n; i++) {
		sq_list_remove(&k->items[i]->node);
		k->items[i]->called = true;
	}
	in->n_tells++;
	return true;
}

void
sq_sqs_in_delete(struct sq_sqs_inlet *in, struct sq_sqs_in_source *s)
{
	uint64_t now = sq_clock_ms();

	while (!sq_list_empty(&s->deletes) && tell_may(in, s) &&
	    (now >= s->deletes_ms || in->closing)) {
		struct tell *k = tell_new(s, SQ_SQS_DELETE);

		SQ_LIST_FOR_EACH(i, &s->deletes, struct sq_sqs_in_item, node)
			if (k->n < SQ_SQS_BATCH_MAX)
				k->items[k->n++] = i;
		if (!tell_send(in, k))
			return;
	}
}

/* Whether an item's visibility is to be changed, to what 'back' says. */
static bool
tell_is_due(const struct sq_sqs_inlet *in, const struct sq_sqs_in_item *i, bool back, uint64_t now)
{
	const bool here = i->place == SQ_SQS_IN_USER || i->place == SQ_SQS_IN_HELD;
	const bool unwanted = i->place == SQ_SQS_IN_HELD && in->demand == 0;

	if (i->called || !here)
		return false;
	if (in->closing)
		return back;
	return i->extend_ms <= now + in->cfg->visibility_ms / 8 && back == unwanted;
}

void
sq_sqs_in_hide(struct sq_sqs_inlet *in, struct sq_sqs_in_source *s, bool back)
{
	uint64_t now = sq_clock_ms();

	while (tell_may(in, s)) {
		struct tell *k = tell_new(s, SQ_SQS_VISIBILITY);
		struct sq_sqs_in_item *items[SQ_SQS_BATCH_MAX];
		unsigned n;

		SQ_LIST_FOR_EACH(i, &in->items, struct sq_sqs_in_item, all)
			if (k->n < SQ_SQS_BATCH_MAX && i->source == s &&
			    tell_is_due(in, i, back, now))
				k->items[k->n++] = i;
		k->visibility_s = back ? 0 : sq_sqs_in_visibility_s(in);
		n = k->n;
		memcpy(items, k->items, sizeof items);
		if (n == 0) {
			free(k);
			return;
		}
		if (!tell_send(in, k))
			return;
		for (unsigned i = 0; i < n && back; i++) {
			in->n_user -= items[i]->place == SQ_SQS_IN_USER;
			items[i]->place = SQ_SQS_IN_BACK;
		}
	}
}
