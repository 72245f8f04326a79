/* Answers of the HTTP API: the headers that each has, its count and its line in the log.  Thread: the
 * connection's. */
#ifndef SQ_BROKER_FRONT_HTTP_ANSWER_H
#define SQ_BROKER_FRONT_HTTP_ANSWER_H

#include "broker/front/http/part.h"
#include "broker/front/http/problem.h"

/* Answers with JSON: 'len' bytes, which are copied. */
void sq_http_answer(
    h2o_req_t *, const struct sq_http_request *, unsigned status, const void *body, size_t len);
/* The same with another type, a text that outlives the request. */
void sq_http_answer_as(h2o_req_t *, const struct sq_http_request *, unsigned status,
    const char *type, const void *body, size_t len);
/* Answers without a body. */
void sq_http_answer_empty(h2o_req_t *, const struct sq_http_request *, unsigned status);
/* Adds a header to the answer that follows; 'name' is static and in lower case, the value is copied. */
void sq_http_answer_header(h2o_req_t *, const char *name, struct sq_bytes value);
/* The same with bytes that are not copied, and outlive the connection. */
void sq_http_answer_static(
    h2o_req_t *, const struct sq_http_request *, unsigned status, const void *body, size_t len);
/* Answers with the methods of the request's resource, and no body; to a preflight also with what CORS
 * allows. */
void sq_http_answer_methods(h2o_req_t *, const struct sq_http_request *);
/* Answers with a problem.  'who' asks, for the log; NULL: nobody is known. */
void sq_http_answer_fault(h2o_req_t *, const struct sq_http_request *,
    const struct sq_identity *who, const struct sq_http_fault *);
/* The same with further members (sq_http_fault_write()). */
void sq_http_answer_fault_more(h2o_req_t *, const struct sq_http_request *,
    const struct sq_identity *who, const struct sq_http_fault *, const struct sq_buf *more);

#endif
