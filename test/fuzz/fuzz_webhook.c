/* Fuzzes proto/webhook: keys, a time, signatures, each with a NUL behind it, and a body.  What keys sign
 * verifies by them, and none of the signatures that are drawn does. */
#include <stdlib.h>
#include <string.h>

#include "proto/webhook/webhook.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* Takes what stands before the next NUL off 'rest'. */
static struct sq_bytes
part(struct sq_bytes *rest)
{
	const unsigned char *end = rest->len > 0 ? memchr(rest->p, 0, rest->len) : NULL;
	struct sq_bytes out = {rest->p, end != NULL ? (size_t)(end - rest->p) : rest->len};
	size_t used = out.len + (end != NULL);

	*rest = (struct sq_bytes){rest->p + used, rest->len - used};
	return out;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_bytes rest = {data, size}, text = part(&rest), time = part(&rest),
			list = part(&rest);
	struct sq_webhook_keys keys;
	struct sq_buf err = {0}, own = {0};
	int rc = sq_webhook_keys_read(text, &keys, &err);

	must((rc == SQ_OK) == (sq_buf_len(&err) == 0) && (rc == SQ_OK) == (keys.n > 0));
	for (size_t i = 0; i < keys.n; i++)
		must(keys.v[i].len >= SQ_WEBHOOK_KEY_MIN && keys.v[i].len <= SQ_WEBHOOK_KEY_MAX);
	must(!sq_webhook_verify(&keys, sq_bytes_of("id"), time, list, rest, 1000));
	if (rc == SQ_OK) {
		sq_webhook_sign(&keys, sq_bytes_of("id"), 1000, rest, &own);
		must(sq_webhook_verify(
		    &keys, sq_bytes_of("id"), sq_bytes_of("1000"), sq_buf_bytes(&own), rest, 1000));
	}
	sq_webhook_keys_fini(&keys);
	sq_buf_fini(&err);
	sq_buf_fini(&own);
	return 0;
}
