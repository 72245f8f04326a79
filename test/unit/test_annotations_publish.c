/* sqmqos.io/publish: what is read, and what is refused with which reason. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/annotation_case.h"
#include "core/buf.h"
#include "core/mem.h"

static struct sq_publish_rules
accept(const char *value)
{
	return annotation_accept(SQ_ANNOTATION_PUBLISH, value).publish;
}

/* 'value' must be refused with exactly 'want'. */
static void
refuse(const char *value, const char *want)
{
	annotation_refuse(SQ_ANNOTATION_PUBLISH, value, want);
}

Test(annotations_publish, a_rule_says_nothing_by_itself)
{
	struct sq_publish_rules rules = accept("- orders/#\n- filter: a/+/b\n");

	cr_assert_eq(rules.n, 2);
	cr_assert_not(rules.strict);
	for (size_t i = 0; i < rules.n; i++) {
		const struct sq_publish_rule *r = &rules.v[i];

		cr_expect_str_eq(r->filter, i == 0 ? "orders/#" : "a/+/b");
		cr_expect(r->qos == -1 && r->retain == -1);
		cr_expect(!r->key_generated && r->key_property == NULL && r->receipt == NULL);
		cr_expect(r->n_tags == 0 && r->ttl_s == 0 && r->delay_s == 0);
	}
	sq_publish_rules_free(&rules);
	cr_assert_eq(rules.n, 0);
}

Test(annotations_publish, a_rule_may_say_everything)
{
	struct sq_publish_rules rules = accept("- filter: a/#\n  qos: 3\n  retain: true\n"
					       "  tags: [red, \"über\"]\n  ttl: 10m\n"
					       "  key: {property: order-id}\n"
					       "  receipt: receipts/a\n  delay: 30\n"
					       "  order-key: {property: customer}\n"
					       "- {filter: b, qos: 0, retain: false, tags: blue,\n"
					       "   ttl: 90, delay: 7d}\n"
					       "- {filter: c, qos: 3, key: generated}\n");

	cr_assert_eq(rules.n, 3);
	cr_expect_eq(rules.v[0].qos, 3);
	cr_expect_eq(rules.v[0].retain, 1);
	cr_assert_eq(rules.v[0].n_tags, 2);
	cr_expect_str_eq(rules.v[0].tags[0], "red");
	cr_expect_str_eq(rules.v[0].tags[1], "über");
	cr_expect_eq(rules.v[0].ttl_s, 600);
	cr_expect_str_eq(rules.v[0].key_property, "order-id");
	cr_expect_not(rules.v[0].key_generated);
	cr_expect_str_eq(rules.v[0].receipt, "receipts/a");
	cr_expect_eq(rules.v[0].delay_s, 30);
	cr_expect_str_eq(rules.v[0].order_property, "customer");
	cr_expect_null(rules.v[1].order_property);
	cr_expect_eq(rules.v[1].qos, 0);
	cr_expect_eq(rules.v[1].retain, 0);
	cr_assert_eq(rules.v[1].n_tags, 1);
	cr_expect_str_eq(rules.v[1].tags[0], "blue");
	cr_expect_eq(rules.v[1].ttl_s, 90);
	cr_expect_eq(rules.v[1].delay_s, 7 * 86400);
	cr_expect(rules.v[2].key_generated);
	sq_publish_rules_free(&rules);
}

Test(annotations_publish, a_map_may_be_strict)
{
	const struct {
		const char *value;
		size_t n;
		bool strict;
	} rows[] = {
	    {"strict: true\nrules:\n  - orders/#\n  - {filter: stock/+, qos: 1}\n", 2, true},
	    {"{rules: [a], strict: false}", 1, false},
	    {"rules: [a, b, c]", 3, false},
	    {"strict: true", 0, true},
	    {"{}", 0, false},
	    {"[]", 0, false},
	    {"", 0, false},
	    {"# nothing yet\n", 0, false},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_publish_rules rules = accept(rows[i].value);

		cr_expect_eq(rules.n, rows[i].n, "%s", rows[i].value);
		cr_expect_eq(rules.strict, rows[i].strict, "%s", rows[i].value);
		sq_publish_rules_free(&rules);
	}
}

Test(annotations_publish, errors_name_the_line_and_the_reason)
{
	const struct {
		const char *value, *want;
	} rows[] = {
	    {"orders/#",
		"line 1, column 1: a list of rules is wanted, or a map of strict and rules"},
	    {"- qos: 1", "line 1, column 3: a filter is needed"},
	    {"- a\n- filter: ''", "line 2, column 11: filter must be a topic filter"},
	    {"- a/#/b", "line 1, column 3: bad filter 'a/#/b': # must be the last character"},
	    {"- $share/g/a",
		"line 1, column 3: '$share/g/a': a rule selects by topic, without $share and $tag"},
	    {"- filter: $tag/red/a",
		"line 1, column 11: '$tag/red/a': a rule selects by topic, without $share and "
		"$tag"},
	    {"- filter: a\n  qos: 4", "line 2, column 8: qos must be 0, 1, 2 or 3"},
	    {"- filter: a\n  qos: [1]", "line 2, column 8: qos must be 0, 1, 2 or 3"},
	    {"- filter: a\n  retain: yes", "line 2, column 11: retain must be true or false"},
	    {"- filter: a\n  tags: {}", "line 2, column 9: tags must be a tag or a list of tags"},
	    {"- filter: a\n  tags: [b, c/d]",
		"line 2, column 13: bad tag: a tag must not contain / + # or U+0000"},
	    {"- filter: a\n  tags: [[b]]", "line 2, column 10: a tag must be plain text"},
	    {"- filter: a\n  ttl: 0",
		"line 2, column 8: ttl must be a time such as 90s, 10m, 24h or 7d, or seconds"},
	    {"- filter: a\n  ttl: 4294967295",
		"line 2, column 8: ttl must be a time such as 90s, 10m, 24h or 7d, or seconds"},
	    {"- filter: a\n  delay: soon",
		"line 2, column 10: delay must be a time such as 90s, 10m, 24h or 7d, or seconds, "
		"at most "
		"999999999s"},
	    {"- filter: a\n  delay: 1000000000",
		"line 2, column 10: delay must be a time such as 90s, 10m, 24h or 7d, or seconds, "
		"at most "
		"999999999s"},
	    {"- {filter: a, qos: 3, receipt: $dead/a}",
		"line 1, column 32: bad topic '$dead/a': $dead is for dead letters"},
	    {"- {filter: a, qos: 3, receipt: $SYS/a}",
		"line 1, column 32: bad topic '$SYS/a': nobody publishes to topics below $SYS, "
		"$share, $tag and $queue"},
	    {"- filter: a\n  qos: 3\n  key: id",
		"line 3, column 8: key must be generated or {property: NAME}"},
	    {"- filter: a\n  qos: 3\n  key: {}",
		"line 3, column 8: key must be generated or {property: NAME}"},
	    {"- filter: a\n  qos: 3\n  key: {properly: id}",
		"line 3, column 9: unknown field 'properly', did you mean property?"},
	    {"- filter: a\n  qos: 3\n  key:\n    property: ''",
		"line 4, column 15: property must be a name of 1 to 255 bytes"},
	    {"- filter: a\n  qos: 3\n  key: {property: a, property: b}",
		"line 3, column 22: property twice"},
	    {"- filter: a\n  order-key: customer",
		"line 2, column 14: order-key must be {property: NAME}"},
	    {"- filter: a\n  order-key: {}",
		"line 2, column 14: order-key must be {property: NAME}"},
	    {"- filter: a\n  order-key: {property: ''}",
		"line 2, column 25: property must be a name of 1 to 255 bytes"},
	    {"- filter: a\n  orderkey: {property: b}",
		"line 2, column 3: unknown field 'orderkey', did you mean order-key?"},
	    {"- filter: a\n  key: generated", "line 2, column 8: key needs qos: 3"},
	    {"- {filter: a, qos: 2, receipt: b}", "line 1, column 32: receipt needs qos: 3"},
	    {"- filter: a\n  qos: 3\n  receipt: b/#",
		"line 3, column 12: bad topic 'b/#': a topic name must not contain + or #"},
	    {"- filter: a\n  qos: 3\n  receipt: ''",
		"line 3, column 12: receipt must be a topic of at most 1024 bytes"},
	    {"- filter: a\n  tag: b", "line 2, column 3: unknown field 'tag', did you mean tags?"},
	    {"- filter: a\n  filter: b", "line 2, column 3: filter twice"},
	    {"- [a]", "line 1, column 3: a rule must be a filter or a map"},
	    {"strict: maybe", "line 1, column 9: strict must be true or false"},
	    {"strict: true\nrules: a", "line 2, column 8: rules must be a list"},
	    {"rule: [a]", "line 1, column 1: unknown field 'rule', did you mean rules?"},
	    {"strict: true\nstrict: true", "line 2, column 1: strict twice"},
	    {"[a]\n---\n[b]", "line 2, column 1: one YAML document is enough"},
	    {"- &x a\n- *x", "line 2, column 3: YAML aliases are not taken"},
	    {"- \"a\\0b\"", "line 1, column 3: a rule must be a filter or a map"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++)
		refuse(rows[i].value, rows[i].want);
}

Test(annotations_publish, all_that_is_wrong_is_said_at_once)
{
	refuse("strict: maybe\nrulez: [{a: b}]\nrules:\n"
	       "- {filter: a/#/b, qos: 9, key: {b: c, property: ''}, tags: [x/y, [z], '#']}\n"
	       "- {ttl: [1], receipt: b/#, delay: soon}\n"
	       "- good\n"
	       "- [bad]\n",
	    "line 1, column 9: strict must be true or false\n"
	    "line 2, column 1: unknown field 'rulez', did you mean rules?\n"
	    "line 4, column 12: bad filter 'a/#/b': # must be the last character\n"
	    "line 4, column 24: qos must be 0, 1, 2 or 3\n"
	    "line 4, column 32: key needs qos: 3\n"
	    "line 4, column 33: unknown field 'b'\n"
	    "line 4, column 49: property must be a name of 1 to 255 bytes\n"
	    "line 4, column 61: bad tag: a tag must not contain / + # or U+0000\n"
	    "line 4, column 66: a tag must be plain text\n"
	    "line 4, column 71: bad tag: a tag must not contain / + # or U+0000\n"
	    "line 5, column 3: a filter is needed\n"
	    "line 5, column 9: ttl must be a time such as 90s, 10m, 24h or 7d, or seconds\n"
	    "line 5, column 23: bad topic 'b/#': a topic name must not contain + or #\n"
	    "line 5, column 23: receipt needs qos: 3\n"
	    "line 5, column 35: delay must be a time such as 90s, 10m, 24h or 7d, or seconds, at "
	    "most 999999999s\n"
	    "line 7, column 3: a rule must be a filter or a map");
}

/* "- a\n" or "a, " often enough. */
static char *
repeat(const char *head, const char *part, unsigned n, const char *tail)
{
	struct sq_buf b = {0};
	char *text;

	sq_buf_printf(&b, "%s", head);
	for (unsigned i = 0; i < n; i++)
		sq_buf_printf(&b, "%s", part);
	sq_buf_printf(&b, "%s", tail);
	text = sq_xmemdup0(sq_buf_data(&b), sq_buf_len(&b));
	sq_buf_fini(&b);
	return text;
}

Test(annotations_publish, counts_and_lengths_have_bounds)
{
	char *most = repeat("", "- a\n", SQ_RULES_MAX, ""),
	     *rules = repeat("", "- a\n", SQ_RULES_MAX + 1, ""),
	     *tags = repeat("- filter: a\n  tags: [", "t, ", SQ_RULE_TAGS_MAX + 1, "]"),
	     *name = repeat("- filter: a\n  qos: 3\n  key:\n    property: ", "n",
		 SQ_RULE_PROPERTY_MAX + 1, ""),
	     *receipt = repeat(
		 "- filter: a\n  qos: 3\n  receipt: ", "r", SQ_RULE_RECEIPT_MAX + 1, "");
	struct sq_publish_rules full = accept(most);

	cr_assert_eq(full.n, SQ_RULES_MAX);
	refuse(rules, "line 257, column 3: more than 256 rules");
	refuse(tags, "line 2, column 58: more than 16 tags");
	refuse(name, "line 4, column 15: property must be a name of 1 to 255 bytes");
	refuse(receipt, "line 3, column 12: receipt must be a topic of at most 1024 bytes");
	sq_publish_rules_free(&full);
	free(most);
	free(rules);
	free(tags);
	free(name);
	free(receipt);
}
