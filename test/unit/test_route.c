/* broker/front/link/route: which requests the link's resources take. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "broker/front/link/route.h"
#include "core/mem.h"

static struct sq_route r;

static unsigned
find(const char *method, const char *target)
{
	return sq_route_find((struct sq_bytes){(const unsigned char *)method, strlen(method)},
	    (struct sq_bytes){(const unsigned char *)target, strlen(target)}, &r);
}

Test(route, finds_every_resource_of_the_link)
{
	cr_assert_eq(find("GET", "/v1/links/0123456789abcdef/deliveries"), 0);
	cr_assert_eq(r.kind, SQ_ROUTE_DELIVERIES);
	cr_assert_not(r.has_space);
	cr_assert_eq(r.link, UINT64_C(0x0123456789abcdef));
	cr_assert_eq(find("PUT", "/v1/sessions/a~b~c"), 0);
	cr_assert_eq(r.kind, SQ_ROUTE_ATTACH);
	cr_assert(r.key.len == 5 && memcmp(r.key.p, "a~b~c", 5) == 0);
	cr_assert_eq(find("POST", "/v1/sessions/k/messages?epoch=00000001FFFFFFFF"), 0);
	cr_assert_eq(r.kind, SQ_ROUTE_MESSAGES);
	cr_assert_eq(r.epoch, UINT64_C(0x1ffffffff));
	cr_assert_eq(find("POST", "/v1/sessions/k/settlements?epoch=0000000000000002"), 0);
	cr_assert_eq(r.kind, SQ_ROUTE_SETTLEMENTS);
	cr_assert_eq(find("POST", "/v1/sessions/k/subscriptions?epoch=0000000000000002"), 0);
	cr_assert_eq(r.kind, SQ_ROUTE_SUBSCRIPTIONS);
	cr_assert_eq(find("POST", "/v1/sessions/k/detach?epoch=0000000000000002"), 0);
	cr_assert_eq(r.kind, SQ_ROUTE_DETACH);
}

Test(route, a_peer_that_says_its_space_knows_421)
{
	char long_[900] = "/v1/links/0123456789abcdef/deliveries?space=";

	cr_assert_eq(find("GET", "/v1/links/0123456789abcdef/deliveries?space=shop&x=1"), 0);
	cr_assert(r.has_space);
	cr_assert_eq(find("GET", "/v1/links/0123456789abcdef/deliveries?space="), 0);
	cr_assert(r.has_space);
	cr_assert_eq(find("GET", "/v1/links/0123456789abcdef/deliveries?x=1"), 0);
	cr_assert_not(r.has_space);
	memset(long_ + strlen(long_), 'a', 800);
	cr_assert_eq(find("GET", long_), 400);
}

Test(route, refuses_other_paths_with_404)
{
	static const char *const bad[] = {"", "/", "*", "/v1", "/v1/", "/v1/links", "/v1/links/",
	    "/v1/links//deliveries", "/v1/links/0123456789abcdef", "/v1/links/0123456789abcdef/",
	    "/v1/links/0123456789abcdef/deliveries/", "/v1/sessions", "/v1/sessions/",
	    "/v1/sessions/k/", "/v1/sessions/k/other", "/v1/sessions/k/messages/x",
	    "/v2/sessions/k", "/v1/sessions/../k/messages", "//v1/sessions/k", "?", "/v1/queues/k"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_expect_eq(find("PUT", bad[i]), 404, "%s", bad[i]);
}

Test(route, names_the_method_that_a_path_takes)
{
	cr_assert_eq(find("POST", "/v1/sessions/k"), 405);
	cr_assert_str_eq(r.allow, "PUT");
	cr_assert_eq(find("GET", "/v1/sessions/k/messages?epoch=0000000000000002"), 405);
	cr_assert_str_eq(r.allow, "POST");
	cr_assert_eq(find("HEAD", "/v1/links/0123456789abcdef/deliveries"), 405);
	cr_assert_str_eq(r.allow, "GET");
	cr_assert_eq(find("\xff\x00", "/v1/sessions/k"), 405);
	cr_assert_eq(find("", "/v1/sessions/k"), 405);
}

Test(route, takes_ids_of_16_hex_digits_only)
{
	static const char *const bad[] = {"/v1/sessions/k/messages", "/v1/sessions/k/messages?",
	    "/v1/sessions/k/messages?epoch=", "/v1/sessions/k/messages?epoch=1",
	    "/v1/sessions/k/messages?epoch=000000000000000g",
	    "/v1/sessions/k/messages?epoch=00000000000000001",
	    "/v1/sessions/k/messages?epoch=0x00000000000001",
	    "/v1/sessions/k/messages?epoch=0000000000000001&x=1",
	    "/v1/sessions/k/messages?x=1&epoch=0000000000000001"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_expect_eq(find("POST", bad[i]), 400, "%s", bad[i]);
	cr_expect_eq(find("GET", "/v1/links/123/deliveries"), 400);
	cr_expect_eq(find("GET", "/v1/links/0123456789abcde%30/deliveries"), 400);
}

Test(route, a_question_may_wait_for_an_owner_of_later)
{
	static const char *const bad[] = {"wait=", "wait=5", "wait=31&epoch=1", "wait=x&epoch=1",
	    "wait=5&epoch=", "wait=5&epoch=1x", "wait=5&epoch=12345678901234567890"};
	char path[120];

	cr_assert_eq(
	    find("GET", "/v1/links/0123456789abcdef/deliveries?space=&wait=30&epoch=17"), 0);
	cr_assert_eq(r.wait_s, 30);
	cr_assert_eq(r.epoch, 17);
	cr_assert_eq(find("GET", "/v1/links/0123456789abcdef/deliveries?space=s"), 0);
	cr_assert_eq(r.wait_s, 0);
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++) {
		snprintf(
		    path, sizeof path, "/v1/links/0123456789abcdef/deliveries?space=s&%s", bad[i]);
		cr_assert_eq(find("GET", path), 400, "%s", bad[i]);
	}
}
