/* TLS 1.3 of a bare proxy: one encryption and one decryption of what passes, records as full as they
 * can be.  Proves nothing about the peer.  Errors of OpenSSL's setup end the program. */
#ifndef SQ_BENCH_PROXY_TLS_H
#define SQ_BENCH_PROXY_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct sq_proxy_tls;

/* Files in PEM, for connections that are accepted; before the first of them. */
void sq_proxy_tls_serve(const char *cert_file, const char *key_file);
struct sq_proxy_tls *sq_proxy_tls_new(bool server);
void sq_proxy_tls_free(struct sq_proxy_tls *); /* NULL: nothing */

/* Whether the handshake is over. */
bool sq_proxy_tls_open(const struct sq_proxy_tls *);
/* Takes 'n' bytes that have come, all of them, and continues the handshake, or decrypts to 'out',
 * which has room for 'n' bytes and one record; without bytes it begins the handshake.  Returns how
 * many bytes it has put there, -1: the connection is broken. */
long sq_proxy_tls_take(struct sq_proxy_tls *, const unsigned char *p, size_t n, unsigned char *out);
/* Encrypts; false: it can't. */
bool sq_proxy_tls_seal(struct sq_proxy_tls *, const unsigned char *p, size_t n);
/* What is to be sent to the peer, valid until the next call. */
const unsigned char *sq_proxy_tls_sealed(struct sq_proxy_tls *, size_t *n);

#endif
