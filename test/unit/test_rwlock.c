/* The lock that nobody waits at for ever: core/rwlock.h. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/rwlock.h"

static struct sq_rwlock lock;

static void
setup(void)
{
	sq_rwlock_init(&lock);
}

static void
teardown(void)
{
	sq_rwlock_fini(&lock);
}

TestSuite(rwlock, .init = setup, .fini = teardown, .timeout = 60);

static void
start(pthread_t *t, void *(*run)(void *), void *arg)
{
	cr_assert_eq(pthread_create(t, NULL, run, arg), 0);
}

enum { THREADS = 4, TURNS = 20000 };

static struct {
	long a, b; /* always equal, but for who writes */
	atomic_int readers, writers;
	atomic_bool stop;
} shared;

static void *
read_and_write(void *arg)
{
	long seed = (long)(intptr_t)arg;

	for (long i = 0; i < TURNS; i++) {
		if ((i + seed) % 4 == 0) {
			sq_rwlock_write(&lock);
			shared.a++;
			shared.b++;
		} else {
			sq_rwlock_read(&lock);
		}
		cr_assert_eq(shared.a, shared.b);
		sq_rwlock_unlock(&lock);
	}
	return NULL;
}

Test(rwlock, writers_are_alone)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		start(&t[i], read_and_write, (void *)(intptr_t)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	cr_assert_eq(shared.a, (long)THREADS * TURNS / 4);
}

static void *
read_always(void *arg)
{
	(void)arg;
	while (!atomic_load(&shared.stop)) {
		sq_rwlock_read(&lock);
		atomic_fetch_add(&shared.readers, 1);
		sched_yield();
		sq_rwlock_unlock(&lock);
	}
	return NULL;
}

/* As the loop above, of writers. */
static void *
write_always(void *arg)
{
	(void)arg;
	while (!atomic_load(&shared.stop)) {
		sq_rwlock_write(&lock);
		atomic_fetch_add(&shared.writers, 1);
		sched_yield();
		sq_rwlock_unlock(&lock);
	}
	return NULL;
}

Test(rwlock, readers_that_take_turns_do_not_keep_a_writer_out)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		start(&t[i], read_always, NULL);
	for (int i = 0; i < 100; i++) {
		sq_rwlock_write(&lock);
		sq_rwlock_unlock(&lock);
	}
	atomic_store(&shared.stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

Test(rwlock, writers_that_take_turns_do_not_keep_a_reader_out)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		start(&t[i], write_always, NULL);
	for (int i = 0; i < 100; i++) {
		sq_rwlock_read(&lock);
		sq_rwlock_unlock(&lock);
	}
	atomic_store(&shared.stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static atomic_int came;

static void *
come_to_write(void *arg)
{
	sq_rwlock_write(&lock);
	*(int *)arg = atomic_fetch_add(&came, 1);
	sq_rwlock_unlock(&lock);
	return NULL;
}

static void *
come_to_read(void *arg)
{
	sq_rwlock_read(&lock);
	*(int *)arg = atomic_fetch_add(&came, 1);
	sq_rwlock_unlock(&lock);
	return NULL;
}

static size_t
waiting(void)
{
	size_t n = 0;

	pthread_mutex_lock(&lock.mutex);
	for (const struct sq_list *at = lock.waiting.next; at != &lock.waiting; at = at->next)
		n++;
	pthread_mutex_unlock(&lock.mutex);
	return n;
}

Test(rwlock, who_comes_behind_a_writer_that_waits_gets_it_behind_him)
{
	int writer = -1, reader = -1;
	pthread_t w, r;

	sq_rwlock_read(&lock);
	start(&w, come_to_write, &writer);
	while (waiting() < 1)
		sched_yield();
	start(&r, come_to_read, &reader);
	while (waiting() < 2)
		sched_yield();
	cr_assert_eq(
	    atomic_load(&came), 0, "a reader is in, and the second one waits all the same");
	sq_rwlock_unlock(&lock);
	pthread_join(w, NULL);
	pthread_join(r, NULL);
	cr_assert_eq(writer, 0);
	cr_assert_eq(reader, 1);
}
