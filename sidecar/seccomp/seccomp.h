/* The filter of system calls: a sidecar that an attacker has taken over can make no other calls
 * than the sidecar itself (seccomp_calls.h).  A refused call fails with EPERM, is counted and
 * logged; no thread or process is ended for it. */
#ifndef SQ_SIDECAR_SECCOMP_SECCOMP_H
#define SQ_SIDECAR_SECCOMP_SECCOMP_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/metrics.h"

/* Installs the filter on all threads of the process, present and future, for good; called once,
 * after the sockets listen.  No thread may block SIGSYS (core/thread.h).  SQ_ENOTFOUND: the machine
 * or the kernel does not support it, with the reason in 'why'.  A build with sanitizers makes calls
 * of its own: there it does nothing. */
int sq_seccomp_start(struct sq_buf *why) SQ_MUST_CHECK;
/* Updates the metric of refused calls and logs their names, at most a line in 10 s.  Thread:
 * one. */
void sq_seccomp_report(const struct sq_metrics *, uint64_t now_ms);

#endif
