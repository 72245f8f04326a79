/* Base64 by OpenSSL; see core/base64.h. */
#include "core/base64.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>

void
sq_base64_write(char *out, const void *p, size_t len)
{
	assert(len < INT_MAX / 2);
	EVP_EncodeBlock((unsigned char *)out, p, (int)len); /* ends it with NUL */
}

void
sq_base64_put(struct sq_buf *out, const void *p, size_t len)
{
	size_t n = (len + 2) / 3 * 4;

	sq_base64_write((char *)sq_buf_reserve(out, n + 1), p, len);
	sq_buf_commit(out, n);
}

int
sq_base64_read(unsigned char *out, size_t *n, const char *text, size_t len)
{
	size_t pad = 0;
	int all;

	if (len % 4 != 0 || len > INT_MAX / 2)
		return SQ_EINVAL;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len - pad; i++) /* OpenSSL would skip blanks around it */
		if (text[i] <= ' ' || text[i] == '=' || text[i] == '-')
			return SQ_EINVAL;
	all = len == 0 ? 0 : EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
	if (all < 0)
		return SQ_EINVAL;
	*n = (size_t)all - pad;
	return SQ_OK;
}

int
sq_base64_take(struct sq_buf *out, const char *text, size_t len)
{
	size_t n;
	int rc = SQ_OK;

	if (len > 0) /* none needs no memory */
		rc = sq_base64_read(sq_buf_reserve(out, len / 4 * 3), &n, text, len);
	if (rc == SQ_OK && len > 0)
		sq_buf_commit(out, n);
	return rc;
}
