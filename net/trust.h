/* The authorities that vouch for brokers: those of the configuration, and the bundle that the
 * brokers send in their place as authorities are renewed (docs/link.md, "Trust").
 *
 *   tls.ca, tls.ca-file ─▶ context ◀─ GET /v1/trust/bundle ◀─ a trust frame with another digest
 *                             │               └─▶ state.dir/trust.pem, for the next start
 *                             └─▶ dials from now on
 *
 * A bundle counts for as long as the configuration is the one that it was sent to: other
 * authorities in tls.ca-file replace it.  It comes over a link that the authorities so far
 * have vouched for; trust_fetch.h fetches it.  One loop thread. */
#ifndef SQ_NET_TRUST_H
#define SQ_NET_TRUST_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"
#include "core/tls.h"

struct sq_trust;

/* Texts that it points to outlive the trust. */
struct sq_trust_cfg {
	const char *ca_file; /* PEM file, read again when it changes; or ... */
	const char *ca;      /* ... PEM text; neither (NULL or empty): the system's */
	const char *dir;     /* where the bundle is kept; NULL or empty: nowhere */
};

/* NULL with a line in 'err' when the configuration names no authority that can be read.  A kept bundle
 * that can't be used is logged and left out. */
struct sq_trust *sq_trust_new(const struct sq_trust_cfg *, struct sq_buf *err);
void sq_trust_free(struct sq_trust **);
/* For a dial: the caller's SSL takes a reference. */
SSL_CTX *sq_trust_context(const struct sq_trust *);
/* Looks whether tls.ca-file has changed; before each dial. */
void sq_trust_refresh(struct sq_trust *);
/* When the first and the last of the authorities in use ends. */
struct sq_tls_ends sq_trust_ends(const struct sq_trust *);
/* Whether the bundle of 'digest', which a broker serves, is another one than that in use. */
bool sq_trust_wants(const struct sq_trust *, uint64_t digest);
/* Takes the bundle 'pem' into use and keeps it.  SQ_EINVAL with a line in 'why': it can't be
 * taken, and the last authorities stay. */
int sq_trust_take(struct sq_trust *, struct sq_bytes pem, struct sq_buf *why) SQ_MUST_CHECK;

#endif
