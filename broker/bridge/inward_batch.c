#include <stdlib.h>

#include "broker/bridge/inward_priv.h"
#include "broker/bridge/told.h"
#include "broker/publish/own.h"
#include "broker/shard/pace.h"
#include "broker/shard/sys_counts.h"
#include "core/fault.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	SLICE_MAX = 2048, /* matches after which others have their turn */
	BATCH_MAX = 1024, /* messages of a batch */
};

void
sq_inward_tell_out(struct sq_inward *in)
{
	atomic_store_explicit(
	    &in->cfg.told->out[SQ_BRIDGE_IN], (uint32_t)in->asks.out, memory_order_relaxed);
}

static void
batch_free(struct sq_inward_batch *b)
{
	struct sq_inward *in = b->of;

	sq_list_remove(&b->node);
	sq_notes_fini(&b->notes);
	free(b->v);
	free(b);
	sq_broker_object(sq_inward_broker(in), -1);
}

/* What of it has not become durable comes again. */
static void
batch_undo(struct sq_inward_batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct sq_inward_entry *e = &b->v[i];

		if (e->keyed && b->err != SQ_OK)
			sq_dedup_forget(b->of->dedup, &e->key);
		if (e->how != SQ_INWARD_LOOP && (b->err != SQ_OK || e->how == SQ_INWARD_KNOWN))
			e->how = SQ_INWARD_LATER;
	}
}

static void
batch_tell(const struct sq_inward_batch *b)
{
	static const enum sq_bridge_outcome outcomes[SQ_INWARD_HOWS] = {
	    [SQ_INWARD_TAKEN] = SQ_BRIDGE_OK,
	    [SQ_INWARD_KNOWN] = SQ_BRIDGE_DUPLICATE,
	    [SQ_INWARD_LOOP] = SQ_BRIDGE_LOOP,
	    [SQ_INWARD_LETTER] = SQ_BRIDGE_DEAD,
	    [SQ_INWARD_LATER] = SQ_BRIDGE_LATER,
	};
	struct sq_bridge_told *told = b->of->cfg.told;
	unsigned n[SQ_INWARD_HOWS] = {0};

	for (size_t i = 0; i < b->n; i++)
		n[b->v[i].how]++;
	for (unsigned how = 0; how < SQ_INWARD_HOWS; how++) {
		if (n[how] > 0)
			sq_bridge_tell(told, SQ_BRIDGE_IN, outcomes[how], n[how]);
	}
	if (b->early > 0)
		atomic_fetch_add_explicit(&told->dedup_early, b->early, memory_order_relaxed);
}

static void
batch_settle(struct sq_inward_batch *b)
{
	struct sq_inward *in = b->of;

	if (b->err != SQ_OK || b->doubted)
		batch_undo(b);
	if (b->err != SQ_OK) {
		SQ_LIST_FOR_EACH(other, &in->batches, struct sq_inward_batch, node)
			other->doubted = true;
	}
	batch_tell(b);
	for (size_t i = 0; i < b->n && in->inlet != NULL; i++) {
		const struct sq_inward_entry *e = &b->v[i];
		uint64_t upto = in->waiting.number; /* it may bring more at once */

		in->asks.out--;
		in->inlet->ops->settled(in->inlet, e->of,
		    e->how == SQ_INWARD_LATER ? SQ_ARRIVAL_LATER : SQ_ARRIVAL_TAKEN);
		if (e->refused)
			sq_lane_holds_told(&in->lanes, e->lane, upto);
	}
}

/* Settles those that are ready, in their order: what a batch knew already is durable then. */
static void
inward_settle(struct sq_inward *in)
{
	struct sq_inward_batch *b;

	while (
	    (b = SQ_LIST_FIRST(&in->batches, struct sq_inward_batch, node)) != NULL && b->ready) {
		batch_settle(b);
		batch_free(b);
	}
	sq_inward_tell_out(in);
	in->settled(in);
}

static void
batch_paced(struct sq_call *c)
{
	struct sq_inward_batch *b = SQ_CONTAINER_OF(c, struct sq_inward_batch, pace);

	b->ready = true;
	inward_settle(b->of);
}

static void
batch_done(struct sq_parts *parts, int err)
{
	struct sq_inward_batch *b = SQ_CONTAINER_OF(parts, struct sq_inward_batch, parts);

	SQ_FAULT("broker-bridge-committed");
	b->err = err;
	if (b->traced.n > 0)
		sq_traced_end(&b->traced, err == SQ_OK);
	sq_pace_answer(&b->pace);
}

static struct sq_inward_batch *
batch_new(struct sq_inward *in)
{
	struct sq_inward_batch *b = sq_xcalloc(1, sizeof *b);

	b->of = in;
	b->pace.done = batch_paced;
	b->parts.begun.worker = in->cfg.shard->worker;
	b->parts.begun.engine = sq_inward_broker(in)->engine;
	sq_parts_begin(&b->parts, batch_done);
	sq_list_push_back(&in->batches, &b->node);
	sq_broker_object(sq_inward_broker(in), 1);
	return b;
}

/* For struct sq_publish_more. */
static struct sq_txn *
batch_split(void *arg, uint64_t number)
{
	struct sq_inward_batch *b = arg;

	(void)number;
	return sq_parts_split(&b->parts) ? b->parts.txn : NULL;
}

static struct sq_publish
batch_publish(struct sq_inward_batch *b, struct sq_acl_subject *permit)
{
	struct sq_inward *in = b->of;

	return (struct sq_publish){.broker = sq_inward_broker(in),
	    .home = in->cfg.shard,
	    .from = {.of = {.broker = sq_inward_broker(in),
			 .space = sq_tenant_name(in->tenant),
			 .name = in->cfg.env->scope,
			 .identity = in->who,
			 .quiet_until_ms = &in->quiet_until_ms},
		.permit = permit,
		.told = true},
	    .tenant = in->tenant,
	    .txn = b->parts.txn,
	    .more = {.split = batch_split, .arg = b},
	    .copies.pass = true,
	    .pace.call = &b->pace};
}

/* The rules for the bridge, which has no client id. */
static struct sq_acl_subject *
inward_permit(const struct sq_inward *in)
{
	const struct sq_acl_who who = {
	    .identity = in->who->name, .space = sq_tenant_name(in->tenant), .own = true};
	struct sq_acl_subject *permit;
	uint64_t version;
	struct sq_acl *acl = sq_rules_get(sq_inward_broker(in)->rules, &version);

	permit = sq_acl_subject_new(acl, &who);
	sq_acl_unref(&acl);
	return permit;
}

static void
batch_count(const struct sq_inward_batch *b)
{
	const struct sq_inward *in = b->of;
	struct sq_sys_part *sys = sq_sys_counts_part(sq_inward_broker(in)->sys_counts, in->tenant,
	    (unsigned)sq_worker_index(in->cfg.shard->worker));
	int64_t bytes = 0;

	for (size_t i = 0; i < b->n; i++)
		bytes += sq_image_size(b->v[i].of->msg.image);
	sq_sys_add(sys, SQ_SYS_RECEIVED, (int64_t)b->n);
	sq_sys_add(sys, SQ_SYS_RECEIVED_BYTES, bytes);
}

void
sq_inward_slice(struct sq_inward *in)
{
	struct sq_acl_subject *permit = inward_permit(in);
	struct sq_inward_batch *b = batch_new(in);
	struct sq_publish p = batch_publish(b, permit);

	while (in->waiting.n > 0 && p.work < SLICE_MAX && b->n < BATCH_MAX) {
		uint64_t number;
		struct sq_arrived *a = sq_inward_next(&in->waiting, &number);

		sq_inward_take(b, &p, a, number);
	}
	if (in->waiting.n == 0 && sq_lane_holds_any(&in->lanes))
		sq_lane_holds_pass(&in->lanes, in->waiting.number);
	sq_refused_fini(&p.refused);
	sq_route_unlock(&p);
	sq_own_receipts(in->cfg.shard, b->parts.txn);
	sq_acl_subject_free(&permit);
	batch_count(b);
	SQ_FAULT("broker-bridge-admitted");
	sq_pace_memory(in->cfg.shard, &b->pace);
	sq_parts_commit(&b->parts);
	sq_publish_committed(&p);
}
