/* Base64 by OpenSSL; see core/base64.h. */
#include "core/base64.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>

void
sq_base64_put(struct sq_buf *out, const void *p, size_t len)
{
	assert(len < INT_MAX / 2);
	/* OpenSSL ends what it writes with NUL. */
	sq_buf_commit(
	    out, (size_t)EVP_EncodeBlock(sq_buf_reserve(out, (len + 2) / 3 * 4 + 1), p, (int)len));
}

int
sq_base64_take(struct sq_buf *out, const char *text, size_t len)
{
	size_t pad = 0;
	int n;

	if (len % 4 != 0 || len > INT_MAX / 2)
		return SQ_EINVAL;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len - pad; i++) /* OpenSSL would skip blanks around it */
		if (text[i] <= ' ' || text[i] == '=' || text[i] == '-')
			return SQ_EINVAL;
	if (len == 0)
		return SQ_OK;
	n = EVP_DecodeBlock(
	    sq_buf_reserve(out, len / 4 * 3), (const unsigned char *)text, (int)len);
	if (n < 0)
		return SQ_EINVAL;
	sq_buf_commit(out, (size_t)n - pad);
	return SQ_OK;
}
