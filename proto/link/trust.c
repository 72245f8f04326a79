/* The digest of a bundle; see trust.h. */
#include "proto/link/trust.h"

#include <openssl/sha.h>

#include "core/bytes.h"

uint64_t
sq_trust_digest(const void *text, size_t len)
{
	unsigned char md[SHA256_DIGEST_LENGTH];
	uint64_t digest;

	SHA256(text, len, md);
	digest = sq_get64(md);
	return digest != 0 ? digest : 1;
}
