/* broker/engine/embedded/health: why a store takes nothing, and for how long. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "broker/engine/embedded/health.h"
#include "broker/metrics/metrics.h"

enum { STALL_MS = 30000 };

static struct sq_health *health;
static atomic_bool full;

static void
begin(uint64_t stall_ms)
{
	const struct sq_health_cfg cfg = {.max_bytes = 1 << 20,
	    .stall_ms = stall_ms,
	    .full = &full,
	    .metrics = &sq_broker_metrics};

	health = sq_health_new(&cfg);
}

/* What it says, "" while it is good. */
static const char *
look(uint64_t busy_ms)
{
	static char text[512];
	struct sq_buf why = {0};
	bool good, stalls;

	sq_health_tick(health, busy_ms, true);
	good = sq_health_is_good(health, &why);
	stalls = sq_health_stalls(health);
	cr_assert_eq(good, sq_buf_len(&why) == 0);
	cr_assert_eq(stalls, !good);
	cr_assert_eq(full, !good);
	cr_assert_eq(sq_metric_get(&sq_broker_metrics, SQ_M_STORE_STALLED), !good);
	snprintf(text, sizeof text, "%.*s", (int)sq_buf_len(&why),
	    good ? "" : (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return text;
}

Test(health, a_commit_that_hangs_is_a_stall_until_it_is_done)
{
	begin(STALL_MS);
	cr_assert_str_eq(look(0), "");
	cr_assert_str_eq(look(STALL_MS), "");
	cr_assert_str_eq(look(STALL_MS + 1),
	    "store: journal: the disk has not done a commit for 30 s (store.stall-timeout)\n");
	cr_assert_str_eq(look(95000),
	    "store: journal: the disk has not done a commit for 95 s (store.stall-timeout)\n");
	cr_assert_str_eq(look(20), "", "the next one is under way");
	cr_assert_str_eq(look(STALL_MS + 1), look(STALL_MS + 1));
	cr_assert_str_eq(look(0), "");
	sq_health_free(&health);
}

Test(health, what_the_log_says_itself_goes_before_the_time)
{
	begin(STALL_MS);
	sq_health_stalled(health, "sync of x: Input/output error");
	cr_assert_str_eq(look(STALL_MS + 1), "", "a short one is none, whatever it took before");
	sq_health_stalled(health, NULL);
	cr_assert(strstr(look(STALL_MS + 1), "has not done") != NULL);
	sq_health_stalled(health, "sync of x: Input/output error");
	cr_assert(strstr(look(STALL_MS + 2), "has not done") != NULL, "it goes on");
	sq_health_stalled(health, NULL);
	cr_assert_str_eq(look(0), "");
	sq_health_free(&health);
}

Test(health, a_log_of_several_brokers_is_none_of_this_disk)
{
	const struct sq_health_cfg cfg = {.max_bytes = UINT64_C(1) << 30,
	    .stall_ms = STALL_MS,
	    .shared = true,
	    .full = &full,
	    .metrics = &sq_broker_metrics};
	struct sq_buf why = {0};

	health = sq_health_new(&cfg);
	cr_assert_str_eq(look(STALL_MS + 1),
	    "store: log: it has not done a commit for 30 s (store.stall-timeout)\n");
	cr_assert_str_eq(look(0), "");
	sq_health_tick(health, 0, false);
	cr_assert(!sq_health_is_good(health, &why));
	sq_buf_u8(&why, '\0');
	cr_assert(
	    strstr((const char *)sq_buf_data(&why), "store: log: it has not answered") != NULL);
	sq_buf_fini(&why);
	cr_assert_str_eq(look(0), "");
	sq_health_free(&health);
}

Test(health, without_a_time_no_commit_hangs)
{
	begin(0);
	cr_assert_str_eq(look(UINT64_MAX), "");
	sq_health_free(&health);
}
