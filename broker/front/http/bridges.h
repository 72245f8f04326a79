/* Bridges: listed, shown, paused and resumed. */
#ifndef SQ_BROKER_FRONT_HTTP_BRIDGES_H
#define SQ_BROKER_FRONT_HTTP_BRIDGES_H

#include "broker/front/http/part.h"

extern sq_http_handler sq_http_bridges;

#endif
