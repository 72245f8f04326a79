/* broker/auth/acl: who may do what. */
#include "broker/auth/acl/acl.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* ---- rules in few words: "allow publish,subscribe a/# b" ---- */

enum { RULES_MAX = 8, TEXTS_MAX = 8 };

struct written {
	const char *what;    /* "allow VERB[,VERB]", "deny ..." */
	const char *objects; /* separated by blanks; of queues where no verb has topics */
	const char *identity, *space;
};

/* One of everybody, everywhere. */
#define W(words, of) \
	{ \
		.what = (words), .objects = (of) \
	}

static struct sq_strings
split(char *text, const char *by, char **room)
{
	struct sq_strings out = {room, 0};
	char *save = NULL;

	for (char *at = strtok_r(text, by, &save); at != NULL; at = strtok_r(NULL, by, &save)) {
		cr_assert_lt(out.n, TEXTS_MAX);
		out.v[out.n++] = at;
	}
	return out;
}

static struct sq_acl *
make(const struct written *w, size_t n, bool default_deny, struct sq_buf *err)
{
	struct sq_acl_rule rules[RULES_MAX] = {0};
	char *room[RULES_MAX][2][TEXTS_MAX], where[RULES_MAX][32];
	char *whats[RULES_MAX], *objects[RULES_MAX];
	struct sq_acl *acl;

	cr_assert_leq(n, RULES_MAX);
	for (size_t i = 0; i < n; i++) {
		struct sq_acl_rule *r = &rules[i];
		char *verbs;

		whats[i] = sq_xstrdup(w[i].what);
		objects[i] = sq_xstrdup(w[i].objects != NULL ? w[i].objects : "");
		verbs = strchr(whats[i], ' ');
		verbs = verbs != NULL ? verbs + 1 : whats[i] + strlen(whats[i]);
		if (strncmp(whats[i], "deny", 4) == 0)
			r->deny = split(verbs, ",", room[i][0]);
		else
			r->allow = split(verbs, ",", room[i][0]);
		if (strstr(w[i].what, "publish") != NULL || strstr(w[i].what, "subscribe") != NULL)
			r->topics = split(objects[i], " ", room[i][1]);
		else
			r->queues = split(objects[i], " ", room[i][1]);
		r->identity = w[i].identity;
		r->space = w[i].space;
		snprintf(where[i], sizeof where[i], "broker.yaml:%zu", i + 10);
		r->where = where[i];
	}
	acl = sq_acl_new(rules, n, default_deny, err);
	for (size_t i = 0; i < n; i++) {
		free(whats[i]);
		free(objects[i]);
	}
	return acl;
}

static struct sq_acl *
good(const struct written *w, size_t n, bool default_deny)
{
	struct sq_buf err = {0};
	struct sq_acl *acl = make(w, n, default_deny, &err);

	cr_assert_not_null(acl, "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
	return acl;
}

/* Whether 'verb' on 'object' is allowed, and by what: "acl[1] (line 11) denies it". */
static bool
asks(struct sq_acl *acl, const struct sq_acl_who *who, const char *verb, const char *object,
    char *by, size_t size)
{
	struct sq_acl_verdict v;
	struct sq_buf text = {0};
	struct sq_acl_subject *s = sq_acl_subject_new(acl, who);
	bool allowed = sq_acl_may(s, sq_acl_verb_of(verb), sq_bytes_of(object), &v);

	sq_acl_subject_free(&s);
	sq_acl_verdict_print(&v, false, &text);
	snprintf(by, size, "%.*s", (int)sq_buf_len(&text), (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
	cr_assert_eq(allowed, v.allowed);
	return allowed;
}

static const struct sq_acl_who shop = {"kube:shop/orders", "app-1", "shop", true};

/* A list of rules, and what is allowed by them to 'shop'. */
struct row {
	struct written rules[4];
	bool default_deny;
	const char *verb, *object;
	bool allowed;
	const char *by;
};

static void
check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		size_t rules = 0;
		struct sq_acl *acl;
		char by[256];

		while (rules < SQ_ARRAY_LEN(r->rules) && r->rules[rules].what != NULL)
			rules++;
		acl = good(r->rules, rules, r->default_deny);
		cr_expect_eq(asks(acl, &shop, r->verb, r->object, by, sizeof by), r->allowed,
		    "%zu: %s %s: %s", i, r->verb, r->object, by);
		cr_expect_str_eq(by, r->by, "%zu: %s %s: %s", i, r->verb, r->object, by);
		sq_acl_unref(&acl);
	}
}

Test(acl, decides_by_deny_then_allow_then_what_is_listed_then_the_default)
{
	static const char free_text[] = "no rule speaks of it, and acl-default is allow";
	static const char shut_text[] = "no rule speaks of it, and acl-default is deny";
	static const char none[] = "no rule allows it, and nobody may operate without one";
	static const char no_manage[] = "no rule allows it, and nobody may manage without one";
	static const char denied[] = "acl[0] (line 10) denies it";
	static const char allowed[] = "acl[0] (line 10) allows it";
	static const char listed[] =
	    "acl[0] (line 10) lists what it may publish, and that is not listed";
	const struct row rows[] = {
	    {{{0}}, false, "publish", "a/b", true, free_text},
	    {{{0}}, false, "consume", "x", true, free_text},
	    /* To manage, push and operate want a rule, whatever the default, and none of them brings
	     * another. */
	    {{{0}}, false, "manage", "x", false, no_manage},
	    {{{0}}, true, "manage", "x", false, no_manage},
	    {{{0}}, false, "push", "x", false,
		"no rule allows it, and nobody may push without one"},
	    {{W("allow operate", NULL)}, false, "manage", "x", false, no_manage},
	    {{W("allow operate", "queues/purge payloads")}, false, "manage", "x", false, no_manage},
	    {{W("allow operate", NULL)}, true, "subscribe", "x", false, shut_text},
	    {{W("allow operate", NULL)}, true, "consume", "x", false, shut_text},
	    {{W("allow consume", NULL)}, false, "manage", "x", false, no_manage},
	    {{W("allow manage", NULL)}, false, "manage", "session:shop~w~c", true, allowed},
	    {{W("allow manage", NULL)}, false, "operate", "x", false, none},
	    {{W("allow manage", NULL)}, true, "consume", "x", false, shut_text},
	    {{W("allow manage", "jobs-* $dead")}, false, "manage", "jobs-1", true, allowed},
	    {{W("allow manage", "jobs-* $dead")}, false, "manage", "$dead", true, allowed},
	    {{W("allow manage", "jobs-* $dead")}, false, "manage", "session:shop~w~jobs-1", false,
		"acl[0] (line 10) lists what it may manage, and that is not listed"},
	    {{W("deny manage", "session:*"), W("allow manage", NULL)}, false, "manage",
		"session:shop~w~c", false, denied},
	    {{W("deny manage", "session:*"), W("allow manage", NULL)}, false, "manage", "jobs",
		true, "acl[1] (line 11) allows it"},
	    {{W("deny manage", NULL)}, false, "manage", "jobs", false, denied},
	    {{{0}}, false, "operate", "x", false, none},
	    {{{0}}, true, "operate", "x", false, none},
	    {{W("allow consume", "x")}, false, "operate", "x", false, none},
	    {{W("allow operate", NULL)}, false, "operate", "x", true, allowed},
	    {{W("allow operate", "y*")}, false, "operate", "y1", true, allowed},
	    {{W("allow operate", "y*")}, false, "operate", "x", false,
		"acl[0] (line 10) lists what it may operate, and that is not listed"},
	    {{W("deny operate", "x"), W("allow operate", NULL)}, false, "operate", "x", false,
		denied},
	    {{{"allow operate", NULL, "kube:shop/other", NULL}}, false, "operate", "x", false,
		none},
	    {{{0}}, true, "publish", "a/b", false, shut_text},
	    {{W("deny publish", "a/#")}, false, "publish", "a/b", false, denied},
	    {{W("deny publish", "a/#")}, false, "publish", "b", true, free_text},
	    {{W("deny publish", "a/#")}, false, "subscribe", "a/b", true, free_text},
	    {{W("allow publish", "a/#")}, false, "publish", "a/b", true, allowed},
	    {{W("allow publish", "a/#")}, false, "publish", "b", false, listed},
	    {{W("allow publish", "a/#")}, false, "subscribe", "b", true, free_text},
	    {{W("allow publish", "a/#")}, true, "subscribe", "a", false, shut_text},
	    {{W("allow publish", "a/#"), W("deny publish", "a/b")}, false, "publish", "a/b", false,
		"acl[1] (line 11) denies it"},
	    {{W("deny publish", "a/b"), W("allow publish", "a/#")}, false, "publish", "a/b", false,
		denied},
	    {{W("deny publish", NULL)}, false, "publish", "$app/x", false, denied},
	    {{W("deny publish", "#")}, false, "publish", "$app/x", true, free_text},
	    /* Rules of others say nothing. */
	    {{{"deny publish", "a/#", "kube:shop/other", NULL}}, false, "publish", "a/b", true,
		free_text},
	    {{{"deny publish", "a/#", "kube:shop*", NULL}}, false, "publish", "a/b", false, denied},
	    {{{"allow publish", "a/#", "token:*", NULL}}, false, "publish", "b", true, free_text},
	    {{{"deny publish", "a/#", "bridge:shop/*", NULL}}, false, "publish", "a/b", true,
		free_text},
	    {{{"deny publish", "a/#", NULL, "sh?p"}}, false, "publish", "a/b", false, denied},
	    {{{"deny publish", "a/#", NULL, "prices"}}, false, "publish", "a/b", true, free_text},
	    /* Queues. */
	    {{W("deny consume", "billing-*")}, false, "consume", "billing-eu", false, denied},
	    {{W("deny consume", "billing-*")}, false, "consume", "bill", true, free_text},
	    {{W("deny consume,manage", NULL)}, false, "manage", "anything", false, denied},
	    {{W("deny manage", "b")}, false, "consume", "b", true, free_text},
	};

	check_rows(rows, SQ_ARRAY_LEN(rows));
}

Test(acl, a_subscription_is_covered_by_an_allow_rule_and_overlaps_no_deny_rule)
{
	const struct row rows[] = {
	    {{W("allow subscribe", "a/#")}, false, "subscribe", "a/+/c", true,
		"acl[0] (line 10) allows it"},
	    {{W("allow subscribe", "a/#")}, false, "subscribe", "a", true,
		"acl[0] (line 10) allows it"},
	    {{W("allow subscribe", "a/#")}, false, "subscribe", "#", false,
		"acl[0] (line 10) lists what it may subscribe, and that is not listed"},
	    {{W("allow subscribe", "a/#")}, false, "subscribe", "+/b", false,
		"acl[0] (line 10) lists what it may subscribe, and that is not listed"},
	    {{W("allow subscribe", "a/+"), W("allow subscribe", "a/+/#")}, false, "subscribe",
		"a/+/#", true, "acl[1] (line 11) allows it"},
	    {{W("deny subscribe", "a/secret")}, false, "subscribe", "a/+", false,
		"acl[0] (line 10) denies it"},
	    {{W("deny subscribe", "a/secret")}, false, "subscribe", "#", false,
		"acl[0] (line 10) denies it"},
	    {{W("deny subscribe", "+/secret")}, false, "subscribe", "a/+", false,
		"acl[0] (line 10) denies it"},
	    {{W("deny subscribe", "a/secret")}, false, "subscribe", "a/b", true,
		"no rule speaks of it, and acl-default is allow"},
	    {{W("deny subscribe", "a/secret/#")}, false, "subscribe", "+/+/+", false,
		"acl[0] (line 10) denies it"},
	    {{W("deny subscribe", "$SYS/#")}, false, "subscribe", "#", true,
		"no rule speaks of it, and acl-default is allow"},
	    {{W("deny subscribe", "$dead/#")}, false, "subscribe", "$dead/#", false,
		"acl[0] (line 10) denies it"},
	    {{W("deny subscribe", "a/secret/#")}, false, "subscribe", "$dead/a/secret/x", false,
		"acl[0] (line 10) denies it"},
	    {{W("deny subscribe", "a/secret/#")}, false, "subscribe", "$dead/#", false,
		"acl[0] (line 10) denies it"},
	    {{W("deny subscribe", "a/secret/#")}, false, "subscribe", "$dead/b/#", true,
		"no rule speaks of it, and acl-default is allow"},
	};

	check_rows(rows, SQ_ARRAY_LEN(rows));
}

Test(acl, another_space_is_nobodys)
{
	const struct written all = W("allow publish,subscribe", NULL);
	struct sq_acl_who other = shop;
	struct sq_acl *acl = good(&all, 1, false);
	char by[256];

	other.own = false;
	cr_assert_not(asks(acl, &other, "publish", "a", by, sizeof by));
	cr_assert_str_eq(by, "it is another's space");
	sq_acl_unref(&acl);
}

/* ---- placeholders ---- */

Test(acl, placeholders_fill_a_part_of_one_level)
{
	static const struct {
		const char *filter, *identity, *client, *topic;
		bool hits;
	} rows[] = {
	    {"d/{client}/#", "token:x", "c", "d/c/1", true},
	    {"d/{client}/#", "token:x", "c", "d/cc/1", false},
	    {"d/{client}-x", "token:x", "c", "d/c-x", true},
	    {"{space}/{client}", "token:x", "c", "shop/c", true},
	    {"{identity}", "token:x", "c", "x", true},
	    {"{identity}", "cert:spiffe://a/b", "c", "spiffe:%2F%2Fa%2Fb", true},
	    {"{identity}/s", "kube:shop/my.app", "c", "shop.my.app/s", true},
	    {"{identity}", "", "c", "", false},
	    {"a/{identity}/#", "", "c", "a//x", false},
	    /* None of these widens the rule. */
	    {"d/{client}/#", "token:x", "#", "d/y/1", false},
	    {"d/{client}/#", "token:x", "+", "d/y/1", false},
	    {"d/{client}", "token:x", "#", "d/y/1", false},
	    {"d/{client}/#", "token:x", "y/1", "d/y/1", false},
	    {"d/{client}/#", "token:x", "y/1", "d/y%2F1/z", true},
	    {"d/{client}/#", "token:x", "y%2F1", "d/y%2F1/z", false},
	    {"{client}/x", "token:x", "$app", "$app/x", false},
	    {"{client}/x", "token:x", "$app", "%24app/x", true},
	    {"a{client}/x", "token:x", "$app", "a$app/x", true},
	    {"{client}", "token:x", "{space}", "shop", false}, /* filled in once */
	    {"{client}", "token:x", "{space}", "{space}", true},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		const struct written w = W("allow publish", rows[i].filter);
		struct sq_acl *acl = good(&w, 1, true);
		struct sq_acl_who who = {rows[i].identity, rows[i].client, "shop", true};
		char by[256];

		cr_expect_eq(asks(acl, &who, "publish", rows[i].topic, by, sizeof by), rows[i].hits,
		    "%s by %s as %s: %s", rows[i].filter, rows[i].identity, rows[i].client,
		    rows[i].topic);
		sq_acl_unref(&acl);
	}
}

/* A client id of up to four of these. */
static void
draw_id(unsigned *seed, char *out)
{
	static const char bytes[] = "a/+#$%*2F";
	unsigned n = 1 + (unsigned)rand_r(seed) % 4;

	for (unsigned i = 0; i < n; i++)
		out[i] = bytes[(unsigned)rand_r(seed) % (sizeof bytes - 1)];
	out[n] = '\0';
}

Test(acl, whatever_two_clients_call_themselves_no_topic_is_of_both)
{
	static const char *const levels[] = {
	    "a", "%2F", "a%2Fa", "%2B", "+", "$", "%24", "%252F", "a/a", "2", "", "F"};
	const struct written w = W("allow publish", "{client}/d/{client}/#");
	struct sq_acl *acl = good(&w, 1, true);
	unsigned seed = 7;
	size_t allowed = 0;

	for (int turn = 0; turn < 3000; turn++) {
		char ids[2][8], topic[64], by[256];
		unsigned hits[SQ_ARRAY_LEN(levels)] = {0};

		draw_id(&seed, ids[0]);
		draw_id(&seed, ids[1]);
		if (strcmp(ids[0], ids[1]) == 0)
			continue;
		for (size_t i = 0; i < 2 * SQ_ARRAY_LEN(levels); i++) {
			struct sq_acl_who who = {"token:x", ids[i % 2], "shop", true};
			const char *level = levels[i / 2], *first = level[0] == '$' ? "%24" : level;

			snprintf(topic, sizeof topic, "%s/d/%s/x", first, level);
			hits[i / 2] += asks(acl, &who, "publish", topic, by, sizeof by);
			cr_assert_lt(hits[i / 2], 2, "%s is of %s and %s", topic, ids[0], ids[1]);
			allowed += hits[i / 2];
		}
	}
	cr_assert_gt(allowed, 10);
	sq_acl_unref(&acl);
}

Test(acl, placeholders_in_names_of_queues_are_no_patterns)
{
	const struct written w = W("allow consume", "q-{client}");
	struct sq_acl *acl = good(&w, 1, false);
	struct sq_acl_who who = {"token:x", "*", "shop", true};
	char by[256];

	cr_expect_not(asks(acl, &who, "consume", "q-other", by, sizeof by));
	cr_expect(asks(acl, &who, "consume", "q-%2A", by, sizeof by));
	who.client = "a/b";
	cr_expect(asks(acl, &who, "consume", "q-a/b", by, sizeof by));
	sq_acl_unref(&acl);
}

/* ---- all spaces ---- */

Test(acl, of_all_spaces_any_space_denies_and_none_alone_allows)
{
	static const struct {
		struct written rules[3];
		const char *verb, *object;
		bool allowed;
	} rows[] = {
	    {{W("allow operate", NULL)}, "operate", "tap", true},
	    {{{"allow operate", NULL, NULL, "shop"}}, "operate", "tap", false},
	    {{W("allow operate", NULL), {"deny operate", NULL, NULL, "vault"}}, "operate", "tap",
		false},
	    {{W("allow operate", NULL), {"deny operate", "links", NULL, "vault"}}, "operate", "tap",
		true},
	    {{{0}}, "subscribe", "#", true},
	    {{{"deny subscribe", "a/#", NULL, "vault"}}, "subscribe", "#", false},
	    {{{"deny subscribe", "a/#", NULL, "vault"}}, "subscribe", "b", true},
	    {{{"deny subscribe", "a/#", "token:*", "vault"}}, "subscribe", "#", true},
	    {{W("deny subscribe", "{space}/#")}, "subscribe", "b", false},
	    {{W("allow subscribe", "{space}/#")}, "subscribe", "b", false},
	    /* What one space lists is all that may be done there. */
	    {{{"allow subscribe", "b", NULL, "vault"}}, "subscribe", "b", false},
	    {{W("allow subscribe", "b"), {"allow subscribe", "c", NULL, "vault"}}, "subscribe", "b",
		true},
	};
	const struct sq_acl_who all = {"kube:shop/orders", "", NULL, true};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		size_t n = 0;
		struct sq_acl *acl;
		char by[256];

		while (rows[i].rules[n].what != NULL)
			n++;
		acl = good(rows[i].rules, n, false);
		cr_expect_eq(asks(acl, &all, rows[i].verb, rows[i].object, by, sizeof by),
		    rows[i].allowed, "%zu: %s", i, by);
		sq_acl_unref(&acl);
	}
}

Test(acl, who_may_manage_something_is_known_without_its_name)
{
	const struct written w[] = {
	    {"allow manage", "jobs", "token:*", "shop"}, W("deny manage", "session:*")};
	struct sq_acl *acl = good(w, 2, false);
	struct sq_acl_who who = {"token:t", "", "shop", true};
	const char *const spaces[] = {"shop", "other", NULL};

	for (size_t i = 0; i < SQ_ARRAY_LEN(spaces); i++) {
		struct sq_acl_subject *s;

		who.space = spaces[i];
		s = sq_acl_subject_new(acl, &who);
		cr_expect_eq(sq_acl_has(s, SQ_ACL_MANAGE), i != 1, "%zu", i);
		sq_acl_subject_free(&s);
	}
	who.own = false;
	cr_expect_not(sq_acl_has(NULL, SQ_ACL_MANAGE));
	sq_acl_unref(&acl);
}

/* ---- subjects ---- */

Test(acl, who_is_denied_nothing_is_asked_nothing)
{
	const struct written w[] = {
	    {"deny publish", "a/#", "token:*", NULL}, {"allow consume", "q", NULL, "prices"}};
	struct sq_acl *acl = good(w, 2, false), *none = good(w, 0, false), *shut = good(w, 0, true);
	struct sq_acl_who other = {"token:t", "c", "shop", true};
	struct sq_acl_subject *s = sq_acl_subject_new(acl, &shop);

	cr_assert_null(s);
	cr_assert_null(sq_acl_subject_new(none, &shop));
	s = sq_acl_subject_new(acl, &other);
	cr_assert_not_null(s);
	sq_acl_subject_free(&s);
	s = sq_acl_subject_new(shut, &shop);
	cr_assert_not_null(s);
	sq_acl_unref(&shut);
	sq_acl_subject_free(&s); /* has kept the rules */
	other.space = "prices";
	other.identity = "";
	s = sq_acl_subject_new(acl, &other);
	cr_assert_not_null(s);
	sq_acl_subject_free(&s);
	sq_acl_unref(&none);
	sq_acl_unref(&acl);
}

Test(acl, a_subject_remembers_topics_and_is_right_all_the_same)
{
	const struct written w[] = {
	    W("allow publish", "a/{client}/# b"), W("deny publish", "a/app-1/3")};
	struct sq_acl *acl = good(w, 2, false);
	struct sq_acl_subject *s = sq_acl_subject_new(acl, &shop);
	struct sq_acl_verdict v;
	char topic[400];

	sq_acl_unref(&acl);
	for (int turn = 0; turn < 3; turn++) {
		for (int i = 0; i < 50; i++) {
			snprintf(topic, sizeof topic, "a/app-1/%d", i);
			cr_assert_eq(
			    sq_acl_may_publish(s, sq_bytes_of(topic), &v), i != 3, "%s", topic);
			snprintf(topic, sizeof topic, "a/app-2/%d", i);
			cr_assert_not(sq_acl_may_publish(s, sq_bytes_of(topic), &v), "%s", topic);
		}
		snprintf(topic, sizeof topic, "a/app-1/%0300d", turn); /* too long for it */
		cr_assert(sq_acl_may_publish(s, sq_bytes_of(topic), &v));
	}
	sq_acl_subject_free(&s);
	cr_assert(sq_acl_may_publish(NULL, sq_bytes_of("x"), &v));
}

static bool
subscribes(struct sq_acl_subject *s, const char *filter, const char *queue, enum sq_acl_verb *verb)
{
	struct sq_topic_filter f;
	struct sq_acl_verdict v;
	bool allowed;

	cr_assert_eq(sq_topic_filter_parse(sq_bytes_of(filter), &f, NULL), 0);
	allowed = sq_acl_may_subscribe(s, &f, sq_bytes_of(queue), &v);
	*verb = v.verb;
	return allowed;
}

Test(acl, shares_and_tags_are_asked_about_by_their_filter_and_their_queue)
{
	const struct written w[] = {W("deny subscribe", "secret/#"), W("deny consume", "g2")};
	struct sq_acl *acl = good(w, 2, false);
	struct sq_acl_subject *s = sq_acl_subject_new(acl, &shop);
	enum sq_acl_verb verb;

	cr_expect(subscribes(s, "$share/g/a/#", "", &verb));
	cr_expect_not(subscribes(s, "$share/g/secret/x", "", &verb));
	cr_expect_eq(verb, SQ_ACL_SUBSCRIBE);
	cr_expect_not(subscribes(s, "$share/g2/a", "", &verb));
	cr_expect_eq(verb, SQ_ACL_CONSUME);
	cr_expect(subscribes(s, "$tag/t/a/#", "", &verb));
	cr_expect_not(subscribes(s, "$tag/t", "", &verb)); /* of all topics */
	cr_expect_not(subscribes(s, "$share/g/$tag/t/+/x", "", &verb));
	cr_expect(subscribes(s, "a", "g", &verb));
	cr_expect_not(subscribes(s, "a", "g2", &verb));
	sq_acl_subject_free(&s);
	sq_acl_unref(&acl);
}

/* ---- mistakes ---- */

Test(acl, mistakes_are_named_with_their_place)
{
	static const struct {
		struct written w;
		const char *err;
	} rows[] = {
	    {W("allow ", NULL),
		"broker.yaml:10: acl[0]: needs allow or deny, one of them, with verbs"},
	    {W("allow publsh", NULL),
		"broker.yaml:10: acl[0].allow: \"publsh\" is no verb; they are publish, subscribe, "
		"consume, manage, push and operate"},
	    {W("deny publish", "a/#/b"),
		"broker.yaml:10: acl[0].topics: \"a/#/b\": # must be the last character"},
	    {W("deny publish", "$share/g/a"),
		"broker.yaml:10: acl[0].topics: \"$share/g/a\": topics are named without $share "
		"and "
		"$tag"},
	    {W("deny publish", "a/{user}"),
		"broker.yaml:10: acl[0].topics: \"a/{user}\": placeholders are {space}, {identity} "
		"and "
		"{client}"},
	    {W("deny publish", "a/+{client}"),
		"broker.yaml:10: acl[0].topics: \"a/+{client}\": + must fill a whole level"},
	    {W("deny consume", "{group}"),
		"broker.yaml:10: acl[0].queues: \"{group}\": placeholders are {space}, {identity} "
		"and "
		"{client}"},
	    {W("deny publish,consume", "a"),
		"broker.yaml:10: acl[0].topics: consume, manage, push and operate have "
		"queues, not topics"},
	    {{.what = "deny publish", .objects = "a", .identity = "tokn:*"},
		"broker.yaml:10: acl[0].identity: \"tokn:*\" fits nobody; identities are "
		"token:NAME, "
		"cert:NAME, kube:NAMESPACE/ACCOUNT, jwt:ISSUER#SUBJECT and bridge:SPACE/NAME"},
	    {{.what = "deny publish", .objects = "a", .identity = "web"},
		"broker.yaml:10: acl[0].identity: \"web\" fits nobody; identities are token:NAME, "
		"cert:NAME, kube:NAMESPACE/ACCOUNT, jwt:ISSUER#SUBJECT and bridge:SPACE/NAME"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_buf err = {0};
		struct sq_acl *acl = make(&rows[i].w, 1, false, &err);

		sq_buf_u8(&err, 0);
		cr_expect_null(acl, "%zu", i);
		cr_expect_str_eq((const char *)sq_buf_data(&err), rows[i].err);
		sq_buf_fini(&err);
	}
}

/* ---- a subscription that is allowed brings nothing that is denied ---- */

static const char *const words[] = {"a", "b", "$c", "", "+", "#"};

/* A filter, or a topic, of at most three levels; empty: none came of it. */
static void
draw(unsigned *seed, bool filter, char *out)
{
	unsigned levels = 1 + (unsigned)rand_r(seed) % 3, n = filter ? 6 : 4;
	struct sq_topic_filter f;

	*out = '\0';
	for (unsigned i = 0; i < levels; i++) {
		strcat(out, i > 0 ? "/" : "");
		strcat(out, words[(unsigned)rand_r(seed) % n]);
	}
	if (out[0] == '\0' || sq_topic_filter_parse(sq_bytes_of(out), &f, NULL) != 0)
		*out = '\0';
}

/* Whether a subscriber to the topic alone would be allowed it. */
static bool
may_see(const struct written *w, size_t n, bool default_deny, const char *topic)
{
	bool listed = false, allowed = false;

	for (size_t i = 0; i < n; i++) {
		bool hit = sq_topic_match(sq_bytes_of(w[i].objects), sq_bytes_of(topic));

		if (w[i].what[0] == 'd' && hit)
			return false;
		listed = listed || w[i].what[0] == 'a';
		allowed = allowed || (w[i].what[0] == 'a' && hit);
	}
	return allowed || (!listed && !default_deny);
}

Test(acl, what_may_be_subscribed_to_brings_no_topic_that_is_denied)
{
	unsigned seed = 11;
	size_t allowed = 0, refused = 0;

	for (int turn = 0; turn < 20000; turn++) {
		char texts[3][32], filter[32], topic[32], by[256];
		struct written w[3];
		size_t n = 0;
		bool deny = rand_r(&seed) % 4 == 0, may;
		struct sq_acl *acl;

		for (size_t i = 0; i < 3; i++) {
			draw(&seed, true, texts[n]);
			w[n] = (struct written){
			    .what = rand_r(&seed) % 2 ? "allow subscribe" : "deny subscribe",
			    .objects = texts[n]};
			n += texts[n][0] != '\0';
		}
		draw(&seed, true, filter);
		if (filter[0] == '\0')
			continue;
		acl = good(w, n, deny);
		may = asks(acl, &shop, "subscribe", filter, by, sizeof by);
		sq_acl_unref(&acl);
		allowed += may;
		refused += !may;
		for (unsigned i = 0; may && i < 4 + 16 + 64 + 256; i++) {
			unsigned levels = i < 4 ? 1 : i < 20 ? 2 : i < 84 ? 3 : 4, at = i;

			topic[0] = '\0';
			for (unsigned l = 0; l < levels; l++, at /= 4) {
				strcat(topic, l > 0 ? "/" : "");
				strcat(topic, words[at % 4]);
			}
			if (topic[0] == '\0' ||
			    !sq_topic_match(sq_bytes_of(filter), sq_bytes_of(topic)))
				continue;
			cr_assert(may_see(w, n, deny, topic), "%s brings %s", filter, topic);
		}
	}
	cr_assert_gt(allowed, 1000);
	cr_assert_gt(refused, 1000);
}
