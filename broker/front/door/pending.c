/* See broker/front/door/pending.h. */
#include "broker/front/door/pending.h"

#include <assert.h>

#include "broker/front/door/bodies.h"
#include "broker/front/door/conn.h"
#include "broker/front/door/ledger.h"
#include "broker/front/door/presence.h"
#include "broker/front/door/watch.h"

/* In the request's pool. */
struct sq_pending_guard {
	struct sq_pending_req *owner; /* NULL once answered */
	h2o_req_t *req;
};

static void
guard_dispose(void *p)
{
	struct sq_pending_guard *g = p;

	if (g->owner == NULL)
		return;
	g->owner->guard = NULL;
	if (g->owner->presence != NULL)
		sq_presence_end(g->owner->presence);
	if (g->owner->gone != NULL)
		g->owner->gone(g->owner);
}

/* Its own worker alone writes the count. */
static void
pending_count(const struct sq_pending_req *p, int by)
{
	atomic_uint *n = &p->conn->part->running;

	if (p->work)
		atomic_store_explicit(n,
		    atomic_load_explicit(n, memory_order_relaxed) + (unsigned)by,
		    memory_order_release);
}

static void
pending_start(struct sq_pending_req *p, struct sq_conn *c, h2o_req_t *req, bool work)
{
	p->conn = c;
	p->work = work;
	p->entry = NULL;
	p->guard = NULL;
	p->presence = NULL;
	p->gone = NULL;
	p->waits = false;
	if (req != NULL) {
		p->guard = h2o_mem_alloc_shared(&req->pool, sizeof *p->guard, guard_dispose);
		*p->guard = (struct sq_pending_guard){p, req};
	}
	c->running++;
	pending_count(p, 1);
}

void
sq_pending_begin(
    struct sq_pending_req *p, struct sq_conn *c, h2o_req_t *req, const struct sq_identity *who)
{
	pending_start(p, c, req, true);
	if (who != NULL)
		p->entry = sq_ledger_enter(c->part->door->requests, who->id, 0);
}

void
sq_pending_wait(struct sq_pending_req *p, struct sq_conn *c, h2o_req_t *req,
    const struct sq_identity *who, struct sq_presence *presence)
{
	pending_start(p, c, req, false);
	if (who != NULL)
		p->entry = sq_ledger_enter(c->part->door->requests, who->id, 0);
	p->waits = true;
	c->waiting++;
	p->presence = presence;
	sq_presence_begin(presence, h2o_socket_get_fd(c->sock));
}

void
sq_pending_ask(struct sq_pending_req *p, struct sq_conn *c, h2o_req_t *req)
{
	pending_start(p, c, req, false);
}

h2o_req_t *
sq_pending_request(struct sq_pending_req *p)
{
	struct sq_pending_guard *g = p->guard;

	p->guard = NULL;
	if (g == NULL)
		return NULL;
	g->owner = NULL;
	return g->req;
}

void
sq_pending_end(struct sq_pending_req *p)
{
	struct sq_conn *c = p->conn;

	assert(p->guard == NULL && c->running > 0);
	pending_count(p, -1);
	sq_ledger_leave(c->part->door->requests, &p->entry);
	c->running--;
	c->waiting -= p->waits;
	c->active_ms = sq_worker_now_ms(c->part->worker);
	sq_watch_conn(c);
	sq_bodies_look(c);
	sq_conn_release(c);
}
