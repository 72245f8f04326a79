/* A deed: dead letters are published again.  See deed.h. */
#ifndef SQ_BROKER_DEED_REDRIVE_H
#define SQ_BROKER_DEED_REDRIVE_H

#include "broker/deed/deed.h"

/* Publishes dead letters again, in their order, each in one transaction with its end as a letter.
 * Thread: any. */
void sq_deed_redrive(struct sq_deed *);

#endif
