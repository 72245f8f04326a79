#include "broker/publish/put.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/publish/assured.h"
#include "broker/publish/receipts.h"
#include "broker/shard/pace.h"
#include "broker/shard/source.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	PACE_EVERY = 32, /* puts between two looks at a queue's length */
	SOON = 4,        /* puts ahead for which memory is fetched */
	HEAD_ITEMS = 4,  /* items as large as the head of a message of a list, and its records */
	SUBS_BYTES = UINT8_MAX * sizeof(uint32_t), /* of identifiers that a target can name */
};

uint8_t
sq_put_qos(const struct sq_publish *p, const struct sq_binding *b)
{
	uint8_t qos = p->qos < b->max_qos ? p->qos : b->max_qos;

	return qos > b->min_qos ? qos : b->min_qos;
}

/* When the item leaves its queue: at its own expiry, or at that of all that is put there. */
static uint64_t
put_expires_ms(const struct sq_publish *p, const struct sq_sink *sink)
{
	uint64_t ms;

	if (sink->ttl_s == 0)
		return p->expires_ms;
	ms = sq_worker_now_ms(p->home->worker) + sink->ttl_s * UINT64_C(1000);
	return p->expires_ms == 0 || ms < p->expires_ms ? ms : p->expires_ms;
}

/* Whether a message of QoS 0 finds no room in a queue that stores it: nobody is refused for it. */
static bool
put_no_room(struct sq_publish *p, const struct sq_sink *sink)
{
	const struct sq_engine_ops *ops = sink->engine->ops;
	uint32_t size = sq_image_size(p->msg->image);
	struct sq_txn *next;

	if (ops->queue.full(sink->queue, size) && !ops->queue.yields(sink->queue, size))
		return true;
	if (ops->txn.room(p->txn, 1, size + SUBS_BYTES))
		return false;
	if (p->more.split == NULL || (next = p->more.split(p->more.arg, p->origin->number)) == NULL)
		return true;
	p->txn = next;
	return !ops->txn.room(p->txn, 1, size + SUBS_BYTES);
}

bool
sq_put_wanted(const struct sq_publish *p, const struct sq_binding *b)
{
	return (b->not_from == 0 || b->not_from != p->from.not_from) &&
	    (p->number == 0 || p->number > b->scanned_upto);
}

/* Makes the dead letter and the receipt of a QoS 3 message that a queue with drop-new, or one that
 * is gone, has dropped. */
static void
put_lost(const struct sq_publish *p, const struct sq_sink *sink, int err)
{
	struct sq_item item = {.msg = *p->msg, .qos = p->qos & 3u, .assured = true};
	struct sq_msg receipt = err == SQ_ECLOSED
	    ? sq_assured_ended(sink->source, p->txn, &item, "queue-deleted")
	    : sq_assured_buried(sink->source, p->txn, &item, SQ_DEAD_OVERFLOW);

	sq_receipts_add(p->home->receipts, sq_source_tenant(sink->source), receipt);
}

/* 'subs' is a reference, or NULL. */
static void
put_one(struct sq_publish *p, struct sq_sink *sink, uint8_t qos, bool as_published,
    struct sq_block *subs)
{
	struct sq_item item = {
	    .msg = p->copies.own && qos > 0 ? sq_msg_clone(p->msg) : sq_msg_ref(*p->msg),
	    .subs = subs,
	    .origin = *p->origin,
	    .expires_ms = put_expires_ms(p, sink),
	    .qos = qos & 3u,
	    .round = sink->round,
	    .retain = p->retain && as_published,
	    .assured = p->assured && qos > 0,
	};

	int err = SQ_OK;

	p->n++;
	if (sink->pass != NULL && p->copies.pass && sink->shard == p->home &&
	    sink->pass(sink, p->txn, &item)) {
		p->taken++;
		return;
	}
	if (qos > 0 && p->qos == 0 && put_no_room(p, sink)) {
		sq_count(p->broker, SQ_M_DROPPED_FULL, 1);
		sq_item_fini(&item);
	} else if (qos == 0 && atomic_load_explicit(&sink->offline, memory_order_relaxed)) {
		sq_item_fini(&item);
	} else {
		err = sink->engine->ops->txn.put(p->txn, sink->queue, &item);
		p->taken += err == SQ_OK || (p->assured && qos > 0);
	}
	if (err != SQ_OK && p->assured && qos > 0)
		put_lost(p, sink, err);
	if (p->pace.call != NULL && ++p->pace.puts % PACE_EVERY == 0)
		sq_pace_put(p->home, p->pace.call, sink);
	p->pace.last = sink;
}

/* The message is put to that sink in some turns of the loop. */
static void
put_soon(const struct sq_publish *p, const struct sq_sink *sink)
{
	if (sink->soon != NULL && p->copies.pass && sink->shard == p->home)
		sink->soon(sink);
}

static int
binding_by_sink(const void *a, const void *b)
{
	const struct sq_binding *x = *(struct sq_binding *const *)a;
	const struct sq_binding *y = *(struct sq_binding *const *)b;

	return x->sink < y->sink ? -1 : x->sink > y->sink;
}

/* Puts one copy for 'n' overlapping bindings of a sink: the highest QoS, all
 * identifiers (MQTT 5.0 §3.3.4). */
static void
put_merged(struct sq_publish *p, struct sq_binding **v, size_t n)
{
	struct sq_block *subs = NULL;
	bool as_published = false;
	uint32_t bytes = 0;
	uint8_t qos = 0;

	for (size_t i = 0; i < n; i++) {
		qos = sq_put_qos(p, v[i]) > qos ? sq_put_qos(p, v[i]) : qos;
		as_published |= v[i]->as_published;
		bytes += v[i]->subs != NULL ? v[i]->subs->size : 0;
	}
	if (bytes > SUBS_BYTES)
		bytes = SUBS_BYTES;
	if (bytes > 0) {
		uint32_t at = 0;

		subs = sq_block_new(bytes);
		for (size_t i = 0; i < n && at < bytes; i++) {
			if (v[i]->subs == NULL)
				continue;
			memcpy(subs->bytes + at, v[i]->subs->bytes, v[i]->subs->size);
			at += v[i]->subs->size;
		}
	}
	put_one(p, v[0]->sink, qos, as_published, subs);
}

/* Puts the message to bindings of sinks with several of them; sorts a copy of 'v'. */
static void
put_overlapping(struct sq_publish *p, struct sq_binding *const *v, size_t n, size_t n_many)
{
	struct sq_binding **many = sq_xmalloc(n_many * sizeof(*many));
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i]->sink->n_bindings > 1 && sq_put_wanted(p, v[i]))
			many[k++] = v[i];
	}
	qsort(many, k, sizeof *many, binding_by_sink);
	for (size_t i = 0, j; i < k; i = j) {
		for (j = i + 1; j < k && many[j]->sink == many[i]->sink; j++)
			continue;
		put_merged(p, many + i, j - i);
	}
	free(many);
}

void
sq_put_all(struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	size_t n_many = 0;

	for (size_t i = 0; i < n; i++) {
		if (i + SOON < n)
			put_soon(p, v[i + SOON]->sink);
		if (v[i]->sink->n_bindings > 1)
			n_many++;
		else if (sq_put_wanted(p, v[i]))
			put_one(p, v[i]->sink, sq_put_qos(p, v[i]), v[i]->as_published,
			    v[i]->subs != NULL ? sq_block_ref(v[i]->subs) : NULL);
	}
	if (n_many > 0)
		put_overlapping(p, v, n, n_many);
}

/* How many queues the bindings are of, and how many bytes of identifiers they have: a session
 * with many overlapping ones gets one copy, and nobody's message is refused for its sake. */
static size_t
put_targets(struct sq_binding *const *v, size_t n, uint64_t *subs)
{
	struct sq_binding **sorted = sq_xmalloc((n + 1) * sizeof(*sorted));
	size_t targets = 0;

	*subs = 0;
	if (n > 0)
		memcpy(sorted, v, n * sizeof(*sorted));
	qsort(sorted, n, sizeof *sorted, binding_by_sink);
	for (size_t i = 0; i < n; targets++) {
		const struct sq_sink *sink = sorted[i]->sink;
		uint64_t of_sink = 0;

		for (; i < n && sorted[i]->sink == sink; i++)
			of_sink += sorted[i]->subs != NULL ? sorted[i]->subs->size : 0;
		*subs += of_sink < SUBS_BYTES ? of_sink : SUBS_BYTES;
	}
	free(sorted);
	return targets;
}

/* Whether 'txn' has room for the message in all its queues, in one piece. */
static bool
put_fits(const struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	const struct sq_engine_ops *ops = p->broker->engine->ops;
	uint64_t bytes = sq_image_size(p->msg->image), subs = 0;

	if (p->retain)
		bytes *= 2;
	if (ops->txn.room(p->txn, n + 1, bytes + n * SUBS_BYTES))
		return true; /* in any case */
	n = put_targets(v, n, &subs);
	return ops->txn.room(p->txn, n + 1, bytes + subs);
}

/* Whether the message fits into the transaction behind those that were looked at. */
static bool
put_look(struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	struct sq_look *l = p->look;
	uint64_t subs = 0;

	l->items += put_targets(v, n, &subs) + HEAD_ITEMS;
	l->bytes += sq_image_size(p->msg->image) * (p->retain ? UINT64_C(2) : 1) + subs;
	l->too_large = !p->broker->engine->ops->txn.room(p->txn, l->items, l->bytes);
	return !l->too_large;
}

bool
sq_put_make_room(struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	struct sq_txn *next;

	if (p->look != NULL)
		return p->look->carries || put_look(p, v, n);
	if (put_fits(p, v, n))
		return true;
	next = p->more.split(p->more.arg, p->origin->number);
	if (next == NULL)
		return false;
	p->txn = next;
	return put_fits(p, v, n);
}
