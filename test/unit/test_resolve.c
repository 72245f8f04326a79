/* net/conn/resolve: addresses, and names without blocking. */
#include <criterion/criterion.h>

#include <string.h>

#include "core/mem.h"
#include "net/conn/resolve.h"

Test(resolve, host_and_port_are_split)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
	    {"broker:7443", "broker", 7443},
	    {"10.0.0.7:1", "10.0.0.7", 1},
	    {"[::1]:65535", "::1", 65535},
	    {"a.b-c_d.svc.:80", "a.b-c_d.svc.", 80},
	};
	static const char *const bad[] = {
	    "",
	    ":",
	    "a",
	    "a:",
	    ":1",
	    "a:0",
	    "a:65536",
	    "a:99999999999999999999",
	    "a:-1",
	    "a:+1",
	    "a: 1",
	    "a:1 ",
	    "::1:1",
	    "[::1]",
	    "[]:1",
	    "[::1:1",
	    "::1]:1",
	    "a b:1",
	    "http://a:1",
	    "user@a:1",
	    "a\n:1",
	};
	char host[SQ_HOST_MAX + 1], longest[SQ_HOST_MAX + 8];
	uint16_t port;

	for (size_t i = 0; i < SQ_ARRAY_LEN(good); i++) {
		cr_assert_eq(sq_addr_split(good[i].text, host, &port), 0, "%s", good[i].text);
		cr_assert_str_eq(host, good[i].host);
		cr_assert_eq(port, good[i].port);
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++)
		cr_assert_eq(sq_addr_split(bad[i], host, &port), SQ_EINVAL, "%s", bad[i]);
	memset(longest, 'a', sizeof longest);
	strcpy(longest + SQ_HOST_MAX, ":1");
	cr_assert_eq(sq_addr_split(longest, host, &port), 0);
	memset(longest, 'a', sizeof longest);
	strcpy(longest + SQ_HOST_MAX + 1, ":1");
	cr_assert_eq(sq_addr_split(longest, host, &port), SQ_EINVAL);
}

Test(resolve, numeric_addresses_have_their_text)
{
	static const struct {
		const char *host, *text;
	} good[] = {
	    {"127.0.0.1", "127.0.0.1:99"},
	    {"::1", "[::1]:99"},
	    {"2001:db8::0:7", "[2001:db8::7]:99"},
	};
	struct sq_addr a, b;
	char text[SQ_ADDR_TEXT];

	for (size_t i = 0; i < SQ_ARRAY_LEN(good); i++) {
		cr_assert_eq(sq_addr_numeric(good[i].host, 99, &a), 0);
		sq_addr_text(&a, text);
		cr_assert_str_eq(text, good[i].text);
		cr_assert(sq_addr_equal(&a, &a));
		cr_assert_eq(sq_addr_numeric(good[i].host, 98, &b), 0);
		cr_assert(!sq_addr_equal(&a, &b));
		cr_assert_eq(sq_addr_numeric("10.9.8.7", 99, &b), 0);
		cr_assert(!sq_addr_equal(&a, &b));
	}
	cr_assert_eq(sq_addr_numeric("localhost", 99, &a), SQ_EINVAL);
	cr_assert_eq(sq_addr_numeric("1.2.3", 99, &a), SQ_EINVAL);
	cr_assert_eq(sq_addr_numeric("", 99, &a), SQ_EINVAL);
}

static unsigned answers, loopbacks;
static const char *last_error;
static bool inside;

static void
on_resolved(void *owner, void *tag, const struct sq_addr *addrs, size_t n, const char *error)
{
	struct sq_addr v4, v6;

	cr_assert(!inside, "never from inside a call");
	cr_assert_eq(owner, &answers);
	cr_assert_eq(tag, &loopbacks);
	cr_assert_eq(n == 0, error != NULL);
	(void)!sq_addr_numeric("127.0.0.1", 7, &v4);
	(void)!sq_addr_numeric("::1", 7, &v6);
	for (size_t i = 0; i < n; i++)
		loopbacks += sq_addr_equal(&addrs[i], &v4) || sq_addr_equal(&addrs[i], &v6);
	last_error = error;
	answers++;
}

Test(resolve, names_are_answered_from_the_loop, .timeout = 60)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct sq_resolver *r = sq_resolver_new(loop, on_resolved, &answers);

	for (int i = 0; i < 2; i++) { /* the second time with a new channel */
		answers = loopbacks = 0;
		inside = true;
		sq_resolver_lookup(r, "localhost", 7, &loopbacks);
		inside = false;
		while (answers < 1)
			ev_run(loop, EVRUN_ONCE);
		cr_assert_geq(loopbacks, 1);
		cr_assert_null(last_error);
		inside = true;
		sq_resolver_lookup(r, "no..name", 7, &loopbacks);
		inside = false;
		while (answers < 2)
			ev_run(loop, EVRUN_ONCE);
		cr_assert_not_null(last_error);
	}
	sq_resolver_free(&r);
	cr_assert_null(r);
	ev_loop_destroy(loop);
}

Test(resolve, free_drops_what_is_under_way)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct sq_resolver *r = sq_resolver_new(loop, on_resolved, &answers);

	sq_resolver_lookup(r, "localhost", 7, &loopbacks);
	sq_resolver_lookup(r, "broker.test.invalid", 7, &loopbacks);
	sq_resolver_free(&r);
	ev_run(loop, EVRUN_NOWAIT);
	cr_assert_eq(answers, 0);
	ev_loop_destroy(loop);
}
