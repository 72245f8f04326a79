/* openapi.json, which embed.cmake has compiled in. */
#ifndef SQ_BROKER_FRONT_HTTP_OPENAPI_H
#define SQ_BROKER_FRONT_HTTP_OPENAPI_H

#include <stddef.h>

extern const unsigned char sq_http_openapi[];
extern const size_t sq_http_openapi_len;

#endif
