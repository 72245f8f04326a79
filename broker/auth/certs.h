/* The verifier of client certificates: signed by an authority of auth.client-ca-file, not in a
 * list of auth.client-crl-file (cert_trust.h), with an identity by cert_name.h.
 *
 * Both files are read again when they change; a bad file leaves the last good one in use.  An
 * authority that is gone and a certificate that is revoked end the identities that rest on them. */
#ifndef SQ_BROKER_AUTH_CERTS_H
#define SQ_BROKER_AUTH_CERTS_H

#include "broker/auth/verifier.h"

/* NULL with a line in 'err': a file is bad. */
struct sq_verifier *sq_certs_verifier(const struct sq_auth_cfg *, struct sq_buf *err);

#endif
