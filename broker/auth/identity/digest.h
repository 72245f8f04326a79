/* SHA-256 over parts with a NUL between them, for values that are equal after a restart or that nobody
 * can find by choosing the parts. */
#ifndef SQ_BROKER_AUTH_IDENTITY_DIGEST_H
#define SQ_BROKER_AUTH_IDENTITY_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "core/msg.h"

enum { SQ_DIGEST_SIZE = 32 };

void sq_digest(const struct sq_bytes *parts, size_t n, unsigned char out[SQ_DIGEST_SIZE]);
/* The first 8 bytes of the digest, big-endian. */
uint64_t sq_digest_u64(const struct sq_bytes *parts, size_t n);

#endif
