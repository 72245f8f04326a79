/* What becomes of the messages of a request. */
#include <criterion/criterion.h>

#include "broker/push/outcomes.h"
#include "core/mem.h"

static const struct sq_declared_push plain = {
    .attempts = 3, .retry = {.first_ms = 1000, .max_ms = 5000, .factor = 2}, .for_ms = 60000};

/* Four messages, of the lanes 1, 2, 1, 2. */
static const struct sq_taken taken[] = {
    {.seq = 10, .lane = 1, .arrived_ms = 100000, .attempt = 1},
    {.seq = 11, .lane = 2, .arrived_ms = 100000, .attempt = 3},
    {.seq = 12, .lane = 1, .arrived_ms = 100000, .attempt = 2},
    {.seq = 13, .lane = 2, .arrived_ms = 100000, .attempt = 1},
};

static void
ended(enum sq_push_verdict v, bool lanes, const bool *failed, struct sq_taker_outcome out[4])
{
	const struct sq_push_judged judged = {.verdict = v, .detail = "status 500"};
	const struct sq_push_ended in = {.push = &plain,
	    .lanes = lanes,
	    .taken = taken,
	    .n = 4,
	    .judged = &judged,
	    .failed = failed,
	    .now_ms = 101000};

	sq_push_outcomes(&in, out);
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(out[i].seq, taken[i].seq);
		out[i].detail = NULL; /* 'judged' goes */
	}
}

static void
all_are(const struct sq_taker_outcome *out, enum sq_dispatch_outcome how)
{
	for (int i = 0; i < 4; i++)
		cr_assert_eq(out[i].how, how, "%d", i);
}

Test(push_outcomes, one_answer_for_all)
{
	struct sq_taker_outcome out[4];

	ended(SQ_PUSH_OK, true, NULL, out);
	all_are(out, SQ_DISPATCH_OK);
	ended(SQ_PUSH_NEVER, true, NULL, out);
	all_are(out, SQ_DISPATCH_NEVER);
	ended(SQ_PUSH_LATER, true, NULL, out);
	all_are(out, SQ_DISPATCH_LATER);
	ended(SQ_PUSH_PAUSE, true, NULL, out);
	all_are(out, SQ_DISPATCH_LATER);
	ended(SQ_PUSH_FAILED, false, NULL, out);
	all_are(out, SQ_DISPATCH_FAILED);
}

Test(push_outcomes, of_a_lane_only_the_first_has_tried)
{
	struct sq_taker_outcome out[4];

	ended(SQ_PUSH_FAILED, true, NULL, out);
	cr_assert_eq(out[0].how, SQ_DISPATCH_FAILED);
	cr_assert_eq(out[1].how, SQ_DISPATCH_FAILED);
	cr_assert_eq(out[2].how, SQ_DISPATCH_LATER);
	cr_assert_eq(out[3].how, SQ_DISPATCH_LATER);
}

Test(push_outcomes, what_is_behind_a_failed_one_is_untried_whatever_the_answer_said)
{
	static const bool first[] = {true, false, false, false};
	struct sq_taker_outcome out[4];

	ended(SQ_PUSH_PARTLY, true, first, out);
	cr_assert_eq(out[0].how, SQ_DISPATCH_FAILED);
	cr_assert_eq(out[1].how, SQ_DISPATCH_OK);
	cr_assert_eq(out[2].how, SQ_DISPATCH_LATER);
	cr_assert_eq(out[3].how, SQ_DISPATCH_OK);
	ended(SQ_PUSH_PARTLY, false, first, out);
	cr_assert_eq(out[2].how, SQ_DISPATCH_OK);
}

Test(push_outcomes, delays_and_last_attempts_are_those_of_push)
{
	struct sq_taker_outcome out[4];

	ended(SQ_PUSH_FAILED, false, NULL, out);
	cr_assert_eq(out[0].delay_ms, 1000);
	cr_assert_not(out[0].last);
	cr_assert_eq(out[1].delay_ms, 4000);
	cr_assert(out[1].last);
	cr_assert_eq(out[2].delay_ms, 2000);
	cr_assert_not(out[2].last);
}

Test(push_outcomes, what_is_too_old_is_not_tried_again)
{
	const struct sq_push_judged judged = {.verdict = SQ_PUSH_FAILED};
	struct sq_push_ended in = {
	    .push = &plain, .taken = taken, .n = 1, .judged = &judged, .now_ms = 159999};
	struct sq_taker_outcome out;

	sq_push_outcomes(&in, &out);
	cr_assert_not(out.last);
	in.now_ms = 160000;
	sq_push_outcomes(&in, &out);
	cr_assert(out.last);
}

Test(push_outcomes, waits_grow_up_to_the_longest)
{
	struct sq_dispatch_retry r = {.first_ms = 1000, .max_ms = 10000, .factor = 3};

	cr_assert_eq(sq_push_retry_ms(&r, 1, 7), 1000);
	cr_assert_eq(sq_push_retry_ms(&r, 2, 7), 3000);
	cr_assert_eq(sq_push_retry_ms(&r, 3, 7), 9000);
	cr_assert_eq(sq_push_retry_ms(&r, 4, 7), 10000);
	cr_assert_eq(sq_push_retry_ms(&r, UINT32_MAX, 7), 10000);
	r.jitter = true;
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t ms = sq_push_retry_ms(&r, 3, i * 7919);

		cr_assert(ms >= 4500 && ms <= 9000, "%llu", (unsigned long long)ms);
	}
	r.first_ms = 0;
	cr_assert_eq(sq_push_retry_ms(&r, 3, 7), 0); /* the queue's own */
}
