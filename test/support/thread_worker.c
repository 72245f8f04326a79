#include "thread_worker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/mem.h"

struct sq_worker {
	unsigned index;
	void (*tick)(struct sq_worker *);
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t posted;
	struct sq_list due; /* under the lock */
	bool stop;
	struct sq_heap alarms; /* the thread's own */
};

static _Thread_local struct sq_worker *self;

/* Takes all that is due; waits a millisecond for it at most. */
static bool
worker_take(struct sq_worker *w, struct sq_list *out)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&w->lock);
	if (sq_list_empty(&w->due) && !w->stop)
		pthread_cond_timedwait(&w->posted, &w->lock, &until);
	stop = w->stop && sq_list_empty(&w->due);
	sq_list_splice(out, &w->due);
	pthread_mutex_unlock(&w->lock);
	return !stop;
}

static void
worker_alarms(struct sq_worker *w)
{
	struct sq_heap_node *n;

	while ((n = sq_heap_pop(&w->alarms, sq_clock_ms())) != NULL) {
		struct sq_alarm *a = n->owner;

		a->run(a);
	}
}

void
sq_worker_alarm(struct sq_alarm *a, uint64_t at_ms)
{
	a->at.owner = a;
	sq_heap_set(&self->alarms, &a->at, at_ms);
}

void
sq_worker_alarm_off(struct sq_alarm *a)
{
	if (a->at.pos != 0)
		sq_heap_remove(&self->alarms, &a->at);
}

static void *
worker_main(void *arg)
{
	struct sq_worker *w = arg;
	struct sq_list due;

	self = w;
	sq_list_init(&due);
	while (worker_take(w, &due)) {
		while (!sq_list_empty(&due)) {
			struct sq_task *t = SQ_LIST_FIRST(&due, struct sq_task, node);

			sq_list_remove(&t->node);
			t->run(t);
		}
		worker_alarms(w);
		w->tick(w);
	}
	sq_heap_fini(&w->alarms);
	return NULL;
}

struct sq_worker *
thread_worker_start(unsigned index, void (*tick)(struct sq_worker *))
{
	struct sq_worker *w = sq_xcalloc(1, sizeof *w);

	w->index = index;
	w->tick = tick;
	sq_list_init(&w->due);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->posted, NULL);
	pthread_create(&w->thread, NULL, worker_main, w);
	return w;
}

void
thread_worker_stop(struct sq_worker **wp)
{
	struct sq_worker *w = *wp;

	*wp = NULL;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->posted);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->posted);
	free(w);
}

void
sq_worker_post_in(struct sq_worker *to, enum sq_turn_part turn, struct sq_task *t)
{
	t->turn = turn;
	pthread_mutex_lock(&to->lock);
	sq_list_push_back(&to->due, &t->node);
	pthread_cond_signal(&to->posted);
	pthread_mutex_unlock(&to->lock);
}

void
sq_worker_post(struct sq_worker *to, struct sq_task *t)
{
	sq_worker_post_in(to, SQ_TURN_WORK, t);
}

void
sq_worker_post_later(struct sq_task *t)
{
	sq_worker_post(self, t);
}

struct sq_worker *
sq_worker_self(void)
{
	return self;
}

unsigned
sq_worker_index(const struct sq_worker *w)
{
	return w->index;
}

uint64_t
sq_worker_now_ms(const struct sq_worker *w)
{
	(void)w;
	return sq_clock_ms();
}
