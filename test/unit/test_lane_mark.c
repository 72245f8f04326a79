/* proto/link/lane_mark: the batches of a lane among marks. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/bytes.h"
#include "proto/link/lane_mark.h"

enum { BOUND = 1 << 20, RUN = 5 };

static struct sq_lane_out *l;

static void
setup(void)
{
	l = sq_lane_out_new(1, RUN, BOUND);
}

static void
tidy(void)
{
	sq_lane_out_free(&l);
}

TestSuite(lane_mark, .init = setup, .fini = tidy);

static void
publish(uint16_t id)
{
	struct sq_lane_publish m = {.qos = 1,
	    .packet_id = id,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = {(const unsigned char *)"t", 1}};

	cr_assert_eq(sq_lane_out_message(l, &m), 0);
}

/* Takes a batch of 'n' entries from 'first' on, that bears 'mark'. */
static struct sq_lane_flight
fly(uint32_t top, uint64_t first, uint16_t n, uint32_t mark)
{
	struct sq_lane_flight f;

	cr_assert(sq_lane_out_take(l, top, &f));
	cr_assert_eq(f.first, first, "%u", (unsigned)f.first);
	cr_assert_eq(f.n, n);
	cr_assert_eq(sq_get32(f.header + SQ_BATCH_HEADER_V1), mark);
	return f;
}

static void
stay(uint32_t top)
{
	struct sq_lane_flight f;

	cr_assert_not(sq_lane_out_take(l, top, &f));
}

static void
answer(const struct sq_lane_flight *f, uint8_t code)
{
	unsigned char codes[16];
	struct sq_outcomes o = {.first = f->first, .n = f->n, .codes = codes};
	struct sq_lane_outcome out;

	memset(codes, code, f->n);
	cr_assert_eq(sq_lane_out_answered(l, f, &o), 0);
	if (code < 0x80)
		while (sq_lane_out_outcome(l, &out))
			continue;
}

Test(lane_mark, no_batch_spans_a_mark_or_leaves_before_it)
{
	struct sq_lane_flight f[3];

	publish(1);
	publish(2);
	sq_lane_out_mark(l, 1);
	publish(3);
	sq_lane_out_mark(l, 2);
	sq_lane_out_mark(l, 3);
	publish(4);
	publish(5);
	f[0] = fly(0, 1, 2, 0);
	stay(0);
	f[1] = fly(1, 3, 1, 1);
	stay(2);
	f[2] = fly(3, 4, 2, 3);
	for (int i = 0; i < 3; i++)
		answer(&f[i], 0);
}

Test(lane_mark, what_comes_before_a_mark)
{
	struct sq_lane_flight f[3];

	cr_assert(sq_lane_out_sent(l, 1));
	cr_assert_eq(sq_lane_out_before(l, 1), 0);
	publish(1);
	publish(2);
	cr_assert_not(sq_lane_out_sent(l, 1));
	sq_lane_out_mark(l, 1);
	cr_assert_not(sq_lane_out_behind(l, 1));
	publish(3);
	cr_assert(sq_lane_out_behind(l, 1));
	cr_assert_eq(sq_lane_out_before(l, 1), 2);
	cr_assert_eq(sq_lane_out_before(l, 2), 3);
	f[0] = fly(0, 1, 2, 0);
	cr_assert(sq_lane_out_sent(l, 1));
	cr_assert_not(sq_lane_out_sent(l, 2));
	f[1] = fly(1, 3, 1, 1);
	cr_assert(sq_lane_out_sent(l, 2));
	sq_lane_out_failed(l, &f[0]);
	cr_assert_not(sq_lane_out_sent(l, 1), "it is to be posted again");
	cr_assert_eq(sq_lane_out_before(l, 1), 2);
	f[0] = fly(1, 1, 2, 0);
	answer(&f[0], 0);
	cr_assert(sq_lane_out_sent(l, 1));
	cr_assert_eq(sq_lane_out_before(l, 1), 2);
	answer(&f[1], 0);
	cr_assert_eq(sq_lane_out_before(l, 1), 3, "whoever knows 3 knows 2");
}

/* The one mark has its answer, the other one has not. */
static uint32_t
less_one(void *arg, uint32_t mark)
{
	(void)arg;
	return mark > 0 ? mark - 1 : 0;
}

static void
attach(uint64_t last, bool same)
{
	struct sq_lane_attach a = {.last = last, .same = same, .run = 77};

	sq_lane_out_remark(l, less_one, NULL);
	sq_lane_out_attached(l, &a);
}

Test(lane_mark, an_attach_counts_marks_and_numbers_anew)
{
	struct sq_lane_flight f[3];

	publish(1);
	sq_lane_out_mark(l, 1);
	publish(2);
	sq_lane_out_mark(l, 2);
	publish(3);
	f[0] = fly(2, 1, 1, 0);
	f[1] = fly(2, 2, 1, 1);
	f[2] = fly(2, 3, 1, 2);
	answer(&f[2], 0);
	attach(10, false); /* what has no answer gets the numbers 11 and 12 */
	sq_lane_out_failed(l, &f[0]);
	sq_lane_out_failed(l, &f[1]);
	cr_assert_eq(sq_lane_out_before(l, 1), 12);
	sq_lane_out_mark(l, 2);
	publish(4);
	cr_assert_eq(sq_lane_out_before(l, 1), 12);
	cr_assert_eq(sq_lane_out_before(l, 2), 12);
	cr_assert_eq(sq_lane_out_before(l, 3), 13);
	f[0] = fly(0, 11, 1, 0);
	f[1] = fly(0, 12, 1, 0);
	stay(1);
	f[2] = fly(2, 13, 1, 2);
	for (int i = 0; i < 3; i++)
		answer(&f[i], 0);
}

Test(lane_mark, a_held_message_goes_again_behind_the_last_mark)
{
	struct sq_lane_flight f;
	struct sq_lane_outcome o;

	publish(1);
	f = fly(0, 1, 1, 0);
	sq_lane_out_mark(l, 1);
	answer(&f, 0x97);
	cr_assert(sq_lane_out_outcome(l, &o));
	sq_lane_out_hold(l);
	cr_assert(sq_lane_out_sent(l, 1), "it was admitted");
	sq_lane_out_retry(l);
	cr_assert_eq(sq_lane_out_before(l, 1), 1);
	cr_assert(sq_lane_out_sent(l, 1));
	stay(0);
	f = fly(1, 2, 1, 1);
	answer(&f, 0);
	cr_assert(sq_lane_out_idle(l));
}

Test(lane_mark, marks_that_count_no_more)
{
	struct sq_lane_flight f[3];

	publish(1);
	sq_lane_out_mark(l, 1);
	publish(2);
	sq_lane_out_mark(l, 4);
	publish(3);
	f[0] = fly(1, 1, 1, 0);
	sq_lane_out_unmark(l, 1);
	publish(4);
	f[1] = fly(1, 2, 1, 1);
	f[2] = fly(1, 3, 2, 1);
	for (int i = 0; i < 3; i++)
		answer(&f[i], 0);
	sq_lane_out_unmark(l, 0);
	publish(5);
	f[0] = fly(0, 5, 1, 0);
	answer(&f[0], 0);
}

Test(lane_mark, an_entry_waits_alone_and_with_it_what_follows)
{
	struct sq_lane_flight f[2];

	publish(1);
	sq_lane_out_wait(l);
	publish(2);
	publish(3);
	f[0] = fly(0, 1, 1, 0);
	stay(9);
	cr_assert_not(sq_lane_out_sent(l, 1));
	answer(&f[0], 0);
	stay(9);
	attach(1, true);
	stay(9);
	sq_lane_out_go(l);
	f[0] = fly(0, 2, 2, 0);
	cr_assert(sq_lane_out_sent(l, 1));
	publish(4);
	f[1] = fly(0, 4, 1, 0);
	answer(&f[0], 0);
	answer(&f[1], 0);
}
