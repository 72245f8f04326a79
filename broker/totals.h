/* The totals that tenants and spaces share, by the broker's configuration: see
 * broker/share/share.h. */
#ifndef SQ_BROKER_TOTALS_H
#define SQ_BROKER_TOTALS_H

#include "broker/broker.h"

struct sq_shares;

/* Makes the shares of a broker with this configuration; the caller owns them. */
struct sq_shares *sq_totals_shares(const struct sq_broker_cfg *);
/* Sets the totals to those of this configuration.  Thread: any. */
void sq_totals_set(struct sq_shares *, const struct sq_broker_cfg *);

#endif
