/* sqmqos.io/publish: what is read, and what is refused with which reason. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/annotations.h"

static struct sq_publish_rules
accept(const char *value)
{
	struct sq_publish_rules rules = {0};
	struct sq_buf err = {0};
	int rc = sq_annotations_publish(value, strlen(value), &rules, &err);

	cr_assert_eq(rc, 0, "%s: %.*s", value, (int)sq_buf_len(&err), (char *)sq_buf_data(&err));
	cr_assert_eq(sq_buf_len(&err), 0u);
	sq_buf_fini(&err);
	return rules;
}

/* 'value' must be refused with exactly 'want'. */
static void
refuse(const char *value, const char *want)
{
	struct sq_publish_rules rules = {0};
	struct sq_buf err = {0};
	int rc = sq_annotations_publish(value, strlen(value), &rules, &err);

	cr_expect_eq(rc, SQ_EINVAL, "accepted: %s", value);
	sq_buf_u8(&err, 0);
	cr_expect_str_eq((char *)sq_buf_data(&err), want);
	sq_buf_fini(&err);
	sq_publish_rules_free(&rules);
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
	    {"orders/#", "line 1: a list of rules is wanted, or a map of strict and rules"},
	    {"- qos: 1", "line 1: a filter is needed"},
	    {"- a\n- filter: ''", "line 2: filter must be a topic filter"},
	    {"- a/#/b", "line 1: bad filter 'a/#/b': # must be the last character"},
	    {"- $share/g/a",
		"line 1: '$share/g/a': a rule selects by topic, without $share and $tag"},
	    {"- filter: $tag/red/a",
		"line 1: '$tag/red/a': a rule selects by topic, without $share and $tag"},
	    {"- filter: a\n  qos: 4", "line 2: qos must be 0, 1, 2 or 3"},
	    {"- filter: a\n  qos: [1]", "line 2: qos must be 0, 1, 2 or 3"},
	    {"- filter: a\n  retain: yes", "line 2: retain must be true or false"},
	    {"- filter: a\n  tags: {}", "line 2: tags must be a tag or a list of tags"},
	    {"- filter: a\n  tags: [b, c/d]",
		"line 2: bad tag: a tag must not contain / + # or U+0000"},
	    {"- filter: a\n  tags: [[b]]", "line 2: tags must be a tag or a list of tags"},
	    {"- filter: a\n  ttl: 0",
		"line 2: ttl must be a time such as 90s, 10m, 24h or 7d, or seconds"},
	    {"- filter: a\n  ttl: 4294967295",
		"line 2: ttl must be a time such as 90s, 10m, 24h or 7d, or seconds"},
	    {"- filter: a\n  delay: soon",
		"line 2: delay must be a time such as 90s, 10m, 24h or 7d, or seconds, at most "
		"999999999s"},
	    {"- filter: a\n  delay: 1000000000",
		"line 2: delay must be a time such as 90s, 10m, 24h or 7d, or seconds, at most "
		"999999999s"},
	    {"- {filter: a, qos: 3, receipt: $dead/a}",
		"line 1: bad topic '$dead/a': $dead is for dead letters"},
	    {"- filter: a\n  qos: 3\n  key: id",
		"line 3: key must be generated or {property: NAME}"},
	    {"- filter: a\n  qos: 3\n  key: {}",
		"line 3: key must be generated or {property: NAME}"},
	    {"- filter: a\n  qos: 3\n  key: {properly: id}",
		"line 3: unknown field 'properly', did you mean property?"},
	    {"- filter: a\n  qos: 3\n  key:\n    property: ''",
		"line 4: property must be a name of 1 to 255 bytes"},
	    {"- filter: a\n  qos: 3\n  key: {property: a, property: b}", "line 3: property twice"},
	    {"- filter: a\n  key: generated", "line 1: key needs qos: 3"},
	    {"- {filter: a, qos: 2, receipt: b}", "line 1: receipt needs qos: 3"},
	    {"- filter: a\n  qos: 3\n  receipt: b/#",
		"line 3: bad topic 'b/#': a topic name must not contain + or #"},
	    {"- filter: a\n  qos: 3\n  receipt: ''",
		"line 3: receipt must be a topic of at most 1024 bytes"},
	    {"- filter: a\n  tag: b", "line 2: unknown field 'tag', did you mean tags?"},
	    {"- filter: a\n  filter: b", "line 2: filter twice"},
	    {"- [a]", "line 1: a rule must be a filter or a map"},
	    {"strict: maybe", "line 1: strict must be true or false"},
	    {"strict: true\nrules: a", "line 2: rules must be a list"},
	    {"rule: [a]", "line 1: unknown field 'rule', did you mean rules?"},
	    {"strict: true\nstrict: true", "line 2: strict twice"},
	    {"[a]\n---\n[b]", "line 2: one YAML document is enough"},
	    {"- &x a\n- *x", "line 2: YAML aliases are not taken"},
	    {"- \"a\\0b\"", "line 1: a rule must be a filter or a map"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++)
		refuse(rows[i].value, rows[i].want);
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
	refuse(rules, "line 257: more than 256 rules");
	refuse(tags, "line 2: more than 16 tags");
	refuse(name, "line 4: property must be a name of 1 to 255 bytes");
	refuse(receipt, "line 3: receipt must be a topic of at most 1024 bytes");
	sq_publish_rules_free(&full);
	free(most);
	free(rules);
	free(tags);
	free(name);
	free(receipt);
}

Test(annotations_publish, the_file_has_them_beside_the_subscriptions)
{
	const char good[] = "sqmqos.io/publish=\"- filter: a\\n  qos: 1\\n\"\n"
			    "sqmqos.io/subscribe=\"b\"\n";
	const char bad[] = "sqmqos.io/subscribe=\"b\"\nsqmqos.io/publish=\"- a\\n- qos: 1\\n\"\n";
	struct sq_declarations ds;
	struct sq_buf err = {0};

	cr_assert_eq(sq_annotations_parse(good, sizeof good - 1, &ds, &err), 0);
	cr_expect_eq(ds.n, 1);
	cr_assert_eq(ds.publish.n, 1);
	cr_expect_str_eq(ds.publish.v[0].filter, "a");
	sq_declarations_free(&ds);
	cr_assert_eq(sq_annotations_parse(bad, sizeof bad - 1, &ds, &err), SQ_EINVAL);
	sq_buf_u8(&err, 0);
	cr_expect_str_eq(
	    (char *)sq_buf_data(&err), "line 2: sqmqos.io/publish: line 2: a filter is needed");
	cr_expect(ds.n == 0 && ds.publish.n == 0);
	sq_buf_fini(&err);
}
