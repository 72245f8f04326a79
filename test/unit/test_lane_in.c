/* The broker's end of a lane: the table of docs/link.md, row by row. */
#include <criterion/criterion.h>

#include "proto/link/lane_in.h"

static struct sq_batch
batch(uint64_t run, uint64_t first, uint16_t n, uint64_t upto)
{
	return (struct sq_batch){.lane = 1, .run = run, .first = first, .n = n, .upto = upto};
}

static enum sq_lane_verdict
offer(const struct sq_lane_in *l, uint64_t run, uint64_t first, uint16_t n, uint16_t *skip)
{
	struct sq_batch b = batch(run, first, n, 0);

	return sq_lane_in_offer(l, &b, skip);
}

static void
admit(struct sq_lane_in *l, uint64_t run, uint64_t first, uint16_t n, uint64_t upto)
{
	struct sq_batch b = batch(run, first, n, upto);
	uint16_t skip;

	cr_assert_eq(sq_lane_in_offer(l, &b, &skip), SQ_LANE_ADMIT);
	sq_lane_in_admit(l, &b);
}

Test(lane_in, a_new_lane_takes_the_first_number_of_any_run)
{
	struct sq_lane_in l = {0};
	uint16_t skip;

	cr_assert_eq(offer(&l, 7, 1, 5, &skip), SQ_LANE_ADMIT);
	cr_assert_eq(skip, 0);
	cr_assert_eq(offer(&l, 7, 2, 5, &skip), SQ_LANE_EARLY);
	cr_assert_eq(l.last, 0, "an offer changes nothing");
}

Test(lane_in, numbers_follow_one_another)
{
	struct sq_lane_in l = {0};
	uint16_t skip;

	admit(&l, 7, 1, 5, 0);
	cr_assert_eq(l.last, 5);
	cr_assert_eq(offer(&l, 7, 6, 1, &skip), SQ_LANE_ADMIT);
	cr_assert_eq(offer(&l, 7, 7, 1, &skip), SQ_LANE_EARLY);
	cr_assert_eq(offer(&l, 7, UINT64_MAX - 1, 1, &skip), SQ_LANE_EARLY);
	sq_lane_in_fini(&l);
}

Test(lane_in, what_is_cut_off_a_batch_is_offered_again)
{
	struct sq_lane_in l = {0};
	uint8_t codes[10];
	uint16_t skip;

	admit(&l, 7, 1, 10, 0);
	for (unsigned i = 1; i <= 4; i++)
		sq_lane_in_set(&l, i, (uint8_t)i);
	sq_lane_in_cut(&l, 4);
	cr_assert_eq(l.last, 4);
	cr_assert_eq(offer(&l, 7, 11, 1, &skip), SQ_LANE_EARLY);
	cr_assert_eq(offer(&l, 7, 1, 10, &skip), SQ_LANE_ADMIT);
	cr_assert_eq(skip, 4);
	admit(&l, 7, 1, 10, 0);
	cr_assert(sq_lane_in_outcomes(&l, 1, 10, codes));
	for (unsigned i = 0; i < 10; i++)
		cr_assert_eq(codes[i], i < 4 ? i + 1 : 0);
	sq_lane_in_fini(&l);
}

Test(lane_in, the_same_number_of_the_same_run_is_known_of_another_refused)
{
	struct sq_lane_in l = {0};
	uint16_t skip;

	admit(&l, 7, 1, 5, 0);
	cr_assert_eq(offer(&l, 7, 1, 5, &skip), SQ_LANE_KNOWN);
	cr_assert_eq(skip, 5);
	cr_assert_eq(offer(&l, 7, 3, 1, &skip), SQ_LANE_KNOWN);
	cr_assert_eq(offer(&l, 8, 1, 5, &skip), SQ_LANE_RUN);
	cr_assert_eq(offer(&l, 8, 5, 9, &skip), SQ_LANE_RUN);
	cr_assert_eq(offer(&l, 8, 6, 1, &skip), SQ_LANE_ADMIT, "a new run goes on behind the last");
	cr_assert_eq(offer(&l, 8, 7, 1, &skip), SQ_LANE_EARLY);
	sq_lane_in_fini(&l);
}

Test(lane_in, a_batch_half_known_is_admitted_from_its_first_new_number)
{
	struct sq_lane_in l = {0};
	uint16_t skip;
	uint8_t codes[6];

	admit(&l, 7, 1, 4, 0);
	sq_lane_in_set(&l, 4, 0x97);
	cr_assert_eq(offer(&l, 7, 3, 4, &skip), SQ_LANE_ADMIT);
	cr_assert_eq(skip, 2);
	admit(&l, 7, 3, 4, 0);
	cr_assert_eq(l.last, 6);
	cr_assert(sq_lane_in_outcomes(&l, 3, 4, codes));
	cr_assert_eq(codes[0], 0);
	cr_assert_eq(codes[1], 0x97, "what it knew keeps its outcome");
	sq_lane_in_fini(&l);
}

Test(lane_in, outcomes_are_kept_until_the_sender_has_them)
{
	struct sq_lane_in l = {0};
	uint8_t codes[10];
	uint16_t skip;

	admit(&l, 7, 1, 10, 0);
	for (uint64_t i = 1; i <= 10; i++)
		sq_lane_in_set(&l, i, (uint8_t)i);
	cr_assert(sq_lane_in_outcomes(&l, 1, 10, codes));
	for (unsigned i = 0; i < 10; i++)
		cr_assert_eq(codes[i], i + 1);
	admit(&l, 7, 11, 1, 4);
	cr_assert_not(sq_lane_in_outcomes(&l, 4, 1, codes));
	cr_assert(sq_lane_in_outcomes(&l, 5, 6, codes));
	cr_assert_eq(codes[5], 10);
	cr_assert_eq(offer(&l, 7, 4, 2, &skip), SQ_LANE_RUN, "4 is forgotten");
	cr_assert_eq(offer(&l, 7, 5, 2, &skip), SQ_LANE_KNOWN);
	cr_assert_not(sq_lane_in_outcomes(&l, 11, 2, codes), "12 has none yet");
	sq_lane_in_fini(&l);
}

Test(lane_in, outcomes_survive_the_growth_of_their_ring)
{
	struct sq_lane_in l = {0};
	uint8_t codes[1000];

	for (uint64_t first = 1; first < 1000; first += 37) {
		admit(&l, 7, first, 37, 0);
		for (uint64_t i = first; i < first + 37; i++)
			sq_lane_in_set(&l, i, (uint8_t)i);
	}
	cr_assert(sq_lane_in_outcomes(&l, 1, 999, codes));
	for (unsigned i = 0; i < 999; i++)
		cr_assert_eq(codes[i], (uint8_t)(i + 1));
	sq_lane_in_fini(&l);
}

Test(lane_in, a_new_run_forgets_the_outcomes_of_the_old_one)
{
	struct sq_lane_in l = {0};
	uint8_t codes[3];
	uint16_t skip;

	admit(&l, 7, 1, 3, 0);
	admit(&l, 8, 4, 1, 3);
	cr_assert_not(sq_lane_in_outcomes(&l, 1, 3, codes));
	cr_assert(sq_lane_in_outcomes(&l, 4, 1, codes));
	cr_assert_eq(offer(&l, 8, 3, 1, &skip), SQ_LANE_RUN);
	cr_assert_eq(offer(&l, 7, 5, 1, &skip), SQ_LANE_ADMIT, "runs may change again");
	sq_lane_in_fini(&l);
}

Test(lane_in, a_failed_commit_takes_the_last_number_back)
{
	struct sq_lane_in l = {0};
	uint16_t skip;

	admit(&l, 7, 1, 3, 0);
	sq_lane_in_done(&l, 3);
	admit(&l, 7, 4, 2, 3);
	admit(&l, 7, 6, 2, 3);
	sq_lane_in_failed(&l);
	cr_assert_eq(l.last, 3);
	cr_assert_eq(offer(&l, 7, 4, 4, &skip), SQ_LANE_ADMIT);
	cr_assert_eq(skip, 0);
	cr_assert_eq(offer(&l, 9, 4, 4, &skip), SQ_LANE_ADMIT);
	sq_lane_in_fini(&l);
}

Test(lane_in, a_failed_commit_of_a_new_run_takes_its_numbers_back_too)
{
	struct sq_lane_in l = {0};
	uint16_t skip;

	admit(&l, 7, 1, 3, 0);
	admit(&l, 8, 4, 3, 0);
	sq_lane_in_failed(&l);
	cr_assert_eq(l.last, 0);
	cr_assert_eq(offer(&l, 8, 1, 3, &skip), SQ_LANE_ADMIT);
	admit(&l, 8, 1, 3, 0);
	cr_assert_eq(l.last, 3);
	sq_lane_in_fini(&l);
}

Test(lane_in, a_saved_lane_answers_as_before)
{
	struct sq_lane_in l = {0}, back = {0};
	struct sq_buf saved = {0};
	uint8_t codes[4];
	uint16_t skip;

	admit(&l, 7, 1, 10, 0);
	sq_lane_in_set(&l, 3, 0x87);
	sq_lane_in_set(&l, 8, 0x97);
	sq_lane_in_set(&l, 10, 0x10);
	admit(&l, 7, 11, 1, 4);
	sq_lane_in_save(&l, &saved);
	cr_assert_eq(sq_lane_in_load(&back, sq_buf_bytes(&saved)), SQ_OK);
	cr_assert_eq(back.last, 11);
	cr_assert_eq(back.done, 11);
	cr_assert_eq(offer(&back, 7, 7, 4, &skip), SQ_LANE_KNOWN);
	cr_assert(sq_lane_in_outcomes(&back, 7, 4, codes));
	cr_assert_arr_eq(codes, ((uint8_t[]){0, 0x97, 0, 0x10}), 4);
	cr_assert_eq(offer(&back, 7, 4, 2, &skip), SQ_LANE_RUN, "no longer kept");
	cr_assert_eq(offer(&back, 8, 11, 1, &skip), SQ_LANE_RUN);
	cr_assert_eq(offer(&back, 8, 12, 1, &skip), SQ_LANE_ADMIT);
	sq_lane_in_fini(&back);
	back = (struct sq_lane_in){0};
	for (size_t n = 0; n < sq_buf_len(&saved); n++) {
		int err = sq_lane_in_load(&back, (struct sq_bytes){sq_buf_data(&saved), n});

		cr_assert_eq(err == SQ_OK, n >= 24 && (n - 24) % 5 == 0, "%zu bytes", n);
		sq_lane_in_fini(&back);
		back = (struct sq_lane_in){0};
	}
	sq_lane_in_fini(&l);
	sq_buf_fini(&saved);
}
