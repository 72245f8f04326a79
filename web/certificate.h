/* A certificate from two files: a TLS context for servers, made again when the files change.
 *
 * One object per worker.  Knows no sockets. */
#ifndef SQ_WEB_CERTIFICATE_H
#define SQ_WEB_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

struct sq_certificate;

/* Reads the files, whose names are copied; 'scope', of log lines, is a static text.  NULL with a
 * line in 'err', as of sq_tls_server(). */
struct sq_certificate *sq_certificate_new(
    const char *scope, const char *cert_file, const char *key_file, struct sq_buf *err);
void sq_certificate_free(struct sq_certificate **);
/* The context for new handshakes.  It stays valid until the second refresh that makes another. */
SSL_CTX *sq_certificate_context(const struct sq_certificate *);
/* Looks at the files; true when there is another context.  Files that do not fit each other leave
 * the last good pair in use: they are replaced one after the other.  A misfit that lasts is logged
 * once.  'now_ms' is monotonic. */
bool sq_certificate_refresh(struct sq_certificate *, uint64_t now_ms);

#endif
