/* Answers of the HTTP API: the headers that each has, its count and its line in the log.  Thread: the
 * connection's. */
#ifndef SQ_BROKER_FRONT_HTTP_ANSWER_H
#define SQ_BROKER_FRONT_HTTP_ANSWER_H

#include "broker/front/http/part.h"
#include "broker/front/http/problem.h"

/* Answers with JSON: 'len' bytes, which are copied. */
void sq_http_answer(
    h2o_req_t *, const struct sq_http_request *, unsigned status, const void *body, size_t len);
/* The same with bytes that are not copied, and outlive the connection. */
void sq_http_answer_static(
    h2o_req_t *, const struct sq_http_request *, unsigned status, const void *body, size_t len);
/* Answers with the methods of the request's resource, and no body; to a preflight also with what CORS
 * allows. */
void sq_http_answer_methods(h2o_req_t *, const struct sq_http_request *);
/* Answers with a problem.  'who' asks, for the log; NULL: nobody is known. */
void sq_http_answer_fault(h2o_req_t *, const struct sq_http_request *,
    const struct sq_identity *who, const struct sq_http_fault *);

#endif
