/* The records of sessions.  All integers are big-endian; bytes16 is a u16 length
 * and as many bytes.
 *
 *  - SESSION: u8 1, u8 flags (1 durable, 2 left, 4 present, 8 detached, 16 an identity
 *    owns it, 32 a name follows what was superseded), bytes16 key, u64 owner, u32 expiry in
 *    s, u64 instance, u64 ordinal, u32 attempt, u64 and u64 instance and ordinal whose clean start was applied, u64 end
 *    of a detached session (wall-clock ms; 0: never), u64 when its will is due (the
 *    same; 0: with its end), u32 will delay in s, u8 n, n × (u64 instance, u64 ordinal,
 *    u64 epoch) superseded, maybe bytes16 name of its owner's identity, the will's image
 *    or nothing.
 *  - LANE: u64 last number, u64 run, u64 number up to which outcomes are not kept; then
 *    u32 distance to the last number and u8 outcome of those kept that are not 0.
 *  - HELD: nothing.
 *  - OPEN: u8 state, u8 QoS, u8 retain, u8 0, u64 queue, u64 seq of the item, u64 order,
 *    origin (25 bytes), u16 n, n × u32 subscription identifiers.
 *  - SUBSCRIPTION: the entry as docs/link.md lays it out. */
#include "broker/session/persist.h"

#include <stdlib.h>
#include <string.h>

#include "broker/engine/now.h"
#include "broker/engine/record.h"
#include "broker/group/group_load.h"
#include "broker/session/session.h"
#include "broker/session/txn.h"
#include "broker/session/window.h"
#include "broker/shard/system_txn.h"
#include "core/bytes.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/wallclock.h"

enum { VERSION = 1 };
enum { FLAG_DURABLE = 1, FLAG_LEFT = 2, FLAG_PRESENT = 4, FLAG_DETACHED = 8, FLAG_NAMED = 32 };

/* A value that is there and empty. */
static const struct sq_bytes nothing = {(const unsigned char *)"", 0};

static void
stored_put(const struct sq_session *s, struct sq_txn *txn, uint8_t kind, uint64_t sub,
    struct sq_bytes value)
{
	struct sq_record_key key = {kind, s->id.incarnation, sub};

	s->flow.sink.engine->ops->txn.record(txn, &key, value);
}

static void
stored_delete(const struct sq_session *s, struct sq_txn *txn, uint8_t kind, uint64_t sub)
{
	stored_put(s, txn, kind, sub, (struct sq_bytes){0});
}

static void
stored_put_buf(const struct sq_session *s, struct sq_txn *txn, uint8_t kind, uint64_t sub,
    struct sq_buf *value)
{
	stored_put(s, txn, kind, sub, (struct sq_bytes){sq_buf_data(value), sq_buf_len(value)});
	sq_buf_fini(value);
}

/* When a timer of a detached session is due; 0: it isn't set. */
static uint64_t
stored_due(const struct sq_session *s, const struct sq_heap_node *timer)
{
	if (s->state != SQ_SESSION_DETACHED || timer->pos == 0)
		return 0;
	return sq_wallclock_from_mono(timer->due, sq_worker_now_ms(s->shard->worker));
}

void
sq_persist_base(struct sq_session *s, struct sq_txn *txn)
{
	bool detached = s->state == SQ_SESSION_DETACHED;
	const char *name = s->permit.identity != NULL ? s->permit.identity->name : "";
	struct sq_buf v = {0};
	uint8_t n = 0;

	if (!sq_persist_engine(s->shard->broker))
		return;
	s->stored.base = true;
	s->stored.instance = s->at.instance;
	s->stored.ordinal = s->at.ordinal;
	while (n < SQ_SUPERSEDED_MAX && s->at.superseded[n].instance != 0)
		n++;
	sq_buf_u8(&v, VERSION);
	sq_buf_u8(&v,
	    (uint8_t)((s->id.durable ? FLAG_DURABLE : 0) | (s->at.left ? FLAG_LEFT : 0) |
		(s->at.present ? FLAG_PRESENT : 0) | (detached ? FLAG_DETACHED : 0) |
		(name[0] != '\0' ? FLAG_NAMED : 0)));
	sq_record_put_name(&v, s->id.key);
	sq_buf_u64(&v, s->at.owner);
	sq_buf_u32(&v, s->life.expiry_s);
	sq_buf_u64(&v, s->at.instance);
	sq_buf_u64(&v, s->at.ordinal);
	sq_buf_u32(&v, s->at.attempt);
	sq_buf_u64(&v, s->at.cleaned_instance);
	sq_buf_u64(&v, s->at.cleaned_ordinal);
	sq_buf_u64(&v, stored_due(s, &s->life.timer));
	sq_buf_u64(&v, stored_due(s, &s->will.timer));
	sq_buf_u32(&v, s->will.delay_s);
	sq_buf_u8(&v, n);
	for (uint8_t i = 0; i < n; i++) {
		sq_buf_u64(&v, s->at.superseded[i].instance);
		sq_buf_u64(&v, s->at.superseded[i].ordinal);
		sq_buf_u64(&v, s->at.superseded[i].epoch);
	}
	if (name[0] != '\0')
		sq_record_put_name(&v, name);
	/* A transient session's will comes again with the next PUT. */
	if (s->id.durable && s->will.msg.image != NULL)
		sq_record_put_image(&v, &s->will.msg);
	stored_put_buf(s, txn, SQ_RECORD_SESSION, 0, &v);
}

void
sq_persist_changed(struct sq_session *s)
{
	struct sq_background_txn *background = NULL;

	if (!s->stored.base)
		return;
	sq_persist_base(s, sq_background_txn(s, &background));
	sq_background_commit(&background);
}

void
sq_persist_will_gone(struct sq_session *s, struct sq_txn *txn)
{
	struct sq_msg will = s->will.msg;

	if (!s->stored.base || !s->id.durable)
		return;
	s->will.msg = (struct sq_msg){0};
	sq_persist_base(s, txn);
	s->will.msg = will;
}

/* Up. */

void
sq_persist_batch(struct sq_session *s, struct sq_txn *txn, uint8_t lane, uint64_t last,
    const uint16_t *held, uint16_t n)
{
	struct sq_lane_in upto = s->in.lanes[lane]; /* its codes are borrowed */
	struct sq_buf v = {0};

	if (lane == 0 || !sq_persist_engine(s->shard->broker) ||
	    (!s->id.durable && !s->flow.sink.engine->ops->txn.is_durable(txn)))
		return;
	if (!s->stored.base)
		sq_persist_base(s, txn);
	upto.last = last;
	sq_lane_in_save(&upto, &v);
	stored_put_buf(s, txn, SQ_RECORD_LANE, lane, &v);
	s->stored.lane = true;
	for (uint16_t i = 0; i < n; i++) {
		struct sq_qos2_id *h = sq_qos2_in_find(s, held[i]);

		if (h == NULL || h->stored) /* released by this batch */
			continue;
		h->stored = true;
		stored_put(s, txn, SQ_RECORD_HELD, h->id, nothing);
	}
}

void
sq_persist_released(struct sq_session *s, struct sq_txn *txn, uint16_t packet_id)
{
	stored_delete(s, txn, SQ_RECORD_HELD, packet_id);
}

/* Down. */

bool
sq_persist_announced(const struct sq_session *s, const struct sq_queue_ref *from)
{
	return sq_persist_engine(s->shard->broker) &&
	    (sq_queue_ref_own(from) ? s->id.durable : from->sink->durable);
}

void
sq_persist_open(struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot)
{
	const struct sq_block *subs = slot->subs;
	size_t n = subs != NULL ? subs->size / sizeof(uint32_t) : 0;
	struct sq_buf v = {0};

	if (!s->stored.base)
		sq_persist_base(s, txn);
	slot->stored = true;
	sq_buf_u8(&v, slot->state);
	sq_buf_u8(&v, slot->qos);
	sq_buf_u8(&v, slot->retain);
	sq_buf_u8(&v, 0);
	sq_buf_u64(&v, sq_queue_ref_own(&slot->from) ? slot->orphan_queue : slot->from.id);
	sq_buf_u64(&v, slot->item.seq);
	sq_buf_u64(&v, slot->order);
	sq_origin_put(&v, &slot->item.origin);
	sq_buf_u16(&v, (uint16_t)n);
	for (size_t i = 0; i < n; i++)
		sq_buf_u32(&v, ((const uint32_t *)(const void *)subs->bytes)[i]);
	stored_put_buf(s, txn, SQ_RECORD_OPEN, sq_slot_packet_id(&s->window, slot), &v);
}

void
sq_persist_finished(struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot)
{
	if (!slot->stored)
		return;
	slot->stored = false;
	stored_delete(s, txn, SQ_RECORD_OPEN, sq_slot_packet_id(&s->window, slot));
}

/* Subscriptions. */

void
sq_persist_subscription(
    struct sq_session *s, struct sq_txn *txn, struct sq_subscription *sub, const struct sq_sub *e)
{
	struct sq_buf v = {0};

	if (!s->id.durable || !sq_persist_engine(s->shard->broker))
		return;
	if (sub->number == 0)
		sub->number = ++s->stored.next_sub;
	sq_buf_u16(&v, 1);
	sq_sub_put(&v, e, SQ_SUB_STORED_VERSION);
	stored_put_buf(s, txn, SQ_RECORD_SUBSCRIPTION, sub->number, &v);
}

void
sq_persist_unsubscribed(struct sq_session *s, struct sq_txn *txn, struct sq_subscription *sub)
{
	if (sub->number != 0 && txn != NULL)
		stored_delete(s, txn, SQ_RECORD_SUBSCRIPTION, sub->number);
}

void
sq_persist_end(struct sq_session *s, struct sq_txn *txn)
{
	if (!s->stored.base)
		return;
	for (uint32_t i = 0; i < s->in.qos2.n; i++) {
		if (s->in.qos2.ids[i].stored)
			stored_delete(s, txn, SQ_RECORD_HELD, s->in.qos2.ids[i].id);
	}
	if (s->stored.lane)
		stored_delete(s, txn, SQ_RECORD_LANE, 1);
	stored_delete(s, txn, SQ_RECORD_SESSION, 0);
	s->stored.base = s->stored.lane = false;
}

/* Start. */

struct restore {
	struct sq_broker *broker;
	struct sq_session **v; /* by incarnation */
	size_t n, cap;
	uint64_t now_ms;
	const struct sq_identity *last; /* a reference: most sessions are of few identities */
	int err;
};

static void
restore_bad(struct restore *r, const char *what, uint64_t id)
{
	SQ_ERROR(
	    "store", "a record of session %016llx does not read: %s", (unsigned long long)id, what);
	r->err = SQ_EINVAL;
}

static struct sq_session *
restore_find(const struct restore *r, uint64_t incarnation)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (r->v[mid]->id.incarnation < incarnation)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->n && r->v[lo]->id.incarnation == incarnation ? r->v[lo] : NULL;
}

/* The session of a record, which must be there: they are deleted together. */
static struct sq_session *
restore_session(struct restore *r, const struct sq_record_key *key, const char *what)
{
	struct sq_session *s = restore_find(r, key->id);

	if (s == NULL)
		restore_bad(r, what, key->id);
	return s;
}

static void
restore_times(
    struct restore *r, struct sq_session *s, bool detached, uint64_t end_ms, uint64_t will_ms)
{
	struct sq_heap *timers = &s->shard->sessions->timers;

	sq_session_set_state(s, detached ? SQ_SESSION_DETACHED : SQ_SESSION_GRACE);
	if (!detached)
		sq_heap_set(timers, &s->life.timer, r->now_ms + r->broker->cfg.grace_ms);
	else if (end_ms != 0)
		sq_heap_set(timers, &s->life.timer, sq_wallclock_to_mono(end_ms, r->now_ms));
	if (detached && will_ms != 0 && s->will.msg.image != NULL)
		sq_heap_set(timers, &s->will.timer, sq_wallclock_to_mono(will_ms, r->now_ms));
}

/* Whose it was, for rules, with the name that the record may have. */
static bool
restore_identity(struct restore *r, struct sq_session *s, struct sq_reader *in, uint8_t flags)
{
	struct sq_bytes name = {0};
	char *text;

	if (flags & FLAG_NAMED) {
		name.len = sq_read16(in);
		name.p = sq_read_bytes(in, name.len);
	}
	if (in->bad || ((flags & FLAG_NAMED) != 0 && name.len == 0))
		return false;
	if (name.len == 0 && s->at.owner != SQ_IDENTITY_NOBODY)
		return true; /* of a time before names */
	text = sq_xmemdup0(name.p, name.len);
	if (r->last == NULL || strcmp(r->last->name, text) != 0) {
		sq_identity_unref(&r->last);
		r->last = sq_identity_new(
		    &(const struct sq_identity){.id = s->at.owner, .name = text});
	}
	free(text);
	s->permit.identity = sq_identity_ref(r->last);
	return true;
}

/* What follows the key in a base record. */
static bool
restore_base(struct restore *r, struct sq_session *s, struct sq_reader *in, uint8_t flags)
{
	uint64_t end_ms, will_ms;
	uint8_t n;

	s->at.left = (flags & FLAG_LEFT) != 0;
	s->at.present = (flags & FLAG_PRESENT) != 0 || !s->id.durable;
	s->stored.base = s->at.answered = s->stored.restored = true;
	s->at.owner = sq_read64(in);
	s->life.expiry_s = sq_read32(in);
	s->at.instance = s->stored.instance = sq_read64(in);
	s->at.ordinal = s->stored.ordinal = sq_read64(in);
	s->at.attempt = sq_read32(in);
	s->at.cleaned_instance = sq_read64(in);
	s->at.cleaned_ordinal = sq_read64(in);
	end_ms = sq_read64(in);
	will_ms = sq_read64(in);
	s->will.delay_s = sq_read32(in);
	n = sq_read8(in);
	for (uint8_t i = 0; i < n && i < SQ_SUPERSEDED_MAX; i++) {
		s->at.superseded[i].instance = sq_read64(in);
		s->at.superseded[i].ordinal = sq_read64(in);
		s->at.superseded[i].epoch = sq_read64(in);
	}
	if (in->bad || n > SQ_SUPERSEDED_MAX || !restore_identity(r, s, in, flags))
		return false;
	if (sq_reader_left(in) > 0) {
		if (sq_image_check(in->p, sq_reader_left(in)) != SQ_OK)
			return false;
		s->will.msg.block = sq_block_copy(in->p, sq_reader_left(in));
		s->will.msg.image = s->will.msg.block->bytes;
	}
	restore_times(r, s, (flags & FLAG_DETACHED) != 0, end_ms, will_ms);
	return true;
}

static void
load_session(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_reader in = sq_reader(value.p, value.len);
	uint8_t version = sq_read8(&in), flags = sq_read8(&in);
	struct restore *r = arg;
	struct sq_broker *b = r->broker;
	struct sq_tenant *tenant;
	struct sq_session *s;
	struct sq_bytes text;
	struct sq_key k;

	text.len = sq_read16(&in);
	text.p = sq_read_bytes(&in, text.len);
	if (version != VERSION || in.bad || sq_key_decode(text, &k) != SQ_OK) {
		restore_bad(r, "its key", key->id);
		return;
	}
	tenant = sq_tenant_get(b->tenants, k.space);
	sq_share_force(sq_tenant_account(tenant), SQ_SHARE_SESSIONS, 1);
	sq_tenant_unref(&tenant);
	s = sq_session_new(
	    &b->shards[sq_key_hash(&k) % b->n_shards], &k, (flags & FLAG_DURABLE) != 0, key->id);
	if (r->n == r->cap) {
		r->cap = r->cap > 0 ? r->cap * 2 : 64;
		r->v = sq_xrealloc(r->v, r->cap * sizeof(*r->v));
	}
	r->v[r->n++] = s;
	if (!restore_base(r, s, &in, flags)) {
		sq_session_set_state(s, SQ_SESSION_GRACE);
		restore_bad(r, "its base", key->id);
	}
}

static void
load_lane(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_session *s = restore_session(arg, key, "a lane without its session");

	if (s == NULL)
		return;
	if (key->sub != 1 || sq_lane_in_load(&s->in.lanes[1], value) != SQ_OK) {
		restore_bad(arg, "a lane", key->id);
		return;
	}
	s->stored.lane = true;
}

static void
load_held(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_session *s = restore_session(arg, key, "a held id without its session");

	(void)value;
	if (s == NULL)
		return;
	(void)sq_qos2_in_add(s, (uint16_t)key->sub);
	sq_qos2_in_find(s, (uint16_t)key->sub)->stored = true;
}

static void
load_subscription(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_session *s = restore_session(arg, key, "a subscription without its session");

	if (s == NULL)
		return;
	if (sq_subscribe_restore(s, (uint32_t)key->sub, value) != SQ_OK)
		restore_bad(arg, "a subscription", key->id);
	if (key->sub > s->stored.next_sub)
		s->stored.next_sub = (uint32_t)key->sub;
}

static struct sq_block *
open_subs(struct sq_reader *in)
{
	uint16_t n = sq_read16(in);
	struct sq_block *subs;

	if (in->bad || n == 0 || sq_reader_left(in) != n * sizeof(uint32_t))
		return NULL;
	subs = sq_block_new(n * sizeof(uint32_t));
	for (uint16_t i = 0; i < n; i++)
		((uint32_t *)(void *)subs->bytes)[i] = sq_read32(in);
	return subs;
}

/* The group's queue of that number, if it is there. */
static void
open_queue(struct sq_broker *b, uint64_t id, struct sq_slot *slot)
{
	struct sq_group *g = sq_group_by_id(b, id);

	if (g != NULL)
		slot->from = sq_member_queue(g);
	sq_group_unref(&g);
}

static void
load_open(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_session *s = restore_session(arg, key, "an open id without its session");
	struct sq_reader in = sq_reader(value.p, value.len);
	struct restore *r = arg;
	struct sq_slot *slot;
	uint64_t queue;

	if (s == NULL)
		return;
	slot = key->sub >= 1 && key->sub <= UINT16_MAX
	    ? sq_slot_restore(&s->window, (uint16_t)key->sub)
	    : NULL;
	if (slot == NULL) {
		restore_bad(r, "an open id", key->id);
		return;
	}
	slot->state = sq_read8(&in);
	slot->qos = sq_read8(&in);
	slot->retain = sq_read8(&in) != 0;
	(void)sq_read8(&in);
	queue = sq_read64(&in);
	slot->item.seq = sq_read64(&in);
	slot->order = sq_read64(&in);
	slot->item.origin = sq_origin_get(&in);
	slot->subs = open_subs(&in);
	slot->stored = true;
	if (queue != 0)
		open_queue(r->broker, queue, slot);
	if (sq_queue_ref_own(&slot->from))
		slot->orphan_queue = queue;
	if (slot->order >= s->window.next_order)
		s->window.next_order = slot->order + 1;
	if (in.bad || slot->state < SQ_OPEN_QOS2 || slot->state > SQ_OPEN_ORPHAN) {
		slot->state = SQ_OPEN_ORPHAN;
		restore_bad(r, "an open id", key->id);
	}
}

/* The item of a delivery that was on its way.  Should it be gone, which no commit
 * brings about, the client may still have the id: it stays taken.  One that can't be
 * read just now is not gone: the start fails. */
static void
restore_claim(struct restore *r, struct sq_session *s, struct sq_slot *slot)
{
	const struct sq_engine_ops *ops = s->flow.sink.engine->ops;
	int err = slot->orphan_queue != 0 ? SQ_ENOTFOUND : SQ_OK;
	struct sq_item item;

	if (slot->state != SQ_OPEN_QOS2)
		return;
	if (err == SQ_OK)
		err = ops->start.claim(
		    sq_flow_sink(&s->flow, &slot->from)->queue, slot->item.seq, &item);
	if (err != SQ_OK && err != SQ_ENOTFOUND && err != SQ_EINVAL)
		r->err = err;
	if (err != SQ_OK) {
		SQ_WARN("store", "session %s: the message of packet id %u is not there", s->id.key,
		    sq_slot_packet_id(&s->window, slot));
		slot->state = SQ_OPEN_ORPHAN;
		return;
	}
	slot->item = item;
	sq_slot_weigh(&s->window, slot);
}

static void
restore_open(struct restore *r, struct sq_session *s)
{
	sq_window_restored(&s->window);
	sq_session_open(s, NULL);
	for (uint32_t i = 0; i < s->window.cap_slots; i++) {
		if (s->window.slots[i].state != 0)
			restore_claim(r, s, &s->window.slots[i]);
	}
	s->window.old.reordered = true;
	if (s->id.durable)
		s->window.old.items = (uint32_t)s->flow.sink.engine->ops->queue.depth(
		    s->flow.sink.queue);
}

int
sq_restore(struct sq_broker *b)
{
	static const struct {
		uint8_t kind;
		void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes);
	} kinds[] = {
	    {SQ_RECORD_SESSION, load_session},
	    {SQ_RECORD_LANE, load_lane},
	    {SQ_RECORD_HELD, load_held},
	    {SQ_RECORD_SUBSCRIPTION, load_subscription},
	    {SQ_RECORD_OPEN, load_open},
	};
	struct restore r = {.broker = b, .now_ms = sq_engine_now_ms()};
	int err = sq_groups_load(b, r.now_ms);

	for (size_t i = 0; i < SQ_ARRAY_LEN(kinds) && err == SQ_OK; i++)
		err = b->engine->ops->start.load(b->engine, kinds[i].kind, kinds[i].fn, &r);
	if (err == SQ_OK)
		err = r.err;
	sq_groups_open(b); /* whoever frees what was made so far finds queues */
	for (size_t i = 0; i < r.n; i++)
		restore_open(&r, r.v[i]);
	if (err == SQ_OK)
		err = r.err;
	if (r.n > 0 && err == SQ_OK)
		SQ_INFO("broker", "%zu sessions from before the start", r.n);
	free(r.v);
	sq_identity_unref(&r.last);
	return err;
}
