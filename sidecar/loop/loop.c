/* The order of work of a turn, and its timers; see loop.h. */
#include "sidecar/loop/loop.h"

#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/mem.h"

static bool
loop_is_mine(const struct sq_loop *l)
{
	return pthread_equal(l->thread, pthread_self()) != 0;
}

void
sq_turn_init(struct sq_turn *t, void (*run)(struct sq_turn *))
{
	sq_list_init(&t->node);
	t->run = run;
}

void
sq_loop_post(struct sq_loop *l, enum sq_turn_kind kind, struct sq_turn *t)
{
	if (!sq_list_empty(&t->node))
		return; /* most are: each message posts */
	assert(t->run != NULL && loop_is_mine(l));
	sq_list_push_back(&l->queues[kind], &t->node);
}

/* Runs the turns posted so far; turns posted meanwhile come in the next round. */
static void
loop_run(struct sq_loop *l, enum sq_turn_kind kind)
{
	struct sq_turn *t;
	struct sq_list todo;

	sq_list_init(&todo);
	sq_list_splice(&todo, &l->queues[kind]);
	while ((t = SQ_LIST_FIRST(&todo, struct sq_turn, node)) != NULL) {
		sq_list_remove(&t->node);
		t->run(t);
	}
}

static bool
loop_has_work(const struct sq_loop *l)
{
	for (int kind = 0; kind < SQ_TURN_REAP; kind++) {
		if (!sq_list_empty(&l->queues[kind]))
			return true;
	}
	return false;
}

void
sq_loop_reap(struct sq_loop *l)
{
	while (!sq_list_empty(&l->queues[SQ_TURN_REAP]))
		loop_run(l, SQ_TURN_REAP);
}

/* Has 'timer' ring for the earliest of 'timers'. */
static void
loop_arm(struct sq_loop *l)
{
	uint64_t due = l->timers.n != 0 ? l->timers.v[0]->due : 0;

	if (due == l->armed_ms)
		return;
	l->armed_ms = due;
	sq_loop_ring(l, &l->timer, due);
}

static void
loop_on_prepare(struct ev_loop *ev, ev_prepare *w, int events)
{
	struct sq_loop *l = w->data;

	(void)ev;
	(void)events;
	while (loop_has_work(l)) {
		l->rounds++;
		for (int kind = 0; kind < SQ_TURN_REAP; kind++)
			loop_run(l, (enum sq_turn_kind)kind);
	}
	sq_loop_reap(l);
	loop_arm(l);
}

static void
loop_on_check(struct ev_loop *ev, ev_check *w, int events)
{
	struct sq_loop *l = w->data;

	(void)ev;
	(void)events;
	l->now_ms = sq_clock_ms();
}

static void
loop_on_timer(struct ev_loop *ev, ev_timer *w, int events)
{
	struct sq_loop *l = w->data;
	struct sq_heap_node *n;

	(void)ev;
	(void)events;
	l->armed_ms = 0;
	while ((n = sq_heap_pop(&l->timers, l->now_ms)) != NULL)
		sq_loop_post(l, SQ_TURN_HOLD, &SQ_CONTAINER_OF(n, struct sq_timed_turn, due)->turn);
}

void
sq_loop_at(struct sq_loop *l, struct sq_timed_turn *t, uint64_t due_ms)
{
	assert(loop_is_mine(l));
	if (due_ms == 0)
		sq_heap_remove(&l->timers, &t->due);
	else if (t->due.pos == 0 || t->due.due != due_ms)
		sq_heap_set(&l->timers, &t->due, due_ms);
}

void
sq_loop_ring(const struct sq_loop *l, ev_timer *w, uint64_t due_ms)
{
	assert(loop_is_mine(l));
	ev_timer_stop(l->ev, w);
	if (due_ms == 0)
		return;
	ev_timer_set(w, due_ms > l->now_ms ? (double)(due_ms - l->now_ms + 1) / 1000.0 : 0.0, 0.0);
	ev_timer_start(l->ev, w);
}

struct sq_loop *
sq_loop_new(struct ev_loop *ev)
{
	struct sq_loop *l = sq_xcalloc(1, sizeof *l);

	l->ev = ev;
	l->thread = pthread_self();
	for (int kind = 0; kind < SQ_TURN_KINDS; kind++)
		sq_list_init(&l->queues[kind]);
	l->read_buf = sq_xmalloc(2 * SQ_READ_MAX);
	l->now_ms = sq_clock_ms();
	ev_check_init(&l->check, loop_on_check);
	ev_set_priority(&l->check, EV_MAXPRI); /* before watchers that ask for the time */
	l->check.data = l;
	ev_check_start(ev, &l->check);
	ev_prepare_init(&l->prepare, loop_on_prepare);
	ev_set_priority(&l->prepare, 1); /* before the pool's */
	l->prepare.data = l;
	ev_prepare_start(ev, &l->prepare);
	ev_timer_init(&l->timer, loop_on_timer, 0.0, 0.0);
	l->timer.data = l;
	return l;
}

void
sq_loop_free(struct sq_loop **lp)
{
	struct sq_loop *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	assert(!loop_has_work(l) && sq_list_empty(&l->queues[SQ_TURN_REAP]));
	assert(l->timers.n == 0);
	ev_check_stop(l->ev, &l->check);
	ev_prepare_stop(l->ev, &l->prepare);
	ev_timer_stop(l->ev, &l->timer);
	sq_heap_fini(&l->timers);
	free(l->read_buf);
	free(l);
}
