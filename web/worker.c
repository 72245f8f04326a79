/* Workers on h2o's evloop; see web/worker.h.
 *
 * Everything that h2o allocates for a loop is made and freed on the loop's own
 * thread: libh2o 2.2.5 keeps recycled buffers per thread and reaches them
 * through pointers that it leaves in sockets. */
#include "web/worker_priv.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/h2o.h"
#include "core/mem.h"
#include "core/thread.h"

/* Tasks of one part of a turn before the sockets get their chance again. */
#define WORKER_BURST 4096u

enum state { S_STARTING, S_RUNNING, S_STOPPED, S_RELEASED };

struct sq_worker {
	struct sq_worker_cfg cfg;
	pthread_t thread;
	h2o_context_t ctx;
	h2o_multithread_receiver_t inbox;
	struct sq_list due[SQ_TURN_PARTS];
	uint64_t tick_ms; /* the next one */
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
		struct sq_task *t = SQ_CONTAINER_OF(messages->next, struct sq_task, mt.link);

		h2o_linklist_unlink(&t->mt.link);
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

/* The end of a turn: tasks, then at once the writes that they asked for. */
static void
worker_turn(struct sq_worker *w)
{
	for (unsigned i = 0; i < SQ_TURN_PARTS; i++) {
		for (unsigned n = 0; n < WORKER_BURST && !sq_list_empty(&w->due[i]); n++) {
			struct sq_task *t = SQ_LIST_FIRST(&w->due[i], struct sq_task, node);

			sq_list_remove(&t->node);
			t->run(t);
		}
	}
	h2o_timeout_run(w->ctx.loop, &w->ctx.zero_timeout, h2o_now(w->ctx.loop));
	w->cfg.turned(w->cfg.owner);
}

static void
worker_loop(struct sq_worker *w)
{
	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
		uint64_t now = sq_clock_ms();
		int32_t wait = 0;

		worker_now_ms = now;
		if (now >= w->tick_ms) {
			w->tick_ms = now + SQ_WORKER_TICK_MS;
			w->cfg.tick(w->cfg.owner);
		}
		if (!worker_due(w))
			wait = (int32_t)(w->tick_ms - now);
		atomic_store_explicit(&w->turned_ms, now, memory_order_relaxed);
		worker_now_ms = 0;
		h2o_evloop_run(w->ctx.loop, wait);
		worker_turn(w);
	}
}

static void
worker_init(struct sq_worker *w)
{
	for (unsigned i = 0; i < SQ_TURN_PARTS; i++)
		sq_list_init(&w->due[i]);
	h2o_context_init(&w->ctx, h2o_evloop_create(), w->cfg.conf);
	h2o_multithread_register_receiver(w->ctx.queue, &w->inbox, worker_receive);
	atomic_store(&w->turned_ms, sq_clock_ms());
}

static void
worker_fini(struct sq_worker *w)
{
	h2o_loop_t *loop = w->ctx.loop;
	h2o_multithread_queue_t *queue = w->ctx.queue;

	do {
		h2o_evloop_run(loop, 0);
		worker_turn(w);
	} while (worker_due(w));
	h2o_timeout_unlink(&w->ctx.http2._graceful_shutdown_timeout);
	sq_h2o_thread_fini(&w->ctx);
	h2o_multithread_unregister_receiver(queue, &w->inbox);
	h2o_context_dispose(&w->ctx);
	free(queue); /* h2o 2.2.5 destroys it and leaves the memory */
	h2o_evloop_destroy(loop);
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
sq_worker_start(const struct sq_worker_cfg *cfg)
{
	struct sq_worker *w = sq_xcalloc(1, sizeof *w);
	sigset_t all, old;

	w->cfg = *cfg;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	sq_thread_signals(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	h2o_multithread_create_thread(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
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

void
sq_worker_post_in(struct sq_worker *to, enum sq_turn turn, struct sq_task *t)
{
	t->turn = turn;
	if (to == worker_self) {
		sq_list_push_back(&to->due[turn], &t->node);
		return;
	}
	t->mt.link = (h2o_linklist_t){NULL, NULL};
	h2o_multithread_send_message(&to->inbox, &t->mt);
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
	t->mt.link = (h2o_linklist_t){NULL, NULL};
	h2o_multithread_send_message(&worker_self->inbox, &t->mt);
}

struct sq_worker *
sq_worker_self(void)
{
	return worker_self;
}

unsigned
sq_worker_index(const struct sq_worker *w)
{
	return w->cfg.index;
}

uint64_t
sq_worker_now_ms(const struct sq_worker *w)
{
	assert(w == worker_self);
	if (worker_now_ms == 0)
		worker_now_ms = sq_clock_ms();
	return worker_now_ms;
}

h2o_context_t *
sq_worker_context(struct sq_worker *w)
{
	return &w->ctx;
}

uint64_t
sq_worker_turned_ms(const struct sq_worker *w)
{
	return atomic_load_explicit(&w->turned_ms, memory_order_relaxed);
}
