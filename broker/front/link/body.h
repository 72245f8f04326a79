/* Bodies of requests, decoded into calls, and bodies of answers, encoded from calls (docs/link.md,
 * "Bodies").  Pure. */
#ifndef SQ_BROKER_FRONT_LINK_BODY_H
#define SQ_BROKER_FRONT_LINK_BODY_H

#include "broker/port/call.h"

/* Decodes the call's body by its kind, in a version of the link: sets 'in', which points into the
 * body, and 'malformed'. */
void sq_body_decode(struct sq_call *, unsigned version);
/* Whether the answer has a body. */
bool sq_body_answers(const struct sq_call *);
/* Appends that body, in a version of the link. */
void sq_body_encode(struct sq_buf *, const struct sq_call *, unsigned version);

#endif
