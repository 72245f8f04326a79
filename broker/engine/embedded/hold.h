/* Holds the tables for a process that makes a backup (store/held.h), within bounds: the broker goes
 * on whatever becomes of the backup.
 *
 * While the tables are held their file grows by what is written and freed.  The hold ends when the
 * process is done or dead, when the file has grown by an eighth of its maximum, or when a checkpoint
 * finds no room. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_HOLD_H
#define SQ_BROKER_ENGINE_EMBEDDED_HOLD_H

#include <stdbool.h>

#include "broker/engine/embedded/table.h"
#include "core/metrics.h"

struct sq_hold;

/* Of the store in 'dir', in which sq_held_forget() was called before the tables were opened.  All
 * outlive it.  Thread of all: the checkpoint's. */
struct sq_hold *sq_hold_new(struct sq_table *, const char *dir, const struct sq_metrics *);
void sq_hold_free(struct sq_hold **);
/* Takes, goes on with, or ends a hold.  Before each transaction and some times a second.  'no_room':
 * the last chunk could not be written. */
void sq_hold_look(struct sq_hold *, bool no_room);

#endif
