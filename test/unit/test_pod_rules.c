/* Publish rules on messages: what becomes of the image. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/annotation_case.h"
#include "core/mem.h"
#include "proto/mqtt/props.h"
#include "sidecar/declared/pod_rules.h"

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static struct sq_pod_rules *
rules(const char *value)
{
	struct sq_publish_rules parsed = annotation_accept(SQ_ANNOTATION_PUBLISH, value).publish;

	return sq_pod_rules_new(&parsed);
}

/* A publish, its own user properties ("name=value", NULL at the end), and what
 * the rules made of it. */
struct world {
	struct sq_pod_rules *rules;
	struct sq_lane_publish m;
	struct sq_buf own, props;
};

static struct world
world(const char *value)
{
	return (struct world){.rules = rules(value), .m = {.expiry_s = SQ_MSG_NO_EXPIRY}};
}

static void
own_property(struct world *w, const char *name, const char *value)
{
	cr_assert_eq(sq_mqtt_user_append(&w->own, text(name), text(value)), 0);
}

static int
apply(struct world *w, const char *topic, uint8_t qos)
{
	sq_buf_fini(&w->props);
	w->m = (struct sq_lane_publish){.qos = qos,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .packet_id = qos > 0,
	    .topic = text(topic),
	    .props = {sq_buf_data(&w->own), sq_buf_len(&w->own)}};
	return sq_pod_rules_apply(w->rules, &w->m, &w->props);
}

/* The message's user properties, "name=value" with a space between. */
static const char *
properties(const struct world *w)
{
	static char line[4096];
	struct sq_bytes rest = w->m.props, name, value;
	int at = 0;

	line[0] = '\0';
	while (sq_props_user_next(&rest, &name, &value))
		at += snprintf(line + at, sizeof line - (size_t)at, "%s%.*s=%.*s",
		    at > 0 ? " " : "", (int)name.len, (const char *)name.p, (int)value.len,
		    (const char *)value.p);
	return line;
}

static void
end(struct world *w)
{
	sq_pod_rules_free(&w->rules);
	sq_buf_fini(&w->own);
	sq_buf_fini(&w->props);
}

Test(rules, none_change_nothing)
{
	struct world w = {0};

	cr_assert_null(rules(""));
	cr_assert_null(rules("[]"));
	own_property(&w, "a", "b");
	for (uint8_t qos = 0; qos <= 2; qos++) {
		cr_assert_eq(apply(&w, "t", qos), 0);
		cr_expect_eq(sq_lane_publish_qos(&w.m), qos);
		cr_expect_eq(w.m.props.p, sq_buf_data(&w.own), "nothing was copied");
	}
	end(&w);
}

Test(rules, only_what_the_filter_selects)
{
	struct world w = world("- {filter: orders/+, tags: red}");

	cr_assert_eq(apply(&w, "orders/1", 0), 0);
	cr_expect_str_eq(properties(&w), "tag=red");
	cr_assert_eq(apply(&w, "orders/1/2", 0), 0);
	cr_expect_str_eq(properties(&w), "");
	end(&w);
}

Test(rules, qos_is_raised_and_never_lowered)
{
	struct world w = world("[{filter: '0', qos: 0}, {filter: '1', qos: 1}, "
			       "{filter: '2', qos: 2}, {filter: '3', qos: 3}]");
	const uint8_t want[4][3] = {{0, 1, 2}, {1, 1, 2}, {2, 2, 2}, {2, 2, 2}};

	for (uint8_t rule = 0; rule <= 3; rule++) {
		for (uint8_t qos = 0; qos <= 2; qos++) {
			const char topic[] = {(char)('0' + rule), '\0'};

			cr_assert_eq(apply(&w, topic, qos), 0);
			cr_expect_eq(sq_lane_publish_qos(&w.m), want[rule][qos], "rule %u, qos %u",
			    rule, qos);
			cr_expect_eq(w.m.qos, qos, "the handshake stays the client's");
			cr_expect_eq(strstr(properties(&w), "sqmqos-qos=3") != NULL, rule == 3);
		}
	}
	end(&w);
}

Test(rules, retain_is_set_and_cleared)
{
	struct world w = world("[{filter: on, retain: true}, {filter: off, retain: false}]");

	cr_assert_eq(apply(&w, "on", 0), 0);
	cr_expect(w.m.retain);
	w.m.retain = true;
	w.m.topic = text("off");
	cr_assert_eq(sq_pod_rules_apply(w.rules, &w.m, &w.props), 0);
	cr_expect_not(w.m.retain);
	w.m.retain = true;
	w.m.topic = text("other");
	cr_assert_eq(sq_pod_rules_apply(w.rules, &w.m, &w.props), 0);
	cr_expect(w.m.retain);
	end(&w);
}

Test(rules, ttl_is_the_most)
{
	struct world w = world("- {filter: a, ttl: 60}");
	const uint32_t rows[][2] = {{SQ_MSG_NO_EXPIRY, 60}, {61, 60}, {60, 60}, {59, 59}, {0, 0}};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		w.m.topic = text("a");
		w.m.expiry_s = rows[i][0];
		cr_assert_eq(sq_pod_rules_apply(w.rules, &w.m, &w.props), 0);
		cr_expect_eq(w.m.expiry_s, rows[i][1], "row %zu", i);
	}
	end(&w);
}

Test(rules, tags_add_up_and_none_comes_twice)
{
	struct world w = world("- {filter: '#', tags: [red, blue, red]}\n"
			       "- {filter: a/#, tags: [blue, green]}\n- {filter: b, tags: no}\n");

	own_property(&w, "tag", "green");
	own_property(&w, "color", "red");
	cr_assert_eq(apply(&w, "a/b", 0), 0);
	cr_expect_str_eq(properties(&w), "tag=green color=red tag=red tag=blue");
	end(&w);
}

Test(rules, the_first_of_two_wins)
{
	struct world w = world("- {filter: a/b, qos: 1, retain: false, ttl: 1h, delay: 5}\n"
			       "- {filter: a/+, ttl: 10, receipt: r1, qos: 3, delay: 6}\n"
			       "- {filter: '#', qos: 3, retain: true, receipt: r2, tags: t, "
			       "key: {property: id}}\n");

	own_property(&w, "id", "7");
	cr_assert_eq(apply(&w, "a/b", 0), 0);
	cr_expect_eq(sq_lane_publish_qos(&w.m), 1);
	cr_expect_not(w.m.retain);
	cr_expect_eq(w.m.expiry_s, 3600);
	cr_expect_str_eq(
	    properties(&w), "id=7 tag=t sqmqos-delay=5", "no key and receipt below QoS 3");
	cr_assert_eq(apply(&w, "a/c", 0), 0);
	cr_expect_eq(w.m.expiry_s, 10);
	cr_expect(w.m.retain);
	cr_expect_str_eq(properties(&w),
	    "id=7 tag=t sqmqos-delay=6 sqmqos-qos=3 sqmqos-key=7 sqmqos-receipt=r1");
	end(&w);
}

Test(rules, what_the_message_says_wins)
{
	struct world w = world("- {filter: a, qos: 3, key: generated, receipt: r, delay: 9}");

	own_property(&w, "sqmqos-qos", "3");
	own_property(&w, "sqmqos-key", "k");
	own_property(&w, "sqmqos-receipt", "mine");
	own_property(&w, "sqmqos-delay", "1");
	cr_assert_eq(apply(&w, "a", 2), 0);
	cr_expect_str_eq(
	    properties(&w), "sqmqos-qos=3 sqmqos-key=k sqmqos-receipt=mine sqmqos-delay=1");
	cr_expect_eq(w.m.props.p, sq_buf_data(&w.own), "nothing was copied");
	end(&w);
}

Test(rules, an_order_key_is_the_value_of_a_property)
{
	struct world w = world("- {filter: a/b, order-key: {property: cart}}\n"
			       "- {filter: a/c, qos: 3, key: {property: id}}\n"
			       "- {filter: a/#, tags: t, order-key: {property: id}}\n");

	cr_assert_eq(apply(&w, "a/b", 0), 0);
	cr_expect_str_eq(properties(&w), "tag=t", "it has no such property");
	own_property(&w, "id", "7");
	own_property(&w, "cart", "");
	own_property(&w, "cart", "c");
	cr_assert_eq(apply(&w, "a/b", 0), 0);
	cr_expect_str_eq(properties(&w), "id=7 cart= cart=c tag=t sqmqos-order-key=c");
	cr_assert_eq(apply(&w, "a/c", 2), 0);
	cr_expect_str_eq(
	    properties(&w), "id=7 cart= cart=c tag=t sqmqos-order-key=7 sqmqos-qos=3 sqmqos-key=7");
	own_property(&w, "sqmqos-order-key", "mine");
	cr_assert_eq(apply(&w, "a/b", 0), 0);
	cr_expect_str_eq(
	    properties(&w), "id=7 cart= cart=c sqmqos-order-key=mine tag=t", "its own wins");
	end(&w);
}

/* The key that was given, which must be 32 hex digits. */
static void
drawn_key(const struct world *w, char key[33])
{
	const char *at = strstr(properties(w), "sqmqos-key=");

	cr_assert_not_null(at, "no key: %s", properties(w));
	at += strlen("sqmqos-key=");
	cr_assert_eq(strspn(at, "0123456789abcdef"), 32u, "%s", at);
	memcpy(key, at, 32);
	key[32] = '\0';
}

Test(rules, every_message_of_qos_3_has_a_key)
{
	struct world w = world("[{filter: a, qos: 3}, {filter: b, qos: 3, key: {property: id}}]");
	char first[33], second[33];

	cr_assert_eq(apply(&w, "a", 1), 0);
	drawn_key(&w, first);
	cr_assert_eq(apply(&w, "a", 1), 0);
	drawn_key(&w, second);
	cr_expect_str_neq(first, second);
	cr_assert_eq(apply(&w, "b", 1), 0);
	drawn_key(&w, first); /* it has no such property */
	own_property(&w, "id", "");
	cr_assert_eq(apply(&w, "b", 1), 0);
	drawn_key(&w, first); /* nor may all without an id be one message */
	own_property(&w, "id", "o-1");
	cr_assert_eq(apply(&w, "b", 0), 0);
	cr_expect_str_eq(properties(&w), "id= id=o-1 sqmqos-qos=3 sqmqos-key=o-1");
	end(&w);
}

Test(rules, an_app_may_ask_for_qos_3_itself)
{
	struct world w = {0};
	char key[33];

	own_property(&w, "sqmqos-qos", "3");
	cr_assert_eq(apply(&w, "a", 2), 0);
	drawn_key(&w, key);
	cr_assert_eq(apply(&w, "a", 1), 0);
	cr_expect_str_eq(properties(&w), "sqmqos-qos=3", "only QoS 2 can");
	cr_expect_eq(sq_lane_publish_qos(&w.m), 1);
	end(&w);
}

Test(rules, a_key_alone_asks_for_qos_3)
{
	struct world w = {0};

	own_property(&w, "sqmqos-key", "k");
	cr_assert_eq(apply(&w, "a", 2), 0);
	cr_expect_str_eq(properties(&w), "sqmqos-key=k sqmqos-qos=3");
	cr_assert_eq(apply(&w, "a", 1), 0);
	cr_expect_str_eq(properties(&w), "sqmqos-key=k", "it is for the broker to refuse");
	end(&w);
	w = world("[{filter: a, qos: 2}, {filter: a, qos: 3, receipt: r}]");
	own_property(&w, "sqmqos-key", "k");
	cr_assert_eq(apply(&w, "a", 1), 0);
	cr_expect_str_eq(properties(&w), "sqmqos-key=k sqmqos-qos=3 sqmqos-receipt=r");
	end(&w);
}

Test(rules, strict_allows_what_a_rule_selects)
{
	struct world w = world("{strict: true, rules: [orders/#, {filter: stock/+, tags: s}]}");

	cr_expect_eq(apply(&w, "orders", 0), 0);
	cr_expect_eq(apply(&w, "orders/1", 2), 0);
	cr_expect_str_eq(properties(&w), "");
	cr_expect_eq(apply(&w, "stock/1", 0), 0);
	cr_expect_str_eq(properties(&w), "tag=s");
	cr_expect_eq(apply(&w, "stock/1/2", 0), SQ_EDENIED);
	cr_expect_eq(apply(&w, "other", 1), SQ_EDENIED);
	end(&w);
	w = world("{strict: true}");
	cr_expect_eq(apply(&w, "orders", 0), SQ_EDENIED);
	end(&w);
	w = world("{strict: true, rules: ['#']}");
	cr_expect_eq(apply(&w, "anything", 0), 0);
	cr_expect_eq(apply(&w, "$SYS/x", 0), SQ_EDENIED, "# selects no topic with $ (4.7.2)");
	end(&w);
}

Test(rules, the_last_of_many_counts_too)
{
	struct sq_buf b = {0};
	struct world w;

	for (int i = 0; i < SQ_RULES_MAX; i++)
		sq_buf_printf(&b, "- {filter: t/%d, tags: t%d}\n", i, i);
	sq_buf_u8(&b, 0);
	w = world((const char *)sq_buf_data(&b));
	cr_assert_eq(apply(&w, "t/255", 0), 0);
	cr_expect_str_eq(properties(&w), "tag=t255");
	cr_assert_eq(apply(&w, "t/64", 0), 0);
	cr_expect_str_eq(properties(&w), "tag=t64");
	sq_buf_fini(&b);
	end(&w);
}
