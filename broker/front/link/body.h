/* Bodies of requests, decoded into calls (docs/link.md, "Bodies").  Pure. */
#ifndef SQ_BROKER_FRONT_LINK_BODY_H
#define SQ_BROKER_FRONT_LINK_BODY_H

#include "broker/port/call.h"

/* Decodes the call's body by its kind, in the version of its outlet: sets 'in', which points into
 * the body, and 'malformed'. */
void sq_body_decode(struct sq_call *);

#endif
