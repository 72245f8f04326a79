/* Memory that the process has in use, and its limit.
 *
 * Each allocation counts, by the size that the allocator gave; allocations of h2o, nghttp2 and
 * OpenSSL count, too, so nothing that a client can grow is left out.  Freed memory that the
 * allocator keeps counts as far as it does not go back to the system.  Each thread counts for
 * itself and adds SQ_MEMORY_SLACK at a time to the sum.
 *
 * Use is held to the limit in steps.  From 13/20 of the limit on (FILLED) nothing that stays is
 * accepted, such as a session, a subscription or a retained message; the rest is for messages that
 * pass through.  From 4/5 on (PACED) publishers are slowed down.  From 19/20 on (REFUSED) nothing
 * that needs memory is accepted.  Requests that free memory are always accepted.  The callers
 * carry the steps out. */
#ifndef SQ_CORE_MEMORY_H
#define SQ_CORE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/metrics.h"

enum sq_memory_level { SQ_MEMORY_FREE, SQ_MEMORY_FILLED, SQ_MEMORY_PACED, SQ_MEMORY_REFUSED };

enum { SQ_MEMORY_SLACK = 32 * 1024 };

/* Memory that the machine or the control group gives. */
struct sq_memory_room {
	uint64_t bytes;
	bool cgroup; /* a limit of a control group; else physical memory */
};

/* Starts to count.  Is called before threads start and before anything large is allocated.  In a
 * program that links sq_core_memory, and where no sanitizer allocates, earlier allocations count,
 * too. */
void sq_memory_start(void);
/* Has all threads allocate from one arena, for a program whose threads allocate little: others' pages
 * would lie idle.  Before threads start. */
void sq_memory_one_arena(void);
/* Sets the limit in bytes; 0: none, and the level is FREE.  Thread: any. */
void sq_memory_limit_set(uint64_t bytes);
uint64_t sq_memory_limit(void);
/* Bytes allocated now, to within SQ_MEMORY_SLACK of each thread.  Thread: any. */
uint64_t sq_memory_bytes(void);
/* Bytes that the limit bounds: allocated ones, and freed ones that the allocator kept at the last
 * sq_memory_tick().  Thread: any. */
uint64_t sq_memory_used(void);

extern _Atomic unsigned sq_memory_level_now; /* core/memory.c writes it */

/* The level: a cheap load of a value that changes rarely.  Thread: any. */
static inline enum sq_memory_level
sq_memory_level(void)
{
	return (enum sq_memory_level)atomic_load_explicit(
	    &sq_memory_level_now, memory_order_relaxed);
}

/* Rows of a program's table of metrics (core/metrics.h), and their values. */
#define SQ_MEMORY_METRICS(X) \
	X(MEMORY_BYTES, "sqmqos_memory_bytes", NULL, SQ_GAUGE, \
	    "Bytes allocated, by the sizes that the allocator gave for them.") \
	X(MEMORY_USED, "sqmqos_memory_used_bytes", NULL, SQ_GAUGE, \
	    "These, and what the allocator keeps of freed memory: what limits.memory bounds.") \
	X(MEMORY_LIMIT, "sqmqos_memory_limit_bytes", NULL, SQ_GAUGE, "limits.memory.") \
	X(MEMORY_LEVEL, "sqmqos_memory_level", NULL, SQ_GAUGE, \
	    "0: free; 1: what stays is refused, such as sessions; 2: publishers are slowed down, " \
	    "too; 3: messages are refused, too.")
void sq_memory_metrics(const struct sq_metrics *, size_t first); /* 'first': MEMORY_BYTES' */

/* The fair share of one of many objects that grow, such as a queue: a quarter of the memory that is
 * free below three quarters of the limit, and always a little (1/4096 of the limit, at most
 * SQ_MEMORY_FLOOR).  One queue alone ends at a fifth of the three quarters; of many, each leaves
 * some memory for the next, so they never fill it up. */
enum { SQ_MEMORY_FLOOR = 64 * 1024, SQ_MEMORY_FLOOR_MIN = 4096 };
extern _Atomic uint64_t sq_memory_fair_now; /* core/memory.c writes it, with the level */

/* Bytes.  Thread: any. */
static inline uint64_t
sq_memory_fair(void)
{
	return atomic_load_explicit(&sq_memory_fair_now, memory_order_relaxed);
}

/* Compares the memory that the system gave with the memory in use; where much more was given and
 * the limit is near, the allocator gives some back.  The allocator also gives free memory back some
 * seconds after a load has gone, however busy the process is then.  Is called some times a second.
 * Thread: any, several may. */
void sq_memory_tick(uint64_t now_ms);

/* Gives free memory back to the system; returns the milliseconds that it took.  Does nothing where
 * a sanitizer allocates: the first malloc_trim() would set glibc's allocator up, without a lock.
 * Thread: any, several may. */
uint64_t sq_memory_allocator_trim(void);

/* The smallest memory limit of the process's control group and the groups above it, of version 1
 * and 2; without one, physical memory.  'root' is ""; in tests, a folder with proc/self/cgroup,
 * proc/self/mountinfo, proc/meminfo and sys/fs/cgroup. */
struct sq_memory_room sq_memory_room(const char *root);
/* The limit for "auto" in the configuration: 'quarters' (of four) of a control group's limit, of
 * physical memory at most two quarters. */
uint64_t sq_memory_share(struct sq_memory_room room, unsigned quarters);

#endif
