/* TLS 1.3 contexts: for the link, with ALPN h2 and peer verification on, and for
 * servers of other protocols. */
#ifndef SQ_CORE_TLS_H
#define SQ_CORE_TLS_H

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

/* Bytes of a file of certificates or with a key; a system's authorities are below 1 MiB. */
enum { SQ_TLS_FILE_MAX = 16 << 20 };

/* A client context that trusts 'ca_file' (PEM) and nothing else; with NULL the
 * system's roots.  The caller sets the name to verify on each SSL.  Tuned for
 * small idle memory (SSL_MODE_RELEASE_BUFFERS).  NULL with a line in 'err' that
 * names tls.ca-file, the file and the reason. */
SSL_CTX *sq_tls_client(const char *ca_file, struct sq_buf *err);
/* Likewise, with the certificates in a text of 'len' bytes (PEM; other text around them is
 * skipped) in place of a file.  NULL with a line in 'err' that begins with 'source'. */
SSL_CTX *sq_tls_client_text(const char *source, const void *pem, size_t len, struct sq_buf *err);
/* A server context from PEM files.  NULL with a line in 'err' that names
 * tls.cert-file or tls.key-file, the file and the reason.  A client that doesn't
 * offer h2 by ALPN gets the alert no_application_protocol; certificates of clients
 * are not asked for. */
SSL_CTX *sq_tls_server(const char *cert_file, const char *key_file, struct sq_buf *err);
/* A context that holds such a pair for others, and serves nobody.  Likewise. */
SSL_CTX *sq_tls_pair(const char *cert_file, const char *key_file, struct sq_buf *err);

/* What a server takes by ALPN, in the form of the wire and in its order of liking.
 * 'required': a client that offers nothing is refused; one that offers other
 * protocols only always is (RFC 7301 §3.2). */
struct sq_tls_alpn {
	const unsigned char *protocols;
	unsigned len;
	bool required;
};
extern const struct sq_tls_alpn sq_tls_alpn_link;  /* h2, required */
extern const struct sq_tls_alpn sq_tls_alpn_http1; /* http/1.1 */

/* The first private key of a PEM text, which leaves no copy of it behind but in the key; NULL:
 * there is none, or it needs a password, with OpenSSL's errors in the thread's queue. */
EVP_PKEY *sq_tls_key(BIO *pem);

/* A server context from a certificate, what is sent behind it (NULL: nothing) and its
 * key, which stay the caller's; 'alpn' is static.  NULL with the reason in 'err'. */
SSL_CTX *sq_tls_server_with(const struct sq_tls_alpn *alpn, X509 *cert, STACK_OF(X509) * chain,
    EVP_PKEY *key, struct sq_buf *err);

/* How a DNS name is looked for in a certificate (RFC 9525): among its subjectAltNames alone, never
 * in the subject, and a wildcard is a whole label. */
#define SQ_TLS_NAME_FLAGS \
	(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

/* Sets what the peer's certificate must name, a DNS name (also sent as SNI) or
 * an IP address.  SQ_EINVAL if 'host' is neither. */
int sq_tls_set_peer(SSL *, const char *host) SQ_MUST_CHECK;
/* When the certificate that the context shows ends, in seconds since 1970; 0: it has none. */
int64_t sq_tls_end(const SSL_CTX *);
/* When the first and the last of those that it trusts ends; both 0: none, or the system's, which
 * are not read before they are needed. */
struct sq_tls_ends {
	int64_t first, last;
};
struct sq_tls_ends sq_tls_trusted_ends(const SSL_CTX *);
/* Whether the finished handshake agreed on h2; the client must check (RFC 9113
 * §3.2), as a server may leave ALPN out. */
bool sq_tls_is_h2(const SSL *);
/* Appends why the last operation on this thread failed, one line: for 'ssl' (or
 * NULL) the verification error if there is one, else OpenSSL's first error.
 * Empties the thread's error queue. */
void sq_tls_reason(const SSL *ssl, struct sq_buf *out);

#endif
