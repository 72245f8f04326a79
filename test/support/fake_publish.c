#include "fake_publish.h"

#include <stdlib.h>

#include "core/mem.h"

static void
publish_done(struct sq_call *c)
{
	SQ_CONTAINER_OF(c, struct fake_publish, call)->answers++;
}

/* Takes the messages. */
static struct fake_publish *
publish_post(const struct publisher *from, struct sq_msg *msgs, uint16_t n)
{
	struct fake_publish *p = sq_xcalloc(1, sizeof *p);

	p->msgs = msgs;
	p->wants = sq_xcalloc(n, sizeof *p->wants);
	for (uint16_t i = 0; i < n; i++)
		p->wants[i].require_match = from->require_match;
	p->call.kind = SQ_CALL_PUBLISH;
	p->call.done = publish_done;
	p->call.in.publish = (struct sq_call_publish){.who = sq_identity_ref(from->who),
	    .worker = 0,
	    .n = n,
	    .space = from->space,
	    .msgs = p->msgs,
	    .wants = from->require_match ? p->wants : NULL,
	    .atomic = from->atomic};
	sq_broker_call(from->world->broker, &p->call);
	return p;
}

struct fake_publish *
publisher_post(const struct publisher *from, const struct entry *entries, uint16_t n)
{
	struct sq_msg *msgs = sq_xcalloc(n, sizeof *msgs);

	for (uint16_t i = 0; i < n; i++)
		msgs[i] = entry_message(&entries[i]);
	return publish_post(from, msgs, n);
}

struct fake_publish *
publisher_post_message(const struct publisher *from, struct sq_msg m)
{
	struct sq_msg *msgs = sq_xcalloc(1, sizeof *msgs);

	*msgs = m;
	return publish_post(from, msgs, 1);
}

static bool
publish_is_answered(void *arg)
{
	const struct fake_publish *p = arg;

	return p->answers > 0;
}

static void
publish_await(struct fake_publish *p)
{
	world_run();
	if (p->answers == 0)
		(void)fake_run_until(publish_is_answered, p);
	fake_self(0);
	cr_assert_eq(p->answers, 1, "answered %u times", p->answers);
}

const struct sq_published *
publish_outcomes(struct fake_publish *p)
{
	publish_await(p);
	cr_assert_eq(p->call.verdict, SQ_VERDICT_OK, "%s", sq_verdict_row(p->call.verdict)->name);
	return p->call.out.published;
}

void
publish_free(struct fake_publish **pp)
{
	struct fake_publish *p = *pp;

	*pp = NULL;
	cr_assert_eq(p->answers, 1, "answered %u times", p->answers);
	for (uint16_t i = 0; i < p->call.in.publish.n; i++)
		sq_msg_unref(&p->msgs[i]);
	free(p->msgs);
	free(p->wants);
	sq_identity_unref(&p->call.in.publish.who);
	sq_buf_fini(&p->call.store);
	free(p);
}

void
publish_expect(struct fake_publish **pp, enum sq_verdict verdict)
{
	publish_await(*pp);
	cr_assert_eq((*pp)->call.verdict, verdict, "%s instead of %s",
	    sq_verdict_row((*pp)->call.verdict)->name, sq_verdict_row(verdict)->name);
	publish_free(pp);
}

struct sq_published
publisher_send(const struct publisher *from, const struct entry *e)
{
	struct fake_publish *p = publisher_post(from, e, 1);
	struct sq_published out = *publish_outcomes(p);

	out.note = (struct sq_bytes){0};
	out.queue = NULL;
	publish_free(&p);
	return out;
}
