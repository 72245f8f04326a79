/* See broker/auth/tokens/token_new.h. */
#include "broker/auth/tokens/token_new.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/auth/tokens/tokens_file.h"

enum { TOKEN_SIZE = 32 };

static void
token_hex(struct sq_buf *out, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sq_buf_printf(out, "%02x", p[i]);
}

static int
token_check(const char *name, char *const *spaces, size_t n, struct sq_buf *err)
{
	if (!sq_tokens_name(name))
		sq_buf_printf(err, "a name is of letters, digits, '.', '_' and '-'");
	else if (n == 0 || n > SQ_IDENTITY_SPACES_MAX)
		sq_buf_printf(err, "it needs 1 to %d spaces", SQ_IDENTITY_SPACES_MAX);
	for (size_t i = 0; i < n && sq_buf_len(err) == 0; i++)
		if (spaces[i][0] == '-' || !sq_tokens_space(spaces[i]))
			sq_buf_printf(err, "\"%s\" is not the name of a space", spaces[i]);
	return sq_buf_len(err) == 0 ? SQ_OK : SQ_EINVAL;
}

int
sq_token_new(
    const char *name, char *const *spaces, size_t n, struct sq_buf *out, struct sq_buf *err)
{
	unsigned char bits[TOKEN_SIZE], digest[SQ_DIGEST_SIZE];
	size_t from = sq_buf_len(out);
	struct sq_bytes token;

	if (token_check(name, spaces, n, err) != SQ_OK)
		return SQ_EINVAL;
	if (getentropy(bits, sizeof bits) != 0) {
		sq_buf_printf(err, "no random bits: %s", strerror(errno));
		return SQ_EIO;
	}
	sq_buf_printf(out, "sqmqos_");
	token_hex(out, bits, sizeof bits);
	explicit_bzero(bits, sizeof bits);
	token = (struct sq_bytes){sq_buf_data(out) + from, sq_buf_len(out) - from};
	sq_digest(&token, 1, digest);
	sq_buf_printf(out, "\n%s ", name);
	for (size_t i = 0; i < n; i++)
		sq_buf_printf(out, "%s%s", i > 0 ? "," : "", spaces[i]);
	sq_buf_printf(out, " SHA256:");
	token_hex(out, digest, sizeof digest);
	sq_buf_u8(out, '\n');
	return SQ_OK;
}
