/* Base32 in lower case and without padding (RFC 4648 §6), as ids have it. */
#ifndef SQ_CORE_BASE32_H
#define SQ_CORE_BASE32_H

#include <stddef.h>

/* Writes 'len' bytes: (8 * len + 4) / 5 characters and a NUL. */
void sq_base32_write(char *out, const void *p, size_t len);

#endif
