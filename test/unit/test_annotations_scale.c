/* sqmqos.io/scale, and what it needs of sqmqos.io/subscribe. */
#include <criterion/criterion.h>

#include "../support/annotation_case.h"

static struct sq_scale
accept(const char *value)
{
	const char *const pairs[] = {
	    SQ_ANNOTATION_SCALE, value, SQ_ANNOTATION_SUBSCRIBE, "orders/#", NULL};
	struct sq_annotations a = annotations_accept(pairs, "");
	struct sq_scale scale = a.scale;

	sq_annotations_free(&a);
	return scale;
}

static void
refuse(const char *value, const char *subscribe, const char *want)
{
	const char *const pairs[] = {
	    SQ_ANNOTATION_SCALE, value, SQ_ANNOTATION_SUBSCRIBE, subscribe, NULL};

	annotations_refuse(pairs, want);
}

Test(annotations_scale, all_fields)
{
	struct sq_scale s = accept("{min: 0, max: 20, per: 50}");

	cr_assert(s.set);
	cr_assert_eq(s.min, 0);
	cr_assert_eq(s.max, 20);
	cr_assert_eq(s.per, 50);
}

Test(annotations_scale, what_is_left_out_has_its_default)
{
	struct sq_scale s = accept("max: 3\n");

	cr_assert_eq(s.min, SQ_SCALE_MIN_DEFAULT);
	cr_assert_eq(s.max, 3);
	cr_assert_eq(s.per, SQ_SCALE_PER_DEFAULT);
}

Test(annotations_scale, nothing_is_not_set)
{
	struct sq_annotations a = annotation_accept(SQ_ANNOTATION_SCALE, " \n");

	cr_assert_not(a.scale.set);
	sq_annotations_free(&a);
}

Test(annotations_scale, wrong_values_are_named_with_their_place)
{
	refuse("20", "a",
	    "sqmqos.io/scale: line 1, column 1: a map is wanted, as {min: 0, max: 20, per: 100}");
	refuse("{min: 1}", "a",
	    "sqmqos.io/scale: line 1, column 1: max is needed: the most pods there may be");
	refuse("{min: 5, max: 2}", "a", "sqmqos.io/scale: line 1, column 7: min 5 is above max 2");
	refuse("{max: 0}", "a",
	    "sqmqos.io/scale: line 1, column 7: max must be a number of pods from 1 to 1000000");
	refuse("{max: 1000001}", "a",
	    "sqmqos.io/scale: line 1, column 7: max must be a number of pods from 1 to 1000000");
	refuse("max: 2\nper: many\n", "a",
	    "sqmqos.io/scale: line 2, column 6: per must be a number of messages, at least 1");
	refuse("{max: 2, per: 0}", "a",
	    "sqmqos.io/scale: line 1, column 15: per must be a number of messages, at least 1");
	refuse("{max: [2]}", "a",
	    "sqmqos.io/scale: line 1, column 7: max must be a number of pods from 1 to 1000000");
	refuse("{max: 2, mix: 0}", "a",
	    "sqmqos.io/scale: line 1, column 10: unknown field 'mix', did you mean min?");
}

Test(annotations_scale, it_needs_a_queue_that_pods_share)
{
	const char *const alone[] = {SQ_ANNOTATION_SCALE, "max: 2", NULL};
	static const char want[] =
	    "sqmqos.io/scale: line 1, column 1: needs a queue that the pods share: an entry of "
	    "sqmqos.io/subscribe with delivery: group, or a named queue";

	annotations_refuse(alone, want);
	refuse("max: 2", "[{filter: a, delivery: pod}]", want);
}

/* It stays, whoever takes from it. */
Test(annotations_scale, a_named_queue_is_shared_and_kept)
{
	const char *const pairs[] = {
	    SQ_ANNOTATION_SCALE, "{min: 0, max: 2}", SQ_ANNOTATION_SUBSCRIBE, "[{queue: a}]", NULL};
	struct sq_annotations a = annotations_accept(pairs, "");

	cr_expect_eq(a.scale.max, 2);
	sq_annotations_free(&a);
}

/* At no pod the queue of one that is not durable is gone, and with it what comes meanwhile. */
Test(annotations_scale, no_pod_needs_durable_queues)
{
	refuse("{min: 0, max: 2}", "[{filter: a, durable: false}]",
	    "sqmqos.io/scale: line 1, column 1: min: 0 needs durable queues: that of line 1 of "
	    "sqmqos.io/subscribe ends with its last pod");
}
