/* A log of its own kind (store/log.h): counts what it is asked for and passes it on to the log of
 * files.  Who opens it sees whether its user knows the contract alone. */
#ifndef SQ_TEST_SUPPORT_COUNTING_LOG_H
#define SQ_TEST_SUPPORT_COUNTING_LOG_H

#include <stdatomic.h>

#include "store/log.h"

extern const struct sq_log_ops counting_log;

/* Of all its logs, since the program's start. */
struct counting_log_counts {
	atomic_uint opened, claimed, appended, released, closed;
};

extern struct counting_log_counts counting_log_counts;

#endif
