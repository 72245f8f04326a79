/* SQ_QUEUE_TEST: an event that is none of the queue's goes to its target, by the same policy, proofs and
 * signature; neither breaker nor rate counts it. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/port/call.h"
#include "broker/push/push_priv.h"
#include "core/clock.h"
#include "core/mem.h"
#include "net/curl/shared.h"

enum { TYPE_MAX = 256, TESTS_MAX = 4 /* of a queue at a time */ };

struct push_test {
	struct sq_push_trip trip;
	struct sq_push_conf *conf;
	struct sq_push_message message;
	struct sq_call *call;
};

static void
test_free(struct push_test *t)
{
	sq_push_trip_empty(&t->trip);
	sq_push_message_fini(&t->message);
	sq_push_conf_unref(&t->conf);
	free(t);
}

static void
test_back(struct sq_push_trip *trip)
{
	struct push_test *t = SQ_CONTAINER_OF(trip, struct push_test, trip);
	const struct sq_out_request *out = &trip->out;
	struct sq_queue_tested *tested = &t->call->out.queue.tested;
	struct sq_call *c = t->call;
	struct sq_push *p = trip->push;
	struct sq_push_judged judged;
	struct sq_bytes type;

	judged = sq_push_judge(&t->conf->decl->push, out, (int64_t)(sq_clock_wall_ms() / 1000));
	tested->taken = judged.verdict == SQ_PUSH_OK;
	tested->status = out->end == SQ_OUT_ANSWERED ? out->status : 0;
	tested->took_us = out->took_us;
	type = sq_out_answer_header(out, "content-type");
	sq_buf_append(&tested->type, type.p, type.len < TYPE_MAX ? type.len : TYPE_MAX);
	if (!tested->taken)
		sq_buf_printf(&c->out.queue.detail, "%s", judged.detail);
	p->holds.tests--;
	test_free(t);
	sq_call_answer(c, SQ_VERDICT_OK, NULL);
	p->changed(p);
}

/* SQ_OK: it is on its way. */
static int
test_send(struct push_test *t, struct sq_push *p, struct sq_buf *why)
{
	struct sq_out *to = sq_out_shared_get(p->all->cfg.out, why);
	struct sq_push_message_cfg cfg;
	struct sq_push_proof proof;
	char id[33];
	int err;

	if (to == NULL)
		return SQ_EIO;
	err = sq_push_proof_get(t->conf, &proof, why);
	if (err == SQ_EAGAIN)
		sq_buf_printf(why, "its secrets are being read");
	if (err != SQ_OK)
		return err;
	cfg = sq_push_proven(t->conf, &proof);
	snprintf(id, sizeof id, "test-%016llx", (unsigned long long)sq_random_u64());
	err = sq_push_message_test(&cfg, id, &t->message, why);
	sq_push_proof_put(&proof);
	if (err != SQ_OK)
		return err;
	sq_push_trip_post(&t->trip, t->conf, &t->message, SQ_PUSH_ANSWER_MAX);
	t->trip.push = p;
	t->trip.back = test_back;
	p->holds.tests++;
	sq_push_trip_send(&t->trip, to);
	return SQ_OK;
}

/* Tests are requests, too: to whom that must consent and has not there is none, and to one that hangs not
 * any number. */
static bool
test_may(const struct sq_push *p, struct sq_buf *why)
{
	if (sq_push_consent_holds(p))
		sq_buf_printf(why, "the target has not consented to pushes, for which it is asked");
	else if (p->holds.tests >= TESTS_MAX)
		sq_buf_printf(why, "%d tests are out already", TESTS_MAX);
	return sq_buf_len(why) == 0;
}

void
sq_push_test(struct sq_push *p, struct sq_call *c)
{
	struct push_test *t = sq_xcalloc(1, sizeof *t);

	c->out.queue.how = SQ_QUEUE_DONE;
	t->call = c;
	t->conf = sq_push_conf_ref(p->conf);
	if (test_may(p, &c->out.queue.detail) && test_send(t, p, &c->out.queue.detail) == SQ_OK)
		return;
	test_free(t);
	sq_call_answer(c, SQ_VERDICT_OK, NULL);
}
