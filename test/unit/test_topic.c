/* proto/topic: names, filters and matching, MQTT 5.0 §4.7 and §4.8.2. */
#include "proto/topic/queue.h"
#include "proto/topic/topic.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct sq_bytes
bytes(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static bool
same(struct sq_bytes b, const char *s)
{
	return b.len == strlen(s) && (b.len == 0 || memcmp(b.p, s, b.len) == 0);
}

static int
name(const char *s)
{
	return sq_topic_name_check(bytes(s), NULL);
}

static int
filter(const char *s)
{
	struct sq_topic_filter f;

	return sq_topic_filter_parse(bytes(s), &f, NULL);
}

static bool
match(const char *f, const char *t)
{
	cr_assert_eq(filter(f), 0, "%s", f);
	cr_assert_eq(name(t), 0, "%s", t);
	return sq_topic_match(bytes(f), bytes(t));
}

/* 'len' bytes, filled from 'unit' again and again. */
static char *
repeat(const char *unit, size_t len)
{
	char *s = malloc(len + 1);

	cr_assert_not_null(s);
	for (size_t i = 0; i < len; i++)
		s[i] = unit[i % strlen(unit)];
	s[len] = 0;
	return s;
}

/* ---- names ---- */

Test(topic, names_take_anything_but_wildcards_and_nul)
{
	const char *good[] = {"a", "/", "//", "ACCOUNTS", "Accounts payable", "/finance", "a/",
	    "$SYS/x", "$share/x", "$", "\xe2\x82\xac/\xf0\x9f\x90\x87"};
	const char *bad[] = {"", "+", "#", "a/+", "a/#", "a+b", "a#", "+/a", "sport/+/x"};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		cr_assert_eq(name(good[i]), 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(name(bad[i]), SQ_EINVAL, "%s", bad[i]);
	cr_assert_eq(sq_topic_name_check((struct sq_bytes){(const unsigned char *)"a\0b", 3}, NULL),
	    SQ_EINVAL);
	cr_assert_eq(sq_topic_name_check((struct sq_bytes){NULL, 0}, NULL), SQ_EINVAL);
}

Test(topic, lengths_and_levels_are_bounded)
{
	char *longest = repeat("x", 65535), *longer = repeat("x", 65536);
	char *deepest = repeat("/", 1023), *deeper = repeat("/", 1024);
	char *tagged = repeat("x", 5 + 256);
	struct sq_topic_filter f;

	memcpy(tagged, "$tag/", 5);
	cr_assert_eq(name(longest), 0);
	cr_assert_eq(name(longer), SQ_ETOOBIG);
	cr_assert_eq(name(deepest), 0);
	cr_assert_eq(name(deeper), SQ_ETOOBIG);
	cr_assert_eq(filter(longest), 0);
	cr_assert_eq(filter(longer), SQ_ETOOBIG);
	cr_assert_eq(filter(deepest), 0);
	cr_assert_eq(filter(deeper), SQ_ETOOBIG);
	cr_assert_eq(filter(tagged), SQ_ETOOBIG);
	cr_assert_eq(sq_topic_name_check_levels(bytes("a/b/c"), 3, NULL), 0);
	cr_assert_eq(sq_topic_name_check_levels(bytes("a/b/c/"), 3, NULL), SQ_ETOOBIG);
	cr_assert_eq(sq_topic_name_check_levels(bytes("a/+/c/"), 3, NULL), SQ_EINVAL);
	cr_assert_eq(sq_topic_filter_parse(bytes("$share/g/$tag/red/a/+/#"), &f, NULL), 0);
	cr_assert_eq(f.levels, 3, "without what stands before the filter");
	cr_assert_eq(sq_topic_filter_parse((struct sq_bytes){(void *)tagged, 260}, &f, NULL), 0);
	cr_assert_eq(f.tag.len, 255);
	free(longest);
	free(longer);
	free(deepest);
	free(deeper);
	free(tagged);
}

/* ---- filters ---- */

Test(topic, wildcards_stand_where_4_7_1_allows)
{
	const char *good[] = {"#", "+", "sport/tennis/#", "+/tennis/#", "sport/+/player1", "/+",
	    "+/+", "+/", "/#", "//#", "a//+//b", "$SYS/#", "$SYS/monitor/+", "$share", "$"};
	const char *bad[] = {"", "sport/tennis#", "sport/tennis/#/ranking", "sport+", "+sport",
	    "a/b+/c", "a/++", "##", "#/", "a/#/", "+#", "#+", "a/+#"};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		cr_assert_eq(filter(good[i]), 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(filter(bad[i]), SQ_EINVAL, "%s", bad[i]);
}

Test(topic, filters_are_taken_apart)
{
	const struct {
		const char *in, *share, *tag, *filter;
		bool wildcard;
	} rows[] = {
	    {"a/+/c", "", "", "a/+/c", true},
	    {"a/b", "", "", "a/b", false},
	    {"$share/consumer1/sport/tennis/+", "consumer1", "", "sport/tennis/+", true},
	    {"$share/consumer1//finance", "consumer1", "", "/finance", false},
	    {"$share/g/#", "g", "", "#", true},
	    {"$share/g/$SYS/x", "g", "", "$SYS/x", false},
	    {"$share/$g/x", "$g", "", "x", false},
	    {"$share", "", "", "$share", false},
	    {"$shared/a/b", "", "", "$shared/a/b", false},
	    {"a/$share/b", "", "", "a/$share/b", false},
	    {"$tag/red", "", "red", "#", true},
	    {"$tag/red/a/b", "", "red", "a/b", false},
	    {"$tag/red//", "", "red", "/", false},
	    {"$tag/$x/$SYS/#", "", "$x", "$SYS/#", true},
	    {"$tags/red", "", "", "$tags/red", false},
	    {"$share/g/$tag/red", "g", "red", "#", true},
	    {"$share/g/$tag/red/a/#", "g", "red", "a/#", true},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sq_topic_filter f = {0};
		const char *why = "untouched";

		cr_assert_eq(
		    sq_topic_filter_parse(bytes(rows[i].in), &f, &why), 0, "%s", rows[i].in);
		cr_assert(same(f.share, rows[i].share), "%s", rows[i].in);
		cr_assert(same(f.tag, rows[i].tag), "%s", rows[i].in);
		cr_assert(same(f.filter, rows[i].filter), "%s", rows[i].in);
		cr_assert_eq(f.wildcard, rows[i].wildcard, "%s", rows[i].in);
		cr_assert_str_eq(why, "untouched");
	}
}

Test(topic, errors_name_the_rule_and_leave_the_result_alone)
{
	const struct {
		const char *in, *word;
	} rows[] = {
	    {"", "empty"},
	    {"$share/", "share name must not be empty"},
	    {"$share//x", "share name must not be empty"},
	    {"$share/g", "must follow the share name"},
	    {"$share/g/", "must follow the share name"},
	    {"$share/+/x", "share name must not contain"},
	    {"$share/g#/x", "share name must not contain"},
	    {"$share/g/a#", "# must fill"},
	    {"$share/g/$share/h/x", "once each"},
	    {"$tag", "followed by / and a tag"},
	    {"$share/g/$tag", "followed by / and a tag"},
	    {"$tag/", "tag must not be empty"},
	    {"$tag//x", "tag must not be empty"},
	    {"$tag/red/", "filter must not be empty"},
	    {"$tag/+", "tag must not contain"},
	    {"$tag/#", "tag must not contain"},
	    {"$tag/red/#/x", "last character"},
	    {"$tag/red/$share/g/x", "once each"},
	    {"$tag/red/$tag/blue", "once each"},
	    {"a+", "+ must fill"},
	    {"#/a", "last character"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sq_topic_filter f = {.wildcard = true, .tag = bytes("old")};
		const char *why = NULL;

		cr_assert_eq(sq_topic_filter_parse(bytes(rows[i].in), &f, &why), SQ_EINVAL, "%s",
		    rows[i].in);
		cr_assert_not_null(why);
		cr_assert_not_null(strstr(why, rows[i].word), "%s: %s", rows[i].in, why);
		cr_assert(f.wildcard && same(f.tag, "old"));
	}
}

/* What makes a packet malformed, and what is only refused. */
Test(topic, the_form_is_what_mqtt_says_alone)
{
	const struct {
		const char *in;
		int v3, v5, parse;
	} rows[] = {
	    {"a/+/#", 0, 0, 0},
	    {"$share", 0, 0, 0},
	    {"$share/g/a/#", 0, 0, 0},
	    {"$share/g//", 0, 0, 0},
	    {"$sharex/+", 0, 0, 0},
	    {"$tag", 0, 0, SQ_EINVAL},
	    {"$tag/", 0, 0, SQ_EINVAL},
	    {"$tag/+", 0, 0, SQ_EINVAL},
	    {"$tag//#", 0, 0, SQ_EINVAL},
	    {"$share/g/$tag", 0, 0, SQ_EINVAL},
	    {"$share/g/$share/h/x", 0, 0, SQ_EINVAL},
	    {"$share/", 0, SQ_EINVAL, SQ_EINVAL},
	    {"$share/p", 0, SQ_EINVAL, SQ_EINVAL},
	    {"$share/p/", 0, SQ_EINVAL, SQ_EINVAL},
	    {"$share//x", 0, SQ_EINVAL, SQ_EINVAL},
	    {"$share/+/x", 0, SQ_EINVAL, SQ_EINVAL},
	    {"$share/#", 0, SQ_EINVAL, SQ_EINVAL},
	    {"$share/a#/x", SQ_EINVAL, SQ_EINVAL, SQ_EINVAL},
	    {"$share/g/a#", SQ_EINVAL, SQ_EINVAL, SQ_EINVAL},
	    {"$tag/red/a+", SQ_EINVAL, SQ_EINVAL, SQ_EINVAL},
	    {"", SQ_EINVAL, SQ_EINVAL, SQ_EINVAL},
	    {"#/", SQ_EINVAL, SQ_EINVAL, SQ_EINVAL},
	    {"a/#/b", SQ_EINVAL, SQ_EINVAL, SQ_EINVAL},
	    {"a+", SQ_EINVAL, SQ_EINVAL, SQ_EINVAL},
	};
	char deep[2 * SQ_TOPIC_LEVELS_MAX + 2] = "";
	const char *why = NULL;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sq_bytes in = bytes(rows[i].in);

		cr_assert_eq(sq_topic_filter_form(in, false, NULL), rows[i].v3, "%s", rows[i].in);
		cr_assert_eq(sq_topic_filter_form(in, true, &why), rows[i].v5, "%s", rows[i].in);
		cr_assert_eq(filter(rows[i].in), rows[i].parse, "%s", rows[i].in);
	}
	cr_assert_not_null(strstr(why, "+ must fill"));
	for (size_t i = 0; i <= SQ_TOPIC_LEVELS_MAX; i++)
		strcat(deep, "/");
	cr_assert_eq(sq_topic_filter_form(bytes(deep), true, NULL), 0);
	cr_assert_eq(filter(deep), SQ_ETOOBIG, "a limit of ours is no matter of form");
	cr_assert_eq(
	    sq_topic_filter_form((struct sq_bytes){(void *)"a\0b", 3}, true, NULL), SQ_EINVAL);
}

Test(topic, nul_is_refused_in_every_part)
{
	const char *parts[] = {"$share/g@/x", "$share/g/x@", "$tag/r@/x", "$tag/r/@", "a/@", "@"};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		char text[32];
		struct sq_topic_filter f;
		size_t len = strlen(parts[i]);

		memcpy(text, parts[i], len);
		*(char *)memchr(text, '@', len) = 0;
		cr_assert_eq(sq_topic_filter_parse((struct sq_bytes){(void *)text, len}, &f, NULL),
		    SQ_EINVAL, "%s", parts[i]);
	}
}

/* ---- reserved ---- */

Test(topic, first_levels_that_no_app_publishes_to)
{
	const char *reserved[] = {
	    "$SYS", "$SYS/", "$SYS/a/b", "$share/a", "$share", "$tag/red", "$queue/a", "$queue/"};
	const char *free[] = {"", "a", "/", "$", "$/", "$SY", "$SYSTEM", "$SYSX/a", "$sys/a",
	    "$shared/a", "$tags", "$queues/a", "$dead/a", "$dead", "$aws/things/x", "a/$SYS/b",
	    "/$SYS/a", "SYS/a", "$delayed/5/a"};

	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
		cr_expect_not_null(sq_topic_reserved(bytes(reserved[i])), "%s", reserved[i]);
	for (size_t i = 0; i < sizeof free / sizeof *free; i++)
		cr_expect_null(sq_topic_reserved(bytes(free[i])), "%s", free[i]);
}

/* ---- matching ---- */

Test(topic, the_examples_of_4_7_1_2)
{
	const char *f = "sport/tennis/player1/#";

	cr_assert(match(f, "sport/tennis/player1"));
	cr_assert(match(f, "sport/tennis/player1/ranking"));
	cr_assert(match(f, "sport/tennis/player1/score/wimbledon"));
	cr_assert(!match(f, "sport/tennis/player11"));
	cr_assert(!match(f, "sport/tennis"));
	cr_assert(match("sport/#", "sport"));
	cr_assert(match("sport/#", "sport/"));
	cr_assert(!match("sport/#", "sports"));
	cr_assert(match("#", "a") && match("#", "/") && match("#", "a/b/c"));
}

Test(topic, the_examples_of_4_7_1_3)
{
	cr_assert(match("sport/tennis/+", "sport/tennis/player1"));
	cr_assert(match("sport/tennis/+", "sport/tennis/player2"));
	cr_assert(!match("sport/tennis/+", "sport/tennis/player1/ranking"));
	cr_assert(!match("sport/+", "sport"));
	cr_assert(match("sport/+", "sport/"));
	cr_assert(match("+/+", "/finance"));
	cr_assert(match("/+", "/finance"));
	cr_assert(!match("+", "/finance"));
}

Test(topic, the_examples_of_4_7_2)
{
	cr_assert(!match("#", "$SYS"));
	cr_assert(!match("#", "$SYS/monitor"));
	cr_assert(!match("+/monitor/Clients", "$SYS/monitor/Clients"));
	cr_assert(!match("+", "$SYS"));
	cr_assert(match("$SYS/#", "$SYS"));
	cr_assert(match("$SYS/#", "$SYS/monitor/Clients"));
	cr_assert(match("$SYS/monitor/+", "$SYS/monitor/Clients"));
	cr_assert(match("a/+", "a/$SYS") && match("a/#", "a/$SYS/x"));
}

Test(topic, the_examples_of_4_7_3)
{
	cr_assert(!match("Accounts", "ACCOUNTS"));
	cr_assert(match("Accounts payable", "Accounts payable"));
	cr_assert(!match("/finance", "finance"));
	cr_assert(!match("finance", "/finance"));
}

Test(topic, empty_levels_count)
{
	cr_assert(match("+/+", "/") && match("+/", "/") && match("/+", "/"));
	cr_assert(match("//", "//") && !match("//", "/") && !match("/", "//"));
	cr_assert(match("+/+/+", "//") && !match("+/+", "//"));
	cr_assert(match("/#", "/") && match("/#", "//a") && !match("/#", "a"));
	cr_assert(!match("a", "a/") && !match("a/", "a") && match("a/#", "a/"));
}

/* Says the same as §4.7 in another way: level by level, from lists. */
static bool
oracle(char *const *f, size_t nf, char *const *t, size_t nt)
{
	size_t i;

	if (t[0][0] == '$' && (!strcmp(f[0], "+") || !strcmp(f[0], "#")))
		return false;
	for (i = 0; i < nf; i++) {
		if (!strcmp(f[i], "#"))
			return true; /* also for i == nt, the parent */
		if (i == nt || (strcmp(f[i], "+") && strcmp(f[i], t[i])))
			return false;
	}
	return i == nt;
}

/* The 'k'-th list of 'n' levels out of 'words', joined in 'text'. */
static void
enumerate(const char *const *words, size_t n_words, size_t k, size_t n, char **levels, char *text)
{
	text[0] = 0;
	for (size_t i = 0; i < n; i++, k /= n_words) {
		levels[i] = (char *)words[k % n_words];
		if (i > 0)
			strcat(text, "/");
		strcat(text, levels[i]);
	}
}

Test(topic, every_short_filter_agrees_with_every_short_topic)
{
	const char *const words[] = {"", "a", "$s", "ab", "+", "#"};
	size_t agreed = 0, hits = 0;

	for (size_t nf = 1, kf_max = 6; nf <= 4; nf++, kf_max *= 6) {
		for (size_t kf = 0; kf < kf_max; kf++) {
			char *f[4], ftext[32];

			enumerate(words, 6, kf, nf, f, ftext);
			if (filter(ftext) < 0)
				continue;
			for (size_t nt = 1, kt_max = 4; nt <= 3; nt++, kt_max *= 4) {
				for (size_t kt = 0; kt < kt_max; kt++) {
					char *t[4], ttext[32];
					bool want;

					enumerate(words, 4, kt, nt, t, ttext);
					if (ttext[0] == 0)
						continue;
					want = oracle(f, nf, t, nt);
					cr_assert_eq(
					    match(ftext, ttext), want, "%s %s", ftext, ttext);
					agreed++;
					hits += want;
				}
			}
		}
	}
	cr_assert_gt(agreed, 50000);
	cr_assert_gt(hits, 1000);
}

/* ---- inclusion ---- */

static bool
covers(const char *wide, const char *narrow)
{
	return sq_topic_covers(bytes(wide), bytes(narrow));
}

Test(topic, what_a_filter_covers)
{
	const struct {
		const char *wide, *narrow;
		bool want;
	} rows[] = {
	    {"a", "a", true},
	    {"a", "b", false},
	    {"a", "a/", false},
	    {"a/", "a", false},
	    {"a", "+", false},
	    {"+", "a", true},
	    {"+", "+", true},
	    {"+", "#", false},
	    {"+", "a/b", false},
	    {"#", "a/b/c", true},
	    {"#", "+/b/#", true},
	    {"#", "/", true},
	    {"#", "#", true},
	    {"+/#", "#", true},
	    {"#", "+/#", true},
	    {"+/+/#", "#", false},
	    {"a/#", "a", true}, /* the parent, 4.7.1.2 */
	    {"a/#", "a/#", true},
	    {"a/#", "a/", true},
	    {"a/#", "a/+", true},
	    {"a/#", "a/b/+/#", true},
	    {"a/#", "ab/c", false},
	    {"a/#", "+/b", false},
	    {"a/#", "#", false},
	    {"a/+", "a/b", true},
	    {"a/+", "a/#", false},
	    {"a/+", "a", false},
	    {"a/+/#", "a/#", false},
	    {"a/+/#", "a/b", true},
	    {"a/+/c", "a/b/c", true},
	    {"a/+/c", "a/+/+", false},
	    {"a/b", "a/+", false},
	    {"a/b", "a/b/#", false},
	    {"#", "$SYS/x", false}, /* 4.7.2 */
	    {"#", "$SYS/#", false},
	    {"+/x", "$SYS/x", false},
	    {"+/#", "$dead/#", false},
	    {"$SYS/#", "$SYS/broker/+", true},
	    {"$SYS/#", "$SYS", true},
	    {"$SYS/#", "#", false},
	    {"$SYS/+", "+/+", false},
	    {"a/#", "a/$SYS", true},
	    {"a/+", "a/$x", true},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(covers(rows[i].wide, rows[i].narrow), rows[i].want,
		    "%s covers %s: not %d", rows[i].wide, rows[i].narrow, rows[i].want);
}

/* All filters of at most three levels out of these. */
static const char *const parts[] = {"a", "$b", "", "+", "#"};
enum {
	PARTS = sizeof parts / sizeof *parts,
	FILTERS = PARTS + PARTS * PARTS + PARTS * PARTS * PARTS
};

static void
filter_at(size_t i, char *out)
{
	size_t levels = i < PARTS ? 1 : i < PARTS + PARTS * PARTS ? 2 : 3;

	i -= levels == 1 ? 0 : levels == 2 ? PARTS : PARTS + PARTS * PARTS;
	*out = '\0';
	for (size_t l = 0; l < levels; l++, i /= PARTS) {
		if (l > 0)
			strcat(out, "/");
		strcat(out, parts[i % PARTS]);
	}
}

/* A topic that 'filter' selects and few others do: "+" is a level that no filter names, "#"
 * is 'more' of these. */
static void
witness(const char *filter, int more, char *out)
{
	size_t n = strlen(filter), len = 0;
	bool many = n > 0 && filter[n - 1] == '#';

	for (const char *p = filter; *p != '\0' && *p != '#'; p++)
		out[len++] = *p == '+' ? 'z' : *p;
	out[len] = '\0';
	if (many && more == 0 && n > 1)
		out[len - 1] = '\0'; /* the parent: without the slash */
	else if (many && more == 0)
		strcat(out, "z");
	for (int i = 0; many && i < more; i++)
		strcat(out, i > 0 ? "/z" : "z");
}

Test(topic, a_filter_covers_what_it_selects_all_of)
{
	size_t held = 0;

	for (size_t i = 0; i < FILTERS; i++) {
		for (size_t k = 0; k < FILTERS; k++) {
			char wide[16], narrow[16], topic[32];
			struct sq_topic_filter f;
			bool all = true;

			filter_at(i, wide);
			filter_at(k, narrow);
			if (sq_topic_filter_parse(bytes(wide), &f, NULL) != 0 ||
			    sq_topic_filter_parse(bytes(narrow), &f, NULL) != 0)
				continue;
			for (int more = 0; more < 4; more++) {
				witness(narrow, more, topic);
				cr_assert(topic[0] == '\0' || match(narrow, topic), "%s %s", narrow,
				    topic);
				all = all && (topic[0] == '\0' || match(wide, topic));
			}
			cr_assert_eq(covers(wide, narrow), all, "%s and %s", wide, narrow);
			held += all;
		}
	}
	cr_assert_gt(held, 500);
}

/* Whether one of the topics of at most four levels out of these is selected by both; "z" is
 * in no filter. */
static bool
share_a_topic(const char *a, const char *b)
{
	static const char *const words[] = {"a", "$b", "", "z"};

	for (unsigned levels = 1; levels <= 4; levels++) {
		for (unsigned i = 0; i < 1u << (2 * levels); i++) {
			char topic[32] = "";

			for (unsigned l = 0; l < levels; l++) {
				strcat(topic, l > 0 ? "/" : "");
				strcat(topic, words[i >> (2 * l) & 3]);
			}
			if (topic[0] != '\0' && match(a, topic) && match(b, topic))
				return true;
		}
	}
	return false;
}

Test(topic, filters_overlap_where_a_topic_is_selected_by_both)
{
	size_t held = 0;

	for (size_t i = 0; i < FILTERS; i++) {
		for (size_t k = i; k < FILTERS; k++) {
			char a[16], b[16];
			struct sq_topic_filter f;
			bool want;

			filter_at(i, a);
			filter_at(k, b);
			if (sq_topic_filter_parse(bytes(a), &f, NULL) != 0 ||
			    sq_topic_filter_parse(bytes(b), &f, NULL) != 0)
				continue;
			want = share_a_topic(a, b);
			cr_assert_eq(sq_topic_overlaps(bytes(a), bytes(b)), want, "%s %s", a, b);
			cr_assert_eq(sq_topic_overlaps(bytes(b), bytes(a)), want, "%s %s", b, a);
			held += want;
		}
	}
	cr_assert_gt(held, 100);
}

Test(topic, a_queue_is_joined_by_its_name)
{
	static const char *const not [] = {
	    "$queue", "$queues/a", "queue/a", "", "$share/g/$queue/a"};
	char most[SQ_TOPIC_QUEUE_NAME_MAX + 2];
	struct sq_bytes name;

	cr_assert(sq_topic_queue_filter(sq_bytes_of("$queue/a/b"), &name));
	cr_expect(sq_bytes_are(name, "a/b"));
	for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
		cr_expect_not(sq_topic_queue_filter(sq_bytes_of(not [i]), &name), "%s", not [i]);
	memset(most, 'q', sizeof most - 1);
	most[sizeof most - 1] = '\0';
	cr_expect_not(sq_topic_queue_name(sq_bytes_of(most)));
	cr_expect(sq_topic_queue_name(sq_bytes_of(most + 1)));
	cr_expect(sq_topic_queue_name(sq_bytes_of("Az09._-")));
	for (const char *bad = "/+#: $@[`{^\x7f\xc3"; *bad != '\0'; bad++)
		cr_expect_not(
		    sq_topic_queue_name((struct sq_bytes){(const unsigned char *)bad, 1}));
	cr_expect_not(sq_topic_queue_name(sq_bytes_of("")));
	cr_expect_not(sq_topic_queue_name(sq_bytes_of(".")));
	cr_expect_not(sq_topic_queue_name(sq_bytes_of("..")));
	cr_expect(sq_topic_queue_name(sq_bytes_of("...")));
}
