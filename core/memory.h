/* How much memory the process has in use, and whether that is too much.
 *
 * Everything is counted where it is allocated, by the size that the allocator gave for it,
 * also what h2o, nghttp2 and OpenSSL allocate: whatever a client can make grow is in it, and
 * nothing can be forgotten.  Besides it counts what the allocator keeps of freed memory, as
 * far as that does not go back to the system.  Threads count for themselves and add
 * SQ_MEMORY_SLACK at a time to what all see.
 *
 * What is there is held to a limit in steps: from thirteen twentieths of it nothing is taken
 * that stays, such as a session, a subscription, a retained message (FILLED), so that the rest is
 * for what comes and goes; from four fifths publishers are slowed down (PACED); from nineteen
 * twentieths nothing is taken that needs more at all (REFUSED).  What makes memory free is always
 * taken.  Who asks decides what that means. */
#ifndef SQ_CORE_MEMORY_H
#define SQ_CORE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/metrics.h"

enum sq_memory_level { SQ_MEMORY_FREE, SQ_MEMORY_FILLED, SQ_MEMORY_PACED, SQ_MEMORY_REFUSED };

enum { SQ_MEMORY_SLACK = 32 * 1024 };

/* What the machine or the control group gives. */
struct sq_memory_room {
	uint64_t bytes;
	bool cgroup; /* a limit of a control group; else physical memory */
};

/* Starts to count; before threads are started and anything large is allocated.  In a program
 * that links sq_core_memory what was allocated before is counted, too, where no sanitizer
 * allocates. */
void sq_memory_start(void);
/* Sets the limit; 0: none, the level is FREE then.  Thread: any. */
void sq_memory_limit_set(uint64_t bytes);
uint64_t sq_memory_limit(void);
/* Bytes allocated now, to within SQ_MEMORY_SLACK of each thread.  Thread: any. */
uint64_t sq_memory_bytes(void);
/* What the limit holds: these, and what the allocator keeps of freed memory, as the last
 * sq_memory_tick() found it.  Thread: any. */
uint64_t sq_memory_used(void);

extern _Atomic unsigned sq_memory_level_now; /* core/memory.c writes it */

/* Cheap: a load of what changes rarely.  Thread: any. */
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

/* What one of many that grow by themselves, such as a queue, may have now: a quarter of what is
 * free below three quarters of the limit, and always a little (a 4,096th of the limit, at most
 * SQ_MEMORY_FLOOR).  So one alone ends at a fifth of that, and of any number each leaves
 * something for the next: they never fill it up. */
enum { SQ_MEMORY_FLOOR = 64 * 1024, SQ_MEMORY_FLOOR_MIN = 4096 };
extern _Atomic uint64_t sq_memory_fair_now; /* core/memory.c writes it, with the level */

static inline uint64_t
sq_memory_fair(void)
{
	return atomic_load_explicit(&sq_memory_fair_now, memory_order_relaxed);
}

/* Some times a second: sees what the system really gave to the process, and where that is
 * much more than what is in use and the limit is near, makes the allocator give it back.
 * Thread: any, several may. */
void sq_memory_tick(uint64_t now_ms);

/* Gives free memory back to the system; returns the milliseconds that it took.  Nothing where a
 * sanitizer allocates: malloc_trim() is glibc's, and its first call sets that up, without a lock.
 * Thread: any, several may. */
uint64_t sq_memory_allocator_trim(void);

/* The smallest limit of memory of the calling process's control group and those above it,
 * version 1 and 2; without one, physical memory.  'root' is "" but in tests, which have a
 * tree of files (proc/self/cgroup, proc/self/mountinfo, proc/meminfo, sys/fs/cgroup) there. */
struct sq_memory_room sq_memory_room(const char *root);
/* The part of 'room' that is the limit where the configuration says auto: 'quarters' of a
 * control group's four, of physical memory at most two. */
uint64_t sq_memory_share(struct sq_memory_room room, unsigned quarters);

#endif
