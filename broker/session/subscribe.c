/* The Subscriptions of a session's sidecar; see subscribe.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/group/group_declare.h"
#include "broker/group/named.h"
#include "broker/publish/dead_queues.h"
#include "broker/publish/refused.h"
#include "broker/session/call_txn.h"
#include "broker/session/denied.h"
#include "broker/session/permit.h"
#include "broker/session/persist.h"
#include "broker/session/retained_scan.h"
#include "broker/session/session.h"
#include "broker/session/subscribe.h"
#include "broker/session/subscription.h"
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

/* A Subscriptions that is carried out. */
struct request {
	const struct sq_subs *subs;
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
	if (w->group == NULL || w->dead || w->named ||
	    (declared && (w->e.flags & SQ_SUB_DURABLE) == 0))
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

/* Reserves the most that the entry may need in the tenant's share, so that concurrent requests in
 * other spaces stay below the total; returns 0.  The reserve is given back once subscription and
 * group have been made, which count by themselves.  Else a reason code: the share has no room. */
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

/* Whether the named queue can't be joined: a reason code, else 0.  What is left of a subscription to
 * one that has ended makes room. */
static uint8_t
subscribe_named(struct sq_session *s, struct sq_wanted *w, struct sq_txn *txn)
{
	struct sq_group *g = sq_group_find(s->shard->broker, w->group);
	const char *why = g != NULL ? sq_named_refuses(g) : "there is no queue of that name";
	struct sq_subscription *sub = sq_subscription_find(s, w->name);

	if (why == NULL && sub != NULL && sub->group != g)
		sq_subscription_end(s, sub, txn);
	sq_group_unref(&g);
	return why != NULL ? sq_wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID, why) : 0;
}

/* Whether the new subscription is above a limit: a reason code, else 0. */
static uint8_t
subscribe_limits(const struct sq_session *s, struct sq_wanted *w)
{
	const struct sq_broker *b = s->shard->broker;

	if (s->subs.n >= b->cfg.max_subs_per_session)
		return sq_wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED,
		    "the session has as many as it may (limits.max-subscriptions)");
	if (s->subs.filter_bytes + w->e.filter.len > b->cfg.max_sub_bytes)
		return sq_wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED,
		    "the filters of the session have as many bytes as they may "
		    "(limits.subscription-bytes)");
	if (sq_memory_level() >= SQ_MEMORY_FILLED) {
		w->refusal = SQ_REFUSAL_MEMORY;
		return sq_wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED,
		    "the broker's memory is nearly used up (limits.memory)");
	}
	if (w->filter.levels > b->cfg.limits.topic_levels)
		return sq_wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID,
		    "the topic filter has too many levels (limits.topic-levels)");
	if (!sq_wanted_storable(w))
		return sq_wanted_refuse(
		    w, SQ_MQTT_RC_FILTER_INVALID, "too long for the name of a queue");
	if (sq_engine_full(b->engine) && subscribe_stores(s, w)) {
		w->refusal = SQ_REFUSAL_STORE_FULL;
		return sq_wanted_refuse(w, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSED_STORE);
	}
	return 0;
}

static uint8_t
subscribe_one(
    struct sq_session *s, struct sq_wanted *w, struct sq_subs_txn *op, struct request *req)
{
	struct sq_txn *txn = op->base.parts.txn; /* until retained messages fill it */
	unsigned handling = sq_option_retain(w->e.options);
	struct sq_subscription *sub;
	struct share_most most = {0};
	bool is_new;
	uint8_t code;

	if (w->named && (code = subscribe_named(s, w, txn)) != 0)
		return code;
	if (w->named && (w->e.flags & SQ_SUB_DECLARED) && !(w->e.flags & SQ_SUB_CONSUME))
		return w->e.options & SQ_OPTION_QOS; /* the keeper's asks, and takes nothing */
	sub = sq_subscription_find(s, w->name);
	is_new = sub == NULL;
	if (is_new && (code = subscribe_limits(s, w)) != 0)
		return code;
	if (is_new && (code = subscribe_share(s, w, &most)) != 0)
		return code;
	sq_order_bind(s);
	if (is_new) {
		sub = sq_subscription_new(s, w, txn);
		subscribe_give(s, &most);
	}
	sq_subscription_apply(s, sub, &w->e, txn);
	sq_subscription_declare(s, sub, w, txn);
	sq_persist_subscription(s, txn, sub, &w->e);
	subscribe_bound(req, sub);
	if (sub->group == NULL && !is_new)
		sq_router_changed(&sub->binding);
	if (sub->group == NULL &&
	    (handling == SQ_RETAIN_ALWAYS || (handling == SQ_RETAIN_IF_NEW && is_new)))
		sq_retained_begin(s, sub, &w->filter, op);
	return w->e.options & SQ_OPTION_QOS; /* granted */
}

static uint8_t
unsubscribe_one(struct sq_session *s, const struct sq_wanted *w, struct sq_txn *txn)
{
	struct sq_subscription *sub = sq_subscription_find(s, w->name);

	if (sub == NULL)
		return SQ_MQTT_RC_NO_SUBSCRIPTION;
	sq_subscription_end(s, sub, txn);
	return SQ_MQTT_RC_SUCCESS;
}

/* Entry 'i' is refused with 'code'. */
static void
subscribe_refused(
    struct sq_session *s, struct sq_wanted *w, uint8_t code, uint16_t i, struct sq_notes *notes)
{
	struct sq_refused refused = {.text = w->note,
	    .topic = w->e.filter,
	    .refusal = (uint8_t)(w->refusal != SQ_REFUSAL_NONE ? w->refusal
							       : sq_refusal_of_code(code))};
	struct sq_refused_of of = sq_session_refused(s);

	sq_refused_tell(&refused, &of, "subscription", code, i, notes);
}

/* Carries out entry 'i' and says of it in the notes what its code doesn't. */
static uint8_t
subscribe_entry(struct sq_session *s, const struct sq_key *key, const struct sq_sub *e, uint16_t i,
    struct sq_subs_txn *op, struct request *req)
{
	struct sq_wanted w;
	uint8_t code = sq_wanted_parse(key, e, &w);
	bool unsubscribes = e->op == SQ_SUB_UNSUBSCRIBE;

	if (!sq_mqtt_reason_failed(code) && !unsubscribes && !sq_permit_subscribe(s, &w))
		code = SQ_MQTT_RC_NOT_AUTHORIZED;
	if (!sq_mqtt_reason_failed(code))
		code = unsubscribes ? unsubscribe_one(s, &w, op->base.parts.txn)
				    : subscribe_one(s, &w, op, req);
	if (sq_mqtt_reason_failed(code))
		subscribe_refused(s, &w, code, i, &req->notes);
	else if (sq_buf_len(&w.note) > 0)
		sq_notes_add(&req->notes, i, SQ_REFUSAL_NONE, sq_wanted_note(&w));
	sq_wanted_fini(&w);
	return code;
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
subscribe_pause(struct sq_session *s, const struct request *req, struct sq_subs_txn *op)
{
	if (req->n_groups > 0)
		(void)sq_call_txn_split(&op->base);
	sq_space_unlock(sq_tenant_space(s->id.tenant));
	sq_space_wrlock(sq_tenant_space(s->id.tenant));
}

/* Carries its entries out, in 'op'. */
static void
subscribe_entries(struct sq_session *s, struct request *req, struct sq_subs_txn *op)
{
	struct sq_bytes entries = req->subs->entries;
	struct sq_key key;

	sq_session_key(s, &key);
	sq_permit_refresh(s);
	for (int i = 0; i < req->subs->n; i++) {
		struct sq_sub e = req->subs->next(&entries);

		if (i > 0 && i % LOCKED_MAX == 0)
			subscribe_pause(s, req, op);
		sq_buf_u8(&req->codes, subscribe_entry(s, &key, &e, (uint16_t)i, op, req));
	}
	subscribe_prune(req, op->base.parts.txn);
}

static void
subs_txn_done(struct sq_call_txn *ct, int err)
{
	struct sq_subs_txn *op = SQ_CONTAINER_OF(ct, struct sq_subs_txn, base);
	struct sq_session *s = ct->session;

	if (op->answer != NULL && err != SQ_OK)
		sq_order_failed(op->answer);
	else if (op->answer != NULL)
		sq_order_ready(s, op->answer);
	sq_call_txn_answer(ct, err);
	free(op);
	sq_session_txn_end(s);
}

static struct sq_subs_txn *
subs_txn_new(struct sq_session *s, struct sq_call *c)
{
	struct sq_subs_txn *op = sq_xcalloc(1, sizeof *op);

	sq_call_txn_init(&op->base, s, c, subs_txn_done);
	return op;
}

/* The answer of a request that is carried out. */
static void
subscribe_codes(struct sq_call *c, const struct request *req)
{
	struct sq_bytes notes = sq_notes_view(&req->notes);
	size_t n = sq_buf_len(&req->codes);

	assert(n == req->subs->n && sq_buf_len(&c->store) == 0);
	sq_buf_append(&c->store, sq_buf_data(&req->codes), n);
	sq_buf_append(&c->store, notes.p, notes.len);
	c->out.codes = (struct sq_codes){
	    .n = (uint16_t)n, .codes = sq_buf_data(&c->store), .notes = sq_call_stored(c, n)};
}

/* One without a mark is answered by the codes themselves, once it is committed. */
static void
subscribe_carry_out(struct sq_session *s, struct sq_call *c, struct request *req)
{
	struct sq_space *space = sq_tenant_space(s->id.tenant);
	struct sq_subs_txn *op = subs_txn_new(s, c);

	sq_space_wrlock(space);
	subscribe_entries(s, req, op);
	subscribe_codes(c, req);
	sq_retained_commit(op);
	sq_space_unlock(space);
	sq_session_wake(s);
}

/* Whether an answer waits for the commit: that of a durable session, and any while so much
 * waits for its commit already, as when the store stalls. */
static bool
subscribe_waits(const struct sq_session *s)
{
	return sq_persist_engine(s->shard->broker) &&
	    (s->id.durable || s->uses.running >= RUNNING_MAX);
}

/* One with a mark is answered by a frame: of what is stored once it is committed, else at
 * once, before anything that it has bound can be delivered. */
static void
subscribe_in_order(struct sq_session *s, struct sq_call *c, struct request *req)
{
	struct sq_space *space = sq_tenant_space(s->id.tenant);
	struct sq_order_answer *answer = sq_order_ask(s, c, req->subs->head.mark);
	bool waits = subscribe_waits(s);
	struct sq_subs_txn *op = subs_txn_new(s, NULL);

	sq_space_wrlock(space);
	subscribe_entries(s, req, op);
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
	struct request req = {.subs = &c->in.subs};

	if (sq_denied_declared(s->shard->broker, c) || !sq_order_offer(s, c, &req.subs->head))
		return;
	if (req.subs->head.mark != 0)
		subscribe_in_order(s, c, &req);
	else
		subscribe_carry_out(s, c, &req);
	sq_buf_fini(&req.codes);
	sq_notes_fini(&req.notes);
}
