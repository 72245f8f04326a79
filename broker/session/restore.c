#include "broker/session/restore.h"

#include <stdlib.h>
#include <string.h>

#include "broker/engine/now.h"
#include "broker/engine/record.h"
#include "broker/group/group_load.h"
#include "broker/session/life.h"
#include "broker/session/member_item.h"
#include "broker/session/record.h"
#include "broker/session/session.h"
#include "broker/session/subscription.h"
#include "broker/shard/system_txn.h"
#include "core/bytes.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/wallclock.h"

struct restore {
	struct sq_broker *broker;
	const struct sq_session_hooks *hooks;
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
	sq_session_set_state(s, detached ? SQ_SESSION_DETACHED : SQ_SESSION_GRACE);
	if (!detached)
		sq_session_set_timer(s, r->now_ms + r->broker->cfg.grace_ms);
	else if (end_ms != 0)
		sq_session_set_timer(s, sq_wallclock_to_mono(end_ms, r->now_ms));
	if (detached && will_ms != 0 && s->will.msg.image != NULL)
		sq_heap_set(&s->shard->sessions->timers, &s->will.timer,
		    sq_wallclock_to_mono(will_ms, r->now_ms));
}

/* Restores the holder's identity for the rules, from the name that the record may have. */
static bool
restore_identity(struct restore *r, struct sq_session *s, struct sq_reader *in, uint8_t flags)
{
	struct sq_bytes name = {0};
	char *text;

	if (flags & SQ_SESSION_NAMED_FLAG) {
		name.len = sq_read16(in);
		name.p = sq_read_bytes(in, name.len);
	}
	if (in->bad || ((flags & SQ_SESSION_NAMED_FLAG) != 0 && name.len == 0))
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
	sq_permit_hold(s, r->last);
	return true;
}

/* Reads the fields behind the key of a base record. */
static bool
restore_base(struct restore *r, struct sq_session *s, struct sq_reader *in, uint8_t flags)
{
	uint64_t end_ms, will_ms;
	uint32_t delay_s;
	uint8_t n;

	s->at.left = (flags & SQ_SESSION_LEFT_FLAG) != 0;
	s->at.present = (flags & SQ_SESSION_PRESENT_FLAG) != 0 || !s->id.durable;
	s->stored.base = s->at.answered = s->at.restored = true;
	s->at.owner = sq_read64(in);
	s->life.expiry_s = sq_read32(in);
	s->at.instance = s->stored.instance = sq_read64(in);
	s->at.ordinal = s->stored.ordinal = sq_read64(in);
	s->at.attempt = sq_read32(in);
	s->at.cleaned_instance = sq_read64(in);
	s->at.cleaned_ordinal = sq_read64(in);
	end_ms = sq_read64(in);
	will_ms = sq_read64(in);
	delay_s = sq_read32(in);
	n = sq_read8(in);
	for (uint8_t i = 0; i < n && i < SQ_SUPERSEDED_MAX; i++) {
		s->at.superseded[i].instance = sq_read64(in);
		s->at.superseded[i].ordinal = sq_read64(in);
		s->at.superseded[i].epoch = sq_read64(in);
	}
	if (in->bad || n > SQ_SUPERSEDED_MAX || !restore_identity(r, s, in, flags))
		return false;
	if (sq_reader_left(in) > 0 && sq_image_check(in->p, sq_reader_left(in)) != SQ_OK)
		return false;
	sq_will_set(s, (struct sq_bytes){in->p, sq_reader_left(in)}, delay_s);
	restore_times(r, s, (flags & SQ_SESSION_DETACHED_FLAG) != 0, end_ms, will_ms);
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
	if (version != SQ_SESSION_RECORD_VERSION || in.bad || sq_key_decode(text, &k) != SQ_OK) {
		restore_bad(r, "its key", key->id);
		return;
	}
	tenant = sq_tenant_get(b->tenants, k.space);
	sq_share_force(sq_tenant_account(tenant), SQ_SHARE_SESSIONS, 1);
	sq_tenant_unref(&tenant);
	s = sq_session_new(&b->shards[sq_key_hash(&k) % b->n_shards], &k,
	    (flags & SQ_SESSION_DURABLE_FLAG) != 0, key->id, r->hooks);
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
	(void)sq_qos2_in_add(&s->in.qos2, (uint16_t)key->sub);
	sq_qos2_in_find(&s->in.qos2, (uint16_t)key->sub)->stored = true;
}

static void
load_subscription(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_session *s = restore_session(arg, key, "a subscription without its session");

	if (s == NULL)
		return;
	if (sq_subscription_restore(s, (uint32_t)key->sub, value) != SQ_OK)
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
		slot->from = sq_member_item_from(g);
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
	slot->qos = sq_read8(&in) & 3u;
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
	const struct sq_engine_ops *ops = s->sink.engine->ops;
	int err = slot->orphan_queue != 0 ? SQ_ENOTFOUND : SQ_OK;
	struct sq_item item;

	if (slot->state != SQ_OPEN_QOS2)
		return;
	if (err == SQ_OK)
		err = ops->start.claim(
		    sq_item_sink(&s->sink, &slot->from)->queue, slot->item.seq, &item);
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
		s->window.old.items = (uint32_t)s->sink.engine->ops->queue.depth(s->sink.queue);
}

int
sq_restore(struct sq_broker *b, const struct sq_session_hooks *hooks)
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
	struct restore r = {.broker = b, .hooks = hooks, .now_ms = sq_engine_now_ms()};
	int err = sq_groups_load(b, r.now_ms);

	for (size_t i = 0; i < SQ_ARRAY_LEN(kinds) && err == SQ_OK; i++)
		err = b->engine->ops->start.load(b->engine, kinds[i].kind, kinds[i].fn, &r);
	if (err == SQ_OK)
		err = r.err;
	sq_groups_open(b); /* so that freeing the groups made so far finds queues */
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
