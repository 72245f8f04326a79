#include "broker/subscriber/serve.h"

#include <assert.h>

#include "broker/subscriber/ask.h"
#include "broker/subscriber/lease.h"
#include "broker/subscriber/pull.h"
#include "broker/subscriber/user.h"
#include "web/worker.h"

static void
serve_ended(void *arg, struct sq_pull_past *past)
{
	struct sq_subscriber *s = arg;

	s->past = past;
	s->all->dismissed(s);
}

/* Others read the pointer under the table's lock. */
static void
serve_set(struct sq_subscriber *s, struct sq_pull *pull)
{
	pthread_mutex_lock(&s->all->lock);
	s->pull = pull;
	pthread_mutex_unlock(&s->all->lock);
}

static void
serve_tell(struct sq_subscriber *s)
{
	const struct sq_subscribers_user *const *users = s->all->users;

	for (unsigned i = 0; i < SQ_SUBSCRIBERS_USERS && users[i] != NULL; i++)
		users[i]->declared(users[i]->arg, s, &s->own[i]);
}

void
sq_subscriber_serve(struct sq_subscriber *s)
{
	struct sq_pull_cfg cfg = {.all = s->all->pulls,
	    .shard = s->shard,
	    .group = s->group,
	    .decl = s->decl,
	    .paused = s->paused,
	    .past = s->past,
	    .ended = serve_ended,
	    .arg = s};

	assert(s->pull == NULL);
	s->past = NULL;
	serve_set(s, sq_pull_new(&cfg));
	serve_tell(s);
}

void
sq_subscriber_serve_so(struct sq_subscriber *s)
{
	if (s->pull == NULL)
		return;
	sq_pull_declare(s->pull, s->decl);
	sq_pull_pause(s->pull, s->paused);
	serve_tell(s);
}

void
sq_subscriber_dismiss(struct sq_subscriber *s)
{
	const struct sq_subscribers_user *const *users = s->all->users;
	struct sq_pull *pull = s->pull;

	assert(pull != NULL);
	serve_set(s, NULL);
	sq_pull_end(pull);
	for (unsigned i = 0; i < SQ_SUBSCRIBERS_USERS && users[i] != NULL; i++) {
		users[i]->ended(users[i]->arg, s, &s->own[i]);
		assert(s->own[i] == NULL);
	}
}

void
sq_serve_receive(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);

	if (s == NULL || s->pull == NULL) {
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
		return;
	}
	s->used_ms = sq_worker_now_ms(sh->worker); /* also by who does not wait */
	sq_pull_receive(s->pull, c);
}

struct sq_subscriber *
sq_serve_settled(const struct sq_shard *sh, const struct sq_call *c)
{
	const struct sq_queue_settle *in = &c->in.queue.in.settle;

	return in->n > 0 ? sq_subscriber_by_id(sh, sq_lease_queue(in->entries[0].lease)) : NULL;
}

/* Of leases without their queue nothing is left. */
static void
settle_lost(struct sq_call *c)
{
	const struct sq_queue_settle *in = &c->in.queue.in.settle;

	if (in->n_msgs > 0) {
		sq_ask_answer(c, SQ_QUEUE_LOST, "the queue of the lease is not there");
		return;
	}
	for (uint16_t i = 0; i < in->n; i++)
		sq_buf_u8(&c->out.queue.lost, 1);
	sq_ask_answer(c, SQ_QUEUE_PARTLY, "the queue of the leases is not there");
}

void
sq_serve_settle(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_subscriber *s = c->in.queue.name != NULL
	    ? sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name)
	    : sq_serve_settled(sh, c);

	if (s != NULL && s->pull != NULL)
		sq_pull_settle(s->pull, c);
	else if (s != NULL && s->removing != NULL)
		sq_list_push_back(&s->settles, &c->node);
	else if (c->in.queue.name != NULL && s == NULL)
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
	else
		settle_lost(c);
}
