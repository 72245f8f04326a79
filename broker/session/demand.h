/* Demand: the number of messages and bytes that a session may send to its client, and asks of its
 * queues.
 *
 * On the session's worker. */
#ifndef SQ_BROKER_DEMAND_H
#define SQ_BROKER_DEMAND_H

#include "broker/session/session.h"

enum { SQ_OPEN_MIN = 64 * 1024 }; /* bytes that each session may have unacknowledged */

/* Bytes of QoS 1 and 2 that the client may be sent beyond the unacknowledged ones.  The free memory
 * and the tenant's share of it set the number; SQ_OPEN_MIN unacknowledged bytes are always
 * allowed. */
uint64_t sq_demand_room(const struct sq_session *);

static inline bool
sq_has_credit(const struct sq_session *s)
{
	return s->flow.used_msgs < s->flow.credit_msgs && s->flow.used_bytes < s->flow.credit_bytes;
}

/* Whether the client's receive maximum allows another delivery of QoS 1 or 2. */
static inline bool
sq_has_window(const struct sq_session *s)
{
	return s->window.n_sent < s->window.receive_max;
}

/* Whether memory allows another unacknowledged delivery. */
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

/* The QoS at which the item would be sent. */
static inline uint8_t
sq_pending_qos(const struct sq_pending *r)
{
	const struct sq_member *m = r->member;

	return m != NULL && m->max_qos < r->item.qos ? m->max_qos : r->item.qos;
}

/* Subtracts 'n' items that a queue has handed out from the demand. */
void sq_demand_taken(struct sq_demand *demanded, const struct sq_item *items, size_t n);
/* Asks the session's queue and those of its groups for the amount that may be sent soon. */
void sq_demand_update(struct sq_session *);
/* Withdraws all demand, because the attachment has ended. */
void sq_demand_end(struct sq_session *);

#endif
