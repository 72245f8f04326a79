#include "fake_worker.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "core/mem.h"

enum { RUNS_MAX = 1000000, WAIT_MAX_S = 60 };

struct sq_worker {
	unsigned index;
	struct sq_list due[SQ_TURN_PARTS];
	struct sq_list later; /* due in the next turn */
	struct sq_heap alarms;
};

static struct sq_worker workers[FAKE_WORKERS_MAX];
static struct sq_worker *pointers[FAKE_WORKERS_MAX];
static unsigned n_workers;
static uint64_t now_ms;
static size_t pending;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t posted = PTHREAD_COND_INITIALIZER;
static _Thread_local struct sq_worker *self;

void
fake_workers_init(unsigned n)
{
	n_workers = n;
	now_ms = 1000000;
	pending = 0;
	for (unsigned i = 0; i < n; i++) {
		workers[i].index = i;
		pointers[i] = &workers[i];
		sq_list_init(&workers[i].later);
		sq_heap_fini(&workers[i].alarms);
		workers[i].alarms = (struct sq_heap){0};
		for (unsigned part = 0; part < SQ_TURN_PARTS; part++)
			sq_list_init(&workers[i].due[part]);
	}
	for (unsigned i = n; i < FAKE_WORKERS_MAX; i++)
		pointers[i] = NULL;
	self = &workers[0];
}

struct sq_worker *
fake_worker(unsigned i)
{
	return &workers[i];
}

struct sq_worker *const *
fake_workers(void)
{
	return pointers;
}

void
fake_self(unsigned i)
{
	self = &workers[i];
}

void
fake_set_now(uint64_t to_ms)
{
	now_ms = to_ms;
}

uint64_t
fake_now(void)
{
	return now_ms;
}

static struct sq_task *
fake_take(struct sq_worker *w, unsigned part)
{
	struct sq_task *t;

	pthread_mutex_lock(&lock);
	t = SQ_LIST_FIRST(&w->due[part], struct sq_task, node);
	if (t != NULL) {
		sq_list_remove(&t->node);
		pending--;
	}
	pthread_mutex_unlock(&lock);
	return t;
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

/* One turn of a worker: its parts in their order. */
static size_t
fake_turn(struct sq_worker *w)
{
	struct sq_heap_node *alarm;
	size_t n = 0;

	self = w;
	while ((alarm = sq_heap_pop(&w->alarms, now_ms)) != NULL) {
		struct sq_alarm *a = alarm->owner;

		a->run(a);
	}
	pthread_mutex_lock(&lock);
	sq_list_splice(&w->due[SQ_TURN_WORK], &w->later);
	pthread_mutex_unlock(&lock);
	for (unsigned part = 0; part < SQ_TURN_PARTS; part++) {
		struct sq_task *t;

		for (size_t k = 0; n < RUNS_MAX && (part != SQ_TURN_REST || k < 1) &&
		     (t = fake_take(w, part)) != NULL;
		     n++, k++)
			t->run(t);
	}
	return n;
}

bool
fake_run(void)
{
	struct sq_worker *was = self;
	size_t n = 0, last = 1;

	while (last > 0 && n < RUNS_MAX) {
		last = 0;
		for (unsigned i = 0; i < n_workers; i++)
			last += fake_turn(&workers[i]);
		n += last;
	}
	self = was;
	return last == 0;
}

void
fake_run_turn(void)
{
	struct sq_worker *was = self;

	for (unsigned i = 0; i < n_workers; i++)
		(void)fake_turn(&workers[i]);
	self = was;
}

void
fake_run_worker(unsigned i)
{
	struct sq_worker *was = self;

	while (fake_turn(&workers[i]) > 0)
		continue;
	self = was;
}

bool
fake_run_until(bool (*over)(void *arg), void *arg)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_MAX_S;
	for (;;) {
		int err = 0;

		if (!fake_run())
			return false;
		if (over(arg))
			return true;
		pthread_mutex_lock(&lock);
		while (pending == 0 && err == 0)
			err = pthread_cond_timedwait(&posted, &lock, &end);
		pthread_mutex_unlock(&lock);
		if (err != 0)
			return false;
	}
}

size_t
fake_pending(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = pending;
	pthread_mutex_unlock(&lock);
	return n;
}

void
sq_worker_post_in(struct sq_worker *to, enum sq_turn_part turn, struct sq_task *t)
{
	t->turn = turn;
	pthread_mutex_lock(&lock);
	sq_list_push_back(&to->due[turn], &t->node);
	pending++;
	pthread_cond_signal(&posted);
	pthread_mutex_unlock(&lock);
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
	pthread_mutex_lock(&lock);
	sq_list_push_back(&self->later, &t->node);
	pending++;
	pthread_cond_signal(&posted);
	pthread_mutex_unlock(&lock);
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
	return now_ms;
}
