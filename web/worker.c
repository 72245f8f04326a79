/* Workers on h2o's evloop; see web/worker.h.
 *
 * Everything that h2o allocates for a loop is made and freed on the loop's own
 * thread: libh2o 2.2.5 keeps recycled buffers per thread and reaches them
 * through pointers that it leaves in sockets. */
#include "web/worker_priv.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/thread.h"
#include "web/h2o.h"
#include "web/slot.h"

/* Tasks of one part of a turn before the sockets get their chance again. */
#define WORKER_BURST 4096u
/* While there is other work, a task of SQ_TURN_REST is followed by the next one this many times as
 * long later as it took itself. */
#define WORKER_REST_PAUSE 9u

/* A task is in h2o's queue or in ours, never in both. */
_Static_assert(sizeof(struct sq_list) == sizeof(h2o_multithread_message_t) &&
	_Alignof(struct sq_list) == _Alignof(h2o_multithread_message_t),
    "h2o's link has its place in sq_task.node");

enum state { S_STARTING, S_RUNNING, S_STOPPED, S_RELEASED };

struct sq_worker {
	unsigned index;
	pthread_t thread;
	h2o_loop_t *loop;
	h2o_multithread_queue_t *queue;
	h2o_multithread_receiver_t inbox;
	struct sq_list due[SQ_TURN_PARTS];
	struct sq_list slots; /* struct sq_crew_slot */
	struct sq_heap alarms;
	uint64_t tick_ms; /* the next one */
	uint64_t rest_us; /* when the next of SQ_TURN_REST is due beside other work */
	atomic_uint_fast64_t turned_ms;
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum state state; /* under 'lock' */
};

static _Thread_local struct sq_worker *worker_self;
static _Thread_local uint64_t worker_now_ms; /* 0: not read yet in this turn */

/* The only writer of 'state'. */
static void
worker_enter(struct sq_worker *w, enum state to)
{
	pthread_mutex_lock(&w->lock);
	w->state = to;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void
worker_await(struct sq_worker *w, enum state s)
{
	pthread_mutex_lock(&w->lock);
	while (w->state != s)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

static void
worker_receive(h2o_multithread_receiver_t *inbox, h2o_linklist_t *messages)
{
	struct sq_worker *w = SQ_CONTAINER_OF(inbox, struct sq_worker, inbox);

	while (!h2o_linklist_is_empty(messages)) {
		struct sq_task *t = SQ_CONTAINER_OF((void *)messages->next, struct sq_task, node);

		h2o_linklist_unlink(messages->next);
		sq_list_push_back(&w->due[t->turn], &t->node);
	}
}

static bool
worker_due(const struct sq_worker *w)
{
	for (unsigned i = 0; i < SQ_TURN_PARTS; i++)
		if (!sq_list_empty(&w->due[i]))
			return true;
	return false;
}

/* The writes that the turn's tasks asked for, at once; then the slots. */
static void
worker_write(struct sq_worker *w)
{
	SQ_LIST_FOR_EACH(s, &w->slots, struct sq_crew_slot, node) {
		if (s->ctx != NULL)
			h2o_timeout_run(w->loop, &s->ctx->zero_timeout, h2o_now(w->loop));
		if (s->user->turned != NULL)
			s->user->turned(s);
	}
}

/* Runs 'most' tasks of a part; whether there was one. */
static bool
worker_run(struct sq_worker *w, enum sq_turn_part part, unsigned most)
{
	unsigned n;

	for (n = 0; n < most && !sq_list_empty(&w->due[part]); n++) {
		struct sq_task *t = SQ_LIST_FIRST(&w->due[part], struct sq_task, node);

		sq_list_remove(&t->node);
		t->run(t);
	}
	return n > 0;
}

/* One task of the rest: in a turn that had nothing else to do, else when its pause is over. */
static void
worker_rest(struct sq_worker *w, bool worked)
{
	uint64_t begun_us, ended_us;

	if (sq_list_empty(&w->due[SQ_TURN_REST]))
		return;
	begun_us = sq_clock_us();
	if (worked && begun_us < w->rest_us)
		return;
	worker_run(w, SQ_TURN_REST, 1);
	ended_us = sq_clock_us();
	w->rest_us = ended_us + WORKER_REST_PAUSE * (ended_us - begun_us);
}

static void
worker_alarm_run(struct sq_task *t)
{
	struct sq_alarm *a = SQ_CONTAINER_OF(t, struct sq_alarm, task);

	a->posted = false;
	a->run(a);
}

void
sq_worker_alarm(struct sq_alarm *a, uint64_t at_ms)
{
	assert(worker_self != NULL);
	a->at.owner = a;
	a->task.run = worker_alarm_run;
	sq_heap_set(&worker_self->alarms, &a->at, at_ms);
}

void
sq_worker_alarm_off(struct sq_alarm *a)
{
	if (a->at.pos != 0)
		sq_heap_remove(&worker_self->alarms, &a->at);
	if (a->posted)
		sq_list_remove(&a->task.node);
	a->posted = false;
}

/* Has alarms run in this turn whose time has come. */
static void
worker_alarms(struct sq_worker *w)
{
	struct sq_heap_node *n;

	if (w->alarms.n == 0)
		return;
	while ((n = sq_heap_pop(&w->alarms, sq_clock_ms())) != NULL) {
		struct sq_alarm *a = n->owner;

		if (!a->posted)
			sq_list_push_back(&w->due[SQ_TURN_WORK], &a->task.node);
		a->posted = true;
	}
}

/* How long the loop may sleep when there is nothing to do. */
static int32_t
worker_wait(const struct sq_worker *w, uint64_t now)
{
	uint64_t until = w->tick_ms;

	if (w->alarms.n > 0 && w->alarms.v[0]->due < until)
		until = w->alarms.v[0]->due;
	return until > now ? (int32_t)(until - now) : 0;
}

/* The end of a turn. */
static void
worker_turn(struct sq_worker *w)
{
	bool worked = false;

	worker_alarms(w);
	for (unsigned i = 0; i < SQ_TURN_REST; i++)
		worked |= worker_run(w, (enum sq_turn_part)i, WORKER_BURST);
	worker_write(w);
	worker_rest(w, worked);
}

static void
worker_tick(struct sq_worker *w, uint64_t now_ms)
{
	w->tick_ms = now_ms + SQ_WORKER_TICK_MS;
	SQ_LIST_FOR_EACH(s, &w->slots, struct sq_crew_slot, node) {
		if (s->user->tick != NULL)
			s->user->tick(s, now_ms);
	}
}

static void
worker_loop(struct sq_worker *w)
{
	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
		uint64_t now = sq_clock_ms();
		int32_t wait = 0;

		worker_now_ms = now;
		if (now >= w->tick_ms)
			worker_tick(w, now);
		if (!worker_due(w) && !sq_h2o_pending(w->loop))
			wait = worker_wait(w, now);
		atomic_store_explicit(&w->turned_ms, now, memory_order_relaxed);
		worker_now_ms = 0;
		h2o_evloop_run(w->loop, wait);
		worker_turn(w);
	}
}

static void
worker_init(struct sq_worker *w)
{
	for (unsigned i = 0; i < SQ_TURN_PARTS; i++)
		sq_list_init(&w->due[i]);
	sq_list_init(&w->slots);
	w->loop = h2o_evloop_create();
	w->queue = h2o_multithread_create_queue(w->loop);
	h2o_multithread_register_receiver(w->queue, &w->inbox, worker_receive);
	atomic_store(&w->turned_ms, sq_clock_ms());
}

/* The connections of all are closed, and h2o has had its turns to notice that. */
static void
worker_close_slots(struct sq_worker *w)
{
	SQ_LIST_FOR_EACH_SAFE(s, &w->slots, struct sq_crew_slot, node) {
		sq_list_remove(&s->node);
		if (s->ctx == NULL)
			continue;
		sq_h2o_context_fini(s->ctx);
		free(s->ctx);
		s->ctx = NULL;
	}
}

static void
worker_fini(struct sq_worker *w)
{
	do {
		h2o_evloop_run(w->loop, 0);
		worker_turn(w);
	} while (worker_due(w));
	worker_close_slots(w);
	sq_heap_fini(&w->alarms);
	h2o_multithread_unregister_receiver(w->queue, &w->inbox);
	sq_h2o_queue_free(&w->queue);
	sq_h2o_thread_fini(w->loop);
	h2o_evloop_destroy(w->loop);
}

static void *
worker_main(void *arg)
{
	struct sq_worker *w = arg;

	worker_self = w;
	worker_init(w);
	worker_enter(w, S_RUNNING);
	worker_loop(w);
	worker_enter(w, S_STOPPED);
	worker_await(w, S_RELEASED);
	worker_fini(w);
	return NULL;
}

struct sq_worker *
sq_worker_start(unsigned index)
{
	struct sq_worker *w = sq_xcalloc(1, sizeof *w);

	w->index = index;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	sq_thread_start(&w->thread, worker_main, w); /* signals are the main thread's */
	worker_await(w, S_RUNNING);
	return w;
}

void
sq_worker_stop(struct sq_worker *w)
{
	atomic_store_explicit(&w->stop, true, memory_order_release);
	h2o_multithread_send_message(&w->inbox, NULL);
	worker_await(w, S_STOPPED);
}

void
sq_worker_free(struct sq_worker **wp)
{
	struct sq_worker *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	worker_enter(w, S_RELEASED);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void
worker_send(struct sq_worker *to, struct sq_task *t)
{
	h2o_multithread_message_t *m = (void *)&t->node;

	m->link = (h2o_linklist_t){NULL, NULL};
	h2o_multithread_send_message(&to->inbox, m);
}

void
sq_worker_post_in(struct sq_worker *to, enum sq_turn_part turn, struct sq_task *t)
{
	t->turn = turn;
	if (to == worker_self)
		sq_list_push_back(&to->due[turn], &t->node);
	else
		worker_send(to, t);
}

void
sq_worker_post(struct sq_worker *to, struct sq_task *t)
{
	sq_worker_post_in(to, SQ_TURN_WORK, t);
}

void
sq_worker_post_later(struct sq_task *t)
{
	t->turn = SQ_TURN_WORK;
	worker_send(worker_self, t);
}

struct sq_worker *
sq_worker_self(void)
{
	return worker_self;
}

unsigned
sq_worker_index(const struct sq_worker *w)
{
	return w->index;
}

uint64_t
sq_worker_now_ms(const struct sq_worker *w)
{
	assert(w == worker_self);
	if (worker_now_ms == 0)
		worker_now_ms = sq_clock_ms();
	return worker_now_ms;
}

h2o_loop_t *
sq_worker_loop(struct sq_worker *w)
{
	return w->loop;
}

struct sq_list *
sq_worker_slots(struct sq_worker *w)
{
	return &w->slots;
}

uint64_t
sq_worker_turned_ms(const struct sq_worker *w)
{
	return atomic_load_explicit(&w->turned_ms, memory_order_relaxed);
}
