/* See support/jwt_maker.h. */
#include "jwt_maker.h"

#include <cjose/cjose.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"

struct jwt_key {
	EVP_PKEY *key;
	char *kid, *curve; /* curve NULL: RSA */
};

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
put_base64(struct sq_buf *out, const void *p, size_t len)
{
	char *text;
	size_t n;

	must(cjose_base64url_encode(p, len, &text, &n, NULL));
	sq_buf_append(out, text, n);
	free(text);
}

struct jwt_key *
jwt_rsa(unsigned bits, const char *kid)
{
	struct jwt_key *k = sq_xcalloc(1, sizeof *k);

	k->key = EVP_RSA_gen(bits);
	must(k->key != NULL);
	k->kid = sq_xstrdup(kid);
	return k;
}

struct jwt_key *
jwt_ec(const char *curve, const char *kid)
{
	struct jwt_key *k = sq_xcalloc(1, sizeof *k);

	k->key = EVP_EC_gen(curve);
	must(k->key != NULL);
	k->kid = sq_xstrdup(kid);
	k->curve = sq_xstrdup(curve);
	return k;
}

void
jwt_key_free(struct jwt_key **kp)
{
	struct jwt_key *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	EVP_PKEY_free(k->key);
	free(k->kid);
	free(k->curve);
	free(k);
}

/* A big number as a member, on at least 'size' bytes. */
static void
put_number(
    struct sq_buf *out, const struct jwt_key *k, const char *name, const char *param, size_t size)
{
	unsigned char bytes[1024];
	BIGNUM *n = NULL;
	int len;

	must(EVP_PKEY_get_bn_param(k->key, param, &n) == 1);
	len = BN_num_bytes(n) > (int)size ? BN_num_bytes(n) : (int)size;
	must(BN_bn2binpad(n, bytes, len) == len);
	BN_free(n);
	sq_buf_printf(out, ",\"%s\":\"", name);
	put_base64(out, bytes, (size_t)len);
	sq_buf_printf(out, "\"");
}

static void
put_jwk(struct sq_buf *out, const struct jwt_key *k)
{
	size_t size = (size_t)(EVP_PKEY_get_bits(k->key) + 7) / 8;

	sq_buf_printf(out, "{\"kid\":\"%s\",\"use\":\"sig\",\"kty\":\"%s\"", k->kid,
	    k->curve != NULL ? "EC" : "RSA");
	if (k->curve != NULL) {
		sq_buf_printf(out, ",\"crv\":\"%s\"", k->curve);
		put_number(out, k, "x", OSSL_PKEY_PARAM_EC_PUB_X, size);
		put_number(out, k, "y", OSSL_PKEY_PARAM_EC_PUB_Y, size);
	} else {
		put_number(out, k, "n", OSSL_PKEY_PARAM_RSA_N, 0);
		put_number(out, k, "e", OSSL_PKEY_PARAM_RSA_E, 0);
	}
	sq_buf_printf(out, "}");
}

static char *
take(struct sq_buf *b)
{
	char *text;

	sq_buf_u8(b, 0);
	text = sq_xstrdup((char *)sq_buf_data(b));
	sq_buf_fini(b);
	return text;
}

char *
jwt_set(struct jwt_key *const *keys, size_t n)
{
	struct sq_buf out = {0};

	sq_buf_printf(&out, "{\"keys\":[");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			sq_buf_printf(&out, ",");
		put_jwk(&out, keys[i]);
	}
	sq_buf_printf(&out, "]}");
	return take(&out);
}

char *
jwt_pem(const struct jwt_key *k)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p, *text;
	long n;

	must(PEM_write_bio_PUBKEY(b, k->key) == 1);
	n = BIO_get_mem_data(b, &p);
	text = sq_xmemdup0(p, (size_t)n);
	BIO_free(b);
	return text;
}

static void
put_input(struct sq_buf *out, const char *header, const char *claims)
{
	put_base64(out, header, strlen(header));
	sq_buf_printf(out, ".");
	put_base64(out, claims, strlen(claims));
}

/* From DER to r and s side by side (RFC 7515 appendix A.3). */
static size_t
flat_signature(const unsigned char *der, size_t len, size_t size, unsigned char *out)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);

	must(sig != NULL);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)size);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + size, (int)size);
	ECDSA_SIG_free(sig);
	return 2 * size;
}

char *
jwt_sign(const struct jwt_key *k, const char *header, const char *claims)
{
	struct sq_buf out = {0};
	unsigned char sig[2048], flat[256];
	size_t len = sizeof sig, size = (size_t)(EVP_PKEY_get_bits(k->key) + 7) / 8;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	put_input(&out, header, claims);
	must(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->key) == 1);
	must(EVP_DigestSign(ctx, sig, &len, sq_buf_data(&out), sq_buf_len(&out)) == 1);
	EVP_MD_CTX_free(ctx);
	sq_buf_printf(&out, ".");
	if (k->curve != NULL) {
		len = flat_signature(sig, len, size, flat);
		put_base64(&out, flat, len);
	} else {
		put_base64(&out, sig, len);
	}
	return take(&out);
}

char *
jwt_hmac(const char *secret, const char *header, const char *claims)
{
	struct sq_buf out = {0};
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len;

	put_input(&out, header, claims);
	must(HMAC(EVP_sha256(), secret, (int)strlen(secret), sq_buf_data(&out), sq_buf_len(&out),
		 mac, &len) != NULL);
	sq_buf_printf(&out, ".");
	put_base64(&out, mac, len);
	return take(&out);
}

char *
jwt_unsigned(const char *header, const char *claims)
{
	struct sq_buf out = {0};

	put_input(&out, header, claims);
	sq_buf_printf(&out, ".");
	return take(&out);
}
