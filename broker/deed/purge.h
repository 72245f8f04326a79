/* A deed: a queue is emptied.  See deed.h. */
#ifndef SQ_BROKER_DEED_PURGE_H
#define SQ_BROKER_DEED_PURGE_H

#include "broker/deed/deed.h"

/* Purges a queue of the messages that wait there.  Those that a consumer has in its hands stay its
 * own.  Thread: any. */
void sq_deed_purge(struct sq_deed *);

#endif
