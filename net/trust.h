/* The authorities that the pool trusts for brokers: those of the configuration, or the bundle that
 * brokers send in their place during a renewal (docs/link.md, "Trust").
 *
 *   tls.ca, tls.ca-file ─▶ context ◀─ GET /v1/trust/bundle ◀─ a trust frame with another digest
 *                             │               └─▶ state.dir/trust.pem, for the next start
 *                             └─▶ dials from now on
 *
 * A bundle counts for the configuration to which it was sent: other authorities in tls.ca-file
 * replace it.  It comes over a link that the present authorities have verified; trust_fetch.h
 * fetches it.  On the loop's thread. */
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
	const char *dir;     /* keeps the bundle; NULL or empty: it is not kept */
};

/* Reads the authorities.  NULL with a line in 'err': the configuration names no readable authority.
 * A bad kept bundle is logged and ignored. */
struct sq_trust *sq_trust_new(const struct sq_trust_cfg *, struct sq_buf *err);
void sq_trust_free(struct sq_trust **);
/* The context for a dial; the caller's SSL takes a reference. */
SSL_CTX *sq_trust_context(const struct sq_trust *);
/* Reads tls.ca-file again if it has changed; called before each dial. */
void sq_trust_refresh(struct sq_trust *);
/* The ends of the first and the last authority in use. */
struct sq_tls_ends sq_trust_ends(const struct sq_trust *);
/* Whether the bundle of 'digest' that a broker serves differs from the one in use. */
bool sq_trust_wants(const struct sq_trust *, uint64_t digest);
/* Takes the bundle 'pem' into use and keeps it in state.dir.  SQ_EINVAL with a line in 'why': the
 * bundle is bad, and the last authorities stay. */
int sq_trust_take(struct sq_trust *, struct sq_bytes pem, struct sq_buf *why) SQ_MUST_CHECK;

#endif
