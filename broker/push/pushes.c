#include <assert.h>
#include <stdlib.h>

#include "broker/push/push_priv.h"
#include "core/mem.h"
#include "web/worker.h"

static int
pushes_judge(void *arg, const char *space, const struct sq_declaration *d, struct sq_buf *err)
{
	struct sq_push_policy *policy = sq_push_policy_now(arg);
	int rc = sq_push_policy_declared(policy, space, d->push.url, err);

	sq_push_policy_unref(&policy);
	return rc;
}

static void
pushes_declared(void *arg, struct sq_subscriber *s, void **own)
{
	struct sq_pushes *all = arg;

	if (*own == NULL && s->decl->push.url == NULL)
		return;
	if (*own == NULL)
		*own = sq_push_new(all, s);
	sq_push_declared(*own);
}

static void
pushes_ended(void *arg, struct sq_subscriber *s, void **own)
{
	struct sq_push *p = *own;

	(void)arg;
	(void)s;
	*own = NULL;
	if (p != NULL)
		sq_push_ended(p);
}

static void
pushes_test(void *arg, struct sq_subscriber *s, void **own, struct sq_call *c)
{
	struct sq_push *p = *own;

	(void)arg;
	(void)s;
	assert(p != NULL && p->conf != NULL); /* a queue with a push */
	sq_push_test(p, c);
}

static void
pushes_describe(void *arg, const struct sq_subscriber *s, void *const *own, struct sq_buf *out)
{
	(void)arg;
	(void)s;
	if (*own != NULL)
		sq_push_describe(*own, out);
}

struct sq_pushes *
sq_pushes_new(struct sq_broker *b, const struct sq_push_cfg *cfg)
{
	struct sq_pushes *all = sq_xcalloc(1, sizeof *all);

	all->broker = b;
	all->cfg = *cfg;
	all->policy = sq_push_policy_ref(cfg->policy);
	all->breakers = sq_breakers_new();
	pthread_mutex_init(&all->lock, NULL);
	pthread_mutex_init(&all->policy_lock, NULL);
	sq_list_init(&all->list);
	sq_list_init(&all->consents);
	all->loading = true;
	sq_push_consents_load(all);
	all->parts = sq_xcalloc(b->n_shards, sizeof *all->parts);
	for (size_t i = 0; i < b->n_shards; i++) {
		struct sq_push_part *part = &all->parts[i];

		part->all = all;
		part->worker = b->shards[i].worker;
		part->task.run = sq_push_part_done;
		sq_list_init(&part->list);
		sq_list_init(&part->done);
		pthread_mutex_init(&part->lock, NULL);
	}
	all->user = (struct sq_subscribers_user){.judge = pushes_judge,
	    .declared = pushes_declared,
	    .ended = pushes_ended,
	    .test = pushes_test,
	    .describe = pushes_describe,
	    .arg = all};
	return all;
}

void
sq_pushes_free(struct sq_pushes **ap)
{
	struct sq_pushes *all = *ap;

	*ap = NULL;
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->broker->n_shards; i++)
		pthread_mutex_destroy(&all->parts[i].lock);
	free(all->parts);
	sq_push_consents_free(all);
	sq_breakers_free(&all->breakers);
	sq_push_policy_unref(&all->policy);
	pthread_mutex_destroy(&all->policy_lock);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

const struct sq_subscribers_user *
sq_pushes_user(struct sq_pushes *all)
{
	return &all->user;
}

void
sq_pushes_set_policy(struct sq_pushes *all, struct sq_push_policy *policy)
{
	struct sq_push_policy *old;

	pthread_mutex_lock(&all->policy_lock);
	old = all->policy;
	all->policy = sq_push_policy_ref(policy);
	pthread_mutex_unlock(&all->policy_lock);
	atomic_fetch_add(&all->policy_version, 1);
	sq_push_policy_unref(&old);
}

void
sq_pushes_loaded(struct sq_pushes *all)
{
	all->loading = false;
}

void
sq_pushes_tick(struct sq_pushes *all, unsigned worker, uint64_t now_ms)
{
	if (worker == 0)
		sq_push_consents_sweep(all);
	SQ_LIST_FOR_EACH_SAFE(p, &all->parts[worker].list, struct sq_push, of_part)
		sq_push_tick(p, now_ms);
}
