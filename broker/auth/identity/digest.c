/* See broker/auth/identity/digest.h. */
#include "broker/auth/identity/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "core/bytes.h"

void
sq_digest(const struct sq_bytes *parts, size_t n, unsigned char out[SQ_DIGEST_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int good = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; i < n && good; i++) {
		if (i > 0)
			good = EVP_DigestUpdate(ctx, "", 1) == 1;
		if (good && parts[i].len > 0)
			good = EVP_DigestUpdate(ctx, parts[i].p, parts[i].len) == 1;
	}
	if (!good || EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		abort(); /* out of memory, or a broken library */
	EVP_MD_CTX_free(ctx);
}

uint64_t
sq_digest_u64(const struct sq_bytes *parts, size_t n)
{
	unsigned char out[SQ_DIGEST_SIZE];

	sq_digest(parts, n, out);
	return sq_get64(out);
}
