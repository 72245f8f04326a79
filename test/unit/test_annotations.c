/* sqmqos.io/subscribe in its three forms, and sqmqos.io/client-id. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/annotation_case.h"
#include "core/buf.h"
#include "core/mem.h"

static void
refuse(const char *value, const char *want)
{
	annotation_refuse(SQ_ANNOTATION_SUBSCRIBE, value, want);
}

static struct sq_declarations
accept(const char *value)
{
	return annotation_accept(SQ_ANNOTATION_SUBSCRIBE, value).subscribe;
}

Test(annotations, a_filter_gets_the_defaults)
{
	struct sq_declarations ds = accept(" orders/+ ");

	cr_assert_eq(ds.n, 1);
	cr_assert_str_eq(ds.v[0].filter, "orders/+");
	cr_assert_null(ds.v[0].tag);
	cr_assert_null(ds.v[0].group);
	cr_assert_eq(ds.v[0].qos, 1);
	cr_assert(ds.v[0].durable);
	cr_assert_not(ds.v[0].pod);
	sq_declarations_free(&ds);
}

Test(annotations, a_comma_list_is_several)
{
	struct sq_declarations ds = accept("a/#, b , $tag/red/c");

	cr_assert_eq(ds.n, 3);
	cr_assert_str_eq(ds.v[0].filter, "a/#");
	cr_assert_str_eq(ds.v[1].filter, "b");
	cr_assert_str_eq(ds.v[2].filter, "c");
	cr_assert_str_eq(ds.v[2].tag, "red");
	sq_declarations_free(&ds);
}

Test(annotations, a_comma_list_may_have_lines_and_colons)
{
	struct sq_declarations ds = accept("a/#,\n  filter:b,\ntags: c\n");

	cr_assert_eq(ds.n, 3);
	cr_assert_str_eq(ds.v[1].filter, "filter:b");
	cr_assert_str_eq(ds.v[2].filter, "tags: c");
	sq_declarations_free(&ds);
}

Test(annotations, a_yaml_list_says_everything)
{
	struct sq_declarations ds = accept(
	    "- filter: a/b\n  tag: red\n  qos: 2\n  group: g\n"
	    "  durable: false\n  expiry: 2h\n  max-length: 10\n  overflow: drop-new\n"
	    "  max-attempts: 3\n  concurrency: 4\n- {filter: c, delivery: pod}\n- d/+\n"
	    "- tag: blue\n");

	cr_assert_eq(ds.n, 4);
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

Test(annotations, an_entry_may_join_a_named_queue)
{
	struct sq_declarations ds = accept("- {queue: bill.ing_1-x, concurrency: 4}\n"
					   "- filter: $queue/a\n- $queue/b\n- c\n");
	struct sq_declarations list = accept("orders/#, $queue/billing");
	static const char *const names[] = {"bill.ing_1-x", "a", "b"};

	cr_assert_eq(ds.n, 4);
	for (size_t i = 0; i < 3; i++) {
		char filter[64];

		snprintf(filter, sizeof filter, "$queue/%s", names[i]);
		cr_expect_str_eq(ds.v[i].queue, names[i]);
		cr_expect_str_eq(ds.v[i].group, names[i]);
		cr_expect_str_eq(ds.v[i].filter, filter);
		cr_expect(ds.v[i].durable && !ds.v[i].pod && ds.v[i].tag == NULL);
		cr_expect_eq(ds.v[i].qos, 2);
		cr_expect_eq(ds.v[i].concurrency, i == 0 ? 4 : 0);
	}
	cr_expect_null(ds.v[3].queue);
	cr_assert_eq(list.n, 2);
	cr_expect_null(list.v[0].queue);
	cr_expect_str_eq(list.v[1].queue, "billing");
	sq_declarations_free(&ds);
	sq_declarations_free(&list);
}

Test(annotations, what_a_queue_s_declaration_says_an_entry_does_not)
{
	static const char *const fields[] = {"filter: a", "tag: a", "qos: 1", "delivery: pod",
	    "delivery: group", "group: a", "durable: true", "expiry: 1h", "max-length: 7",
	    "overflow: drop-new", "max-attempts: 7", "filter: $queue/b"};
	char value[96], want[160], name[32];

	for (size_t i = 0; i < SQ_ARRAY_LEN(fields); i++) {
		snprintf(name, sizeof name, "%.*s", (int)strcspn(fields[i], ":"), fields[i]);
		snprintf(value, sizeof value, "- queue: a\n  %s", fields[i]);
		snprintf(want, sizeof want,
		    "line 2, column %zu: %s has no meaning with a queue, whose declaration says it",
		    strlen(name) + 5, name);
		refuse(value, want);
	}
	refuse("- filter: $queue/a\n  qos: 1",
	    "line 2, column 8: qos has no meaning with a queue, whose declaration says it");
	refuse("a, $queue/b/c",
	    "line 1, column 4: bad queue 'b/c': a name must be 1 to 128 of A-Z a-z 0-9 . _ -");
	refuse("$queue/",
	    "line 1, column 1: bad queue '': a name must be 1 to 128 of A-Z a-z 0-9 . _ -");
	refuse("- queue: ''", "line 1, column 10: queue must be the name of a queue");
	refuse("- queue: a b",
	    "line 1, column 10: bad queue 'a b': a name must be 1 to 128 of A-Z a-z 0-9 . _ -");
	refuse("- queu: a",
	    "line 1, column 3: unknown field 'queu', did you mean queue?\n"
	    "line 1, column 3: a filter, a tag or a queue is needed");
}

Test(annotations, no_subscription_is_fine)
{
	static const char *const values[] = {"", " \n", "[]", "# nothing yet\n"};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct sq_declarations ds = accept(values[i]);

		cr_assert_eq(ds.n, 0, "%s", values[i]);
		sq_declarations_free(&ds);
	}
}

Test(annotations, errors_name_the_line_the_column_and_the_reason)
{
	refuse("a,,b", "line 1, column 3: an empty filter");
	refuse("$share/g/a", "line 1, column 1: '$share/g/a': use group instead of $share");
	refuse("$dead/a",
	    "line 1, column 1: bad filter '$dead/a': dead letters are taken whole, by $dead/#");
	refuse("a, $tag/red/$dead/#",
	    "line 1, column 4: bad filter '$dead/#': dead letters are taken whole, by $dead/#");
	refuse(
	    "- filter: a\n  qso: 1\n", "line 2, column 3: unknown field 'qso', did you mean qos?");
	refuse("- filter: a\n  qos: 3\n", "line 2, column 8: qos must be 0, 1 or 2");
	refuse("- filter: a\n  filter: b\n", "line 2, column 3: filter twice");
	refuse("- qos: 1", "line 1, column 3: a filter, a tag or a queue is needed");
	refuse("{filter: a}", "line 1, column 1: a list is wanted: start each item with \"- \"");
	/* as filters they would select what nobody publishes */
	refuse("filter: a", "line 1, column 1: a list is wanted: start each item with \"- \"");
	refuse("a,\ntag: b", "line 2, column 1: a list is wanted: start each item with \"- \"");
	refuse("a/b\nc/d\n", "line 1, column 1: a list is wanted: start each item with \"- \"");
	refuse("- [a]", "line 1, column 3: an item must be a filter or a map");
	refuse("- {filter: a, delivery: pod, group: g}",
	    "line 1, column 37: group has no meaning with delivery: pod");
	refuse("- {filter: a, delivery: pod, durable: true}",
	    "line 1, column 39: delivery: pod can't be durable");
	refuse("- {filter: a, group: 'pod:x'}",
	    "line 1, column 22: group must not contain / + # or :");
	refuse("- {filter: a, expiry: 0s}",
	    "line 1, column 23: expiry must be a time such as 90s, 10m, 24h or 7d");
	refuse("- {filter: a, expiry: 5}",
	    "line 1, column 23: expiry must be a time such as 90s, 10m, 24h or 7d");
	refuse("- {filter: a, max-length: 4294967296}",
	    "line 1, column 27: max-length must be a number from 1 to 4294967295");
	refuse("- {filter: $tag/a/b, tag: c}",
	    "line 1, column 27: two tags, in the filter and as tag");
	refuse("$tag/a/$tag", "line 1, column 1: bad filter '$tag' behind the tag");
	refuse("- !!python/object {filter: a}", "line 1, column 3: YAML tags are not taken");
	refuse("- {filter: !!str a}", "line 1, column 12: YAML tags are not taken");
	refuse("- {filter: a, tag: !!set [b]}", "line 1, column 20: YAML tags are not taken");
	refuse("- &x {filter: a}\n- *x", "line 2, column 3: YAML aliases are not taken");
	refuse("- a\n---\n- b", "line 2, column 1: one YAML document is enough");
	refuse("a/#/b", "line 1, column 1: bad filter 'a/#/b': # must be the last character");
}

/* The parser's time grows with the square of the depth: without a bound this takes minutes. */
Test(annotations, what_is_nested_without_end_ends_at_once)
{
	static char brackets[200001];

	memset(brackets, '[', sizeof brackets - 1);
	refuse(brackets,
	    "line 1, column 2: an item must be a filter or a map\n"
	    "line 1, column 17: nested deeper than 16 lists and maps");
	memset(brackets, '{', sizeof brackets - 1);
	refuse(brackets, "line 1, column 1: a list is wanted: start each item with \"- \"");
	refuse("- {filter: a, x: [[[[[[[[[[[[[1]]]]]]]]]]]]]}",
	    "line 1, column 15: unknown field 'x'");
}

/* Columns are characters, whatever their bytes. */
Test(annotations, a_position_is_where_an_editor_shows_it)
{
	refuse(
	    "ä/ö,\n € , /#x", "line 2, column 6: bad filter '/#x': # must be the last character");
	refuse("- {filter: ä/€, qos: 7}", "line 1, column 22: qos must be 0, 1 or 2");
}

Test(annotations, all_that_is_wrong_is_said_at_once)
{
	refuse("- filter: a/#/b\n  qso: 1\n  qos: [3]\n  expiry: soon\n"
	       "- {group: 'a/b', delivery: pod, durable: true}\n"
	       "- [x]\n"
	       "- {tag: a/b, [x]: y, filter: ''}\n"
	       "- good\n"
	       "- $share/g/x\n",
	    "line 1, column 11: bad filter 'a/#/b': # must be the last character\n"
	    "line 2, column 3: unknown field 'qso', did you mean qos?\n"
	    "line 3, column 8: qos must be 0, 1 or 2\n"
	    "line 4, column 11: expiry must be a time such as 90s, 10m, 24h or 7d\n"
	    "line 5, column 3: a filter, a tag or a queue is needed\n"
	    "line 5, column 11: group has no meaning with delivery: pod\n"
	    "line 5, column 11: group must not contain / + # or :\n"
	    "line 5, column 42: delivery: pod can't be durable\n"
	    "line 6, column 3: an item must be a filter or a map\n"
	    "line 7, column 9: bad tag: a tag must not contain / + # or U+0000\n"
	    "line 7, column 14: a field's name must be plain text\n"
	    "line 7, column 30: filter must be a topic filter\n"
	    "line 9, column 3: '$share/g/x': use group instead of $share");
	refuse("a,,b/#/c,$share/g/d",
	    "line 1, column 3: an empty filter\n"
	    "line 1, column 4: bad filter 'b/#/c': # must be the last character\n"
	    "line 1, column 10: '$share/g/d': use group instead of $share");
	refuse("- {filter: a, qos: 9}\n- {filter: b\n- c\n",
	    "line 1, column 20: qos must be 0, 1 or 2\n"
	    "line 4, column 1: did not find expected ',' or '}'");
}

Test(annotations, there_is_a_limit_on_how_many)
{
	struct sq_buf list = {0};

	sq_buf_printf(&list, "a");
	for (int i = 0; i < SQ_DECLARATIONS_MAX; i++)
		sq_buf_printf(&list, ",a");
	sq_buf_u8(&list, 0);
	refuse((char *)sq_buf_data(&list), "line 1, column 1025: more than 512 subscriptions");
	sq_buf_fini(&list);
}

/* What sqmqos.io/client-id may say: globs in their order. */
Test(annotations, clients_are_named_one_by_one_or_in_a_list)
{
	static const struct {
		const char *value;
		const char *want[3];
	} rows[] = {
	    {"app-con-*", {"app-con-*"}},
	    {" one , two?,*-3 ", {"one", "two?", "*-3"}},
	    {"- one\n- 'a, b'\n", {"one", "a, b"}},
	    {"[one, \"[x]\"]", {"one", "[x]"}},
	    {"", {NULL}},
	    {" \n", {NULL}},
	    {"# none\n", {NULL}},
	    {"[]", {NULL}},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_annotations a = annotation_accept(SQ_ANNOTATION_CLIENT_ID, rows[i].value);
		size_t n = 0;

		for (; n < SQ_ARRAY_LEN(rows[i].want) && rows[i].want[n] != NULL; n++) {
			cr_assert_gt(a.client_ids.n, n, "%s", rows[i].value);
			cr_assert_str_eq(a.client_ids.v[n], rows[i].want[n], "%s", rows[i].value);
		}
		cr_assert_eq(a.client_ids.n, n, "%s", rows[i].value);
		sq_annotations_free(&a);
	}
}

static void
refuse_ids(const char *value, const char *want)
{
	annotation_refuse(SQ_ANNOTATION_CLIENT_ID, value, want);
}

Test(annotations, client_names_have_bounds)
{
	struct sq_annotations a;
	struct sq_buf list = {0};

	refuse_ids("a,,b", "line 1, column 3: an empty client identifier");
	refuse_ids("- a\n- ''\n- ''\n",
	    "line 2, column 3: an empty client identifier\n"
	    "line 3, column 3: an empty client identifier");
	refuse_ids("- a\n- {b: c}\n- [d, [e]]\n",
	    "line 2, column 3: an item must be a client identifier\n"
	    "line 3, column 3: an item must be a client identifier");
	refuse_ids("{a: b}", "line 1, column 1: a client identifier or a list of them is wanted");
	refuse_ids("[\"a\\0b\"]", "line 1, column 2: an item must be a client identifier");
	for (int i = 0; i < SQ_CLIENT_IDS_MAX; i++)
		sq_buf_printf(&list, "%sx", i > 0 ? "," : "");
	sq_buf_u8(&list, 0);
	a = annotation_accept(SQ_ANNOTATION_CLIENT_ID, (char *)sq_buf_data(&list));
	cr_assert_eq(a.client_ids.n, SQ_CLIENT_IDS_MAX);
	sq_annotations_free(&a);
	sq_buf_data(&list)[sq_buf_len(&list) - 1] = ',';
	sq_buf_printf(&list, "x");
	sq_buf_u8(&list, 0);
	refuse_ids(
	    (char *)sq_buf_data(&list), "line 1, column 129: more than 64 client identifiers");
	sq_buf_fini(&list);
	for (int i = 0; i < SQ_CLIENT_ID_MAX; i++)
		sq_buf_u8(&list, 'x');
	sq_buf_u8(&list, 0);
	a = annotation_accept(SQ_ANNOTATION_CLIENT_ID, (char *)sq_buf_data(&list));
	cr_assert_eq(a.client_ids.n, 1);
	sq_annotations_free(&a);
	sq_buf_data(&list)[sq_buf_len(&list) - 1] = 'x';
	sq_buf_u8(&list, 0);
	refuse_ids((char *)sq_buf_data(&list),
	    "line 1, column 1: a client identifier has at most 256 bytes");
	sq_buf_fini(&list);
}
