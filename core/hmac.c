/* See core/hmac.h. */
#include "core/hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "core/mem.h"

struct sq_hmac {
	EVP_MAC_CTX *mac;
};

struct sq_hmac *
sq_hmac_new(const void *key, size_t len)
{
	struct sq_hmac *h = sq_xcalloc(1, sizeof *h);
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof digest - 1),
	    OSSL_PARAM_END};

	h->mac = EVP_MAC_CTX_new(hmac);
	if (h->mac == NULL || EVP_MAC_init(h->mac, key, len, params) != 1)
		abort();    /* the library lacks what every build of it has */
	EVP_MAC_free(hmac); /* the context has a reference */
	return h;
}

void
sq_hmac_free(struct sq_hmac **hp)
{
	if (*hp != NULL)
		EVP_MAC_CTX_free((*hp)->mac);
	free(*hp);
	*hp = NULL;
}

void
sq_hmac_prove(
    struct sq_hmac *h, const struct sq_bytes *parts, size_t n, unsigned char out[SQ_HMAC_SIZE])
{
	int good = EVP_MAC_init(h->mac, NULL, 0, NULL) == 1; /* with the key that it has */
	size_t len;

	for (size_t i = 0; i < n && good; i++)
		if (parts[i].len > 0)
			good = EVP_MAC_update(h->mac, parts[i].p, parts[i].len) == 1;
	if (!good || EVP_MAC_final(h->mac, out, &len, SQ_HMAC_SIZE) != 1)
		abort(); /* out of memory, or a broken library */
}
