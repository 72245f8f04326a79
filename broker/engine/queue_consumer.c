/* Who takes from a queue: consumers come, ask for more, and go.  The hand-out itself is
 * in queue.c. */
#include "broker/engine/queue_priv.h"

static void
cancelled_run(struct sq_task *t)
{
	struct sq_consumer *c = SQ_CONTAINER_OF(t, struct sq_consumer, task);
	struct sq_queue *q = c->queue;

	c->queue = NULL;
	c->cancelled(c);
	sq_queue_unref(q);
}

void
sq_queue_consume(struct sq_queue *q, struct sq_consumer *c)
{
	c->queue = sq_queue_ref(q);
	c->demand = c->handing = 0;
	c->stopped = false;
	c->task = (struct sq_task){.run = cancelled_run};
	pthread_mutex_lock(&q->lock);
	sq_list_push_back(&q->consumers, &c->node);
	pthread_mutex_unlock(&q->lock);
}

void
sq_queue_demand(struct sq_consumer *c, uint32_t more)
{
	struct sq_queue *q = c->queue;

	pthread_mutex_lock(&q->lock);
	c->demand += more;
	sq_queue_kick(q);
	pthread_mutex_unlock(&q->lock);
}

void
sq_queue_cancel(struct sq_consumer *c)
{
	struct sq_queue *q = c->queue;
	bool idle;

	pthread_mutex_lock(&q->lock);
	sq_list_remove(&c->node);
	c->stopped = true;
	c->demand = 0;
	idle = c->handing == 0;
	pthread_mutex_unlock(&q->lock);
	if (idle)
		sq_worker_post(c->worker, &c->task);
}
