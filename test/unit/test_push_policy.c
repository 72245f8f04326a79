/* Which addresses push may reach: the table of what is denied, and what each row of push.allow opens. */
#include "broker/push/policy.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "core/mem.h"

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage out = {0};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(443)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};

	if (strchr(text, ':') != NULL) {
		cr_assert_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1, "%s", text);
		memcpy(&out, &v6, sizeof v6);
	} else {
		cr_assert_eq(inet_pton(AF_INET, text, &v4.sin_addr), 1, "%s", text);
		memcpy(&out, &v4, sizeof v4);
	}
	return out;
}

static struct sq_push_policy *
policy_with(const struct sq_push_allow *rows, size_t n, const char *own)
{
	struct sockaddr_storage mine = address(own != NULL ? own : "127.0.0.1");
	struct sq_buf err = {0};
	struct sq_push_policy *p = sq_push_policy_new(
	    &(struct sq_push_policy_cfg){
		.allow = rows, .n_allow = n, .own = &mine, .n_own = own != NULL},
	    &err);

	cr_assert_not_null(p, "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	return p;
}

static bool
may(const struct sq_push_policy *p, const char *space, const char *host, const char *to)
{
	struct sockaddr_storage a = address(to);

	return sq_push_policy_address(p, space, true, host, (const struct sockaddr *)&a);
}

/* The first and the last address of what is denied, and their public neighbours. */
static const struct {
	const char *first, *last;
	bool private; /* a host alone opens it */
	const char *before, *after;
} blocks[] = {
    {"0.0.0.0", "0.255.255.255", false, NULL, "1.0.0.0"},
    {"10.0.0.0", "10.255.255.255", true, "9.255.255.255", "11.0.0.0"},
    {"100.64.0.0", "100.127.255.255", true, "100.63.255.255", "100.128.0.0"},
    {"100.100.100.200", "100.100.100.200", false, NULL, NULL},
    {"127.0.0.0", "127.255.255.255", false, "126.255.255.255", "128.0.0.0"},
    {"127.0.0.1", "127.0.0.53", false, NULL, NULL},
    {"168.63.129.16", "168.63.129.16", false, "168.63.129.15", "168.63.129.17"},
    {"169.254.0.0", "169.254.255.255", false, "169.253.255.255", "169.255.0.0"},
    {"169.254.169.254", "169.254.170.23", false, NULL, NULL},
    {"172.16.0.0", "172.31.255.255", true, "172.15.255.255", "172.32.0.0"},
    {"192.0.0.0", "192.0.0.255", false, "191.255.255.255", "192.0.1.0"},
    {"192.0.2.0", "192.0.2.255", false, "192.0.1.255", "192.0.3.0"},
    {"192.88.99.0", "192.88.99.255", false, "192.88.98.255", "192.88.100.0"},
    {"192.168.0.0", "192.168.255.255", true, "192.167.255.255", "192.169.0.0"},
    {"198.18.0.0", "198.19.255.255", false, "198.17.255.255", "198.20.0.0"},
    {"198.51.100.0", "198.51.100.255", false, "198.51.99.255", "198.51.101.0"},
    {"203.0.113.0", "203.0.113.255", false, "203.0.112.255", "203.0.114.0"},
    {"224.0.0.0", "239.255.255.255", false, "223.255.255.255", NULL},
    {"240.0.0.0", "255.255.255.254", false, NULL, NULL},
    {"255.255.255.255", "255.255.255.255", false, NULL, NULL},
    {"::", "::", false, NULL, NULL},
    {"::1", "::1", false, NULL, NULL},
    {"::2", "::ffff:ffff", false, NULL, NULL},
    {"::8.8.8.8", "::127.0.0.1", false, NULL, NULL},
    {"::fffe:ffff:ffff", "::1:0:0:0", false, NULL, NULL},
    {"64:ff9b::", "64:ff9b::ffff:ffff", false, NULL, NULL},
    {"64:ff9b::8.8.8.8", "64:ff9b::127.0.0.1", false, NULL, NULL},
    {"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", false, NULL, NULL},
    {"100::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, NULL, "2000::"},
    {"2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", false, "2000:ffff::1", NULL},
    {"2001:2::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", false, NULL, "2001:200::"},
    {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", false,
	"2001:db7:ffff::", "2001:db9::"},
    {"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, "2001:ffff::", "2003::"},
    {"2002:7f00:1::", "2002:808:808::1", false, NULL, NULL},
    {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false, "3ffe:ffff::", "3fff:1000::"},
    {"4000::", "5f00::1", false, "3fff:ffff::", NULL},
    {"8000::", "fbff:ffff::", false, NULL, NULL},
    {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, NULL, NULL},
    {"fd00:ec2::254", "fd20:ce::254", false, NULL, NULL},
    {"fe00::", "fe7f:ffff::", false, NULL, NULL},
    {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, NULL, NULL},
    {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, NULL, NULL},
    {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, NULL, NULL},
};

/* As it is, and mapped into IPv6 where it is of IPv4: the same. */
static void
expect(const struct sq_push_policy *p, const char *to, bool want)
{
	char mapped[64];

	if (to == NULL)
		return;
	cr_assert_eq(may(p, "shop", "x.example", to), want, "%s", to);
	if (strchr(to, ':') != NULL)
		return;
	snprintf(mapped, sizeof mapped, "::ffff:%s", to);
	cr_assert_eq(may(p, "shop", "x.example", mapped), want, "%s", mapped);
}

Test(push_policy, what_is_not_public_is_denied_and_nothing_else)
{
	struct sq_push_policy *p = policy_with(NULL, 0, NULL);

	for (size_t i = 0; i < SQ_ARRAY_LEN(blocks); i++) {
		expect(p, blocks[i].first, false);
		expect(p, blocks[i].last, false);
		expect(p, blocks[i].before, true);
		expect(p, blocks[i].after, true);
	}
	expect(p, "8.8.8.8", true);
	expect(p, "2a00:1450:4001::200e", true);
	sq_push_policy_unref(&p);
	cr_assert_null(p);
}

/* What a name resolves to is chosen by whoever has its zone. */
Test(push_policy, a_host_alone_opens_private_networks_and_nothing_else)
{
	const struct sq_push_allow any = {.host = "*"};
	struct sq_push_policy *p = policy_with(&any, 1, NULL);

	for (size_t i = 0; i < SQ_ARRAY_LEN(blocks); i++) {
		expect(p, blocks[i].first, blocks[i].private);
		expect(p, blocks[i].last, blocks[i].private);
	}
	expect(p, "8.8.8.8", true);
	sq_push_policy_unref(&p);
}

Test(push_policy, a_wide_range_opens_no_loopback_and_no_metadata)
{
	const struct sq_push_allow all[] = {{.cidr = "0.0.0.0/0"}, {.cidr = "::/0"}};
	struct sq_push_policy *p = policy_with(all, 2, NULL);

	for (size_t i = 0; i < SQ_ARRAY_LEN(blocks); i++) {
		expect(p, blocks[i].first, blocks[i].private);
		expect(p, blocks[i].last, blocks[i].private);
	}
	sq_push_policy_unref(&p);
}

Test(push_policy, a_range_of_ipv6_has_none_of_ipv4)
{
	const struct sq_push_allow all = {.cidr = "::/0"};
	struct sq_push_policy *p = policy_with(&all, 1, NULL);

	expect(p, "10.0.0.1", false);
	expect(p, "fd00::1", true);
	sq_push_policy_unref(&p);
}

static const struct {
	const char *cidr, *to;
	bool want;
} ranges[] = {
    {"127.0.0.1", "127.0.0.1", true},
    {"127.0.0.1", "127.0.0.2", false},
    {"127.0.0.1/32", "127.0.0.1", true},
    {"127.0.0.0/8", "127.0.0.53", true},
    {"126.0.0.0/7", "127.0.0.1", false}, /* wider than what it opens */
    {"::ffff:127.0.0.1", "127.0.0.1", true},
    {"10.0.0.0/8", "10.1.2.3", true},
    {"10.0.0.0/8", "11.1.2.3", true}, /* public anyway */
    {"10.0.0.0/8", "172.16.0.1", false},
    {"10.0.0.0/9", "10.127.255.255", true},
    {"10.0.0.0/9", "10.128.0.0", false},
    {"8.0.0.0/5", "10.1.2.3", true}, /* private ones are not meant badly */
    {"169.254.0.0/16", "169.254.169.254", true},
    {"169.254.169.254", "169.254.169.254", true},
    {"168.0.0.0/5", "169.254.169.254", false},
    {"100.64.0.0/10", "100.64.0.1", true},
    {"100.64.0.0/10", "100.100.100.200", false}, /* a cloud's, inside */
    {"100.100.100.200", "100.100.100.200", true},
    {"fd00::/8", "fd00::1", true},
    {"fd00::/8", "fd00:ec2::254", false},
    {"fd00:ec2::254", "fd00:ec2::254", true},
    {"fd00::/8", "fe80::1", false},
    {"fe80::/10", "fe80::1", true},
    {"::1", "::1", true},
    {"::1", "127.0.0.1", false},
    {"::/96", "::1", false},
    /* A gateway's range: what is behind it counts, too. */
    {"64:ff9b::/96", "64:ff9b::8.8.8.8", true},
    {"64:ff9b::/96", "64:ff9b::127.0.0.1", false},
    {"64:ff9b::/96", "64:ff9b::10.0.0.1", false},
    {"64:ff9b::/96", "64:ff9b::a9fe:a9fe", false},
    {"2002::/16", "2002:808:808::1", true},
    {"2002::/16", "2002:7f00:1::1", false},
    {"2002::/16", "2002:a00:1::1", false},
};

Test(push_policy, a_range_opens_what_it_means)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(ranges); i++) {
		const struct sq_push_allow row = {.cidr = ranges[i].cidr};
		struct sq_push_policy *p = policy_with(&row, 1, NULL);

		cr_assert_eq(may(p, "shop", "x.example", ranges[i].to), ranges[i].want, "%s for %s",
		    ranges[i].cidr, ranges[i].to);
		sq_push_policy_unref(&p);
	}
}

static const char *const shop_only[] = {"shop"}, *const teams[] = {"team-*", "ops"};

static const struct {
	struct sq_push_allow row;
	const char *space, *host;
	bool want; /* 10.0.0.1 */
} about[] = {
    {{.host = "*.{space}.svc.cluster.local"}, "shop", "billing.shop.svc.cluster.local", true},
    {{.host = "*.{space}.svc.cluster.local"}, "shop", "BILLING.Shop.SVC.cluster.local.", true},
    {{.host = "*.{space}.svc.cluster.local"}, "shop", "pod.billing.shop.svc.cluster.local", true},
    {{.host = "*.{space}.svc.cluster.local"}, "shop", "billing.bank.svc.cluster.local", false},
    {{.host = "*.{space}.svc.cluster.local"}, "shop", "shop.svc.cluster.local", false},
    {{.host = "*.{space}.svc.cluster.local"}, "shop", "billing.myshop.svc.cluster.local", false},
    {{.host = "*.{space}.svc.cluster.local"}, "shop", "a.shop.svc.cluster.local.evil.example",
	false},
    {{.host = "*.{space}.svc.cluster.local"}, "shop", "a.shop.svc.cluster.localx", false},
    /* A space whose name is no label is no part of a host. */
    {{.host = "*.{space}.svc.cluster.local"}, "*", "billing.bank.svc.cluster.local", false},
    {{.host = "*.{space}.svc.cluster.local"}, "b?nk", "billing.bank.svc.cluster.local", false},
    {{.host = "*.{space}.svc.cluster.local"}, "billing.bank", "pod.billing.bank.svc.cluster.local",
	false},
    {{.host = "*.{space}.svc.cluster.local"}, "Shop", "billing.shop.svc.cluster.local", false},
    {{.host = "*.{space}.svc.cluster.local"}, "", "billing..svc.cluster.local", false},
    {{.host = "*.{space}.svc.cluster.local"}, "{space}", "a.{space}.svc.cluster.local", false},
    {{.host = "{space}-{space}.example"}, "ab", "ab-ab.example", true},
    {{.host = "{space}-{space}.example"}, "ab", "ab-ac.example", false},
    {{.host = "HOST.Example"}, "shop", "host.example", true},
    {{.host = "host.example."}, "shop", "host.example", true},
    {{.host = "host.example"}, "shop", "xhost.example", false},
    {{.host = "10.0.0.1"}, "shop", "10.0.0.1", true},
    {{.host = "10.0.0.1"}, "shop", "10.0.0.2", false},
    {{.host = "h?.example"}, "shop", "h1.example", true},
    {{.host = "*", .spaces = shop_only, .n_spaces = 1}, "shop", "x", true},
    {{.host = "*", .spaces = shop_only, .n_spaces = 1}, "shops", "x", false},
    {{.cidr = "10.0.0.0/8", .spaces = shop_only, .n_spaces = 1}, "shop", "x", true},
    {{.cidr = "10.0.0.0/8", .spaces = shop_only, .n_spaces = 1}, "bank", "x", false},
    {{.cidr = "10.0.0.0/8", .spaces = teams, .n_spaces = 2}, "team-1", "x", true},
    {{.cidr = "10.0.0.0/8", .spaces = teams, .n_spaces = 2}, "ops", "x", true},
    {{.cidr = "10.0.0.0/8", .spaces = teams, .n_spaces = 2}, "team", "x", false},
    {{.host = "h", .cidr = "10.0.0.0/8"}, "shop", "h", true},
    {{.host = "h", .cidr = "10.0.0.0/8"}, "shop", "i", false},
    {{.host = "h", .cidr = "10.0.1.0/24"}, "shop", "h", false},
};

Test(push_policy, a_row_is_about_its_hosts_and_spaces)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(about); i++) {
		struct sq_push_policy *p = policy_with(&about[i].row, 1, NULL);

		cr_assert_eq(may(p, about[i].space, about[i].host, "10.0.0.1"), about[i].want,
		    "row %zu: %s in %s", i, about[i].host, about[i].space);
		sq_push_policy_unref(&p);
	}
}

Test(push_policy, a_longest_pattern_with_a_longest_space)
{
	char pattern[256] = "", space[64], host[255];
	struct sq_push_allow row = {.host = pattern};
	struct sq_push_policy *p;

	for (int i = 0; i < 36; i++)
		memcpy(pattern + 7 * i, "{space}", 8);
	memset(space, 'a', 63);
	space[63] = '\0';
	memset(host, 'a', 254);
	host[254] = '\0';
	p = policy_with(&row, 1, NULL);
	cr_assert_not(may(p, space, host, "10.0.0.1"));
	sq_push_policy_unref(&p);
}

Test(push_policy, the_brokers_own_addresses_are_denied_unless_one_is_meant)
{
	static const struct {
		struct sq_push_allow row;
		bool want;
	} rows[] = {
	    {{.host = "*"}, false},
	    {{.cidr = "10.0.0.0/8"}, false},
	    {{.cidr = "0.0.0.0/0"}, false},
	    {{.cidr = "10.0.0.7"}, true},
	    {{.host = "x.example", .cidr = "10.0.0.7/32"}, true},
	    {{.host = "y.example", .cidr = "10.0.0.7/32"}, false},
	};
	const struct sq_push_allow none = {.cidr = "192.168.0.0/16"};
	struct sq_push_policy *p;

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		p = policy_with(&rows[i].row, 1, "10.0.0.7");
		expect(p, "10.0.0.7", rows[i].want);
		sq_push_policy_unref(&p);
	}
	p = policy_with(&none, 1, "8.8.4.4");
	expect(p, "8.8.4.4", false);
	expect(p, "8.8.4.5", true);
	sq_push_policy_unref(&p);
	p = policy_with(&none, 1, "2a00::7");
	expect(p, "2a00::7", false);
	expect(p, "2a00::8", true);
	sq_push_policy_unref(&p);
}

Test(push_policy, what_is_no_address_of_ip_is_denied)
{
	struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
	const struct sq_push_allow any[] = {{.host = "*"}, {.cidr = "::/0"}};
	struct sq_push_policy *p = policy_with(any, 2, NULL);

	cr_assert_not(sq_push_policy_address(p, "shop", true, "x", (const struct sockaddr *)&path));
	cr_assert_not(may(p, "shop", "", "8.8.8.8"));
	sq_push_policy_unref(&p);
}

static const struct {
	const char *url, *says; /* NULL: it may be */
} urls[] = {
    {"https://hooks.example/x", NULL},
    {"https://8.8.8.8/", NULL},
    {"https://[2a00::1]/", NULL},
    {"http://hooks.example/x", "http goes only to hosts"},
    {"http://8.8.8.8/", "http goes only to hosts"},
    {"http://billing.shop.svc.cluster.local/e", NULL},
    {"https://billing.shop.svc.cluster.local/e", NULL},
    {"http://billing.bank.svc.cluster.local/e", "http goes only to hosts"},
    {"http://in.example/", NULL},
    {"http://10.9.9.9/", "http goes only to hosts"}, /* a range says nothing of http */
    {"https://10.9.9.9/", NULL},
    {"https://10.0.0.1/", "\"shop\": a row {host: '10.0.0.1'} would"},
    {"https://127.0.0.1/", "127.0.0.1 is loopback"},
    {"https://127.0.0.1/", "a row {host: '127.0.0.1', cidr: '127.0.0.1'} would"},
    {"https://LOCALHOST/", "localhost: 127.0.0.1 is loopback"},
    {"https://0x7f.1/", "a row {host: '0x7f.1', cidr: '127.0.0.1'} would"},
    {"https://localhost/", "127.0.0.1 is loopback"},
    {"https://LOCALHOST./", "127.0.0.1 is loopback"},
    {"https://a.localhost:8443/", "127.0.0.1 is loopback"},
    {"https://notlocalhost/", NULL},
    {"https://2130706433/", "127.0.0.1 is loopback"},
    {"https://0x7f.1/", "127.0.0.1 is loopback"},
    {"https://0x7F000001/", "127.0.0.1 is loopback"},
    {"https://0177.0.0.1/", "127.0.0.1 is loopback"},
    {"https://127.1/", "127.0.0.1 is loopback"},
    {"https://127.0.0.1./", "127.0.0.1 is loopback"},
    {"https://0/", "0.0.0.0 is unspecified"},
    {"https://[::1]/", "::1 is loopback"},
    {"https://[::]/", ":: is unspecified"},
    {"https://[::ffff:127.0.0.1]/", "127.0.0.1 is loopback"},
    {"https://[::ffff:7f00:1]/", "127.0.0.1 is loopback"},
    {"https://[64:ff9b::7f00:1]/", "of 127.0.0.1"},
    {"https://169.254.169.254/latest/meta-data/", "metadata"},
    {"https://2852039166/", "metadata"},
    {"https://[fd00:ec2::254]/", "metadata"},
    {"https://[::1:2:3:4:5:6:7:8:9]/", "is no address"},
    {"https://u@hooks.example/", "user information"},
    {"ftp://hooks.example/", "begins with"},
    {"https:///x", "host"},
};

Test(push_policy, a_url_is_judged_as_it_is_declared)
{
	const struct sq_push_allow rows[] = {{.host = "*.{space}.svc.cluster.local"},
	    {.cidr = "10.9.0.0/16"}, {.host = "in.example", .cidr = "10.8.0.0/16"}};
	struct sq_push_policy *p = policy_with(rows, 3, NULL);

	for (size_t i = 0; i < SQ_ARRAY_LEN(urls); i++) {
		struct sq_buf err = {0};
		int rc = sq_push_policy_url(p, "shop", urls[i].url, &err);

		sq_buf_u8(&err, '\0');
		cr_assert_eq(rc, urls[i].says == NULL ? SQ_OK : SQ_EDENIED, "%s: %s", urls[i].url,
		    (const char *)sq_buf_data(&err));
		cr_assert(urls[i].says == NULL ||
			strstr((const char *)sq_buf_data(&err), urls[i].says) != NULL,
		    "%s: %s", urls[i].url, (const char *)sq_buf_data(&err));
		cr_assert_null(strstr((const char *)sq_buf_data(&err), "meta-data"));
		sq_buf_fini(&err);
	}
	sq_push_policy_unref(&p);
}

Test(push_policy, http_goes_where_a_row_has_the_host)
{
	const struct sq_push_allow rows[] = {
	    {.host = "in.example", .spaces = shop_only, .n_spaces = 1}, {.cidr = "10.9.0.0/16"}};
	struct sq_push_policy *p = policy_with(rows, 2, NULL);
	struct sockaddr_storage out = address("8.8.8.8"), in = address("10.9.0.1");
	const struct sockaddr *to = (const struct sockaddr *)&out;

	cr_assert(sq_push_policy_address(p, "shop", false, "in.example", to));
	cr_assert_not(sq_push_policy_address(p, "bank", false, "in.example", to));
	cr_assert_not(sq_push_policy_address(p, "shop", false, "out.example", to));
	cr_assert(sq_push_policy_address(p, "shop", true, "out.example", to));
	to = (const struct sockaddr *)&in;
	cr_assert(sq_push_policy_address(p, "bank", true, "out.example", to));
	cr_assert_not(sq_push_policy_address(p, "bank", false, "out.example", to));
	sq_push_policy_unref(&p);
}

Test(push_policy, a_local_sink_is_opened_by_host_and_range)
{
	const struct sq_push_allow row = {.host = "127.0.0.1", .cidr = "127.0.0.1"};
	struct sq_push_policy *p = policy_with(&row, 1, "127.0.0.1");
	struct sq_buf err = {0};

	cr_assert_eq(sq_push_policy_url(p, "shop", "http://127.0.0.1:8080/x", &err), SQ_OK);
	cr_assert(may(p, "shop", "127.0.0.1", "127.0.0.1"));
	cr_assert_eq(sq_push_policy_url(p, "shop", "http://localhost:8080/x", &err), SQ_EDENIED);
	cr_assert_null(
	    memmem(sq_buf_data(&err), sq_buf_len(&err), "own", 3), "loopback is nobody's");
	cr_assert_not(may(p, "shop", "localhost", "127.0.0.1"));
	sq_buf_fini(&err);
	sq_push_policy_unref(&p);
}

static const struct {
	struct sq_push_allow row;
	const char *says;
} wrong[] = {
    {{.where = "b.yaml:3"}, "b.yaml:3: push.allow[0]: host, cidr, or both"},
    {{.host = "", .where = "b.yaml:3"}, "b.yaml:3: push.allow[0]: a host has 1 to"},
    {{.host = "https://x/", .where = "b.yaml:3"}, "without scheme"},
    {{.host = "[::1]", .where = "b.yaml:3"}, "brackets"},
    {{.host = "{spaces}.x", .where = "b.yaml:3"}, "{space}"},
    {{.host = "a b", .where = "b.yaml:3"}, "a b is no host"},
    {{.host = "127.0.0.1", .where = "b.yaml:3"}, "needs cidr, too: cidr: 127.0.0.1"},
    {{.host = "localhost", .where = "b.yaml:3"}, "needs cidr, too: cidr: 127.0.0.1"},
    {{.host = "::1", .where = "b.yaml:3"}, "needs cidr, too: cidr: ::1"},
    {{.host = "169.254.169.254", .where = "b.yaml:3"}, "needs cidr"},
    {{.cidr = "", .where = "b.yaml:3"}, "neither an address"},
    {{.cidr = "10", .where = "b.yaml:3"}, "neither an address"},
    {{.cidr = "10.0.0.0/", .where = "b.yaml:3"}, "0 to 32 bits"},
    {{.cidr = "10.0.0.0/33", .where = "b.yaml:3"}, "0 to 32 bits"},
    {{.cidr = "10.0.0.0/-1", .where = "b.yaml:3"}, "0 to 32 bits"},
    {{.cidr = "10.0.0.0/8x", .where = "b.yaml:3"}, "0 to 32 bits"},
    {{.cidr = "10.0.0.0/+8", .where = "b.yaml:3"}, "0 to 32 bits"},
    {{.cidr = "fd00::/129", .where = "b.yaml:3"}, "0 to 128 bits"},
    {{.cidr = "10.0.0.1/8", .where = "b.yaml:3"}, "has more bits than the 8"},
    {{.cidr = "fd00::1/64", .where = "b.yaml:3"}, "has more bits than the 64"},
    {{.cidr = "host.example", .where = "b.yaml:3"}, "neither an address"},
    {{.cidr = "10.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0/8", .where = "b.yaml:3"},
	"neither an address"},
};

Test(push_policy, a_row_that_is_wrong_is_named_by_its_place)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(wrong); i++) {
		struct sq_buf err = {0};
		struct sq_push_policy *p = sq_push_policy_new(
		    &(struct sq_push_policy_cfg){.allow = &wrong[i].row, .n_allow = 1}, &err);

		sq_buf_u8(&err, '\0');
		cr_assert_null(p, "row %zu", i);
		cr_assert_not_null(strstr((const char *)sq_buf_data(&err), wrong[i].says), "%s: %s",
		    wrong[i].says, (const char *)sq_buf_data(&err));
		cr_assert_eq(memcmp(sq_buf_data(&err), "b.yaml:3: push.allow[0]: ", 25), 0);
		sq_buf_fini(&err);
	}
}

Test(push_policy, a_trusted_host_is_one_of_the_patterns)
{
	static const char *const trusted[] = {"*.{space}.svc.cluster.local", "hooks.example"};
	static const char *const bad[] = {"hooks.example", "https://hooks.example"};
	struct sq_buf err = {0};
	struct sq_push_policy *p = sq_push_policy_new(
	    &(struct sq_push_policy_cfg){.trusted = trusted, .n_trusted = 2}, &err);

	cr_assert(sq_push_policy_trusts(p, "shop", "http://a.shop.svc.cluster.local/x"));
	cr_assert_not(sq_push_policy_trusts(p, "bank", "http://a.shop.svc.cluster.local/x"));
	cr_assert(sq_push_policy_trusts(p, "bank", "https://Hooks.Example.:8443/x"));
	cr_assert_not(sq_push_policy_trusts(p, "bank", "https://hooks.example.evil/x"));
	cr_assert_not(sq_push_policy_trusts(p, "bank", "https://x@hooks.example/"));
	sq_push_policy_unref(&p);
	p = sq_push_policy_new(&(struct sq_push_policy_cfg){.trusted = bad, .n_trusted = 2}, &err);
	cr_assert_null(p);
	sq_buf_u8(&err, '\0');
	cr_assert_eq(strncmp((const char *)sq_buf_data(&err),
			 "push.trusted: https://hooks.example is no host", 46),
	    0);
	sq_buf_fini(&err);
}

Test(push_policy, references_are_counted)
{
	struct sq_push_policy *p = policy_with(NULL, 0, NULL), *q = sq_push_policy_ref(p);

	sq_push_policy_unref(&p);
	cr_assert(may(q, "shop", "x", "8.8.8.8"));
	sq_push_policy_unref(&q);
	sq_push_policy_unref(&q);
}
