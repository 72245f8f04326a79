/* Fetches the bundle of authorities over the link whose broker announces a new one (docs/link.md,
 * "Trust").
 *
 * Above the trust and the links; one request at a time.  A zeroed struct with its first two members
 * set is ready.  On the loop's thread. */
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

/* The link's broker serves the bundle of 'digest': fetches it over the link, unless it is in use
 * already.  The links end before the struct. */
void sq_trust_fetch_told(struct sq_trust_fetch *, struct sq_uplink *, uint64_t digest);

#endif
