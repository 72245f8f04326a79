#include "broker/subscriber/files.h"

#include <stdlib.h>

#include "broker/shard/shard.h"
#include "broker/subscriber/ask.h"
#include "broker/subscriber/declare.h"
#include "broker/subscriber/file_set.h"
#include "broker/subscriber/subscriber.h"
#include "broker/subscriber/table.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	SLICE = 16,       /* changes in a turn */
	SLICE_LOOK = 512, /* queues that a turn looks at */
	AGAIN_MS = 10000,
};

/* A worker carries them out. */
struct files_run {
	struct sq_task task;
	struct sq_shard *shard;
	struct sq_declared_files *files; /* a reference */
	size_t at;
	bool again; /* what was refused was said before */
	bool refused;
};

/* Declares a queue as its file says.  True: it was changed. */
static bool
run_declare(struct files_run *r, const struct sq_declared_file *f)
{
	struct sq_broker *b = r->shard->broker;
	struct sq_subscriber *s = sq_subscriber_find(r->shard, f->space, f->name);
	struct sq_ask_txn *a = sq_ask_txn_new(r->shard, NULL);
	struct sq_declare in = {.name = f->name, .decl = &f->decl, .in_file = true, .txn = &a->txn};
	uint64_t before = s != NULL ? s->revision : 0;
	struct sq_buf why = {0};
	enum sq_queue_how how;
	bool changed;

	in.tenant = sq_tenant_get(b->tenants, f->space);
	sq_space_wrlock(sq_tenant_space(in.tenant));
	how = sq_declare(r->shard, &in, &s, &why);
	changed = how == SQ_QUEUE_CREATED || (how == SQ_QUEUE_DONE && s->revision != before);
	if (changed)
		sq_ask_txn_commit(a);
	else
		sq_ask_txn_drop(&a);
	sq_space_unlock(sq_tenant_space(in.tenant));
	sq_tenant_unref(&in.tenant);
	if (changed)
		SQ_INFO("broker", "queue %s~%s is %s by %s", f->space, f->name,
		    how == SQ_QUEUE_CREATED ? "made" : "declared", f->where);
	else if (how != SQ_QUEUE_DONE && !r->again)
		SQ_ERROR("broker", "%s: %s.%s: %.*s", f->where, f->space, f->name,
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	r->refused |= how != SQ_QUEUE_DONE && how != SQ_QUEUE_CREATED;
	sq_buf_fini(&why);
	return changed;
}

/* No file declares the queue any more. */
static void
run_release(struct files_run *r, struct sq_subscriber *s)
{
	struct sq_space *space = sq_tenant_space(s->group->tenant);
	struct sq_ask_txn *a = sq_ask_txn_new(r->shard, NULL);

	sq_space_wrlock(space);
	sq_declare_release(s, &a->txn);
	sq_ask_txn_commit(a);
	sq_space_unlock(space);
	SQ_INFO("broker", "queue %s~%s: no file declares it any more; it stays as it is", s->space,
	    s->name);
}

/* Releases some queues.  False: there may be more. */
static bool
run_releases(struct files_run *r)
{
	unsigned n = 0;

	if (!r->files->whole)
		return true;
	SQ_LIST_FOR_EACH(s, &sq_subscribers_part(r->shard)->list, struct sq_subscriber, of_shard) {
		if (!s->in_file || s->owned || s->removing != NULL ||
		    sq_declared_files_find(r->files, s->space, s->name) != NULL)
			continue;
		if (n++ == SLICE)
			return false;
		run_release(r, s);
	}
	return true;
}

static bool
run_is_old(const struct files_run *r)
{
	struct sq_subscribers *all = r->shard->broker->subscribers;
	bool old;

	pthread_mutex_lock(&all->lock);
	old = all->files != r->files;
	pthread_mutex_unlock(&all->lock);
	return old;
}

static void
run_end(struct files_run *r)
{
	struct sq_broker *b = r->shard->broker;

	sq_declared_files_unref(&r->files);
	free(r);
	atomic_fetch_sub(&b->subscribers->files_runs, 1);
	sq_broker_object(b, -1);
}

static void
run_step(struct sq_task *t)
{
	struct files_run *r = SQ_CONTAINER_OF(t, struct files_run, task);
	struct sq_subscribers *all = r->shard->broker->subscribers;
	unsigned changes = 0, looks = 0;

	if (sq_broker_closing(r->shard->broker) || run_is_old(r)) {
		run_end(r);
		return;
	}
	for (; r->at < r->files->n && changes < SLICE && looks < SLICE_LOOK; r->at++, looks++) {
		const struct sq_declared_file *f = &r->files->v[r->at];

		if (sq_subscribers_owner(all, f->space, f->name) == r->shard)
			changes += run_declare(r, f);
	}
	if (r->at < r->files->n || changes == SLICE || !run_releases(r)) {
		sq_worker_post_later(&r->task);
		return;
	}
	sq_subscribers_part(r->shard)->files_again_ms = r->refused
	    ? sq_worker_now_ms(r->shard->worker) + AGAIN_MS
	    : 0;
	run_end(r);
}

/* Has a worker carry them out; a reference is given to it. */
static void
run_begin(struct sq_shard *sh, struct sq_declared_files *files, bool again)
{
	struct files_run *r = sq_xcalloc(1, sizeof *r);

	r->shard = sh;
	r->files = files;
	r->again = again;
	r->task.run = run_step;
	sq_broker_object(sh->broker, 1);
	atomic_fetch_add(&sh->broker->subscribers->files_runs, 1);
	sq_worker_post(sh->worker, &r->task);
}

void
sq_declared_files_tick(struct sq_shard *sh, uint64_t now_ms)
{
	struct sq_subscribers *all = sh->broker->subscribers;
	struct sq_subscribers_part *part = sq_subscribers_part(sh);
	struct sq_declared_files *files;

	if (part->files_again_ms == 0 || now_ms < part->files_again_ms)
		return;
	part->files_again_ms = 0;
	pthread_mutex_lock(&all->lock);
	files = sq_declared_files_ref(all->files);
	pthread_mutex_unlock(&all->lock);
	run_begin(sh, files, true);
}

void
sq_subscribers_set_files(
    struct sq_subscribers *all, const struct sq_subscriber_file *v, size_t n, bool whole)
{
	struct sq_declared_files *f = sq_declared_files_new(v, n, whole), *old;

	pthread_mutex_lock(&all->lock);
	old = all->files;
	all->files = f;
	for (size_t i = 0; i < all->broker->n_shards; i++)
		run_begin(&all->broker->shards[i], sq_declared_files_ref(f), false);
	pthread_mutex_unlock(&all->lock);
	sq_declared_files_unref(&old);
}

bool
sq_subscribers_files_done(const struct sq_subscribers *all)
{
	return atomic_load(&all->files_runs) == 0;
}
