/* What may leave for a session's client, and what the session asks its queues for. */
#ifndef SQ_BROKER_DEMAND_H
#define SQ_BROKER_DEMAND_H

#include "broker/session/session.h"

enum { SQ_OPEN_MIN = 64 * 1024 }; /* bytes that each may have unacknowledged */

/* How much more of QoS 1 and 2 the client may be sent, bytes, for what it has not acknowledged:
 * as what is free of the memory and its tenant's share of that allow, and always up to
 * SQ_OPEN_MIN. */
uint64_t sq_demand_room(const struct sq_session *);

static inline bool
sq_has_credit(const struct sq_session *s)
{
	return s->flow.used_msgs < s->flow.credit_msgs && s->flow.used_bytes < s->flow.credit_bytes;
}

/* Whether the client may get one more of QoS 1 or 2. */
static inline bool
sq_has_window(const struct sq_session *s)
{
	return s->window.n_sent < s->window.receive_max;
}

/* Whether the broker may keep one more for it. */
static inline bool
sq_has_memory(const struct sq_session *s)
{
	return s->window.open_bytes < SQ_OPEN_MIN || sq_demand_room(s) > 0;
}

static inline bool
sq_has_slot(const struct sq_session *s)
{
	return sq_has_window(s) && s->window.n_slots < UINT16_MAX &&
	    s->window.ids.next - s->window.ids.base < SQ_DELIVERIES_MAX && sq_has_memory(s);
}

static inline bool
sq_may_leave(const struct sq_session *s, uint8_t qos)
{
	return sq_has_credit(s) && (qos == 0 || sq_has_slot(s));
}

/* At which QoS it would leave. */
static inline uint8_t
sq_pending_qos(const struct sq_pending *r)
{
	const struct sq_member *m = r->member;

	return m != NULL && m->max_qos < r->item.qos ? m->max_qos : r->item.qos;
}

/* Takes items that were handed out off what was asked for. */
void sq_demand_taken(struct sq_demand *demanded, const struct sq_item *items, size_t n);
/* Asks for as much as may leave soon, where a queue must be told so. */
void sq_demand_update(struct sq_session *);
/* The attachment is over: asks for nothing any more. */
void sq_demand_end(struct sq_session *);

#endif
