/* Named points at which a test ends the process, as a power cut would.
 *
 * Points exist with SQ_FAULTS only.  SQMQOS_FAULT=NAME or NAME:N in the environment: when a thread
 * reaches that point for the N-th time, the process writes a line to stderr and kills itself with
 * SIGKILL.  NAME:N:hang: that thread stays there for ever, as in a call that never returns; the
 * other threads go on.
 *
 * SQ_FAULT_LATER() is for bytes that leave at the end of the loop's turn: the point counts at
 * once, and the process ends at SQ_FAULT_WRITTEN() of the same connection.
 *
 * Thread: any. */
#ifndef SQ_CORE_FAULT_H
#define SQ_CORE_FAULT_H

#include <stdbool.h>

#ifdef SQ_FAULTS
enum { SQ_FAULT_POINTS = 1 };
void sq_fault_hit(const char *name);
void sq_fault_later(const char *name, const void *conn);
void sq_fault_written(const void *conn);
#define SQ_FAULT(name) sq_fault_hit(name)
#define SQ_FAULT_IF(cond, name) ((cond) ? sq_fault_hit(name) : (void)0)
#define SQ_FAULT_LATER(cond, name, conn) ((cond) ? sq_fault_later(name, conn) : (void)0)
#define SQ_FAULT_WRITTEN(conn) sq_fault_written(conn)
#else
enum { SQ_FAULT_POINTS = 0 };
#define SQ_FAULT(name) ((void)0)
#define SQ_FAULT_IF(cond, name) ((void)(false && (cond)))
#define SQ_FAULT_LATER(cond, name, conn) ((void)(false && (cond)))
#define SQ_FAULT_WRITTEN(conn) ((void)0)
#endif

#endif
