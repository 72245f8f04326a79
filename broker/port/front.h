/* The contract of a front: a transport by which peers come to the broker.
 *
 * A front makes outlets (port/outlet.h) and calls (port/call.h), and knows its peers' protocol; the
 * broker proper knows neither peers nor fronts.  Each front has an open function of its own, beside
 * the settings of its kind, which binds its addresses; main has one table of fronts and calls them
 * all in the same order:
 *
 *   open, (stand_by), serve, (move)*, drain, stop, free
 *
 * Between stop and free the broker stops and the crew's threads end.  A front works in slots on the
 * crew's workers (web/slot.h), which also tick it.  Its struct begins with struct sq_front. */
#ifndef SQ_BROKER_PORT_FRONT_H
#define SQ_BROKER_PORT_FRONT_H

#include <stdbool.h>
#include <stddef.h>

struct sq_broker;
struct sq_front;

/* All are called by the main thread. */
struct sq_front_ops {
	/* The name in log and configuration. */
	const char *name;
	/* Accepts peers from now on without a broker, as another one owns the state (port/place.h): each
	 * request is answered with where to go, until serve().  Waits for a turn of each worker. */
	void (*stand_by)(struct sq_front *);
	/* Accepts peers from now on, for 'broker', which outlives the front's stop.  Once.  Calls
	 * may reach the broker before this returns.  Waits for a turn of each worker. */
	void (*serve)(struct sq_front *, struct sq_broker *broker);
	/* The port of the first address; 0: it has none. */
	unsigned (*port)(const struct sq_front *);
	/* Asks all peers to go elsewhere, or to come again; those that have not after the front's
	 * own time are closed.  New ones are welcome meanwhile.  Any number of times.  Waits for no
	 * worker: one that hangs keeps no other's peers from hearing of it. */
	void (*move)(struct sq_front *);
	/* Accepts no new peers, and asks all to leave, without a time limit.  Work in progress
	 * continues.  Waits for no worker. */
	void (*drain)(struct sq_front *);
	/* Whether the broker has no call of the front. */
	bool (*idle)(const struct sq_front *);
	/* Ends all peers: when it returns no outlet is open, each call has been answered or will be
	 * by the broker's stop, and nothing is on its way to the broker.  May block for a few
	 * seconds.  Allowed before 'serve', too. */
	void (*stop)(struct sq_front *);
	/* Frees the front after 'stop', when the broker and the crew's threads have ended.  Accepts
	 * answers until then. */
	void (*free)(struct sq_front *);
};

/* The base of a front's own struct. */
struct sq_front {
	const struct sq_front_ops *ops;
};

/* The ops of the same names.  Thread: main. */

static inline void
sq_front_serve(struct sq_front *f, struct sq_broker *broker)
{
	f->ops->serve(f, broker);
}

static inline void
sq_front_stand_by(struct sq_front *f)
{
	f->ops->stand_by(f);
}

static inline unsigned
sq_front_port(const struct sq_front *f)
{
	return f->ops->port(f);
}

static inline void
sq_front_move(struct sq_front *f)
{
	f->ops->move(f);
}

static inline void
sq_front_drain(struct sq_front *f)
{
	f->ops->drain(f);
}

static inline bool
sq_front_idle(const struct sq_front *f)
{
	return f->ops->idle(f);
}

static inline void
sq_front_stop(struct sq_front *f)
{
	f->ops->stop(f);
}

/* Frees '*fp', if any, and sets it to NULL. */
static inline void
sq_front_free(struct sq_front **fp)
{
	struct sq_front *f = *fp;

	*fp = NULL;
	if (f != NULL)
		f->ops->free(f);
}

#endif
