/* How many requests had which answer: sqmqos_http_requests_total{resource,status}.  Zeroed: none.
 * Thread: any. */
#ifndef SQ_BROKER_FRONT_HTTP_COUNTS_H
#define SQ_BROKER_FRONT_HTTP_COUNTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "broker/front/http/route.h"

/* Places for statuses: those of good answers, and one for each problem. */
enum { SQ_HTTP_STATUSES_MAX = 40 };

struct sq_http_counts {
	/* The last resource is that of paths that are none. */
	_Atomic uint64_t v[SQ_HTTP_RESOURCE_COUNT + 1][SQ_HTTP_STATUSES_MAX];
};

void sq_http_counts_add(struct sq_http_counts *, enum sq_http_resource, unsigned status);
/* Appends the lines of those that are not 0, in the text format. */
void sq_http_counts_write(const struct sq_http_counts *, struct sq_buf *out);

#endif
