/* Slots of workers; see web/slot.h.
 *
 * A context is made, used and freed on the worker's thread (worker.c closes the slot): libh2o 2.2.5
 * keeps recycled buffers per thread. */
#include "web/slot.h"

#include <assert.h>

#include "core/mem.h"
#include "web/crew.h"
#include "web/worker_priv.h"

struct opening {
	struct sq_crew_slot *slot;
	h2o_globalconf_t *conf;
};

static void
slot_open(void *arg)
{
	const struct opening *o = arg;
	struct sq_crew_slot *s = o->slot;

	if (o->conf != NULL) {
		s->ctx = sq_xcalloc(1, sizeof *s->ctx);
		h2o_context_init(s->ctx, sq_worker_loop(s->worker), o->conf);
	}
	sq_list_push_back(sq_worker_slots(s->worker), &s->node);
	if (s->user->opened != NULL)
		s->user->opened(s);
	if (s->user->tick != NULL)
		s->user->tick(s, sq_worker_now_ms(s->worker));
}

void
sq_crew_slot_open(struct sq_crew_slot *s, struct sq_worker *worker,
    const struct sq_crew_slot_user *user, h2o_globalconf_t *conf)
{
	struct opening o = {s, conf};

	assert(s->worker == NULL);
	s->worker = worker;
	s->user = user;
	sq_worker_do(worker, slot_open, &o);
}
