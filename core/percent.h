/* Percent-encoding of texts in URLs (RFC 3986 §2.1). */
#ifndef SQ_CORE_PERCENT_H
#define SQ_CORE_PERCENT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/msg.h"

/* Appends the text; letters, digits and "-._~" stay as they are. */
void sq_percent_put(struct sq_buf *out, const char *text);
void sq_percent_put_bytes(struct sq_buf *out, struct sq_bytes text);
/* Undoes the escapes of '*len' bytes in place; false: one is wrong, and the bytes are spoilt. */
bool sq_percent_undo(unsigned char *p, size_t *len);
/* The 'len' bytes without their escapes, for free(); NULL: an escape is wrong, or the result is not
 * UTF-8 without NUL. */
char *sq_percent_decode(const char *p, size_t len);

#endif
