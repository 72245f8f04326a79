/* The attach; see attach.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/session/attach.h"
#include "broker/session/attach_room.h"
#include "broker/session/background_txn.h"
#include "broker/session/denied.h"
#include "broker/session/enforce.h"
#include "broker/session/life.h"
#include "broker/session/linked.h"
#include "broker/session/permit.h"
#include "broker/session/persist.h"
#include "broker/session/session.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"
#include "web/worker.h"

/* Whether the session is the caller's.  Its namespace is: the key was compared. */
static enum sq_denied
attach_owned(const struct sq_session *s, const struct sq_call *c)
{
	return sq_allowed_owner(
	    sq_outlet_identity(c->outlet), s->at.owner, &s->shard->broker->cfg.owners);
}

/* The owner of the session once it is the caller's. */
static uint64_t
attach_owner(struct sq_session *s, const struct sq_call *c, bool fresh)
{
	const struct sq_identity *who = sq_outlet_identity(c->outlet);

	if (!fresh && sq_owner_adopts(who, s->at.owner)) {
		sq_count(s->shard->broker, SQ_M_SESSIONS_ADOPTED, 1);
		SQ_INFO("session", "%s~%s~%s: was nobody's and is %s's now", c->key->space,
		    c->key->workload, c->key->client, who->name);
	}
	return sq_owner_after(who, s->at.owner);
}

/* Whether the PUT is newer than each earlier one of the session. */
static enum sq_verdict
attach_order(struct sq_session *s, const struct sq_attach *a)
{
	const struct sq_superseded *old;

	if (s->at.instance == 0)
		return SQ_VERDICT_OK;
	if (a->instance == s->at.instance) {
		if (s->at.left && a->ordinal == s->at.ordinal)
			return SQ_VERDICT_SUPERSEDED; /* its will, too, has been dealt with */
		if (a->ordinal > s->at.ordinal ||
		    (a->ordinal == s->at.ordinal && a->attempt > s->at.attempt))
			return SQ_VERDICT_OK;
		return SQ_VERDICT_EPOCH;
	}
	old = sq_attachment_superseded(&s->at, a->instance);
	return old != NULL && a->ordinal <= old->ordinal ? SQ_VERDICT_SUPERSEDED : SQ_VERDICT_OK;
}

/* Whether a sidecar whose client has left may attach: to what it still holds.  A
 * session that it made anew would bring back what its client has finished over
 * another sidecar since.  Nobody else makes one whose key has a pod. */
static bool
attach_holds(const struct sq_session *s, const struct sq_key *key, const struct sq_attach *a)
{
	bool transient = key->pod[0] != '\0';

	if (s == NULL)
		return transient;
	return s->at.instance == a->instance && (transient || s->id.incarnation == a->incarnation);
}

/* Ends the session's older attachment. */
static void
attach_fence(struct sq_session *s, const struct sq_attach *a, uint64_t owner)
{
	bool other = s->at.instance != 0 && a->instance != s->at.instance;
	bool newer = s->at.instance != 0 && (other || a->ordinal != s->at.ordinal);
	bool takes_over = newer && s->state != SQ_SESSION_DETACHED;
	struct sq_call *older = sq_attachment_unwait(&s->at);

	if (takes_over)
		sq_count(s->shard->broker, SQ_M_TAKEOVERS, 1);
	if (other) {
		sq_attachment_supersede(&s->at);
		if (s->state == SQ_SESSION_ATTACHED)
			sq_outlet_detached(s->at.outlet, s->at.epoch, SQ_MQTT_RC_TAKEN_OVER,
			    "another connection has the session");
	}
	if (older != NULL)
		sq_call_refuse(older, other ? SQ_VERDICT_SUPERSEDED : SQ_VERDICT_EPOCH);
	sq_session_unattach(s, other ? SQ_VERDICT_SUPERSEDED : SQ_VERDICT_EPOCH);
	if (newer)
		sq_subscriptions_unsay(s);
	sq_attachment_hold(&s->at, a, owner, takes_over);
}

/* The will of the connection that this one replaces (MQTT 5.0 §3.1.3.2.2): due
 * at once without a delay or when the session 'ends', else not at all. */
static void
attach_old_will(struct sq_session *s, bool ends)
{
	if (s->at.takes_over ? s->will.delay_s == 0 || ends : ends && s->will.timer.pos != 0)
		sq_will_publish(s);
	sq_will_drop(s);
}

/* A session of the same key without history, in the place of 's', which ends in the
 * same transaction: 'background', if there is a store. */
static struct sq_session *
attach_renew(struct sq_session *s, const struct sq_key *key, struct sq_background_txn **background)
{
	struct sq_session *fresh;

	sq_share_force(sq_tenant_account(s->id.tenant), SQ_SHARE_SESSIONS, 1);
	fresh = sq_session_new(s->shard, key, s->id.durable, sq_random_u64(), s->hooks);
	sq_session_pin(s);
	sq_attachment_renew(&fresh->at, &s->at);
	sq_linked_join(fresh, fresh->at.attaching->outlet);
	sq_session_end(s, SQ_ENDING_SESSION_ENDED,
	    s->stored.base ? sq_background_txn(fresh, background) : NULL);
	sq_session_unpin(s);
	return fresh;
}

/* Whether the changes of a PUT are committed before its answer. */
static bool
attach_stores(const struct sq_session *s)
{
	return s->id.durable && sq_persist_engine(s->shard->broker);
}

/* Opens the queue of a new session. */
static void
attach_open(struct sq_session *s, struct sq_background_txn **background)
{
	if (s->sink.queue == NULL)
		sq_session_open(s, attach_stores(s) ? sq_background_txn(s, background) : NULL);
}

/* The PUT names another incarnation, or this session has lost what it had: do others,
 * too, come back to a broker that was started again? */
static void
attach_remade(struct sq_session *s, const struct sq_attach *a, bool fresh)
{
	bool unknown = fresh && a->incarnation != 0 && !attach_stores(s);

	if (unknown || (s->at.restored && !s->id.durable))
		sq_broker_remade(s->shard->broker, sq_worker_now_ms(s->shard->worker));
}

/* Takes in the open ids that the PUT lists. */
static void
attach_list(struct sq_session *s, const struct sq_attach *a, bool fresh,
    struct sq_background_txn **background)
{
	struct sq_listed how = {.fresh = fresh,
	    .durable = s->id.durable,
	    .stores = attach_stores(s),
	    .restored = s->at.restored};
	struct sq_changed changed;

	sq_window_list(&s->window, a, &how, &changed);
	for (uint32_t i = 0; i < changed.n; i++)
		sq_persist_open(
		    s, sq_background_txn(s, background), &s->window.slots[changed.ids[i] - 1]);
	free(changed.ids);
}

/* Takes in what the PUT says; with a store, its transaction is on its way then and its
 * done() comes to sq_attach_finish().  Returns the session that it is for, or NULL:
 * the link is gone. */
static struct sq_session *
attach_admit(struct sq_session *s, struct sq_call *c, const struct sq_attach *a)
{
	bool clean = (a->flags & SQ_ATTACH_CLEAN_START) != 0 &&
	    (s->at.cleaned_instance != a->instance || s->at.cleaned_ordinal != a->ordinal);
	bool ends, fresh;
	struct sq_background_txn *background = NULL;

	if (!sq_outlet_open(c->outlet)) {
		attach_open(s, &background);
		sq_background_commit(&background);
		sq_session_link_lost(s);
		return NULL;
	}
	/* Without an expiry the session ends with the connection that is taken over
	 * (MQTT 5.0 §3.1.4); a keeper is no connection. */
	ends = clean ||
	    (s->at.takes_over && s->life.expiry_s == 0 && (a->flags & SQ_ATTACH_KEEPER) == 0);
	attach_old_will(s, ends);
	if (ends && s->at.answered)
		s = attach_renew(s, c->key, &background);
	attach_open(s, &background);
	fresh = a->incarnation != s->id.incarnation;
	attach_remade(s, a, fresh);
	sq_session_set_expiry(s, a->expiry_s);
	sq_will_set(s, a->will, a->will_delay_s);
	sq_enforce_attached(s, sq_outlet_identity(c->outlet));
	sq_attachment_admit(&s->at, a);
	attach_list(s, a, fresh, &background);
	if (attach_stores(s) || sq_attach_moves(s, a))
		sq_persist_base(s, sq_background_txn(s, &background));
	sq_background_commit(&background);
	return s;
}

static void
attach_take(struct sq_session *s, const struct sq_call *c)
{
	sq_batches_begin(s);
	sq_attachment_begin(&s->at, sq_broker_id(s->shard->broker), sq_outlet_ref(c->outlet));
	sq_htab_insert(&s->shard->sessions->by_epoch, &s->at.by_epoch, sq_hash_u64(s->at.epoch));
	sq_session_stop_timer(s);
	sq_order_begin(s);
	sq_session_enter(s, SQ_SESSION_ATTACHED);
}

/* The number of QoS 1 and 2 deliveries that the client may have at a time. */
static uint16_t
attach_receive_max(const struct sq_session *s, const struct sq_attach *a)
{
	uint32_t most = s->shard->broker->cfg.max_inflight;

	return a->receive_max < most ? a->receive_max : (uint16_t)most;
}

/* Adds the packet ids of QoS 2 that the broker holds. */
static void
attach_held(const struct sq_session *s, struct sq_call *c)
{
	struct sq_attached *out = &c->out.attached;
	uint16_t *ids = sq_qos2_in_ids(&s->in.qos2);

	out->n_held = (uint16_t)s->in.qos2.n;
	for (uint16_t i = 0; i < out->n_held; i++)
		sq_buf_u16(&c->store, ids[i]);
	free(ids);
}

/* Adds the open ids of the client, with the delivery ids of the new epoch. */
static void
attach_opened(struct sq_session *s, struct sq_call *c, const struct sq_attach *a)
{
	struct sq_attached *out = &c->out.attached;
	struct sq_open_id *ids;

	out->n_open = sq_window_attach(&s->window, attach_receive_max(s, a), &ids);
	for (uint16_t i = 0; i < out->n_open; i++)
		sq_open_id_put(&c->store, &ids[i], true);
	free(ids);
}

static void
attach_answer(struct sq_session *s, struct sq_call *c, const struct sq_attach *a)
{
	struct sq_attached *out = &c->out.attached;

	assert(sq_buf_len(&c->store) == 0);
	*out = (struct sq_attached){
	    .epoch = s->at.epoch,
	    .incarnation = s->id.incarnation,
	    .store = s->shard->broker->engine->store,
	    .present = s->at.present,
	    .renewed = s->at.restored && !s->id.durable,
	    .max_packet = s->shard->broker->cfg.max_packet,
	    .expiry_s = s->life.expiry_s,
	    .last = {s->in.lanes[0].last, s->in.lanes[1].last},
	    .limits = s->shard->broker->cfg.limits,
	};
	sq_kept_begin(s, s->at.present && (a->flags & SQ_ATTACH_TELL) != 0);
	sq_deliver_begin(s);
	attach_held(s, c);
	attach_opened(s, c, a);
	out->held = (struct sq_bytes){sq_buf_data(&c->store), out->n_held * 2u};
	out->open = sq_call_stored(c, out->held.len);
	sq_call_answer(c, SQ_VERDICT_OK, NULL);
}

void
sq_attach_finish(struct sq_session *s)
{
	struct sq_call *c = s->at.attaching;
	const struct sq_attach *a = &c->in.attach;
	bool committed;

	assert(sq_worker_self() == s->shard->worker && s->state == SQ_SESSION_FENCING);
	if (!s->at.admitted) {
		s = attach_admit(s, c, a);
		if (s == NULL || s->uses.running > 0)
			return;
	}
	committed = sq_attachment_committed(&s->at);
	if (!committed)
		sq_call_answer(
		    sq_attachment_unwait(&s->at), SQ_VERDICT_FAILED, "the commit failed");
	if (!committed || !sq_outlet_open(c->outlet)) {
		sq_session_link_lost(s); /* refuses the PUT */
		return;
	}
	(void)sq_attachment_unwait(&s->at);
	attach_take(s, c);
	attach_answer(s, c, a);
	sq_members_start(s);
	sq_session_wake(s);
}

/* A transient CONNECT, of 'by', ends the durable session of its client id. */
static void
attach_end_durable(struct sq_session *by, struct sq_session *s)
{
	struct sq_background_txn *background = NULL;

	if (s == NULL)
		return;
	sq_session_evict(s, SQ_MQTT_RC_TAKEN_OVER, "another connection has the session",
	    SQ_VERDICT_SUPERSEDED, s->stored.base ? sq_background_txn(by, &background) : NULL);
	sq_background_commit(&background); /* the answer to the PUT waits for it */
}

/* Whether the PUT is of a connection that is new, and not of one that was accepted before. */
static bool
attach_connects(const struct sq_session *s, const struct sq_attach *a)
{
	return s != NULL ? a->instance != s->at.instance || a->ordinal != s->at.ordinal
			 : a->incarnation == 0;
}

/* Whether the PUT is of a transient connection that comes first: it ends the durable
 * session of its client id. */
static bool
attach_ends_durable(const struct sq_call *c, const struct sq_session *s, const struct sq_attach *a)
{
	bool newer = s == NULL || a->instance != s->at.instance || a->ordinal != s->at.ordinal;

	return newer && c->key->pod[0] != '\0' &&
	    (a->flags & (SQ_ATTACH_KEEPER | SQ_ATTACH_GONE)) == 0;
}

/* The durable session of the client id, if it is the caller's to end. */
static struct sq_session *
attach_durable(struct sq_shard *sh, const struct sq_call *c)
{
	struct sq_key durable = *c->key;
	struct sq_session *s;

	durable.pod[0] = '\0';
	s = sq_session_find(sh, &durable);
	return s != NULL && attach_owned(s, c) == SQ_DENIED_NONE ? s : NULL;
}

void
sq_attach_call(struct sq_shard *sh, struct sq_call *c, const struct sq_session_hooks *hooks)
{
	struct sq_broker *b = sh->broker;
	enum sq_verdict order;
	enum sq_denied denied;
	struct sq_session *s, *durable;
	const struct sq_attach *a = &c->in.attach;
	bool fresh;

	s = sq_session_find(sh, c->key);
	if (!sq_outlet_open(c->outlet)) { /* a late copy: it must not fence anybody */
		sq_call_answer(c, SQ_VERDICT_GONE, "the link is not open");
		return;
	}
	if (s != NULL && (denied = attach_owned(s, c)) != SQ_DENIED_NONE) {
		sq_denied_answer(b, c, denied);
		return;
	}
	order = s != NULL ? attach_order(s, a) : SQ_VERDICT_OK;
	if ((a->flags & SQ_ATTACH_GONE) != 0 && !attach_holds(s, c->key, a))
		order = SQ_VERDICT_SUPERSEDED;
	if (order != SQ_VERDICT_OK) {
		sq_call_refuse(c, order);
		return;
	}
	if (!sq_attach_within_limits(b, c, s, a))
		return;
	/* An older one keeps its socket; its will is asked about again when it is due. */
	if (a->will.len > 0 && attach_connects(s, a) && !sq_permit_will(b, c, a->will)) {
		sq_denied_answer(b, c, SQ_DENIED_WILL);
		return;
	}
	durable = attach_ends_durable(c, s, a) ? attach_durable(sh, c) : NULL;
	if (!sq_attach_has_room(b, c, s, a, durable))
		return;
	fresh = s == NULL;
	if (fresh)
		s = sq_session_new(sh, c->key, c->key->pod[0] == '\0', sq_random_u64(), hooks);
	attach_fence(s, a, attach_owner(s, c, fresh));
	sq_attachment_wait(&s->at, c);
	sq_linked_join(s, c->outlet);
	sq_session_enter(s, SQ_SESSION_FENCING);
	sq_session_stop_timer(s);
	attach_end_durable(s, durable);
	if (s->uses.running == 0)
		sq_attach_finish(s);
}
