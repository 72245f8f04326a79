#include "broker/push/push_priv.h"

#include "net/curl/shared.h"
#include "web/worker.h"

/* On sq_out's thread. */
static void
trip_done(struct sq_out_request *out)
{
	struct sq_push_trip *t = SQ_CONTAINER_OF(out, struct sq_push_trip, out);
	struct sq_push_part *part = t->push->part;

	pthread_mutex_lock(&part->lock);
	t->is_done = true;
	sq_list_push_back(&part->done, &t->done);
	if (!part->posted)
		sq_worker_post(part->worker, &part->task);
	part->posted = true;
	pthread_mutex_unlock(&part->lock);
}

void
sq_push_part_done(struct sq_task *task)
{
	struct sq_push_part *part = SQ_CONTAINER_OF(task, struct sq_push_part, task);
	struct sq_list done;

	sq_list_init(&done);
	pthread_mutex_lock(&part->lock);
	sq_list_splice(&done, &part->done);
	part->posted = false;
	pthread_mutex_unlock(&part->lock);
	while (!sq_list_empty(&done)) {
		struct sq_push_trip *t = SQ_LIST_FIRST(&done, struct sq_push_trip, done);

		sq_list_remove(&t->done);
		sq_list_remove(&t->node);
		t->back(t);
	}
}

void
sq_push_trip_post(struct sq_push_trip *t, const struct sq_push_conf *c,
    const struct sq_push_message *m, size_t max_answer)
{
	struct sq_out_request *out = &t->out;

	out->url = (const char *)sq_buf_data(&m->url);
	out->method = "POST";
	out->headers = m->headers;
	out->body = m->body;
	out->way = &c->way;
	out->timeout_ms = (uint32_t)c->decl->push.timeout_ms;
	out->max_answer = max_answer;
}

void
sq_push_trip_empty(struct sq_push_trip *t)
{
	t->out.headers = (struct sq_buf){0}; /* they are the message's */
	sq_out_request_fini(&t->out);
}

void
sq_push_trip_send(struct sq_push_trip *t, struct sq_out *to)
{
	t->out.done = trip_done;
	t->is_done = false;
	sq_list_init(&t->done);
	sq_list_push_back(&t->push->trips, &t->node);
	sq_out_send(to, &t->out);
}

void
sq_push_trips_cancel(struct sq_push *p)
{
	struct sq_buf why = {0};
	struct sq_out *to = sq_list_empty(&p->trips) ? NULL
						     : sq_out_shared_get(p->all->cfg.out, &why);

	sq_buf_fini(&why);
	if (to == NULL)
		return;
	pthread_mutex_lock(&p->part->lock);
	SQ_LIST_FOR_EACH(t, &p->trips, struct sq_push_trip, node) {
		if (!t->is_done)
			sq_out_cancel(to, &t->out);
	}
	pthread_mutex_unlock(&p->part->lock);
}
