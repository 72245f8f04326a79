/* A store's way from a log of files into one of several brokers, and back.  Its tables go, so all that is
 * in its log alone comes into them first:
 *
 *   an engine with the old log ─▶ settle ─▶ close ─▶ (the lock, the tables: share or unshare) ─▶ the new */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_MOVE_H
#define SQ_BROKER_ENGINE_EMBEDDED_MOVE_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_engine;

/* Brings all that the embedded engine has into its tables.  Nothing was, or is, put into it; its log is of
 * files, or this broker's.  Only close() may follow.  The error of the tables, with a line in 'err'. */
int sq_move_settle(struct sq_engine *, struct sq_buf *err) SQ_MUST_CHECK;

#endif
