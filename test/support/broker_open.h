/* A broker with its engine and its state, in one call. */
#ifndef SQ_TEST_SUPPORT_BROKER_OPEN_H
#define SQ_TEST_SUPPORT_BROKER_OPEN_H

#include "broker/broker.h"
#include "broker/engine/engine.h"
#include "broker/metrics/metrics.h"

/* NULL with a line in 'err': the engine can't be opened, or its state not be read; in that case the
 * workers, or another thread for fake ones, have to run tasks. */
static inline struct sq_broker *
broker_open(const struct sq_broker_cfg *cfg, struct sq_worker *const *workers, size_t n_workers,
    struct sq_buf *err)
{
	const struct sq_engine_cfg with = {.metrics = &sq_broker_metrics, .n_workers = n_workers};
	struct sq_engine *engine = sq_broker_open_engine(cfg, &with, err);
	struct sq_broker *b;

	if (engine == NULL)
		return NULL;
	b = sq_broker_new(cfg, engine, workers, n_workers, &sq_broker_metrics);
	if (sq_broker_load(b, err) == SQ_OK)
		return b;
	sq_broker_stop(b);
	sq_broker_free(&b);
	return NULL;
}

#endif
