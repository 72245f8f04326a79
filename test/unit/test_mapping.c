/* Templates: what they may be, what they give, and what filters might match that. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/mapping/mapping.h"
#include "proto/mqtt/props.h"
#include "proto/topic/topic.h"

static const char odd_arg[] = "of the headers";

static const char *
text_of(struct sq_buf *b)
{
	sq_buf_u8(b, '\0');
	return (const char *)sq_buf_data(b);
}

/* The properties of the messages below: "a" twice, an empty one, and letters that need care. */
static struct sq_buf
props_make(void)
{
	static const char *const all[][2] = {{"a", "one"}, {"a", "two"}, {"none", ""}, {"tag", ""},
	    {"tag", "red"}, {"tag", "blue"}, {"odd", "x/y +#%\"\xc3\xa9"}, {"line", "a\r\nb: c"},
	    {"dots", ".."}};
	struct sq_buf b = {0};

	for (size_t i = 0; i < SQ_ARRAY_LEN(all); i++)
		cr_assert(sq_mqtt_user_append(&b, sq_bytes_of(all[i][0]), sq_bytes_of(all[i][1])) ==
		    SQ_OK);
	return b;
}

/* Fills in a template, once it is checked; the caller frees 'out' and 'why'. */
static int
fill_from(const char *tmpl, enum sq_mapping_place place, enum sq_mapping_of of,
    const struct sq_mapping_from *from, struct sq_buf *out, struct sq_buf *why)
{
	struct sq_buf err = {0};
	int rc = sq_mapping_check(tmpl, place, of, &err);

	cr_assert(rc == SQ_OK, "%s: %s", tmpl, text_of(&err));
	sq_buf_fini(&err);
	return sq_mapping_fill(tmpl, place, from, out, why);
}

/* A template's text for a message. */
static int
fill(const char *tmpl, enum sq_mapping_place place, const char *topic, struct sq_buf *out,
    struct sq_buf *why)
{
	struct sq_buf props = props_make();
	struct sq_mapping_from from = {.topic = sq_bytes_of(topic),
	    .props = {sq_buf_data(&props), sq_buf_len(&props)},
	    .space = "shop",
	    .queue = "billing"};
	int rc = fill_from(tmpl, place, SQ_MAPPING_OF_QUEUE, &from, out, why);

	sq_buf_fini(&props);
	return rc;
}

static void
gives(const char *tmpl, enum sq_mapping_place place, const char *topic, const char *wanted)
{
	struct sq_buf out = {0}, why = {0};
	int rc;

	sq_buf_append(&out, ">", 1);
	rc = fill(tmpl, place, topic, &out, &why);
	cr_expect(rc == SQ_OK, "%s: %s", tmpl, text_of(&why));
	cr_expect_str_eq(text_of(&out) + 1, wanted);
	sq_buf_fini(&out);
	sq_buf_fini(&why);
}

static void
fails(
    const char *tmpl, enum sq_mapping_place place, const char *topic, int wanted, const char *says)
{
	struct sq_buf out = {0}, why = {0};

	cr_expect(fill(tmpl, place, topic, &out, &why) == wanted, "%s", tmpl);
	cr_expect_str_eq(text_of(&why), says);
	cr_expect(sq_buf_len(&out) == 0);
	sq_buf_fini(&out);
	sq_buf_fini(&why);
}

static void
bad_of(const char *tmpl, enum sq_mapping_place place, enum sq_mapping_of of, const char *says)
{
	struct sq_buf err = {0};

	cr_expect(sq_mapping_check(tmpl, place, of, &err) == SQ_EINVAL, "%s", tmpl);
	cr_expect_str_eq(text_of(&err), says);
	sq_buf_fini(&err);
}

static void
bad(const char *tmpl, enum sq_mapping_place place, const char *says)
{
	bad_of(tmpl, place, SQ_MAPPING_OF_QUEUE, says);
}

/* The headers of a peer. */
static struct sq_bytes
header_of(const void *arg, struct sq_bytes name)
{
	static const char odd[] = "x/y+#\n\xc3\xa9";

	cr_assert(arg == odd_arg);
	if (sq_bytes_are(name, "odd"))
		return sq_bytes_of(odd);
	if (sq_bytes_are(name, "broken"))
		return sq_bytes_of("\xff");
	return sq_bytes_of(sq_bytes_are(name, "event") ? "push" : NULL);
}

/* A template's text for what a peer has brought, or why there is none. */
static void
brings(const char *tmpl, enum sq_mapping_place place, const char *key, int wanted, const char *says)
{
	struct sq_buf out = {0}, why = {0};
	struct sq_mapping_from from = {.topic = sq_bytes_of("old/topic"),
	    .space = "shop",
	    .queue = "replies",
	    .key = sq_bytes_of(key),
	    .header = header_of,
	    .arg = odd_arg};
	int rc = fill_from(tmpl, place, SQ_MAPPING_OF_PEER, &from, &out, &why);

	cr_expect(rc == wanted, "%s", tmpl);
	cr_expect_str_eq(text_of(rc == SQ_OK ? &out : &why), says);
	sq_buf_fini(&out);
	sq_buf_fini(&why);
}

Test(mapping, each_name)
{
	gives("{topic}", SQ_MAPPING_TOPIC, "orders/eu/7", "orders/eu/7");
	gives("{topic.2}", SQ_MAPPING_TOPIC, "orders/eu/7", "eu");
	gives("in/{topic.*:.}", SQ_MAPPING_TOPIC, "orders/eu/7", "in/orders.eu.7");
	gives("{topic.*:--}", SQ_MAPPING_TOPIC, "a//b", "a----b");
	gives("{space}/{queue}", SQ_MAPPING_TOPIC, "a", "shop/billing");
	gives("p/{prop:a}", SQ_MAPPING_TOPIC, "a", "p/one");
	gives("{topic.1}-{topic.3}", SQ_MAPPING_TOPIC, "orders/eu/7", "orders-7");
	gives("{{{topic.1}}}", SQ_MAPPING_TOPIC, "a/b", "{a}");
	gives("t/{tag}", SQ_MAPPING_TOPIC, "a", "t/red");
	gives("plain", SQ_MAPPING_TOPIC, "a", "plain");
}

Test(mapping, what_a_peer_brings)
{
	brings("in/{key}", SQ_MAPPING_TOPIC, "orders.eu/x", SQ_OK, "in/orders.eu_x");
	brings("in/{key:/}", SQ_MAPPING_TOPIC, "orders.eu/x.+", SQ_OK, "in/orders/eu_x/_");
	brings("{key:--}", SQ_MAPPING_TEXT, "a..b", SQ_OK, "a----b");
	brings("{space}/{queue}/{topic}", SQ_MAPPING_TOPIC, "", SQ_OK, "shop/replies/old/topic");
	brings("e/{header:event}", SQ_MAPPING_TOPIC, "", SQ_OK, "e/push");
	brings("e/{header:odd}", SQ_MAPPING_TOPIC, "", SQ_OK, "e/x_y__\n\xc3\xa9");
	brings("{key:/|none}/{header:no|x}", SQ_MAPPING_TOPIC, "", SQ_OK, "none/x");
	brings(
	    "{key:/}", SQ_MAPPING_TOPIC, "", SQ_ENOTFOUND, "the message has nothing for {key:/}");
	brings("{header:no}", SQ_MAPPING_TOPIC, "a", SQ_ENOTFOUND,
	    "the message has nothing for {header:no}");
	brings("{key:/}", SQ_MAPPING_TOPIC, "$SYS.x", SQ_EINVAL,
	    sq_topic_reserved(sq_bytes_of("$SYS/x")));
	brings("a/{header:broken}", SQ_MAPPING_TOPIC, "", SQ_EINVAL, "it is no UTF-8");
	brings("{header:broken}", SQ_MAPPING_TEXT, "", SQ_EINVAL, "it is no UTF-8");
	bad_of("{prop:a}", SQ_MAPPING_TOPIC, SQ_MAPPING_OF_PEER,
	    "at byte 0: what comes from a peer has {header:NAME} in place of {prop:NAME}");
	bad("a/{key}", SQ_MAPPING_TOPIC,
	    "at byte 2: only what comes from a peer has a {key} or a {header:NAME}");
	bad("{header:x}", SQ_MAPPING_HEADER,
	    "at byte 0: only what comes from a peer has a {key} or a {header:NAME}");
}

Test(mapping, defaults_stand_in_for_what_is_empty_or_not_there)
{
	gives("{topic.4|x/y}", SQ_MAPPING_TOPIC, "a/b/c", "x/y");
	gives("{topic.2|x}", SQ_MAPPING_TOPIC, "a//c", "x");
	gives("{prop:none|}z", SQ_MAPPING_TOPIC, "a", "z");
	gives("{prop:nobody|a|b}", SQ_MAPPING_TOPIC, "a", "a|b");
	gives("{topic.1|x}", SQ_MAPPING_TOPIC, "a", "a");
	fails("r/{topic.4}", SQ_MAPPING_TOPIC, "a/b", SQ_ENOTFOUND,
	    "the message has nothing for {topic.4}");
	fails("r/{prop:none}", SQ_MAPPING_TOPIC, "a", SQ_ENOTFOUND,
	    "the message has nothing for {prop:none}");
}

Test(mapping, a_value_stays_in_its_place)
{
	gives("r/{prop:odd}", SQ_MAPPING_TOPIC, "a", "r/x_y __%\"\xc3\xa9");
	gives("/e/{prop:odd}/z", SQ_MAPPING_PATH, "a", "/e/x%2Fy%20%2B%23%25%22%C3%A9/z");
	gives("{prop:odd}", SQ_MAPPING_HEADER, "a", "x/y +#%\"?");
	gives("{prop:line}", SQ_MAPPING_HEADER, "a", "a??b: c");
	gives("{prop:odd}", SQ_MAPPING_TEXT, "a", "x/y +#%\"\xc3\xa9");
	gives("{prop:line}", SQ_MAPPING_TEXT, "a", "a??b: c");
	gives("", SQ_MAPPING_TEXT, "a", "");
	gives("/e/{topic}", SQ_MAPPING_PATH, "a b/c?d", "/e/a%20b/c%3Fd");
	gives("/e/{topic.1}", SQ_MAPPING_PATH, "a?b/c", "/e/a%3Fb");
	gives("{topic}", SQ_MAPPING_HEADER, "a/\xe2\x82\xac", "a/?");
	gives("https://h:1/x/{topic.1}?a=b/../c", SQ_MAPPING_PATH, "q", "https://h:1/x/q?a=b/../c");
}

Test(mapping, a_topic_that_is_none)
{
	fails("{topic.1}", SQ_MAPPING_TOPIC, "$SYS/x", SQ_EINVAL,
	    sq_topic_reserved(sq_bytes_of("$SYS")));
	fails("$dead/{topic.1}", SQ_MAPPING_TOPIC, "x", SQ_EINVAL,
	    sq_topic_closed(sq_bytes_of("$dead/x")));
	fails("{prop:none|}", SQ_MAPPING_TOPIC, "x", SQ_EINVAL, "it is empty");
}

Test(mapping, a_path_stays_below_its_own)
{
	fails("/e/{topic}", SQ_MAPPING_PATH, "a/../../b", SQ_EINVAL,
	    "a path would have a segment of dots");
	fails(
	    "/e/{topic.1}", SQ_MAPPING_PATH, ".", SQ_EINVAL, "a path would have a segment of dots");
	fails("/e/{prop:dots}/x", SQ_MAPPING_PATH, "a", SQ_EINVAL,
	    "a path would have a segment of dots");
	fails("/e/{topic.*:.}", SQ_MAPPING_PATH, "/", SQ_EINVAL,
	    "a path would have a segment of dots");
	gives("/e/{prop:dots}x", SQ_MAPPING_PATH, "a", "/e/..x");
	bad("/e/%2e./{topic}", SQ_MAPPING_PATH, "a path would have a segment of dots");
	bad("/e/..", SQ_MAPPING_PATH, "a path would have a segment of dots");
}

Test(mapping, what_comes_out_is_bounded)
{
	char *topic = malloc(SQ_TOPIC_MAX + 1);

	memset(topic, 'a', SQ_TOPIC_MAX);
	topic[SQ_TOPIC_MAX] = '\0';
	gives("{topic}", SQ_MAPPING_TOPIC, topic, topic);
	fails("{topic}b", SQ_MAPPING_TOPIC, topic, SQ_EINVAL, "the text would be too long");
	topic[SQ_MAPPING_TEXT_MAX] = '\0';
	gives("{topic}", SQ_MAPPING_HEADER, topic, topic);
	fails("{topic}b", SQ_MAPPING_HEADER, topic, SQ_EINVAL, "the text would be too long");
	bad("{topic}{topic}{topic}{topic}{topic}{topic}{topic}{topic}{topic}{topic}{topic}{topic}"
	    "{topic}{topic}{topic}{topic}{topic}",
	    SQ_MAPPING_TOPIC, "it has more than 16 names");
	free(topic);
}

Test(mapping, a_fault_names_its_place)
{
	bad("a/{tpoic.2}", SQ_MAPPING_TOPIC,
	    "at byte 2: {tpoic.2}: unknown name, did you mean topic?");
	bad("{propp:x}", SQ_MAPPING_TOPIC,
	    "at byte 0: {propp:x}: unknown name, did you mean prop:NAME?");
	bad("{haeder:x}", SQ_MAPPING_TOPIC,
	    "at byte 0: {haeder:x}: unknown name, did you mean header:NAME?");
	bad("{tga}", SQ_MAPPING_TOPIC, "at byte 0: {tga}: unknown name, did you mean tag?");
	bad("{key:}", SQ_MAPPING_TOPIC,
	    "at byte 0: {key:}: has to say what stands between parts, as {key:/}");
	bad("{header:}", SQ_MAPPING_TOPIC, "at byte 0: {header:}: has to name a header");
	bad("{zzzzzz}", SQ_MAPPING_TOPIC, "at byte 0: {zzzzzz}: unknown name");
	bad("{}", SQ_MAPPING_TOPIC, "at byte 0: {}: unknown name");
	bad("{prop:}", SQ_MAPPING_TOPIC, "at byte 0: {prop:}: has to name a user property");
	bad("{topic.0}", SQ_MAPPING_TOPIC, "at byte 0: {topic.0}: has to name a level: 1 to 1024");
	bad("{topic.1025}", SQ_MAPPING_TOPIC,
	    "at byte 0: {topic.1025}: has to name a level: 1 to 1024");
	bad("{topic.99999999999999999999}", SQ_MAPPING_TOPIC,
	    "at byte 0: {topic.99999999999999999999}: has to name a level: 1 to 1024");
	bad("{topic.x}", SQ_MAPPING_TOPIC, "at byte 0: {topic.x}: has to name a level: 1 to 1024");
	bad("{topic.}", SQ_MAPPING_TOPIC, "at byte 0: {topic.}: has to name a level: 1 to 1024");
	bad("{topic.*}", SQ_MAPPING_TOPIC,
	    "at byte 0: {topic.*}: has to say what stands between levels, as {topic.*:.}");
	bad("ab{topic", SQ_MAPPING_TOPIC, "at byte 2: a { without its pair; {{ is one alone");
	bad("a}b", SQ_MAPPING_TOPIC, "at byte 1: a } without its pair; }} is one alone");
	bad("{topic{space}}", SQ_MAPPING_TOPIC, "at byte 0: a { without its pair; {{ is one alone");
	bad("a/+/{topic}", SQ_MAPPING_TOPIC, "at byte 0: no topic has a + or #");
	bad("{topic.9|#}", SQ_MAPPING_TOPIC, "at byte 0: no topic has a + or #");
	bad("$SYS/x", SQ_MAPPING_TOPIC, sq_topic_reserved(sq_bytes_of("$SYS/x")));
	bad("", SQ_MAPPING_TOPIC, "it is empty");
	bad("/a b", SQ_MAPPING_PATH, "at byte 0: no URL has such a character");
	bad("a\nb", SQ_MAPPING_HEADER, "at byte 0: no header has such a character");
	bad("a\x7f", SQ_MAPPING_TEXT, "at byte 0: it has a control character");
	bad("\xff", SQ_MAPPING_TOPIC, "is no UTF-8");
}

static bool
may(const char *tmpl, const char *filter)
{
	struct sq_buf err = {0};

	cr_assert(sq_mapping_check(tmpl, SQ_MAPPING_TOPIC, SQ_MAPPING_OF_QUEUE, &err) == SQ_OK ||
		sq_mapping_check(tmpl, SQ_MAPPING_TOPIC, SQ_MAPPING_OF_PEER, &err) == SQ_OK,
	    "%s", tmpl);
	sq_buf_fini(&err);
	return sq_mapping_may_match(tmpl, "shop", "billing", filter);
}

Test(mapping, what_a_filter_may_match)
{
	cr_expect(may("{topic}", "a/b"));
	cr_expect(may("{topic}", "#"));
	cr_expect(may("invoices/{topic.2}", "invoices/#"));
	cr_expect(may("invoices/{topic.2}", "+/eu"));
	cr_expect(may("x/{topic}", "x/a/b"));
	cr_expect(may("a", "a/#"));
	cr_expect(may("{queue}/x", "billing/+"));
	cr_expect(may("{topic.2|a/b}", "a/b"));
	cr_expect(may("{topic.*:/}", "a/b"));
	cr_expect(may("in/{key:/}", "in/a/b"));
	cr_expect(may("in/{key}", "in/a"));
	cr_expect(may("{header:x}/{tag}", "a/b"));
}

static void
filters(const char *tmpl, const char *wanted)
{
	struct sq_buf out = {0};

	sq_buf_append(&out, ">", 1);
	sq_mapping_filter(tmpl, &out);
	cr_expect_str_eq(text_of(&out) + 1, wanted);
	sq_buf_fini(&out);
}

Test(mapping, the_filter_of_all_that_it_gives)
{
	filters("a/b", "a/b");
	filters("a/{key}/c", "a/+/c");
	filters("a/x-{key}y", "a/+");
	filters("{space}-{queue}/{{x}}", "+/{x}");
	filters("a/{key:/}/c", "a/#");
	filters("a/x{topic}", "a/#");
	filters("{header:h|b/c}/d", "#");
	filters("{topic.*:.}/d", "+/d");
	filters("a/{key|}/", "a/+/");
}

Test(mapping, what_no_filter_matches)
{
	cr_expect_not(may("invoices/{topic.2}", "orders/#"));
	cr_expect_not(may("invoices/{topic.2}", "invoices/+/+"));
	cr_expect_not(may("invoices/{topic.2}", "invoices")); /* an empty level has nothing */
	cr_expect_not(may("invoices/{prop:a}/x", "invoices/+/y/#"));
	cr_expect_not(may("{topic.*:.}", "a/b"));
	cr_expect_not(may("{topic.2|a/b}", "a/c"));
	cr_expect_not(may("{queue}/x", "orders/+"));
	cr_expect_not(may("{space}/{topic}", "stock/#"));
	cr_expect_not(may("$x/{topic}", "#"));
	cr_expect_not(may("in/{key}", "in/a/b"));
	cr_expect_not(may("in/{key:/}", "out/#"));
	cr_expect_not(may("{header:x}", "a/b"));
	cr_expect_not(may("x{topic.1}", "y+"));
}

/* Against what templates do give: of random ones over few letters, whatever topic one of many messages
 * gives, each filter that matches it was said to be one that may. */

static uint32_t
draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % below;
}

static void
draw_join(uint32_t *seed, const char *const *from, uint32_t n, uint32_t parts, struct sq_buf *out)
{
	for (uint32_t i = 1 + draw(seed, parts); i > 0; i--) {
		const char *part = from[draw(seed, n)];

		sq_buf_append(out, part, strlen(part));
	}
}

static bool
filter_good(const char *filter)
{
	struct sq_topic_filter f;

	return sq_topic_filter_parse(sq_bytes_of(filter), &f, NULL) == SQ_OK && f.tag.len == 0 &&
	    f.share.len == 0;
}

static bool
matches(const char *filter, const struct sq_buf *topic)
{
	return sq_topic_match(sq_bytes_of(filter), sq_buf_bytes(topic));
}

static struct sq_bytes
header_random(const void *arg, struct sq_bytes name)
{
	cr_assert(sq_bytes_are(name, "h"));
	return sq_buf_bytes(arg);
}

/* What the template gave is one of the topics of its filter. */
static void
filtered(const char *tmpl, const struct sq_buf *topic)
{
	struct sq_buf filter = {0};

	sq_mapping_filter(tmpl, &filter);
	cr_assert(filter_good(text_of(&filter)), "%s", tmpl);
	cr_assert(((const char *)sq_buf_data(topic))[0] == '$' ||
		matches((const char *)sq_buf_data(&filter), topic),
	    "%s gives %.*s, %s", tmpl, (int)sq_buf_len(topic), (const char *)sq_buf_data(topic),
	    (const char *)sq_buf_data(&filter));
	sq_buf_fini(&filter);
}

/* One template, filter and message: 1 where the filter matched. */
static unsigned
try_one(uint32_t *seed, unsigned *refused)
{
	static const char *const pieces[] = {"a", "b", "/", "$", "{topic}", "{topic.1}",
	    "{topic.2}", "{topic.2|a}", "{topic.3|a/b}", "{topic.3|}", "{topic.*:/}", "{topic.*:.}",
	    "{space}", "{queue|b}", "{prop:p}", "{prop:q|b/a}", "{{", "{tag}", "{key}", "{key:/}",
	    "{key:/|b}", "{header:h|a}"};
	static const char *const levels[] = {"a", "b", "/", "a/", "/b", "+", "/+", "/#", "#", "$"};
	static const char *const letters[] = {"a", "b", "/", "$", ".", "{", "a.b"};
	struct sq_buf tmpl = {0}, filter = {0}, topic = {0}, prop = {0}, props = {0}, out = {0},
		      why = {0};
	unsigned matched = 0;
	bool may_match;

	draw_join(seed, pieces, SQ_ARRAY_LEN(pieces), 4, &tmpl);
	draw_join(seed, levels, SQ_ARRAY_LEN(levels), 4, &filter);
	draw_join(seed, letters, SQ_ARRAY_LEN(letters), 5, &topic);
	draw_join(seed, letters, SQ_ARRAY_LEN(letters), 3, &prop);
	if ((sq_mapping_check(text_of(&tmpl), SQ_MAPPING_TOPIC, SQ_MAPPING_OF_QUEUE, &why) ==
		    SQ_OK ||
		sq_mapping_check((const char *)sq_buf_data(&tmpl), SQ_MAPPING_TOPIC,
		    SQ_MAPPING_OF_PEER, &why) == SQ_OK) &&
	    filter_good(text_of(&filter))) {
		struct sq_mapping_from from = {.topic = {sq_buf_data(&topic), sq_buf_len(&topic)},
		    .space = "a",
		    .queue = "b",
		    .key = sq_buf_bytes(&prop),
		    .header = header_random,
		    .arg = &prop};

		cr_assert(sq_mqtt_user_append(&props,
			      sq_bytes_of((const char *[]){"p", "q", "tag"}[draw(seed, 3)]),
			      sq_buf_bytes(&prop)) == SQ_OK);
		from.props = sq_buf_bytes(&props);
		may_match = sq_mapping_may_match(
		    (const char *)sq_buf_data(&tmpl), "a", "b", (const char *)sq_buf_data(&filter));
		*refused += !may_match;
		if (sq_mapping_fill((const char *)sq_buf_data(&tmpl), SQ_MAPPING_TOPIC, &from, &out,
			&why) == SQ_OK) {
			matched = matches((const char *)sq_buf_data(&filter), &out);
			filtered((const char *)sq_buf_data(&tmpl), &out);
		}
		cr_assert(!matched || may_match, "%s gives %.*s, which %s matches",
		    (const char *)sq_buf_data(&tmpl), (int)sq_buf_len(&out),
		    (const char *)sq_buf_data(&out), (const char *)sq_buf_data(&filter));
	}
	sq_buf_fini(&tmpl);
	sq_buf_fini(&filter);
	sq_buf_fini(&topic);
	sq_buf_fini(&prop);
	sq_buf_fini(&props);
	sq_buf_fini(&out);
	sq_buf_fini(&why);
	return matched;
}

Test(mapping, never_no_where_one_can)
{
	uint32_t seed = 1;
	unsigned matched = 0, refused = 0;

	for (unsigned i = 0; i < 200000; i++)
		matched += try_one(&seed, &refused);
	cr_expect(matched > 3000, "%u", matched);
	cr_expect(refused > 10000, "%u", refused);
}
