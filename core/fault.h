/* Named points at which a test ends the process, as a power cut would.
 *
 * Compiled in with SQ_FAULTS only.  SQMQOS_FAULT=NAME or NAME:N in the
 * environment: the process kills itself with SIGKILL at the N-th time that it
 * comes by that point. */
#ifndef SQ_CORE_FAULT_H
#define SQ_CORE_FAULT_H

#ifdef SQ_FAULTS
void sq_fault_hit(const char *name);
#define SQ_FAULT(name) sq_fault_hit(name)
#else
#define SQ_FAULT(name) ((void)0)
#endif

#endif
