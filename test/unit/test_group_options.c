/* Whose options count in a group, by (since, pod). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "broker/group/group_options.h"

enum { WAIT_MS = 30000 };

static struct sq_group_options go;
static uint64_t now_ms;
static unsigned changes;

static struct sq_options
options(uint32_t max_length)
{
	return (struct sq_options){.max_length = max_length, .durable = true};
}

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static void
setup(void)
{
	struct sq_options o = options(1);

	now_ms = 1000000;
	changes = 0;
	sq_group_options_init(&go, &o, 0, text(""), now_ms);
}

static void
teardown(void)
{
	sq_group_options_fini(&go);
}

TestSuite(group_options, .init = setup, .fini = teardown);

static void
choose(void)
{
	if (sq_group_options_choose(&go, now_ms, WAIT_MS) == SQ_CHOSEN_OTHER)
		changes++;
}

static struct sq_declarer *
join(const char *pod, uint64_t since_ms, uint32_t max_length)
{
	struct sq_options o = options(max_length);
	struct sq_declarer *d = sq_declarer_join(&go, &o, since_ms, text(pod));

	choose();
	return d;
}

static void
leave(struct sq_declarer **d)
{
	sq_declarer_leave(&go, d);
	choose();
}

static void
pass(uint64_t ms)
{
	now_ms += ms;
	choose();
}

static void
expect(uint32_t max_length, unsigned n_changes)
{
	cr_assert_eq(
	    go.now.max_length, max_length, "%u instead of %u", go.now.max_length, max_length);
	cr_assert_eq(changes, n_changes, "%u changes", changes);
}

Test(group_options, the_newest_wins_in_any_order)
{
	struct sq_declarer *a = join("a", 100, 10), *c = join("c", 300, 30),
			   *b = join("b", 200, 20);

	expect(30, 2);
	cr_assert_eq(go.since_ms, 300);
	cr_assert_str_eq(go.pod, "c");
	leave(&a);
	leave(&b);
	expect(30, 2);
	leave(&c);
	expect(30, 2);
	pass(10 * WAIT_MS);
	expect(30, 2);
	cr_assert_not(sq_group_options_due(&go, now_ms, WAIT_MS), "with nobody there");
}

Test(group_options, the_pod_decides_between_equal_times)
{
	struct sq_declarer *b = join("b", 100, 20), *a = join("a", 100, 10);

	expect(20, 1);
	leave(&b);
	pass(WAIT_MS);
	expect(10, 2);
	b = join("b", 100, 20);
	expect(20, 3);
	leave(&a);
	leave(&b);
}

Test(group_options, a_pod_that_is_away_keeps_its_place_for_a_while)
{
	struct sq_declarer *old = join("a", 100, 10), *new = join("b", 200, 20);

	for (unsigned i = 0; i < 20; i++) {
		leave(&new);
		pass(WAIT_MS - 1);
		cr_assert_not(sq_group_options_due(&go, now_ms, WAIT_MS));
		cr_assert(sq_group_options_due(&go, now_ms + 1, WAIT_MS));
		leave(&old);
		old = join("a", 100, 10);
		expect(20, 2);
		new = join("b", 200, 20);
		cr_assert_not(sq_group_options_due(&go, now_ms + WAIT_MS, WAIT_MS));
	}
	expect(20, 2);
	leave(&new);
	pass(WAIT_MS);
	expect(10, 3);
	leave(&old);
}

Test(group_options, after_a_restart_members_come_back_in_any_order)
{
	struct sq_options o = options(20);
	struct sq_declarer *old, *other, *new;

	sq_group_options_fini(&go);
	sq_group_options_init(&go, &o, 200, text("b"), now_ms);
	old = join("a", 100, 10);
	pass(WAIT_MS / 2);
	other = join("aa", 150, 15);
	expect(20, 0);
	new = join("b", 200, 20);
	pass(WAIT_MS);
	expect(20, 0);
	leave(&old);
	leave(&other);
	leave(&new);
}

Test(group_options, a_pod_that_never_comes_back_after_a_restart_loses_its_place)
{
	struct sq_options o = options(20);
	struct sq_declarer *old;

	sq_group_options_fini(&go);
	sq_group_options_init(&go, &o, 200, text("b"), now_ms);
	old = join("a", 100, 10);
	pass(WAIT_MS - 1);
	expect(20, 0);
	pass(1);
	expect(10, 1);
	cr_assert_eq(go.since_ms, 100);
	leave(&old);
}

Test(group_options, a_rollback_wins_because_its_pods_are_new)
{
	struct sq_declarer *one = join("one", 100, 10), *two = join("two", 200, 20);
	struct sq_declarer *back;

	leave(&one);
	expect(20, 2);
	back = join("three", 300, 10);
	leave(&two);
	expect(10, 3);
	pass(WAIT_MS);
	expect(10, 3);
	leave(&back);
}

Test(group_options, the_same_options_of_newer_pods_are_no_change)
{
	struct sq_declarer *d[10];
	char pod[8];

	for (unsigned i = 0; i < 10; i++) {
		snprintf(pod, sizeof pod, "p%u", i);
		d[i] = join(pod, 100 + i, 10);
	}
	expect(10, 1);
	cr_assert_eq(go.since_ms, 109);
	cr_assert_not(sq_group_options_disagree(&go));
	for (unsigned i = 10; i-- > 0;) {
		leave(&d[i]);
		pass(WAIT_MS);
	}
	expect(10, 1);
	cr_assert_eq(go.since_ms, 100);
}

Test(group_options, a_pod_has_one_word_its_newest)
{
	/* The keeper, and the consumer a moment later, of an annotation edited in place. */
	struct sq_declarer *keeper = join("a", 100, 10), *consumer = join("a", 100, 10);

	cr_assert_eq(keeper, consumer);
	leave(&keeper);
	keeper = join("a", 200, 20);
	expect(20, 2);
	cr_assert_not(sq_group_options_disagree(&go));
	leave(&keeper);
	cr_assert_not(sq_group_options_disagree(&go));
	keeper = join("a", 200, 20);
	leave(&consumer);
	consumer = join("a", 200, 20);
	expect(20, 2);
	leave(&keeper);
	leave(&consumer);
}

Test(group_options, a_pair_that_disagrees_is_told_once)
{
	struct sq_declarer *a = join("a", 100, 10), *a2 = join("a2", 110, 10), *b, *c;
	const struct sq_declarer *told;

	cr_assert_null(sq_group_options_tell(&go));
	b = join("b", 200, 20);
	cr_assert(sq_group_options_disagree(&go));
	told = sq_group_options_tell(&go);
	cr_assert_not_null(told);
	cr_assert_eq(sq_declarer_options(told)->max_length, 10);
	cr_assert_null(sq_group_options_tell(&go));
	c = join("c", 150, 15);
	told = sq_group_options_tell(&go);
	cr_assert_eq(told, c);
	cr_assert_null(sq_group_options_tell(&go));
	leave(&b);
	leave(&c);
	pass(WAIT_MS);
	cr_assert_not(sq_group_options_disagree(&go), "the old ones are of one mind");
	b = join("b", 200, 20);
	cr_assert_null(sq_group_options_tell(&go), "the same pair, whoever is in force");
	leave(&a);
	leave(&a2);
	leave(&b);
}

Test(group_options, what_was_told_takes_bounded_memory)
{
	struct sq_declarer *first = join("z", 1000, 1), *d[100];
	unsigned told = 0;
	char pod[8];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(pod, sizeof pod, "p%u", i);
		d[i] = join(pod, 100 + i, 10 + i);
		told += sq_group_options_tell(&go) != NULL;
	}
	cr_assert_eq(told, 100);
	for (unsigned i = 0; i < 100; i++)
		leave(&d[i]);
	cr_assert_not(sq_group_options_disagree(&go));
	leave(&first);
}

Test(group_options, sets_are_written_as_their_annotations_name_them)
{
	struct sq_options o = {.expiry_s = 60, .overflow = SQ_OVERFLOW_DROP_OLDEST};
	struct sq_buf out = {0};

	sq_options_print(&o, &out);
	cr_assert_eq(sq_buf_len(&out), strlen("durable false, expiry 60s, overflow drop-oldest"));
	cr_assert_eq(memcmp(sq_buf_data(&out), "durable false, expiry 60s, overflow drop-oldest",
			 sq_buf_len(&out)),
	    0);
	sq_buf_fini(&out);
}
