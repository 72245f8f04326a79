/* Base64 with padding and without line breaks (RFC 4648 §4), as the Kubernetes API
 * has bytes in JSON. */
#ifndef SQ_CORE_BASE64_H
#define SQ_CORE_BASE64_H

#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

/* Appends 'len' bytes, encoded. */
void sq_base64_put(struct sq_buf *out, const void *p, size_t len);
/* Appends what 'text' says.  SQ_EINVAL, with 'out' as it was, unless it is base64. */
int sq_base64_take(struct sq_buf *out, const char *text, size_t len) SQ_MUST_CHECK;
/* The same into memory of the caller: (len + 2) / 3 * 4 characters and a NUL; and len / 4 * 3 bytes,
 * of which '*n' are said. */
void sq_base64_write(char *out, const void *p, size_t len);
int sq_base64_read(unsigned char *out, size_t *n, const char *text, size_t len) SQ_MUST_CHECK;

#endif
