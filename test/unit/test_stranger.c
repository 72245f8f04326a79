/* broker/front/door/stranger.h: who must go, and for whom. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "broker/front/door/stranger.h"
#include "core/mem.h"

enum { GUESTS = 16 };

static struct sq_strangers *all;
static struct sq_guest guests[GUESTS];
static bool in[GUESTS];
static unsigned woken[2];

static void
wake(void *owner, unsigned worker)
{
	(void)owner;
	woken[worker]++;
}

static void
start(unsigned max, unsigned per_address, size_t total)
{
	all = sq_strangers_new(&(struct sq_strangers_cfg){
	    .workers = 2, .max = max, .per_address = per_address, .total = total, .wake = wake});
}

static void
leave(unsigned i)
{
	sq_strangers_leave(all, &guests[i]);
	in[i] = false;
}

static void
tidy(void)
{
	for (unsigned i = 0; i < GUESTS; i++)
		if (in[i])
			leave(i);
	sq_strangers_free(&all);
}

TestSuite(stranger, .fini = tidy);

/* Guest 'i' comes to worker i % 2, from the address 'from'. */
static enum sq_end
enter_from(unsigned i, unsigned char from, uint64_t now_ms)
{
	unsigned char address[SQ_STRANGER_ADDRESS_SIZE] = {from};
	enum sq_end why = sq_strangers_enter(all, &guests[i], i % 2, address, now_ms);

	in[i] = why == SQ_END_NONE;
	return why;
}

static enum sq_end
enter(unsigned i)
{
	return enter_from(i, (unsigned char)i, i);
}

/* The only guest that must go is 'i', for that reason; it goes. */
static void
goes(unsigned i, enum sq_end why)
{
	enum sq_end said = SQ_END_NONE;

	cr_assert_eq(sq_strangers_leaving(all, i % 2, &said), &guests[i], "not %u", i);
	cr_assert_eq(said, why, "%s", sq_end_name(said));
	cr_assert_null(sq_strangers_leaving(all, 0, &said));
	cr_assert_null(sq_strangers_leaving(all, 1, &said));
	leave(i);
}

static void
nobody_goes(void)
{
	enum sq_end why;

	cr_assert_null(sq_strangers_leaving(all, 0, &why));
	cr_assert_null(sq_strangers_leaving(all, 1, &why));
}

Test(stranger, a_quarter_is_kept_for_links)
{
	start(8, 0, 1000);
	for (unsigned i = 0; i < 6; i++)
		cr_assert_eq(enter(i), SQ_END_NONE);
	nobody_goes();
	cr_assert_eq(enter(6), SQ_END_NONE);
	goes(0, SQ_END_FULL);
	sq_strangers_stand(all, &guests[1], SQ_STANDING_HELD);
	cr_assert_eq(enter(7), SQ_END_NONE);
	nobody_goes();
	sq_strangers_stand(all, &guests[2], SQ_STANDING_HELD);
	cr_assert_eq(enter(8), SQ_END_NONE);
	nobody_goes();
	cr_assert_eq(enter(9), SQ_END_NONE);
	goes(3, SQ_END_FULL);
	for (unsigned i = 4; i < 10; i++)
		sq_strangers_stand(all, &guests[i], SQ_STANDING_HELD);
	cr_assert_eq(enter(10), SQ_END_FULL, "no link goes");
	cr_assert_eq(sq_strangers_count(all).guests, 8);
	cr_assert_eq(sq_strangers_count(all).strangers, 0);
}

Test(stranger, strangers_go_before_those_who_are_asked_and_these_before_the_known)
{
	start(4, 0, 1000);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(enter(i), SQ_END_NONE);
	sq_strangers_stand(all, &guests[0], SQ_STANDING_KNOWN);
	sq_strangers_stand(all, &guests[1], SQ_STANDING_ASKED);
	cr_assert_eq(enter(3), SQ_END_NONE);
	goes(2, SQ_END_FULL);
	sq_strangers_stand(all, &guests[3], SQ_STANDING_KNOWN);
	cr_assert_eq(enter(4), SQ_END_NONE);
	goes(1, SQ_END_FULL);
	sq_strangers_stand(all, &guests[4], SQ_STANDING_HELD);
	cr_assert_eq(enter(5), SQ_END_NONE);
	sq_strangers_stand(all, &guests[5], SQ_STANDING_KNOWN);
	nobody_goes();
	cr_assert_eq(enter(6), SQ_END_NONE);
	goes(0, SQ_END_FULL);
}

Test(stranger, who_asked_in_vain_goes_first)
{
	start(4, 0, 1000);
	for (unsigned i = 0; i < 3; i++)
		enter(i);
	sq_strangers_stand(all, &guests[2], SQ_STANDING_ASKED);
	sq_strangers_stand(all, &guests[2], SQ_STANDING_STRANGER);
	cr_assert_eq(enter(3), SQ_END_NONE);
	goes(2, SQ_END_FULL);
}

Test(stranger, an_address_has_its_own_limit_of_strangers)
{
	start(100, 2, 1000);
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(enter_from(i, 1, i), SQ_END_NONE);
	cr_assert_eq(enter_from(2, 2, 2), SQ_END_NONE);
	nobody_goes();
	cr_assert_eq(enter_from(3, 1, 3), SQ_END_NONE);
	goes(0, SQ_END_ADDRESS);
	sq_strangers_stand(all, &guests[1], SQ_STANDING_ASKED);
	cr_assert_eq(enter_from(4, 1, 4), SQ_END_NONE, "who is asked does not count");
	nobody_goes();
	sq_strangers_stand(all, &guests[1], SQ_STANDING_STRANGER);
	cr_assert_eq(enter_from(5, 1, 5), SQ_END_NONE);
	goes(1, SQ_END_ADDRESS);
	sq_strangers_stand(all, &guests[3], SQ_STANDING_HELD);
	sq_strangers_stand(all, &guests[4], SQ_STANDING_KNOWN);
	cr_assert_eq(enter_from(6, 1, 6), SQ_END_NONE);
	nobody_goes();
}

Test(stranger, above_the_total_who_holds_most_goes)
{
	start(100, 0, 1000);
	for (unsigned i = 0; i < 5; i++)
		enter(i);
	sq_strangers_hold(all, &guests[0], 300);
	sq_strangers_hold(all, &guests[1], 400);
	sq_strangers_hold(all, &guests[2], 300);
	nobody_goes();
	cr_assert_eq(sq_strangers_count(all).bytes, 1000);
	sq_strangers_hold(all, &guests[3], 1);
	goes(1, SQ_END_MEMORY);
	cr_assert_eq(sq_strangers_count(all).bytes, 601);
	sq_strangers_hold(all, &guests[0], 0); /* it was answered */
	sq_strangers_hold(all, &guests[4], 600);
	nobody_goes();
	sq_strangers_stand(all, &guests[4], SQ_STANDING_ASKED);
	sq_strangers_hold(all, &guests[0], 200);
	goes(2, SQ_END_MEMORY);
	sq_strangers_stand(all, &guests[4], SQ_STANDING_KNOWN);
	cr_assert_eq(sq_strangers_count(all).bytes, 201);
	sq_strangers_hold(all, &guests[4], 5000); /* no stranger's */
	nobody_goes();
	sq_strangers_stand(all, &guests[0], SQ_STANDING_ASKED);
	sq_strangers_hold(all, &guests[0], 1001);
	cr_assert_eq(sq_strangers_count(all).bytes, 0, "all strangers, then who is asked");
}

Test(stranger, a_worker_is_woken_once_until_it_has_looked)
{
	enum sq_end why;

	start(4, 0, 1000);
	woken[0] = woken[1] = 0;
	for (unsigned i = 0; i < 6; i++)
		cr_assert_eq(enter(2 * i), SQ_END_NONE);
	cr_assert_eq(woken[0], 1);
	cr_assert_eq(woken[1], 0);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(sq_strangers_leaving(all, 0, &why), &guests[2 * i]);
	cr_assert_null(sq_strangers_leaving(all, 0, &why));
	sq_strangers_hold(all, &guests[0], 5000); /* it goes already */
	sq_strangers_stand(all, &guests[0], SQ_STANDING_KNOWN);
	nobody_goes();
	enter(12);
	cr_assert_eq(woken[0], 2);
}

/* Whatever happens, the limits hold and nothing is left over. */
Test(stranger, at_random_the_limits_hold)
{
	enum { MAX = 8, EACH = 3, TOTAL = 3000 };
	unsigned seed = 7;

	start(MAX, EACH, TOTAL);
	for (unsigned n = 0; n < 20000; n++) {
		unsigned i = (unsigned)rand_r(&seed) % GUESTS, what = (unsigned)rand_r(&seed) % 6;
		struct sq_strangers_counts counts;
		struct sq_guest *g;
		enum sq_end why;

		if (!in[i])
			(void)enter_from(i, (unsigned char)(i % 3), n * 100);
		else if (what == 0)
			leave(i);
		else if (what < 5)
			sq_strangers_hold(all, &guests[i], (unsigned)rand_r(&seed) % 1500);
		else
			sq_strangers_stand(
			    all, &guests[i], (enum sq_standing)(rand_r(&seed) % SQ_STANDING_COUNT));
		for (unsigned w = 0; w < 2; w++)
			while ((g = sq_strangers_leaving(all, w, &why)) != NULL)
				leave((unsigned)(g - guests));
		counts = sq_strangers_count(all);
		cr_assert_leq(counts.guests, MAX);
		cr_assert_leq(counts.bytes, TOTAL);
	}
}
