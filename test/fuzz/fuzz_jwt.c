/* Signed tokens and key sets: whatever comes is refused with a reason, or taken apart
 * within its bounds; nothing is ever proven without a key that signed it.
 *
 * The input is a token's text; or with '!' before it, "header|claims|signature" before it
 * is encoded, so that what is behind the encoding is reached; or with '{', a key set. */
#include "broker/auth/jwt/jwt.h"

#include <assert.h>
#include <cjose/cjose.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/jwt/jwks.h"

static struct sq_jwks *keys;

static const char set[] =
    "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"e\",\"crv\":\"P-256\",\"alg\":\"ES256\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"; /* RFC 7517 appendix A.1 */

static void
put_part(struct sq_buf *out, const uint8_t *p, size_t len)
{
	char *text = NULL;
	size_t n = 0;

	if (len > 0 && cjose_base64url_encode(p, len, &text, &n, NULL))
		sq_buf_append(out, text, n);
	free(text);
}

/* Encodes "a|b|c" as a token. */
static void
encode(const uint8_t *data, size_t size, struct sq_buf *out)
{
	for (unsigned part = 0; part < 3; part++) {
		const uint8_t *end = size > 0 && part < 2 ? memchr(data, '|', size) : NULL;
		size_t len = end != NULL ? (size_t)(end - data) : size;

		put_part(out, data, len);
		if (part < 2)
			sq_buf_u8(out, '.');
		len += end != NULL;
		data += len;
		size -= len;
	}
}

static void
check(struct sq_bytes token)
{
	const struct sq_jwt_rules rules = {.issuer = "i", .audience = "sqmqos", .now_s = 1000};
	const struct sq_identity *who;
	struct sq_buf known = {0};
	struct sq_jwt *t;
	enum sq_auth_reason why = sq_jwt_parse(token, &t);
	const struct sq_jwk *key;

	assert(why != SQ_AUTH_NONE || t != NULL);
	assert(token.len <= SQ_JWT_SIZE_MAX || why == SQ_AUTH_MALFORMED);
	if (t == NULL)
		return;
	sq_jwt_describe(t, &known);
	assert(sq_buf_len(&known) > 0 && sq_buf_len(&known) < 1200);
	sq_buf_fini(&known);
	if (why == SQ_AUTH_NONE) {
		assert(sq_jwt_issuer(t) != NULL && sq_jwt_key_name(t)[0] != '\0');
		key = sq_jwks_find(keys, sq_jwt_key_name(t), sq_jwt_key_kind(t));
		if (key != NULL)
			assert(!sq_jwt_verify(t, key)); /* nobody here has the private key */
		assert(sq_jwt_identity(t, &rules, &who) != SQ_AUTH_NONE);
		assert(who == NULL);
	}
	sq_jwt_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_buf text = {0}, err = {0};
	struct sq_jwks *other;

	if (keys == NULL)
		keys = sq_jwks_parse("i", set, sizeof set - 1, &err);
	assert(keys != NULL && sq_jwks_count(keys) == 1);
	if (size > 0 && data[0] == '!') {
		encode(data + 1, size - 1, &text);
		check(sq_buf_bytes(&text));
	} else {
		check((struct sq_bytes){data, size});
	}
	other = sq_jwks_parse("i", data, size, &err);
	assert((other == NULL) == (sq_buf_len(&err) > 0));
	if (other != NULL)
		assert(sq_jwks_count(other) <= SQ_JWKS_KEYS_MAX);
	sq_jwks_unref(&other);
	sq_buf_fini(&text);
	sq_buf_fini(&err);
	return 0;
}
