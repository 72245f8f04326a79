/* Who a client's certificate is of, and what he may name.  Pure.
 *
 * The name is the certificate's one URI in subjectAltName, or, without any URI, its one DNS
 * name; what has several says nobody in particular, and the subject is not looked at. */
#ifndef SQ_BROKER_AUTH_CERT_NAME_H
#define SQ_BROKER_AUTH_CERT_NAME_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "broker/auth/auth.h"
#include "core/buf.h"

/* Appends the name with a NUL; false: there is none. */
bool sq_cert_name(X509 *, struct sq_buf *out);
/* The identity of that name by the first of the rules that speaks of it; without any rules
 * of spiffe://TRUST/ns/NAMESPACE/sa/ACCOUNT in the space NAMESPACE.  NULL: no rule does. */
const struct sq_identity *sq_cert_identity(
    const char *name, const struct sq_auth_certificate *rules, size_t n, int64_t expires_s);

#endif
