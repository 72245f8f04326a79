/* While QUEUED is set the first step of nobody who comes succeeds: the state is then
 * changed under the mutex alone, but for readers that leave. */
#include "core/rwlock.h"

#include <assert.h>
#include <stdbool.h>

#define QUEUED (1u << 31)
#define WRITER (1u << 30)

/* Who waits, on his own stack. */
struct waiter {
	struct sq_list node;
	pthread_cond_t granted;
	bool writes, in;
};

void
sq_rwlock_init(struct sq_rwlock *l)
{
	atomic_init(&l->state, 0);
	pthread_mutex_init(&l->mutex, NULL);
	sq_list_init(&l->waiting);
}

void
sq_rwlock_fini(struct sq_rwlock *l)
{
	assert(atomic_load(&l->state) == 0 && sq_list_empty(&l->waiting));
	pthread_mutex_destroy(&l->mutex);
}

/* Under the mutex: whether the first of those that wait may come in; then he is. */
static bool
rwlock_admit(struct sq_rwlock *l, const struct waiter *first)
{
	unsigned state = atomic_load_explicit(&l->state, memory_order_acquire);

	if ((state & WRITER) != 0 || (first->writes && (state & ~QUEUED) != 0))
		return false;
	atomic_fetch_add_explicit(&l->state, first->writes ? WRITER : 1, memory_order_acquire);
	return true;
}

/* Under the mutex: lets in who may, in their order. */
static void
rwlock_grant(struct sq_rwlock *l)
{
	struct waiter *first;

	while ((first = SQ_LIST_FIRST(&l->waiting, struct waiter, node)) != NULL &&
	    rwlock_admit(l, first)) {
		sq_list_remove(&first->node);
		if (sq_list_empty(&l->waiting))
			atomic_fetch_and_explicit(&l->state, ~QUEUED, memory_order_relaxed);
		first->in = true;
		pthread_cond_signal(&first->granted);
	}
}

static void
rwlock_wait(struct sq_rwlock *l, bool writes)
{
	struct waiter me = {.writes = writes};

	pthread_cond_init(&me.granted, NULL);
	pthread_mutex_lock(&l->mutex);
	sq_list_push_back(&l->waiting, &me.node);
	atomic_fetch_or_explicit(&l->state, QUEUED, memory_order_relaxed);
	rwlock_grant(l); /* they may have left meanwhile */
	while (!me.in)
		pthread_cond_wait(&me.granted, &l->mutex);
	pthread_mutex_unlock(&l->mutex);
	pthread_cond_destroy(&me.granted);
}

void
sq_rwlock_read(struct sq_rwlock *l)
{
	unsigned state = atomic_load_explicit(&l->state, memory_order_relaxed);

	while ((state & (QUEUED | WRITER)) == 0) {
		if (atomic_compare_exchange_weak_explicit(
			&l->state, &state, state + 1, memory_order_acquire, memory_order_relaxed))
			return;
	}
	rwlock_wait(l, false);
}

void
sq_rwlock_write(struct sq_rwlock *l)
{
	unsigned free = 0;

	if (!atomic_compare_exchange_strong_explicit(
		&l->state, &free, WRITER, memory_order_acquire, memory_order_relaxed))
		rwlock_wait(l, true);
}

void
sq_rwlock_unlock(struct sq_rwlock *l)
{
	bool writes = (atomic_load_explicit(&l->state, memory_order_relaxed) & WRITER) != 0;
	unsigned by = writes ? WRITER : 1;
	unsigned before = atomic_fetch_sub_explicit(&l->state, by, memory_order_release);

	assert((before & ~QUEUED) > 0);
	if (before != (QUEUED | by)) /* nobody waits, or other readers are in */
		return;
	pthread_mutex_lock(&l->mutex);
	rwlock_grant(l);
	pthread_mutex_unlock(&l->mutex);
}
