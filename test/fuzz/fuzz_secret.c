/* Any text as the file of a secret: what is taken fits into a header, and what is not has a reason. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "broker/push/secret_text.h"

static void
check(enum sq_secret_kind kind, struct sq_bytes text)
{
	struct sq_buf out = {0}, why = {0};
	struct sq_webhook_keys keys = {0};

	if (sq_secret_text_read(kind, text, &out, &keys, &why) != SQ_OK) {
		assert(sq_buf_len(&why) > 0 &&
		    memchr(sq_buf_data(&why), '\n', sq_buf_len(&why)) == NULL);
	} else if (kind == SQ_SECRET_KEYS) {
		assert(keys.n > 0 && keys.n <= SQ_WEBHOOK_KEYS_MAX);
	} else if (kind != SQ_SECRET_CERT) {
		size_t len = strlen((const char *)sq_buf_data(&out));

		assert(len > 0 && len + 1 == sq_buf_len(&out));
		for (size_t i = 0; i < len; i++)
			assert(sq_buf_data(&out)[i] >= ' ' && sq_buf_data(&out)[i] <= '~');
	}
	sq_webhook_keys_fini(&keys);
	sq_buf_wipe(&out);
	sq_buf_fini(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (unsigned kind = SQ_SECRET_BEARER; kind <= SQ_SECRET_CERT; kind++)
		check((enum sq_secret_kind)kind, (struct sq_bytes){data, size});
	return 0;
}
