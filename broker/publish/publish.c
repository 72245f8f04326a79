/* Publishing: a message is routed and put into queues, or kept for later; wills. */
#include <stdlib.h>
#include <string.h>

#include "broker/publish/dead_letters.h"
#include "broker/publish/delayed.h"
#include "broker/publish/idempotency.h"
#include "broker/publish/options.h"
#include "broker/route/grants.h"
#include "broker/route/retained.h"
#include "broker/shard/pace.h"
#include "broker/publish/publish_priv.h"
#include "broker/session/persist.h"
#include "core/mem.h"
#include "core/memory.h"
#include "proto/mqtt/reason.h"
#include "proto/topic/tags.h"
#include "proto/topic/topic.h"

enum {
	PACE_EVERY = 32,                           /* puts between two looks at a queue's length */
	SUBS_BYTES = UINT8_MAX * sizeof(uint32_t), /* of identifiers that a target can name */
	LOCKED_MAX = 512, /* matches after which those that wait for the lock come first */
};

/* The space's lock.  Whoever has it waits for no idempotency key. */

static void
publish_lock(struct sq_publish *p, struct sq_space *s)
{
	if (p->locked == s)
		return;
	sq_publish_unlock(p);
	sq_space_rdlock(s);
	p->locked = s;
}

void
sq_publish_unlock(struct sq_publish *p)
{
	if (p->locked == NULL)
		return;
	if (p->last_sink != NULL && p->call != NULL)
		sq_pace_put(p->shard, p->call, p->last_sink);
	p->last_sink = NULL;
	sq_space_unlock(p->locked);
	p->locked = NULL;
}

void
sq_publish_part(struct sq_publish *p)
{
	if (!sq_call_txn_split(p->op, p->origin->number + 1))
		sq_call_txn_part(p->op);
	p->txn = p->op->txn;
	sq_publish_committed(p);
}

void
sq_publish_pause(struct sq_publish *p)
{
	if (p->work - p->paused < LOCKED_MAX)
		return;
	p->paused = p->work;
	sq_publish_unlock(p);
	if (p->keys_locked && p->op != NULL) /* they stay so until the commit of what they are of */
		sq_publish_part(p);
}

/* Routing of one message. */

static uint8_t
publish_qos(const struct sq_publish *p, const struct sq_binding *b)
{
	return p->qos < b->max_qos ? p->qos : b->max_qos;
}

static bool
publish_wanted(const struct sq_publish *p, const struct sq_binding *b)
{
	return (b->not_from == 0 || b->not_from != p->not_from) &&
	    (p->number == 0 || p->number > b->scanned_upto);
}

/* A drop is counted there. */
static int
publish_queue(const struct sq_publish *p, const struct sq_sink *sink, struct sq_item *item)
{
	return sink->engine->ops->txn.put(p->txn, sink->queue, item);
}

/* A queue that drops what is new, or is gone, has dropped a QoS 3 message. */
static void
publish_lost(const struct sq_publish *p, const struct sq_sink *sink, int err)
{
	struct sq_item item = {.msg = *p->msg, .qos = p->qos, .assured = true};

	if (err == SQ_ECLOSED)
		sq_dead_ended(sink->source, p->txn, &item, "queue-deleted");
	else
		sq_dead_item(sink->source, p->txn, &item, SQ_DEAD_OVERFLOW);
}

/* 'subs' is a reference, or NULL. */
static void
publish_put(struct sq_publish *p, struct sq_sink *sink, uint8_t qos, bool as_published,
    struct sq_block *subs)
{
	struct sq_item item = {
	    .msg = p->copy_out && qos > 0 ? sq_msg_clone(p->msg) : sq_msg_ref(*p->msg),
	    .subs = subs,
	    .origin = *p->origin,
	    .expires_ms = p->expires_ms,
	    .qos = qos,
	    .round = sink->round,
	    .retain = p->retain && as_published,
	    .assured = p->assured && qos > 0,
	};

	int err = SQ_OK;

	p->n++;
	if (sink->session != NULL && sink->shard == p->shard &&
	    sq_deliver_now(sink->session, p->txn, &item))
		return;
	if (qos == 0 && atomic_load_explicit(&sink->offline, memory_order_relaxed))
		sq_item_fini(&item);
	else
		err = publish_queue(p, sink, &item);
	if (err != SQ_OK && p->assured && qos > 0)
		publish_lost(p, sink, err);
	if (p->call != NULL && ++p->puts % PACE_EVERY == 0)
		sq_pace_put(p->shard, p->call, sink);
	p->last_sink = sink;
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
publish_merged(struct sq_publish *p, struct sq_binding **v, size_t n)
{
	struct sq_block *subs = NULL;
	bool as_published = false;
	uint32_t bytes = 0;
	uint8_t qos = 0;

	for (size_t i = 0; i < n; i++) {
		qos = publish_qos(p, v[i]) > qos ? publish_qos(p, v[i]) : qos;
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
	publish_put(p, v[0]->sink, qos, as_published, subs);
}

/* Puts to the bindings whose sinks have several; 'v' is sorted in a copy. */
static void
publish_overlapping(struct sq_publish *p, struct sq_binding *const *v, size_t n, size_t n_many)
{
	struct sq_binding **many = sq_xmalloc(n_many * sizeof(*many));
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i]->sink->n_bindings > 1 && publish_wanted(p, v[i]))
			many[k++] = v[i];
	}
	qsort(many, k, sizeof *many, binding_by_sink);
	for (size_t i = 0, j; i < k; i = j) {
		for (j = i + 1; j < k && many[j]->sink == many[i]->sink; j++)
			continue;
		publish_merged(p, many + i, j - i);
	}
	free(many);
}

/* Whether the sink's queue has no room for the message, and makes none. */
static bool
publish_is_full(const struct sq_publish *p, const struct sq_sink *sink, uint32_t size)
{
	const struct sq_engine_ops *ops = sink->engine->ops;

	return ops->queue.full(sink->queue, size) &&
	    (p->assured || !ops->queue.yields(sink->queue, size));
}

/* Whose dead letter of the message, which is the tenant's of the queue that had it, or the
 * publisher's own, might find no room; NULL: nobody's. */
static const struct sq_tenant *
publish_dead_full(const struct sq_publish *p, struct sq_binding *const *v, size_t n, uint32_t size)
{
	struct sq_dead *dead = p->broker->dead;
	struct sq_tenant *asked = p->tenant; /* the last one */

	if (sq_dead_full(dead, p->tenant, size))
		return p->tenant;
	for (size_t i = 0; i < n; i++) {
		struct sq_tenant *t = sq_source_tenant(v[i]->sink->source);

		if (t == asked || t == p->tenant)
			continue;
		asked = t;
		if (sq_dead_full(dead, t, size))
			return t;
	}
	return NULL;
}

/* By the limits of each tenant, or by the share of this one. */
static uint8_t
publish_refused_dead(struct sq_publish *p, const struct sq_tenant *t, uint32_t size)
{
	const struct sq_account *a = sq_tenant_account(t);

	if (sq_share_fits(a, SQ_SHARE_DEAD_LETTERS, 1) &&
	    sq_share_fits(a, SQ_SHARE_DEAD_LETTERS_BYTES, size))
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_DEAD_LETTERS);
	return sq_refused_share(
	    &p->refused, p->broker, SQ_LIMIT_DEAD_LETTERS, a, SQ_SHARE_DEAD_LETTERS);
}

/* The reason code of a full queue; 0: there is none. */
static uint8_t
publish_refused(struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	const struct sq_sink *has_room = NULL; /* the last one asked: most overlap in a row */
	const struct sq_tenant *dead_full;
	uint32_t size = sq_image_size(p->msg->image);

	for (size_t i = 0; i < n; i++) {
		const struct sq_sink *sink = v[i]->sink;

		if (sink == has_room || publish_qos(p, v[i]) == 0 || !publish_wanted(p, v[i]))
			continue;
		if ((sink->reject || (p->assured && sink->durable)) &&
		    publish_is_full(p, sink, size))
			return sq_refused_queue(&p->refused, p->broker, sink, size);
		has_room = sink;
	}
	dead_full = p->assured ? publish_dead_full(p, v, n, size) : NULL;
	if (dead_full != NULL)
		return publish_refused_dead(p, dead_full, size);
	return SQ_MQTT_RC_SUCCESS;
}

/* How many queues the bindings are of, and how many bytes of identifiers they have: a session
 * with many overlapping ones gets one copy, and nobody's message is refused for its sake. */
static size_t
publish_targets(struct sq_binding *const *v, size_t n, uint64_t *subs)
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
publish_fits(const struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	const struct sq_engine_ops *ops = p->broker->engine->ops;
	uint64_t bytes = sq_image_size(p->msg->image), subs = 0;

	if (p->retain)
		bytes *= 2;
	if (ops->txn.room(p->txn, n + 1, bytes + n * SUBS_BYTES))
		return true; /* in any case */
	n = publish_targets(v, n, &subs);
	return ops->txn.room(p->txn, n + 1, bytes + subs);
}

/* Makes room for the message, which is whole in one transaction or nowhere: in a batch by
 * another part.  False: it fits into none. */
static bool
publish_make_room(struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	if (publish_fits(p, v, n))
		return true;
	if (p->op != NULL) {
		if (!sq_call_txn_split(p->op, p->origin->number))
			return false;
		p->txn = p->op->txn;
	} else if (p->due != NULL) {
		sq_system_commit(p->due);
		p->txn = sq_system_txn(p->home, p->due);
	} else {
		p->txn = sq_system_txn(p->home, &p->apart);
	}
	return publish_fits(p, v, n);
}

static uint8_t
publish_too_many(struct sq_publish *p, size_t n)
{
	if (p->op == NULL) /* nobody is refused: it is lost */
		sq_count(p->broker, SQ_M_DROPPED_FULL, (int64_t)n);
	return sq_refused_say(&p->refused, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA,
	    "%zu subscriptions match, with this message more than a transaction of the store holds",
	    n);
}

/* Puts it to each of the bindings, and once to a sink that has several of them. */
static void
publish_put_all(struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	size_t n_many = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i]->sink->n_bindings > 1)
			n_many++;
		else if (publish_wanted(p, v[i]))
			publish_put(p, v[i]->sink, publish_qos(p, v[i]), v[i]->as_published,
			    v[i]->subs != NULL ? sq_block_ref(v[i]->subs) : NULL);
	}
	if (n_many > 0)
		publish_overlapping(p, v, n, n_many);
}

/* Whether what the message asks for, besides its queues, can't be stored. */
static bool
publish_store_full(const struct sq_publish *p)
{
	return sq_engine_full(p->broker->engine);
}

/* Other spaces that may read the message, each under its own lock.  Of these its publisher hears
 * and feels nothing: what finds no room there is dropped and counted, and QoS 3 ends at the
 * border, for its receipts would be publishes on the other side. */
static void
publish_to_reader(struct sq_publish *p, struct sq_space *reader)
{
	struct sq_call *call = p->call;
	bool assured = p->assured;
	size_t reached = p->n, n;
	struct sq_binding **v;

	publish_lock(p, reader);
	p->call = NULL;
	p->assured = false;
	v = sq_router_match(p->home->routes, reader, p->msg->image, &n);
	p->work += n + 1;
	if (p->qos > 0 && !publish_make_room(p, v, n))
		sq_count(p->broker, SQ_M_DROPPED_FULL, (int64_t)n);
	else
		publish_put_all(p, v, n);
	p->last_sink = NULL;
	p->n = reached;
	p->assured = assured;
	p->call = call;
}

static void
publish_readers(struct sq_publish *p, const struct sq_space *from, uint64_t number)
{
	struct sq_bytes topic = sq_image_topic(p->msg->image);
	const struct sq_grant *at = NULL;
	struct sq_space *reader;

	p->number = number;
	while ((reader = sq_space_reader(from, topic, &at)) != NULL)
		publish_to_reader(p, reader);
	p->number = 0;
}

/* Whether there is no memory for it, as it would stay; an empty one takes a retained one away. */
static bool
publish_no_stay(const struct sq_publish *p)
{
	return !p->own && sq_memory_level() >= SQ_MEMORY_FILLED &&
	    sq_image_payload(p->msg->image).len > 0;
}

/* How many durable queues the message goes to. */
static size_t
publish_copies(const struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	size_t copies = 0;

	for (size_t i = 0; i < n; i++)
		copies += v[i]->sink->durable && publish_qos(p, v[i]) > 0 &&
		    publish_wanted(p, v[i]);
	return copies;
}

/* Routes the message.  Returns its outcome. */
static uint8_t
publish_route(struct sq_publish *p)
{
	struct sq_space *space = sq_tenant_space(p->tenant);
	uint64_t number = 0;
	struct sq_binding **v;
	uint8_t code;
	size_t n;

	publish_lock(p, space);
	v = sq_router_match(p->home->routes, space, p->msg->image, &n);
	p->work += n + 1;
	if (p->due != NULL && publish_store_full(p) && publish_copies(p, v, n) > 1) {
		p->held = true;
		return SQ_MQTT_RC_SUCCESS;
	}
	code = p->qos > 0 && !p->own ? publish_refused(p, v, n) : SQ_MQTT_RC_SUCCESS;
	if (code != SQ_MQTT_RC_SUCCESS)
		return code;
	if (p->retain && !p->own && sq_image_payload(p->msg->image).len > 0 &&
	    publish_store_full(p))
		return sq_refused_store(&p->refused);
	if ((p->qos > 0 || p->retain) && !publish_make_room(p, v, n))
		return publish_too_many(p, n);
	if (p->retain && publish_no_stay(p))
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_MEMORY);
	if (p->retain &&
	    sq_router_retain(p->broker->router, space, p->msg, p->origin, p->expires_ms, p->txn,
		&number) != SQ_OK)
		return sq_refused_share(&p->refused, p->broker, SQ_LIMIT_RETAINED,
		    sq_space_account(space), SQ_SHARE_RETAINED);
	publish_put_all(p, v, n);
	if (p->n == 0 && p->assured)
		return SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS; /* it is nowhere */
	publish_readers(p, space, number);
	return p->n > 0 || p->qos == 0 || p->retain ? SQ_MQTT_RC_SUCCESS
						    : SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS;
}

/* Keeps the message for later. */
static uint8_t
publish_later(struct sq_publish *p, uint32_t delay_s)
{
	uint64_t due_ms = sq_worker_now_ms(p->home->worker) + delay_s * UINT64_C(1000);

	if (delay_s > p->broker->cfg.delayed_max_s)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_DELAY);
	if (publish_store_full(p))
		return sq_refused_store(&p->refused);
	if (publish_no_stay(p))
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_MEMORY);
	if (!publish_make_room(p, NULL, 0))
		return publish_too_many(p, 0);
	if (sq_delayed_add(p->broker->delayed, p->txn, p->tenant, p->msg, p->not_from, due_ms) !=
	    SQ_OK)
		return sq_refused_share(&p->refused, p->broker, SQ_LIMIT_DELAYED,
		    sq_tenant_account(p->tenant), SQ_SHARE_DELAYED);
	return SQ_MQTT_RC_SUCCESS;
}

static uint8_t
publish_now_or_later(struct sq_publish *p, const struct sq_asked *asked)
{
	return asked->delay_s > 0 ? publish_later(p, asked->delay_s) : publish_route(p);
}

/* A QoS 3 message with a key: stored once in its window. */
static uint8_t
publish_once(struct sq_publish *p, const struct sq_asked *asked)
{
	struct sq_key_hash hash = sq_keys_hash(sq_tenant_name(p->tenant), asked->key);
	uint64_t now_ms = sq_worker_now_ms(p->home->worker);
	struct sq_keys *keys = p->broker->keys;
	uint8_t code;

	if (!p->keys_locked) {
		sq_publish_unlock(p); /* who has the keys may wait for the space */
		sq_keys_lock(keys);
	}
	p->keys_locked = true;
	switch (sq_keys_find(keys, p->txn, p->tenant, &hash, now_ms)) {
	case SQ_KEY_KNOWN:
		sq_count(p->broker, SQ_M_DUPLICATES, 1);
		return SQ_MQTT_RC_SUCCESS;
	case SQ_KEY_FULL:
		return sq_refused_share(&p->refused, p->broker, SQ_LIMIT_KEYS,
		    sq_tenant_account(p->tenant), SQ_SHARE_KEYS);
	case SQ_KEY_NEW:
		if (publish_store_full(p))
			return sq_refused_store(&p->refused);
		break;
	}
	code = publish_now_or_later(p, asked);
	if (code == SQ_MQTT_RC_SUCCESS) /* nothing else was stored: a retry shall be */
		sq_keys_add(keys, p->txn, p->tenant, &hash, now_ms);
	return code;
}

/* Whether it has no more tags than it may. */
static bool
publish_tags(const struct sq_publish *p)
{
	struct sq_tags tags;

	return sq_tags_read(sq_image_props(p->msg->image), &tags);
}

/* A message with properties: does what they ask for. */
static uint8_t
publish_asked(struct sq_publish *p)
{
	struct sq_asked asked;
	bool good = sq_asked_parse(p->msg->image, &asked);
	uint8_t code = SQ_MQTT_RC_SUCCESS;

	p->assured = asked.assured;
	if (p->own) {
		code = publish_route(p);
		if (p->assured && p->n == 0)
			sq_dead_unmatched(p->broker, p->tenant, p->txn, p->msg);
		return code;
	}
	if (!publish_tags(p))
		return sq_refused_say(&p->refused, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA,
		    "the message has more than %d different tags", SQ_TAGS_MAX);
	if (!good || asked.unknown.len > 0)
		code = sq_refused_asked(&p->refused, p->from, &asked);
	if (code != SQ_MQTT_RC_SUCCESS)
		return code;
	if (asked.receipt.len > 0 && p->permit != NULL &&
	    !sq_permit_publish(p->broker, p->permit, asked.receipt, &p->refused))
		return SQ_MQTT_RC_NOT_AUTHORIZED;
	if (asked.assured && asked.key.len > 0)
		return publish_once(p, &asked);
	return publish_now_or_later(p, &asked);
}

static uint8_t
publish_checked(struct sq_publish *p)
{
	const unsigned char *image = p->msg->image;
	struct sq_bytes topic = sq_image_topic(image);
	const char *why = "the topic is not UTF-8";
	int rc = sq_topic_name_check_levels(topic, p->broker->cfg.limits.topic_levels, &why);

	if (rc == SQ_ETOOBIG)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_LEVELS);
	if (rc != SQ_OK)
		return sq_refused_say(
		    &p->refused, SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC, "%s", why);
	if (topic.p[0] == '$' && (why = sq_topic_closed(topic)) != NULL)
		return sq_refused_say(
		    &p->refused, SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC, "%s", why);
	if (p->permit != NULL && !sq_permit_publish(p->broker, p->permit, topic, &p->refused))
		return SQ_MQTT_RC_NOT_AUTHORIZED;
	if (sq_image_size(image) > p->broker->cfg.max_packet + SQ_BODY_SLACK / 2)
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_PACKET);
	if (p->qos == 2 && p->call != NULL && p->from->id.durable && publish_store_full(p))
		return sq_refused_store(&p->refused); /* its packet id would be stored */
	if (sq_image_props(image).len > 0)
		return publish_asked(p);
	return publish_route(p);
}

/* What the message has, or by the configuration gets; SQ_MSG_NO_EXPIRY, the greatest
 * value: none. */
static uint32_t
publish_expiry_s(const struct sq_publish *p)
{
	const struct sq_broker_cfg *cfg = &p->broker->cfg;
	uint32_t expiry_s = sq_image_expiry(p->msg->image);

	if (expiry_s == SQ_MSG_NO_EXPIRY)
		expiry_s = cfg->expiry_default_s;
	return expiry_s < cfg->expiry_max_s ? expiry_s : cfg->expiry_max_s;
}

uint8_t
sq_publish_message(struct sq_publish *p)
{
	const unsigned char *image = p->msg->image;
	uint32_t expiry_s = publish_expiry_s(p);
	uint8_t code;

	p->qos = (uint8_t)sq_image_qos(image);
	p->retain = sq_image_retain(image);
	p->assured = false;
	p->n = 0;
	p->expires_ms = expiry_s == SQ_MSG_NO_EXPIRY
	    ? 0
	    : sq_worker_now_ms(p->home->worker) + expiry_s * UINT64_C(1000);
	code = publish_checked(p);
	if (!p->held)
		sq_count(p->broker,
		    sq_mqtt_reason_failed(code) ? SQ_M_REFUSED : SQ_M_RECEIVED_QOS0 + p->qos, 1);
	return code;
}

void
sq_publish_committed(struct sq_publish *p)
{
	if (p->keys_locked)
		sq_keys_unlock(p->broker->keys);
	p->keys_locked = false;
}

/* Nobody is there to hear of a refusal. */
static void
publish_untold(struct sq_publish *p, const char *of, const char *what)
{
	uint8_t code = sq_publish_message(p);

	if (sq_mqtt_reason_failed(code))
		sq_refused_untold(&p->refused, p->broker, of, what, code);
	sq_publish_unlock(p);
	sq_refused_fini(&p->refused);
}

/* Of a message of the broker's own. */
static struct sq_publish
publish_of_own(struct sq_shard *sh, struct sq_txn *txn, struct sq_tenant *tenant,
    const struct sq_msg *m, const struct sq_origin *origin)
{
	return (struct sq_publish){.broker = sh->broker,
	    .home = sh,
	    .tenant = tenant,
	    .txn = txn,
	    .msg = m,
	    .origin = origin,
	    .own = true};
}

bool
sq_publish_due(struct sq_shard *sh, struct sq_system_txn **own, struct sq_tenant *tenant,
    const struct sq_msg *m, uint64_t not_from)
{
	struct sq_origin origin = sq_system_origin(sh->broker);
	struct sq_publish p = publish_of_own(sh, sq_system_txn(sh, own), tenant, m, &origin);

	p.due = own;
	p.not_from = not_from;
	publish_untold(&p, sq_tenant_name(tenant), "a message of the broker's own");
	return !p.held;
}

void
sq_publish_own(struct sq_shard *sh, struct sq_txn *txn, struct sq_tenant *tenant,
    const struct sq_msg *m, uint64_t not_from)
{
	struct sq_origin origin = sq_system_origin(sh->broker);
	struct sq_publish p = publish_of_own(sh, txn, tenant, m, &origin);

	p.not_from = not_from;
	publish_untold(&p, sq_tenant_name(tenant), "a message of the broker's own");
	sq_system_commit(&p.apart);
}

/* Nobody is to lose a message for one of these, and no queue to fill with them. */
static bool
publish_sys_fits(const struct sq_sink *sink, uint32_t size)
{
	struct sq_queue_state q;

	sink->engine->ops->queue.state(sink->queue, &q);
	return q.takers > 0 && q.n + q.coming < q.max_msgs &&
	    q.bytes + q.coming_bytes + size <= q.max_bytes;
}

void
sq_publish_sys(struct sq_shard *sh, struct sq_txn *txn, struct sq_tenant *tenant,
    struct sq_space *space, const struct sq_msg *m)
{
	struct sq_origin origin = sq_system_origin(sh->broker);
	struct sq_publish p = publish_of_own(sh, txn, tenant, m, &origin);
	size_t n, left = 0;
	struct sq_binding **v, **fit;

	publish_lock(&p, space);
	v = sq_router_match(sh->routes, space, m->image, &n);
	p.retain = sq_image_retain(m->image);
	fit = sq_xmalloc((n + 1) * sizeof(*fit));
	for (size_t i = 0; i < n; i++) {
		if (publish_sys_fits(v[i]->sink, sq_image_size(m->image)))
			fit[left++] = v[i];
	}
	publish_put_all(&p, fit, left);
	free(fit);
	sq_publish_unlock(&p);
}

void
sq_will_publish(struct sq_session *s)
{
	struct sq_broker *b = s->shard->broker;
	struct sq_origin origin = sq_system_origin(b);
	struct sq_background_txn *background = NULL;
	struct sq_publish p = {.broker = b,
	    .home = s->shard,
	    .from = s,
	    .tenant = s->id.tenant,
	    .msg = &s->will.msg,
	    .origin = &origin,
	    .not_from = s->id.incarnation};

	sq_heap_remove(&s->shard->timers, &s->will.timer);
	if (s->will.msg.image == NULL)
		return;
	sq_permit_refresh(s);
	p.permit = s->permit.subject;
	p.txn = sq_background_txn(s, &background);
	publish_untold(&p, s->id.key, "will");
	sq_system_commit(&p.apart);
	sq_dead_flush(s->shard, sq_background_txn(s, &background));
	sq_persist_will_gone(s, sq_background_txn(s, &background));
	sq_background_commit(&background);
	sq_publish_committed(&p);
	sq_count(b, SQ_M_WILLS, 1);
	sq_msg_unref(&s->will.msg);
}
