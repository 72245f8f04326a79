/* The process's CPU clock for the time, /proc/PID/smaps_rollup for the memory. */
#include "bench/procstat.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int
procstat_cpu(pid_t pid, double *cpu_s)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return -1;
	*cpu_s = (double)used.tv_sec + (double)used.tv_nsec / 1e9;
	return 0;
}

static int
procstat_memory(pid_t pid, uint64_t *anon_kib, uint64_t *pss_kib)
{
	char path[64], line[256];
	int found = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	while (fgets(line, sizeof line, f) != NULL) {
		found += sscanf(line, "Pss: %" SCNu64, pss_kib) == 1;
		found += sscanf(line, "Anonymous: %" SCNu64, anon_kib) == 1;
	}
	fclose(f);
	return found == 2 ? 0 : -1;
}

double
sq_procstat_own_s(void)
{
	double s = 0;

	(void)procstat_cpu(getpid(), &s);
	return s;
}

int
sq_procstat_read(pid_t pid, struct sq_procstat *st)
{
	if (procstat_cpu(pid, &st->cpu_s) < 0)
		return -1;
	return procstat_memory(pid, &st->anon_kib, &st->pss_kib);
}
