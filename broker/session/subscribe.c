/* Bindings of a session: SUBSCRIBE, shares, and what annotations declare. */
#include <stdlib.h>
#include <string.h>

#include "broker/group/group_declare.h"
#include "broker/publish/dead_queues.h"
#include "broker/publish/refused.h"
#include "broker/session/denied.h"
#include "broker/session/permit.h"
#include "broker/session/persist.h"
#include "broker/session/retained_scan.h"
#include "broker/session/session.h"
#include "broker/session/txn.h"
#include "broker/session/wanted.h"
#include "broker/shard/sys_counts.h"
#include "broker/shard/system_txn.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "proto/mqtt/reason.h"
#include "proto/topic/sys_value.h"

enum {
	RUNNING_MAX = 64, /* transactions of a session that need not be waited for */
	LOCKED_MAX = 64,  /* entries after which those that wait for the lock come first */
};

/* Subscriptions. */

static struct sq_subscription *
subscription_find(struct sq_session *s, const char *name)
{
	struct sq_hnode *n = sq_htab_find(&s->subs.by_name, sq_hash(name, strlen(name)));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_subscription *sub = SQ_CONTAINER_OF(n, struct sq_subscription, by_name);

		if (strcmp(sub->name, name) == 0)
			return sub;
	}
	return NULL;
}

static uint64_t
subscription_group_hash(const struct sq_subscription *sub)
{
	return sq_hash_u64((uintptr_t)sub->group);
}

/* Another subscription of the session that consumes from the same group.  There may be
 * thousands: a table of them all would be one chain. */
static struct sq_subscription *
subscription_heir(struct sq_session *s, const struct sq_subscription *sub)
{
	struct sq_hnode *n;

	if (sub->consumes)
		return SQ_LIST_FIRST(&sub->of_group, struct sq_subscription, of_group);
	n = sq_htab_find(&s->subs.by_group, subscription_group_hash(sub));
	for (; sub->group != NULL && n != NULL; n = sq_htab_next_same(n)) {
		struct sq_subscription *first = SQ_CONTAINER_OF(
		    n, struct sq_subscription, by_group);

		if (first->group == sub->group)
			return first;
	}
	return NULL;
}

static void
subscription_lead(struct sq_session *s, struct sq_subscription *sub)
{
	sub->leads = true;
	sq_htab_insert(&s->subs.by_group, &sub->by_group, subscription_group_hash(sub));
}

static void
subscription_ring_in(struct sq_session *s, struct sq_subscription *sub)
{
	struct sq_subscription *first = subscription_heir(s, sub);

	sub->consumes = true;
	sq_list_init(&sub->of_group);
	if (first != NULL)
		sq_list_push_back(&first->of_group, &sub->of_group);
	else
		subscription_lead(s, sub);
}

static void
subscription_ring_out(struct sq_session *s, struct sq_subscription *sub)
{
	struct sq_subscription *heir = subscription_heir(s, sub);

	sq_list_remove(&sub->of_group);
	if (!sub->leads)
		return;
	sq_htab_remove(&s->subs.by_group, &sub->by_group);
	if (heir != NULL)
		subscription_lead(s, heir);
}

/* The session's record of it goes. */
static void
subscription_unlist(struct sq_session *s, struct sq_subscription *sub)
{
	if (sub->consumes)
		subscription_ring_out(s, sub);
	sq_htab_remove(&s->subs.by_name, &sub->by_name);
	sq_list_remove(&sub->node);
	s->subs.n--;
	s->subs.filter_bytes -= sub->filter_len;
}

/* Under the write lock of the tenant's space.  'txn' is NULL at the broker's end. */
static void
subscription_free(
    struct sq_session *s, struct sq_subscription *sub, bool session_ends, struct sq_txn *txn)
{
	struct sq_broker *b = s->shard->broker;
	struct sq_subscription *heir = subscription_heir(s, sub);

	if (sub->counted != SQ_SYS_COUNTS)
		sq_sys_add(s->id.sys, (enum sq_sys_count)sub->counted, -1);
	subscription_unlist(s, sub);
	sq_retained_end(sub);
	sq_persist_unsubscribed(s, txn, sub);
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
	sq_share_give(sq_tenant_account(s->id.tenant), SQ_SHARE_SUBSCRIPTIONS, 1);
	free(sub->name);
	free(sub);
}

static struct sq_group_cfg
subscribe_cfg(const struct sq_session *s, const struct sq_wanted *w)
{
	bool declared = (w->e.flags & SQ_SUB_DECLARED) != 0;

	return (struct sq_group_cfg){
	    .name = w->group,
	    .tenant = s->id.tenant,
	    .durable = declared && (w->e.flags & SQ_SUB_DURABLE) != 0,
	    .share = !declared,
	    .expiry_s = w->e.queue_expiry_s,
	    .max_length = w->e.max_length,
	    .max_attempts = w->e.max_attempts,
	    .overflow = (enum sq_overflow)w->e.overflow,
	};
}

static void
subscribe_group(struct sq_session *s, struct sq_subscription *sub, const struct sq_wanted *w,
    struct sq_txn *txn)
{
	struct sq_broker *b = s->shard->broker;
	bool declared = (w->e.flags & SQ_SUB_DECLARED) != 0;
	struct sq_group_cfg cfg = subscribe_cfg(s, w);

	if (w->dead) {
		sub->group = sq_dead_group(b->dead, s->id.tenant, w->dead_kind);
		sub->group->n_subs++;
	} else {
		sub->group = sq_group_join(b, &cfg, txn);
	}
	sub->group_binding = sq_group_bind(
	    sub->group, &w->filter, sub->name, declared ? w->e.options & SQ_OPTION_QOS : 2, txn);
}

/* What the entry says of the group's queue. */
static void
subscribe_declare(
    struct sq_session *s, struct sq_subscription *sub, struct sq_wanted *w, struct sq_txn *txn)
{
	struct sq_group_cfg cfg = subscribe_cfg(s, w);
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
	if (!sub->consumes)
		subscription_ring_in(s, sub);
	if (sub->member == NULL && subscription_heir(s, sub) == NULL)
		sq_member_join(s, sub, e);
}

static struct sq_subscription *
subscribe_new(struct sq_session *, struct sq_wanted *, struct sq_txn *);

/* There are two queues of dead letters: a subscription to them has a twin. */
static struct sq_subscription *
subscribe_twin(struct sq_session *s, const struct sq_subscription *sub, const struct sq_wanted *w,
    struct sq_txn *txn)
{
	struct sq_wanted other = *w;

	other.dead_kind = SQ_DEAD_OTHERS;
	other.name = sq_wanted_text(
	    "twin", sq_bytes_of(sub->name), (struct sq_bytes){0}, (struct sq_bytes){0});
	return subscribe_new(s, &other, txn);
}

/* In $SYS; what a keeper declares is no client's, and a twin is no other subscription. */
static void
subscribe_count(struct sq_session *s, struct sq_subscription *sub, const struct sq_wanted *w)
{
	bool twin = w->dead && w->dead_kind != SQ_DEAD_ASSURED;

	sub->counted = SQ_SYS_COUNTS;
	if (twin || s->id.internal)
		return;
	sub->counted = sub->group != NULL ? SQ_SYS_SHARED : SQ_SYS_SUBSCRIPTIONS;
	sq_sys_add(s->id.sys, (enum sq_sys_count)sub->counted, 1);
}

static struct sq_subscription *
subscribe_new(struct sq_session *s, struct sq_wanted *w, struct sq_txn *txn)
{
	struct sq_subscription *sub = sq_xcalloc(1, sizeof *sub);

	sub->name = w->name;
	w->name = NULL;
	sq_list_push_back(&s->subs.list, &sub->node);
	sq_htab_insert(&s->subs.by_name, &sub->by_name, sq_hash(sub->name, strlen(sub->name)));
	s->subs.n++;
	sq_share_force(sq_tenant_account(s->id.tenant), SQ_SHARE_SUBSCRIPTIONS, 1);
	sub->filter_len = (uint32_t)w->e.filter.len;
	s->subs.filter_bytes += sub->filter_len;
	if (w->group != NULL) {
		subscribe_group(s, sub, w, txn);
	} else {
		sub->binding.sink = &s->flow.sink;
		sq_router_bind(s->shard->broker->router,
		    sq_sys_counts_space(s->shard->broker->sys_counts, s->id.tenant, &w->filter),
		    &w->filter, &sub->binding);
	}
	subscribe_count(s, sub, w);
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
			sq_group_set_qos(
			    sub->group, sub->group_binding, e->options & SQ_OPTION_QOS, txn);
		else
			sub->member->max_qos = e->options & SQ_OPTION_QOS;
		sub->member->as_published = (e->options & SQ_OPTION_AS_PUBLISHED) != 0;
	} else if (sub->group != NULL) {
		sq_block_unref(&subs);
		sq_group_set_qos(sub->group, sub->group_binding, e->options & SQ_OPTION_QOS, txn);
	} else {
		sq_block_unref(&sub->binding.subs);
		sub->binding.subs = subs;
		sub->binding.max_qos = e->options & SQ_OPTION_QOS;
		sub->binding.as_published = (e->options & SQ_OPTION_AS_PUBLISHED) != 0;
		sub->binding.not_from = (e->options & SQ_OPTION_NO_LOCAL) ? s->id.incarnation : 0;
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

/* A Subscriptions that is carried out. */
struct request {
	struct sq_subs_head head;
	struct sq_bytes entries;
	int n;
	struct sq_buf codes;
	struct sq_notes notes;
	struct sq_group **groups; /* that it has bound in, with references */
	size_t n_groups, cap_groups;
};

/* Notes the group of an entry. */
static void
subscribe_bound(struct request *req, const struct sq_subscription *sub)
{
	if (sub == NULL || sub->group == NULL ||
	    (req->n_groups > 0 && req->groups[req->n_groups - 1] == sub->group))
		return;
	if (req->n_groups == req->cap_groups) {
		req->cap_groups = req->cap_groups > 0 ? req->cap_groups * 2 : 4;
		req->groups = sq_xrealloc(req->groups, req->cap_groups * sizeof(*req->groups));
	}
	req->groups[req->n_groups++] = sq_group_ref(sub->group);
}

/* Whether a new subscription has a record, or its group or its binding there, which nobody has
 * made before. */
static bool
subscribe_stores(const struct sq_session *s, const struct sq_wanted *w)
{
	bool declared = (w->e.flags & SQ_SUB_DECLARED) != 0;

	if (s->id.durable)
		return true;
	if (w->group == NULL || w->dead || (declared && (w->e.flags & SQ_SUB_DURABLE) == 0))
		return false;
	return !sq_group_has(s->shard->broker, w->group, w->name);
}

static uint8_t
subscribe_no_share(const struct sq_session *s, struct sq_wanted *w, enum sq_share_kind kind)
{
	struct sq_buf why = {0};
	uint8_t code;

	sq_share_explain(sq_tenant_account(s->id.tenant), kind, &why);
	sq_buf_u8(&why, '\0');
	code = sq_wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED, (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return code;
}

/* The most that a new subscription takes of its tenant's share. */
struct share_most {
	uint64_t subscriptions, groups;
};

static void
subscribe_give(const struct sq_session *s, const struct share_most *most)
{
	struct sq_account *a = sq_tenant_account(s->id.tenant);

	sq_share_give(a, SQ_SHARE_SUBSCRIPTIONS, most->subscriptions);
	sq_share_give(a, SQ_SHARE_GROUPS, most->groups);
}

/* Takes it, so that of those who ask at once, in other spaces, none goes above the total, and
 * returns 0; whoever makes the subscription and its group counts them himself, and then this is
 * given back.  Else a reason code: there is no room in the share. */
static uint8_t
subscribe_share(const struct sq_session *s, struct sq_wanted *w, struct share_most *most)
{
	struct sq_account *a = sq_tenant_account(s->id.tenant);

	*most = (struct share_most){.subscriptions = 1};
	if (w->group != NULL) /* and its binding; dead letters have two of each */
		most->subscriptions = w->dead ? 4 : 2;
	if (!sq_share_take(a, SQ_SHARE_SUBSCRIPTIONS, most->subscriptions))
		return subscribe_no_share(s, w, SQ_SHARE_SUBSCRIPTIONS);
	if (w->group == NULL || w->dead || sq_group_there(s->shard->broker, w->group))
		return 0;
	if (!sq_share_take(a, SQ_SHARE_GROUPS, 1)) {
		subscribe_give(s, most);
		return subscribe_no_share(s, w, SQ_SHARE_GROUPS);
	}
	most->groups = 1;
	return 0;
}

static uint8_t
subscribe_one(
    struct sq_session *s, struct sq_wanted *w, struct sq_call_txn *op, struct request *req)
{
	struct sq_txn *txn = op->txn; /* until retained messages fill it */
	unsigned handling = sq_option_retain(w->e.options);
	struct sq_subscription *sub = subscription_find(s, w->name);
	bool is_new = sub == NULL;
	struct share_most most = {0};
	uint8_t code;

	if (is_new && s->subs.n >= s->shard->broker->cfg.max_subs_per_session)
		return sq_wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED,
		    "the session has as many as it may (limits.max-subscriptions)");
	if (is_new && s->subs.filter_bytes + w->e.filter.len > s->shard->broker->cfg.max_sub_bytes)
		return sq_wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED,
		    "the filters of the session have as many bytes as they may "
		    "(limits.subscription-bytes)");
	if (is_new && sq_memory_level() >= SQ_MEMORY_FILLED) {
		w->refusal = SQ_REFUSAL_MEMORY;
		return sq_wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED,
		    "the broker's memory is nearly used up (limits.memory)");
	}
	if (is_new && w->filter.levels > s->shard->broker->cfg.limits.topic_levels)
		return sq_wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID,
		    "the topic filter has too many levels (limits.topic-levels)");
	if (is_new && !sq_wanted_storable(w))
		return sq_wanted_refuse(
		    w, SQ_MQTT_RC_FILTER_INVALID, "too long for the name of a queue");
	if (is_new && sq_engine_full(s->shard->broker->engine) && subscribe_stores(s, w)) {
		w->refusal = SQ_REFUSAL_STORE_FULL;
		return sq_wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSED_STORE);
	}
	if (is_new && (code = subscribe_share(s, w, &most)) != 0)
		return code;
	sq_order_bind(s);
	if (is_new) {
		sub = subscribe_new(s, w, txn);
		subscribe_give(s, &most);
	}
	subscribe_apply(s, sub, &w->e, txn);
	subscribe_declare(s, sub, w, txn);
	sq_persist_subscription(s, txn, sub, &w->e);
	subscribe_bound(req, sub);
	if (sub->group == NULL && !is_new)
		sq_router_changed(&sub->binding);
	if (sub->group == NULL &&
	    (handling == SQ_RETAIN_ALWAYS || (handling == SQ_RETAIN_IF_NEW && is_new)))
		sq_retained_begin(s, sub, &w->filter, op);
	return w->e.options & SQ_OPTION_QOS; /* granted */
}

/* Ends it, and its twin; under the write lock of the tenant's space. */
static void
subscription_end(struct sq_session *s, struct sq_subscription *sub, struct sq_txn *txn)
{
	if (sub->twin != NULL)
		subscription_free(s, sub->twin, false, txn);
	subscription_free(s, sub, false, txn);
}

static uint8_t
unsubscribe_one(struct sq_session *s, const struct sq_wanted *w, struct sq_txn *txn)
{
	struct sq_subscription *sub = subscription_find(s, w->name);

	if (sub == NULL)
		return SQ_MQTT_RC_NO_SUBSCRIPTION;
	subscription_end(s, sub, txn);
	return SQ_MQTT_RC_SUCCESS;
}

/* Entry 'i' is refused with 'code'. */
static void
subscribe_refused(
    struct sq_session *s, struct sq_wanted *w, uint8_t code, uint16_t i, struct sq_notes *notes)
{
	struct sq_refused refused = {.text = w->note,
	    .refusal = (uint8_t)(w->refusal != SQ_REFUSAL_NONE ? w->refusal
							       : sq_refusal_of_code(code))};
	struct sq_refused_of of = sq_session_refused(s);

	sq_refused_tell(&refused, &of, "subscription", code, i, notes);
}

/* Carries out entry 'i' and says of it in the notes what its code doesn't. */
static uint8_t
subscribe_entry(struct sq_session *s, const struct sq_key *key, const struct sq_sub *e, uint16_t i,
    struct sq_call_txn *op, struct request *req)
{
	struct sq_wanted w;
	uint8_t code = sq_wanted_parse(key, e, &w);
	bool unsubscribes = e->op == SQ_SUB_UNSUBSCRIBE;

	if (!sq_mqtt_reason_failed(code) && !unsubscribes && !sq_permit_subscribe(s, &w))
		code = SQ_MQTT_RC_NOT_AUTHORIZED;
	if (!sq_mqtt_reason_failed(code))
		code = unsubscribes ? unsubscribe_one(s, &w, op->txn)
				    : subscribe_one(s, &w, op, req);
	if (sq_mqtt_reason_failed(code))
		subscribe_refused(s, &w, code, i, &req->notes);
	else if (sq_buf_len(&w.note) > 0)
		sq_notes_add(&req->notes, i, SQ_REFUSAL_NONE, sq_wanted_note(&w));
	sq_wanted_fini(&w);
	return code;
}

/* The names that groups are made of are the session's own. */
static void
subscribe_key(const struct sq_session *s, struct sq_key *key)
{
	if (sq_key_decode(sq_bytes_of(s->id.key), key) != SQ_OK)
		abort(); /* sq_key_encode() has made it */
}

/* Its members have declared theirs by now: drops what was only kept. */
static void
subscribe_prune(struct request *req, struct sq_txn *txn)
{
	for (size_t i = 0; i < req->n_groups; i++) {
		sq_group_prune(req->groups[i], txn);
		sq_group_unref(&req->groups[i]);
	}
	free(req->groups);
}

/* Lets others come first.  Not before the commit of what they may find: theirs of a group that
 * is new comes after that. */
static void
subscribe_pause(struct sq_session *s, const struct request *req, struct sq_call_txn *op)
{
	if (req->n_groups > 0)
		(void)sq_call_txn_split(op, 0);
	sq_space_unlock(sq_tenant_space(s->id.tenant));
	sq_space_wrlock(sq_tenant_space(s->id.tenant));
}

/* Carries its entries out, in 'op'. */
static void
subscribe_entries(
    struct sq_session *s, struct request *req, struct sq_call_txn *op, unsigned version)
{
	struct sq_key key;

	subscribe_key(s, &key);
	sq_permit_refresh(s);
	for (int i = 0; i < req->n; i++) {
		struct sq_sub e = sq_sub_next(&req->entries, version);

		if (i > 0 && i % LOCKED_MAX == 0)
			subscribe_pause(s, req, op);
		sq_buf_u8(&req->codes, subscribe_entry(s, &key, &e, (uint16_t)i, op, req));
	}
	subscribe_prune(req, op->txn);
}

/* One without a mark is answered by the codes themselves, once it is committed. */
static void
subscribe_carry_out(struct sq_session *s, struct sq_call *c, struct request *req)
{
	struct sq_space *space = sq_tenant_space(s->id.tenant);
	unsigned version = sq_outlet_version(c->outlet);
	struct sq_call_txn *op = sq_call_txn_new(s, c);

	sq_space_wrlock(space);
	subscribe_entries(s, req, op, version);
	sq_codes_encode(&c->out, sq_buf_data(&req->codes), (uint16_t)req->n, &req->notes, version);
	sq_retained_commit(op);
	sq_space_unlock(space);
	sq_session_wake(s);
}

/* Whether an answer waits for the commit: that of a durable session, and any while so much
 * waits for its commit already, as when the store stalls. */
static bool
subscribe_waits(const struct sq_session *s)
{
	return sq_persist_engine(s->shard->broker) && (s->id.durable || s->running >= RUNNING_MAX);
}

/* One with a mark is answered by a frame: of what is stored once it is committed, else at
 * once, before anything that it has bound can be delivered. */
static void
subscribe_in_order(struct sq_session *s, struct sq_call *c, struct request *req)
{
	struct sq_space *space = sq_tenant_space(s->id.tenant);
	struct sq_order_answer *answer = sq_order_ask(s, c, req->head.mark);
	bool waits = subscribe_waits(s);
	struct sq_call_txn *op = sq_call_txn_new(s, NULL);

	sq_space_wrlock(space);
	subscribe_entries(s, req, op, sq_outlet_version(c->outlet));
	sq_order_asked(s, answer, &req->codes, &req->notes);
	if (waits)
		op->answer = answer;
	sq_retained_commit(op);
	sq_space_unlock(space);
	if (!waits)
		sq_order_ready(s, answer);
	sq_session_wake(s);
}

void
sq_subscribe_offer(struct sq_session *s, struct sq_call *c)
{
	struct request req = {0};

	req.n = sq_subs_decode(
	    c->body->bytes, c->body->size, sq_outlet_version(c->outlet), &req.head, &req.entries);
	if (req.n < 0) {
		sq_call_answer(c, SQ_VERDICT_MALFORMED, "malformed subscriptions");
		return;
	}
	if (sq_denied_declared(s->shard->broker, c, req.entries, req.n) ||
	    !sq_order_offer(s, c, &req.head))
		return;
	if (req.head.mark != 0)
		subscribe_in_order(s, c, &req);
	else
		subscribe_carry_out(s, c, &req);
	sq_buf_fini(&req.codes);
	sq_notes_fini(&req.notes);
}

void
sq_subscribe_call(struct sq_session *s, struct sq_call *c)
{
	bool waits = !sq_list_empty(&s->waiting);

	sq_subscribe_offer(s, c);
	if (waits)
		sq_order_retry(s);
}

void
sq_subscribe_unsay(struct sq_session *s)
{
	struct sq_space *space = sq_tenant_space(s->id.tenant);
	struct sq_system_txn *own = NULL;
	bool any = false;
	unsigned n = 0;

	SQ_LIST_FOR_EACH(sub, &s->subs.list, struct sq_subscription, node)
		any = any || sub->word != NULL;
	if (!any)
		return;
	sq_space_wrlock(space);
	SQ_LIST_FOR_EACH(sub, &s->subs.list, struct sq_subscription, node) {
		if (sub->word == NULL)
			continue;
		sq_group_undeclare(sub->group, &sub->word, sq_worker_now_ms(s->shard->worker),
		    sq_system_txn(s->shard, &own));
		if (++n % LOCKED_MAX != 0)
			continue;
		sq_system_commit(&own); /* before somebody else's change of the same group */
		sq_space_unlock(space);
		sq_space_wrlock(space);
	}
	sq_system_commit(&own);
	sq_space_unlock(space);
}

void
sq_subscribe_end(struct sq_session *s, struct sq_subscription *const *v, size_t n)
{
	struct sq_space *space = sq_tenant_space(s->id.tenant);
	struct sq_background_txn *background = NULL;

	sq_space_wrlock(space);
	for (size_t i = 0; i < n; i++)
		subscription_end(s, v[i], sq_background_txn(s, &background));
	sq_background_commit(&background); /* before somebody else's change of the same group */
	sq_space_unlock(space);
}

void
sq_subscribe_drop_all(struct sq_session *s, struct sq_txn *txn)
{
	struct sq_space *space = sq_tenant_space(s->id.tenant);

	while (!sq_list_empty(&s->subs.list)) {
		sq_space_wrlock(space);
		for (int n = 0; n < LOCKED_MAX && !sq_list_empty(&s->subs.list); n++)
			subscription_free(s,
			    SQ_LIST_FIRST(&s->subs.list, struct sq_subscription, node), true, txn);
		sq_space_unlock(space);
	}
	sq_htab_fini(&s->subs.by_name);
	sq_htab_fini(&s->subs.by_group);
}

int
sq_subscribe_restore(struct sq_session *s, uint32_t number, struct sq_bytes value)
{
	struct sq_subs_head head;
	struct sq_bytes entries;
	struct sq_subscription *sub;
	struct sq_wanted w;
	struct sq_key key;
	struct sq_sub e;

	if (sq_subs_decode(value.p, value.len, SQ_SUB_STORED_VERSION, &head, &entries) != 1)
		return SQ_EINVAL;
	subscribe_key(s, &key);
	e = sq_sub_next(&entries, SQ_SUB_STORED_VERSION);
	if (sq_mqtt_reason_failed(sq_wanted_parse(&key, &e, &w)) ||
	    subscription_find(s, w.name) != NULL) {
		sq_wanted_fini(&w);
		return SQ_EINVAL;
	}
	sq_space_wrlock(sq_tenant_space(s->id.tenant));
	sub = subscribe_new(s, &w, NULL);
	sub->number = number;
	subscribe_apply(s, sub, &e, NULL);
	sq_space_unlock(sq_tenant_space(s->id.tenant));
	sq_wanted_fini(&w);
	return SQ_OK;
}
