/* Many messages of one request: POST /v1/publish without a topic, or a batch of CloudEvents. */
#ifndef SQ_BROKER_FRONT_HTTP_BATCH_H
#define SQ_BROKER_FRONT_HTTP_BATCH_H

#include "broker/front/http/part.h"

extern sq_http_handler sq_http_batch;

#endif
