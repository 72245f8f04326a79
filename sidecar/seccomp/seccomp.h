/* The filter of system calls: what a sidecar never does, whoever takes it over can't do either
 * (seccomp_calls.h).  What is refused fails with EPERM, is counted and is logged; nothing is ever
 * ended for it. */
#ifndef SQ_SIDECAR_SECCOMP_SECCOMP_H
#define SQ_SIDECAR_SECCOMP_SECCOMP_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/metrics.h"

/* Lays the filter on all threads of the process, for good, those that it starts later among them;
 * after it listens.  No thread may block SIGSYS (core/thread.h).  SQ_ENOTFOUND: not on such a
 * machine or kernel, with the reason in 'why'.  Once in a process.  A build that watches over
 * itself (sanitizers) makes calls of its own: there it does nothing. */
int sq_seccomp_start(struct sq_buf *why) SQ_MUST_CHECK;
/* Sets the metric of refused calls, and logs which ones there were, at most a line in 10 s.
 * Thread: one. */
void sq_seccomp_report(const struct sq_metrics *, uint64_t now_ms);

#endif
