/* Fetches the bundle of authorities over the link whose broker tells of a new one (docs/link.md,
 * "Trust").
 *
 * Sits above the trust and the links; one request at a time, so a zeroed struct with its first
 * two members is ready.  One loop thread. */
#ifndef SQ_NET_TRUST_FETCH_H
#define SQ_NET_TRUST_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "net/h2/uplink.h"
#include "net/trust.h"

struct sq_trust_fetch {
	struct sq_trust *trust;
	const struct sq_net_counts *counts;
	struct sq_request ask;
	bool asking;
};

/* The broker at the other end serves the bundle of 'digest': asks for it over that link unless
 * it is in use already.  The links go before the struct. */
void sq_trust_fetch_told(struct sq_trust_fetch *, struct sq_uplink *, uint64_t digest);

#endif
