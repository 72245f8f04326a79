/* Signed tokens (RFC 7519, RFC 7515 compact form): parsed, verified with a key, and read as an
 * identity.  Pure: no clock, no keys of its own, no socket.
 *
 * The key decides the algorithm, RS256 or ES256; the token's header must agree. */
#ifndef SQ_BROKER_AUTH_JWT_JWT_H
#define SQ_BROKER_AUTH_JWT_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/auth/identity/identity.h"
#include "broker/auth/jwt/jwks.h"
#include "broker/auth/identity/reason.h"
#include "core/buf.h"
#include "core/msg.h"

enum {
	SQ_JWT_SIZE_MAX = 16384, /* bytes */
	SQ_JWT_DEPTH_MAX = 16,   /* of its JSON */
	SQ_JWT_SKEW_S = 60,      /* that clocks may differ */
};

struct sq_jwt;

/* Rules by which a token becomes an identity. */
struct sq_jwt_rules {
	const char *issuer, *audience;
	const char *space; /* of all its tokens, named by "sub"; NULL: a Kubernetes namespace */
	int64_t now_s;     /* wall clock */
};

/* Parses a token, of which nothing is proven yet.  SQ_AUTH_NONE, or the reason of a refusal; then,
 * too, '*out' has the readable part, or is NULL. */
enum sq_auth_reason sq_jwt_parse(struct sq_bytes token, struct sq_jwt **out);
void sq_jwt_free(struct sq_jwt **);

/* Parts of a token that was parsed without a refusal. */
const char *sq_jwt_issuer(const struct sq_jwt *);
const char *sq_jwt_key_name(const struct sq_jwt *);
enum sq_jwk_kind sq_jwt_key_kind(const struct sq_jwt *);
/* Whether the key made the token's signature. */
bool sq_jwt_verify(struct sq_jwt *, const struct sq_jwk *);
/* The identity of a verified token, a reference; or the reason of a refusal, and NULL. */
enum sq_auth_reason
sq_jwt_identity(const struct sq_jwt *, const struct sq_jwt_rules *, const struct sq_identity **out);

/* Appends the token's statements about its holder, for a log: bounded, without any secret. */
void sq_jwt_describe(const struct sq_jwt *, struct sq_buf *out);

#endif
