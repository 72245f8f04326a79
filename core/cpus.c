/* CPUs; see core/cpus.h. */
#include "core/cpus.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cgroup.h"

enum {
	VALUE_LEN = 64,
	MASK_MAX = 1 << 16, /* CPUs of the largest mask that is asked for */
};

/* Reads how many microseconds of CPU each period of some gives; false: there is no limit. */
static bool
cpus_limit(bool unified, const char *dir, uint64_t *quota, uint64_t *period)
{
	char a[VALUE_LEN], b[VALUE_LEN];

	if (unified)
		return sq_cgroup_read(dir, "cpu.max", a, sizeof a) &&
		    sscanf(a, "%" SCNu64 " %" SCNu64, quota, period) == 2;
	return sq_cgroup_read(dir, "cpu.cfs_quota_us", a, sizeof a) && a[0] != '-' &&
	    sq_cgroup_read(dir, "cpu.cfs_period_us", b, sizeof b) &&
	    sscanf(a, "%" SCNu64, quota) == 1 && sscanf(b, "%" SCNu64, period) == 1;
}

static void
cpus_look(void *arg, bool unified, const char *dir)
{
	struct sq_cpus *cpus = arg;
	uint64_t quota, period;

	if (!cpus_limit(unified, dir, &quota, &period) || quota == 0 || period == 0)
		return;
	cpus->limited = true;
	if (quota < period)
		cpus->n = 1;
	else if (quota / period < cpus->n)
		cpus->n = (unsigned)(quota / period);
}

/* CPUs of the process's mask; the kernel refuses one that is too short for it. */
static unsigned
cpus_mask(void)
{
	unsigned n = 0;

	for (size_t room = CPU_SETSIZE; n == 0 && room <= MASK_MAX; room *= 2) {
		cpu_set_t *set = CPU_ALLOC(room);
		size_t size = CPU_ALLOC_SIZE(room);

		if (set != NULL && sched_getaffinity(0, size, set) == 0)
			n = (unsigned)CPU_COUNT_S(size, set);
		CPU_FREE(set);
	}
	return n > 0 ? n : 1;
}

struct sq_cpus
sq_cpus(const char *root)
{
	struct sq_cpus cpus = {cpus_mask(), false};

	sq_cgroup_walk(root, "cpu", cpus_look, &cpus);
	return cpus;
}
