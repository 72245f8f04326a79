#include "broker/route/space.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/route/space_priv.h"
#include "core/mem.h"

/* The locks that this thread has. */
static _Thread_local struct {
	const struct sq_space *home; /* the space with the lock; NULL: none */
	bool writes;
	bool slice; /* retained messages */
} held;

void
sq_space_init(struct sq_space *s, struct sq_space *home, const char *name)
{
	s->name = sq_xstrdup(name);
	s->home = home != NULL ? home : s;
	sq_rwlock_init(&s->lock);
}

const char *
sq_space_name(const struct sq_space *s)
{
	return s->name;
}

void
sq_space_fini(struct sq_space *s)
{
	sq_rwlock_fini(&s->lock);
	free(s->name);
}

size_t
sq_space_bindings(const struct sq_space *s)
{
	return atomic_load_explicit(&s->n_bindings, memory_order_relaxed);
}

void
sq_space_rdlock(struct sq_space *s)
{
	assert(!sq_router_locked());
	sq_rwlock_read(&s->home->lock);
	held.home = s->home;
	held.writes = false;
}

void
sq_space_wrlock(struct sq_space *s)
{
	assert(!sq_router_locked());
	sq_rwlock_write(&s->home->lock);
	held.home = s->home;
	held.writes = true;
}

void
sq_space_unlock(struct sq_space *s)
{
	assert(held.home == s->home);
	held.home = NULL;
	sq_rwlock_unlock(&s->home->lock);
}

bool
sq_space_locked(void)
{
	return held.home != NULL;
}

bool
sq_space_held(const struct sq_space *s, bool writes)
{
	return held.home == s->home && (held.writes || !writes);
}

bool
sq_router_locked(void)
{
	return held.home != NULL || held.slice;
}

void
sq_slice_lock(struct sq_space *s)
{
	assert(!held.slice);
	pthread_mutex_lock(&s->retained_lock);
	held.slice = true;
}

void
sq_slice_unlock(struct sq_space *s)
{
	held.slice = false;
	pthread_mutex_unlock(&s->retained_lock);
}
