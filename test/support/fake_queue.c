#include "fake_queue.h"

#include <stdlib.h>

#include "broker/auth/identity/identity.h"
#include "core/mem.h"

static void
queue_done(struct sq_call *c)
{
	SQ_CONTAINER_OF(c, struct fake_queue, call)->answers++;
}

struct fake_queue *
queue_new(const struct asker *from, enum sq_queue_op op, const char *name)
{
	struct fake_queue *q = sq_xcalloc(1, sizeof *q);

	q->call.broker = from->world->broker;
	q->call.kind = SQ_CALL_QUEUE;
	q->call.done = queue_done;
	q->call.in.queue = (struct sq_call_queue){
	    .who = sq_identity_ref(from->who), .space = from->space, .name = name, .op = op};
	return q;
}

void
queue_post(struct fake_queue *q)
{
	sq_broker_call(q->call.broker, &q->call);
}

static bool
queue_is_answered(void *arg)
{
	const struct fake_queue *q = arg;

	return q->answers > 0;
}

const struct sq_queue_out *
queue_await(struct fake_queue *q)
{
	world_run();
	if (q->answers == 0)
		(void)fake_run_until(queue_is_answered, q);
	fake_self(0);
	cr_assert_eq(q->answers, 1, "answered %u times", q->answers);
	cr_assert_eq(q->call.verdict, SQ_VERDICT_OK, "%s", sq_verdict_row(q->call.verdict)->name);
	return &q->call.out.queue;
}

void
queue_free(struct fake_queue **qp)
{
	struct fake_queue *q = *qp;

	*qp = NULL;
	cr_assert_eq(q->answers, 1, "answered %u times", q->answers);
	if (q->call.verdict == SQ_VERDICT_OK)
		sq_queue_out_fini(&q->call.out.queue);
	sq_identity_unref(&q->call.in.queue.who);
	sq_declaration_fini(&q->decl);
	sq_buf_fini(&q->call.store);
	free(q);
}

const char *
queue_detail(struct fake_queue *q)
{
	struct sq_buf *detail = &q->call.out.queue.detail;

	*sq_buf_reserve(detail, 1) = '\0';
	return (const char *)sq_buf_data(detail);
}

void
queue_expect(struct fake_queue **qp, enum sq_queue_how how)
{
	queue_post(*qp);
	cr_assert_eq(queue_await(*qp)->how, how, "%d instead of %d: %s", (*qp)->call.out.queue.how,
	    how, queue_detail(*qp));
	queue_free(qp);
}

void
queue_ask(const struct asker *from, enum sq_queue_op op, const char *name, enum sq_queue_how how)
{
	struct fake_queue *q = queue_new(from, op, name);

	queue_expect(&q, how);
}

struct fake_queue *
queue_declaring(const struct asker *from, const char *name, const char *json)
{
	struct fake_queue *q = queue_new(from, SQ_QUEUE_DECLARE, name);
	struct sq_buf err = {0};
	int rc;

	sq_declaration_init(&q->decl);
	rc = sq_declaration_read_json(&q->decl, sq_bytes_of(json), &err);
	cr_assert(rc == SQ_OK, "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
	q->call.in.queue.in.declare.decl = &q->decl;
	return q;
}

void
queue_declare(const struct asker *from, const char *name, const char *json, enum sq_queue_how how)
{
	struct fake_queue *q = queue_declaring(from, name, json);

	queue_expect(&q, how);
}

struct fake_queue *
queue_get(const struct asker *from, const char *name)
{
	struct fake_queue *q = queue_new(from, SQ_QUEUE_GET, name);

	queue_post(q);
	cr_assert_eq(queue_await(q)->how, SQ_QUEUE_DONE, "%s", queue_detail(q));
	cr_assert_eq(sq_queue_out_infos(&q->call.out.queue), 1);
	return q;
}

const struct sq_queue_info *
queue_info(const struct fake_queue *q, size_t i)
{
	const struct sq_queue_info *infos = (const void *)sq_buf_data(&q->call.out.queue.infos);

	cr_assert(i < sq_queue_out_infos(&q->call.out.queue));
	return &infos[i];
}

uint64_t
queue_ready(const struct asker *from, const char *name)
{
	struct fake_queue *q = queue_get(from, name);
	uint64_t ready = queue_info(q, 0)->ready;

	queue_free(&q);
	return ready;
}
