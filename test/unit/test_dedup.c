/* Keys of messages that came over bridges, and the installation's id. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/bridge/dedup.h"
#include "broker/bridge/install.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/record.h"
#include "broker/shard/shard.h"
#include "broker/shard/system_txn.h"
#include "core/memory.h"

enum { FOR_MS = 60000, MAX = 5 };

static struct world w;
static struct sq_dedups *all;
static struct sq_dedup *d;

static void
begin(void)
{
	world_start(&w, 1);
	all = sq_dedups_new();
	cr_assert_eq(sq_dedups_load(all, w.broker->engine, fake_now()), SQ_OK);
	d = sq_dedup_open(all, "in", FOR_MS, MAX);
}

static void
end(void)
{
	sq_dedup_close(&d);
	sq_dedups_free(&all);
	world_stop(&w);
}

static void
setup(void)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	begin();
}

static void
teardown(void)
{
	end();
	stored_engine_reset();
}

TestSuite(dedup, .init = setup, .fini = teardown);

static struct sq_shard *
shard(void)
{
	return &w.broker->shards[0];
}

static struct sq_dedup_key
key(const char *text)
{
	return sq_dedup_key(d, sq_bytes_of(text));
}

static struct sq_dedup_key
key_of(unsigned i)
{
	char name[32];

	snprintf(name, sizeof name, "m:%u", i);
	return key(name);
}

static bool
knows(const char *text)
{
	struct sq_dedup_key k = key(text);

	return sq_dedup_knows(d, &k, fake_now());
}

static unsigned
add(struct sq_dedup_key k)
{
	struct sq_system_txn *own = NULL;
	unsigned early = sq_dedup_add(d, sq_system_txn(shard(), &own), &k, fake_now());

	sq_system_commit(&own);
	world_run();
	return early;
}

static size_t
records(void)
{
	return stored_engine_records(SQ_RECORD_BRIDGE_KEY);
}

Test(dedup, knows_what_was_added_within_its_time)
{
	cr_assert_not(knows("m:1"));
	cr_assert_eq(add(key("m:1")), 0);
	cr_assert(knows("m:1"));
	cr_assert_not(knows("m:2"));
	fake_set_now(fake_now() + FOR_MS - 1);
	cr_assert(knows("m:1"));
	fake_set_now(fake_now() + 1);
	cr_assert_not(knows("m:1"));
	cr_assert_eq(add(key("m:1")), 0);
	cr_assert(knows("m:1"), "its time begins anew");
	cr_assert_eq(records(), 1);
	cr_assert_eq(sq_dedup_count(d), 1);
}

Test(dedup, bridges_have_keys_of_their_own)
{
	struct sq_dedup *other = sq_dedup_open(all, "other", FOR_MS, MAX);
	struct sq_dedup_key k = sq_dedup_key(other, sq_bytes_of("m:1"));

	add(key("m:1"));
	cr_assert_not(sq_dedup_knows(other, &k, fake_now()));
	cr_assert_neq(k.hi, key("m:1").hi);
	sq_dedup_close(&other);
}

Test(dedup, the_oldest_goes_first_and_counts_if_it_is_young)
{
	for (unsigned i = 0; i < MAX; i++) {
		cr_assert_eq(add(key_of(i)), 0);
		fake_set_now(fake_now() + 1);
	}
	cr_assert_eq(add(key("m:new")), 1);
	cr_assert_not(knows("m:0"));
	cr_assert(knows("m:1"));
	cr_assert(knows("m:new"));
	cr_assert_eq(records(), MAX);
	fake_set_now(fake_now() + FOR_MS);
	cr_assert_eq(add(key("m:newer")), 0, "those that go are old");
	cr_assert(knows("m:newer"));
	cr_assert_leq(records(), MAX);
}

Test(dedup, without_a_place_nothing_is_known)
{
	struct sq_dedup *none = sq_dedup_open(all, "none", FOR_MS, 0);
	struct sq_dedup_key k = sq_dedup_key(none, sq_bytes_of("m:1"));
	struct sq_system_txn *own = NULL;

	cr_assert_eq(sq_dedup_add(none, sq_system_txn(shard(), &own), &k, fake_now()), 0);
	sq_system_commit(&own);
	cr_assert_not(sq_dedup_knows(none, &k, fake_now()));
	cr_assert_eq(records(), 0);
	sq_dedup_close(&none);
}

Test(dedup, what_was_not_committed_is_forgotten)
{
	struct sq_dedup_key k = key("m:1");

	add(k);
	sq_dedup_forget(d, &k);
	cr_assert_not(knows("m:1"));
	sq_dedup_forget(d, &k);
	cr_assert_eq(add(k), 0);
	cr_assert(knows("m:1"));
}

Test(dedup, a_restart_knows_the_same)
{
	for (unsigned i = 0; i < MAX + 2; i++)
		add(key_of(i));
	end();
	begin();
	cr_assert_eq(sq_dedup_count(d), MAX);
	cr_assert_not(knows("m:1"));
	for (unsigned i = 2; i < MAX + 2; i++) {
		struct sq_dedup_key k = key_of(i);

		cr_assert(sq_dedup_knows(d, &k, fake_now()), "%u", i);
	}
	fake_set_now(fake_now() + FOR_MS);
	cr_assert_not(knows("m:5"));
}

Test(dedup, a_restart_counts_the_age_from_when_it_came)
{
	add(key("m:old"));
	end();
	stored_engine_clear(
	    SQ_RECORD_BRIDGE_KEY, 2, 0xff); /* years ago, before the machine's start */
	begin();
	cr_assert_eq(sq_dedup_count(d), 1);
	cr_assert_not(knows("m:old"));
	add(key("m:new"));
	cr_assert_eq(records(), 1, "the old one has gone");
	cr_assert(knows("m:new"));
}

Test(dedup, what_never_was_durable_is_not_known_after_a_crash)
{
	add(key("m:1"));
	stored_engine_hold(true);
	add(key("m:2"));
	cr_assert(knows("m:2"));
	stored_engine_crash();
	end();
	begin();
	cr_assert(knows("m:1"));
	cr_assert_not(knows("m:2"));
}

Test(dedup, a_sweep_removes_a_bounded_number)
{
	enum { MANY = 2500 };

	sq_dedup_close(&d);
	d = sq_dedup_open(all, "in", FOR_MS, MANY);
	for (unsigned i = 0; i < MANY; i++)
		add(key_of(i));
	cr_assert_eq(sq_dedup_sweep(d, shard(), fake_now()), 0);
	cr_assert_eq(sq_dedup_count(d), MANY);
	fake_set_now(fake_now() + FOR_MS);
	cr_assert_eq(sq_dedup_sweep(d, shard(), fake_now()), 0);
	cr_assert_eq(sq_dedup_count(d), MANY - 1000);
	for (unsigned i = 0; i < 2; i++)
		sq_dedup_sweep(d, shard(), fake_now());
	world_run();
	cr_assert_eq(sq_dedup_count(d), 0);
	cr_assert_eq(records(), 0);
}

Test(dedup, a_window_that_is_made_smaller_loses_the_oldest)
{
	for (unsigned i = 0; i < MAX; i++)
		add(key_of(i));
	sq_dedup_close(&d);
	d = sq_dedup_open(all, "in", FOR_MS, 2);
	cr_assert(knows("m:0"), "it goes by a sweep");
	cr_assert_eq(sq_dedup_sweep(d, shard(), fake_now()), MAX - 2);
	world_run();
	cr_assert_eq(records(), 2);
	cr_assert_not(knows("m:2"));
	cr_assert(knows("m:3"));
}

Test(dedup, keys_of_a_bridge_that_is_no_more_stay_for_a_week)
{
	add(key("m:1"));
	sq_dedup_close(&d);
	sq_dedups_sweep(all, shard(), fake_now());
	d = sq_dedup_open(all, "in", FOR_MS, MAX);
	cr_assert(knows("m:1"), "it came back");
	sq_dedup_close(&d);
	fake_set_now(fake_now() + SQ_DEDUP_LEFT_MS - 1);
	sq_dedups_sweep(all, shard(), fake_now());
	cr_assert_eq(records(), 1);
	fake_set_now(fake_now() + 1);
	sq_dedups_sweep(all, shard(), fake_now());
	world_run();
	cr_assert_eq(records(), 0);
}

Test(dedup, keys_of_a_bridge_in_use_are_not_swept_with_those_that_are_left)
{
	add(key("m:1"));
	fake_set_now(fake_now() + SQ_DEDUP_LEFT_MS);
	sq_dedups_sweep(all, shard(), fake_now());
	cr_assert_eq(sq_dedup_count(d), 1);
}

Test(dedup, what_does_not_read_goes_in_its_time)
{
	static const struct sq_record_key k = {SQ_RECORD_BRIDGE_KEY, 1, 2};
	struct sq_system_txn *own = NULL;
	struct sq_buf v = {0};

	sq_buf_u32(&v, 7);
	sq_record_write(sq_system_txn(shard(), &own), &k, &v);
	sq_system_commit(&own);
	end();
	begin();
	cr_assert_eq(records(), 1);
	sq_dedups_sweep(all, shard(), fake_now());
	world_run();
	cr_assert_eq(records(), 0);
}

Test(dedup, a_hundred_thousand_take_at_most_8_MiB)
{
	enum { MANY = 100000 };
	struct sq_system_txn *own = NULL;
	uint64_t before, used;

	end();
	w.cfg.engine = &sq_engine_memory; /* which keeps no records */
	sq_memory_start();
	begin();
	sq_dedup_close(&d);
	d = sq_dedup_open(all, "in", FOR_MS, MANY);
	before = sq_memory_bytes();
	for (unsigned i = 0; i < MANY; i++) {
		struct sq_dedup_key k = key_of(i);

		sq_dedup_add(d, sq_system_txn(shard(), &own), &k, fake_now());
		if (i % 100 == 0)
			sq_system_commit(&own);
	}
	sq_system_commit(&own);
	world_run();
	used = sq_memory_bytes() - before;
	cr_assert_eq(sq_dedup_count(d), MANY);
	cr_assert_leq(used, UINT64_C(8) << 20, "%llu bytes", (unsigned long long)used);
}

/* The installation. */

Test(dedup, an_installation_is_drawn_once)
{
	struct sq_install first = {0}, again = {0}, other = {0};
	struct sq_buf name = {0};

	cr_assert_eq(sq_install_load(&first, w.broker->engine), SQ_OK);
	cr_assert_eq(strlen(first.hex), SQ_INSTALL_HEX);
	cr_assert_eq(sq_install_load(&other, w.broker->engine), SQ_OK);
	cr_assert_neq(first.number, other.number, "it is in no store yet");
	stored_engine_hold(true);
	cr_assert_not(sq_install_keep(&first, shard()));
	world_run();
	cr_assert_not(sq_install_keep(&first, shard()), "nothing carries it before it is durable");
	cr_assert_eq(stored_engine_waiting(), 1);
	stored_engine_hold(false);
	stored_engine_release();
	world_run();
	cr_assert(sq_install_keep(&first, shard()));
	end();
	begin();
	cr_assert_eq(sq_install_load(&again, w.broker->engine), SQ_OK);
	cr_assert_str_eq(again.hex, first.hex);
	cr_assert(sq_install_keep(&again, shard()));
	sq_install_print(&again, "Shop 1/\xc3\xa4", &name);
	cr_assert_eq(sq_buf_len(&name), strlen("Shop-1---") + 1 + SQ_INSTALL_HEX);
	cr_assert_eq(memcmp(sq_buf_data(&name), "Shop-1----", 10), 0);
	cr_assert_eq(memcmp(sq_buf_data(&name) + 10, again.hex, SQ_INSTALL_HEX), 0);
	sq_buf_fini(&name);
}

Test(dedup, an_installation_that_does_not_read_is_an_error)
{
	static const struct sq_record_key k = {SQ_RECORD_INSTALL, 0, 0};
	struct sq_system_txn *own = NULL;
	struct sq_install in = {0};
	struct sq_buf v = {0};

	sq_buf_u32(&v, 7);
	sq_record_write(sq_system_txn(shard(), &own), &k, &v);
	sq_system_commit(&own);
	world_run();
	cr_assert_eq(sq_install_load(&in, w.broker->engine), SQ_EINVAL);
}
