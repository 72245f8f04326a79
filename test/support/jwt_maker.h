/* Keys and signed tokens for tests: well-formed ones, and what attackers make. */
#ifndef SQ_TEST_SUPPORT_JWT_MAKER_H
#define SQ_TEST_SUPPORT_JWT_MAKER_H

#include <stddef.h>

struct jwt_key;

struct jwt_key *jwt_rsa(unsigned bits, const char *kid);
struct jwt_key *jwt_ec(const char *curve, const char *kid); /* "P-256" */
void jwt_key_free(struct jwt_key **);
/* A JWK Set of 'n' keys, their public halves; free(). */
char *jwt_set(struct jwt_key *const *keys, size_t n);
/* The key's PEM text, public; free(). */
char *jwt_pem(const struct jwt_key *);

/* Compact forms of the JSON texts 'header' and 'claims'; free(). */
char *jwt_sign(const struct jwt_key *, const char *header, const char *claims);
char *jwt_hmac(const char *secret, const char *header, const char *claims);
char *jwt_unsigned(const char *header, const char *claims); /* ends with a dot */

#endif
