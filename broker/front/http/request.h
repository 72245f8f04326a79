/* Request and reply in one: POST /v1/request/{topic} (docs/http.md, "Request"). */
#ifndef SQ_BROKER_FRONT_HTTP_REQUEST_H
#define SQ_BROKER_FRONT_HTTP_REQUEST_H

#include "broker/front/http/part.h"

extern sq_http_handler sq_http_request;

#endif
