/* Demand of a session: at most the amount that its credit and its client's window cover, so that
 * other messages wait in their queue.  Several queues may answer one demand with more than that;
 * the session then asks for nothing until the surplus has left.  Its own queue is asked for nothing
 * while items of that queue are held behind an answer. */
#include "broker/session/demand.h"

#include "core/memory.h"

enum {
	DEMAND_MAX = 256,         /* the most items that a queue is asked for at a time */
	DEMAND_BYTES = 256 << 10, /* and bytes */
};

static const struct sq_demand demand_none;

static uint32_t
demand_least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

void
sq_demand_taken(struct sq_demand *demanded, const struct sq_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (sq_demand_covers(demanded, &items[i])) /* else it was taken back meanwhile */
			sq_demand_take(demanded, &items[i]);
	}
}

uint64_t
sq_demand_room(const struct sq_session *s)
{
	uint64_t open = s->window.open_bytes, room = sq_charge_room(&s->window.charge, open);
	uint64_t fair = sq_memory_fair(), least = open < SQ_OPEN_MIN ? SQ_OPEN_MIN - open : 0;

	fair = fair > open ? fair - open : 0;
	room = room < fair ? room : fair;
	return room > least ? room : least;
}

/* How much may leave now. */
static struct sq_demand
demand_room(const struct sq_session *s)
{
	struct sq_demand room = {0};

	if (!sq_has_credit(s))
		return room;
	room.msgs = demand_least(s->flow.credit_msgs - s->flow.used_msgs, DEMAND_MAX);
	room.bytes = demand_least(s->flow.credit_bytes - s->flow.used_bytes, DEMAND_BYTES);
	if (sq_has_slot(s)) {
		uint64_t span = s->window.ids.next - s->window.ids.base, bytes = sq_demand_room(s);
		uint32_t slots = demand_least(
		    SQ_DELIVERIES_MAX - span, (uint64_t)UINT16_MAX - s->window.n_slots);

		slots = demand_least(slots, (uint64_t)s->window.receive_max - s->window.n_sent);
		room.slots = demand_least(slots, room.msgs);
		room.bytes = room.bytes < bytes ? room.bytes : bytes;
	}
	return room;
}

/* Whether a queue that was asked for 'had' must be told of 'want': it would bring far
 * too much, or soon too little. */
static bool
demand_differs(const struct sq_demand *had, const struct sq_demand *want)
{
	if (had->msgs == 0 && want->msgs == 0)
		return false;
	return had->msgs > 2 * want->msgs || had->slots > 2 * want->slots ||
	    had->bytes > 2 * want->bytes || had->msgs <= want->msgs / 2 ||
	    had->bytes <= want->bytes / 2 || (want->slots > 0 && had->slots <= want->slots / 2);
}

static void
demand_ask(struct sq_session *s, struct sq_consumer *c, struct sq_demand *had,
    const struct sq_demand *want)
{
	if (!demand_differs(had, want))
		return;
	*had = *want;
	s->sink.engine->ops->consumer.demand(c, want);
}

/* The part of 'room' that a member asks for. */
static struct sq_demand
demand_share(const struct sq_member *m, struct sq_demand room)
{
	uint32_t most = UINT32_MAX;

	if (m->concurrency != 0)
		most = m->concurrency > m->open ? m->concurrency - m->open : 0;
	if (m->max_qos > 0 && room.slots < room.msgs) /* other members could have the rest */
		room.msgs = room.slots;
	/* Demand to a queue on a distant worker is not withdrawn completely, or queues nearby would
	 * always be faster. */
	if (room.msgs == 0 && m->demanded.msgs > 0)
		room = (struct sq_demand){1, 1, m->demanded.bytes > 0 ? m->demanded.bytes : 1};
	room.msgs = room.msgs < most ? room.msgs : most;
	room.slots = room.msgs; /* at QoS 0 none is needed */
	return room;
}

void
sq_demand_update(struct sq_session *s)
{
	struct sq_demand room = {0};

	if (s->window.resend.n > 0) {
		if (!s->window.old.reordered ||
		    s->window.pending.n > DEMAND_MAX / 2) /* see deliver_older() */
			return;
		room = demand_room(s);
	} else if (s->window.pending.n == 0) {
		room = demand_room(s);
	} else if (sq_may_leave(s, sq_pending_qos(sq_pending_at(&s->window.pending, 0)))) {
		return; /* the link is full, or the turn is over */
	}
	demand_ask(
	    s, &s->flow.consumer, &s->flow.demanded, s->order.n_held > 0 ? &demand_none : &room);
	SQ_LIST_FOR_EACH(m, &s->members.list, struct sq_member, node) {
		struct sq_demand share;

		if (m->consumer.queue == NULL || m->consumer.stopped)
			continue;
		share = demand_share(m, room);
		demand_ask(s, &m->consumer, &m->demanded, &share);
	}
}

void
sq_demand_end(struct sq_session *s)
{
	if (s->sink.queue != NULL)
		demand_ask(s, &s->flow.consumer, &s->flow.demanded, &demand_none);
}
