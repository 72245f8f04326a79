/* Entries of one group have one set of options. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/annotation_case.h"

#include "proto/annotations/annotations.h"

static struct sq_declarations
accept(const char *value, const char *workload)
{
	struct sq_annotation pair = {SQ_ANNOTATION_SUBSCRIBE, value, strlen(value)};
	struct sq_annotation_problems problems = {0};
	struct sq_annotations a;

	cr_assert_eq(
	    sq_annotations_check(&pair, 1, SQ_ANNOTATIONS_OF_POD, workload, &a, &problems), 0);
	cr_assert_eq(problems.n, 0);
	return a.subscribe;
}

static void
refuse(const char *value, const char *workload, const char *want)
{
	struct sq_annotation pair = {SQ_ANNOTATION_SUBSCRIBE, value, strlen(value)};
	struct sq_annotation_problems problems = {0};
	struct sq_annotations a;
	struct sq_buf text = {0};

	cr_assert_eq(sq_annotations_check(&pair, 1, SQ_ANNOTATIONS_OF_POD, workload, &a, &problems),
	    SQ_EINVAL, "accepted: %s", value);
	sq_annotation_problems_print(&problems, false, &text);
	sq_buf_u8(&text, 0);
	cr_assert_str_eq((const char *)sq_buf_data(&text), want);
	sq_buf_fini(&text);
	sq_annotation_problems_free(&problems);
}

Test(annotations_merge, a_named_queue_takes_nothing_of_a_group_of_its_name)
{
	struct sq_declarations ds = accept(
	    "- {filter: a, group: g, max-length: 7, durable: false}\n- queue: g\n", "w");

	cr_expect_eq(ds.v[1].max_length, 0);
	cr_expect(ds.v[1].durable);
	sq_declarations_free(&ds);
}

Test(annotations_merge, what_an_entry_leaves_out_another_of_its_group_names)
{
	struct sq_declarations ds = accept("- {filter: a, expiry: 90s, overflow: drop-oldest}\n"
					   "- {filter: b, max-length: 7, durable: false}\n"
					   "- c\n"
					   "- {filter: d, group: other, max-attempts: 3}\n",
	    "w");

	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(ds.v[i].expiry_s, 90);
		cr_assert_eq(ds.v[i].overflow, 2);
		cr_assert_eq(ds.v[i].max_length, 7);
		cr_assert_eq(ds.v[i].max_attempts, 0);
		cr_assert_not(ds.v[i].durable);
	}
	cr_assert_eq(ds.v[0].named, SQ_NAMED_EXPIRY | SQ_NAMED_OVERFLOW, "as it was written");
	cr_assert_eq(ds.v[2].named, 0);
	cr_assert_eq(ds.v[3].max_attempts, 3);
	cr_assert_eq(ds.v[3].expiry_s, 0);
	cr_assert(ds.v[3].durable);
	sq_declarations_free(&ds);
}

Test(annotations_merge, the_workload_is_the_group_of_those_that_have_none)
{
	struct sq_declarations ds = accept(
	    "- {filter: a, max-length: 7}\n- {filter: b, group: w}\n", "w");

	cr_assert_eq(ds.v[1].max_length, 7);
	sq_declarations_free(&ds);
	ds = accept("- {filter: a, max-length: 7}\n- {filter: b, group: w}\n- c\n", NULL);
	cr_assert_eq(ds.v[1].max_length, 0);
	cr_assert_eq(ds.v[2].max_length, 7);
	sq_declarations_free(&ds);
}

Test(annotations_merge, a_pods_own_queue_is_a_group_too)
{
	struct sq_declarations ds = accept("- {filter: a, delivery: pod, max-length: 7}\n"
					   "- {filter: b, delivery: pod}\n"
					   "- {filter: c, max-length: 8}\n",
	    "w");

	cr_assert_eq(ds.v[1].max_length, 7);
	cr_assert_not(ds.v[1].durable);
	cr_assert_eq(ds.v[2].max_length, 8);
	sq_declarations_free(&ds);
	refuse("- {filter: a, delivery: pod, max-length: 7}\n"
	       "- {filter: b, delivery: pod, max-length: 8}\n",
	    "w",
	    "sqmqos.io/subscribe: line 2, column 3: max-length 8 for this pod's own queue, which "
	    "has 7 by line 1: entries of a "
	    "group share its queue and its options");
}

Test(annotations_merge, the_same_value_twice_is_one)
{
	struct sq_declarations ds = accept(
	    "- {filter: a, expiry: 60s}\n- {filter: b, expiry: 1m}\n", "w");

	cr_assert_eq(ds.v[0].expiry_s, 60);
	sq_declarations_free(&ds);
}

Test(annotations_merge, two_values_are_refused_with_both)
{
	static const char tail[] = ": entries of a group share its queue and its options";
	static const struct {
		const char *a, *b, *want;
	} cases[] = {
	    {"expiry: 60s", "expiry: 2m", "expiry 120s for group 'w', which has 60s by line 1"},
	    {"max-length: 1", "max-length: 2", "max-length 2 for group 'w', which has 1 by line 1"},
	    {"max-attempts: 1", "max-attempts: 2",
		"max-attempts 2 for group 'w', which has 1 by line 1"},
	    {"overflow: drop-new", "overflow: reject-publish",
		"overflow reject-publish for group 'w', which has drop-new by line 1"},
	    {"durable: false", "durable: true",
		"durable true for group 'w', which has false by line 1"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char value[200], want[300];

		snprintf(value, sizeof value, "- {filter: a, %s}\n- x\n- {filter: b, %s}\n",
		    cases[i].a, cases[i].b);
		snprintf(want, sizeof want, "sqmqos.io/subscribe: line 3, column 3: %s%s",
		    cases[i].want, tail);
		refuse(value, "w", want);
	}
	refuse("- {filter: a, expiry: 1s}\n- {filter: b, expiry: 2s}\n", NULL,
	    "sqmqos.io/subscribe: line 2, column 3: expiry 2s for the group of the workload, which "
	    "has 1s by line 1: entries of a "
	    "group share its queue and its options");
}

Test(annotations_merge, the_workload_that_is_annotated_is_the_group)
{
	static const char *const pairs[] = {SQ_ANNOTATION_SUBSCRIBE,
	    "- {filter: a, max-length: 7}\n- {filter: b, group: other, max-length: 8}\n",
	    SQ_ANNOTATION_WORKLOAD, "other", NULL};

	annotations_refuse(pairs,
	    "sqmqos.io/subscribe: line 2, column 3: max-length 8 for group 'other', which has 7 by "
	    "line 1: entries of a group share its queue and its options");
}

Test(annotations_merge, each_entry_that_differs_is_said)
{
	refuse("- {filter: a, expiry: 1s, max-length: 1}\n"
	       "- {filter: b, expiry: 2s, max-length: 2}\n"
	       "- {filter: c, expiry: 3s}\n",
	    "w",
	    "sqmqos.io/subscribe: line 2, column 3: expiry 2s for group 'w', which has 1s by line "
	    "1: "
	    "entries of a group share its queue and its options\n"
	    "sqmqos.io/subscribe: line 2, column 3: max-length 2 for group 'w', which has 1 by "
	    "line 1: "
	    "entries of a group share its queue and its options\n"
	    "sqmqos.io/subscribe: line 3, column 3: expiry 3s for group 'w', which has 1s by line "
	    "1: "
	    "entries of a group share its queue and its options");
}
