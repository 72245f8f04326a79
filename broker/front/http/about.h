/* What the API says of itself: GET /v1 lists resources and limits, GET /v1/openapi.json describes them
 * for programs. */
#ifndef SQ_BROKER_FRONT_HTTP_ABOUT_H
#define SQ_BROKER_FRONT_HTTP_ABOUT_H

#include "broker/front/http/part.h"

extern sq_http_handler sq_http_about_api, sq_http_about_openapi;

#endif
