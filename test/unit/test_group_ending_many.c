/* More groups that end at a time than one transaction of the store holds; names that are as
 * long as its records allow. */
#include <stdio.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/temp_dir.h"
#include "broker/engine/engines/engines.h"

/* Their names twice are above a journal's largest entry. */
enum { SHARES = 560, NAME = 65000, FILTER_MAX = 65535, SPACE = 60, ADDED_MAX = 2048 };

static struct world w;
static struct peer sub;
static char *dir;

static void
begin(void)
{
	world_start(&w, 1);
	sub = peer_new(&w, "s~w~subscriber~pod");
	peer_connect(&sub);
}

static void
setup(void)
{
	dir = temp_dir_new();
	world_init(&w);
	w.cfg.engine = &sq_engine_embedded;
	w.cfg.store_dir = dir;
	w.cfg.journal_size = 8 << 20;
	w.cfg.store_max_size = 512 << 20;
	w.cfg.max_subs_per_session = SHARES;
	w.cfg.store_cache_size = 1 << 20;
	begin();
}

static void
teardown(void)
{
	world_stop(&w);
	temp_dir_free(&dir);
}

TestSuite(group_ending_many, .init = setup, .fini = teardown, .timeout = 120);

static void
share(void)
{
	static char filter[NAME + 1];
	int n;

	for (int i = 0; i < SHARES; i++) {
		n = snprintf(filter, sizeof filter, "$share/g/%d/", i);
		memset(filter + n, 'x', sizeof filter - 1 - (size_t)n);
		cr_assert_eq(peer_subscribe(&sub, filter, 1), 1);
	}
	cr_assert_eq(world_metric(SQ_M_GROUPS), SHARES);
}

static bool
none_is_left(void *arg)
{
	(void)arg;
	return world_metric(SQ_M_GROUPS) == 0 && world_metric(SQ_M_QUEUES_ENDING) == 0;
}

static void
end(void)
{
	world_pass(&w, 3000);
	cr_assert(fake_run_until(none_is_left, NULL));
	fake_self(0);
}

Test(group_ending_many, a_session_leaves_them)
{
	share();
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	end();
	world_stop(&w);
	begin();
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
}

Test(group_ending_many, they_expire)
{
	share();
	world_stop(&w);
	begin();
	cr_assert_eq(world_metric(SQ_M_GROUPS), SHARES);
	world_pass(&w, w.cfg.grace_ms);
	end();
}

/* The queue's name has the filter in it, and more. */
Test(group_ending_many, a_filter_too_long_for_a_queue_is_refused_and_stops_no_start)
{
	static char filter[FILTER_MAX + 1] = "$share/g/";
	struct peer durable = peer_new(&w, "s~w~durable");

	memset(filter + strlen(filter), 'x', FILTER_MAX - strlen(filter));
	peer_connect(&durable);
	cr_assert_eq(peer_subscribe(&durable, filter, 1), 0x8f);
	cr_assert_eq(peer_subscribe(&durable, filter + strlen("$share/g/"), 1), 1);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
	filter[FILTER_MAX - SPACE] = '\0';
	cr_assert_eq(peer_subscribe(&durable, filter, 1), 1);
	world_stop(&w);
	begin();
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
}

static bool
is_sent(void *arg)
{
	return world_metric(SQ_M_SENT_QOS1) > *(const int64_t *)arg;
}

/* Else it may be above the largest frame of a link, for ever. */
Test(group_ending_many, a_letter_is_little_larger_than_its_message)
{
	static char filter[FILTER_MAX - SPACE + 1] = "$share/g/";
	static const char *const assured[] = {"sqmqos-qos", "3", NULL};
	struct peer pub = peer_new(&w, "s~w~publisher~pod"), taker = peer_new(&w, "s~w~taker~pod");
	struct entry e = {.payload = "x", .qos = 2, .props = assured, .id = 1};
	const struct fake_delivery *d;
	int64_t sent;

	e.topic = filter + strlen(filter);
	memset(filter + strlen(filter), 'x', sizeof filter - 1 - strlen(filter));
	peer_connect(&pub);
	peer_connect(&taker);
	cr_assert_eq(peer_subscribe(&sub, filter, 2), 2);
	cr_assert_eq(peer_send(&pub, &e), 0);
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	end();
	sent = world_metric(SQ_M_SENT_QOS1);
	cr_assert_eq(peer_subscribe(&taker, "$dead/#", 1), 1);
	cr_assert(fake_run_until(is_sent, &sent));
	fake_self(0);
	d = peer_expect(&taker, "x");
	cr_assert_lt(sq_image_size(d->msg.image), strlen(e.topic) + ADDED_MAX);
	cr_assert_eq(peer_detach(&taker, 0, false), 204);
	cr_assert_eq(peer_detach(&pub, 0, false), 204);
}
