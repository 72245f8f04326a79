#include "broker/subscriber/pull_items.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "broker/group/group.h"
#include "broker/publish/letter.h"
#include "broker/shard/pace.h"
#include "broker/shard/source.h"
#include "broker/subscriber/pull_past.h"
#include "broker/subscriber/pull_txn.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "core/wallclock.h"
#include "proto/link/notes.h"
#include "proto/props/names.h"
#include "web/worker.h"

enum {
	EVICT_MAX = 2,    /* forgotten with one that is added */
	SWEEP_MAX = 1000, /* in one go */
};
enum { LEASE_VERSION = 1, LEASE_HELD = 0, LEASE_ACKED = 1 };

static const enum sq_settle_how item_how[] = {
    [SQ_DISPATCH_DONE] = SQ_DONE,
    [SQ_DISPATCH_BACK] = SQ_UNTRIED,
    [SQ_DISPATCH_ATTEMPTS] = SQ_EXHAUSTED,
    [SQ_DISPATCH_EXPIRED] = SQ_EXPIRED,
    [SQ_DISPATCH_REFUSED] = SQ_REJECT,
};

void
sq_pull_items_init(struct sq_pull *p)
{
	sq_list_init(&p->items.all);
	p->items.charge.account = sq_tenant_account(p->group->tenant);
	sq_settled_init(&p->items.acked, sq_pulls_max_leases(p->all), 0);
}

void
sq_pull_items_fini(struct sq_pull *p)
{
	assert(p->items.by_seq.n == 0);
	sq_htab_fini(&p->items.by_seq);
	sq_settled_fini(&p->items.acked);
}

/* The lane of a message. */
static uint64_t
item_lane(const struct sq_pull *p, const unsigned char *image)
{
	struct sq_bytes props = sq_image_props(image), lane = sq_image_topic(image), name, value;

	while (p->set.order == SQ_ORDER_KEY && sq_props_user_next(&props, &name, &value)) {
		if (sq_bytes_are(name, SQ_PROP_ORDER_KEY)) /* the last one counts */
			lane = value;
	}
	return sq_hash(lane.p, lane.len);
}

void
sq_pull_item_again(struct sq_pull *p, struct sq_pull_item *it)
{
	it->d = (struct sq_dispatch_item){.seq = it->item.seq,
	    .key = item_lane(p, it->item.msg.image),
	    .expires_ms = it->item.expires_ms,
	    .bytes = sq_image_size(it->item.msg.image),
	    .attempts = it->d.attempts};
}

/* Whether no consumer has had it yet. */
static void
item_fresh(struct sq_pull *p, struct sq_pull_item *it, bool fresh)
{
	if (it->fresh == fresh)
		return;
	it->fresh = fresh;
	p->items.fresh += fresh ? 1 : -1;
	p->items.fresh_bytes += fresh ? it->d.bytes : -(uint64_t)it->d.bytes;
}

struct sq_pull_item *
sq_pull_item_new(struct sq_pull *p, const struct sq_item *item)
{
	struct sq_pull_item *it = sq_xcalloc(1, sizeof *it);

	it->item = *item;
	it->d.attempts = item->attempts;
	sq_pull_item_again(p, it);
	item_fresh(p, it, item->unsent);
	sq_list_init(&it->in_poll);
	sq_list_push_back(&p->items.all, &it->node);
	sq_htab_insert(&p->items.by_seq, &it->by_seq, sq_hash_u64(item->seq));
	return it;
}

struct sq_pull_item *
sq_pull_item_find(const struct sq_pull *p, uint64_t seq)
{
	struct sq_hnode *n = sq_htab_find(&p->items.by_seq, sq_hash_u64(seq));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_pull_item *it = SQ_CONTAINER_OF(n, struct sq_pull_item, by_seq);

		if (it->item.seq == seq)
			return it;
	}
	return NULL;
}

static void
item_drop(struct sq_pull *p, struct sq_pull_item *it)
{
	item_fresh(p, it, false);
	free(it->note);
	sq_list_remove(&it->in_poll);
	sq_list_remove(&it->node);
	sq_htab_remove(&p->items.by_seq, &it->by_seq);
	free(it);
}

void
sq_pull_item_out(struct sq_pull *p, struct sq_pull_item *it, bool out)
{
	if (it->out == out)
		return;
	it->out = out;
	p->items.out_bytes += out ? it->d.bytes : -(uint64_t)it->d.bytes;
	sq_charge_set(&p->items.charge, p->items.out_bytes);
}

void
sq_pull_item_take(struct sq_pull *p, struct sq_pull_item *it)
{
	uint64_t began_ms = p->items.began_ms, now_ms = sq_worker_now_ms(p->shard->worker);
	uint64_t until_ms = began_ms;

	if (it->d.attempts > 0 && p->set.retry_ms > 0 && now_ms < began_ms + p->set.retry_ms)
		until_ms += sq_random_u64() % p->set.retry_ms;
	if (until_ms > now_ms)
		sq_dispatch_take_later(p->dispatch, &it->d, until_ms);
	else
		sq_dispatch_take(p->dispatch, &it->d);
}

void
sq_pull_item_handed(struct sq_pull_item *it)
{
	it->leased = false;
	free(it->note);
	it->note = NULL;
}

void
sq_pull_item_note(struct sq_pull_item *it, const char *reason, const char *detail)
{
	unsigned char room[SQ_NOTE_TEXT_MAX];
	struct sq_bytes text = {0};

	if (detail != NULL)
		text = sq_note_text_clean(
		    (struct sq_bytes){(const unsigned char *)detail,
			sq_utf8_cut(detail, strlen(detail), SQ_LETTER_DETAIL_MAX)},
		    room);
	free(it->note);
	it->note = sq_xcalloc(1, sizeof *it->note + text.len + 1);
	if (text.len > 0)
		memcpy(it->note->detail, text.p, text.len);
	it->note->of = (struct sq_death_note){reason, text.len > 0 ? it->note->detail : NULL};
}

void
sq_pull_items_sent(struct sq_pull *p, const struct sq_list *items)
{
	struct sq_sink *sink = &p->group->sink;
	uint64_t bytes = 0;
	uint32_t n = 0;

	SQ_LIST_FOR_EACH(it, items, struct sq_pull_item, in_poll) {
		if (it->item.unsent) {
			it->item.unsent = false;
			item_fresh(p, it, false);
			bytes += it->d.bytes;
			n++;
		}
		sq_pull_item_out(p, it, true);
	}
	if (n == 0)
		return;
	sink->engine->ops->consumer.sent(sink->queue, n, bytes);
	sq_pace_taken(p->shard, sink);
}

/* Leases. */

/* The record of a lease: u8 version 1, u8 state (0 held, 1 acknowledged), u32 attempt, u32 number, u32
 * boot, u64: of one that is held its length in ms, of another the wall-clock ms until which that is
 * remembered. */
static void
lease_write(const struct sq_pull *p, struct sq_txn *txn, const struct sq_pull_item *it,
    uint8_t state, uint64_t ms)
{
	struct sq_record_key key = sq_lease_record(p->group->id, it->item.seq);
	struct sq_buf v = {0};

	sq_buf_u8(&v, LEASE_VERSION);
	sq_buf_u8(&v, state);
	sq_buf_u32(&v, it->attempt);
	sq_buf_u32(&v, it->number);
	sq_buf_u32(&v, it->boot);
	sq_buf_u64(&v, ms);
	sq_record_write(txn, &key, &v);
}

void
sq_pull_item_lease(struct sq_pull *p, struct sq_pull_item *it, const struct sq_identity *who,
    uint64_t lease_ms, char text[SQ_LEASE_TEXT_MAX])
{
	struct sq_pull_txn *t = p->set.exactly_once ? sq_pull_txn(p) : NULL;
	struct sq_lease l;

	it->number = ++p->items.number;
	it->boot = p->shard->broker->engine->boot;
	it->attempt = it->d.attempts + 1;
	it->leased = true;
	it->stored = p->set.exactly_once;
	l = (struct sq_lease){.queue = p->group->id,
	    .seq = it->item.seq,
	    .attempt = it->attempt,
	    .number = it->number,
	    .boot = it->boot};
	sq_lease_write(sq_pulls_prover(p->all, p->shard), who, &l, text);
	if (t == NULL)
		return;
	sq_pull_txn_keep_key(p);
	lease_write(p, &t->txn, it, LEASE_HELD, lease_ms);
	sq_buf_append(&t->leased,
	    &(struct sq_pull_leased){
		.seq = it->item.seq, .lease_ms = lease_ms, .number = it->number},
	    sizeof(struct sq_pull_leased));
}

static void
lease_delete(struct sq_pull *p, struct sq_txn *txn, struct sq_pull_item *it)
{
	struct sq_record_key key = sq_lease_record(p->group->id, it->item.seq);

	if (it->stored)
		sq_record_delete(txn, &key);
	it->stored = false;
}

void
sq_pull_item_free(struct sq_pull *p, struct sq_pull_item *it)
{
	sq_pull_item_out(p, it, false);
	it->leased = false;
	if (it->stored)
		lease_delete(p, sq_pull_changes(p), it);
}

void
sq_pull_item_extend(struct sq_pull *p, struct sq_pull_item *it, uint64_t lease_ms)
{
	if (it->stored)
		lease_write(p, sq_pull_changes(p), it, LEASE_HELD, lease_ms);
}

bool
sq_pull_item_holds(const struct sq_pull_item *it, const struct sq_lease *l)
{
	return it->leased && it->number == l->number && it->boot == l->boot &&
	    it->attempt == l->attempt;
}

/* Leases that were acknowledged. */

static struct sq_settled_name
acked_name(uint64_t seq, uint32_t number, uint32_t boot)
{
	return (struct sq_settled_name){seq, (uint64_t)number << 32 | boot};
}

bool
sq_pull_acked(const struct sq_pull *p, const struct sq_lease *l)
{
	struct sq_settled_name name = acked_name(l->seq, l->number, l->boot);

	return sq_settled_find(&p->items.acked, &name) != NULL;
}

static void
acked_forget(struct sq_pull *p, struct sq_txn *txn, struct sq_settled_entry *e)
{
	struct sq_record_key key = sq_lease_record(p->group->id, e->name.hi);

	if (e->stored)
		sq_record_delete(txn, &key);
	sq_settled_remove(&p->items.acked, e);
}

/* The lease's acknowledgement is remembered, in its record, too, if it has one. */
static void
acked_add(struct sq_pull *p, struct sq_txn *txn, struct sq_pull_item *it)
{
	struct sq_settled_name name = acked_name(it->item.seq, it->number, it->boot);
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);
	uint64_t ends_ms = now_ms + sq_pulls_window_ms(p->all);

	sq_settled_add(&p->items.acked, &name, ends_ms, NULL)->stored = it->stored;
	if (it->stored)
		lease_write(p, txn, it, LEASE_ACKED, sq_wallclock_from_mono(ends_ms, now_ms));
	it->stored = false;
	sq_pull_evict(p, &p->items.acked, EVICT_MAX, txn, acked_forget);
}

void
sq_pull_acked_sweep(struct sq_pull *p)
{
	sq_pull_evict(p, &p->items.acked, SWEEP_MAX, NULL, acked_forget);
}

/* Ends. */

void
sq_pull_item_end(struct sq_pull *p, struct sq_pull_item *it, enum sq_dispatch_end end)
{
	const struct sq_sink *sink = &p->group->sink;
	struct sq_pull_txn *t = sq_pull_txn(p);

	sq_pull_item_out(p, it, false);
	if (end == SQ_DISPATCH_DONE && it->leased)
		acked_add(p, &t->txn, it);
	lease_delete(p, &t->txn, it);
	if (end == SQ_DISPATCH_ATTEMPTS)
		it->item.attempts = (uint16_t)it->d.attempts;
	t->txn.note = it->note != NULL ? &it->note->of : NULL;
	sink->engine->ops->txn.settle(&t->txn, sink->queue, &it->item, item_how[end]);
	t->txn.note = NULL;
	if (end == SQ_DISPATCH_DONE && it->item.put_ms != 0)
		sq_metric_observe(&p->shard->broker->metrics, SQ_H_END_TO_END,
		    sq_item_age_ms(&it->item, sq_worker_now_ms(p->shard->worker)));
	if (end == SQ_DISPATCH_DONE && it->item.assured)
		p->shard->broker->burial->settled(sink->source, &t->txn, &it->item);
	t->settles |= end != SQ_DISPATCH_BACK;
	if (end != SQ_DISPATCH_BACK) /* the queue has the references then */
		sq_item_fini(&it->item);
	item_drop(p, it);
}

void
sq_pull_item_keep(struct sq_pull *p, struct sq_pull_item *it)
{
	struct sq_broker *b = p->shard->broker;

	sq_pull_item_out(p, it, false);
	sq_count(b, SQ_M_QUEUED, -1); /* the next broker counts it */
	sq_count(b, SQ_M_QUEUED_BYTES, -(int64_t)it->d.bytes);
	sq_item_fini(&it->item);
	item_drop(p, it);
}

void
sq_pull_item_tried(struct sq_pull *p, struct sq_pull_item *it)
{
	const struct sq_sink *sink = &p->group->sink;
	struct sq_pull_txn *t = sq_pull_txn(p);

	sq_pull_item_out(p, it, false);
	lease_delete(p, &t->txn, it);
	sink->engine->ops->txn.settle(&t->txn, sink->queue, &it->item, SQ_TRIED);
	sq_buf_append(&t->tried,
	    &(struct sq_pull_tried){.seq = it->item.seq, .attempts = it->d.attempts},
	    sizeof(struct sq_pull_tried));
	t->settles = true;
}

/* The start. */

void
sq_pull_item_adopt(
    struct sq_pull *p, struct sq_dispatch *d, struct sq_pull_item *it, uint64_t until_ms)
{
	sq_dispatch_adopt(d, &it->d, until_ms);
	if (p->set.order != SQ_ORDER_NONE && p->items.behind < it->item.seq)
		p->items.behind = it->item.seq;
}

bool
sq_pull_items_catch_up(struct sq_pull *p)
{
	const struct sq_sink *sink = &p->group->sink;
	struct sq_item item;
	int err = SQ_OK;

	while (p->items.behind != 0) {
		err = sink->engine->ops->queue.draw(sink->queue, 0, p->items.behind, &item);
		if (err == SQ_ENOTFOUND)
			p->items.behind = 0;
		else if (err == SQ_OK)
			sq_pull_item_take(p, sq_pull_item_new(p, &item));
		else
			return false;
	}
	return true;
}

/* Takes the item of a lease, whose consumer goes on with it, out of the queue. */
static int
item_claim(struct sq_pull *p, uint64_t seq, const struct sq_pull_item *lease, uint64_t until_ms)
{
	struct sq_engine *e = p->shard->broker->engine;
	struct sq_pull_item *it;
	struct sq_item item;
	int err = e->ops->start.claim(p->group->sink.queue, seq, &item);

	if (err == SQ_ENOTFOUND) /* it was settled, without the end of its lease */
		return SQ_OK;
	if (err != SQ_OK)
		return err;
	it = sq_pull_item_new(p, &item);
	it->number = lease->number;
	it->boot = lease->boot;
	it->attempt = lease->attempt;
	it->leased = it->stored = true;
	sq_pull_item_out(p, it, true);
	sq_pull_item_adopt(p, p->dispatch, it, until_ms);
	return SQ_OK;
}

int
sq_pull_item_load(struct sq_pull *p, uint64_t seq, struct sq_bytes value, uint64_t now_ms)
{
	struct sq_reader r = sq_reader(value.p, value.len);
	uint8_t version = sq_read8(&r), state = sq_read8(&r);
	uint32_t attempt = sq_read32(&r), number = sq_read32(&r), boot = sq_read32(&r);
	const struct sq_pull_item lease = {.attempt = attempt, .number = number, .boot = boot};
	struct sq_settled_name name = acked_name(seq, number, boot);
	uint64_t ms = sq_read64(&r);

	if (r.bad || sq_reader_left(&r) != 0 || version != LEASE_VERSION || state > LEASE_ACKED)
		return SQ_EINVAL;
	if (state == LEASE_HELD)
		return item_claim(p, seq, &lease, now_ms + ms);
	sq_settled_add(&p->items.acked, &name, sq_wallclock_to_mono(ms, now_ms), NULL)->stored =
	    true;
	return SQ_OK;
}
