/* Replies: small responses, complete when they are sent, and problems (RFC 9457).  Thread: the
 * connection's. */
#ifndef SQ_WEB_REPLY_H
#define SQ_WEB_REPLY_H

#include <h2o.h>
#include <stddef.h>

/* The reason phrase of a status (RFC 9110, section 15), static; of an unknown status, that of its
 * class. */
const char *sq_reply_reason(unsigned status);
/* Adds a header.  'value' is static, or in the request's pool. */
void sq_reply_header(h2o_req_t *, const h2o_token_t *name, const char *value);
/* Sends the response: 'len' bytes of 'body', which are copied, as 'type', a static text.  HEAD is
 * answered with the length alone.  Other headers are added before. */
void sq_reply_send(h2o_req_t *, unsigned status, const char *type, const void *body, size_t len);
/* The same with a body that is not copied, and outlives the connection. */
void
sq_reply_send_static(h2o_req_t *, unsigned status, const char *type, const void *body, size_t len);
/* Sends a response without a body and without headers of a body. */
void sq_reply_empty(h2o_req_t *, unsigned status);
/* Sends application/problem+json, with 'len' bytes of text for people as its detail,
 * in which what is no UTF-8 is replaced. */
void sq_reply_problem(h2o_req_t *, unsigned status, const char *detail, size_t len);

#endif
