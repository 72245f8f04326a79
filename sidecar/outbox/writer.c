/* A writer as the gate of its hold; see writer.h. */
#include "sidecar/outbox/writer.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"
#include "sidecar/hold/hold.h"
#include "sidecar/outbox/disk.h"
#include "sidecar/outbox/places.h"

/* The place of one request of the hold. */
struct sq_hold_place {
	struct sq_outbox_place place;
};

static struct sq_outbox_writer *
gate_writer(struct sq_hold_gate *gate)
{
	return SQ_CONTAINER_OF(gate, struct sq_outbox_writer, gate);
}

static struct sq_hold_place *
gate_take(struct sq_hold_gate *gate)
{
	struct sq_outbox_writer *w = gate_writer(gate);
	struct sq_hold_place *p;

	if (w->places == NULL)
		return NULL;
	p = sq_xcalloc(1, sizeof *p);
	sq_outbox_place_init(&p->place);
	sq_outbox_places_take(w->places, w, &p->place);
	return p;
}

static bool
gate_open(const struct sq_hold_place *p)
{
	return !p->place.waits;
}

static bool
gate_passed(const struct sq_hold_place *p)
{
	return p->place.before != 0;
}

static void
gate_leave(struct sq_hold_gate *gate, struct sq_hold_place *p)
{
	sq_outbox_places_leave(gate_writer(gate)->places, &p->place);
	free(p);
}

static void
gate_asks(struct sq_outbox_writer *w, bool is)
{
	if (w->places != NULL)
		sq_outbox_places_asks(w->places, w, is);
}

static void
gate_attached(struct sq_hold_gate *gate, bool gone)
{
	if (gone)
		sq_outbox_writer_forget(gate_writer(gate));
	gate_asks(gate_writer(gate), true);
}

static void
gate_unlinked(struct sq_hold_gate *gate)
{
	gate_asks(gate_writer(gate), false);
}

static void
gate_clear(struct sq_hold_gate *gate)
{
	struct sq_outbox_writer *w = gate_writer(gate);

	if (w->places != NULL)
		sq_outbox_places_gone(w->places, w);
}

static void
gate_close(struct sq_hold_gate *gate)
{
	gate_clear(gate);
	assert(sq_list_empty(&gate_writer(gate)->line.places));
	sq_outbox_port_close(&gate_writer(gate)->port);
	free(gate_writer(gate));
}

static const struct sq_hold_gate_ops gate_ops = {
    .take = gate_take,
    .open = gate_open,
    .passed = gate_passed,
    .leave = gate_leave,
    .attached = gate_attached,
    .unlinked = gate_unlinked,
    .clear = gate_clear,
    .close = gate_close,
};

struct sq_outbox_writer *
sq_outbox_writer_new(
    struct sq_outbox *outbox, struct sq_outbox_disk *const *disk, struct sq_outbox_places *places)
{
	struct sq_outbox_writer *w = sq_xcalloc(1, sizeof *w);

	w->gate.ops = &gate_ops;
	w->outbox = outbox;
	w->disk = disk;
	w->places = places;
	sq_outbox_port_init(&w->port, w);
	sq_outbox_line_init(&w->line);
	return w;
}

void
sq_outbox_writer_opened(struct sq_outbox_writer *w, struct sq_hold *hold)
{
	if (w == NULL)
		return;
	assert(w->hold == NULL);
	w->hold = hold;
}

void
sq_outbox_writer_forget(struct sq_outbox_writer *w)
{
	if (w != NULL && *w->disk != NULL)
		sq_outbox_store_forget(sq_outbox_disk_store(*w->disk), sq_hold_client_id(w->hold));
}
