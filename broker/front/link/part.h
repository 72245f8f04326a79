/* The structs of the service of links, below all its files.  From low to high: calls.c has requests
 * that the broker carries out; deliveries.c the endless responses; front.c the service's life and the
 * routing of requests. */
#ifndef SQ_BROKER_FRONT_LINK_PART_H
#define SQ_BROKER_FRONT_LINK_PART_H

#include <pthread.h>

#include "broker/front/door/service.h"
#include "broker/front/link/bundle.h"
#include "broker/front/link/front.h"
#include "broker/front/link/link.h"
#include "broker/metrics/metrics.h"
#include "core/htab.h"
#include "core/list.h"
#include "web/worker.h"

struct sq_link_front;

/* Of a worker: calls that the broker carries out, and calls for reuse. */
struct sq_calls {
	struct sq_list spare; /* struct sq_call */
	unsigned n_spare;
	uint64_t started, seen; /* so far, and at the last check */
	bool rests;             /* memory of the last load has been freed */
	struct sq_buf body;     /* of an answer, while it is given */
};

/* The service's part on one worker; that worker's thread only. */
struct sq_link_part {
	struct sq_link_front *front;
	struct sq_worker *worker;
	struct sq_bundle *bundle;
	struct sq_list streams; /* struct sq_stream, the longest silent first */
	struct sq_calls calls;
	uint64_t second_ms; /* of the next look at calls and bundle */
};

struct sq_link_front {
	struct sq_service service; /* first */
	struct sq_link_front_cfg cfg;
	struct sq_broker *broker;   /* set before a worker serves */
	struct sq_link_part *parts; /* one per worker */
	unsigned n_parts;
	pthread_mutex_t lock;
	struct sq_htab links; /* open streams by link id; under 'lock' */
};

static inline struct sq_link_part *
sq_link_part_of(struct sq_link_front *f, const struct sq_conn *c)
{
	return &f->parts[sq_worker_index(sq_conn_worker(c))];
}

static inline void
sq_link_count(const struct sq_link_part *p, enum sq_broker_metric m, int64_t by)
{
	sq_metric_add(p->front->cfg.metrics, m, by);
}

#endif
