/* The CPUs that the process may use. */
#ifndef SQ_CORE_CPUS_H
#define SQ_CORE_CPUS_H

#include <stdbool.h>

struct sq_cpus {
	unsigned n;   /* whole ones, at least one */
	bool limited; /* a control group has a limit, be it above 'n' */
};

/* The CPUs of the process's mask (sched_getaffinity()), or what the smallest CPU limit of its control
 * group and the groups above it is worth, if that is less.  'root' is ""; in tests, as sq_cgroup_walk()
 * has it. */
struct sq_cpus sq_cpus(const char *root);

#endif
