/* Verdicts in the terms of the link: statuses of HTTP, and words of proto/link/answer.h.  Pure. */
#ifndef SQ_BROKER_FRONT_LINK_STATUS_H
#define SQ_BROKER_FRONT_LINK_STATUS_H

#include "broker/port/call.h"
#include "proto/link/answer.h"

/* The status of an answered call on a link of that version; 204 is a success without a body.  On a
 * link of version 1, which cannot tell the kind of FULL, FULL reads like any other "not now". */
unsigned sq_status_of(const struct sq_call *, unsigned version);
/* The conflict that goes with 409; SQ_CONFLICT_NONE of any other verdict. */
enum sq_conflict sq_status_conflict(enum sq_verdict);

#endif
