/* Whom the sidecar trusts: the authorities of its configuration, and the bundle that the
 * brokers send in their place as authorities are renewed (docs/link.md, "Trust").
 *
 *   tls.ca, tls.ca-file ─▶ context ◀─ GET /v1/trust/bundle ◀─ a trust frame with another digest
 *                             │               └─▶ state.dir/trust.pem, for the next start
 *                             └─▶ dials from now on
 *
 * A bundle counts for as long as the configuration is the one that it was sent to: other
 * authorities in tls.ca-file replace it.  It comes over a link that the authorities so far
 * have vouched for.  One loop; no links of its own. */
#ifndef SQ_NET_TRUST_H
#define SQ_NET_TRUST_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/tls.h"
#include "net/h2/counts.h"

struct sq_trust;
struct sq_uplink;

/* What it points to outlives the trust. */
struct sq_trust_cfg {
	const char *ca_file; /* PEM file, read again when it changes; or ... */
	const char *ca;      /* ... PEM text; neither (NULL or empty): the system's */
	const char *dir;     /* where the bundle is kept; NULL or empty: nowhere */
	const struct sq_net_counts *counts;
};

/* NULL with a line in 'err' when the configuration names nobody to trust.  A kept bundle
 * that can't be used is logged and left out. */
struct sq_trust *sq_trust_new(const struct sq_trust_cfg *, struct sq_buf *err);
/* No link that it asked may be alive. */
void sq_trust_free(struct sq_trust **);
/* For a dial: the caller's SSL takes a reference. */
SSL_CTX *sq_trust_context(const struct sq_trust *);
/* Looks whether tls.ca-file has changed; before each dial. */
void sq_trust_refresh(struct sq_trust *);
/* When the first and the last of the authorities in use ends. */
struct sq_tls_ends sq_trust_ends(const struct sq_trust *);
/* The broker at the other end serves the bundle of 'digest': asks for it over that link
 * unless it is here already. */
void sq_trust_told(struct sq_trust *, struct sq_uplink *, uint64_t digest);

#endif
