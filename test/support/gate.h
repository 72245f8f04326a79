/* A gate for workers that hang on purpose, until the test lets them go.  The test's teardown calls
 * gate_open() before it joins them, whether or not the test failed. */
#ifndef SQ_TEST_GATE_H
#define SQ_TEST_GATE_H

#include <stdbool.h>

enum { GATE_BOUND_S = 15 };

/* Stands at the gate until it is open, at most GATE_BOUND_S: then whoever was to go on meanwhile has
 * waited for it.  For sq_worker_tell(). */
void gate_hang(void *);
/* Lets go whoever stands there, and whoever comes later. */
void gate_open(void);
/* Whether somebody stood there for GATE_BOUND_S. */
bool gate_overdue(void);

#endif
