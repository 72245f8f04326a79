/* The identity of a client's certificate.  Pure.
 *
 * The name is the certificate's one URI in subjectAltName, or, without any URI, its one DNS name.  A
 * certificate with several has no name; the subject does not count. */
#ifndef SQ_BROKER_AUTH_CERT_NAME_H
#define SQ_BROKER_AUTH_CERT_NAME_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "broker/auth/auth.h"
#include "core/buf.h"

/* Appends the name with a NUL; false: the certificate has none. */
bool sq_cert_name(X509 *, struct sq_buf *out);
/* The identity of a name by the first rule that matches; without any rules, the identity of
 * spiffe://TRUST/ns/NAMESPACE/sa/ACCOUNT in the space NAMESPACE.  NULL: none matches. */
const struct sq_identity *sq_cert_identity(
    const char *name, const struct sq_auth_certificate *rules, size_t n, int64_t expires_s);

#endif
