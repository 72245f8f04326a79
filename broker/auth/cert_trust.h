/* Whom client certificates are believed from: authorities, and what they have revoked.
 *
 * Immutable and reference-counted.  Thread: any. */
#ifndef SQ_BROKER_AUTH_CERT_TRUST_H
#define SQ_BROKER_AUTH_CERT_TRUST_H

#include <openssl/x509.h>

#include "broker/auth/auth.h"
#include "core/buf.h"
#include "core/msg.h"

struct sq_cert_trust;

/* Of PEM texts; with no 'crl' (p NULL) nothing is revoked.  NULL with a line in 'err' that begins
 * with the key of the configuration. */
struct sq_cert_trust *
sq_cert_trust_new(struct sq_bytes ca, struct sq_bytes crl, struct sq_buf *err);
struct sq_cert_trust *sq_cert_trust_ref(struct sq_cert_trust *);
void sq_cert_trust_unref(struct sq_cert_trust **);
/* When the first of the lists ends, in seconds since 1970: from then on every certificate of its
 * authority is refused.  0: there is no list, or none that says it (RFC 5280 §5.1.2.5). */
int64_t sq_cert_trust_lists_end(const struct sq_cert_trust *);

/* What a good certificate is. */
struct sq_cert_proof {
	struct sq_basis basis; /* for sq_cert_trust_holds() */
	int64_t expires_s;     /* the first of its chain */
};

/* Whether it is a client's that one of the authorities has signed, in 'chain' or itself, for
 * now; else the reason, with more of it in 'known'.  Whose key the caller has seen used. */
enum sq_auth_reason sq_cert_trust_verify(struct sq_cert_trust *, X509 *, STACK_OF(X509) * chain,
    struct sq_cert_proof *out, struct sq_buf *known);
/* Whether what a certificate was good by is still there: its authority, and no revocation of it
 * or one above it. */
bool sq_cert_trust_holds(const struct sq_cert_trust *, const struct sq_basis *);

#endif
