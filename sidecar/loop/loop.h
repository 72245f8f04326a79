/* The loop: schedules the work of the sidecar's one thread.
 *
 * A turn of the loop has this order, which nothing may change:
 *
 *   events         sockets are read, answers and frames of brokers come, timers ring.  They only
 *                  collect work: sq_loop_post()
 *   SQ_TURN_HOLD   a hold posts its requests, once for all events
 *   SQ_TURN_INPUT  a client decodes input that had to wait
 *   SQ_TURN_WRITE  a client writes its output, once for all events
 *                  The three are repeated until none has anything: a client's buffer bounds its
 *                  input, and its credit bounds its output
 *   SQ_TURN_REAP   objects that have ended are freed, since nothing above points to them any more
 *   the pool       a prepare watcher of lower priority writes the requests, once for each link
 *
 * Knows none of the types that have turns. */
#ifndef SQ_SIDECAR_LOOP_LOOP_H
#define SQ_SIDECAR_LOOP_LOOP_H

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/heap.h"
#include "core/list.h"

enum { SQ_READ_MAX = 65536 }; /* bytes that are read at once */

/* In the order in which they run. */
enum sq_turn_kind {
	SQ_TURN_HOLD,
	SQ_TURN_INPUT,
	SQ_TURN_WRITE,
	SQ_TURN_REAP,
	SQ_TURN_KINDS,
};

/* A piece of work, embedded in its owner.  'run' may post it again, for the next round, and may
 * free the owner. */
struct sq_turn {
	struct sq_list node;
	void (*run)(struct sq_turn *);
};

/* A turn of SQ_TURN_HOLD that can also be scheduled for a time. */
struct sq_timed_turn {
	struct sq_turn turn;
	struct sq_heap_node due;
};

struct sq_loop {
	struct ev_loop *ev;
	struct sq_list queues[SQ_TURN_KINDS];
	struct sq_heap timers;     /* struct sq_timed_turn */
	uint64_t now_ms, armed_ms; /* 'armed_ms': what 'timer' is set for; 0: nothing */
	uint64_t rounds;           /* rounds with work, so far */
	pthread_t thread;          /* the one that made it; no other may call it */
	unsigned char *read_buf;   /* 2 * SQ_READ_MAX: undecoded input, and new input behind it */
	ev_check check;
	ev_prepare prepare;
	ev_timer timer;
};

/* Makes a loop that runs turns on 'ev', which the caller runs and which must stay. */
struct sq_loop *sq_loop_new(struct ev_loop *ev);
/* Frees '*lp', if any; no turn is posted or scheduled. */
void sq_loop_free(struct sq_loop **lp);

void sq_turn_init(struct sq_turn *, void (*run)(struct sq_turn *));
/* Runs the turn in the present turn of the loop; one that is posted already keeps its place. */
void sq_loop_post(struct sq_loop *, enum sq_turn_kind, struct sq_turn *);
/* Cancels the turn, if it is posted. */
static inline void
sq_turn_cancel(struct sq_turn *t)
{
	sq_list_remove(&t->node);
}

/* Schedules the turn for 'due_ms', in place of an earlier schedule; 0: cancels it. */
void sq_loop_at(struct sq_loop *, struct sq_timed_turn *, uint64_t due_ms);

/* Runs the posted turns of SQ_TURN_REAP, at the end of the program. */
void sq_loop_reap(struct sq_loop *);

/* The time at which the present turn began, CLOCK_MONOTONIC in ms: the wall clock may jump. */
static inline uint64_t
sq_loop_now(const struct sq_loop *l)
{
	return l->now_ms;
}

/* Sets a watcher to ring once at 'due_ms', rounded up to the next millisecond so that due work is
 * not missed; 0: stops it. */
void sq_loop_ring(const struct sq_loop *, ev_timer *, uint64_t due_ms);

#endif
