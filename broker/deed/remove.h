/* A deed: a session ends.  See deed.h. */
#ifndef SQ_BROKER_DEED_REMOVE_H
#define SQ_BROKER_DEED_REMOVE_H

#include "broker/deed/deed.h"

/* Ends a session, as if its client had ended it.  Thread: any. */
void sq_deed_remove(struct sq_deed *);

#endif
