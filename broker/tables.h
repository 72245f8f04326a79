/* The tables of the broker's view: puts together what each folder shows of its own. */
#ifndef SQ_BROKER_TABLES_H
#define SQ_BROKER_TABLES_H

#include "broker/shard/shard.h"
#include "broker/view/view.h"

/* Makes the view with the sources of the broker proper; 'workers' outlive it. */
struct sq_view *
sq_tables_view(struct sq_broker *, struct sq_worker *const *workers, size_t n_workers);

#endif
