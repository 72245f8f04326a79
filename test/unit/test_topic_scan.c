/* Scans of the index against sq_topic_match(), also while it changes. */
#include "proto/topic/index.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "topic_items.h"

static bool
hit_scan(struct sq_index_entry *e, void *arg)
{
	hit(e, arg);
	return true;
}

static void
check_scan(struct sq_topic_index *x, struct item *items, size_t n, const char *filter, size_t slice)
{
	struct sq_topic_scan *s = NULL;
	size_t calls = 0;

	for (size_t i = 0; i < n; i++)
		items[i].hits = 0;
	cr_assert_eq(sq_topic_scan_open(x, bytes(filter), &s), 0);
	for (;;) {
		size_t before = calls;
		bool more = sq_topic_scan_next(s, slice, hit_scan, &calls);

		cr_assert_leq(calls - before, slice);
		if (!more)
			break;
	}
	cr_assert(!sq_topic_scan_next(s, slice, hit_scan, &calls));
	sq_topic_scan_close(&s);
	cr_assert_null(s);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(items[i].hits,
		    sq_index_entry_linked(&items[i].entry) &&
			sq_topic_match(bytes(filter), bytes(items[i].text)),
		    "%s in %s: %u", items[i].text, filter, items[i].hits);
}

/* Fills 'items' with different names. */
static void
put_names(struct sq_topic_index *x, struct item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char text[48];

		do
			random_topic(text, false);
		while (sq_topic_index_find(x, SQ_NO_TAG, bytes(text)) != NULL);
		put(x, &items[i], "", text);
	}
}

Test(scan, agrees_with_sq_topic_match_in_slices_of_any_size)
{
	struct item items[60];

	for (unsigned round = 0; round < 200; round++) {
		struct sq_topic_index *x = sq_topic_index_new();
		size_t n = 1 + round % 60;

		seed = 0xdeadbeefcafef00du + round;
		memset(items, 0, sizeof items);
		put_names(x, items, n);
		for (unsigned k = 0; k < 100; k++) {
			char filter[48];

			random_topic(filter, true);
			check_scan(x, items, n, filter, k % 10 ? k % 10 : 1000);
		}
		for (size_t i = 0; i < n; i++)
			sq_topic_index_remove(x, &items[i].entry);
		cr_assert_eq(sq_topic_index_nodes(x), 0);
		sq_topic_index_free(&x);
	}
}

Test(scan, refuses_what_is_not_a_plain_filter)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct sq_topic_scan *s = NULL;

	cr_assert_eq(sq_topic_scan_open(x, bytes("$share/g/a"), &s), SQ_EINVAL);
	cr_assert_eq(sq_topic_scan_open(x, bytes("$tag/r/a"), &s), SQ_EINVAL);
	cr_assert_eq(sq_topic_scan_open(x, bytes("a#"), &s), SQ_EINVAL);
	cr_assert_eq(sq_topic_scan_open(x, bytes(""), &s), SQ_EINVAL);
	cr_assert_null(s);
	sq_topic_scan_close(&s);
	sq_topic_index_free(&x);
}

Test(scan, does_not_report_filters_with_wildcards_nor_tagged_entries)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item items[5] = {0};
	struct sq_topic_scan *s;
	size_t calls = 0;

	put(x, &items[0], "", "a/b");
	put(x, &items[1], "", "a/+");
	put(x, &items[2], "", "a/#");
	put(x, &items[3], "r", "a/b");
	put(x, &items[4], "", "+/b");
	cr_assert_eq(sq_topic_scan_open(x, bytes("#"), &s), 0);
	cr_assert(!sq_topic_scan_next(s, 100, hit_scan, &calls));
	sq_topic_scan_close(&s);
	cr_assert_eq(calls, 1);
	cr_assert_eq(items[0].hits, 1);
	sq_topic_index_free(&x);
}

static bool
pause_each(struct sq_index_entry *e, void *arg)
{
	hit(e, arg);
	return false;
}

Test(scan, pauses_after_a_name_when_asked_to)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item items[30] = {0};
	struct sq_topic_scan *s;
	size_t calls = 0, slices = 0;
	bool more;

	seed = 5;
	put_names(x, items, 30);
	cr_assert_eq(sq_topic_scan_open(x, bytes("#"), &s), 0);
	do {
		size_t before = calls;

		more = sq_topic_scan_next(s, 1000, pause_each, &calls);
		cr_assert_leq(calls - before, 1);
		slices++;
	} while (more);
	cr_assert_geq(slices, calls);
	sq_topic_scan_close(&s);
	check_scan(x, items, 30, "#", 1000);
	sq_topic_index_free(&x);
}

struct sweep {
	struct sq_topic_index *index;
	size_t calls;
};

static bool
remove_it(struct sq_index_entry *e, void *arg)
{
	struct sweep *sweep = arg;

	sweep->calls++;
	sq_topic_index_remove(sweep->index, e);
	return true;
}

Test(scan, may_remove_what_it_is_given)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct sweep sweep = {x, 0};
	struct item items[60] = {0};
	struct sq_topic_scan *s;
	size_t want = 0;

	seed = 77;
	put_names(x, items, 60);
	for (size_t i = 0; i < 60; i++)
		want += items[i].text[0] != '$';
	cr_assert_eq(sq_topic_scan_open(x, bytes("#"), &s), 0);
	while (sq_topic_scan_next(s, 3, remove_it, &sweep))
		;
	sq_topic_scan_close(&s);
	cr_assert_eq(sweep.calls, want);
	cr_assert_eq(sq_topic_index_count(x), 60 - want);
	for (size_t i = 0; i < 60; i++)
		sq_topic_index_remove(x, &items[i].entry);
	cr_assert_eq(sq_topic_index_nodes(x), 0);
	sq_topic_index_free(&x);
}

/* Names 0 to 39 stay, the rest come and go between slices of several scans. */
Test(scan, reports_once_what_stays_while_the_rest_changes)
{
	enum { STAY = 40, N = 120 };

	for (unsigned round = 0; round < 200; round++) {
		struct sq_topic_index *x = sq_topic_index_new();
		struct item *items = calloc(N, sizeof *items);
		struct sq_topic_scan *scan, *idle;
		size_t calls = 0, slices = 0;
		char filter[48];

		cr_assert_not_null(items);
		seed = 0x12345678u + round;
		put_names(x, items, N);
		random_topic(filter, true);
		cr_assert_eq(sq_topic_scan_open(x, bytes(filter), &scan), 0);
		cr_assert_eq(sq_topic_scan_open(x, bytes("#"), &idle), 0);
		(void)sq_topic_scan_next(idle, 1 + round % 60, hit_scan, &calls);
		for (size_t i = 0; i < N; i++)
			items[i].hits = 0;
		while (sq_topic_scan_next(scan, 1 + round % 5, hit_scan, &calls)) {
			cr_assert_lt(slices++, 100000);
			for (unsigned k = 0; k < 20; k++) {
				struct item *it = &items[STAY + rnd(N - STAY)];

				if (sq_index_entry_linked(&it->entry))
					sq_topic_index_remove(x, &it->entry);
				else
					sq_topic_index_insert(
					    x, SQ_NO_TAG, bytes(it->text), &it->entry);
			}
		}
		for (size_t i = 0; i < N; i++) {
			bool should = sq_topic_match(bytes(filter), bytes(items[i].text));

			cr_assert_leq(items[i].hits, should);
			if (i < STAY)
				cr_assert_eq(items[i].hits, should);
			sq_topic_index_remove(x, &items[i].entry);
		}
		sq_topic_scan_close(&scan);
		sq_topic_scan_close(&idle); /* gives up what it stood on */
		cr_assert_eq(sq_topic_index_nodes(x), 0);
		sq_topic_index_free(&x);
		free(items);
	}
}
