/* Bindings of a session: SUBSCRIBE, shares, and what annotations declare. */
#include <stdlib.h>
#include <string.h>

#include "broker/dead.h"
#include "broker/own.h"
#include "broker/session/asked.h"
#include "broker/session/denied.h"
#include "broker/session/group_declare.h"
#include "broker/session/refused.h"
#include "broker/session/session.h"
#include "broker/session/stored.h"
#include "broker/session/txn.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/mqtt/reason.h"

enum {
	OPTION_NO_LOCAL = 0x04, /* MQTT 5.0 §3.8.3.1 */
	OPTION_AS_PUBLISHED = 0x08,
	RETAIN_ALWAYS = 0,
	RETAIN_IF_NEW = 1,
	SEPARATOR = 0xff, /* in no UTF-8 */
	FILTER_SHOWN_MAX = 256,
	QUEUE_NAME_MAX = UINT16_MAX - 32, /* bytes, less what the store puts behind it */
};

/* Subscriptions. */

static struct sq_subscription *
subscription_find(struct sq_session *s, const char *name)
{
	SQ_LIST_FOR_EACH(sub, &s->subscriptions, struct sq_subscription, node) {
		if (strcmp(sub->name, name) == 0)
			return sub;
	}
	return NULL;
}

/* Another subscription of the session that consumes from the same group. */
static struct sq_subscription *
subscription_heir(struct sq_session *s, const struct sq_subscription *sub)
{
	SQ_LIST_FOR_EACH(other, &s->subscriptions, struct sq_subscription, node) {
		if (other != sub && other->consumes && other->group == sub->group)
			return other;
	}
	return NULL;
}

/* Under the router's write lock.  'txn' is NULL at the broker's end. */
static void
subscription_free(
    struct sq_session *s, struct sq_subscription *sub, bool session_ends, struct sq_txn *txn)
{
	struct sq_broker *b = s->shard->broker;
	struct sq_subscription *heir = subscription_heir(s, sub);

	sq_stored_unsubscribed(s, txn, sub);
	sq_router_unbind(b->router, &sub->binding);
	if (sub->member != NULL && heir != NULL)
		heir->member = sub->member;
	else if (sub->member != NULL)
		sq_member_leave(s, sub->member);
	if (sub->group != NULL) {
		sq_group_undeclare(sub->group, &sub->word, sq_worker_now_ms(s->shard->worker), txn);
		sq_group_unbind(sub->group, sub->group_binding,
		    session_ends && sq_group_keeps(sub->group), txn);
		sq_group_leave(&sub->group, sq_worker_now_ms(s->shard->worker), txn);
	}
	sq_block_unref(&sub->binding.subs);
	sq_list_remove(&sub->node);
	s->n_subscriptions--;
	free(sub->name);
	free(sub);
}

/* An entry with its filter parsed. */
struct wanted {
	struct sq_sub e;
	struct sq_topic_filter filter;
	char *name;  /* see struct sq_subscription */
	char *group; /* NULL: none */
	bool dead;   /* the group is a dead-letter queue's: */
	enum sq_dead_kind dead_kind;

	/* What the answer says behind the code. */
	enum sq_refusal refusal; /* for a code that refuses */
	struct sq_buf note;      /* a text for people; may be empty */
};

/* The parts in one string, each behind a byte that no part can be mistaken for. */
static char *
wanted_text(const char *kind, struct sq_bytes a, struct sq_bytes b, struct sq_bytes c)
{
	const struct sq_bytes parts[] = {a, b, c};
	struct sq_buf text = {0};
	char *out;

	sq_buf_append(&text, kind, strlen(kind));
	for (size_t i = 0; i < SQ_ARRAY_LEN(parts); i++) {
		sq_buf_u8(&text, SEPARATOR);
		sq_buf_append(&text, parts[i].p, parts[i].len);
	}
	out = sq_xmemdup0(sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
	return out;
}

static struct sq_bytes
wanted_str(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static bool
wanted_has_nul(struct sq_bytes b)
{
	return b.len > 0 && (memchr(b.p, '\0', b.len) != NULL || !sq_utf8_valid(b.p, b.len));
}

/* Dead letters are taken whole, and by no share of their own: all who want them
 * share them. */
static bool
wanted_dead(struct wanted *w)
{
	struct sq_bytes f = w->filter.filter;

	w->dead = f.len == 7 && memcmp(f.p, "$dead/#", 7) == 0 && w->filter.share.len == 0 &&
	    w->filter.tag.len == 0;
	return w->dead;
}

/* The entry is refused, for 'why'; returns 'code'. */
static uint8_t
wanted_refuse(struct wanted *w, uint8_t code, const char *why)
{
	struct sq_bytes f = w->e.filter;

	sq_buf_drain(&w->note, sq_buf_len(&w->note));
	f.len = sq_utf8_cut(f.p, f.len, FILTER_SHOWN_MAX);
	if (!wanted_has_nul(f))
		sq_buf_printf(&w->note, "filter %.*s: ", (int)f.len, (const char *)f.p);
	sq_buf_printf(&w->note, "%s", why);
	return code;
}

/* Parses an entry; returns a reason code, below 0x80 when it is well formed. */
static uint8_t
wanted_parse(const struct sq_key *key, const struct sq_sub *e, struct wanted *w)
{
	struct sq_bytes all = {(const unsigned char *)"#", 1};
	struct sq_bytes space = wanted_str(key->space), workload = wanted_str(key->workload);
	const char *why = "filter, tag and group must be UTF-8 without NUL";

	*w = (struct wanted){.e = *e};
	if (wanted_has_nul(e->filter) || wanted_has_nul(e->tag) || wanted_has_nul(e->group) ||
	    wanted_has_nul(e->pod) ||
	    sq_topic_filter_parse(e->filter.len > 0 ? e->filter : all, &w->filter, &why) != SQ_OK ||
	    (e->tag.len > 0 && sq_topic_tag_check(e->tag, &why) != SQ_OK))
		return wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID, why);
	if (e->tag.len > 0 && w->filter.tag.len > 0)
		return wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID, "it names two tags");
	if (e->tag.len > 0)
		w->filter.tag = e->tag;
	if (sq_asked_is_dead(w->filter.filter) && !wanted_dead(w))
		return wanted_refuse(
		    w, SQ_MQTT_RC_FILTER_INVALID, "dead letters are taken whole, by $dead/#");
	if (e->flags & SQ_SUB_DECLARED) {
		if (w->filter.share.len > 0)
			return wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID,
			    "a declared one shares by its group, not by $share");
		w->name = wanted_text("", e->group, e->tag, e->filter);
		w->group = wanted_text("declared", space, workload, e->group);
		return SQ_MQTT_RC_SUCCESS;
	}
	if (e->tag.len > 0) /* a plain one names its tag in the filter */
		return wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID, "its tag belongs into it");
	w->name = sq_xmemdup0(e->filter.p, e->filter.len);
	if (w->filter.share.len > 0) {
		if (e->options & OPTION_NO_LOCAL) /* MQTT-3.8.3-4 */
			return wanted_refuse(
			    w, SQ_MQTT_RC_PROTOCOL_ERROR, "No Local and $share exclude each other");
		w->group = wanted_text("share", space, e->filter, (struct sq_bytes){0});
	}
	if (w->dead)
		w->group = sq_xstrdup("dead");
	return SQ_MQTT_RC_SUCCESS;
}

static struct sq_group_cfg
wanted_cfg(const struct sq_session *s, const struct wanted *w)
{
	bool declared = (w->e.flags & SQ_SUB_DECLARED) != 0;

	return (struct sq_group_cfg){
	    .name = w->group,
	    .tenant = s->tenant,
	    .durable = declared && (w->e.flags & SQ_SUB_DURABLE) != 0,
	    .share = !declared,
	    .expiry_s = w->e.queue_expiry_s,
	    .max_length = w->e.max_length,
	    .max_attempts = w->e.max_attempts,
	    .overflow = (enum sq_overflow)w->e.overflow,
	};
}

static void
subscribe_group(
    struct sq_session *s, struct sq_subscription *sub, const struct wanted *w, struct sq_txn *txn)
{
	struct sq_broker *b = s->shard->broker;
	bool declared = (w->e.flags & SQ_SUB_DECLARED) != 0;
	struct sq_group_cfg cfg = wanted_cfg(s, w);

	if (w->dead) {
		sub->group = sq_group_ref(sq_dead_group(b->dead, s->tenant, w->dead_kind));
		sub->group->n_subs++;
	} else {
		sub->group = sq_group_join(b, &cfg, txn);
	}
	sub->group_binding = sq_group_bind(
	    sub->group, &w->filter, sub->name, declared ? w->e.options & 3 : 2, txn);
}

/* What the entry says of the group's queue. */
static void
subscribe_declare(
    struct sq_session *s, struct sq_subscription *sub, struct wanted *w, struct sq_txn *txn)
{
	struct sq_group_cfg cfg = wanted_cfg(s, w);
	struct sq_word word = {
	    .options = sq_group_cfg_options(&cfg), .since_ms = w->e.since_ms, .pod = w->e.pod};

	if (cfg.share || w->dead || sub->group == NULL)
		return;
	sq_group_declare(sub->group, &sub->word, &word, sq_worker_now_ms(s->shard->worker), txn);
	sq_group_declare_note(sub->group, cfg.durable, cfg.expiry_s, &w->note);
}

/* One member per group: a session that declares several filters of a group
 * takes from its queue once. */
static void
subscribe_consume(struct sq_session *s, struct sq_subscription *sub, const struct sq_sub *e)
{
	struct sq_subscription *first = subscription_heir(s, sub);

	sub->consumes = true;
	if (sub->member == NULL && first == NULL)
		sq_member_join(s, sub, e);
}

static struct sq_subscription *subscribe_new(struct sq_session *, struct wanted *, struct sq_txn *);

/* There are two queues of dead letters: a subscription to them has a twin. */
static struct sq_subscription *
subscribe_twin(struct sq_session *s, const struct sq_subscription *sub, const struct wanted *w,
    struct sq_txn *txn)
{
	struct wanted other = *w;

	other.dead_kind = SQ_DEAD_OTHERS;
	other.name = wanted_text(
	    "twin", wanted_str(sub->name), (struct sq_bytes){0}, (struct sq_bytes){0});
	return subscribe_new(s, &other, txn);
}

static struct sq_subscription *
subscribe_new(struct sq_session *s, struct wanted *w, struct sq_txn *txn)
{
	struct sq_subscription *sub = sq_xcalloc(1, sizeof *sub);

	sub->name = w->name;
	w->name = NULL;
	sq_list_push_back(&s->subscriptions, &sub->node);
	s->n_subscriptions++;
	if (w->group != NULL) {
		subscribe_group(s, sub, w, txn);
	} else {
		sub->binding.sink = &s->sink;
		sq_router_bind(s->shard->broker->router, sq_tenant_space(s->tenant), &w->filter,
		    &sub->binding);
	}
	if (w->dead && w->dead_kind == SQ_DEAD_ASSURED)
		sub->twin = subscribe_twin(s, sub, w, txn);
	return sub;
}

/* Sets or replaces what the options say (MQTT 5.0 §3.8.4). */
static void
subscribe_options(
    struct sq_session *s, struct sq_subscription *sub, const struct sq_sub *e, struct sq_txn *txn)
{
	struct sq_block *subs = NULL;

	if (e->sub_id != 0)
		subs = sq_block_copy(&e->sub_id, sizeof e->sub_id);
	if (sub->member != NULL) {
		sub->member->concurrency = e->concurrency;
		sq_block_unref(&sub->member->subs);
		sub->member->subs = subs;
		if (e->flags & SQ_SUB_DECLARED)
			sq_group_set_qos(sub->group, sub->group_binding, e->options & 3, txn);
		else
			sub->member->max_qos = e->options & 3;
		sub->member->as_published = (e->options & OPTION_AS_PUBLISHED) != 0;
	} else if (sub->group != NULL) {
		sq_block_unref(&subs);
		sq_group_set_qos(sub->group, sub->group_binding, e->options & 3, txn);
	} else {
		sq_block_unref(&sub->binding.subs);
		sub->binding.subs = subs;
		sub->binding.max_qos = e->options & 3;
		sub->binding.as_published = (e->options & OPTION_AS_PUBLISHED) != 0;
		sub->binding.not_from = (e->options & OPTION_NO_LOCAL) ? s->incarnation : 0;
	}
}

/* Does what an entry says of a subscription that is there. */
static void
subscribe_apply(
    struct sq_session *s, struct sq_subscription *sub, const struct sq_sub *e, struct sq_txn *txn)
{
	for (; sub != NULL; sub = sub->twin) {
		if (sub->group != NULL &&
		    ((e->flags & SQ_SUB_DECLARED) == 0 || (e->flags & SQ_SUB_CONSUME)))
			subscribe_consume(s, sub, e);
		subscribe_options(s, sub, e, txn);
	}
}

/* Retained messages for a new subscription (MQTT 5.0 §3.3.1.3). */

struct retained_put {
	struct sq_session *session;
	const struct sq_subscription *sub;
	struct sq_bytes tag; /* only messages with it; empty: any */
	struct sq_op *op;
};

static bool
retained_tagged(const unsigned char *image, struct sq_bytes tag)
{
	struct sq_bytes props = sq_image_props(image), name, value;

	while (sq_props_user_next(&props, &name, &value)) {
		if (name.len == 3 && memcmp(name.p, "tag", 3) == 0 && value.len == tag.len &&
		    memcmp(value.p, tag.p, tag.len) == 0)
			return true;
	}
	return false;
}

static bool
retained_room(const struct sq_op *op, const struct sq_item *item)
{
	uint64_t subs = item->subs != NULL ? item->subs->size : 0;

	return op->txn->engine->ops->txn_room(op->txn, 1, sq_image_size(item->msg.image) + subs);
}

static bool
retained_put(const struct sq_msg *m, const struct sq_origin *origin, uint64_t expires_ms, void *arg)
{
	const struct retained_put *to = arg;
	const struct sq_binding *b = &to->sub->binding;
	uint8_t qos = (uint8_t)sq_image_qos(m->image);
	struct sq_item item;

	if (to->tag.len != 0 && !retained_tagged(m->image, to->tag))
		return true;
	item = (struct sq_item){
	    .msg = sq_msg_ref(*m),
	    .subs = b->subs != NULL ? sq_block_ref(b->subs) : NULL,
	    .origin = *origin,
	    .expires_ms = expires_ms,
	    .qos = qos < b->max_qos ? qos : b->max_qos,
	    .retain = true,
	};
	if (b->sink->reject &&
	    b->sink->engine->ops->queue_full(b->sink->queue, sq_image_size(m->image))) {
		sq_count(to->session->shard->broker, SQ_M_DROPPED_FULL, 1);
		sq_item_fini(&item);
		return false;
	}
	if (item.qos > 0 && !retained_room(to->op, &item))
		(void)sq_op_split(to->op, 0);
	return b->sink->engine->ops->put(to->op->txn, b->sink->queue, &item) == SQ_OK;
}

/* Whether the store's records can hold the names of the group and of the binding. */
static bool
wanted_storable(const struct wanted *w)
{
	return w->group == NULL ||
	    (strlen(w->group) <= QUEUE_NAME_MAX && strlen(w->name) <= UINT16_MAX);
}

static uint8_t
subscribe_one(struct sq_session *s, struct wanted *w, struct sq_op *op)
{
	struct sq_txn *txn = op->txn; /* until retained messages fill it */
	unsigned handling = w->e.options >> 4 & 3;
	struct sq_subscription *sub = subscription_find(s, w->name);
	bool is_new = sub == NULL;

	if (is_new && s->n_subscriptions >= s->shard->broker->cfg.max_subs_per_session)
		return wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED,
		    "the session has as many as it may (limits.max-subscriptions)");
	if (is_new && !wanted_storable(w))
		return wanted_refuse(
		    w, SQ_MQTT_RC_FILTER_INVALID, "too long for the name of a queue");
	if (is_new)
		sub = subscribe_new(s, w, txn);
	subscribe_apply(s, sub, &w->e, txn);
	subscribe_declare(s, sub, w, txn);
	sq_stored_subscription(s, txn, sub, &w->e);
	if (sub->group == NULL &&
	    (handling == RETAIN_ALWAYS || (handling == RETAIN_IF_NEW && is_new))) {
		struct retained_put to = {s, sub, w->filter.tag, op};

		sq_router_retained(s->shard->broker->router, sq_tenant_space(s->tenant),
		    w->filter.filter, sq_worker_now_ms(s->shard->worker), retained_put, &to);
	}
	return w->e.options & 3; /* granted */
}

static uint8_t
unsubscribe_one(struct sq_session *s, const struct wanted *w, struct sq_txn *txn)
{
	struct sq_subscription *sub = subscription_find(s, w->name);

	if (sub == NULL)
		return SQ_MQTT_RC_NO_SUBSCRIPTION;
	if (sub->twin != NULL)
		subscription_free(s, sub->twin, false, txn);
	subscription_free(s, sub, false, txn);
	return SQ_MQTT_RC_SUCCESS;
}

static void
wanted_fini(struct wanted *w)
{
	free(w->name);
	free(w->group);
	sq_buf_fini(&w->note);
}

static struct sq_bytes
wanted_note(const struct wanted *w)
{
	return (struct sq_bytes){sq_buf_data(&w->note), sq_buf_len(&w->note)};
}

/* Entry 'i' is refused with 'code'. */
static void
subscribe_refused(
    struct sq_session *s, struct wanted *w, uint8_t code, uint16_t i, struct sq_notes *notes)
{
	struct sq_refused refused = {.text = w->note,
	    .refusal = (uint8_t)(w->refusal != SQ_REFUSAL_NONE ? w->refusal
							       : sq_refusal_of_code(code))};

	sq_refused_tell(&refused, s, "subscription", code, i, notes);
}

/* Carries out entry 'i' and says of it in 'notes' what its code doesn't. */
static uint8_t
subscribe_entry(struct sq_session *s, const struct sq_key *key, const struct sq_sub *e, uint16_t i,
    struct sq_op *op, struct sq_notes *notes)
{
	struct wanted w;
	uint8_t code = wanted_parse(key, e, &w);
	bool unsubscribes = e->op == SQ_SUB_UNSUBSCRIBE;

	if (code < 0x80)
		code = unsubscribes ? unsubscribe_one(s, &w, op->txn) : subscribe_one(s, &w, op);
	if (code >= 0x80)
		subscribe_refused(s, &w, code, i, notes);
	else if (sq_buf_len(&w.note) > 0)
		sq_notes_add(notes, i, SQ_REFUSAL_NONE, wanted_note(&w));
	wanted_fini(&w);
	return code;
}

/* The names that groups are made of are the session's own. */
static void
subscribe_key(const struct sq_session *s, struct sq_key *key)
{
	if (sq_key_decode(wanted_str(s->key), key) != SQ_OK)
		abort(); /* sq_key_encode() has made it */
}

void
sq_subscribe_call(struct sq_session *s, struct sq_call *c)
{
	struct sq_router *router = s->shard->broker->router;
	unsigned version = sq_link_version(c->link);
	struct sq_subs_head head;
	struct sq_bytes entries;
	struct sq_notes notes = {0};
	struct sq_key key;
	struct sq_op *op;
	int n = sq_subs_decode(c->body->bytes, c->body->size, version, &head, &entries);

	if (n < 0) {
		sq_call_answer(c, 400, "malformed subscriptions");
		return;
	}
	if (sq_denied_declared(s->shard->broker, c, entries, n))
		return;
	subscribe_key(s, &key);
	op = sq_op_new(s, c);
	sq_buf_u16(&c->out, (uint16_t)n);
	sq_router_wrlock(router);
	for (int i = 0; i < n; i++) {
		struct sq_sub e = sq_sub_next(&entries, version);

		sq_buf_u8(&c->out, subscribe_entry(s, &key, &e, (uint16_t)i, op, &notes));
	}
	if (version >= 2)
		sq_notes_encode(&c->out, &notes);
	sq_notes_fini(&notes);
	SQ_LIST_FOR_EACH(sub, &s->subscriptions, struct sq_subscription, node) {
		if (sub->group != NULL)
			sq_group_prune(sub->group, op->txn);
	}
	/* Before anybody finds a group that is new: his commit comes after this one. */
	sq_op_commit(op);
	sq_router_unlock(router);
	sq_deliver_pump(s);
}

void
sq_subscribe_unsay(struct sq_session *s)
{
	struct sq_router *router = s->shard->broker->router;
	struct sq_own_txn *own = NULL;
	bool any = false;

	SQ_LIST_FOR_EACH(sub, &s->subscriptions, struct sq_subscription, node)
		any = any || sub->word != NULL;
	if (!any)
		return;
	sq_router_wrlock(router);
	SQ_LIST_FOR_EACH(sub, &s->subscriptions, struct sq_subscription, node) {
		if (sub->word != NULL)
			sq_group_undeclare(sub->group, &sub->word,
			    sq_worker_now_ms(s->shard->worker), sq_own_txn(s->shard, &own));
	}
	sq_own_commit(&own); /* before somebody else's change of the same group */
	sq_router_unlock(router);
}

void
sq_subscribe_drop_all(struct sq_session *s, struct sq_txn *txn)
{
	struct sq_router *router = s->shard->broker->router;

	if (sq_list_empty(&s->subscriptions))
		return;
	sq_router_wrlock(router);
	SQ_LIST_FOR_EACH_SAFE(sub, &s->subscriptions, struct sq_subscription, node)
		subscription_free(s, sub, true, txn);
	sq_router_unlock(router);
}

int
sq_subscribe_restore(struct sq_session *s, uint32_t number, struct sq_bytes value)
{
	struct sq_subs_head head;
	struct sq_bytes entries;
	struct sq_subscription *sub;
	struct wanted w;
	struct sq_key key;
	struct sq_sub e;

	if (sq_subs_decode(value.p, value.len, SQ_SUB_STORED_VERSION, &head, &entries) != 1)
		return SQ_EINVAL;
	subscribe_key(s, &key);
	e = sq_sub_next(&entries, SQ_SUB_STORED_VERSION);
	if (wanted_parse(&key, &e, &w) >= 0x80 || subscription_find(s, w.name) != NULL) {
		wanted_fini(&w);
		return SQ_EINVAL;
	}
	sub = subscribe_new(s, &w, NULL);
	sub->number = number;
	subscribe_apply(s, sub, &e, NULL);
	wanted_fini(&w);
	return SQ_OK;
}
