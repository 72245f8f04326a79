/* What tenants and spaces share of a broker, by its configuration: see broker/share/share.h. */
#ifndef SQ_BROKER_TOTALS_H
#define SQ_BROKER_TOTALS_H

#include "broker/broker.h"

struct sq_shares;

/* For the accounts of a broker that is configured so. */
struct sq_shares *sq_totals_shares(const struct sq_broker_cfg *);

#endif
