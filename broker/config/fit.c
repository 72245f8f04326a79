#include "broker/config/fit.h"

#include "broker/shard/cfg.h"
#include "core/log.h"
#include "core/memory.h"

enum {
	JOURNAL_MIN = 8 << 20, /* as the key's */
	/* Approximate overhead of each in bytes. */
	RETAINED_BYTES = 512,
	DELAYED_BYTES = 256,
	KEY_BYTES = 64,
};

static uint64_t
fit_at_most(const char *key, uint64_t value, uint64_t most)
{
	if (value <= most)
		return value;
	SQ_INFO("broker", "%s is %llu, which is what limits.memory has room for", key,
	    (unsigned long long)most);
	return most;
}

void
sq_broker_config_fit(struct sq_broker_cfg *b)
{
	uint64_t all = sq_memory_limit(), part = all / 8;
	uint64_t journal = all / 4 > JOURNAL_MIN ? all / 4 : JOURNAL_MIN;

	b->journal_size = fit_at_most("store.journal-size", b->journal_size, journal);
	b->store_cache_size = fit_at_most("store.cache-size", b->store_cache_size, part);
	b->retained_max_bytes = fit_at_most("retained.max-bytes", b->retained_max_bytes, part);
	b->retained_max_msgs = fit_at_most(
	    "retained.max-messages", b->retained_max_msgs, part / RETAINED_BYTES);
	b->delayed_max_bytes = fit_at_most("delayed.max-bytes", b->delayed_max_bytes, part);
	b->delayed_max_msgs = fit_at_most(
	    "delayed.max-messages", b->delayed_max_msgs, part / DELAYED_BYTES);
	b->max_keys = fit_at_most("idempotency.max-keys", b->max_keys, part / 2 / KEY_BYTES);
}
