/* Resources of messages in queues, and of leases (docs/http.md, "Receive" and "Settle"). */
#ifndef SQ_BROKER_FRONT_HTTP_PULL_H
#define SQ_BROKER_FRONT_HTTP_PULL_H

#include "broker/front/http/asked.h"

extern sq_http_prepare sq_http_receive, sq_http_settle, sq_http_lease, sq_http_peek;

#endif
