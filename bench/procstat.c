/* /proc/PID/stat for the time, /proc/PID/smaps_rollup for the memory. */
#include "bench/procstat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
procstat_cpu(pid_t pid, double *cpu_s)
{
	char path[64], line[1024], *p;
	unsigned long long user, system;
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	n = fread(line, 1, sizeof line - 1, f);
	fclose(f);
	line[n] = '\0';
	p = strrchr(line, ')'); /* the name before it may hold anything */
	if (p == NULL ||
	    sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
		&system) != 2)
		return -1;
	*cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
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

int
sq_procstat_read(pid_t pid, struct sq_procstat *st)
{
	if (procstat_cpu(pid, &st->cpu_s) < 0)
		return -1;
	return procstat_memory(pid, &st->anon_kib, &st->pss_kib);
}
