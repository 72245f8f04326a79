/* What of the configuration has room in the program's memory. */
#include <criterion/criterion.h>

#include "broker/config/fit.h"
#include "broker/shard/cfg.h"
#include "core/memory.h"

#define MIB (UINT64_C(1) << 20)

static const struct sq_broker_cfg large = {
    .journal_size = 1024 * MIB,
    .store_cache_size = 1024 * MIB,
    .retained_max_bytes = 1024 * MIB,
    .retained_max_msgs = 1024 * MIB,
    .delayed_max_bytes = 1024 * MIB,
    .delayed_max_msgs = 1024 * MIB,
    .max_keys = 1024 * MIB,
};

Test(config_fit, what_is_too_large_gets_a_part_of_the_memory)
{
	struct sq_broker_cfg cfg = large;

	sq_memory_limit_set(256 * MIB);
	sq_broker_config_fit(&cfg);
	cr_assert_eq(cfg.journal_size, 64 * MIB);
	cr_assert_eq(cfg.store_cache_size, 32 * MIB);
	cr_assert_eq(cfg.retained_max_bytes, 32 * MIB);
	cr_assert_eq(cfg.retained_max_msgs, 64 << 10);
	cr_assert_eq(cfg.delayed_max_bytes, 32 * MIB);
	cr_assert_eq(cfg.delayed_max_msgs, 128 << 10);
	cr_assert_eq(cfg.max_keys, 256 << 10);
}

Test(config_fit, what_has_room_stays)
{
	struct sq_broker_cfg cfg = {
	    .journal_size = 9 * MIB, .store_cache_size = 3 * MIB, .max_keys = 7};

	sq_memory_limit_set(256 * MIB);
	sq_broker_config_fit(&cfg);
	cr_assert_eq(cfg.journal_size, 9 * MIB);
	cr_assert_eq(cfg.store_cache_size, 3 * MIB);
	cr_assert_eq(cfg.max_keys, 7);
	cr_assert_eq(cfg.retained_max_bytes, 0);
}

Test(config_fit, a_journal_has_its_least_size)
{
	struct sq_broker_cfg cfg = large;

	sq_memory_limit_set(8 * MIB);
	sq_broker_config_fit(&cfg);
	cr_assert_eq(cfg.journal_size, 8 * MIB);
}
