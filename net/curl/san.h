/* The name in a server's certificate, for TLS that libcurl makes by OpenSSL. */
#ifndef SQ_NET_CURL_SAN_H
#define SQ_NET_CURL_SAN_H

#include <stdbool.h>

/* Has an SSL_CTX verify, with the chain, that 'host', a DNS name or an address, is among the
 * certificate's subjectAltNames (RFC 9525): libcurl itself would accept the subject's CN where there are
 * none.  False: it can't be checked. */
bool sq_san_check(void *ssl_ctx, const char *host);

#endif
