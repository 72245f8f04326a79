#include "broker/subscriber/pause.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/subscriber/ask.h"
#include "broker/subscriber/record.h"
#include "broker/subscriber/serve.h"
#include "broker/subscriber/user.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "web/worker.h"

/* Has the queue paused or not, in 'txn'; 'why' may be NULL.  Under the write lock of its space. */
static void
pause_set(struct sq_subscriber *s, bool paused, const char *why, struct sq_txn *txn)
{
	const struct sq_sink *sink = &s->group->sink;
	char *kept = NULL, *old;

	if (why != NULL)
		kept = sq_xmemdup0(why, sq_utf8_cut(why, strlen(why), SQ_PAUSE_WHY_MAX));
	pthread_mutex_lock(&s->all->lock);
	s->paused = paused;
	s->revision = sq_broker_id(s->all->broker);
	old = s->pause_why;
	s->pause_why = kept;
	pthread_mutex_unlock(&s->all->lock);
	free(old);
	sink->engine->ops->queue.pause(sink->queue, paused);
	sq_declared_store(s, txn);
	sq_subscriber_serve_so(s);
}

void
sq_pause_call(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_subscriber *s = sq_subscriber_find(sh, sq_ask_space(c), c->in.queue.name);
	bool paused = c->in.queue.op == SQ_QUEUE_PAUSE;
	struct sq_ask_txn *a;
	struct sq_space *space;

	if (s == NULL || s->removing != NULL) {
		sq_ask_answer(c, SQ_QUEUE_MISSING, "there is no queue of that name");
		return;
	}
	space = sq_tenant_space(s->group->tenant);
	a = sq_ask_txn_new(sh, c);
	c->out.queue.how = SQ_QUEUE_DONE;
	sq_space_wrlock(space);
	if (s->paused != paused)
		pause_set(s, paused, NULL, &a->txn);
	sq_ask_txn_commit(a);
	sq_space_unlock(space);
}

void
sq_subscriber_pause(struct sq_subscriber *s, const char *why)
{
	struct sq_space *space = sq_tenant_space(s->group->tenant);
	struct sq_ask_txn *a;

	assert(sq_worker_self() == s->shard->worker);
	if (s->paused || s->removing != NULL || sq_broker_closing(s->all->broker))
		return;
	a = sq_ask_txn_new(s->shard, NULL);
	sq_space_wrlock(space);
	pause_set(s, true, why, &a->txn);
	sq_ask_txn_commit(a);
	sq_space_unlock(space);
}
