/* Authorities of client certificates, and their lists of revoked ones.
 *
 * Immutable and reference-counted.  Thread: any. */
#ifndef SQ_BROKER_AUTH_CERT_TRUST_H
#define SQ_BROKER_AUTH_CERT_TRUST_H

#include <openssl/x509.h>

#include "broker/auth/auth.h"
#include "core/buf.h"
#include "core/msg.h"

struct sq_cert_trust;

/* Reads PEM texts; without 'crl' (p NULL) nothing is revoked.  NULL with a line in 'err' that begins
 * with the key of the configuration. */
struct sq_cert_trust *
sq_cert_trust_new(struct sq_bytes ca, struct sq_bytes crl, struct sq_buf *err);
struct sq_cert_trust *sq_cert_trust_ref(struct sq_cert_trust *);
void sq_cert_trust_unref(struct sq_cert_trust **);
/* The end of the first list, in seconds since 1970; from then on every certificate of its authority
 * is refused.  0: there is no list, or none has an end (RFC 5280 §5.1.2.5). */
int64_t sq_cert_trust_lists_end(const struct sq_cert_trust *);

/* The proof by a good certificate. */
struct sq_cert_proof {
	struct sq_basis basis; /* for sq_cert_trust_holds() */
	int64_t expires_s;     /* the first of its chain */
};

/* Verifies a client's certificate, whose key the caller has seen used: an authority has signed it, by
 * way of 'chain' or directly, and it is valid now.  Else the reason, with details in 'known'. */
enum sq_auth_reason sq_cert_trust_verify(struct sq_cert_trust *, X509 *, STACK_OF(X509) * chain,
    struct sq_cert_proof *out, struct sq_buf *known);
/* Whether a certificate's basis still holds: its authority is there, and neither it nor a certificate
 * above it is revoked. */
bool sq_cert_trust_holds(const struct sq_cert_trust *, const struct sq_basis *);

#endif
