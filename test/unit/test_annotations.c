/* The annotations file and sqmqos.io/subscribe in its three forms. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/annotations.h"

static char *
problem_of(const char *file, size_t len)
{
	struct sq_declarations ds = {0};
	struct sq_buf err = {0};
	char *copy;
	int rc = sq_annotations_parse(file, len, &ds, &err);

	cr_assert_neq(rc, 0, "accepted: %s", file);
	cr_assert_eq(ds.n, 0);
	cr_assert_gt(sq_buf_len(&err), 0u);
	sq_buf_u8(&err, 0);
	copy = (char *)sq_buf_data(&err);
	cr_assert_null(strchr(copy, '\n'), "more than a line: %s", copy);
	return copy;
}

/* 'file' must be refused with exactly 'want'. */
static void
refuse(const char *file, const char *want)
{
	char *got = problem_of(file, strlen(file));

	cr_assert_str_eq(got, want);
	free(got);
}

static struct sq_declarations
accept(const char *file)
{
	struct sq_declarations ds = {0};
	struct sq_buf err = {0};
	int rc = sq_annotations_parse(file, strlen(file), &ds, &err);

	cr_assert_eq(rc, 0, "%.*s", (int)sq_buf_len(&err), (char *)sq_buf_data(&err));
	sq_buf_fini(&err);
	return ds;
}

Test(annotations, a_filter_gets_the_defaults)
{
	struct sq_declarations ds = accept("a=\"b\"\nsqmqos.io/subscribe=\" orders/+ \"\n");

	cr_assert_eq(ds.n, 1);
	cr_assert_str_eq(ds.v[0].filter, "orders/+");
	cr_assert_null(ds.v[0].tag);
	cr_assert_null(ds.v[0].group);
	cr_assert_eq(ds.v[0].qos, 1);
	cr_assert(ds.v[0].durable);
	cr_assert_not(ds.v[0].pod);
	cr_assert_eq(ds.client_ids.n, 0);
	sq_declarations_free(&ds);
}

Test(annotations, a_comma_list_is_several)
{
	struct sq_declarations ds = accept("sqmqos.io/subscribe=\"a/#, b , $tag/red/c\"");

	cr_assert_eq(ds.n, 3);
	cr_assert_str_eq(ds.v[0].filter, "a/#");
	cr_assert_str_eq(ds.v[1].filter, "b");
	cr_assert_str_eq(ds.v[2].filter, "c");
	cr_assert_str_eq(ds.v[2].tag, "red");
	sq_declarations_free(&ds);
}

Test(annotations, a_yaml_list_says_everything)
{
	struct sq_declarations ds = accept(
	    "sqmqos.io/client-id=\"the app\"\n"
	    "sqmqos.io/subscribe=\"- filter: a/b\\n  tag: red\\n  qos: 2\\n  group: g\\n"
	    "  durable: false\\n  expiry: 2h\\n  max-length: 10\\n  overflow: drop-new\\n"
	    "  max-attempts: 3\\n  concurrency: 4\\n- {filter: c, delivery: pod}\\n- d/+\\n"
	    "- tag: blue\\n\"\n");

	cr_assert_eq(ds.n, 4);
	cr_assert_eq(ds.client_ids.n, 1);
	cr_assert_str_eq(ds.client_ids.v[0], "the app");
	cr_assert_str_eq(ds.v[0].filter, "a/b");
	cr_assert_str_eq(ds.v[0].tag, "red");
	cr_assert_str_eq(ds.v[0].group, "g");
	cr_assert_eq(ds.v[0].qos, 2);
	cr_assert_not(ds.v[0].durable);
	cr_assert_eq(ds.v[0].expiry_s, 7200);
	cr_assert_eq(ds.v[0].max_length, 10);
	cr_assert_eq(ds.v[0].overflow, 3);
	cr_assert_eq(ds.v[0].max_attempts, 3);
	cr_assert_eq(ds.v[0].concurrency, 4);
	cr_assert(ds.v[1].pod);
	cr_assert_not(ds.v[1].durable, "a pod's copy goes with the pod");
	cr_assert_str_eq(ds.v[2].filter, "d/+");
	cr_assert_str_eq(ds.v[3].filter, "#");
	cr_assert_str_eq(ds.v[3].tag, "blue");
	sq_declarations_free(&ds);
}

Test(annotations, no_subscription_is_fine)
{
	const char *files[] = {"", "\n\n", "a=\"b\"", "sqmqos.io/subscribe=\"\"",
	    "sqmqos.io/subscribe=\" \\n\"\r\n", "sqmqos.io/subscribe=\"[]\"",
	    "sqmqos.io/subscribe=\"# nothing yet\\n\""};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct sq_declarations ds = accept(files[i]);

		cr_assert_eq(ds.n, 0, "%s", files[i]);
		sq_declarations_free(&ds);
	}
}

Test(annotations, a_misspelt_one_is_told_and_those_of_other_programs_are_not)
{
	static const char *const others[] = {"a=\"b\"\n", "sqmqos.io/inject=\"true\"\n",
	    "sqmqos.io/port=\"1\"\n", "sqmqos.io/=\"1\"\n", "sqmqos.io/push=\"x\"\n"};
	struct sq_declarations ds;

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		ds = accept(others[i]);
		cr_assert_null(ds.misspelt, "%s", others[i]);
		sq_declarations_free(&ds);
	}
	ds = accept("a=\"b\"\nsqmqos.io/subscrbe=\"b\"\nsqmqos.io/outbocks=\"b\"\n");
	cr_assert_eq(ds.n, 0);
	cr_assert_str_eq(ds.misspelt,
	    "line 2: sqmqos.io/subscrbe is unknown and does nothing, did you mean "
	    "sqmqos.io/subscribe?");
	sq_declarations_free(&ds);
	cr_assert_null(ds.misspelt);
	ds = accept("sqmqos.io/clientid=\"b\"\n");
	cr_assert_str_eq(ds.misspelt,
	    "line 1: sqmqos.io/clientid is unknown and does nothing, did you mean "
	    "sqmqos.io/client-id?");
	sq_declarations_free(&ds);
}

Test(annotations, errors_name_the_lines_the_annotation_and_the_reason)
{
	refuse("a=\"b\"\nnonsense\n", "line 2: not of the form key=\"value\"");
	refuse("a=\"b", "line 1: a: no closing quote");
	refuse("a=b", "line 1: a: no opening quote");
	refuse("a=\"b\" c", "line 1: something follows the value");
	refuse("a=\"\\q\"", "line 1: a: bad escape");
	refuse("x=\"\"\nsqmqos.io/subscribe=\"a,,b\"",
	    "line 2: sqmqos.io/subscribe: line 1: an empty filter");
	refuse("sqmqos.io/subscribe=\"$share/g/a\"",
	    "line 1: sqmqos.io/subscribe: line 1: "
	    "'$share/g/a': use group instead of $share");
	refuse("sqmqos.io/subscribe=\"$dead/a\"",
	    "line 1: sqmqos.io/subscribe: line 1: "
	    "bad filter '$dead/a': dead letters are taken whole, by $dead/#");
	refuse("sqmqos.io/subscribe=\"a, $tag/red/$dead/#\"",
	    "line 1: sqmqos.io/subscribe: line 1: "
	    "bad filter '$dead/#': dead letters are taken whole, by $dead/#");
	refuse("sqmqos.io/subscribe=\"- filter: a\\n  qso: 1\\n\"",
	    "line 1: sqmqos.io/subscribe: "
	    "line 2: unknown field 'qso', did you mean qos?");
	refuse("sqmqos.io/subscribe=\"- filter: a\\n  qos: 3\\n\"",
	    "line 1: sqmqos.io/subscribe: "
	    "line 2: qos must be 0, 1 or 2");
	refuse("sqmqos.io/subscribe=\"- filter: a\\n  filter: b\\n\"",
	    "line 1: sqmqos.io/subscribe: line 2: filter twice");
	refuse("sqmqos.io/subscribe=\"- qos: 1\"",
	    "line 1: sqmqos.io/subscribe: line 1: a filter or a tag is needed");
	refuse("sqmqos.io/subscribe=\"{filter: a}\"",
	    "line 1: sqmqos.io/subscribe: line 1: "
	    "a list is wanted: start each item with \"- \"");
	refuse("sqmqos.io/subscribe=\"- [a]\"",
	    "line 1: sqmqos.io/subscribe: line 1: "
	    "an item must be a filter or a map");
	refuse("sqmqos.io/subscribe=\"- {filter: a, delivery: pod, group: g}\"",
	    "line 1: "
	    "sqmqos.io/subscribe: line 1: group has no meaning with delivery: pod");
	refuse("sqmqos.io/subscribe=\"- {filter: a, delivery: pod, durable: true}\"",
	    "line 1: "
	    "sqmqos.io/subscribe: line 1: delivery: pod can't be durable");
	refuse("sqmqos.io/subscribe=\"- {filter: a, group: 'pod:x'}\"",
	    "line 1: "
	    "sqmqos.io/subscribe: line 1: group must not contain / + # or :");
	refuse("sqmqos.io/subscribe=\"- {filter: a, expiry: 0s}\"",
	    "line 1: sqmqos.io/subscribe: "
	    "line 1: expiry must be a time such as 90s, 10m, 24h or 7d");
	refuse("sqmqos.io/subscribe=\"- {filter: a, expiry: 5}\"",
	    "line 1: sqmqos.io/subscribe: "
	    "line 1: expiry must be a time such as 90s, 10m, 24h or 7d");
	refuse("sqmqos.io/subscribe=\"- {filter: a, max-length: 4294967296}\"",
	    "line 1: "
	    "sqmqos.io/subscribe: line 1: max-length must be a number from 1 to 4294967295");
	refuse("sqmqos.io/subscribe=\"- {filter: $tag/a/b, tag: c}\"",
	    "line 1: "
	    "sqmqos.io/subscribe: line 1: two tags, in the filter and as tag");
	refuse("sqmqos.io/subscribe=\"$tag/a/$tag\"",
	    "line 1: sqmqos.io/subscribe: "
	    "line 1: bad filter '$tag' behind the tag");
	refuse("sqmqos.io/subscribe=\"- &x {filter: a}\\n- *x\"",
	    "line 1: sqmqos.io/subscribe: "
	    "line 2: YAML aliases are not taken");
	refuse("sqmqos.io/subscribe=\"- a\\n---\\n- b\"",
	    "line 1: sqmqos.io/subscribe: line 2: "
	    "one YAML document is enough");
}

Test(annotations, a_bad_filter_says_which_rule)
{
	char *got = problem_of("sqmqos.io/subscribe=\"a/#/b\"", 27);

	cr_assert_not_null(strstr(got, "bad filter 'a/#/b': "), "%s", got);
	free(got);
}

Test(annotations, there_is_a_limit_on_how_many)
{
	struct sq_buf file = {0};
	char *got;

	sq_buf_printf(&file, "sqmqos.io/subscribe=\"a");
	for (int i = 0; i < SQ_DECLARATIONS_MAX; i++)
		sq_buf_printf(&file, ",a%d", i);
	sq_buf_printf(&file, "\"");
	got = problem_of((char *)sq_buf_data(&file), sq_buf_len(&file));
	cr_assert_not_null(strstr(got, "more than 512 subscriptions"));
	free(got);
	sq_buf_fini(&file);
}

Test(annotations, go_escapes_are_undone)
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

Test(annotations, a_value_cut_anywhere_is_refused)
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

Test(annotations, a_file_cut_anywhere_does_no_harm)
{
	static const char file[] =
	    "k=\"v\"\nsqmqos.io/client-id=\"x\"\n"
	    "sqmqos.io/subscribe=\"- filter: a/b\\n  tag: red\\n  qos: 2\\n- {filter: c}\\n\"\n";

	for (size_t len = 0; len < sizeof file; len++) {
		struct sq_declarations ds = {0};
		struct sq_buf err = {0};
		char *copy = malloc(len + 1); /* so that a read past the end is seen */
		int rc;

		memcpy(copy, file, len);
		rc = sq_annotations_parse(copy, len, &ds, &err);
		cr_assert_eq(rc == 0, sq_buf_len(&err) == 0);
		sq_declarations_free(&ds);
		sq_buf_fini(&err);
		free(copy);
	}
}

/* What sqmqos.io/client-id may say: globs in their order. */
Test(annotations, clients_are_named_one_by_one_or_in_a_list)
{
	static const struct {
		const char *value; /* as in the file */
		const char *want[3];
	} rows[] = {
	    {"app-con-*", {"app-con-*"}},
	    {" one , two?,*-3 ", {"one", "two?", "*-3"}},
	    {"- one\\n- 'a, b'\\n", {"one", "a, b"}},
	    {"[one, \\\"[x]\\\"]", {"one", "[x]"}},
	    {"", {NULL}},
	    {" \\n", {NULL}},
	    {"# none\\n", {NULL}},
	    {"[]", {NULL}},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_declarations ds;
		char file[128];
		size_t n = 0;

		snprintf(file, sizeof file, "sqmqos.io/client-id=\"%s\"\n", rows[i].value);
		ds = accept(file);
		for (; n < SQ_ARRAY_LEN(rows[i].want) && rows[i].want[n] != NULL; n++) {
			cr_assert_gt(ds.client_ids.n, n, "%s", file);
			cr_assert_str_eq(ds.client_ids.v[n], rows[i].want[n], "%s", file);
		}
		cr_assert_eq(ds.client_ids.n, n, "%s", file);
		sq_declarations_free(&ds);
	}
}

Test(annotations, client_names_have_bounds)
{
	struct sq_client_ids ids;
	struct sq_buf err = {0}, list = {0};

	refuse("sqmqos.io/client-id=\"a,,b\"",
	    "line 1: sqmqos.io/client-id: line 1: an empty client identifier");
	refuse("sqmqos.io/client-id=\"- a\\n- ''\\n\"",
	    "line 1: sqmqos.io/client-id: line 2: an empty client identifier");
	refuse("sqmqos.io/client-id=\"- a\\n- {b: c}\\n\"",
	    "line 1: sqmqos.io/client-id: line 2: an item must be a client identifier");
	refuse("sqmqos.io/client-id=\"{a: b}\"",
	    "line 1: sqmqos.io/client-id: line 1: a client identifier or a list of them is wanted");
	refuse("sqmqos.io/client-id=\"a\\x00b\"",
	    "line 1: sqmqos.io/client-id: line 1: a client identifier has at most 256 bytes of "
	    "UTF-8");
	for (int i = 0; i < SQ_CLIENT_IDS_MAX; i++)
		sq_buf_printf(&list, "%sx", i > 0 ? "," : "");
	cr_assert_eq(
	    sq_annotations_client_id((char *)sq_buf_data(&list), sq_buf_len(&list), &ids, &err), 0);
	cr_assert_eq(ids.n, SQ_CLIENT_IDS_MAX);
	sq_client_ids_free(&ids);
	sq_buf_printf(&list, ",x");
	cr_assert_neq(
	    sq_annotations_client_id((char *)sq_buf_data(&list), sq_buf_len(&list), &ids, &err), 0);
	cr_assert_eq(ids.n, 0);
	sq_buf_fini(&err);
	sq_buf_fini(&list);
	for (int i = 0; i < SQ_CLIENT_ID_MAX; i++)
		sq_buf_u8(&list, 'x');
	cr_assert_eq(
	    sq_annotations_client_id((char *)sq_buf_data(&list), SQ_CLIENT_ID_MAX, &ids, &err), 0);
	sq_client_ids_free(&ids);
	sq_buf_u8(&list, 'x');
	cr_assert_neq(
	    sq_annotations_client_id((char *)sq_buf_data(&list), SQ_CLIENT_ID_MAX + 1, &ids, &err),
	    0);
	sq_buf_fini(&err);
	sq_buf_fini(&list);
}
