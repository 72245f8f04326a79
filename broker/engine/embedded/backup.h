/* `sqmqos-broker --backup DIR`: a copy of a store, of one moment, also while a broker has it open.
 *
 *   copier                                   broker
 *   locks, number  --- store/held.h --->     hold.h: pages stay; the journal's files stay
 *   opens all files, reads the head of the tables
 *   copies the journal, lets go of it
 *   copies the tables, no faster than RATE
 *   all still held? then the copy is whole: checks it, and gives it its name
 *
 * The moment is that in which the newest file of the journal is read. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_BACKUP_H
#define SQ_BROKER_ENGINE_EMBEDDED_BACKUP_H

#include "core/buf.h"
#include "core/err.h"

/* Copies the store in 'from' to the folder 'to', which is made, or is empty, and gets its content at
 * once when all of it is durable and was verified.  'said' gets a line.  Errors with a line in 'err';
 * 'to' is then as it was.  The directory of a log of several brokers is refused.  Forks: to be called while the process has one thread. */
int sq_store_backup(
    const char *from, const char *to, struct sq_buf *said, struct sq_buf *err) SQ_MUST_CHECK;

#endif
