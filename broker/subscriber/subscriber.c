#include "broker/subscriber/subscriber.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/subscriber/ask.h"
#include "broker/subscriber/declare.h"
#include "broker/subscriber/file_set.h"
#include "broker/subscriber/files.h"
#include "broker/subscriber/lease.h"
#include "broker/subscriber/letters.h"
#include "broker/subscriber/load.h"
#include "broker/subscriber/look.h"
#include "broker/subscriber/pause.h"
#include "broker/subscriber/peek.h"
#include "broker/subscriber/pull.h"
#include "broker/subscriber/pulls.h"
#include "broker/subscriber/pulls_load.h"
#include "broker/subscriber/purge.h"
#include "broker/subscriber/remove.h"
#include "broker/subscriber/serve.h"
#include "broker/subscriber/table.h"
#include "broker/subscriber/user.h"
#include "core/mem.h"
#include "web/worker.h"

enum { LOOK_MS = 1000 }; /* between two looks at queues that end unused */

struct sq_subscribers *
sq_subscribers_new(struct sq_broker *b)
{
	struct sq_subscribers *all = sq_xcalloc(1, sizeof *all);

	all->broker = b;
	all->dismissed = sq_remove_dismissed;
	all->pulls = sq_pulls_new(b);
	pthread_mutex_init(&all->lock, NULL);
	all->parts = sq_xcalloc(b->n_shards, sizeof(*all->parts));
	for (size_t i = 0; i < b->n_shards; i++)
		sq_list_init(&all->parts[i].list);
	return all;
}

/* The broker ends, with the queue's record as it is. */
static void
subscriber_close(struct sq_subscriber *s)
{
	struct sq_space *space = sq_tenant_space(s->group->tenant);
	struct sq_tenant *tenant = sq_tenant_ref(s->group->tenant);

	sq_space_wrlock(space);
	sq_group_leave(&s->group, 0, NULL);
	sq_space_unlock(space);
	sq_subscriber_free(&s);
	sq_tenant_unref(&tenant);
}

void
sq_subscribers_free(struct sq_subscribers **ap)
{
	struct sq_subscribers *all = *ap;

	*ap = NULL;
	if (all == NULL)
		return;
	while (all->n > 0)
		subscriber_close(all->sorted[all->n - 1]);
	sq_declared_files_unref(&all->files);
	sq_pulls_free(&all->pulls);
	sq_buf_fini(&all->orphans);
	sq_htab_fini(&all->by_id);
	free(all->sorted);
	free(all->parts);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

static struct sq_pull *
subscriber_pull(void *arg, uint64_t queue)
{
	struct sq_subscribers *all = arg;
	struct sq_shard *sh = sq_subscribers_owner_of(all, queue);
	struct sq_subscriber *s = sh != NULL ? sq_subscriber_by_id(sh, queue) : NULL;

	return s != NULL ? s->pull : NULL;
}

static void
subscriber_orphan(void *arg, const struct sq_record_key *key)
{
	sq_subscribers_orphan(arg, key);
}

int
sq_subscribers_load(struct sq_subscribers *all, uint64_t now_ms)
{
	const struct sq_pulls_find find = {subscriber_pull, subscriber_orphan, all};
	int err = sq_subscribers_load_records(all, now_ms);

	for (size_t i = 0; i < all->n; i++)
		sq_subscriber_serve(all->sorted[i]);
	return err == SQ_OK ? sq_pulls_load(all->pulls, &find, now_ms) : err;
}

void
sq_subscribers_add_user(struct sq_subscribers *all, const struct sq_subscribers_user *user)
{
	unsigned at = 0;

	while (at < SQ_SUBSCRIBERS_USERS && all->users[at] != NULL)
		at++;
	assert(at < SQ_SUBSCRIBERS_USERS);
	all->users[at] = user;
	for (size_t i = 0; i < all->n; i++)
		user->declared(user->arg, all->sorted[i], &all->sorted[i]->own[at]);
}

void **
sq_subscriber_own(struct sq_subscriber *s, const struct sq_subscribers_user *user)
{
	unsigned at = 0;

	while (at < SQ_SUBSCRIBERS_USERS && s->all->users[at] != user)
		at++;
	assert(at < SQ_SUBSCRIBERS_USERS); /* it was added */
	return &s->own[at];
}

struct sq_shard *
sq_subscribers_shard(struct sq_subscribers *all, const struct sq_call *c)
{
	const struct sq_call_queue *in = &c->in.queue;
	const char *space = sq_ask_space(c);
	struct sq_shard *sh = NULL;

	if (in->name != NULL && space != NULL && in->op != SQ_QUEUE_LIST)
		sh = sq_subscribers_owner(all, space, in->name);
	else if (in->op == SQ_QUEUE_SETTLE && in->in.settle.n > 0)
		sh = sq_subscribers_owner_of(all, sq_lease_queue(in->in.settle.entries[0].lease));
	return sh != NULL ? sh : &all->broker->shards[in->worker % all->broker->n_shards];
}

static void
subscriber_test(struct sq_shard *sh, struct sq_call *c)
{
	const struct sq_subscribers_user *const *users = sh->broker->subscribers->users;
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	unsigned at = 0; /* who tests */

	while (at < SQ_SUBSCRIBERS_USERS && (users[at] == NULL || users[at]->test == NULL))
		at++;
	if (s == NULL || s->pull == NULL)
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
	else if (at == SQ_SUBSCRIBERS_USERS || s->decl->push.url == NULL)
		sq_ask_answer(c, SQ_QUEUE_CONFLICT, "the queue has no push");
	else
		users[at]->test(users[at]->arg, s, &s->own[at], c);
}

/* Carries out what is allowed. */
static void
subscriber_run(struct sq_shard *sh, struct sq_call *c)
{
	switch (c->in.queue.op) {
	case SQ_QUEUE_DECLARE:
		sq_declare_call(sh, c);
		break;
	case SQ_QUEUE_PATCH:
		sq_patch_call(sh, c);
		break;
	case SQ_QUEUE_BIND:
	case SQ_QUEUE_UNBIND:
		sq_bind_call(sh, c);
		break;
	case SQ_QUEUE_PAUSE:
	case SQ_QUEUE_RESUME:
		sq_pause_call(sh, c);
		break;
	case SQ_QUEUE_GET:
		sq_get_call(sh, c);
		break;
	case SQ_QUEUE_LIST:
		sq_list_call(sh, c);
		break;
	case SQ_QUEUE_DELETE:
		sq_remove_call(sh, c);
		break;
	case SQ_QUEUE_PURGE:
		sq_purge_call(sh, c);
		break;
	case SQ_QUEUE_RECEIVE:
		sq_serve_receive(sh, c);
		break;
	case SQ_QUEUE_SETTLE:
		sq_serve_settle(sh, c);
		break;
	case SQ_QUEUE_PEEK:
		sq_peek_call(sh, c);
		break;
	case SQ_QUEUE_TEST:
		subscriber_test(sh, c);
		break;
	case SQ_QUEUE_LETTERS:
		sq_letters_call(sh, c);
		break;
	}
}

/* Whether the call may be carried out; else it has been answered.  A SETTLE without a name is about the
 * queue of its first lease. */
static bool
subscriber_may(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_call_queue *in = &c->in.queue;
	const struct sq_subscriber *s;
	const char *space = in->space;
	bool may;

	if (in->op != SQ_QUEUE_SETTLE || in->name != NULL)
		return sq_ask_named(sh, c) && sq_ask_allowed(sh, c);
	s = sq_serve_settled(sh, c);
	if (s == NULL)
		return true; /* its leases are lost */
	in->name = s->name;
	in->space = s->space;
	may = sq_ask_named(sh, c) && sq_ask_allowed(sh, c);
	if (may) {
		in->name = NULL;
		in->space = space;
	}
	return may;
}

void
sq_subscriber_call(struct sq_shard *sh, struct sq_call *c, bool draining)
{
	assert(sq_worker_self() == sh->worker);
	c->out.queue = (struct sq_queue_out){0};
	c->retry_after_s = 1;
	if (sq_broker_closing(sh->broker) || (draining && c->in.queue.op == SQ_QUEUE_RECEIVE))
		sq_call_answer(c, SQ_VERDICT_DRAINING, "draining");
	else if (subscriber_may(sh, c))
		subscriber_run(sh, c);
}

void
sq_subscribers_tick(struct sq_shard *sh, uint64_t now_ms)
{
	struct sq_subscribers_part *part = sq_subscribers_part(sh);

	sq_pulls_tick(sh->broker->subscribers->pulls, sh, now_ms);
	if (sh == sh->broker->shards)
		sq_subscribers_sweep(sh);
	sq_declared_files_tick(sh, now_ms);
	if (now_ms < part->looked_ms + LOOK_MS)
		return;
	part->looked_ms = now_ms;
	SQ_LIST_FOR_EACH_SAFE(s, &part->list, struct sq_subscriber, of_shard)
		sq_remove_unused(s, now_ms);
}

void
sq_subscribers_drain(struct sq_shard *sh)
{
	SQ_LIST_FOR_EACH(s, &sq_subscribers_part(sh)->list, struct sq_subscriber, of_shard) {
		if (s->pull != NULL)
			sq_pull_drain(s->pull);
	}
}

void
sq_subscribers_stop(struct sq_shard *sh)
{
	SQ_LIST_FOR_EACH(s, &sq_subscribers_part(sh)->list, struct sq_subscriber, of_shard) {
		sq_remove_stop(s);
		if (s->pull != NULL)
			sq_subscriber_dismiss(s);
	}
}
