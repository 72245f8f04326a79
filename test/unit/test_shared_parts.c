/* The parts of the shared log that know neither a thread nor a driver. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/crc32c.h"
#include "store/log.h"
#include "store/shared/log_batch.h"
#include "store/shared/log_peers.h"
#include "store/shared/record.h"
#include "store/shared/skew.h"
#include "store/shared/upkeep.h"
#include "store/shared/used.h"

/* What is in use */

Test(used, a_release_gives_back_all_ranges_up_to_it)
{
	struct sq_used u;

	sq_used_init(&u, 1280);
	for (uint64_t lsn = 1; lsn <= 10; lsn++)
		sq_used_add(&u, lsn, 100);
	cr_assert_eq(u.bytes, 1000);
	sq_used_release(&u, 4);
	cr_assert_eq(u.bytes, 600);
	sq_used_release(&u, 4);
	cr_assert_eq(u.bytes, 600);
	sq_used_release(&u, 10);
	cr_assert_eq(u.bytes, 0);
}

Test(used, it_never_forgets_bytes_and_never_counts_fewer_than_there_are)
{
	enum { RECORDS = 100000 };
	struct sq_used u;
	uint64_t released = 0;

	sq_used_init(&u, 1 << 20);
	for (uint64_t lsn = 1; lsn <= RECORDS; lsn++) {
		sq_used_add(&u, lsn, lsn % 3 == 0 ? 60000 : 10);
		cr_assert_leq(u.n, SQ_USED_RANGES);
		if (lsn % 777 != 0)
			continue;
		released = lsn - 300;
		sq_used_release(&u, released);
		cr_assert_geq(u.bytes, 100 * UINT64_C(60000) + 200 * 10);
	}
	sq_used_release(&u, RECORDS);
	cr_assert_eq(u.bytes, 0);
}

/* The owner's clock */

Test(skew, nothing_is_known_before_the_first_record)
{
	const struct sq_skew s = {0};

	cr_assert_eq(sq_skew_ms(&s, 0), 0);
}

Test(skew, clocks_that_agree_differ_by_nothing_at_any_part_of_a_second)
{
	struct sq_skew s = {0};

	for (uint64_t ms = 50000; ms < 53000; ms += 7) {
		sq_skew_see(&s, ms, (uint32_t)(ms / 1000), ms - 50, ms + 20);
		cr_assert_eq(sq_skew_ms(&s, ms), 0);
	}
}

Test(skew, records_of_a_second_show_a_difference_nearly_to_the_bounds_of_their_reads)
{
	const int64_t differences[] = {-20000, -1500, 1500, 20000};

	for (size_t i = 0; i < sizeof differences / sizeof differences[0]; i++) {
		struct sq_skew s = {0};

		for (uint64_t ms = 50000; ms < 52000; ms += 7)
			sq_skew_see(&s, ms, (uint32_t)((ms + (uint64_t)differences[i]) / 1000),
			    ms - 10, ms + 10);
		cr_assert_leq(llabs(sq_skew_ms(&s, 52000) - differences[i]), 20);
	}
}

Test(skew, a_clock_that_is_set_is_seen_at_once)
{
	struct sq_skew s = {0};

	sq_skew_see(&s, 1, 50, 50000, 50100);
	sq_skew_see(&s, 2, 70, 50100, 50200);
	cr_assert_gt(sq_skew_ms(&s, 2), 19000);
	sq_skew_see(&s, 3, 50, 50200, 50300);
	cr_assert_eq(sq_skew_ms(&s, 3), 0);
}

Test(skew, the_clock_of_an_owner_that_makes_no_records_any_more_is_forgotten)
{
	struct sq_skew s = {0};

	sq_skew_see(&s, 1, 3650, 50000, 50100);
	cr_assert_gt(sq_skew_ms(&s, 1 + SQ_SKEW_KEEP_MS), SQ_SKEW_CLAIM_MS);
	cr_assert_eq(sq_skew_ms(&s, 1 + 2 * SQ_SKEW_KEEP_MS), 0);
}

/* Brokers */

static void
see(struct sq_log_peers *p, const char *id, uint64_t beats, uint64_t applied, uint64_t kept,
    uint64_t now_ms)
{
	struct sq_shared_peer row = {
	    .format_min = 1, .format_max = 2, .applied = applied, .kept = kept, .beats = beats};

	snprintf(row.id, sizeof row.id, "%s", id);
	sq_log_peers_see(p, &row, now_ms);
}

Test(peers, a_row_alone_is_no_broker_that_lives)
{
	struct sq_log_peers *p = sq_log_peers_new();

	see(p, "a", 7, 10, 5, 0);
	see(p, "a", 7, 10, 5, 1000);
	cr_assert_eq(sq_log_peers_live(p, 1000), 0);
	cr_assert_null(sq_log_peers_first(p, 1000, ""));
	cr_assert_eq(sq_log_peers_kept(p, 1000), UINT64_MAX);
	see(p, "a", 8, 10, 5, 2000);
	cr_assert_eq(sq_log_peers_live(p, 2000), 1);
	cr_assert_eq(sq_log_peers_kept(p, 2000), 5);
	cr_assert_eq(sq_log_peers_live(p, 2000 + SQ_LOG_PEERS_LIVE_MS), 0);
	sq_log_peers_free(&p);
	cr_assert_null(p);
}

Test(peers, the_one_that_has_most_is_first)
{
	struct sq_log_peers *p = sq_log_peers_new();

	for (uint64_t beats = 1; beats <= 2; beats++) {
		see(p, "a", beats, 10, 5, beats);
		see(p, "b", beats, 12, 3, beats);
		see(p, "c", beats, 11, 4, beats);
	}
	cr_assert_str_eq(sq_log_peers_first(p, 2, "a")->id, "b");
	cr_assert_str_eq(sq_log_peers_first(p, 2, "b")->id, "c");
	see(p, "0", 1, 12, 12, 2);
	see(p, "0", 2, 12, 12, 2);
	cr_assert_str_eq(sq_log_peers_first(p, 2, "")->id, "0", "all choose alike");
	cr_assert_eq(sq_log_peers_kept(p, 2), 3);
	cr_assert_eq(sq_log_peers_format(p, 2, 3), 2);
	cr_assert_eq(sq_log_peers_format(p, 2, 1), 1);
	sq_log_peers_free(&p);
}

Test(peers, the_first_by_name_of_those_that_are_near_writes_snapshots)
{
	struct sq_log_peers *p = sq_log_peers_new();

	cr_assert_null(sq_log_peers_writer(p, 2, "a"));
	for (uint64_t beat = 1; beat <= 2; beat++) {
		see(p, "a", beat, 100000, 0, beat);
		see(p, "c", beat, 99990, 0, beat);
		see(p, "b", beat, 99980, 0, beat);
		see(p, "0", beat, 1000, 0, beat); /* far behind */
	}
	cr_assert_str_eq(sq_log_peers_writer(p, 2, "a")->id, "b");
	cr_assert_str_eq(sq_log_peers_writer(p, 2, "b")->id, "a");
	cr_assert_null(sq_log_peers_writer(p, 2 + SQ_LOG_PEERS_LIVE_MS, "a"));
	sq_log_peers_free(&p);
}

Test(peers, who_may_be_there_keeps_the_format_low)
{
	struct sq_log_peers *p = sq_log_peers_new();

	see(p, "a", 7, 10, 5, 1000);
	cr_assert_eq(sq_log_peers_format(p, 1000, 3), 2, "before its beats have changed");
	cr_assert_eq(sq_log_peers_format(p, 1000 + SQ_LOG_PEERS_LIVE_MS, 3), 2);
	cr_assert_eq(sq_log_peers_format(p, 1000 + SQ_LOG_PEERS_FORMAT_MS, 3), 3);
	sq_log_peers_free(&p);
}

Test(peers, what_a_broker_of_the_last_hour_needs_is_kept_even_if_only_its_row_is_known)
{
	struct sq_log_peers *p = sq_log_peers_new();

	cr_assert_eq(sq_log_peers_kept_recent(p, 0), UINT64_MAX);
	see(p, "gone", 7, 10, 5, 0);
	see(p, "a", 1, 20, 20, SQ_LOG_PEERS_RECENT_MS - 1);
	cr_assert_eq(sq_log_peers_kept_recent(p, SQ_LOG_PEERS_RECENT_MS - 1), 5);
	cr_assert_eq(sq_log_peers_kept_recent(p, SQ_LOG_PEERS_RECENT_MS), 20);
	sq_log_peers_free(&p);
}

Test(peers, a_full_table_gives_the_place_of_the_one_that_is_silent_longest)
{
	struct sq_log_peers *p = sq_log_peers_new();
	char id[16];

	for (uint64_t i = 0; i < SQ_LOG_PEERS_MAX + 1; i++) {
		snprintf(id, sizeof id, "%u", (unsigned)i);
		see(p, id, 1, 1, i, i);
	}
	cr_assert_eq(sq_log_peers_kept_recent(p, 100), 1);
	sq_log_peers_free(&p);
}

Test(peers, rows_of_who_is_gone_never_take_the_place_of_who_lives)
{
	struct sq_log_peers *p = sq_log_peers_new();
	char id[16];

	for (uint64_t beats = 1; beats <= 5; beats++) {
		see(p, "a", beats, beats, beats, 1000 * beats);
		for (unsigned i = 0; i < 2 * SQ_LOG_PEERS_MAX && beats > 1; i++) {
			snprintf(id, sizeof id, "gone-%u", i);
			see(p, id, 7, 1, 1, 1000 * beats + 500);
		}
	}
	cr_assert_eq(sq_log_peers_live(p, 6000), 1);
	cr_assert_not_null(sq_log_peers_first(p, 6000, ""));
	sq_log_peers_free(&p);
}

/* The record that is written */

static void
queue(struct sq_list *pending, struct sq_log_entry *e, const void *p, size_t len)
{
	e->data = (struct sq_bytes){p, len};
	sq_list_push_back(pending, &e->node);
}

Test(batch, entries_go_into_records_in_their_order_and_come_back_to_the_head)
{
	static unsigned char big[SQ_LOG_BATCH_MAX];
	struct sq_log_entry e[4];
	struct sq_log_batch b;
	struct sq_list pending, done;
	struct sq_shared_record rec;
	struct sq_buf why = {0};

	sq_list_init(&pending);
	sq_list_init(&done);
	sq_log_batch_init(&b);
	queue(&pending, &e[0], "one", 3);
	queue(&pending, &e[1], "two", 3);
	queue(&pending, &e[2], big, sizeof big);
	queue(&pending, &e[3], "four", 4);
	sq_log_batch_take(&b, &pending, 0);
	cr_assert_eq(pending.next, &e[2].node);
	sq_log_batch_seal(&b, 5, 1, 1, 9);
	cr_assert_eq(sq_shared_record_read(sq_log_batch_bytes(&b), &rec, &why), SQ_OK);
	cr_assert_eq(rec.entries.len, 6);
	cr_assert_arr_eq(rec.entries.p, "onetwo", 6);
	cr_assert_eq(rec.chain, sq_shared_chain(5, 1, 6, sq_crc32c(0, "onetwo", 6)));
	cr_assert_eq(rec.chain, b.chain);
	sq_log_batch_back(&b, &pending);
	cr_assert(sq_log_batch_is_empty(&b));
	cr_assert_eq(pending.next, &e[0].node);
	cr_assert_eq(pending.prev, &e[3].node);
	for (unsigned i = 0; !sq_list_empty(&pending); i++) {
		sq_log_batch_take(&b, &pending, 0);
		sq_log_batch_seal(&b, 5, i + 1, 1, 9);
		(void)sq_log_batch_done(&b, &done, 0);
	}
	cr_assert_eq(done.next, &e[0].node);
	cr_assert_eq(done.prev, &e[3].node);
	cr_assert_eq(b.lsn, 3, "two, the long one, and the rest");
	sq_log_batch_fini(&b);
	sq_buf_fini(&why);
}

/* Upkeep */

Test(upkeep, segments_go_when_two_snapshots_and_all_brokers_have_their_records)
{
	struct sq_shared_snapshot newest = {.n = 5, .lsn = 100}, older = {.n = 4, .lsn = 60};
	const struct sq_shared_snapshot none = {0};

	cr_assert_eq(sq_upkeep_may_drop(1000, &none, &none), 0);
	cr_assert_eq(sq_upkeep_may_drop(1000, &newest, &none), 0);
	cr_assert_eq(sq_upkeep_may_drop(1000, &newest, &older), 60);
	cr_assert_eq(sq_upkeep_may_drop(50, &newest, &older), 50);
	cr_assert_eq(sq_upkeep_may_drop(0, &newest, &older), 0);
}
