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

/* Whether the sink's queue has no room for the message, and makes none. */
static bool
route_is_full(const struct sq_publish *p, const struct sq_sink *sink, uint32_t size)
{
	const struct sq_engine_ops *ops = sink->engine->ops;

	return ops->queue.full(sink->queue, size) &&
	    (p->assured || !ops->queue.yields(sink->queue, size));
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
		if ((sink->reject || (p->assured && sink->durable)) && route_is_full(p, sink, size))
			return sq_refused_queue(&p->refused, p->broker, sink, size);
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

static void
route_readers(struct sq_publish *p, const struct sq_space *from, uint64_t number)
{
	struct sq_bytes topic = sq_image_topic(p->msg->image);
	const struct sq_grant *at = NULL;
	struct sq_space *reader;

	p->number = number;
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

uint8_t
sq_route_message(struct sq_publish *p)
{
	struct sq_space *space = sq_tenant_space(p->tenant);
	uint64_t number = 0;
	struct sq_binding **v;
	uint8_t code;
	size_t n;

	sq_route_lock(p, space);
	v = sq_router_match(p->home->routes, space, p->msg->image, &n);
	p->work += n + 1;
	if (p->due && sq_route_store_full(p) && route_copies(p, v, n) > 1) {
		p->end.how = SQ_PUBLISH_HELD;
		return SQ_MQTT_RC_SUCCESS;
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
	if (p->retain &&
	    sq_router_retain(p->broker->router, space, p->msg, p->origin, p->expires_ms, false, p->txn,
		&number) != SQ_OK)
		return sq_refused_share(&p->refused, p->broker, SQ_LIMIT_RETAINED,
		    sq_space_account(space), SQ_SHARE_RETAINED);
	sq_put_all(p, v, n);
	if ((p->n == 0 && p->assured) || (p->taken == 0 && p->from.again))
		return SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS; /* it is nowhere */
	route_readers(p, space, number);
	return p->n > 0 || p->qos == 0 || p->retain ? SQ_MQTT_RC_SUCCESS
						    : SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS;
}
