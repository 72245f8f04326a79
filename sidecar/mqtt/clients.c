/* All clients; see clients.h. */
#include "sidecar/mqtt/clients.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/memory.h"
#include "sidecar/hold/room.h"
#include "sidecar/mqtt/client.h"
#include "sidecar/mqtt/client_hold.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/mqtt/password_check.h"

enum {
	HOLDS_MIN = 16 * 1024, /* who has less does not go; below the least window */
	INPUT_PART = 4,        /* input counts so much less than output */
	SHORT_MS = 5000,       /* with nothing taken for so long, the greatest goes */
	EVICT_MS = 100,        /* between two */
};

/* The weight of a client in the choice of the one to end.  Unread output is the client's own fault;
 * its input waits for the rest of a packet, or because the sidecar does not read it now. */
static size_t
clients_weight(const struct sq_client *c)
{
	size_t holds = sq_client_holds(c), output = sq_client_output(c);

	return holds > HOLDS_MIN ? output + (holds - output) / INPUT_PART : 0;
}

/* Disconnects the client that holds most; false: none holds much. */
static bool
clients_evict_most(struct sq_clients *of)
{
	struct sq_client *most = NULL;
	size_t weight = 0;

	SQ_LIST_FOR_EACH(c, &of->all, struct sq_client, all) {
		size_t n = clients_weight(c);

		if (n > weight) {
			weight = n;
			most = c;
		}
	}
	if (most == NULL)
		return false;
	sq_holds_count(of->holds, SQ_M_CLOSED_MEMORY, 1);
	sq_client_evict(most);
	return true;
}

/* Where memory does not get free otherwise, and at once where all but a fiftieth is allocated: as
 * many go as it takes to have a tenth again.  What the allocator keeps is no reason to hurry: it
 * gives that back. */
void
sq_clients_make_room(struct sq_clients *of)
{
	uint64_t limit = sq_memory_limit(), now_ms = sq_loop_now(of->loop);
	bool waits = now_ms < of->evict_ms || now_ms - of->holds->short_ms < SHORT_MS;

	if (!sq_room_none() || (waits && sq_memory_bytes() < limit / 50 * 49))
		return;
	of->evict_ms = now_ms + EVICT_MS;
	while (clients_evict_most(of) && sq_memory_bytes() >= limit / 10 * 9)
		continue;
}

struct sq_clients *
sq_clients_new(struct sq_holds *holds, struct sq_outbox *outbox)
{
	struct sq_clients *of = sq_xcalloc(1, sizeof *of);

	of->loop = holds->loop;
	of->cfg = holds->cfg;
	of->holds = holds;
	of->outbox = outbox;
	of->user = &sq_client_hold_user;
	if (of->cfg->traces)
		of->tracer = sq_tracer_new(of->cfg->trace_share, of->cfg->trace_all != 0);
	sq_list_init(&of->all);
	return of;
}

void
sq_clients_declare(struct sq_clients *of, struct sq_declared *declared)
{
	assert(of->declared == NULL);
	of->declared = declared;
}

bool
sq_clients_passwords(struct sq_clients *of, struct sq_buf *err)
{
	const char *file = of->cfg->password_file;

	if (file == NULL || file[0] == '\0')
		return true;
	of->passwords = sq_password_check_new(of->loop->ev, file, err);
	return of->passwords != NULL;
}

void
sq_clients_free(struct sq_clients **cp)
{
	struct sq_clients *of = *cp;
	struct sq_client *c;

	*cp = NULL;
	if (of == NULL)
		return;
	while ((c = SQ_LIST_FIRST(&of->all, struct sq_client, all)) != NULL)
		sq_client_free(c);
	assert(of->n == 0);
	sq_password_check_free(&of->passwords);
	sq_output_cache_fini(&of->outputs);
	sq_form_fini(&of->form);
	sq_tracer_free(&of->tracer);
	free(of);
}

void
sq_clients_stop(struct sq_clients *of)
{
	of->stopping = true;
	SQ_LIST_FOR_EACH_SAFE(c, &of->all, struct sq_client, all)
		sq_client_end(c, SQ_END_SHUTDOWN);
}

void
sq_clients_sweep(struct sq_clients *of)
{
	SQ_LIST_FOR_EACH_SAFE(c, &of->all, struct sq_client, all)
		sq_client_sweep(c, sq_loop_now(of->loop));
}

size_t
sq_clients_open(const struct sq_clients *of)
{
	size_t n = 0;

	SQ_LIST_FOR_EACH(c, &of->all, struct sq_client, all)
		n += c->state == SQ_CLIENT_OPEN;
	return n;
}
