/* The certificate that the front shows: a server context made from two files, and made
 * anew when they have changed.
 *
 * One object per worker, so nothing here locks.  Knows no sockets. */
#ifndef SQ_BROKER_FRONT_LINK_CERTIFICATE_H
#define SQ_BROKER_FRONT_LINK_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

struct sq_certificate;

/* The names are copied.  NULL with a line in 'err', as of sq_tls_server(). */
struct sq_certificate *
sq_certificate_new(const char *cert_file, const char *key_file, struct sq_buf *err);
void sq_certificate_free(struct sq_certificate **);
/* What handshakes from now on are to use; stays valid until the second refresh that
 * makes another one. */
SSL_CTX *sq_certificate_context(const struct sq_certificate *);
/* Looks at the files; true when the context is another one now.  What can't be taken leaves
 * the last good pair in use: files that are replaced one after the other don't match for a
 * while.  What lasts longer than that is logged, once.  'now_ms' is monotonic. */
bool sq_certificate_refresh(struct sq_certificate *, uint64_t now_ms);

#endif
