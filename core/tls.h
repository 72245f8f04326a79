/* TLS 1.3 contexts for the link: ALPN h2, peer verification on. */
#ifndef SQ_CORE_TLS_H
#define SQ_CORE_TLS_H

#include <openssl/ssl.h>

#include "core/buf.h"
#include "core/err.h"

/* A client context that trusts 'ca_file' (PEM) and nothing else; with NULL the
 * system's roots.  The caller sets the name to verify on each SSL.  Tuned for
 * small idle memory (SSL_MODE_RELEASE_BUFFERS).  NULL with a line in 'err'. */
SSL_CTX *sq_tls_client(const char *ca_file, struct sq_buf *err);
/* A server context from PEM files.  NULL with a line in 'err' that names the
 * file and the reason. */
SSL_CTX *sq_tls_server(const char *cert_file, const char *key_file, struct sq_buf *err);

#endif
