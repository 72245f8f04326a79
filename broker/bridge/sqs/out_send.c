/* Calls that send, and what became of them; see broker/bridge/sqs/out_priv.h. */
#include <stdlib.h>

#include "broker/bridge/sqs/out_priv.h"
#include "core/fault.h"
#include "core/mem.h"

enum {
	SEND_MS = 30000,
	SEND_ANSWER = 65536, /* bytes; of 10 entries it has some 3,000 */
};

struct call {
	struct sq_sqs_call call;
	struct sq_sqs_forwarder *f;
	struct sq_sqs_out_item *items[SQ_SQS_BATCH_MAX];
	struct sq_sqs_said said[SQ_SQS_BATCH_MAX];
	unsigned n;
};

/* --- answers --- */

/* How long what is put off waits: where no queue can be asked, until one can. */
static uint32_t
call_patience_ms(const struct sq_sqs_forwarder *f, const struct sq_sqs_queue *q)
{
	for (size_t i = 0; i < f->n_lines; i++)
		if (f->lines[i].queue->open == SQ_SQS_OPEN)
			return sq_sqs_queue_patience(q);
	return 0;
}

/* Sends it once more, by itself; first of those that wait. */
static void
item_alone(struct sq_sqs_out_item *i)
{
	i->alone = true;
	i->place = SQ_SQS_OUT_WAITS;
	sq_list_push_front(&i->line->waiting, &i->in_line);
}

/* What became of one entry. */
static void
item_said(
    const struct sq_sqs_forwarder *f, struct sq_sqs_out_item *i, const struct sq_sqs_said *said)
{
	switch (said->fault) {
	case SQ_SQS_DONE:
		sq_sqs_out_end(i, &(const struct sq_offer_end){.how = SQ_OFFER_ACCEPTED}, NULL);
		break;
	case SQ_SQS_LARGE:
		sq_sqs_out_never(i, SQ_OFFER_TOO_LARGE, said->code);
		break;
	case SQ_SQS_MESSAGE:
	case SQ_SQS_REFUSED:
		sq_sqs_out_never(i, SQ_OFFER_REFUSED, said->code);
		break;
	case SQ_SQS_UNSURE:
		if (said->named) {
			sq_sqs_out_end(
			    i, &(const struct sq_offer_end){.how = SQ_OFFER_FAILED}, said->code);
			sq_sqs_out_hold_lane(i);
		} else {
			sq_sqs_out_later(i, call_patience_ms(f, i->line->queue), true, said->code);
		}
		break;
	default:
		sq_sqs_out_later(i, call_patience_ms(f, i->line->queue), false, said->code);
	}
}

/* What became of a call as a whole that is not done. */
static void
call_failed(struct call *k)
{
	const struct sq_sqs_said *said = &k->call.said;
	const bool content = said->fault == SQ_SQS_LARGE || said->fault == SQ_SQS_MESSAGE;

	/* One of them is too much: last first, so that they wait in their order. */
	for (unsigned i = k->n; i-- > 0 && content && k->n > 1 && !k->f->closing;)
		item_alone(k->items[i]);
	for (unsigned i = 0; i < k->n; i++) {
		struct sq_sqs_out_item *item = k->items[i];

		if (item->place != SQ_SQS_OUT_SENT)
			continue;
		if (content && k->n == 1)
			item_said(k->f, item, said);
		else
			sq_sqs_out_later(item, call_patience_ms(k->f, item->line->queue),
			    said->fault == SQ_SQS_UNSURE, said->code);
	}
}

static bool
call_good(struct sq_sqs_call *call)
{
	struct call *k = call->arg;

	return sq_sqs_read_batch(call->answer, k->n, k->said) == SQ_OK;
}

static void
call_ended(struct sq_sqs_call *call)
{
	struct call *k = call->arg;
	struct sq_sqs_forwarder *f = k->f;
	struct sq_sqs_out_key *lanes[SQ_SQS_BATCH_MAX];
	unsigned n = k->n;

	f->n_calls--;
	for (unsigned i = 0; i < n; i++) {
		lanes[i] = k->items[i]->lane;
		lanes[i]->n++; /* until it is reported */
		if (k->items[i]->group != NULL)
			k->items[i]->group->busy = false;
	}
	if (call->said.fault != SQ_SQS_DONE)
		call_failed(k);
	for (unsigned i = 0; i < n && call->said.fault == SQ_SQS_DONE; i++)
		item_said(f, k->items[i], &k->said[i]);
	sq_sqs_call_fini(call);
	free(k);
	sq_sqs_out_work(f); /* the next call does not wait for what the user does with these */
	for (unsigned i = 0; i < n; i++) {
		sq_sqs_out_report(f, lanes[i]);
		sq_sqs_out_key_put(&f->lanes, lanes[i]);
	}
	sq_sqs_out_work(f);
}

/* --- calls --- */

/* Takes what the next call has off those that wait; returns how many. */
static unsigned
line_batch(const struct sq_sqs_forwarder *f, struct sq_sqs_out_line *l,
    struct sq_sqs_out_item *batch[SQ_SQS_BATCH_MAX])
{
	size_t size = 0;
	unsigned n = 0;

	SQ_LIST_FOR_EACH(i, &l->waiting, struct sq_sqs_out_item, in_line) {
		if (n == SQ_SQS_BATCH_MAX || (n > 0 && (i->alone || batch[0]->alone)))
			break;
		if (i->group != NULL && i->group->busy)
			continue;
		if (n > 0 && size + i->entry.size > f->cfg->max_size)
			break;
		size += i->entry.size;
		batch[n++] = i;
	}
	for (unsigned k = 0; k < n; k++) {
		sq_list_remove(&batch[k]->in_line);
		batch[k]->place = SQ_SQS_OUT_SENT;
		if (batch[k]->group != NULL)
			batch[k]->group->busy = true;
	}
	return n;
}

/* The queue can't be asked: they wait on, where they were. */
static void
line_unbatch(struct call *k)
{
	for (unsigned i = k->n; i-- > 0;) {
		k->items[i]->place = SQ_SQS_OUT_WAITS;
		if (k->items[i]->group != NULL)
			k->items[i]->group->busy = false;
		sq_list_push_front(&k->items[i]->line->waiting, &k->items[i]->in_line);
	}
	sq_sqs_call_fini(&k->call);
	free(k);
}

/* Sends a call; false: there is nothing to send, or no way. */
static bool
line_send(struct sq_sqs_forwarder *f, struct sq_sqs_out_line *l)
{
	struct call *k;

	if (sq_list_empty(&l->waiting) || !sq_sqs_queue_ready(l->queue))
		return false;
	k = sq_xcalloc(1, sizeof *k);
	k->f = f;
	k->n = line_batch(f, l, k->items);
	if (k->n == 0) {
		free(k);
		return false;
	}
	k->call.action = SQ_SQS_SEND;
	k->call.queue = l->queue;
	k->call.timeout_ms = SEND_MS;
	k->call.max_answer = SEND_ANSWER;
	k->call.good = call_good;
	k->call.ended = call_ended;
	k->call.arg = k;
	sq_sqs_put_begin(&k->call.body, l->queue->place.url);
	for (unsigned i = 0; i < k->n; i++)
		sq_sqs_put_message(&k->call.body, i, sq_buf_bytes(&k->items[i]->entry.json));
	sq_sqs_put_end(&k->call.body);
	if (sq_sqs_call_send(f->client, &k->call) != SQ_OK) {
		line_unbatch(k);
		return false;
	}
	f->n_calls++;
	SQ_FAULT("broker-bridge-sqs-sent");
	return true;
}

/* --- work --- */

void
sq_sqs_out_give_back(struct sq_sqs_forwarder *f, struct sq_sqs_out_line *l, const char *why)
{
	struct sq_sqs_out_item *i;

	while ((i = SQ_LIST_FIRST(&l->waiting, struct sq_sqs_out_item, in_line)) != NULL) {
		struct sq_sqs_out_key *lane = i->lane;

		lane->n++; /* until it is reported */
		sq_sqs_out_later(i, f->closing ? 0 : call_patience_ms(f, l->queue), false, why);
		sq_sqs_out_report(f, lane);
		sq_sqs_out_key_put(&f->lanes, lane);
	}
}

unsigned
sq_sqs_out_room(const struct sq_sqs_forwarder *f)
{
	bool open = false, sure = false;
	unsigned room = (unsigned)f->cfg->window;

	for (size_t i = 0; i < f->n_lines; i++) {
		const struct sq_sqs_queue *q = f->lines[i].queue;

		open = open || q->open == SQ_SQS_OPEN;
		sure = sure || (q->open == SQ_SQS_OPEN && !q->proof);
	}
	/* Some have to prove that they are let in; others need not come in vain. */
	if (!sure && room > SQ_SQS_BATCH_MAX)
		room = SQ_SQS_BATCH_MAX;
	return !open || f->closing || f->n_items >= room ? 0 : room - f->n_items;
}

static void
work_room(struct sq_sqs_forwarder *f)
{
	bool full = sq_sqs_out_room(f) == 0, was = f->full;

	f->full = full;
	if (was && !full)
		f->env->room(f->env->owner);
}

static void
work_give_back(struct sq_sqs_forwarder *f)
{
	for (size_t i = 0; i < f->n_lines; i++)
		if (f->lines[i].queue->down && f->lines[i].queue->open != SQ_SQS_OPEN)
			sq_sqs_out_give_back(f, &f->lines[i], f->lines[i].queue->why);
}

void
sq_sqs_out_work(struct sq_sqs_forwarder *f)
{
	size_t idle = 0;

	if (f->working || f->closing)
		return;
	f->working = true;
	while (f->n_calls < f->cfg->parallel && idle < f->n_lines) {
		struct sq_sqs_out_line *l = &f->lines[f->next_line];

		f->next_line = (f->next_line + 1) % f->n_lines;
		idle = line_send(f, l) ? 0 : idle + 1;
	}
	work_give_back(f);
	f->working = false;
	work_room(f);
}
