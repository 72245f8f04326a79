#include "broker/shard/rules.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/mem.h"

struct sq_rules {
	pthread_mutex_t lock; /* of 'acl' */
	struct sq_acl *acl;
	atomic_uint_fast64_t version; /* written under the lock */
};

struct sq_rules *
sq_rules_new(void)
{
	struct sq_rules *r = sq_xcalloc(1, sizeof *r);
	struct sq_buf none = {0};

	pthread_mutex_init(&r->lock, NULL);
	r->acl = sq_acl_new(NULL, 0, false, &none);
	atomic_init(&r->version, 1);
	return r;
}

void
sq_rules_free(struct sq_rules **rp)
{
	struct sq_rules *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	sq_acl_unref(&r->acl);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void
sq_rules_set(struct sq_rules *r, struct sq_acl *acl)
{
	struct sq_acl *old;

	pthread_mutex_lock(&r->lock);
	old = r->acl;
	r->acl = acl;
	atomic_fetch_add_explicit(&r->version, 1, memory_order_release);
	pthread_mutex_unlock(&r->lock);
	sq_acl_unref(&old);
}

struct sq_acl *
sq_rules_get(struct sq_rules *r, uint64_t *version)
{
	struct sq_acl *acl;

	pthread_mutex_lock(&r->lock);
	acl = sq_acl_ref(r->acl);
	*version = atomic_load_explicit(&r->version, memory_order_relaxed);
	pthread_mutex_unlock(&r->lock);
	return acl;
}

uint64_t
sq_rules_version(const struct sq_rules *r)
{
	return atomic_load_explicit(&r->version, memory_order_acquire);
}
