#include "local_front.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/mem.h"
#include "web/crew.h"

struct local_front {
	struct sq_front front; /* first */
	struct sq_broker *broker;
	struct sq_crew *crew;
	bool draining;
	struct sq_list peers;
	atomic_uint running; /* calls with the broker */
};

struct local_peer {
	struct sq_list node;
	struct local_front *front;
	struct sq_outlet *outlet;
	bool moved;
};

/* What the done of calls wakes. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;

static struct local_front *
front_of(const struct sq_front *f)
{
	return SQ_CONTAINER_OF(f, struct local_front, front);
}

static void
front_serve(struct sq_front *base, struct sq_broker *broker)
{
	front_of(base)->broker = broker;
}

static unsigned
front_port(const struct sq_front *base)
{
	(void)base;
	return 0;
}

static void
front_move(struct sq_front *base)
{
	SQ_LIST_FOR_EACH(p, &front_of(base)->peers, struct local_peer, node)
		p->moved = true;
}

static void
front_drain(struct sq_front *base)
{
	front_of(base)->draining = true;
	front_move(base);
}

static bool
front_idle(const struct sq_front *base)
{
	return atomic_load(&front_of(base)->running) == 0;
}

static void
front_stop(struct sq_front *base)
{
	SQ_LIST_FOR_EACH(p, &front_of(base)->peers, struct local_peer, node)
		local_peer_lose(p);
}

static void
front_free(struct sq_front *base)
{
	assert(sq_list_empty(&front_of(base)->peers));
	free(front_of(base));
}

static const struct sq_front_ops front_ops = {
    .name = "local",
    .serve = front_serve,
    .port = front_port,
    .move = front_move,
    .drain = front_drain,
    .idle = front_idle,
    .stop = front_stop,
    .free = front_free,
};

struct sq_front *
local_front_open(struct sq_crew *crew)
{
	struct local_front *f = sq_xcalloc(1, sizeof *f);

	f->front.ops = &front_ops;
	f->crew = crew;
	sq_list_init(&f->peers);
	return &f->front;
}

struct local_peer *
local_peer_open(struct sq_front *base, const struct sq_identity *who)
{
	struct local_front *f = front_of(base);
	struct sq_outlet *outlet;
	struct local_peer *p;

	if (f->draining)
		return NULL;
	outlet = fake_link_new(0);
	fake_link_identify(outlet, who);
	fake_link_bound(outlet, LOCAL_OUTLET_MOST);
	if (!sq_broker_outlet_opens(f->broker, outlet)) {
		sq_outlet_unref(&outlet);
		return NULL;
	}
	p = sq_xcalloc(1, sizeof *p);
	p->front = f;
	p->outlet = outlet;
	sq_list_push_back(&f->peers, &p->node);
	return p;
}

void
local_peer_lose(struct local_peer *p)
{
	if (!sq_outlet_open(p->outlet))
		return;
	sq_outlet_close(p->outlet);
	sq_broker_outlet_closed(p->front->broker, p->outlet);
}

void
local_peer_free(struct local_peer **pp)
{
	struct local_peer *p = *pp;

	*pp = NULL;
	assert(!sq_outlet_open(p->outlet));
	sq_list_remove(&p->node);
	sq_outlet_unref(&p->outlet);
	free(p);
}

static void
call_done(struct fake_call *fc)
{
	struct local_front *f = fc->owner;

	pthread_mutex_lock(&lock);
	fc->owner = NULL;
	atomic_fetch_sub(&f->running, 1);
	pthread_cond_broadcast(&answered);
	pthread_mutex_unlock(&lock);
}

struct fake_call *
local_peer_post(struct local_peer *p, enum sq_call_kind kind, const char *key, uint64_t epoch,
    struct sq_buf *body)
{
	struct fake_call *fc = fake_call_new(kind, key, epoch, p->outlet, body);

	fc->done = call_done;
	fc->owner = p->front;
	atomic_fetch_add(&p->front->running, 1);
	sq_broker_call(p->front->broker, &fc->call);
	return fc;
}

void
local_call_await(struct fake_call *fc)
{
	pthread_mutex_lock(&lock);
	while (fc->owner != NULL)
		pthread_cond_wait(&answered, &lock);
	pthread_mutex_unlock(&lock);
}

static void
peer_wake(void *arg)
{
	struct local_peer *p = arg;

	if (sq_outlet_open(p->outlet))
		sq_broker_outlet_writable(p->front->broker, p->outlet);
}

bool
local_peer_take(struct local_peer *p, struct fake_delivery *out)
{
	bool any = fake_link_take(p->outlet, out);

	if (!fake_link_has_room(p->outlet))
		return any;
	for (unsigned i = 0; i < sq_crew_size(p->front->crew); i++)
		sq_worker_do(sq_crew_workers(p->front->crew)[i], peer_wake, p);
	return any;
}

void
local_peer_kept(const struct local_peer *p, char *to, size_t size)
{
	fake_link_copy_kept(p->outlet, to, size);
}

bool
local_peer_moved(const struct local_peer *p)
{
	return p->moved;
}
