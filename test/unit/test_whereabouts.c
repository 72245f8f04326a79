/* net/allowed and net/whereabouts: where a broker may lead to, and what is believed. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "core/mem.h"
#include "net/allowed.h"
#include "net/whereabouts.h"

static char *brokers_[] = {(char *)"broker.shop.svc:7443", (char *)"a.mq.example.com:1",
    (char *)"b.example.org:1", (char *)"10.0.0.7:7443", (char *)"single:1"};
static const struct sq_strings brokers = {brokers_, SQ_ARRAY_LEN(brokers_)};

static bool
allowed(const char *address)
{
	return sq_allowed_address(NULL, &brokers, address);
}

Test(allowed, by_default_the_brokers_and_what_is_near_them)
{
	static const char *const good[] = {"broker.shop.svc:1", "BROKER.shop.svc:7443",
	    "broker-0.broker.shop.svc:7443", "broker-0.headless.shop.svc:7443",
	    "b.mq.example.com:7443", "b.example.org:2", "x.b.example.org:2", "10.0.0.7:1",
	    "single:2", "x.single:2"};
	static const char *const bad[] = {"broker.other.svc:7443", "shop.svc:7443", "svc:1",
	    "evil.example.org:7443", "b.example.com:1", "evilmq.example.com:1", "10.0.0.8:7443",
	    "1.10.0.0.7:1", "evil:1", "xsingle:2", "example.org:1", "", ":1", "single", "single:0",
	    "single:99999", "single:1:1", "[::1]:7443"};

	for (unsigned i = 0; i < SQ_ARRAY_LEN(good); i++)
		cr_expect(allowed(good[i]), "%s", good[i]);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(bad); i++)
		cr_expect_not(allowed(bad[i]), "%s", bad[i]);
}

Test(allowed, a_list_is_all_there_is)
{
	char *hosts[] = {(char *)".mq.example", (char *)"*.other.example", (char *)"one"};
	const struct sq_strings list = {hosts, SQ_ARRAY_LEN(hosts)};
	char *wrong[] = {(char *)"a b"};
	const struct sq_strings bad = {wrong, 1};
	struct sq_buf err = {0};

	cr_expect_eq(sq_allowed_check(&list, &err), SQ_OK);
	cr_expect_eq(sq_allowed_check(&bad, &err), SQ_EINVAL);
	cr_expect(sq_allowed_address(&list, &brokers, "a.b.mq.example:1"));
	cr_expect(sq_allowed_address(&list, &brokers, "a.other.example:1"));
	cr_expect(sq_allowed_address(&list, &brokers, "one:1"));
	cr_expect_not(sq_allowed_address(&list, &brokers, "mq.example:1"));
	cr_expect_not(sq_allowed_address(&list, &brokers, "x.one:1"));
	cr_expect_not(sq_allowed_address(&list, &brokers, "broker.shop.svc:7443"));
	sq_buf_fini(&err);
}

static struct sq_where
said(const char *owner, uint64_t store, uint64_t epoch)
{
	struct sq_where t = {.shared = true, .store = store, .epoch = epoch};

	snprintf(t.owner, sizeof t.owner, "%s", owner);
	return t;
}

static enum sq_whereabouts_verdict
told(struct sq_whereabouts *w, const char *owner, uint64_t store, uint64_t epoch)
{
	struct sq_where t = said(owner, store, epoch);

	return sq_whereabouts_told(w, &t);
}

Test(whereabouts, epochs_hops_and_the_owner_that_ends)
{
	struct sq_whereabouts w = {.brokers = &brokers};
	struct sq_where t = said("single:1", 1, 7), old = said("single:9", 1, 6);

	cr_expect_eq(told(&w, "evil:1", 1, 9), SQ_WHEREABOUTS_DENIED);
	cr_expect_not(w.known, "what is denied tells no epoch");
	cr_expect(sq_whereabouts_opened(&w, &t));
	cr_expect_eq(told(&w, "single:2", 1, 6), SQ_WHEREABOUTS_OLD);
	cr_expect_not(sq_whereabouts_opened(&w, &old));
	cr_expect_not(sq_whereabouts_heard(&w, &t), "nothing new");
	cr_expect(sq_whereabouts_moves(&w, "single:3"));
	cr_expect_eq(told(&w, "single:1", 1, 7), SQ_WHEREABOUTS_WAIT);
	cr_expect_str_eq(w.owner, "single:3");
	cr_expect_eq(told(&w, "single:1", 1, 8), SQ_WHEREABOUTS_FOLLOW, "it is the owner again");
	for (unsigned i = 1; i < SQ_WHEREABOUTS_HOPS; i++)
		cr_expect_eq(told(&w, "single:2", 1, 8), SQ_WHEREABOUTS_FOLLOW);
	cr_expect_eq(told(&w, "single:2", 1, 8), SQ_WHEREABOUTS_HOPS_ALL);
	cr_expect_str_eq(w.owner, "");
	cr_expect_eq(told(&w, "single:2", 2, 1), SQ_WHEREABOUTS_FOLLOW, "another store");
	sq_whereabouts_standby(&w, "evil:1");
	cr_expect_str_eq(w.standby, "");
}

/* What the brokers that stand by still say of an owner that has died leads nobody there. */
Test(whereabouts, an_owner_that_fails_is_followed_no_more)
{
	struct sq_whereabouts w = {.brokers = &brokers};
	struct sq_where t = said("single:1", 1, 7);

	snprintf(t.standby, sizeof t.standby, "single:2");
	sq_whereabouts_failed(&w, "");
	cr_expect_str_eq(w.away, "");
	cr_expect(sq_whereabouts_opened(&w, &t));
	sq_whereabouts_failed(&w, "single:2");
	cr_expect_eq(told(&w, "single:1", 1, 7), SQ_WHEREABOUTS_FOLLOW, "another one has failed");
	sq_whereabouts_failed(&w, "single:1");
	cr_expect_eq(told(&w, "single:1", 1, 7), SQ_WHEREABOUTS_WAIT);
	snprintf(t.standby, sizeof t.standby, "single:3");
	cr_expect_eq(sq_whereabouts_told(&w, &t), SQ_WHEREABOUTS_WAIT);
	cr_expect_str_eq(w.standby, "single:2", "the owner has said so");
	cr_expect(sq_whereabouts_opened(&w, &t), "it lives");
	cr_expect_eq(told(&w, "single:1", 1, 7), SQ_WHEREABOUTS_FOLLOW);
	sq_whereabouts_failed(&w, "single:1");
	cr_expect_eq(told(&w, "single:2", 1, 8), SQ_WHEREABOUTS_FOLLOW);
	cr_expect_str_eq(w.standby, "", "of the owner of before");
	cr_expect(sq_whereabouts_moves(&w, "single:4"));
	sq_whereabouts_failed(&w, "single:4");
	cr_expect_eq(
	    told(&w, "single:2", 1, 8), SQ_WHEREABOUTS_WAIT, "the next one has not come yet");
}
