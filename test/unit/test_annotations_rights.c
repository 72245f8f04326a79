/* sqmqos.io/subscribe as a map: strict, allow and subscriptions. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/annotation_case.h"
#include "core/buf.h"

static void
refuse(const char *value, const char *want)
{
	annotation_refuse(SQ_ANNOTATION_SUBSCRIBE, value, want);
}

static struct sq_annotations
accept(const char *value)
{
	return annotation_accept(SQ_ANNOTATION_SUBSCRIBE, value);
}

Test(annotations_rights, a_map_says_all_three)
{
	struct sq_annotations a = accept("# only what it needs\n"
					 "strict: true\n"
					 "allow:\n  - state/#\n  - $SYS/sidecar/+\n"
					 "subscriptions:\n  - orders/+\n  - {tag: red, qos: 2}\n");

	cr_assert(a.rights.strict);
	cr_assert_eq(a.rights.n, 2);
	cr_assert_str_eq(a.rights.allow[0], "state/#");
	cr_assert_str_eq(a.rights.allow[1], "$SYS/sidecar/+");
	cr_assert_eq(a.subscribe.n, 2, "allow declares nothing");
	cr_assert_str_eq(a.subscribe.v[0].filter, "orders/+");
	cr_assert_str_eq(a.subscribe.v[1].tag, "red");
	sq_annotations_free(&a);
}

Test(annotations_rights, each_key_may_be_left_out)
{
	static const struct {
		const char *value;
		bool strict;
		size_t n_allow, n;
	} rows[] = {
	    {"strict: true", true, 0, 0},
	    {"strict: true\nallow: a/#", true, 1, 0},
	    {"strict: true\nallow: []\nsubscriptions: []", true, 0, 0},
	    {"{strict: true, allow: [a, b, c]}", true, 3, 0},
	    {"subscriptions: [a]", false, 0, 1},
	    {"subscriptions:\n- filter: a\n  qos: 0\nstrict: false\n", false, 0, 1},
	    {"\n  strict: true\n  subscriptions: [a, b]\n", true, 0, 2},
	    {"allow:\n- a\nstrict: true\n", true, 1, 0},
	    {"{}", false, 0, 0},
	    {"strict : true", true, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sq_annotations a = accept(rows[i].value);

		cr_expect_eq(a.rights.strict, rows[i].strict, "%s", rows[i].value);
		cr_expect_eq(a.rights.n, rows[i].n_allow, "%s", rows[i].value);
		cr_expect_eq(a.subscribe.n, rows[i].n, "%s", rows[i].value);
		sq_annotations_free(&a);
	}
}

Test(annotations_rights, the_other_forms_are_as_they_were)
{
	static const char *const values[] = {
	    "a/#", "a, b", "- a\n- b", "strict", "allow/strict: x", "strict:true", "a, strict: x"};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct sq_annotations a = accept(values[i]);

		cr_expect_not(a.rights.strict, "%s", values[i]);
		cr_expect_geq(a.subscribe.n, 1, "%s", values[i]);
		sq_annotations_free(&a);
	}
}

Test(annotations_rights, errors_have_line_column_and_reason)
{
	refuse("strict: maybe", "line 1, column 9: strict must be true or false");
	refuse("strict: [true]", "line 1, column 9: strict must be true or false");
	refuse("stict: true", "line 1, column 1: unknown field 'stict', did you mean strict?");
	refuse("STRICT: true", "line 1, column 1: unknown field 'STRICT'");
	refuse("Allow : [a]", "line 1, column 1: unknown field 'Allow', did you mean allow?");
	refuse("strict: true\nalow: [a]",
	    "line 2, column 1: unknown field 'alow', did you mean allow?");
	refuse("strict: true\nstrict: true", "line 2, column 1: strict twice");
	refuse("strict: true\nallow:\n  - a/#/b\n  - b+\n",
	    "line 3, column 5: bad filter 'a/#/b': # must be the last character\n"
	    "line 4, column 5: bad filter 'b+': + must fill a whole level");
	refuse("strict: true\nallow: [$share/g/a, $tag/red/a]",
	    "line 2, column 9: '$share/g/a': allow names topics, without $share and $tag\n"
	    "line 2, column 21: '$tag/red/a': allow names topics, without $share and $tag");
	refuse("strict: true\nallow: a/b, c/d",
	    "line 2, column 8: several filters in allow are a list: [state/#, alerts/+], each "
	    "quoted if it has a comma");
	refuse("strict: true\nallow: {a: b}",
	    "line 2, column 8: allow must be a filter or a list of filters");
	refuse("strict: true\nallow: [[a]]",
	    "line 2, column 9: allow must be a filter or a list of filters");
	refuse("strict: true\nallow:",
	    "line 2, column 7: allow must be a filter or a list of filters");
	refuse("strict: true\nsubscriptions: a", "line 2, column 16: subscriptions must be a list");
	refuse("strict: true\nsubscriptions:\n- {filter: a, qos: 3}",
	    "line 3, column 20: qos must be 0, 1 or 2");
	refuse("strict: true\nfilter: a",
	    "line 1, column 1: a list is wanted: start each item with \"- \"");
	refuse("strict: true\n---\nb", "line 2, column 1: one YAML document is enough");
}

Test(annotations_rights, allow_without_strict_is_warned_of)
{
	struct sq_annotations a = annotations_accept(
	    (const char *const[]){SQ_ANNOTATION_SUBSCRIBE, "subscriptions: [x]\nallow: [a]", NULL},
	    "sqmqos.io/subscribe: line 2, column 8: allow does nothing without strict: true");

	cr_assert_not(a.rights.strict);
	sq_annotations_free(&a);
}

Test(annotations_rights, there_is_a_bound)
{
	struct sq_buf text = {0};

	sq_buf_printf(&text, "strict: true\nallow:\n");
	for (int i = 0; i <= SQ_ALLOW_MAX; i++)
		sq_buf_printf(&text, "- a%d\n", i);
	sq_buf_u8(&text, 0);
	refuse(
	    (const char *)sq_buf_data(&text), "line 515, column 3: more than 512 filters in allow");
	sq_buf_fini(&text);
}
