/* What other processes cost: their CPU time and their memory, from /proc. */
#ifndef SQ_BENCH_PROCSTAT_H
#define SQ_BENCH_PROCSTAT_H

#include <stdint.h>
#include <sys/types.h>

struct sq_procstat {
	double cpu_s;      /* user and system, all threads */
	uint64_t anon_kib; /* anonymous memory: what the process itself costs */
	uint64_t pss_kib;  /* with its share of files that others map too */
};

/* The CPU time of this process, in seconds: user and system, all threads. */
double sq_procstat_own_s(void);
/* Fills '*st'; returns 0, or -1 if the process is gone or not ours to see. */
int sq_procstat_read(pid_t pid, struct sq_procstat *st) __attribute__((warn_unused_result));

#endif
