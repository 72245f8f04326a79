/* See web/crew.h. */
#include "web/crew.h"

#include <assert.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/mem.h"
#include "web/worker_priv.h"

enum { CREW_ROUNDS = 4 }; /* how far tasks may pass from worker to worker */

struct sq_crew {
	unsigned n;
	bool stopped;
	sem_t still, on;              /* workers that are held; those that may go on */
	atomic_bool held;             /* all of them stand still */
	atomic_uint_fast64_t went_ms; /* the last time that they went on; 0: none */
	struct sq_worker *workers[];
};

struct sq_crew *
sq_crew_new(unsigned n)
{
	struct sq_crew *c = sq_xcalloc(1, sizeof *c + n * sizeof(struct sq_worker *));

	assert(n > 0);
	c->n = n;
	sem_init(&c->still, 0, 0);
	sem_init(&c->on, 0, 0);
	for (unsigned i = 0; i < n; i++)
		c->workers[i] = sq_worker_start(i);
	return c;
}

unsigned
sq_crew_size(const struct sq_crew *c)
{
	return c->n;
}

struct sq_worker *const *
sq_crew_workers(const struct sq_crew *c)
{
	return c->workers;
}

bool
sq_crew_live(const struct sq_crew *c, uint64_t ms, struct sq_buf *why)
{
	bool live = true;

	if (atomic_load(&c->held))
		return true;
	for (unsigned i = 0; i < c->n; i++) {
		uint64_t turned_ms = sq_worker_turned_ms(c->workers[i]);
		uint64_t went_ms = atomic_load(&c->went_ms);
		int64_t since_ms = (int64_t)(sq_clock_ms() -
		    (turned_ms > went_ms ? turned_ms : went_ms));

		if (since_ms <= (int64_t)ms)
			continue;
		sq_buf_printf(why, "worker %u: its loop has not turned for %lld ms\n", i,
		    (long long)since_ms);
		live = false;
	}
	return live;
}

struct errand {
	struct sq_task task;
	void (*run)(void *arg);
	void *arg;
};

static void
errand_run(struct sq_task *t)
{
	struct errand *e = SQ_CONTAINER_OF(t, struct errand, task);

	e->run(e->arg);
	free(e);
}

void
sq_worker_tell(struct sq_worker *w, void (*run)(void *arg), void *arg)
{
	struct errand *e = sq_xcalloc(1, sizeof *e);

	*e = (struct errand){.task.run = errand_run, .run = run, .arg = arg};
	sq_worker_post(w, &e->task);
}

/* A run that somebody waits for. */
struct awaited {
	void (*run)(void *arg);
	void *arg;
	sem_t over;
};

static void
awaited_run(void *arg)
{
	struct awaited *a = arg;

	a->run(a->arg);
	sem_post(&a->over);
}

static void
crew_await(sem_t *over)
{
	while (sem_wait(over) != 0)
		continue;
}

void
sq_worker_do(struct sq_worker *w, void (*run)(void *arg), void *arg)
{
	struct awaited a = {.run = run, .arg = arg};

	assert(sq_worker_self() == NULL);
	sem_init(&a.over, 0, 0);
	sq_worker_tell(w, awaited_run, &a);
	crew_await(&a.over);
	sem_destroy(&a.over);
}

static void
crew_pass(void *over)
{
	sem_post(over);
}

void
sq_crew_settle(struct sq_crew *c)
{
	sem_t over;

	assert(sq_worker_self() == NULL);
	sem_init(&over, 0, 0);
	for (unsigned round = 0; round < CREW_ROUNDS; round++) {
		for (unsigned i = 0; i < c->n; i++)
			sq_worker_tell(c->workers[i], crew_pass, &over);
		for (unsigned i = 0; i < c->n; i++)
			crew_await(&over);
	}
	sem_destroy(&over);
}

static void
crew_stand(void *crew)
{
	struct sq_crew *c = crew;

	sem_post(&c->still);
	crew_await(&c->on);
}

void
sq_crew_hold(struct sq_crew *c)
{
	assert(sq_worker_self() == NULL && !atomic_load(&c->held));
	for (unsigned i = 0; i < c->n; i++)
		sq_worker_tell(c->workers[i], crew_stand, c);
	for (unsigned i = 0; i < c->n; i++)
		crew_await(&c->still);
	atomic_store(&c->held, true);
}

void
sq_crew_go(struct sq_crew *c)
{
	assert(atomic_load(&c->held));
	atomic_store(&c->went_ms, sq_clock_ms());
	atomic_store(&c->held, false);
	for (unsigned i = 0; i < c->n; i++)
		sem_post(&c->on);
}

void
sq_crew_stop(struct sq_crew *c)
{
	assert(!atomic_load(&c->held));
	for (unsigned i = 0; i < c->n; i++)
		sq_worker_stop(c->workers[i]);
	c->stopped = true;
}

void
sq_crew_free(struct sq_crew **cp)
{
	struct sq_crew *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	assert(c->stopped);
	for (unsigned i = 0; i < c->n; i++)
		sq_worker_free(&c->workers[i]);
	sem_destroy(&c->still);
	sem_destroy(&c->on);
	free(c);
}
