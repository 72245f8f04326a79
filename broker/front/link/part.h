/* The structs of the service of links, below all its files.  From low to high: calls.c has requests
 * that the broker carries out; deliveries.c the endless responses; away.c what is answered while another
 * broker owns; front.c the service's life and the routing of requests. */
#ifndef SQ_BROKER_FRONT_LINK_PART_H
#define SQ_BROKER_FRONT_LINK_PART_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/front/door/service.h"
#include "broker/front/link/bundle.h"
#include "broker/front/link/front.h"
#include "broker/front/link/link.h"
#include "broker/metrics/metrics.h"
#include "broker/port/place.h"
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
	struct sq_list kept;    /* struct away */
	unsigned n_kept;
	struct sq_calls calls;
	uint64_t second_ms;             /* of the next look at calls, bundle and standby */
	char standby[SQ_PLACE_ADDRESS]; /* that links have been told last */
};

struct sq_link_front {
	struct sq_service service; /* first */
	struct sq_link_front_cfg cfg;
	struct sq_broker *broker;   /* read by who has seen 'serves' */
	atomic_bool serves;         /* else it stands by */
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

/* Whether there is a broker behind the service. */
static inline bool
sq_link_serves(const struct sq_link_front *f)
{
	return atomic_load_explicit(&f->serves, memory_order_acquire);
}

static inline void
sq_link_count(const struct sq_link_part *p, enum sq_broker_metric m, int64_t by)
{
	sq_metric_add(p->front->cfg.metrics, m, by);
}

#endif
