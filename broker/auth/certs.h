/* The verifier of client certificates: signed by an authority of auth.client-ca-file, not in a
 * list of auth.client-crl-file (cert_trust.h); who they are of says cert_name.h.
 *
 * Both files are read again when they change; what can't be taken leaves the last good ones.
 * An authority that is gone, or a certificate that is revoked, ends what rests on it. */
#ifndef SQ_BROKER_AUTH_CERTS_H
#define SQ_BROKER_AUTH_CERTS_H

#include "broker/auth/verifier.h"

/* NULL with a line in 'err' when a file can't be taken. */
struct sq_verifier *sq_certs_verifier(const struct sq_auth_cfg *, struct sq_buf *err);

#endif
