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
#include <string.h>

#include "broker/bridge/sqs/client.h"
#include "broker/bridge/sqs/map_in.h"
#include "broker/bridge/sqs/sqs_priv.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	CALL_MS = 15000,         /* beside the wait of a long poll */
	BATCH_ANSWER = 65536,    /* bytes */
	MESSAGE_OVERHEAD = 8192, /* bytes of a message in an answer beside its body */
	TELLS_MAX = 8,           /* calls at a time that delete, or change visibility */
	LATER_MAX_MS = 15000,
};

/* A rule's queue. */
struct in_source {
	struct in_half *inlet;
	struct sq_sqs_queue *queue;
	unsigned rule, polls, polls_wanted;
	unsigned asked;         /* messages that calls which are out may bring */
	unsigned batch;         /* messages of a call */
	unsigned n;             /* items */
	struct sq_list deletes; /* items that are to be deleted */
	uint64_t deletes_ms;    /* not before that */
	struct sq_sqs_vain vain;
};

enum in_place { IN_USER, IN_HELD, IN_DELETED, IN_BACK };

struct in_item {
	struct sq_sqs_arrival arrival;
	struct in_source *source;
	struct sq_list all;  /* of the inlet, in the order of arrival */
	struct sq_list node; /* in_source.deletes */
	enum in_place place;
	bool called; /* in a call that deletes it, or changes its visibility */
	unsigned laters;
	uint64_t held_ms;   /* HELD: until then */
	uint64_t hidden_ms; /* from others until then */
	uint64_t extend_ms; /* when that is made longer; UINT64_MAX: it can't be */
	struct sq_buf handle;
};

/* A call, of any kind. */
struct in_call {
	struct sq_sqs_call call;
	struct in_source *source;
	/* RECEIVE */
	unsigned asked;
	struct sq_sqs_messages messages;
	/* DELETE, VISIBILITY */
	struct in_item *items[SQ_SQS_BATCH_MAX];
	struct sq_sqs_said said[SQ_SQS_BATCH_MAX];
	unsigned n;
	unsigned visibility_s;
	uint64_t sent_ms;
};

struct in_half {
	struct sq_inlet inlet;
	const struct sq_bridge_env *env;
	const struct sq_bridge_cfg *cfg;
	struct sq_sqs_client *client;
	struct in_source *sources;
	size_t n_sources;
	struct sq_list items;
	unsigned n_items, n_user, demand, n_tells;
	struct sq_alarm alarm;
	uint64_t alarm_ms; /* 0: none */
	struct sq_task task;
	bool posted, closing;
	uint64_t closing_ms;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void in_post(struct in_half *);
static void in_finish(struct in_half *);

static void
in_alarm_at(struct in_half *in, uint64_t ms)
{
	if (ms == UINT64_MAX || (in->alarm_ms != 0 && in->alarm_ms <= ms))
		return;
	in->alarm_ms = ms;
	sq_worker_alarm(&in->alarm, ms);
}

/* --- items --- */

/* Frees it, unless a call has it. */
static void
item_free(struct in_half *in, struct in_item *i)
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

static unsigned
in_visibility_s(const struct in_half *in)
{
	return (unsigned)(in->cfg->visibility_ms / 1000);
}

static void
item_hidden(struct in_half *in, struct in_item *i, uint64_t since_ms)
{
	i->hidden_ms = since_ms + in->cfg->visibility_ms;
	i->extend_ms = since_ms + in->cfg->visibility_ms / 2;
	in_alarm_at(in, i->extend_ms);
}

/* Brings items to the user, in order. */
static void
in_bring(struct in_half *in, struct in_item *const *items, unsigned n)
{
	struct sq_arrived *arrived[SQ_SQS_BATCH_MAX];

	for (unsigned k = 0; k < n; k++) {
		items[k]->place = IN_USER;
		arrived[k] = &items[k]->arrival.arrived;
	}
	in->n_user += n;
	if (n > 0)
		in->env->arrived(in->env->owner, arrived, n);
}

/* Brings what was held, as far as it is wanted: never what came later before what came earlier. */
static void
in_bring_held(struct in_half *in)
{
	struct in_item *batch[SQ_SQS_BATCH_MAX];
	uint64_t now = sq_clock_ms();
	unsigned n;

	do {
		n = 0;
		SQ_LIST_FOR_EACH(i, &in->items, struct in_item, all) {
			if (i->place != IN_HELD)
				continue;
			if (i->held_ms > now) {
				in_alarm_at(in, i->held_ms);
				break;
			}
			if (n == SQ_SQS_BATCH_MAX || in->n_user + n >= in->demand)
				break;
			batch[n++] = i;
		}
		in_bring(in, batch, n);
	} while (n == SQ_SQS_BATCH_MAX);
}

/* --- calls that tell --- */

static bool
tell_good(struct sq_sqs_call *call)
{
	struct in_call *k = call->arg;

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
tell_deleted(struct in_half *in, struct in_item *i, const struct sq_sqs_said *said, uint64_t now)
{
	if (said->fault == SQ_SQS_DONE || !tell_again(said) || in->closing ||
	    now > i->hidden_ms + in->cfg->visibility_ms) {
		item_free(in, i);
		return;
	}
	sq_list_push_back(&i->source->deletes, &i->node);
	i->source->deletes_ms = now + sq_sqs_queue_patience(i->source->queue);
	in_alarm_at(in, i->source->deletes_ms);
}

static void
tell_hidden(struct in_half *in, struct in_call *k, struct in_item *i,
    const struct sq_sqs_said *said, uint64_t now)
{
	if (i->place == IN_BACK)
		item_free(in, i);
	else if (i->place == IN_DELETED)
		sq_list_push_back(&i->source->deletes, &i->node);
	else if (said->fault == SQ_SQS_DONE)
		item_hidden(in, i, k->sent_ms);
	else if (!tell_again(said) || now >= i->hidden_ms)
		i->extend_ms = UINT64_MAX; /* it comes again, and is known then */
	else
		in_alarm_at(in, i->extend_ms = now + sq_sqs_queue_patience(i->source->queue));
}

static void
tell_ended(struct sq_sqs_call *call)
{
	struct in_call *k = call->arg;
	struct in_half *in = k->source->inlet;
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
	in_post(in);
}

static struct in_call *
tell_new(struct in_source *s, enum sq_sqs_action action)
{
	struct in_call *k = sq_xcalloc(1, sizeof *k);

	k->source = s;
	k->call.action = action;
	k->call.queue = s->queue;
	k->call.timeout_ms = CALL_MS;
	k->call.max_answer = BATCH_ANSWER;
	k->call.good = tell_good;
	k->call.ended = tell_ended;
	k->call.arg = k;
	return k;
}

/* Whether a call that tells can be made just now. */
static bool
tell_may(const struct in_half *in, const struct in_source *s)
{
	return in->n_tells < TELLS_MAX && s->queue->place.url != NULL &&
	    (in->closing ? sq_clock_ms() < in->closing_ms : sq_sqs_queue_ready(s->queue));
}

/* Sends it with its items; false: it can't be, they are as they were. */
static bool
tell_send(struct in_half *in, struct in_call *k)
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

static void
source_delete(struct in_half *in, struct in_source *s)
{
	uint64_t now = sq_clock_ms();

	while (!sq_list_empty(&s->deletes) && tell_may(in, s) &&
	    (now >= s->deletes_ms || in->closing)) {
		struct in_call *k = tell_new(s, SQ_SQS_DELETE);

		SQ_LIST_FOR_EACH(i, &s->deletes, struct in_item, node)
			if (k->n < SQ_SQS_BATCH_MAX)
				k->items[k->n++] = i;
		if (!tell_send(in, k))
			return;
	}
}

/* Whether an item's visibility is to be changed, to what 'back' says. */
static bool
item_is_due(const struct in_half *in, const struct in_item *i, bool back, uint64_t now)
{
	const bool here = i->place == IN_USER || i->place == IN_HELD;
	const bool unwanted = i->place == IN_HELD && in->demand == 0;

	if (i->called || !here)
		return false;
	if (in->closing)
		return back;
	return i->extend_ms <= now + in->cfg->visibility_ms / 8 && back == unwanted;
}

/* Makes the hidden time of a source's items longer where it is half over, or ('back') ends it. */
static void
source_hide(struct in_half *in, struct in_source *s, bool back)
{
	uint64_t now = sq_clock_ms();

	while (tell_may(in, s)) {
		struct in_call *k = tell_new(s, SQ_SQS_VISIBILITY);
		struct in_item *items[SQ_SQS_BATCH_MAX];
		unsigned n;

		SQ_LIST_FOR_EACH(i, &in->items, struct in_item, all)
			if (k->n < SQ_SQS_BATCH_MAX && i->source == s &&
			    item_is_due(in, i, back, now))
				k->items[k->n++] = i;
		k->visibility_s = back ? 0 : in_visibility_s(in);
		n = k->n;
		memcpy(items, k->items, sizeof items);
		if (n == 0) {
			free(k);
			return;
		}
		if (!tell_send(in, k))
			return;
		for (unsigned i = 0; i < n && back; i++) {
			in->n_user -= items[i]->place == IN_USER;
			items[i]->place = IN_BACK;
		}
	}
}

/* --- calls that receive --- */

static bool
receive_good(struct sq_sqs_call *call)
{
	struct in_call *k = call->arg;

	return sq_sqs_read_messages(call->answer, &k->messages) == SQ_OK;
}

/* Makes an item of a message; NULL: it came damaged, and comes again. */
static struct in_item *
receive_item(struct in_half *in, struct in_call *k, const struct sq_sqs_received *r)
{
	const struct sq_json_tokens *t = &k->messages.tokens;
	const struct sq_sqs_in cfg = {.cfg = in->cfg,
	    .rule = sq_bridge_cfg_in(in->cfg, k->source->rule),
	    .space = in->env->space,
	    .queue = k->source->queue->place.name,
	    .max_packet = in->env->max_packet,
	    .wall_ms = sq_clock_wall_ms()};
	struct sq_buf body = {0};
	struct in_item *i;
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
	item_hidden(in, i, k->sent_ms);
	return i;
}

/* More calls while there is more than one brings, fewer while there is nothing. */
static void
receive_adapt(struct in_half *in, struct in_call *k)
{
	struct in_source *s = k->source;
	unsigned most = (unsigned)sq_bridge_cfg_in(in->cfg, s->rule)->parallel;

	if (k->call.large && s->batch > 1)
		s->batch /= 2;
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
	struct in_call *k = call->arg;
	struct in_half *in = k->source->inlet;
	struct in_item *batch[SQ_SQS_BATCH_MAX];
	unsigned n = 0, damaged = 0;

	k->source->polls--;
	k->source->asked -= k->asked;
	receive_adapt(in, k);
	for (unsigned i = 0; i < k->messages.n && call->said.fault == SQ_SQS_DONE; i++) {
		struct in_item *item = receive_item(in, k, &k->messages.v[i]);

		if (item == NULL) {
			damaged++;
			continue;
		}
		/* Nobody wants it any more, or not yet. */
		if (in->closing || in->n_user + n >= in->demand)
			item->place = IN_HELD;
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
	in_bring(in, batch, n);
	in_post(in);
}

/* How many messages a source's next call may bring: each has an equal part of what is wanted. */
static unsigned
source_share(const struct in_half *in, const struct in_source *s)
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

static void
source_receive(struct in_half *in, struct in_source *s)
{
	unsigned n;

	if (sq_clock_ms() < s->vain.until_ms) {
		in_alarm_at(in, s->vain.until_ms);
		return;
	}
	while (s->polls < s->polls_wanted && sq_sqs_queue_ready(s->queue) &&
	    (n = source_share(in, s)) > 0) {
		struct in_call *k = sq_xcalloc(1, sizeof *k);

		k->source = s;
		k->asked = n;
		k->sent_ms = sq_clock_ms();
		k->call.action = SQ_SQS_RECEIVE;
		k->call.queue = s->queue;
		k->call.timeout_ms = (unsigned)in->cfg->wait_ms + CALL_MS;
		/* Quotes and such have two bytes in JSON. */
		k->call.max_answer = n * (2 * (size_t)SQ_SQS_MESSAGE_MAX + MESSAGE_OVERHEAD);
		k->call.good = receive_good;
		k->call.ended = receive_ended;
		k->call.arg = k;
		sq_sqs_put_receive(&k->call.body, s->queue->place.url, n,
		    (unsigned)(in->cfg->wait_ms / 1000), in_visibility_s(in));
		if (sq_sqs_call_send(in->client, &k->call) != SQ_OK) {
			sq_sqs_call_fini(&k->call);
			free(k);
			return;
		}
		s->polls++;
		s->asked += n;
	}
}

/* --- work --- */

/* The earliest time at which there is something to do. */
static void
in_arm(struct in_half *in, uint64_t now)
{
	SQ_LIST_FOR_EACH(i, &in->items, struct in_item, all)
		if (!i->called && (i->place == IN_USER || i->place == IN_HELD))
			in_alarm_at(in, i->extend_ms > now ? i->extend_ms : now + 1000);
}

static void
in_work(struct sq_task *t)
{
	struct in_half *in = SQ_CONTAINER_OF(t, struct in_half, task);

	in->posted = false;
	if (!in->closing)
		in_bring_held(in);
	for (size_t i = 0; i < in->n_sources; i++) {
		source_delete(in, &in->sources[i]);
		source_hide(in, &in->sources[i], true);
		if (!in->closing) {
			source_hide(in, &in->sources[i], false);
			source_receive(in, &in->sources[i]);
		}
	}
	if (in->closing && sq_sqs_client_calls(in->client) == 0)
		in_finish(in);
}

/* Has the work done at the end of the turn: what is settled in it is told in one call. */
static void
in_post(struct in_half *in)
{
	if (in->posted)
		return;
	in->posted = true;
	in->env->post(in->env->owner, &in->task);
}

static void
in_alarm(struct sq_alarm *a)
{
	struct in_half *in = SQ_CONTAINER_OF(a, struct in_half, alarm);

	in->alarm_ms = 0;
	if (in->closing && sq_clock_ms() >= in->closing_ms)
		sq_sqs_client_cancel(in->client, false);
	else if (!in->closing)
		in_arm(in, sq_clock_ms());
	in_post(in);
}

static void
in_changed(void *arg)
{
	in_post(arg);
}

/* --- the user's --- */

static struct in_half *
inlet_in(const struct sq_inlet *inlet)
{
	return SQ_CONTAINER_OF((struct sq_inlet *)(uintptr_t)inlet, struct in_half, inlet);
}

static void
inlet_demand(struct sq_inlet *inlet, unsigned n)
{
	struct in_half *in = inlet_in(inlet);

	in->demand = n;
	if (n == 0)
		sq_sqs_client_cancel(in->client, true);
	in_post(in);
}

static void
inlet_settled(struct sq_inlet *inlet, struct sq_arrived *a, enum sq_arrival how)
{
	struct in_half *in = inlet_in(inlet);
	struct in_item *i = a->held;
	uint64_t wait = SQ_BRIDGE_LATER_MS;

	assert(i->place == IN_USER);
	in->n_user--;
	if (how == SQ_ARRIVAL_TAKEN) {
		i->place = IN_DELETED;
		if (!i->called)
			sq_list_push_back(&i->source->deletes, &i->node);
	} else {
		for (unsigned k = 0; k < i->laters && wait < LATER_MAX_MS; k++)
			wait *= 2;
		i->place = IN_HELD;
		i->laters++;
		i->held_ms = sq_clock_ms() + (wait < LATER_MAX_MS ? wait : LATER_MAX_MS);
	}
	in_post(in);
}

static void
inlet_status(const struct sq_inlet *inlet, struct sq_buf *json)
{
	sq_sqs_client_status(inlet_in(inlet)->client, json);
}

/* --- life --- */

static void
in_finish(struct in_half *in)
{
	void (*closed)(void *) = in->closed;
	void *arg = in->closed_arg;

	SQ_LIST_FOR_EACH_SAFE(i, &in->items, struct in_item, all)
		item_free(in, i);
	sq_worker_alarm_off(&in->alarm);
	sq_sqs_client_free(&in->client);
	free(in->sources);
	free(in);
	closed(arg);
}

static struct sq_inlet *
inlet_open(const struct sq_bridge_env *env, const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	struct in_half *in = sq_xcalloc(1, sizeof *in);

	in->inlet.ops = &sq_sqs_inlet_ops;
	in->env = env;
	in->cfg = cfg;
	in->alarm.run = in_alarm;
	in->task.run = in_work;
	sq_list_init(&in->items);
	in->client = sq_sqs_client_open(
	    &(const struct sq_sqs_client_cfg){
		.env = env, .bridge = cfg, .half = SQ_BRIDGE_IN, .changed = in_changed, .arg = in},
	    err);
	if (in->client == NULL) {
		free(in);
		return NULL;
	}
	in->n_sources = cfg->in.n;
	in->sources = sq_xcalloc(in->n_sources, sizeof *in->sources);
	for (unsigned i = 0; i < in->n_sources; i++) {
		struct in_source *s = &in->sources[i];

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
	struct in_half *in = inlet_in(inlet);

	in->closing = true;
	in->closed = closed;
	in->closed_arg = arg;
	in->closing_ms = sq_clock_ms() + within_ms;
	sq_sqs_client_stop(in->client);
	sq_sqs_client_cancel(in->client, true);
	in->alarm_ms = 0;
	in_alarm_at(in, in->closing_ms);
	in_post(in);
}

const struct sq_inlet_ops sq_sqs_inlet_ops = {.open = inlet_open,
    .demand = inlet_demand,
    .settled = inlet_settled,
    .status = inlet_status,
    .close = inlet_close};
