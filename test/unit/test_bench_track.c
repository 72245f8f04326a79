/* The load generator's bookkeeping of sequence numbers: it says whether a
 * broker lost, doubled or reordered a message. */
#include <criterion/criterion.h>

#include <stdbool.h>

#include "bench/track.h"

Test(track, counts_nothing_while_all_is_in_order)
{
	struct sq_track t = {0};

	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(sq_track_see(&t, i), SQ_TRACK_NEXT);
	cr_assert_eq(sq_track_unique(&t), 1000);
	cr_assert_eq(t.late + t.duplicate + t.missing, 0);
	cr_assert_null(t.gap);
	sq_track_fini(&t);
}

Test(track, tells_a_duplicate_from_a_late_number)
{
	struct sq_track t = {0};

	cr_assert_eq(sq_track_see(&t, 0), SQ_TRACK_NEXT);
	cr_assert_eq(sq_track_see(&t, 3), SQ_TRACK_SKIP);
	cr_assert_eq(t.missing, 2);
	cr_assert_eq(sq_track_see(&t, 1), SQ_TRACK_LATE);
	cr_assert_eq(sq_track_see(&t, 1), SQ_TRACK_DUPLICATE);
	cr_assert_eq(sq_track_see(&t, 3), SQ_TRACK_DUPLICATE);
	cr_assert_eq(sq_track_see(&t, 2), SQ_TRACK_LATE);
	cr_assert_eq(sq_track_see(&t, 4), SQ_TRACK_NEXT);
	cr_assert_eq(t.missing, 0);
	cr_assert_eq(t.late, 2);
	cr_assert_eq(t.duplicate, 2);
	cr_assert_eq(sq_track_unique(&t), 5);
	cr_assert_eq(t.ngaps, 0);
	sq_track_fini(&t);
}

Test(track, counts_a_first_number_above_zero_as_loss)
{
	struct sq_track t = {0};

	cr_assert_eq(sq_track_see(&t, 7), SQ_TRACK_SKIP);
	cr_assert_eq(t.missing, 7);
	cr_assert_eq(sq_track_unique(&t), 1);
	sq_track_fini(&t);
}

/* Against the obvious implementation, in an order that splits, shortens and
 * closes gaps. */
Test(track, agrees_with_a_bitmap_on_random_input)
{
	enum { N = 4096 };
	static bool seen[N];
	struct sq_track t = {0};
	uint64_t seed = 7, unique = 0, duplicates = 0, top = 0, late = 0;

	for (unsigned i = 0; i < 3 * N; i++) {
		uint64_t seq;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		seq = (seed >> 33) % (i / 3 + 1);
		if (seen[seq]) {
			duplicates++;
			cr_assert_eq(sq_track_see(&t, seq), SQ_TRACK_DUPLICATE);
			continue;
		}
		seen[seq] = true;
		unique++;
		late += seq < top;
		cr_assert_eq(sq_track_see(&t, seq),
		    seq < top        ? SQ_TRACK_LATE
			: seq == top ? SQ_TRACK_NEXT
				     : SQ_TRACK_SKIP);
		if (seq >= top)
			top = seq + 1;
		cr_assert_eq(sq_track_unique(&t), unique);
	}
	cr_assert_eq(t.duplicate, duplicates);
	cr_assert_eq(t.late, late);
	cr_assert_gt(late, 100);
	sq_track_fini(&t);
}

Test(track, stays_bounded_and_exact_in_its_sum_when_every_other_is_lost)
{
	struct sq_track t = {0};
	uint64_t n = 3 * (uint64_t)SQ_TRACK_GAPS_MAX;

	for (uint64_t i = 0; i < n; i++)
		cr_assert_eq(sq_track_see(&t, 2 * i + 1), SQ_TRACK_SKIP);
	cr_assert_eq(t.missing, n);
	cr_assert_eq(sq_track_unique(&t), n);
	cr_assert_leq(t.ngaps, SQ_TRACK_GAPS_MAX);
	sq_track_fini(&t);
}
