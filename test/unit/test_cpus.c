/* core/cpus: the mask of the process, and limits of control groups. */
#include <criterion/criterion.h>

#include <sched.h>

#include "../support/kernel_tree.h"
#include "core/cpus.h"

#define CPU_OF(root, point) \
	"35 31 0:32 " root " " point " rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
#define UNIFIED "41 31 0:38 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"

static cpu_set_t mask;

static void
setup(void)
{
	CPU_ZERO(&mask);
	cr_assert_eq(sched_getaffinity(0, sizeof mask, &mask), 0);
	kernel_tree_new();
}

/* Leaves the process the first of its CPUs. */
static void
pin(void)
{
	for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&mask) > 1; cpu++)
		if (CPU_ISSET(cpu, &mask)) {
			CPU_ZERO(&mask);
			CPU_SET(cpu, &mask);
		}
	cr_assert_eq(sched_setaffinity(0, sizeof mask, &mask), 0);
}

/* 'n' of the mask's CPUs, which may be fewer. */
static void
is(unsigned n, bool limited)
{
	unsigned all = (unsigned)CPU_COUNT(&mask);
	struct sq_cpus cpus = sq_cpus(kernel_tree());

	cr_expect_eq(cpus.n, n < all ? n : all, "%u", cpus.n);
	cr_expect_eq(cpus.limited, limited);
}

TestSuite(cpus, .init = setup, .fini = kernel_tree_free);

Test(cpus, without_a_group_it_is_the_mask)
{
	is(CPU_SETSIZE, false);
	pin();
	is(1, false);
}

Test(cpus, the_least_limit_on_the_way_up_counts)
{
	kernel_tree_put("/proc/self/cgroup", "0::/pod/app/inner\n");
	kernel_tree_put("/proc/self/mountinfo", UNIFIED);
	kernel_tree_put("/sys/fs/cgroup/pod/cpu.max", "199999 100000\n");
	kernel_tree_put("/sys/fs/cgroup/pod/app/cpu.max", "400000 100000\n");
	kernel_tree_put("/sys/fs/cgroup/pod/app/inner/cpu.max", "max 100000\n");
	is(1, true);
	kernel_tree_put("/sys/fs/cgroup/pod/cpu.max", "200000 100000\n");
	is(2, true);
	kernel_tree_put("/sys/fs/cgroup/pod/app/inner/cpu.max", "100000 100000\n");
	is(1, true);
}

Test(cpus, a_part_of_a_cpu_is_one)
{
	kernel_tree_put("/proc/self/cgroup", "0::/\n");
	kernel_tree_put("/proc/self/mountinfo", UNIFIED);
	kernel_tree_put("/sys/fs/cgroup/cpu.max", "5000 100000\n");
	is(1, true);
}

Test(cpus, a_limit_over_the_mask_gives_the_mask)
{
	kernel_tree_put("/proc/self/cgroup", "0::/\n");
	kernel_tree_put("/proc/self/mountinfo", UNIFIED);
	kernel_tree_put("/sys/fs/cgroup/cpu.max", "18446744073709551615 1\n");
	is(CPU_SETSIZE, true);
	pin();
	is(1, true);
}

Test(cpus, version_1_by_quota_and_period)
{
	kernel_tree_put("/proc/self/cgroup", "7:cpuset:/other\n4:cpu,cpuacct:/a/b\n0::/\n");
	kernel_tree_put("/proc/self/mountinfo", CPU_OF("/", "/sys/fs/cgroup/cpu"));
	kernel_tree_put("/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n");
	kernel_tree_put("/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n");
	is(CPU_SETSIZE, false);
	kernel_tree_put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "75000\n");
	kernel_tree_put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "50000\n");
	is(1, true);
}

Test(cpus, nonsense_is_no_limit)
{
	kernel_tree_put("/proc/self/cgroup", "0::/a\n4:cpu:/a\n");
	kernel_tree_put("/proc/self/mountinfo", UNIFIED CPU_OF("/", "/m"));
	kernel_tree_put("/sys/fs/cgroup/a/cpu.max", "0 100000\n");
	kernel_tree_put("/sys/fs/cgroup/cpu.max", "100000 0\n");
	kernel_tree_put("/m/a/cpu.cfs_quota_us", "100000\n");
	kernel_tree_put("/m/cpu.cfs_quota_us", "many\n");
	kernel_tree_put("/m/cpu.cfs_period_us", "100000\n");
	is(CPU_SETSIZE, false);
}
