#include "broker/publish/route_message.h"

#include <assert.h>

#include "broker/publish/dead_queues.h"
#include "broker/publish/put.h"
#include "broker/route/grants.h"
#include "broker/route/retained.h"
#include "broker/shard/pace.h"
#include "broker/shard/source.h"
#include "core/memory.h"
#include "proto/mqtt/reason.h"

void
sq_route_lock(struct sq_publish *p, struct sq_space *s)
{
	if (p->locked == s)
		return;
	sq_route_unlock(p);
	sq_space_rdlock(s);
	p->locked = s;
}

void
sq_route_unlock(struct sq_publish *p)
{
	if (p->locked == NULL)
		return;
	if (p->pace.last != NULL && p->pace.call != NULL)
		sq_pace_put(p->home, p->pace.call, p->pace.last);
	p->pace.last = NULL;
	sq_space_unlock(p->locked);
	p->locked = NULL;
}

/* Whether the queue of a sink has no room for the message behind those of the list, and makes none. */
static bool
route_is_full_behind(const struct sq_publish *p, const struct sq_sink *sink, uint32_t size)
{
	const struct sq_engine_ops *ops = sink->engine->ops;
	struct sq_look_pending list = sq_look_pending(p->look, sink);
	uint64_t all = size + list.bytes;
	uint32_t bytes = all < UINT32_MAX ? (uint32_t)all : UINT32_MAX;
	bool full = ops->queue.full(sink->queue, bytes);
	struct sq_queue_state q;

	if (!full && list.n > 0) {
		ops->queue.state(sink->queue, &q);
		full = q.n + q.coming + list.n >= q.max_msgs;
	}
	return full && (p->assured || !ops->queue.yields(sink->queue, bytes));
}

/* Whether the sink's queue has no room for the message, and makes none. */
static bool
route_is_full(const struct sq_publish *p, const struct sq_sink *sink, uint32_t size)
{
	const struct sq_engine_ops *ops = sink->engine->ops;

	if (p->look != NULL)
		return route_is_full_behind(p, sink, size);
	return ops->queue.full(sink->queue, size) &&
	    (p->assured || !ops->queue.yields(sink->queue, size));
}

/* Whether a sink refuses what it has no room for. */
static bool
route_may_refuse(const struct sq_publish *p, const struct sq_sink *sink)
{
	return sink->reject || (p->assured && sink->durable);
}

/* Notes what a list has for the queues that may refuse something. */
static void
route_look(const struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (sq_put_qos(p, v[i]) > 0 && sq_put_wanted(p, v[i]) &&
		    route_may_refuse(p, v[i]->sink))
			sq_look_put(p->look, v[i]->sink, sq_image_size(p->msg->image));
	}
}

/* The tenant whose dead letters may lack room for a letter of the message: of a queue's tenant, or
 * of the publisher's own; NULL: none. */
static const struct sq_tenant *
route_dead_full(const struct sq_publish *p, struct sq_binding *const *v, size_t n, uint32_t size)
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
route_refused_dead(struct sq_publish *p, const struct sq_tenant *t, uint32_t size)
{
	const struct sq_account *a = sq_tenant_account(t);

	if (sq_share_fits(a, SQ_SHARE_DEAD_LETTERS, 1) &&
	    sq_share_fits(a, SQ_SHARE_DEAD_LETTERS_BYTES, size))
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_DEAD_LETTERS);
	return sq_refused_share(
	    &p->refused, p->broker, SQ_LIMIT_DEAD_LETTERS, a, SQ_SHARE_DEAD_LETTERS);
}

static uint8_t
route_refused_retained(struct sq_publish *p)
{
	return sq_refused_share(&p->refused, p->broker, SQ_LIMIT_RETAINED,
	    sq_space_account(sq_tenant_space(p->tenant)), SQ_SHARE_RETAINED);
}

/* The reason code of a full queue; 0: there is none. */
static uint8_t
route_refused(struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	const struct sq_sink *has_room = NULL; /* the last one asked: most overlap in a row */
	const struct sq_tenant *dead_full;
	uint32_t size = sq_image_size(p->msg->image);

	for (size_t i = 0; i < n; i++) {
		const struct sq_sink *sink = v[i]->sink;

		if (sink == has_room || sq_put_qos(p, v[i]) == 0 || !sq_put_wanted(p, v[i]))
			continue;
		if (route_may_refuse(p, sink) && route_is_full(p, sink, size))
			return sq_refused_queue(
			    &p->refused, p->broker, sink, size, sq_look_pending(p->look, sink));
		has_room = sink;
	}
	/* One that is a letter now leaves room for the letter that it may become. */
	dead_full = p->assured && !p->from.again ? route_dead_full(p, v, n, size) : NULL;
	if (dead_full != NULL)
		return route_refused_dead(p, dead_full, size);
	return SQ_MQTT_RC_SUCCESS;
}

uint8_t
sq_route_too_many(struct sq_publish *p, size_t n)
{
	if (!p->from.told) /* nobody is refused: it is lost */
		sq_count(p->broker, SQ_M_DROPPED_FULL, (int64_t)n);
	return sq_refused_say(&p->refused, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA,
	    "%zu subscriptions match, with this message more than a transaction of the store holds",
	    n);
}

bool
sq_route_store_full(const struct sq_publish *p)
{
	return sq_engine_full(p->broker->engine);
}

/* Other spaces that may read the message, each under its own lock.  Of these its publisher hears
 * and feels nothing: what finds no room there is dropped and counted, and QoS 3 ends at the
 * border, for its receipts would be publishes on the other side. */
static void
route_to_reader(struct sq_publish *p, struct sq_space *reader)
{
	struct sq_call *call = p->pace.call;
	bool assured = p->assured;
	size_t reached = p->n, n;
	struct sq_binding **v;

	sq_route_lock(p, reader);
	p->pace.call = NULL;
	p->assured = false;
	v = sq_router_match(p->home->routes, reader, p->msg->image, &n);
	p->work += n + 1;
	if (p->qos > 0 && !sq_put_make_room(p, v, n))
		sq_count(p->broker, SQ_M_DROPPED_FULL, (int64_t)n);
	else
		sq_put_all(p, v, n);
	p->pace.last = NULL;
	p->n = reached;
	p->assured = assured;
	p->pace.call = call;
}

void
sq_route_readers(struct sq_publish *p)
{
	const struct sq_space *from = sq_tenant_space(p->tenant);
	struct sq_bytes topic = sq_image_topic(p->msg->image);
	const struct sq_grant *at = NULL;
	struct sq_space *reader;

	p->end.reads = false;
	p->number = p->end.retained;
	while ((reader = sq_space_reader(from, topic, &at)) != NULL)
		route_to_reader(p, reader);
	p->number = 0;
}

bool
sq_route_no_stay(const struct sq_publish *p)
{
	return !p->from.own && sq_memory_level() >= SQ_MEMORY_FILLED &&
	    sq_image_payload(p->msg->image).len > 0;
}

/* How many durable queues the message goes to. */
static size_t
route_copies(const struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	size_t copies = 0;

	for (size_t i = 0; i < n; i++)
		copies += v[i]->sink->durable && sq_put_qos(p, v[i]) > 0 && sq_put_wanted(p, v[i]);
	return copies;
}

/* Whether the message may be put; it would be of 'n' bindings.  Returns 0, or the code of its
 * refusal. */
static uint8_t
route_judge(struct sq_publish *p, struct sq_space *space, struct sq_binding *const *v, size_t n)
{
	uint8_t code;

	if (p->due && sq_route_store_full(p) && route_copies(p, v, n) > 1) {
		p->end.how = SQ_PUBLISH_HELD;
		return SQ_MQTT_RC_SUCCESS;
	}
	if (sq_look_only(p->look)) { /* of any QoS: all of it is done in one turn */
		p->look->copies += n;
		p->look->too_large = p->look->copies > SQ_LOOK_COPIES_MAX;
		if (p->look->too_large)
			return sq_route_too_many(p, n);
	}
	if (p->from.match && n == 0 && !p->retain) {
		p->end.how = SQ_PUBLISH_UNMATCHED;
		return SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS;
	}
	code = p->qos > 0 && (!p->from.own || p->from.again) ? route_refused(p, v, n)
							     : SQ_MQTT_RC_SUCCESS;
	if (code != SQ_MQTT_RC_SUCCESS)
		return code;
	if (p->retain && !p->from.own && sq_image_payload(p->msg->image).len > 0 &&
	    sq_route_store_full(p))
		return sq_refused_store(&p->refused);
	if ((p->qos > 0 || p->retain) && !sq_put_make_room(p, v, n))
		return sq_route_too_many(p, n);
	if (p->retain && sq_route_no_stay(p))
		return sq_refused_limit(&p->refused, p->broker, SQ_LIMIT_MEMORY);
	if (sq_look_only(p->look) && p->retain &&
	    !sq_router_retain_take(p->broker->router, space, p->msg, &p->look->retained))
		return route_refused_retained(p);
	return SQ_MQTT_RC_SUCCESS;
}

/* Looks at a message that may be put.  Returns what would become of it. */
static uint8_t
route_looked(const struct sq_publish *p, struct sq_binding *const *v, size_t n)
{
	bool anybody = p->retain && !p->assured;

	for (size_t i = 0; i < n && !anybody; i++)
		anybody = sq_put_wanted(p, v[i]);
	if (p->qos > 0)
		route_look(p, v, n);
	return anybody ? SQ_MQTT_RC_SUCCESS : SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS;
}

/* Puts the message, and retains it if it is to be. */
static uint8_t
route_put(struct sq_publish *p, struct sq_space *space, struct sq_binding *const *v, size_t n)
{
	if (p->retain &&
	    sq_router_retain(p->broker->router, space, p->msg, p->origin, p->expires_ms,
		sq_look_over(p->look), p->txn, &p->end.retained) != SQ_OK)
		return route_refused_retained(p);
	sq_put_all(p, v, n);
	if ((p->n == 0 && p->assured) || (p->taken == 0 && p->from.again))
		return SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS; /* it is nowhere */
	p->end.reads = sq_space_is_read(space);
	if (p->end.reads && p->look == NULL)
		sq_route_readers(p);
	return p->n > 0 || p->qos == 0 || p->retain ? SQ_MQTT_RC_SUCCESS
						    : SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS;
}

uint8_t
sq_route_message(struct sq_publish *p)
{
	struct sq_space *space = sq_tenant_space(p->tenant);
	uint8_t code = SQ_MQTT_RC_SUCCESS;
	struct sq_binding **v;
	size_t n;

	sq_route_lock(p, space);
	v = sq_router_match(p->home->routes, space, p->msg->image, &n);
	p->work += n + 1;
	if (!sq_look_over(p->look))
		code = route_judge(p, space, v, n);
	if (code != SQ_MQTT_RC_SUCCESS || p->end.how == SQ_PUBLISH_HELD)
		return code;
	return sq_look_only(p->look) ? route_looked(p, v, n) : route_put(p, space, v, n);
}
