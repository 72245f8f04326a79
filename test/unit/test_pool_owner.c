/* net/pool among brokers that share the state: it finds the owner, follows it, and goes where it is
 * allowed to alone (docs/link.md, "Several brokers"). */
#include <criterion/criterion.h>

#include <ares.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "../support/pool_world.h"
#include "core/clock.h"
#include "proto/link/frame.h"

enum { A, B, C, SERVERS };

static struct world w;
static struct h2_server *at[SERVERS];

/* In the place of c-ares's: a name below ".hangs" is never answered. */
void
ares_getaddrinfo(ares_channel channel, const char *name, const char *service,
    const struct ares_addrinfo_hints *hints, ares_addrinfo_callback callback, void *arg)
{
	void (*real)(ares_channel, const char *, const char *, const struct ares_addrinfo_hints *,
	    ares_addrinfo_callback, void *);
	size_t len = strlen(name), end = strlen(".hangs");

	if (len > end && strcmp(name + len - end, ".hangs") == 0)
		return;
	*(void **)&real = dlsym(RTLD_NEXT, "ares_getaddrinfo");
	real(channel, name, service, hints, callback, arg);
}

static void
setup(void)
{
	world_init(&w);
	world_log_capture();
	w.cfg.space = "sh op";
	for (unsigned i = 0; i < SERVERS; i++)
		at[i] = h2_server_start(&(struct h2_server_cfg){.heartbeat_ms = 100});
}

static void
tidy(void)
{
	world_fini(&w);
	for (unsigned i = 0; i < SERVERS; i++)
		h2_server_stop(&at[i]);
}

TestSuite(pool_owner, .init = setup, .fini = tidy, .timeout = 120);

static const char *
name(unsigned i)
{
	return i < SERVERS ? h2_server_address(at[i]) : "";
}

/* Has the server answer that; 'owner', 'standby' may be SERVERS: nobody. */
static void
says(unsigned server, unsigned status, unsigned owner, unsigned standby, unsigned epoch)
{
	char query[300];

	snprintf(query, sizeof query,
	    "sqmqos-owner=%s&sqmqos-standby=%s&sqmqos-epoch=%u&sqmqos-store=00000000000000ab",
	    name(owner), name(standby), epoch);
	h2_server_answers(at[server], status, query);
}

/* All servers agree on who owns. */
static void
owned(unsigned owner, unsigned standby, unsigned epoch)
{
	for (unsigned i = 0; i < SERVERS; i++)
		says(i, i == owner ? 200 : 421, owner, standby, epoch);
}

static void
start(unsigned configured)
{
	world_add_broker(&w, name(configured));
	cr_assert(world_start(&w), "%s", (const char *)sq_buf_data(&w.err));
}

static struct h2_server_stats
stats(unsigned i)
{
	return h2_server_stats(at[i]);
}

static void
moves_to(unsigned server, const char *address)
{
	struct sq_buf b = {0};

	sq_frame_draining(&b, sq_bytes_of(address), 3);
	h2_server_deliver(at[server], sq_buf_data(&b), sq_buf_len(&b), 0);
	sq_buf_fini(&b);
}

Test(pool_owner, a_421_leads_all_links_to_the_owner)
{
	w.cfg.links_per_broker = 2;
	w.cfg.backoff_min_ms = w.cfg.backoff_max_ms = 60000; /* nothing waits for it */
	owned(B, SERVERS, 7);
	start(A);
	WORLD_UNTIL(&w, stats(B).links == 2 && w.ups == 2);
	cr_assert_eq(stats(A).links, 0);
	cr_assert_geq(world_count(&w, SQ_NET_REDIRECTS), 1);
	cr_assert_eq(world_count(&w, SQ_NET_REDIRECTS_IGNORED), 0);
	cr_assert(strstr(stats(B).last_link, "/deliveries?space=sh%20op") != NULL, "%s",
	    stats(B).last_link);
	cr_assert(sq_pool_ready(w.pool, &w.err));
}

/* Brokers that each say another one: three hops, then it begins anew, with backoff. */
Test(pool_owner, hops_have_an_end)
{
	uint64_t dials;

	says(A, 421, B, SERVERS, 7);
	says(B, 421, C, SERVERS, 7);
	says(C, 421, B, SERVERS, 7);
	start(A);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_REDIRECTS_IGNORED) == 1);
	cr_assert_eq(world_count(&w, SQ_NET_REDIRECTS), 3);
	cr_assert_eq(world_count(&w, SQ_NET_DIALS), 4);
	dials = stats(A).dials;
	cr_assert_eq(dials, 1);
	WORLD_UNTIL(&w, stats(A).dials > 1); /* the configured one again */
	owned(C, SERVERS, 7);
	WORLD_UNTIL(&w, w.ups == 1 && stats(C).links == 1);
}

/* No answer leads anywhere else. */
Test(pool_owner, addresses_that_are_not_allowed_are_not_dialled)
{
	static const char *const bad[] = {"127.0.0.2:1", "localhost:1", "evil.example:7443", "x",
	    "127.0.0.1:99999", "127.0.0.1:0", ""};

	for (unsigned i = 0; i < SQ_ARRAY_LEN(bad); i++) {
		char query[300];

		snprintf(query, sizeof query,
		    "sqmqos-owner=%s&sqmqos-epoch=7&sqmqos-store=00000000000000ab", bad[i]);
		h2_server_answers(at[A], 421, query);
		if (w.pool == NULL)
			start(A);
		WORLD_UNTIL(&w, world_count(&w, SQ_NET_REDIRECTS_IGNORED) > 2 * i);
	}
	h2_server_answers(at[A], 421, NULL);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_REDIRECTS_IGNORED) > 2 * (int)SQ_ARRAY_LEN(bad));
	cr_assert_eq(world_count(&w, SQ_NET_REDIRECTS), 0);
	cr_assert_eq(world_count(&w, SQ_NET_DIALS), stats(A).dials);
}

/* Configured brokers have their turn all the same, and know the next owner. */
Test(pool_owner, an_owner_whose_name_is_never_found_is_not_waited_for_alone)
{
	char *hosts[] = {(char *)"owner.hangs"};
	struct sq_strings allowed = {hosts, 1};

	w.cfg.allowed = &allowed;
	w.cfg.dial_timeout_ms = 100;
	h2_server_answers(
	    at[A], 421, "sqmqos-owner=owner.hangs:7443&sqmqos-epoch=7&sqmqos-store=ab");
	start(A);
	WORLD_UNTIL(&w, stats(A).dials >= 3);
	says(A, 200, A, SERVERS, 8);
	WORLD_UNTIL(&w, w.ups == 1 && stats(A).links == 1);
}

/* By pool.brokers-allowed alone, where there is one. */
Test(pool_owner, allowed_hosts_are_a_list)
{
	char *hosts[] = {(char *)"elsewhere.example"};
	struct sq_strings allowed = {hosts, 1};

	w.cfg.allowed = &allowed;
	owned(B, SERVERS, 7);
	start(A);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_REDIRECTS_IGNORED) > 0);
	cr_assert_eq(stats(B).dials, 0);
}

/* An owner that has lost the state without knowing it: no 421 leads there, no link to it is used. */
Test(pool_owner, a_lower_epoch_of_the_same_store_is_ignored)
{
	owned(B, SERVERS, 8);
	start(A);
	WORLD_UNTIL(&w, w.ups == 1 && stats(B).links == 1);
	says(A, 421, C, SERVERS, 7);
	says(C, 200, C, SERVERS, 7);
	says(B, 503, SERVERS, SERVERS, 8);
	h2_server_cut(at[B]);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_REDIRECTS_IGNORED) > 1);
	cr_assert_eq(stats(C).dials, 0);
	says(A, 200, A, SERVERS, 7); /* it thinks that it is the one */
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_REDIRECTS_IGNORED) > 4);
	cr_assert_eq(w.ups, 1);
	says(A, 421, C, SERVERS, 9);
	says(C, 200, C, SERVERS, 9);
	WORLD_UNTIL(&w, w.ups == 2 && stats(C).links == 1);
}

/* Another store has epochs of its own. */
Test(pool_owner, another_store_begins_anew)
{
	char query[300];

	owned(B, SERVERS, 8);
	start(A);
	WORLD_UNTIL(&w, w.ups == 1);
	snprintf(query, sizeof query, "sqmqos-owner=%s&sqmqos-epoch=1&sqmqos-store=cd", name(C));
	h2_server_answers(at[B], 503, NULL);
	h2_server_answers(at[A], 421, query);
	h2_server_answers(at[C], 200, query);
	h2_server_cut(at[B]);
	WORLD_UNTIL(&w, w.ups == 2 && stats(C).links == 1);
}

/* A log that was restored from a back-up is the same store, of lower epochs. */
Test(pool_owner, epochs_are_forgotten_after_long_without_a_link)
{
	w.cfg.forget_ms = 1000;
	owned(B, SERVERS, 8);
	start(A);
	WORLD_UNTIL(&w, w.ups == 1 && stats(B).links == 1);
	owned(C, A, 5);
	h2_server_cut(at[B]);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_REDIRECTS_IGNORED) > 0);
	cr_assert_eq(w.ups, 1);
	WORLD_UNTIL(&w, w.ups == 2 && stats(C).links == 1);
	says(A, 421, B, SERVERS, 4);
	says(C, 503, SERVERS, SERVERS, 5);
	h2_server_cut(at[C]);
	WORLD_UNTIL(&w, world_count(&w, SQ_NET_REDIRECTS_IGNORED) > 1);
	cr_assert_eq(stats(B).links, 0);
}

/* The standby is asked over a connection that is there, and owns one day. */
Test(pool_owner, the_link_to_the_next_owner_needs_no_dial)
{
	unsigned connections;

	w.cfg.links_per_broker = 2;
	owned(A, B, 7);
	start(A);
	WORLD_UNTIL(&w, w.ups == 2 && stats(B).dials >= 1);
	connections = stats(B).connections;
	cr_assert_eq(connections, 1);
	h2_server_answers(at[B], 503, NULL); /* about to */
	h2_server_stop(&at[A]);
	at[A] = h2_server_start(&(struct h2_server_cfg){.port = 0});
	WORLD_UNTIL(&w, w.downs == 2 && stats(B).dials >= 4);
	cr_assert_eq(stats(B).connections, connections);
	says(B, 200, B, C, 8);
	says(C, 421, B, C, 8);
	WORLD_UNTIL(&w, w.ups == 4 && stats(B).links == 2 && stats(C).dials > 0);
	cr_assert_eq(stats(B).connections, connections + 1, "the other link is new");
	cr_assert_eq(sq_uplink_version(w.last_up), SQ_LINK_VERSION_MIN);
}

/* The owner hangs, or is cut off from the log: its links are there, and the standby owns. */
Test(pool_owner, links_to_an_owner_of_before_end)
{
	owned(A, B, 7);
	start(A);
	WORLD_UNTIL(&w, w.ups == 1 && stats(B).dials >= 1);
	owned(B, C, 8);
	says(A, 200, A, B, 7);
	WORLD_UNTIL(&w, w.ups == 2 && stats(B).links == 1 && stats(A).links == 0);
	cr_assert_eq(w.downs, 1);
	WORLD_UNTIL(&w, stats(C).dials > 0);
	cr_assert_eq(stats(C).links, 0);
}

Test(pool_owner, the_standby_may_become_another_one)
{
	struct sq_buf b = {0};

	owned(A, B, 7);
	start(A);
	WORLD_UNTIL(&w, w.ups == 1 && stats(B).dials >= 1);
	sq_frame_standby(&b, sq_bytes_of(name(C)));
	sq_frame_standby(&b, sq_bytes_of("evil.example:1"));
	sq_frame_standby(&b, sq_bytes_of(name(C)));
	h2_server_deliver(at[A], sq_buf_data(&b), sq_buf_len(&b), 0);
	sq_buf_fini(&b);
	WORLD_UNTIL(&w, stats(C).dials >= 1 && stats(B).open == 0);
	cr_assert_eq(stats(A).links, 1);
	cr_assert_eq(w.downs, 0);
}

/* A broker that ends says where to go; the link there comes up while the old one drains. */
Test(pool_owner, a_drain_with_an_address_leads_there_at_once)
{
	w.cfg.backoff_min_ms = w.cfg.backoff_max_ms = 60000;
	owned(A, B, 7);
	start(A);
	WORLD_UNTIL(&w, w.ups == 1 && stats(B).dials >= 1);
	sq_uplink_use(w.last_up, 1); /* a session */
	moves_to(A, name(B));
	WORLD_UNTIL(&w, w.drains == 1);
	says(B, 421, A, B, 7); /* not yet */
	WORLD_UNTIL(&w, stats(B).dials >= 4);
	cr_assert_eq(w.ups, 1);
	cr_assert_eq(stats(A).dials, 1, "nobody goes back");
	owned(B, C, 8);
	WORLD_UNTIL(&w, w.ups == 2 && stats(B).links == 1);
}

Test(pool_owner, a_drain_with_a_foreign_address_is_one_without)
{
	world_add_broker(&w, name(C));
	owned(A, B, 7);
	start(A);
	WORLD_UNTIL(&w, w.ups == 1);
	moves_to(A, "evil.example:7443");
	WORLD_UNTIL(&w, w.drains == 1 && w.ups == 2);
	cr_assert_eq(stats(A).links, 1, "it comes back to the owner");
}

/* An answer to a request says that the broker owns no more: the link is lost, and no request has been
 * answered otherwise. */
Test(pool_owner, a_421_to_a_request_loses_the_link)
{
	struct call call;

	owned(A, B, 7);
	start(B);
	WORLD_UNTIL(&w, w.ups == 1 && stats(A).links == 1);
	owned(C, SERVERS, 8);
	call_send(&call, &w, w.last_up, "/status/421", "x", 1, NULL, 0);
	WORLD_UNTIL(&w, call.done && w.downs == 1);
	cr_assert_eq(call.answer.status, 0);
	call_fini(&call);
	WORLD_UNTIL(&w, w.ups == 2 && stats(C).links == 1);
}

/* Brokers that know of no others: as ever. */
Test(pool_owner, a_broker_that_is_alone_says_nothing)
{
	start(A);
	WORLD_UNTIL(&w, w.ups == 1);
	h2_server_answers(at[A], 503, "retry-after=0");
	h2_server_cut(at[A]);
	WORLD_UNTIL(&w, w.downs == 1 && stats(A).dials > 3);
	h2_server_answers(at[A], 200, NULL);
	WORLD_UNTIL(&w, w.ups == 2);
	cr_assert_eq(
	    world_count(&w, SQ_NET_REDIRECTS) + world_count(&w, SQ_NET_REDIRECTS_IGNORED), 0);
}
