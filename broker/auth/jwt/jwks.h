/* Sets of public keys (RFC 7517), RSA and EC P-256, that verify an issuer's tokens.  Immutable and
 * reference-counted.  Thread: any. */
#ifndef SQ_BROKER_AUTH_JWT_JWKS_H
#define SQ_BROKER_AUTH_JWT_JWKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

enum {
	SQ_JWKS_KEYS_MAX = 64,
	SQ_JWKS_SIZE_MAX = 1 << 20, /* bytes of its text */
	SQ_JWK_ID_MAX = 256,        /* bytes of a key's name ("kid") */
};

/* The accepted algorithms, one for each kind of key. */
enum sq_jwk_kind { SQ_JWK_RS256, SQ_JWK_ES256 };

struct sq_jwks;
struct sq_jwk;

/* Parses a JWK Set of an issuer.  Keys that can't verify here are left out: of other kinds, uses and
 * algorithms, without a name, RSA below 2048 bits.  NULL with a line in 'err' when it is
 * no set, or has keys but none to verify with. */
struct sq_jwks *sq_jwks_parse(const char *issuer, const void *text, size_t len, struct sq_buf *err);
struct sq_jwks *sq_jwks_ref(struct sq_jwks *);
void sq_jwks_unref(struct sq_jwks **);
const char *sq_jwks_issuer(const struct sq_jwks *);
size_t sq_jwks_count(const struct sq_jwks *);

/* The key of that name and kind, or NULL; lives as long as the set. */
const struct sq_jwk *sq_jwks_find(const struct sq_jwks *, const char *name, enum sq_jwk_kind);
/* A number of this very key: a hash of its issuer, its name and the public key. */
uint64_t sq_jwk_number(const struct sq_jwk *);
bool sq_jwks_has(const struct sq_jwks *, uint64_t number);
/* Whether both have the same keys, of the same issuer. */
bool sq_jwks_equal(const struct sq_jwks *a, const struct sq_jwks *b);

/* The key as cjose has it, for broker/auth/jwt/jwt.c. */
const void *sq_jwk_handle(const struct sq_jwk *);

#endif
