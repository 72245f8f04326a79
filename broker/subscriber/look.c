#include "broker/subscriber/look.h"

#include <stdlib.h>

#include "broker/auth/acl/acl.h"
#include "broker/engine/now.h"
#include "broker/group/watch.h"
#include "broker/subscriber/ask.h"
#include "broker/subscriber/pull.h"
#include "broker/subscriber/user.h"
#include "core/mem.h"
#include "web/worker.h"

enum { LIST_SLICE = 256 }; /* queues that a LIST looks at in a turn, under the locks */

/* Messages that left undelivered, and not for want of room. */
static uint64_t
look_dead(const struct sq_queue_state *q)
{
	return (uint64_t)q->left[SQ_DEAD_EXPIRED] + q->left[SQ_DEAD_ATTEMPTS] +
	    q->left[SQ_DEAD_REJECTED] + q->left[SQ_DEAD_UNFINISHED];
}

/* Of two that may have been read at different moments, by another thread than the owner. */
static uint64_t
look_sum(uint64_t n, int64_t more)
{
	return more < 0 && n < (uint64_t)-more ? 0 : n + (uint64_t)more;
}

/* What is said of the push. */
static void
look_push(const struct sq_subscriber *s, bool push, struct sq_queue_info *info)
{
	const struct sq_subscribers_user *const *users = s->all->users;

	if (!push) { /* of a push without a URL nothing is said */
		free(info->decl.push.url);
		info->decl.push.url = NULL;
		return;
	}
	for (unsigned i = 0; s->decl->push.url != NULL && i < SQ_SUBSCRIBERS_USERS; i++) {
		if (users[i] != NULL && users[i]->describe != NULL)
			users[i]->describe(users[i]->arg, s, &s->own[i], &info->user);
	}
}

void
sq_look_info(const struct sq_subscriber *s, bool push, struct sq_buf *infos)
{
	struct sq_sink *sink = &s->group->sink;
	struct sq_queue_info info = {.name = sq_xstrdup(s->name),
	    .revision = s->revision,
	    .in_file = s->in_file,
	    .paused = s->paused,
	    .members = sq_named_members(s->group)};
	struct sq_queue_state q;
	uint64_t age_ms;

	sink->engine->ops->queue.state(sink->queue, &q);
	sq_declaration_copy(&info.decl, s->decl);
	look_push(s, push, &info);
	if (s->pause_why != NULL)
		info.pause_why = sq_xstrdup(s->pause_why);
	info.ready = q.n;
	info.ready_bytes = q.bytes;
	info.dead = look_dead(&q);
	if (sq_watch_age(s->all->broker->watch, sink, sq_engine_now_ms(), &age_ms))
		info.oldest_ms = age_ms;
	if (s->pull != NULL) {
		struct sq_pull_counts n = sq_pull_count(s->pull);

		info.leased = n.leased;
		info.parked = n.parked;
		info.pollers = n.pollers;
		info.ready = look_sum(info.ready, n.again);
		info.ready_bytes = look_sum(info.ready_bytes, n.again_bytes);
	}
	sq_buf_append(infos, &info, sizeof info);
}

void
sq_get_call(struct sq_shard *sh, struct sq_call *c)
{
	const struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	struct sq_acl_subject *subject;
	struct sq_space *space;
	bool push;

	if (s == NULL) {
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
		return;
	}
	subject = sq_ask_subject(sh, c);
	push = sq_ask_may_see_push(subject, s->name);
	sq_acl_subject_free(&subject);
	space = sq_tenant_space(s->group->tenant);
	sq_space_rdlock(space);
	pthread_mutex_lock(&s->all->lock);
	sq_look_info(s, push, &c->out.queue.infos);
	pthread_mutex_unlock(&s->all->lock);
	sq_space_unlock(space);
	sq_ask_answer(c, SQ_QUEUE_DONE, NULL);
}

/* A LIST under way. */
struct listing {
	struct sq_task task;
	struct sq_shard *shard;
	struct sq_call *call;
	char *after; /* the queue that was looked at last; NULL: none was */
};

/* Under both locks; looks at some queues.  True: the page is full, or there are no more. */
static bool
list_slice(struct listing *l, struct sq_acl_subject *subject)
{
	struct sq_subscribers *all = l->shard->broker->subscribers;
	const char *space = sq_ask_space(l->call), *last = NULL;
	struct sq_queue_out *out = &l->call->out.queue;
	const struct sq_subscriber *s;
	size_t at = sq_subscribers_behind(
	    all, space, l->after != NULL ? l->after : l->call->in.queue.in.after);

	for (unsigned n = 0; (s = sq_subscribers_at(all, space, at)) != NULL; at++, n++) {
		if (n == LIST_SLICE) {
			free(l->after);
			l->after = sq_xstrdup(last);
			return false;
		}
		last = s->name;
		if (!sq_ask_may_see(subject, s->name))
			continue;
		if (sq_queue_out_infos(out) == SQ_QUEUE_PAGE) {
			out->more = true;
			return true;
		}
		sq_look_info(s, sq_ask_may_see_push(subject, s->name), &out->infos);
	}
	return true;
}

static bool
list_look(struct listing *l)
{
	struct sq_subscribers *all = l->shard->broker->subscribers;
	struct sq_acl_subject *subject = sq_ask_subject(l->shard, l->call);
	struct sq_tenant *tenant = sq_tenant_get(l->shard->broker->tenants, sq_ask_space(l->call));
	struct sq_space *space = sq_tenant_space(tenant);
	bool over;

	sq_space_rdlock(space);
	pthread_mutex_lock(&all->lock);
	over = list_slice(l, subject);
	pthread_mutex_unlock(&all->lock);
	sq_space_unlock(space);
	sq_tenant_unref(&tenant);
	sq_acl_subject_free(&subject);
	return over;
}

static void
list_run(struct sq_task *t)
{
	struct listing *l = SQ_CONTAINER_OF(t, struct listing, task);
	struct sq_call *c = l->call;
	bool closing = sq_broker_closing(l->shard->broker);

	if (!closing && !list_look(l)) {
		sq_worker_post_later(&l->task);
		return;
	}
	sq_broker_object(l->shard->broker, -1);
	free(l->after);
	free(l);
	if (closing) {
		sq_queue_out_fini(&c->out.queue);
		sq_call_answer(c, SQ_VERDICT_DRAINING, "the broker ends");
	} else {
		sq_ask_answer(c, SQ_QUEUE_DONE, NULL);
	}
}

void
sq_list_call(struct sq_shard *sh, struct sq_call *c)
{
	struct listing *l = sq_xcalloc(1, sizeof *l);

	l->task.run = list_run;
	l->shard = sh;
	l->call = c;
	sq_broker_object(sh->broker, 1);
	list_run(&l->task);
}
