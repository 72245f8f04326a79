/* Tokens of HTTP: names of headers, methods (RFC 9110 §5.6.2). */
#ifndef SQ_CORE_HTTP_TOKEN_H
#define SQ_CORE_HTTP_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

/* Whether 'len' bytes are a token; none are none. */
bool sq_http_token_good(const char *p, size_t len);

#endif
