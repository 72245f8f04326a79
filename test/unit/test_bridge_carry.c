/* What goes along over a bridge, and the hops of a message. */
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "broker/bridge/carry.h"

#define HERE "prod.eu-0123456789abcdef"

static bool
goes(const char *name)
{
	return sq_carry_property(sq_bytes_of(name));
}

Test(bridge_carry, properties_go_along_but_ours)
{
	cr_expect(goes("a"));
	cr_expect(goes(""));
	cr_expect(goes("tag"));
	cr_expect(goes("sqmqos"));
	cr_expect(goes("x-sqmqos-delay"));
	cr_expect(goes("sqmqos-order-key"));
	cr_expect(goes("SQMQOS-Order-Key"));
	cr_expect_not(goes("sqmqos-"));
	cr_expect_not(goes("sqmqos-delay"));
	cr_expect_not(goes("Sqmqos-Hops"));
	cr_expect_not(goes("sqmqos-order-keys"));
	cr_expect_not(goes("sqmqos-order-ke"));
}

static bool
have(const char *hops)
{
	return sq_hops_have(sq_bytes_of(hops), HERE);
}

Test(bridge_carry, a_hop_of_this_installation_is_found_wherever_it_stands)
{
	cr_expect(have(HERE "/to-rabbit"));
	cr_expect(have("other-00000000000000aa/x," HERE "/y,z-1111111111111111/q"));
	cr_expect(have("renamed-0123456789abcdef/x"), "the digits count, not the name");
	cr_expect(have(HERE), "without a bridge");
	cr_expect_not(have(""));
	cr_expect_not(have("prod.eu-0123456789abcdee/x"));
	cr_expect_not(have("prod.eu-0123456789ABCDEF/x"));
	cr_expect_not(have("x/0123456789abcdef"), "a bridge's name is no installation");
	cr_expect_not(have("123456789abcdef/x"));
	cr_expect_not(have(",,/,//"));
}

Test(bridge_carry, a_bridge_is_found_by_both)
{
	struct sq_bytes hops = sq_bytes_of("a-00000000000000aa/x," HERE "/y");

	cr_expect(sq_hops_have_bridge(hops, HERE, "y"));
	cr_expect_not(sq_hops_have_bridge(hops, HERE, "x"));
	cr_expect_not(sq_hops_have_bridge(hops, HERE, ""));
	cr_expect_not(sq_hops_have_bridge(hops, "b-00000000000000bb", "y"));
}

Test(bridge_carry, hops_are_counted)
{
	static char many[SQ_CARRY_HOPS_MAX + 1];

	cr_expect(sq_hops_count((struct sq_bytes){0}) == 0);
	cr_expect(sq_hops_count(sq_bytes_of("a/b")) == 1);
	cr_expect(sq_hops_count(sq_bytes_of("a/b,c/d,e/f")) == 3);
	memset(many, 'a', sizeof many);
	cr_expect(sq_hops_count((struct sq_bytes){(unsigned char *)many, sizeof many - 1}) == 1);
	cr_expect(sq_hops_count((struct sq_bytes){(unsigned char *)many, sizeof many}) == UINT_MAX);
}

static void
adds(const char *hops, const char *wanted)
{
	struct sq_buf out = {0};

	sq_hops_add(sq_bytes_of(hops), HERE, "b", &out);
	cr_expect(sq_bytes_are(sq_buf_bytes(&out), wanted), "%.*s", (int)sq_buf_len(&out),
	    (const char *)sq_buf_data(&out));
	sq_buf_fini(&out);
}

Test(bridge_carry, a_hop_is_added_at_the_end)
{
	adds("", HERE "/b");
	adds("x-00000000000000aa/y", "x-00000000000000aa/y," HERE "/b");
	adds("\x01\xc3\xa9 ;", "_____," HERE "/b");
}
