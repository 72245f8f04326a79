#include "broker/session/subscription.h"

#include <stdlib.h>
#include <string.h>

#include "broker/group/group_declare.h"
#include "broker/group/named.h"
#include "broker/publish/dead_queues.h"
#include "broker/session/background_txn.h"
#include "broker/session/retained_scan.h"
#include "broker/session/session.h"
#include "broker/session/wanted.h"
#include "broker/shard/sys_counts.h"
#include "broker/shard/system_txn.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"
#include "web/worker.h"

enum { LOCKED_MAX = 64 }; /* subscriptions after which those that wait for the lock come first */

struct sq_subscription *
sq_subscription_find(struct sq_session *s, const char *name)
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
		if (sub->group_binding != NULL)
			sq_group_unbind(sub->group, sub->group_binding,
			    session_ends && sq_group_keeps(sub->group), txn);
		sq_group_leave(&sub->group, sq_worker_now_ms(s->shard->worker), txn);
	}
	sq_block_unref(&sub->binding.subs);
	sq_share_give(sq_tenant_account(s->id.tenant), SQ_SHARE_SUBSCRIPTIONS, 1);
	free(sub->name);
	free(sub);
}

void
sq_subscription_end(struct sq_session *s, struct sq_subscription *sub, struct sq_txn *txn)
{
	if (sub->twin != NULL)
		subscription_free(s, sub->twin, false, txn);
	subscription_free(s, sub, false, txn);
}

static struct sq_group_cfg
subscription_cfg(const struct sq_session *s, const struct sq_wanted *w)
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

/* Joins a named queue.  At the start it may be gone: its end was committed, and the end of the
 * subscription was not. */
static void
subscription_join_named(struct sq_session *s, struct sq_subscription *sub,
    const struct sq_group_cfg *cfg, struct sq_txn *txn)
{
	struct sq_broker *b = s->shard->broker;

	if (sq_group_there(b, cfg->name))
		sub->group = sq_group_join(b, cfg, txn);
	else
		SQ_WARN("session", "%s: its subscription %s is to a queue that has ended",
		    s->id.key, sub->name);
}

static void
subscription_join(struct sq_session *s, struct sq_subscription *sub, const struct sq_wanted *w,
    struct sq_txn *txn)
{
	struct sq_broker *b = s->shard->broker;
	bool declared = (w->e.flags & SQ_SUB_DECLARED) != 0;
	struct sq_group_cfg cfg = subscription_cfg(s, w);

	if (w->named) {
		subscription_join_named(s, sub, &cfg, txn);
		return;
	}
	if (w->dead) {
		sub->group = sq_dead_group(b->dead, s->id.tenant, w->dead_kind);
		sq_group_join_pinned(sub->group);
	} else {
		sub->group = sq_group_join(b, &cfg, txn);
	}
	sub->group_binding = sq_group_bind(
	    sub->group, &w->filter, sub->name, declared ? w->e.options & SQ_OPTION_QOS : 2, txn);
}

void
sq_subscription_declare(
    struct sq_session *s, struct sq_subscription *sub, struct sq_wanted *w, struct sq_txn *txn)
{
	struct sq_group_cfg cfg = subscription_cfg(s, w);
	struct sq_word word = {
	    .options = sq_group_cfg_options(&cfg), .since_ms = w->e.since_ms, .pod = w->e.pod};

	if (cfg.share || w->dead || w->named || sub->group == NULL)
		return;
	sq_group_declare(sub->group, &sub->word, &word, sq_worker_now_ms(s->shard->worker), txn);
	sq_group_declare_note(sub->group, cfg.durable, cfg.expiry_s, &w->note);
}

/* One member per group: a session that declares several filters of a group
 * takes from its queue once. */
static void
subscription_consume(struct sq_session *s, struct sq_subscription *sub, const struct sq_sub *e)
{
	if (!sub->consumes)
		subscription_ring_in(s, sub);
	if (sub->member == NULL && subscription_heir(s, sub) == NULL)
		sq_member_join(s, sub, e);
}

/* There are two queues of dead letters: a subscription to them has a twin. */
static struct sq_subscription *
subscription_twin(struct sq_session *s, const struct sq_subscription *sub,
    const struct sq_wanted *w, struct sq_txn *txn)
{
	struct sq_wanted other = *w;

	other.dead_kind = SQ_DEAD_OTHERS;
	other.name = sq_wanted_text(
	    "twin", sq_bytes_of(sub->name), (struct sq_bytes){0}, (struct sq_bytes){0});
	return sq_subscription_new(s, &other, txn);
}

/* Counts the subscription in $SYS, except a keeper's, which is no client's, and a twin, which is no
 * subscription of its own. */
static void
subscription_count(struct sq_session *s, struct sq_subscription *sub, const struct sq_wanted *w)
{
	bool twin = w->dead && w->dead_kind != SQ_DEAD_ASSURED;

	sub->counted = SQ_SYS_COUNTS;
	if (twin || s->id.internal)
		return;
	sub->counted = sub->group != NULL ? SQ_SYS_SHARED : SQ_SYS_SUBSCRIPTIONS;
	sq_sys_add(s->id.sys, (enum sq_sys_count)sub->counted, 1);
}

struct sq_subscription *
sq_subscription_new(struct sq_session *s, struct sq_wanted *w, struct sq_txn *txn)
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
		subscription_join(s, sub, w, txn);
	} else {
		sub->binding.sink = &s->sink;
		sq_router_bind(s->shard->broker->router,
		    sq_sys_counts_space(s->shard->broker->sys_counts, s->id.tenant, &w->filter),
		    &w->filter, &sub->binding);
	}
	subscription_count(s, sub, w);
	if (w->dead && w->dead_kind == SQ_DEAD_ASSURED)
		sub->twin = subscription_twin(s, sub, w, txn);
	return sub;
}

/* Sets or replaces the subscription's options (MQTT 5.0 §3.8.4). */
static void
subscription_options(
    struct sq_session *s, struct sq_subscription *sub, const struct sq_sub *e, struct sq_txn *txn)
{
	struct sq_block *subs = NULL;

	if (e->sub_id != 0)
		subs = sq_block_copy(&e->sub_id, sizeof e->sub_id);
	if (sub->member != NULL) {
		sq_member_options(sub->member, e, subs);
		if ((e->flags & SQ_SUB_DECLARED) && sub->group_binding != NULL)
			sq_group_set_qos(
			    sub->group, sub->group_binding, e->options & SQ_OPTION_QOS, txn);
	} else if (sub->group != NULL) {
		sq_block_unref(&subs);
		if (sub->group_binding != NULL)
			sq_group_set_qos(
			    sub->group, sub->group_binding, e->options & SQ_OPTION_QOS, txn);
	} else {
		sq_block_unref(&sub->binding.subs);
		sub->binding.subs = subs;
		sub->binding.max_qos = e->options & SQ_OPTION_QOS;
		sub->binding.as_published = (e->options & SQ_OPTION_AS_PUBLISHED) != 0;
		sub->binding.not_from = (e->options & SQ_OPTION_NO_LOCAL) ? s->id.incarnation : 0;
	}
}

void
sq_subscription_apply(
    struct sq_session *s, struct sq_subscription *sub, const struct sq_sub *e, struct sq_txn *txn)
{
	for (; sub != NULL; sub = sub->twin) {
		if (sub->group != NULL &&
		    ((e->flags & SQ_SUB_DECLARED) == 0 || (e->flags & SQ_SUB_CONSUME)))
			subscription_consume(s, sub, e);
		subscription_options(s, sub, e, txn);
	}
}

void
sq_subscriptions_unsay(struct sq_session *s)
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
sq_subscriptions_end(struct sq_session *s, struct sq_subscription *const *v, size_t n)
{
	struct sq_space *space = sq_tenant_space(s->id.tenant);
	struct sq_background_txn *background = NULL;

	sq_space_wrlock(space);
	for (size_t i = 0; i < n; i++)
		sq_subscription_end(s, v[i], sq_background_txn(s, &background));
	sq_background_commit(&background); /* before somebody else's change of the same group */
	sq_space_unlock(space);
}

void
sq_subscriptions_drop(struct sq_session *s, struct sq_txn *txn)
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
sq_subscription_restore(struct sq_session *s, uint32_t number, struct sq_bytes value)
{
	struct sq_subs_head head;
	struct sq_bytes entries;
	struct sq_subscription *sub;
	struct sq_wanted w;
	struct sq_key key;
	struct sq_sub e;

	if (sq_subs_decode(value.p, value.len, SQ_SUB_STORED_VERSION, &head, &entries) != 1)
		return SQ_EINVAL;
	sq_session_key(s, &key);
	e = sq_sub_next(&entries, SQ_SUB_STORED_VERSION);
	if (sq_mqtt_reason_failed(sq_wanted_stored(&key, &e, &w)) ||
	    sq_subscription_find(s, w.name) != NULL) {
		sq_wanted_fini(&w);
		return SQ_EINVAL;
	}
	sq_space_wrlock(sq_tenant_space(s->id.tenant));
	sub = sq_subscription_new(s, &w, NULL);
	sub->number = number;
	sq_subscription_apply(s, sub, &e, NULL);
	sq_space_unlock(sq_tenant_space(s->id.tenant));
	sq_wanted_fini(&w);
	return SQ_OK;
}
