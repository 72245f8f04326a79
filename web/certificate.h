/* A certificate from two files: a TLS context for servers, made anew when the files change.
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
/* The context for new handshakes, valid until the second refresh that makes another one. */
SSL_CTX *sq_certificate_context(const struct sq_certificate *);
/* Checks the files; true: there is another context.  While the two files do not match, because they
 * are replaced one after the other, the last good pair stays.  A lasting mismatch is logged once.
 * 'now_ms' is monotonic. */
bool sq_certificate_refresh(struct sq_certificate *, uint64_t now_ms);

#endif
