/* TLS 1.3 contexts: for the link and the broker's listener, with peer verification on, and for
 * servers of other protocols. */
#ifndef SQ_CORE_TLS_H
#define SQ_CORE_TLS_H

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

/* Bytes of a file with certificates or a key, at most; a system's authorities are below 1 MiB. */
enum { SQ_TLS_FILE_MAX = 16 << 20 };

/* A client context that trusts 'ca_file' (PEM) and nothing else; with NULL the
 * system's roots.  The caller sets the name to verify on each SSL.  Tuned for
 * small idle memory (SSL_MODE_RELEASE_BUFFERS).  NULL with a line in 'err' that
 * names tls.ca-file, the file and the reason. */
SSL_CTX *sq_tls_client(const char *ca_file, struct sq_buf *err);
/* sq_tls_client() with the certificates from a PEM text of 'len' bytes; other text around them is
 * skipped.  NULL with a line in 'err' that begins with 'source'. */
SSL_CTX *sq_tls_client_text(const char *source, const void *pem, size_t len, struct sq_buf *err);
/* A server context from PEM files.  NULL with a line in 'err' that names
 * tls.cert-file or tls.key-file, the file and the reason.  It has h2 and http/1.1
 * by ALPN; certificates of clients are not asked for. */
SSL_CTX *sq_tls_server(const char *cert_file, const char *key_file, struct sq_buf *err);
/* A context that only holds a certificate and its key, for others to take from.  NULL as in
 * sq_tls_server(). */
SSL_CTX *sq_tls_pair(const char *cert_file, const char *key_file, struct sq_buf *err);

/* Protocols that a server accepts by ALPN, as on the wire, the preferred one first.  A client without
 * ALPN gets through; one that offers other protocols only gets the alert no_application_protocol
 * (RFC 7301 §3.2). */
struct sq_tls_alpn {
	const unsigned char *protocols;
	unsigned len;
};
extern const struct sq_tls_alpn sq_tls_alpn_http1; /* http/1.1 */

/* The first private key of a PEM text; no other copy of the key stays in memory.  NULL: the text
 * has none, or the key needs a password; OpenSSL's errors are in the thread's queue. */
EVP_PKEY *sq_tls_key(BIO *pem);

/* A server context from a certificate, the chain that is sent behind it (NULL: none) and its key,
 * all of which stay the caller's; 'alpn' is static.  NULL with the reason in 'err'. */
SSL_CTX *sq_tls_server_with(const struct sq_tls_alpn *alpn, X509 *cert, STACK_OF(X509) * chain,
    EVP_PKEY *key, struct sq_buf *err);

/* The search for a DNS name in a certificate (RFC 9525): among its subjectAltNames alone, never in
 * the subject, and a wildcard is a whole label. */
#define SQ_TLS_NAME_FLAGS \
	(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

/* Sets the name that the peer's certificate must have: a DNS name (also sent as SNI) or an IP
 * address.  SQ_EINVAL if 'host' is neither. */
int sq_tls_set_peer(SSL *, const char *host) SQ_MUST_CHECK;
/* The end of the context's own certificate, in seconds since 1970; 0: the context has none. */
int64_t sq_tls_end(const SSL_CTX *);
/* The first and the last end among trusted certificates, in seconds since 1970; both 0: none, or
 * the system's roots, which are not read before they are needed. */
struct sq_tls_ends {
	int64_t first, last;
};
struct sq_tls_ends sq_tls_trusted_ends(const SSL_CTX *);
/* Whether the finished handshake agreed on h2.  A client must check (RFC 9113 §3.2), because a
 * server may leave ALPN out. */
bool sq_tls_is_h2(const SSL *);
/* Appends one line, the reason why the last operation of this thread failed: the verification error
 * of 'ssl' (which may be NULL) if there is one, else OpenSSL's first error.  Empties the thread's
 * error queue. */
void sq_tls_reason(const SSL *ssl, struct sq_buf *out);

#endif
