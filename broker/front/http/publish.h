/* Publishing: POST and PUT /v1/publish/{topic}, POST /v1/events. */
#ifndef SQ_BROKER_FRONT_HTTP_PUBLISH_H
#define SQ_BROKER_FRONT_HTTP_PUBLISH_H

#include "broker/front/http/part.h"

extern sq_http_handler sq_http_publish;

#endif
