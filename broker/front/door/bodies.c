/* See broker/front/door/bodies.h. */
#include "broker/front/door/bodies.h"

#include <sys/socket.h>

#include "broker/front/door/conn.h"
#include "broker/front/door/watch.h"
#include "web/h2o.h"

enum {
	BODIES_MUCH_MS = 5000,
	BODIES_LITTLE_MS = 30000,
	BODIES_SMALL = 64 << 10,
	BODIES_PARTS = 8,        /* of limits.memory: all together */
	BODIES_MUCH_PARTS = 4,   /* of all together: a connection that goes first */
	BODIES_UNREAD = 64 << 10 /* the system keeps of one that is not read */
};

size_t
sq_bodies_most(enum sq_memory_level level, size_t together, uint64_t limit, size_t largest)
{
	bool many = together > limit / BODIES_PARTS;

	switch (level) {
	case SQ_MEMORY_REFUSED:
		return many ? BODIES_SMALL : largest;
	case SQ_MEMORY_PACED:
	case SQ_MEMORY_FILLED:
		return many ? largest : SIZE_MAX;
	case SQ_MEMORY_FREE:
	default:
		return SIZE_MAX;
	}
}

uint64_t
sq_bodies_wait_ms(size_t bytes, size_t together)
{
	return bytes >= together / BODIES_MUCH_PARTS ? BODIES_MUCH_MS : BODIES_LITTLE_MS;
}

/* Of all doors: memory is one, too. */
static atomic_size_t bodies_all;

static size_t
bodies_together(void)
{
	return atomic_load_explicit(&bodies_all, memory_order_relaxed);
}

/* How many bytes it may have now. */
static size_t
bodies_most(struct sq_conn *c)
{
	return sq_bodies_most(sq_memory_level(), bodies_together(), sq_memory_limit(),
	    c->part->door->conf.max_request_entity_size);
}

static void
bodies_count(struct sq_conn *c, size_t bytes)
{
	atomic_fetch_add_explicit(&bodies_all, bytes - c->bodies.bytes, memory_order_relaxed);
	c->bodies.bytes = bytes;
}

/* Bytes that the system buffers meanwhile arrive in one piece later, so they have a bound too. */
static void
bodies_stop(struct sq_conn *c, uint64_t now_ms)
{
	int unread = BODIES_UNREAD;

	c->bodies.over_ms = now_ms;
	(void)setsockopt(h2o_socket_get_fd(c->sock), SOL_SOCKET, SO_RCVBUF, &unread, sizeof unread);
	sq_watch_conn(c);
}

static void
bodies_go_on(struct sq_conn *c)
{
	c->bodies.over_ms = 0;
	if (!c->input.held_up)
		sq_watch_again(c);
}

/* What a connection has: of requests, and of answers that it has not taken. */
struct bodies_held {
	size_t requests, answers;
};

/* Over HTTP/1.1 a request stays in the input until it is answered, and there is one answer. */
static struct bodies_held
bodies_held(struct sq_conn *c)
{
	size_t size = c->sock->input->size;
	struct sq_h2o_held held;

	if (c->input.protocol == SQ_INPUT_HTTP2) {
		held = sq_h2o_held(c->sock);
		return (struct bodies_held){held.body + held.heads, held.answers};
	}
	return (struct bodies_held){size > SQ_TOLL_HEAD_FREE ? size - SQ_TOLL_HEAD_FREE : 0, 0};
}

/* Answers that the broker owes are not the connection's fault. */
static void
bodies_wait(struct sq_conn *c, uint64_t now_ms)
{
	struct sq_bodies *b = &c->bodies;

	if (b->over_ms == 0)
		bodies_stop(c, now_ms);
	else if (c->running > 0)
		b->over_ms = now_ms;
	else if (now_ms - b->over_ms >= sq_bodies_wait_ms(b->bytes, bodies_together()))
		sq_conn_end(c, SQ_END_BODIES);
}

/* Whether its peer has left an answer lying for too long, as the connection is above the bound with it.
 * It is read meanwhile: it may be about to say that there is room for the answer. */
static bool
bodies_left(struct sq_conn *c, size_t most, uint64_t now_ms)
{
	return c->bodies.bytes > most && c->guest.standing == SQ_STANDING_KNOWN &&
	    c->times.going != 0 &&
	    now_ms - c->times.going_ms >= sq_bodies_wait_ms(c->bodies.bytes, bodies_together());
}

void
sq_bodies_look(struct sq_conn *c)
{
	struct sq_bodies *b = &c->bodies;
	bool free = sq_memory_level() == SQ_MEMORY_FREE;
	struct bodies_held held = {0};
	size_t most;
	uint64_t now_ms;

	if ((free && b->bytes == 0 && b->over_ms == 0) || c->sock == NULL ||
	    c->input.protocol == SQ_INPUT_NEW || c->guest.standing < SQ_STANDING_KNOWN ||
	    c->kill_at_ms != 0 || sq_h2o_closing(c->sock))
		return;
	now_ms = sq_worker_now_ms(c->part->worker);
	if (!free)
		held = bodies_held(c);
	bodies_count(c, held.requests + held.answers);
	most = bodies_most(c);
	if (bodies_left(c, most, now_ms))
		sq_conn_end(c, SQ_END_BODIES);
	else if (held.requests > most)
		bodies_wait(c, now_ms);
	else if (b->over_ms != 0)
		bodies_go_on(c);
}

void
sq_bodies_gone(struct sq_conn *c)
{
	bodies_count(c, 0);
}
