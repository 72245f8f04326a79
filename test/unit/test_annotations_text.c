/* The downward API's file, Go's quoted strings, and problems in print. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/file.h"

/* What loading the file makes of its problems. */
static char *
load(const char *file, size_t len, struct sq_annotations *out, bool warnings)
{
	struct sq_annotation_problems problems = {0};
	char *copy = sq_xmalloc(len + 1); /* so that a read past the end is seen */
	struct sq_annotation_pairs pairs;
	struct sq_buf text = {0};
	int rc;

	*out = (struct sq_annotations){0};
	memcpy(copy, file, len);
	copy = sq_xrealloc(copy, len + (len == 0));
	rc = sq_annotations_file(copy, len, &pairs, &problems);
	if (rc == 0)
		rc = sq_annotations_check(
		    pairs.v, pairs.n, SQ_ANNOTATIONS_OF_SIDECAR, "w", out, &problems);
	cr_assert_eq(rc, problems.errors > 0 ? SQ_EINVAL : 0);
	sq_annotation_pairs_free(&pairs);
	free(copy);
	sq_annotation_problems_print(&problems, warnings, &text);
	sq_annotation_problems_free(&problems);
	sq_buf_u8(&text, 0);
	return (char *)sq_buf_data(&text);
}

static void
refuse(const char *file, const char *want)
{
	struct sq_annotations a;
	char *got = load(file, strlen(file), &a, false);

	cr_expect_str_eq(got, want);
	sq_annotations_free(&a);
	free(got);
}

static struct sq_annotations
accept(const char *file, const char *warnings)
{
	struct sq_annotations a;
	char *got = load(file, strlen(file), &a, true);

	cr_expect_str_eq(got, warnings);
	free(got);
	return a;
}

Test(annotations_text, a_file_has_ours_among_others)
{
	struct sq_annotations a = accept(
	    "a=\"b\"\n\nsqmqos.io/subscribe=\" a, b\"\r\nsqmqos.io/client-id=\"the app\"\n"
	    "sqmqos.io/outbox=\"disk: 1Gi\\n\"\nsqmqos.io/publish=\"- c\\n- d\"",
	    "");

	cr_assert_eq(a.subscribe.n, 2);
	cr_assert_eq(a.client_ids.n, 1);
	cr_assert_str_eq(a.client_ids.v[0], "the app");
	cr_assert(
	    a.outbox.set && a.outbox.mode == SQ_OUTBOX_DISK, "without a claim: not its matter");
	cr_assert_eq(a.publish.n, 2);
	sq_annotations_free(&a);
}

Test(annotations_text, a_line_is_written_as_it_is_read)
{
	static const char value[] = "- \"a\\b\"\n\t\x01\x7f\xc3\xa4";
	struct sq_annotation a = {SQ_ANNOTATION_PUBLISH, value, sizeof value - 1};
	struct sq_annotation_problems problems = {0};
	struct sq_annotation_pairs pairs;
	struct sq_buf text = {0};

	sq_annotations_file_line(&text, &a);
	cr_assert_eq(memchr(sq_buf_data(&text), '\n', sq_buf_len(&text)),
	    sq_buf_data(&text) + sq_buf_len(&text) - 1);
	cr_assert_eq(
	    sq_annotations_file((char *)sq_buf_data(&text), sq_buf_len(&text), &pairs, &problems),
	    0);
	cr_assert_eq(pairs.n, 1);
	cr_assert_str_eq(pairs.v[0].key, SQ_ANNOTATION_PUBLISH);
	cr_assert_eq(pairs.v[0].len, a.len);
	cr_assert_arr_eq(pairs.v[0].value, value, a.len);
	sq_annotation_pairs_free(&pairs);
	sq_buf_fini(&text);
}

Test(annotations_text, an_empty_file_is_fine)
{
	static const char *const files[] = {"", "\n\n", "a=\"b\"", "sqmqos.io/subscribe=\"\"",
	    "sqmqos.io/=\"x\"", "sqmqos.io/a b=\"x\""};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct sq_annotations a = accept(files[i], "");

		cr_assert_eq(a.subscribe.n, 0);
		sq_annotations_free(&a);
	}
}

/* Nothing that was fixed when the pod was made keeps the sidecar from what is live. */
Test(annotations_text, what_the_sidecar_does_not_read_is_not_its_matter)
{
	struct sq_annotations a = accept(
	    "sqmqos.io/port=\"x\"\nsqmqos.io/sidecar-image=\":\"\n", "");

	cr_assert_eq(a.port, 0);
	sq_annotations_free(&a);
}

Test(annotations_text, errors_of_the_file_have_its_lines)
{
	refuse("a=\"b\"\nnonsense\n", "line 2, column 1: not of the form key=\"value\"");
	refuse("a=\"b", "line 1, column 3: no closing quote");
	refuse("a=b", "line 1, column 3: no opening quote");
	refuse("a=\"b\" c", "line 1, column 6: something follows the value");
	refuse("a=\"\\q\"\n=\"x\"",
	    "line 1, column 3: bad escape\nline 2, column 1: not of the form key=\"value\"");
	refuse("sqmqos.io/subscribe=\"a\"\nsqmqos.io/subscribe=\"b\"",
	    "sqmqos.io/subscribe: line 1, column 1: is there twice");
	refuse("x=\"\"\nsqmqos.io/subscribe=\"a,,b\"\nsqmqos.io/publish=\"- qos: 1\"\n",
	    "sqmqos.io/subscribe: line 1, column 3: an empty filter\n"
	    "sqmqos.io/publish: line 1, column 3: a filter is needed");
	refuse("sqmqos.io/client-id=\"a\\x00b\"",
	    "sqmqos.io/client-id: line 1, column 2: is not UTF-8, or has a NUL");
	refuse("sqmqos.io/subscribe=\"a\\n\\u00e4\\xffb\"",
	    "sqmqos.io/subscribe: line 2, column 2: is not UTF-8, or has a NUL");
}

Test(annotations_text, a_large_file_is_refused)
{
	size_t len = SQ_ANNOTATIONS_SIZE_MAX + 1;
	char *file = sq_xmalloc(len), *got;
	struct sq_annotations a;

	memset(file, '\n', len);
	got = load(file, len, &a, false);
	cr_assert_str_eq(got, "line 1, column 1: the file is larger than 1048576 bytes");
	free(got);
	free(file);
}

Test(annotations_text, unknown_ones_are_warned_of)
{
	struct sq_annotations a = accept("sqmqos.io/subscrbe=\"b\"\nsqmqos.io/push=\"b\"\n"
					 "sqmqos.io/inject=\"true\"\nother.io/subscrbe=\"b\"\n"
					 "sqmqos.io/sidecar-cpu-limits=\"1\"\n",
	    "sqmqos.io/subscrbe: line 1, column 1: is unknown and does nothing, did you mean "
	    "sqmqos.io/subscribe?\n"
	    "sqmqos.io/push: line 1, column 1: is unknown and does nothing\n"
	    "sqmqos.io/inject: line 1, column 1: is a label, and does nothing as an annotation\n"
	    "sqmqos.io/sidecar-cpu-limits: line 1, column 1: is unknown and does nothing, did you "
	    "mean sqmqos.io/sidecar-cpu-limit?");

	cr_assert_eq(a.subscribe.n, 0);
	sq_annotations_free(&a);
}

Test(annotations_text, problems_have_bounds)
{
	struct sq_annotation_problems ps = {0};
	struct sq_buf text = {0};
	char *end;

	for (unsigned i = 0; i < SQ_ANNOTATION_PROBLEMS_MAX + 3; i++)
		sq_annotation_problems_add(
		    &ps, "k\n", 0, (struct sq_position){i + 1, 1}, false, "%01000d\x01", 0);
	sq_annotation_problems_add(&ps, "k", 0, (struct sq_position){1, 1}, true, "w");
	cr_assert_eq(ps.n, SQ_ANNOTATION_PROBLEMS_MAX);
	cr_assert_eq(ps.errors, SQ_ANNOTATION_PROBLEMS_MAX + 3);
	cr_assert_eq(strlen(ps.v[0].text), SQ_ANNOTATION_PROBLEM_TEXT_MAX);
	cr_assert_str_eq(ps.v[0].key, "k?");
	sq_annotation_problems_print(&ps, false, &text);
	sq_buf_u8(&text, 0);
	end = strrchr((char *)sq_buf_data(&text), '\n');
	cr_assert_str_eq(end, "\nand 3 more");
	sq_buf_fini(&text);
	sq_annotation_problems_print(&ps, true, &text);
	sq_buf_u8(&text, 0);
	cr_assert_str_eq((char *)sq_buf_data(&text), "and 1 more");
	sq_buf_fini(&text);
	sq_annotation_problems_free(&ps);
	sq_annotation_problems_add(
	    &ps, NULL, 0, (struct sq_position){2, 3}, false, "a\xff\tb\xc3\xa4%s", "\xc3");
	sq_annotation_problems_print(&ps, false, &text);
	sq_buf_u8(&text, 0);
	cr_assert_str_eq((char *)sq_buf_data(&text), "line 2, column 3: a??b\xc3\xa4?");
	sq_buf_fini(&text);
	sq_annotation_problems_free(&ps);
}

Test(annotations_text, go_escapes_are_undone)
{
	static const char quoted[] = "\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\\x41\\101\\u00e9\\u20ac"
				     "\\U0001F600é\"tail";
	static const char want[] =
	    "\a\b\f\n\r\t\v\\\"AA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9";
	struct sq_buf out = {0};
	const char *why;
	long n = sq_go_unquote(quoted, sizeof quoted - 1, &out, &why);

	cr_assert_eq(n, (long)(sizeof quoted - 1 - 4));
	cr_assert_eq(sq_buf_len(&out), sizeof want - 1);
	cr_assert_arr_eq(sq_buf_data(&out), want, sizeof want - 1);
	sq_buf_fini(&out);
}

Test(annotations_text, a_value_cut_anywhere_is_refused)
{
	static const char quoted[] = "\"a\\n\\x41\\101\\u00e9\\U0001F600\"";
	static const char *const bad[] = {"\"\\ud800\"", "\"\\U00110000\"", "\"\\400\"", "\"\\x4\"",
	    "\"\\8\"", "\"\\\"", "\"\n\"", "x", ""};
	struct sq_buf out = {0};
	const char *why = NULL;

	for (size_t len = 0; len + 1 < sizeof quoted - 1; len++)
		cr_assert_lt(sq_go_unquote(quoted, len, &out, &why), 0, "cut at %zu", len);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cr_assert_lt(sq_go_unquote(bad[i], strlen(bad[i]), &out, &why), 0, "%s", bad[i]);
		cr_assert_not_null(why);
	}
	sq_buf_fini(&out);
}

Test(annotations_text, a_file_cut_anywhere_does_no_harm)
{
	static const char file[] =
	    "k=\"v\"\nsqmqos.io/client-id=\"x\"\n"
	    "sqmqos.io/subscribe=\"- filter: a/b\\n  tag: red\\n  qos: 2\\n- {filter: c}\\n\"\n";

	for (size_t len = 0; len < sizeof file; len++) {
		struct sq_annotations a;
		char *got = load(file, len, &a, false);

		sq_annotations_free(&a);
		free(got);
	}
}
