#include "token_line.h"

#include "broker/auth/identity/digest.h"
#include "core/msg.h"

void
token_line(struct sq_buf *out, const char *name, const char *spaces, const char *token)
{
	unsigned char digest[SQ_DIGEST_SIZE];
	struct sq_bytes text = sq_bytes_of(token);

	sq_digest(&text, 1, digest);
	sq_buf_printf(out, "%s %s SHA256:", name, spaces);
	for (size_t i = 0; i < sizeof digest; i++)
		sq_buf_printf(out, "%02x", digest[i]);
	sq_buf_u8(out, '\n');
}
