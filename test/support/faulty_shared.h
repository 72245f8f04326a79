/* A driver of the shared log (store/shared/driver.h) that passes calls on to another one, with faults.
 * Each broker of a test has one of its own.  Thread: any. */
#ifndef SQ_TEST_FAULTY_SHARED_H
#define SQ_TEST_FAULTY_SHARED_H

#include <stdbool.h>

#include "store/shared/driver.h"

extern const struct sq_shared_ops faulty_shared_ops; /* its cfg is a struct faulty_shared */

enum faulty_call {
	FAULTY_APPEND = 1,
	FAULTY_CLAIM = 2,
	FAULTY_BEAT = 4,
	FAULTY_READ = 8,
	FAULTY_ANNOUNCE = 16,
	FAULTY_ALL = 31,
};

enum faulty_what {
	FAULTY_LOST,     /* the call does not reach the log: UNKNOWN */
	FAULTY_UNTOLD,   /* it does, and its answer is lost: UNKNOWN */
	FAULTY_TWICE,    /* the log gets it twice; the caller has the first answer */
	FAULTY_NOT_DONE, /* "no space left on device" */
};

struct faulty_shared;

struct faulty_shared *faulty_shared_new(const struct sq_shared_ops *, const void *cfg);
void faulty_shared_free(struct faulty_shared **);
/* The next 'n' of these calls have the fault. */
void faulty_shared_next(
    struct faulty_shared *, enum faulty_what, unsigned calls /* enum faulty_call */, unsigned n);
/* Each call has some fault by chance, one of 'one_in'; 0: none has. */
void faulty_shared_chance(struct faulty_shared *, unsigned one_in, unsigned seed);
/* Calls stay before they reach the log, as in a process that is stopped. */
void faulty_shared_stop(struct faulty_shared *);
void faulty_shared_cont(struct faulty_shared *);
/* Awaits that a call stays there. */
void faulty_shared_await_stopped(struct faulty_shared *);
/* The log can't be reached: dials fail, calls are lost. */
void faulty_shared_cut(struct faulty_shared *, bool cut);

#endif
