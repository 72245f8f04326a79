/* HMAC-SHA256 (RFC 2104) with a key that is set once. */
#ifndef SQ_CORE_HMAC_H
#define SQ_CORE_HMAC_H

#include <stddef.h>

#include "core/msg.h"

enum { SQ_HMAC_SIZE = 32 }; /* bytes of a proof */

struct sq_hmac;

/* Takes a copy of the key, which is wiped in the end. */
struct sq_hmac *sq_hmac_new(const void *key, size_t len);
void sq_hmac_free(struct sq_hmac **);
/* Writes the proof of the parts, one behind the other. */
void sq_hmac_prove(
    struct sq_hmac *, const struct sq_bytes *parts, size_t n, unsigned char out[SQ_HMAC_SIZE]);

#endif
