/* The out half: SendMessageBatch, of as many messages as wait when a call is free.
 *
 *   offered ──▶ waiting, by queue ──▶ in a call ──▶ ended ──▶ the head of its lane: offered()
 *
 * A standard queue has no order, so messages of one lane may be in several calls; they end in order.  A
 * group of a FIFO queue is in one call at a time. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/sqs/client.h"
#include "broker/bridge/sqs/map_out.h"
#include "broker/bridge/sqs/sqs_priv.h"
#include "core/clock.h"
#include "core/fault.h"
#include "core/htab.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	SEND_MS = 30000,
	SEND_ANSWER = 65536, /* bytes; of 10 entries it has some 3,000 */
};

/* Messages of a queue. */
struct out_line {
	struct sq_sqs_queue *queue;
	struct sq_list waiting;
};

/* Lanes, and groups: those that have messages here. */
struct out_key {
	struct sq_hnode node;
	struct sq_list items; /* of a lane, in order */
	unsigned n;           /* messages that hold it */
	bool busy;            /* of a group: it is in a call */
};

enum out_place { OUT_WAITS, OUT_SENT, OUT_ENDED };

struct out_item {
	struct sq_offered *of;
	struct out_line *line;
	struct out_key *lane, *group; /* 'group' NULL: the queue is none of FIFO */
	struct sq_list in_line, in_lane;
	enum out_place place;
	bool alone; /* a call with others was refused: it is sent by itself */
	struct sq_sqs_entry entry;
	struct sq_offer_end end;
	char *why;
};

struct out_call {
	struct sq_sqs_call call;
	struct out_half *f;
	struct out_item *items[SQ_SQS_BATCH_MAX];
	struct sq_sqs_said said[SQ_SQS_BATCH_MAX];
	unsigned n;
};

struct out_half {
	struct sq_forwarder forwarder;
	const struct sq_bridge_env *env;
	const struct sq_bridge_cfg *cfg;
	struct sq_sqs_client *client;
	struct out_line *lines;
	size_t n_lines, next_line;
	struct sq_htab lanes, groups;
	unsigned n_items, n_calls;
	bool full;    /* the user has been told that there is no room */
	bool working; /* within work(): no other begins */
	bool closing;
	struct sq_alarm patience;
	struct sq_task last;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void out_work(struct out_half *);

/* --- lanes and groups --- */

static struct out_key *
key_get(struct sq_htab *all, uint64_t hash)
{
	struct sq_hnode *h = sq_htab_find(all, hash);
	struct out_key *k;

	if (h != NULL) {
		k = SQ_CONTAINER_OF(h, struct out_key, node);
	} else {
		k = sq_xcalloc(1, sizeof *k);
		sq_list_init(&k->items);
		sq_htab_insert(all, &k->node, hash);
	}
	k->n++;
	return k;
}

static void
key_put(struct sq_htab *all, struct out_key *k)
{
	if (k == NULL || --k->n > 0)
		return;
	sq_htab_remove(all, &k->node);
	free(k);
}

/* --- ends --- */

static void
item_free(struct out_half *f, struct out_item *i)
{
	sq_list_remove(&i->in_line);
	sq_list_remove(&i->in_lane);
	key_put(&f->lanes, i->lane);
	key_put(&f->groups, i->group);
	sq_sqs_entry_fini(&i->entry);
	free(i->why);
	free(i);
	f->n_items--;
}

/* Ends what has ended at the head of a lane.  The user may offer more meanwhile. */
static void
lane_report(struct out_half *f, struct out_key *lane)
{
	struct out_item *i;

	lane->n++; /* of this function */
	while ((i = SQ_LIST_FIRST(&lane->items, struct out_item, in_lane)) != NULL &&
	    i->place == OUT_ENDED) {
		struct sq_offered *of = i->of;
		struct sq_offer_end end = i->end;
		char *why = i->why;

		i->why = NULL;
		end.why = why;
		item_free(f, i);
		f->env->offered(f->env->owner, of, &end);
		free(why);
	}
	key_put(&f->lanes, lane);
}

static void
item_end(struct out_item *i, const struct sq_offer_end *end, const char *why)
{
	assert(i->place != OUT_ENDED);
	sq_list_remove(&i->in_line);
	i->place = OUT_ENDED;
	i->end = *end;
	i->why = why != NULL ? sq_xstrdup(why) : NULL;
}

/* What of its lane waits comes later, too: nothing passes what was put off. */
static void
item_hold_lane(struct out_item *i)
{
	const struct sq_offer_end later = {.how = SQ_OFFER_LATER, .after_ms = i->end.after_ms};

	SQ_LIST_FOR_EACH(o, &i->lane->items, struct out_item, in_lane)
		if (o->place == OUT_WAITS)
			item_end(o, &later, NULL);
}

static void
item_later(struct out_item *i, uint32_t after_ms, bool uncertain, const char *why)
{
	item_end(i,
	    &(const struct sq_offer_end){
		.how = SQ_OFFER_LATER, .after_ms = after_ms, .uncertain = uncertain},
	    why);
	item_hold_lane(i);
}

static void
item_never(struct out_item *i, enum sq_offer_never never, const char *why)
{
	item_end(i, &(const struct sq_offer_end){.how = SQ_OFFER_NEVER, .never = never}, why);
}

/* --- answers --- */

/* How long what is put off waits: where no queue can be asked, until one can. */
static uint32_t
out_patience_ms(const struct out_half *f, const struct sq_sqs_queue *q)
{
	for (size_t i = 0; i < f->n_lines; i++)
		if (f->lines[i].queue->open == SQ_SQS_OPEN)
			return sq_sqs_queue_patience(q);
	return 0;
}

/* Sends it once more, by itself; first of those that wait. */
static void
item_alone(struct out_item *i)
{
	i->alone = true;
	i->place = OUT_WAITS;
	sq_list_push_front(&i->line->waiting, &i->in_line);
}

/* What became of one entry. */
static void
item_said(const struct out_half *f, struct out_item *i, const struct sq_sqs_said *said)
{
	switch (said->fault) {
	case SQ_SQS_DONE:
		item_end(i, &(const struct sq_offer_end){.how = SQ_OFFER_ACCEPTED}, NULL);
		break;
	case SQ_SQS_LARGE:
		item_never(i, SQ_OFFER_TOO_LARGE, said->code);
		break;
	case SQ_SQS_MESSAGE:
	case SQ_SQS_REFUSED:
		item_never(i, SQ_OFFER_REFUSED, said->code);
		break;
	case SQ_SQS_UNSURE:
		if (said->named) {
			item_end(
			    i, &(const struct sq_offer_end){.how = SQ_OFFER_FAILED}, said->code);
			item_hold_lane(i);
		} else {
			item_later(i, out_patience_ms(f, i->line->queue), true, said->code);
		}
		break;
	default:
		item_later(i, out_patience_ms(f, i->line->queue), false, said->code);
	}
}

/* What became of a call as a whole that is not done. */
static void
call_failed(struct out_call *k)
{
	const struct sq_sqs_said *said = &k->call.said;
	const bool content = said->fault == SQ_SQS_LARGE || said->fault == SQ_SQS_MESSAGE;

	/* One of them is too much: last first, so that they wait in their order. */
	for (unsigned i = k->n; i-- > 0 && content && k->n > 1 && !k->f->closing;)
		item_alone(k->items[i]);
	for (unsigned i = 0; i < k->n; i++) {
		struct out_item *item = k->items[i];

		if (item->place != OUT_SENT)
			continue;
		if (content && k->n == 1)
			item_said(k->f, item, said);
		else
			item_later(item, out_patience_ms(k->f, item->line->queue),
			    said->fault == SQ_SQS_UNSURE, said->code);
	}
}

static bool
call_good(struct sq_sqs_call *call)
{
	struct out_call *k = call->arg;

	return sq_sqs_read_batch(call->answer, k->n, k->said) == SQ_OK;
}

static void
call_ended(struct sq_sqs_call *call)
{
	struct out_call *k = call->arg;
	struct out_half *f = k->f;
	struct out_key *lanes[SQ_SQS_BATCH_MAX];
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
	out_work(f); /* the next call does not wait for what the user does with these */
	for (unsigned i = 0; i < n; i++) {
		lane_report(f, lanes[i]);
		key_put(&f->lanes, lanes[i]);
	}
	out_work(f);
}

/* --- calls --- */

/* Takes what the next call has off those that wait; returns how many. */
static unsigned
line_batch(const struct out_half *f, struct out_line *l, struct out_item *batch[SQ_SQS_BATCH_MAX])
{
	size_t size = 0;
	unsigned n = 0;

	SQ_LIST_FOR_EACH(i, &l->waiting, struct out_item, in_line) {
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
		batch[k]->place = OUT_SENT;
		if (batch[k]->group != NULL)
			batch[k]->group->busy = true;
	}
	return n;
}

/* The queue can't be asked: they wait on, where they were. */
static void
line_unbatch(struct out_call *k)
{
	for (unsigned i = k->n; i-- > 0;) {
		k->items[i]->place = OUT_WAITS;
		if (k->items[i]->group != NULL)
			k->items[i]->group->busy = false;
		sq_list_push_front(&k->items[i]->line->waiting, &k->items[i]->in_line);
	}
	sq_sqs_call_fini(&k->call);
	free(k);
}

/* Sends a call; false: there is nothing to send, or no way. */
static bool
line_send(struct out_half *f, struct out_line *l)
{
	struct out_call *k;

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

/* What waits for a queue that is away goes back. */
static void
line_give_back(struct out_half *f, struct out_line *l, const char *why)
{
	struct out_item *i;

	while ((i = SQ_LIST_FIRST(&l->waiting, struct out_item, in_line)) != NULL) {
		struct out_key *lane = i->lane;

		lane->n++; /* until it is reported */
		item_later(i, f->closing ? 0 : out_patience_ms(f, l->queue), false, why);
		lane_report(f, lane);
		key_put(&f->lanes, lane);
	}
}

static unsigned
out_has_room(const struct out_half *f)
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
out_room(struct out_half *f)
{
	bool full = out_has_room(f) == 0, was = f->full;

	f->full = full;
	if (was && !full)
		f->env->room(f->env->owner);
}

static void
out_give_back(struct out_half *f)
{
	for (size_t i = 0; i < f->n_lines; i++)
		if (f->lines[i].queue->down && f->lines[i].queue->open != SQ_SQS_OPEN)
			line_give_back(f, &f->lines[i], f->lines[i].queue->why);
}

/* Sends what can be sent, and gives back what can't. */
static void
out_work(struct out_half *f)
{
	size_t idle = 0;

	if (f->working || f->closing)
		return;
	f->working = true;
	while (f->n_calls < f->cfg->parallel && idle < f->n_lines) {
		struct out_line *l = &f->lines[f->next_line];

		f->next_line = (f->next_line + 1) % f->n_lines;
		idle = line_send(f, l) ? 0 : idle + 1;
	}
	out_give_back(f);
	f->working = false;
	out_room(f);
}

/* --- offers --- */

static struct out_half *
forwarder_out(const struct sq_forwarder *forwarder)
{
	return SQ_CONTAINER_OF(
	    (struct sq_forwarder *)(uintptr_t)forwarder, struct out_half, forwarder);
}

static struct out_line *
out_line(const struct out_half *f, unsigned rule)
{
	struct sq_sqs_queue *q = sq_sqs_client_queue(f->client, rule);
	size_t i = 0;

	while (f->lines[i].queue != q)
		i++;
	return &f->lines[i];
}

/* Makes its entry; what has none ends. */
static void
item_map(struct out_half *f, struct out_item *i)
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
		item_never(i, rc == SQ_ETOOBIG ? SQ_OFFER_TOO_LARGE : SQ_OFFER_UNMAPPABLE,
		    (const char *)sq_buf_data(&why));
	} else if (out.fifo) {
		hash = sq_hash(i->entry.group, strlen(i->entry.group)) ^
		    sq_hash_u64((uint64_t)(i->line - f->lines) + 1);
		i->group = key_get(&f->groups, hash);
	}
	sq_buf_fini(&why);
}

static void
forwarder_offer(struct sq_forwarder *forwarder, struct sq_offered *const *items, size_t n)
{
	struct out_half *f = forwarder_out(forwarder);

	for (size_t k = 0; k < n; k++) {
		struct out_item *i = sq_xcalloc(1, sizeof *i);
		struct out_key *lane;

		f->n_items++;
		i->of = items[k];
		i->of->held = i;
		i->line = out_line(f, items[k]->rule);
		i->lane = lane = key_get(&f->lanes, items[k]->lane);
		sq_list_init(&i->in_line);
		sq_list_push_back(&i->lane->items, &i->in_lane);
		item_map(f, i);
		if (i->place == OUT_WAITS)
			sq_list_push_back(&i->line->waiting, &i->in_line);
		else
			lane_report(f, lane);
	}
	f->full = out_has_room(f) == 0;
	out_work(f);
}

/* --- life --- */

static void
out_free(struct out_half *f)
{
	sq_worker_alarm_off(&f->patience);
	sq_sqs_client_free(&f->client);
	sq_htab_fini(&f->lanes);
	sq_htab_fini(&f->groups);
	free(f->lines);
	free(f);
}

static void
out_finish(struct out_half *f)
{
	void (*closed)(void *) = f->closed;
	void *arg = f->closed_arg;

	assert(f->n_items == 0);
	out_free(f);
	closed(arg);
}

static void
out_last(struct sq_task *t)
{
	out_finish(SQ_CONTAINER_OF(t, struct out_half, last));
}

static void
out_changed(void *arg)
{
	struct out_half *f = arg;

	if (f->closing)
		out_finish(f);
	else
		out_work(f);
}

static void
out_patience(struct sq_alarm *a)
{
	sq_sqs_client_cancel(SQ_CONTAINER_OF(a, struct out_half, patience)->client, false);
}

static struct sq_forwarder *
forwarder_open(const struct sq_bridge_env *env, const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	struct out_half *f = sq_xcalloc(1, sizeof *f);

	f->forwarder.ops = &sq_sqs_forwarder_ops;
	f->env = env;
	f->cfg = cfg;
	f->patience.run = out_patience;
	f->last.run = out_last;
	f->full = true;
	f->client = sq_sqs_client_open(
	    &(const struct sq_sqs_client_cfg){
		.env = env, .bridge = cfg, .half = SQ_BRIDGE_OUT, .changed = out_changed, .arg = f},
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
	return out_has_room(forwarder_out(forwarder));
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
	struct out_half *f = forwarder_out(forwarder);

	f->closing = true;
	f->closed = closed;
	f->closed_arg = arg;
	for (size_t i = 0; i < f->n_lines; i++)
		line_give_back(f, &f->lines[i], NULL);
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
