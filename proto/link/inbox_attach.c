/* What an attach means for the deliveries of a session; see inbox.h. */
#include "proto/link/inbox.h"

#include <stdlib.h>

#include "core/mem.h"
#include "proto/link/inbox_priv.h"

static int
open_id_order(const void *a, const void *b)
{
	const struct sq_open_id *x = a, *y = b;

	return x->delivery < y->delivery ? -1 : x->delivery > y->delivery;
}

static uint8_t
entry_open_state(const struct sq_inbox_entry *e)
{
	if ((e->flags & F_ORPHAN) != 0)
		return SQ_OPEN_ORPHAN;
	if (e->state == E_RELEASED || (e->state == E_SETTLING && (e->flags & F_COMPLETE) != 0))
		return SQ_OPEN_RECEIVED;
	return (e->flags & F_QOS2) != 0 ? SQ_OPEN_QOS2 : SQ_OPEN_QOS1;
}

void
sq_inbox_attach(const struct sq_inbox *in, struct sq_attach *out, struct sq_open_id **ids)
{
	struct sq_open_id *v = NULL;
	uint16_t n = 0;

	out->receive_max = in->receive_max;
	if (in->table.n > in->table.ghosts)
		v = sq_xcalloc(in->table.n - in->table.ghosts, sizeof *v);
	for (uint32_t i = 0; v != NULL && i <= in->table.mask; i++) {
		const struct sq_inbox_entry *e = &in->table.slots[i];
		const struct sq_inbox_name *name = &in->table.names[i];

		if (e->packet_id == 0 || e->state == E_GHOST)
			continue;
		v[n++] = (struct sq_open_id){.packet_id = e->packet_id,
		    .state = entry_open_state(e),
		    .queue = name->queue,
		    .delivery = name->seq,
		    .origin = {name->incarnation, name->run, name->number, name->copy}};
	}
	if (n > 1)
		qsort(v, n, sizeof *v, open_id_order);
	for (uint16_t i = 0; i < n; i++)
		v[i].delivery = 0;
	out->n_open = n;
	*ids = v;
}

/* Adopts a listed id that this inbox does not know, left open by an older connection of the
 * client. */
static void
inbox_adopt(struct sq_inbox *in, const struct sq_open_id *id)
{
	struct sq_inbox_entry *e;

	if (id->state == SQ_OPEN_QOS1)
		return; /* its message comes as a new one */
	e = sq_inbox_insert(in, id->packet_id, id->queue, &id->origin);
	e->flags = F_QOS2;
	e->delivery = id->delivery;
	if (id->state == SQ_OPEN_QOS2) {
		/* The client may hold the id: the next PUT must list it, even if its
		 * message has not come by then. */
		e->state = E_EXPECTED;
		return;
	}
	/* An orphan's message may have come to an older connection, so the client
	 * may hold that id too: it is free after PUBREL and PUBCOMP. */
	e->flags |= F_SEEN | F_POSTED;
	if (id->state == SQ_OPEN_ORPHAN)
		e->flags |= F_ORPHAN;
	sq_inbox_entry_release(in, e);
}

/* The broker holds the id of 'e' in the state that 'id' says. */
static void
entry_rebind(struct sq_inbox *in, struct sq_inbox_entry *e, const struct sq_open_id *id)
{
	e->delivery = id->delivery;
	e->flags &= (uint8_t) ~(F_POSTED | F_CHARGED | F_SEEN);
	e->flags |= F_LISTED;
	if (id->state == SQ_OPEN_ORPHAN)
		e->flags |= F_ORPHAN | F_SEEN;
	else if (id->state == SQ_OPEN_RECEIVED)
		e->flags |= F_SEEN;
	switch ((enum sq_inbox_state)e->state) {
	case E_SENT1:
	case E_SENT2:
		if (id->state == SQ_OPEN_RECEIVED)
			sq_inbox_entry_release(in, e);
		break;
	case E_EXPECTED:
		if (id->state == SQ_OPEN_RECEIVED || id->state == SQ_OPEN_ORPHAN)
			sq_inbox_entry_release(in, e);
		break;
	case E_RECEIVING:
		if (id->state == SQ_OPEN_ORPHAN || id->state == SQ_OPEN_RECEIVED)
			sq_inbox_entry_release(in, e);
		else
			sq_inbox_entry_post(in, e);
		break;
	case E_RELEASED:
		if (id->state == SQ_OPEN_QOS2)
			sq_inbox_entry_post(in, e);
		break;
	case E_SETTLING:
		if (id->state == SQ_OPEN_ORPHAN)
			e->flags |= F_COMPLETE;
		if (id->state == SQ_OPEN_QOS2 && (e->flags & F_COMPLETE) != 0)
			sq_inbox_settle(in, e->packet_id, SQ_SETTLE_RECEIVED, 0, e->delivery);
		sq_inbox_entry_post(in, e);
		break;
	case E_GHOST:
		break;
	}
}

/* Entries that the answer didn't list are finished at the broker. */
static void
inbox_forget_unlisted(struct sq_inbox *in, const bool *listed)
{
	for (uint32_t i = 0; in->table.slots != NULL && i <= in->table.mask;) {
		struct sq_inbox_entry *e = &in->table.slots[i];

		if (e->packet_id == 0 || listed[e->packet_id]) {
			i++;
		} else if (e->state == E_SETTLING || e->state == E_GHOST) {
			e->flags &= (uint8_t) ~(F_POSTED | F_CHARGED | F_SEEN | F_LISTED);
			if (e->state == E_SETTLING)
				sq_inbox_make_ghost(in, e);
			i++;
		} else {
			if (e->state == E_RECEIVING)
				sq_inbox_push_pubrel(in, e->packet_id, 0);
			sq_inbox_abandon(in, e); /* another one may now be here */
		}
	}
}

void
sq_inbox_attached(struct sq_inbox *in, const struct sq_attached *a)
{
	struct sq_bytes rest = a->open;
	bool *listed = NULL;

	in->attach++;
	in->flying = 0;
	sq_buf_fini(&in->settled.body);
	in->settled.run.n = 0;
	in->settled.n = 0;
	in->settled.pressing = false;
	in->credit.came_msgs = in->credit.came_bytes = 0;
	in->credit.msgs = (int64_t)(in->credit.window_msgs - in->credit.unwritten_msgs);
	in->credit.bytes = (int64_t)(in->credit.window_bytes - in->credit.unwritten_bytes);
	in->credit.announced_msgs = in->credit.announced_bytes =
	    0; /* the first settlements grant it */
	sq_inbox_forget_ghosts(in, true);
	if (in->table.n == 0 && a->n_open == 0)
		return;
	listed = sq_xcalloc(UINT16_MAX + 1, sizeof *listed);
	for (uint16_t i = 0; i < a->n_open; i++) {
		struct sq_open_id id = sq_open_id_next(&rest, true);
		struct sq_inbox_entry *e = sq_inbox_find(in, id.packet_id);

		if (id.packet_id == 0)
			continue;
		listed[id.packet_id] = true;
		if (e != NULL && sq_inbox_entry_is(in, e, id.queue, &id.origin)) {
			entry_rebind(in, e, &id);
			continue;
		}
		if (e != NULL)
			sq_inbox_abandon(in, e);
		inbox_adopt(in, &id);
	}
	inbox_forget_unlisted(in, listed);
	free(listed);
}
