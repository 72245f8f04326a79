/* Resources of queues: the list, one, its bindings, and what is done to it (docs/http.md, "Queues"). */
#ifndef SQ_BROKER_FRONT_HTTP_QUEUE_H
#define SQ_BROKER_FRONT_HTTP_QUEUE_H

#include "broker/front/http/asked.h"

/* 'order': purge, pause, resume; 'test': of its push. */
extern sq_http_prepare sq_http_queues, sq_http_queue, sq_http_binding, sq_http_order, sq_http_test;

#endif
