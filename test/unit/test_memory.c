/* core/memory: what is counted, the level, and what a control group gives. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "../support/kernel_tree.h"

enum { MIB = 1 << 20 };

/* ---- what a control group gives ---- */

#define MEMORY_OF(root, point) \
	"22 1 0:20 / / rw - ext4 /dev/vda rw\n" \
	"35 31 0:32 " root " " point " rw,relatime shared:9 - cgroup cgroup rw,memory\n"
#define UNIFIED "41 31 0:38 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"

static void
is(uint64_t mib, bool cgroup)
{
	struct sq_memory_room room = sq_memory_room(kernel_tree());

	cr_assert_eq(room.bytes, mib * MIB, "%llu", (unsigned long long)room.bytes);
	cr_assert_eq(room.cgroup, cgroup);
}

TestSuite(room, .init = kernel_tree_new, .fini = kernel_tree_free);

Test(room, without_a_group_it_is_physical_memory)
{
	kernel_tree_put("/proc/meminfo", "MemTotal:        1048576 kB\nMemFree: 5 kB\n");
	is(1024, false);
	cr_assert_eq(sq_memory_share(sq_memory_room(kernel_tree()), 3), (uint64_t)512 * MIB);
}

Test(room, version_1_by_its_controller)
{
	kernel_tree_put("/proc/meminfo", "MemTotal: 1048576 kB\n");
	kernel_tree_put("/proc/self/cgroup", "7:cpu,cpuacct:/other\n4:hugetlb,memory:/a/b\n0::/\n");
	kernel_tree_put("/proc/self/mountinfo", MEMORY_OF("/", "/sys/fs/cgroup/memory"));
	kernel_tree_put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "67108864\n");
	kernel_tree_put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	is(64, true);
	cr_assert_eq(sq_memory_share(sq_memory_room(kernel_tree()), 3), (uint64_t)48 * MIB);
	cr_assert_eq(sq_memory_share(sq_memory_room(kernel_tree()), 2), (uint64_t)32 * MIB);
}

Test(room, the_least_of_those_above_counts)
{
	kernel_tree_put("/proc/meminfo", "MemTotal: 1048576 kB\n");
	kernel_tree_put("/proc/self/cgroup", "0::/pod/app/inner\n");
	kernel_tree_put("/proc/self/mountinfo", UNIFIED);
	kernel_tree_put("/sys/fs/cgroup/pod/memory.max", "33554432\n");
	kernel_tree_put("/sys/fs/cgroup/pod/app/memory.max", "67108864\n");
	kernel_tree_put("/sys/fs/cgroup/pod/app/inner/memory.max", "max\n");
	is(32, true);
}

Test(room, unlimited_is_no_group)
{
	kernel_tree_put("/proc/meminfo", "MemTotal: 1048576 kB\n");
	kernel_tree_put("/proc/self/cgroup", "4:memory:/a\n0::/a\n");
	kernel_tree_put("/proc/self/mountinfo", MEMORY_OF("/", "/m") UNIFIED);
	kernel_tree_put("/m/a/memory.limit_in_bytes", "9223372036854771712\n");
	kernel_tree_put("/sys/fs/cgroup/a/memory.max", "max\n");
	is(1024, false);
}

Test(room, a_mount_may_begin_at_the_container_s_group)
{
	kernel_tree_put("/proc/meminfo", "MemTotal: 1048576 kB\n");
	kernel_tree_put("/proc/self/cgroup", "4:memory:/docker/0123/sub\n");
	kernel_tree_put(
	    "/proc/self/mountinfo", MEMORY_OF("/docker/0123", "/sys/fs/cgroup/me\\040mory"));
	kernel_tree_put("/sys/fs/cgroup/me mory/sub/memory.limit_in_bytes", "16777216\n");
	is(16, true);
	/* Seen from a namespace that does not have it: the mount is what there is. */
	kernel_tree_put("/proc/self/cgroup", "4:memory:/../elsewhere\n");
	kernel_tree_put("/sys/fs/cgroup/me mory/memory.limit_in_bytes", "8388608\n");
	is(8, true);
}

Test(room, a_namespace_of_its_own_shows_the_root)
{
	kernel_tree_put("/proc/meminfo", "MemTotal: 1048576 kB\n");
	kernel_tree_put("/proc/self/cgroup", "0::/\n");
	kernel_tree_put("/proc/self/mountinfo", UNIFIED);
	kernel_tree_put("/sys/fs/cgroup/memory.max", "134217728\n");
	is(128, true);
}

Test(room, nonsense_is_no_limit)
{
	kernel_tree_put("/proc/meminfo", "MemTotal: 1048576 kB\n");
	kernel_tree_put("/proc/self/cgroup", "x\n4:memory\n:::\n0::/\n");
	kernel_tree_put("/proc/self/mountinfo", "41\n1 2 3 - \n" UNIFIED);
	kernel_tree_put("/sys/fs/cgroup/memory.max", "many\n");
	is(1024, false);
}

/* ---- counting ---- */

static void
near(uint64_t got, uint64_t want)
{
	uint64_t off = got > want ? got - want : want - got;

	cr_assert_leq(off, 4u * SQ_MEMORY_SLACK, "%llu, not %llu", (unsigned long long)got,
	    (unsigned long long)want);
}

static void *volatile held[64];

Test(memory, what_is_allocated_is_counted_and_given_back)
{
	uint64_t base;

	sq_memory_start();
	base = sq_memory_bytes();
	for (int i = 0; i < 64; i++)
		held[i] = malloc(100000);
	near(sq_memory_bytes(), base + 64 * 100000);
	for (int i = 0; i < 64; i++)
		held[i] = realloc(held[i], 200000);
	near(sq_memory_bytes(), base + 64 * 200000);
	for (int i = 0; i < 64; i++)
		free(held[i]);
	for (int i = 0; i < 64; i++)
		held[i] = calloc(100, 1000);
	near(sq_memory_bytes(), base + 64 * 100000);
	for (int i = 0; i < 64; i++)
		free(held[i]);
	near(sq_memory_bytes(), base);
	cr_assert_eq(posix_memalign((void **)&held[0], 4096, MIB), 0);
	near(sq_memory_bytes(), base + MIB);
	cr_assert_eq((uintptr_t)held[0] % 4096, 0);
	free(held[0]);
	near(sq_memory_bytes(), base);
}

static void *
others(void *arg)
{
	(void)arg;
	for (int i = 0; i < 64; i++)
		held[i] = malloc(50000);
	return NULL;
}

Test(memory, what_one_thread_allocates_another_gives_back)
{
	uint64_t base;
	pthread_t t;

	sq_memory_start();
	base = sq_memory_bytes();
	cr_assert_eq(pthread_create(&t, NULL, others, NULL), 0);
	pthread_join(t, NULL);
	near(sq_memory_bytes(), base + 64 * 50000);
	for (int i = 0; i < 64; i++)
		free(held[i]);
	near(sq_memory_bytes(), base);
}

Test(memory, the_level_follows)
{
	uint64_t base;
	void *volatile p;

	sq_memory_start();
	base = sq_memory_bytes();
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_FREE);
	sq_memory_limit_set(base + 100 * MIB);
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_FREE);
	p = malloc(60 * MIB);
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_FREE);
	p = realloc(p, 75 * MIB);
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_FILLED);
	p = realloc(p, 85 * MIB);
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_PACED);
	p = realloc(p, 97 * MIB);
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_REFUSED);
	p = realloc(p, 85 * MIB);
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_PACED);
	free(p);
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_FREE);
	p = malloc(97 * MIB);
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_REFUSED);
	sq_memory_limit_set(0);
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_FREE);
	free(p);
}

Test(memory, what_is_fair_leaves_something_for_the_next)
{
	uint64_t limit = (uint64_t)1000 * MIB, one, has[20] = {0};

	sq_memory_start();
	cr_assert_eq(sq_memory_fair(), UINT64_MAX, "without a limit");
	sq_memory_limit_set(limit);
	one = sq_memory_fair();
	cr_assert(one > limit / 100 * 18 && one < limit / 5);
	/* Twenty take all they may, again and again. */
	for (int round = 0; round < 4000; round++) {
		uint64_t *mine = &has[round % 20];

		if (*mine + MIB > sq_memory_fair())
			continue;
		held[round % 20] = realloc(held[round % 20], *mine += MIB);
	}
	cr_assert_lt(sq_memory_level(), SQ_MEMORY_PACED);
	cr_assert_gt(sq_memory_fair(), MIB);
	held[40] = malloc(limit);
	cr_assert_eq(sq_memory_fair(), SQ_MEMORY_FLOOR, "always a little");
	for (int i = 0; i <= 40; i++)
		free(held[i]);
}

/* Far below its limit: blocks that stay keep the heap from shrinking by itself. */
Test(memory, what_a_load_has_freed_goes_back_once_it_has_gone)
{
	enum { N = 4000, SIZE = 16000, STAY = 100 };
	static void *volatile v[N];
	uint64_t now = 1000;

	sq_memory_start();
	sq_memory_limit_set((uint64_t)N * SIZE * 100);
	for (int i = 0; i < N; i++)
		v[i] = memset(malloc(SIZE), 1, SIZE);
	sq_memory_tick(now);
	for (int i = 0; i < N; i++) {
		if (i % STAY != STAY - 1)
			free(v[i]);
	}
	for (int i = 0; i < 5; i++)
		sq_memory_tick(now += 1000);
	cr_assert_lt(sq_memory_used(), (uint64_t)N * SIZE / 8, "%llu, %llu allocated",
	    (unsigned long long)sq_memory_used(), (unsigned long long)sq_memory_bytes());
	for (int i = STAY - 1; i < N; i += STAY)
		free(v[i]);
}

/* Every second block of a great heap: what is between them goes back to the system. */
Test(memory, a_tick_gives_back_what_is_free_in_between)
{
	enum { N = 4000, SIZE = 16000 };
	static void *volatile v[N];
	uint64_t limit = (uint64_t)N * SIZE;

	sq_memory_start();
	sq_memory_limit_set(limit);
	for (int i = 0; i < N; i++)
		v[i] = memset(malloc(SIZE), 1, SIZE);
	for (int i = 0; i < N; i += 2)
		free(v[i]);
	sq_memory_tick(1000);
	sq_memory_tick(2000);
	cr_assert_lt(sq_memory_used(), limit / 4 * 3, "%llu of %llu, %llu allocated",
	    (unsigned long long)sq_memory_used(), (unsigned long long)limit,
	    (unsigned long long)sq_memory_bytes());
	cr_assert_lt(sq_memory_level(), SQ_MEMORY_PACED);
	for (int i = 1; i < N; i += 2)
		free(v[i]);
}
