/* Responses: the answer of a call, or a problem (RFC 9457).  Thread: the connection's. */
#ifndef SQ_BROKER_FRONT_LINK_ANSWER_H
#define SQ_BROKER_FRONT_LINK_ANSWER_H

#include <h2o.h>

#include "broker/port/call.h"

/* Answers with application/problem+json.  'detail' is static text without
 * quotes, or NULL for the status' own.  Headers may have been added before. */
void sq_answer_problem(h2o_req_t *, unsigned status, const char *detail);
/* Answers with 403, the reason, and static text for people. */
void sq_answer_denied(h2o_req_t *, enum sq_denied why, const char *detail);
/* Answers with the call's verdict, or with its body in a version of the link, which is copied.
 * 'room' is an empty buffer, and is empty again afterwards. */
void sq_answer_call(h2o_req_t *, const struct sq_call *, unsigned version, struct sq_buf *room);

#endif
