/* Verification of a log of several brokers, which may be in use: `sqmqos-broker --check-log`. */
#ifndef SQ_STORE_SHARED_CHECK_H
#define SQ_STORE_SHARED_CHECK_H

#include <stdio.h>

#include "core/err.h"
#include "store/shared/driver.h"

/* Dials, so that the log's settings are judged; reads all records, each of which has to follow the one
 * before it; and the rows of the snapshots that are kept, by their hash.  Prints a line for each of
 * these and each fault.  Returns 0 if all is sound; 1 if not, or if the log can't be read. */
int sq_shared_check(const struct sq_shared_ops *, const void *cfg, FILE *out) SQ_MUST_CHECK;

#endif
