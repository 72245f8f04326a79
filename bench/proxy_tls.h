/* TLS 1.3 of a bare proxy: one encryption and one decryption of what passes, records as full as they
 * can be.  Proves nothing about the peer.  Errors of OpenSSL's setup end the program. */
#ifndef SQ_BENCH_PROXY_TLS_H
#define SQ_BENCH_PROXY_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct proxy_tls;

/* Files in PEM, for connections that are accepted; before the first of them. */
void proxy_tls_serve(const char *cert_file, const char *key_file);
struct proxy_tls *proxy_tls_new(bool server);
void proxy_tls_free(struct proxy_tls *); /* NULL: nothing */

/* Whether the handshake is over. */
bool proxy_tls_open(const struct proxy_tls *);
/* Takes 'n' bytes that have come, all of them, and continues the handshake, or decrypts to 'out',
 * which has room for 'n' bytes and one record; without bytes it begins the handshake.  Returns how
 * many bytes it has put there, -1: the connection is broken. */
long proxy_tls_take(struct proxy_tls *, const unsigned char *p, size_t n, unsigned char *out);
/* Encrypts; false: it can't. */
bool proxy_tls_seal(struct proxy_tls *, const unsigned char *p, size_t n);
/* What is to be sent to the peer, valid until the next call. */
const unsigned char *proxy_tls_sealed(struct proxy_tls *, size_t *n);

#endif
