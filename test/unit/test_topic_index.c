/* The router's index against sq_topic_match(), and its upkeep. */
#include "proto/topic/index.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "topic_items.h"

/* Matches 'topic' with 'tag', and checks each item's share in it. */
static void
check_match(const struct sq_topic_index *x, struct item *items, size_t n, const char *tag,
    const char *topic)
{
	size_t calls = 0, want = 0, found;

	for (size_t i = 0; i < n; i++)
		items[i].hits = 0;
	found = tag[0] == 0 ? sq_topic_index_match(x, bytes(topic), hit, &calls)
			    : sq_topic_index_match_tag(x, bytes(tag), bytes(topic), hit, &calls);
	for (size_t i = 0; i < n; i++) {
		bool should = sq_index_entry_linked(&items[i].entry) &&
		    !strcmp(items[i].tag, tag) &&
		    sq_topic_match(bytes(items[i].text), bytes(topic));

		cr_assert_eq(
		    items[i].hits, should, "%s on %s: %u", items[i].text, topic, items[i].hits);
		want += should;
	}
	cr_assert_eq(found, want);
	cr_assert_eq(calls, want);
}

static size_t
matches(const struct sq_topic_index *x, const char *topic)
{
	size_t calls = 0;

	return sq_topic_index_match(x, bytes(topic), hit, &calls);
}

/* ---- match ---- */

Test(index, an_empty_index_matches_nothing)
{
	struct sq_topic_index *x = sq_topic_index_new();

	cr_assert_eq(matches(x, "a/b"), 0);
	cr_assert_null(sq_topic_index_find(x, SQ_NO_TAG, bytes("a/b")));
	cr_assert_eq(sq_topic_index_nodes(x), 0);
	sq_topic_index_free(&x);
	cr_assert_null(x);
	sq_topic_index_free(&x);
}

Test(index, agrees_with_sq_topic_match_on_random_sets)
{
	struct item items[60];
	size_t checked = 0;

	for (unsigned round = 0; round < 400; round++) {
		struct sq_topic_index *x = sq_topic_index_new();
		size_t n = 1 + round % 60;

		seed = 0x9e3779b97f4a7c15u + round;
		memset(items, 0, sizeof items);
		for (size_t i = 0; i < n; i++) {
			char text[48];

			random_topic(text, true);
			put(x, &items[i], "", text);
		}
		cr_assert_eq(sq_topic_index_count(x), n);
		for (unsigned k = 0; k < 60; k++) {
			char topic[48];

			random_topic(topic, false);
			check_match(x, items, n, "", topic);
			checked += n;
		}
		for (size_t i = 0; i < n; i++)
			sq_topic_index_remove(x, &items[i].entry);
		cr_assert_eq(sq_topic_index_nodes(x), 0);
		sq_topic_index_free(&x);
	}
	cr_assert_gt(checked, 500000);
}

Test(index, tags_are_matched_apart_from_each_other_and_from_none)
{
	static const char *const tags[] = {"", "r", "$g", "b"};
	struct sq_topic_index *x = sq_topic_index_new();
	struct item items[80];

	seed = 4711;
	memset(items, 0, sizeof items);
	for (size_t i = 0; i < 80; i++) {
		char text[48];

		random_topic(text, true);
		put(x, &items[i], tags[i % 3], text);
	}
	for (unsigned k = 0; k < 2000; k++) {
		char topic[48];

		random_topic(topic, false);
		check_match(x, items, 80, tags[k % 4], topic);
	}
	for (size_t i = 0; i < 80; i++)
		sq_topic_index_remove(x, &items[i].entry);
	cr_assert_eq(sq_topic_index_nodes(x), 0);
	sq_topic_index_free(&x);
}

Test(index, a_tag_with_an_all_filter_leaves_dollar_topics_out)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct sq_topic_filter f;
	struct item it = {0};
	size_t calls = 0;

	cr_assert_eq(sq_topic_filter_parse(bytes("$tag/$red"), &f, NULL), 0);
	sq_topic_index_insert(x, f.tag, f.filter, &it.entry);
	cr_assert_eq(sq_topic_index_match_tag(x, f.tag, bytes("$SYS/a"), hit, &calls), 0);
	cr_assert_eq(sq_topic_index_match_tag(x, f.tag, bytes("a/$b"), hit, &calls), 1);
	cr_assert_eq(sq_topic_index_match(x, bytes("$red/a"), hit, &calls), 0);
	sq_topic_index_remove(x, &it.entry);
	sq_topic_index_free(&x);
}

Test(index, entries_under_one_filter_are_all_reported)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item items[100] = {0};

	for (size_t i = 0; i < 100; i++)
		put(x, &items[i], "", i % 2 ? "a/+/c" : "a/#");
	check_match(x, items, 100, "", "a/b/c");
	cr_assert_eq(matches(x, "a/b/c"), 100);
	for (size_t i = 0; i < 100; i += 3) /* first, last and between */
		sq_topic_index_remove(x, &items[i].entry);
	check_match(x, items, 100, "", "a/b/c");
	check_match(x, items, 100, "", "a");
	for (size_t i = 0; i < 100; i++)
		sq_topic_index_remove(x, &items[i].entry);
	cr_assert_eq(sq_topic_index_nodes(x), 0);
	sq_topic_index_free(&x);
}

Test(index, goes_as_deep_as_topics_may_and_refuses_deeper)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item plus = {0}, all = {0}, literal = {0};
	char f[2 * SQ_TOPIC_LEVELS_MAX], t[2 * SQ_TOPIC_LEVELS_MAX + 2];

	for (size_t i = 0; i < SQ_TOPIC_LEVELS_MAX; i++) {
		memcpy(f + 2 * i, "+/", 2);
		memcpy(t + 2 * i, "t/", 2);
	}
	f[sizeof f - 1] = 0;
	t[sizeof f - 1] = 0;
	sq_topic_index_insert(x, SQ_NO_TAG, bytes(f), &plus.entry);
	sq_topic_index_insert(x, SQ_NO_TAG, bytes(t), &literal.entry);
	sq_topic_index_insert(x, SQ_NO_TAG, bytes("#"), &all.entry);
	cr_assert_eq(matches(x, t), 3);
	strcat(t, "/t");
	cr_assert_eq(matches(x, t), 0);
	sq_topic_index_free(&x);
}

/* Levels around the hash's word sizes, different in one byte. */
Test(index, levels_of_every_length_are_told_apart)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item *items = calloc(41 * 41, sizeof *items);
	size_t n = 0;

	cr_assert_not_null(items);
	for (size_t len = 1; len <= 40; len++) {
		for (size_t at = 0; at <= len; at++, n++) {
			memset(items[n].text, 'a', len);
			if (at < len)
				items[n].text[at] = 'b';
			sq_topic_index_insert(x, SQ_NO_TAG, bytes(items[n].text), &items[n].entry);
		}
	}
	cr_assert_eq(sq_topic_index_nodes(x), n);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(
		    sq_topic_index_find(x, SQ_NO_TAG, bytes(items[i].text)), &items[i].entry);
		cr_assert_eq(matches(x, items[i].text), 1);
		cr_assert_eq(items[i].hits, 1);
	}
	sq_topic_index_free(&x);
	free(items);
}

/* ---- upkeep ---- */

Test(index, removing_is_harmless_twice_and_before_inserting)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item it = {0};

	sq_topic_index_remove(x, &it.entry);
	put(x, &it, "", "a/b");
	cr_assert(sq_index_entry_linked(&it.entry));
	cr_assert_eq(sq_topic_index_nodes(x), 2);
	sq_topic_index_remove(x, &it.entry);
	sq_topic_index_remove(x, &it.entry);
	cr_assert(!sq_index_entry_linked(&it.entry));
	cr_assert_eq(sq_topic_index_count(x), 0);
	sq_topic_index_free(&x);
}

Test(index, pruning_stops_where_another_filter_lives)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item deep = {0}, mid = {0}, multi = {0};

	put(x, &deep, "", "a/b/+/d");
	put(x, &mid, "", "a/b");
	put(x, &multi, "", "a/b/+/#");
	cr_assert_eq(sq_topic_index_nodes(x), 4);
	sq_topic_index_remove(x, &deep.entry);
	cr_assert_eq(sq_topic_index_nodes(x), 3);
	sq_topic_index_remove(x, &multi.entry);
	cr_assert_eq(sq_topic_index_nodes(x), 2);
	cr_assert_eq(matches(x, "a/b"), 1);
	sq_topic_index_remove(x, &mid.entry);
	cr_assert_eq(sq_topic_index_nodes(x), 0);
	sq_topic_index_free(&x);
}

Test(index, find_takes_the_text_as_it_stands)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item plus = {0}, b = {0}, multi = {0}, tagged = {0};

	put(x, &plus, "", "a/+");
	put(x, &b, "", "a/b");
	put(x, &multi, "", "a/#");
	put(x, &tagged, "r", "a/b");
	cr_assert_eq(sq_topic_index_find(x, SQ_NO_TAG, bytes("a/+")), &plus.entry);
	cr_assert_eq(sq_topic_index_find(x, SQ_NO_TAG, bytes("a/b")), &b.entry);
	cr_assert_eq(sq_topic_index_find(x, SQ_NO_TAG, bytes("a/#")), &multi.entry);
	cr_assert_eq(sq_topic_index_find(x, bytes("r"), bytes("a/b")), &tagged.entry);
	cr_assert_null(sq_topic_index_find(x, SQ_NO_TAG, bytes("a")));
	cr_assert_null(sq_topic_index_find(x, SQ_NO_TAG, bytes("a/c")));
	cr_assert_null(sq_topic_index_find(x, bytes("r"), bytes("a/+")));
	cr_assert_null(sq_topic_index_find(x, bytes("b"), bytes("a/b")));
	sq_topic_index_free(&x);
}

Test(index, churn_keeps_agreeing_and_leaves_no_node)
{
	enum { N = 300 };
	struct sq_topic_index *x = sq_topic_index_new();
	struct item *items = calloc(N, sizeof *items);

	cr_assert_not_null(items);
	seed = 99;
	for (unsigned step = 0; step < 40000; step++) {
		struct item *it = &items[rnd(N)];
		char text[48];

		if (sq_index_entry_linked(&it->entry)) {
			sq_topic_index_remove(x, &it->entry);
		} else {
			random_topic(text, true);
			put(x, it, step % 7 ? "" : "t", text);
		}
		if (step % 50 == 0) {
			random_topic(text, false);
			check_match(x, items, N, "", text);
		}
	}
	for (size_t i = 0; i < N; i++)
		sq_topic_index_remove(x, &items[i].entry);
	cr_assert_eq(sq_topic_index_count(x), 0);
	cr_assert_eq(sq_topic_index_nodes(x), 0);
	sq_topic_index_free(&x);
	free(items);
}

Test(index, freeing_leaves_the_entries_to_their_owner)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item items[3] = {0};

	put(x, &items[0], "", "a/b/c");
	put(x, &items[1], "", "+/#");
	put(x, &items[2], "r", "a/+/+");
	sq_topic_index_free(&x);
	cr_assert_str_eq(items[0].text, "a/b/c");
}

/* ---- many readers ---- */

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static void
count(struct sq_index_entry *e, void *arg)
{
	(void)e;
	++*(size_t *)arg;
}

static void *
reader(void *arg)
{
	for (unsigned i = 0; i < 4000; i++) {
		size_t calls = 0;

		pthread_rwlock_rdlock(&lock);
		if (sq_topic_index_match(arg, bytes("a/b/c"), count, &calls) != calls || calls < 3)
			abort();
		pthread_rwlock_unlock(&lock);
	}
	return NULL;
}

Test(index, readers_share_it_while_a_writer_takes_turns)
{
	struct sq_topic_index *x = sq_topic_index_new();
	struct item stay[3] = {0}, come_and_go[8] = {0};
	static const char *const texts[] = {"a/b/c", "a/+/c", "#", "+/b/#"};
	pthread_t threads[3];

	for (size_t i = 0; i < 3; i++)
		put(x, &stay[i], "", texts[i]);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, reader, x), 0);
	for (unsigned i = 0; i < 8000; i++) {
		struct item *it = &come_and_go[i % 8];

		pthread_rwlock_wrlock(&lock);
		if (sq_index_entry_linked(&it->entry))
			sq_topic_index_remove(x, &it->entry);
		else
			put(x, it, "", texts[i % 3 + 1]);
		pthread_rwlock_unlock(&lock);
	}
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	sq_topic_index_free(&x);
}
