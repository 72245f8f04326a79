/* test/support/fake_shared.[ch]: its misdeeds are those that tests ask for. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <string.h>

#include "core/err.h"
#include "../support/fake_shared.h"

enum { STORE = 77, DEADLINE_MS = 50 };

static struct fake_shared *shared;
static struct fake_way *way;

static struct sq_shared *
dialled(struct fake_way *w)
{
	struct sq_shared *c = NULL;
	struct sq_buf err = {0};

	cr_assert_eq(fake_shared_ops.dial(&c, w, DEADLINE_MS, &err), SQ_OK);
	return c;
}

static enum sq_shared_result
claim(struct sq_shared *c, uint64_t expected, uint64_t nonce, bool roll)
{
	struct sq_shared_claim claim = {
	    .expected = expected, .nonce = nonce, .holder = "me", .roll = roll};
	struct sq_shared_head head;
	enum sq_shared_result result = fake_shared_ops.claim(c, &claim, &head);

	if (result == SQ_SHARED_DONE)
		cr_assert_eq(head.nonce, nonce);
	return result;
}

static enum sq_shared_result
append(struct sq_shared *c, uint64_t nonce, uint64_t lsn)
{
	return fake_shared_ops.append(c, nonce, 1, lsn, lsn - 1, sq_bytes_of("data"));
}

static uint64_t
last(void)
{
	struct sq_shared_head head;

	fake_shared_head(shared, &head);
	return head.last;
}

static struct sq_shared *
begin(void)
{
	struct sq_shared *c;

	shared = fake_shared_new(STORE);
	way = fake_shared_way(shared);
	c = dialled(way);
	cr_assert_eq(claim(c, 0, 5, false), SQ_SHARED_DONE);
	cr_assert_eq(append(c, 5, 1), SQ_SHARED_DONE);
	return c;
}

static void
again(struct sq_shared **cp)
{
	fake_shared_ops.hang_up(cp);
	*cp = dialled(way);
}

static void
end(struct sq_shared *c)
{
	fake_shared_ops.hang_up(&c);
	fake_shared_free(&shared);
}

Test(fake_shared, judges_nonce_and_lsn)
{
	struct sq_shared *c = begin();

	cr_assert_eq(append(c, 4, 2), SQ_SHARED_REFUSED);
	cr_assert_eq(append(c, 5, 3), SQ_SHARED_REFUSED);
	cr_assert_eq(append(c, 5, 1), SQ_SHARED_REFUSED);
	cr_assert_eq(append(c, 5, 2), SQ_SHARED_DONE);
	cr_assert_eq(claim(c, 4, 6, false), SQ_SHARED_REFUSED);
	cr_assert_eq(claim(c, 5, 6, false), SQ_SHARED_DONE);
	cr_assert_eq(claim(c, 5, 6, false), SQ_SHARED_DONE, "the same again");
	cr_assert_eq(fake_shared_ops.beat(c, 5, 0, false), SQ_SHARED_REFUSED);
	cr_assert_eq(fake_shared_ops.beat(c, 6, 2, true), SQ_SHARED_DONE);
	end(c);
}

Test(fake_shared, each_fault_is_what_it_says)
{
	static const struct {
		enum fake_fault fault;
		enum sq_shared_result result;
		uint64_t last, late, failed; /* after it, after late writes, after a fail-over */
	} faults[] = {
	    {FAKE_NONE, SQ_SHARED_DONE, 2, 2, 2},
	    {FAKE_LOST, SQ_SHARED_UNKNOWN, 1, 1, 1},
	    {FAKE_UNANSWERED, SQ_SHARED_UNKNOWN, 2, 2, 2},
	    {FAKE_LATE, SQ_SHARED_UNKNOWN, 1, 2, 2},
	    {FAKE_HANGS, SQ_SHARED_UNKNOWN, 1, 1, 1},
	    {FAKE_NOT_DONE, SQ_SHARED_NOT_DONE, 1, 1, 1},
	};

	for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		struct sq_shared *c = begin();

		fake_shared_fault(shared, FAKE_APPEND, faults[i].fault, 1);
		cr_assert_eq(append(c, 5, 2), faults[i].result);
		cr_assert_eq(last(), faults[i].last);
		fake_shared_late(shared);
		cr_assert_eq(last(), faults[i].late);
		fake_shared_fail_over(shared);
		cr_assert_eq(last(), faults[i].failed);
		again(&c);
		cr_assert_eq(append(c, 5, last() + 1), SQ_SHARED_DONE, "one time alone");
		end(c);
	}
}

/* Trap 1, and trap 2: what is read is not yet durable. */
Test(fake_shared, a_doubtful_record_is_seen_after_a_restart_and_gone_after_a_fail_over)
{
	struct sq_shared *c = begin();

	cr_assert(!fake_shared_ops.doubtful(c));
	fake_shared_fault(shared, FAKE_APPEND, FAKE_DOUBTFUL, 1);
	cr_assert_eq(append(c, 5, 2), SQ_SHARED_UNKNOWN);
	cr_assert(fake_shared_ops.doubtful(c));
	cr_assert_eq(last(), 1);
	fake_shared_restart(shared);
	cr_assert_eq(last(), 2);
	fake_shared_fail_over(shared);
	cr_assert_eq(last(), 1);
	end(c);
}

Test(fake_shared, a_stalled_copy_keeps_answers_back)
{
	struct sq_shared *c = begin();

	fake_shared_stall(shared, true);
	cr_assert_eq(append(c, 5, 2), SQ_SHARED_UNKNOWN);
	cr_assert_eq(last(), 1);
	fake_shared_stall(shared, false);
	cr_assert_eq(last(), 2);
	end(c);
}

Test(fake_shared, a_broker_that_is_cut_does_not_stop_others)
{
	struct sq_shared *c = begin(), *other = dialled(fake_shared_way(shared));
	struct sq_buf err = {0};
	struct sq_shared *none = NULL;

	fake_way_cut(way, true);
	cr_assert_eq(append(c, 5, 2), SQ_SHARED_UNKNOWN);
	cr_assert_eq(fake_shared_ops.dial(&none, way, DEADLINE_MS, &err), SQ_EIO);
	cr_assert_gt(sq_buf_len(&err), 0);
	cr_assert_eq(claim(other, 5, 6, false), SQ_SHARED_DONE);
	fake_shared_ops.hang_up(&other);
	sq_buf_fini(&err);
	end(c);
}

static bool
sum(void *arg, uint64_t lsn, uint64_t epoch, uint64_t sure, struct sq_bytes data)
{
	cr_assert_eq(sure, lsn - 1);
	cr_assert_eq(epoch, 1);
	cr_assert(sq_bytes_are(data, "data"));
	*(uint64_t *)arg = *(uint64_t *)arg * 10 + lsn;
	return lsn < 5;
}

Test(fake_shared, reads_in_order_and_drops_whole_segments)
{
	struct sq_shared *c = begin();
	struct sq_shared_head head;
	uint64_t seen = 0;

	for (uint64_t lsn = 2; lsn <= 6; lsn++) {
		if (lsn == 4)
			cr_assert_eq(claim(c, 5, 6, true), SQ_SHARED_DONE);
		cr_assert_eq(append(c, lsn < 4 ? 5 : 6, lsn), SQ_SHARED_DONE);
	}
	cr_assert_eq(fake_shared_segments(shared), 2);
	cr_assert_eq(fake_shared_ops.read(c, 1, 8, &head, sum, &seen), SQ_SHARED_DONE);
	cr_assert_eq(seen, 23);
	cr_assert_eq(head.last, 6);
	seen = 0;
	cr_assert_eq(fake_shared_ops.read(c, 2, 1 << 20, &head, sum, &seen), SQ_SHARED_DONE);
	cr_assert_eq(seen, 345, "until its reader has enough");
	cr_assert_eq(fake_shared_ops.drop(c, 2), SQ_SHARED_DONE);
	cr_assert_eq(fake_shared_segments(shared), 2);
	cr_assert_eq(fake_shared_ops.drop(c, 6), SQ_SHARED_DONE);
	cr_assert_eq(fake_shared_segments(shared), 1);
	fake_shared_head(shared, &head);
	cr_assert_eq(head.first, 4);
	end(c);
}

static void
count(void *arg, const struct sq_shared_peer *peer)
{
	*(uint64_t *)arg += peer->applied;
}

Test(fake_shared, peers_and_snapshots_are_kept)
{
	struct sq_shared *c = begin();
	struct sq_shared_peer a = {.id = "a", .applied = 1}, b = {.id = "b", .applied = 10};
	struct sq_shared_snapshot s = {.lsn = 1}, older;
	struct sq_buf row = {0};
	uint64_t sum_of = 0;

	cr_assert_eq(fake_shared_ops.announce(c, &a, count, &sum_of), SQ_SHARED_DONE);
	a.applied = 2;
	cr_assert_eq(fake_shared_ops.announce(c, &a, count, &sum_of), SQ_SHARED_DONE);
	cr_assert_eq(fake_shared_ops.announce(c, &b, count, &sum_of), SQ_SHARED_DONE);
	cr_assert_eq(sum_of, 1 + 2 + 12);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(fake_shared_ops.snap_begin(c, &s), SQ_SHARED_DONE);
		cr_assert_eq(
		    fake_shared_ops.snap_put(c, s.n, 1, sq_bytes_of("row")), SQ_SHARED_DONE);
		cr_assert_eq(fake_shared_ops.snap_done(c, &s), SQ_SHARED_DONE);
	}
	cr_assert_eq(fake_shared_ops.snap_newest(c, &s, &older), SQ_SHARED_DONE);
	cr_assert_eq(s.n, 3);
	cr_assert_eq(older.n, 2);
	cr_assert_eq(fake_shared_ops.snap_get(c, 1, 1, &row), SQ_SHARED_NOT_DONE);
	cr_assert_eq(fake_shared_ops.snap_get(c, 3, 2, &row), SQ_SHARED_NOT_DONE);
	cr_assert_eq(fake_shared_ops.snap_get(c, 3, 1, &row), SQ_SHARED_DONE);
	cr_assert(sq_bytes_are(sq_buf_bytes(&row), "row"));
	sq_buf_fini(&row);
	end(c);
}
