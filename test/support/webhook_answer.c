/* Signs and verifies web hooks; test_webhook.py compares it with the standard's library.
 *
 * Lines in: "S" or "V", the number of lines of the keys and these, the id, the time (of V: and the
 * clock's, and the signatures), then the body.  Out: the signatures, or "good" or "bad"; "!WHY": no
 * keys. */
#include <stdlib.h>
#include <string.h>

#include "asked.h"
#include "proto/webhook/webhook.h"

/* Takes 'n' lines off 'rest', without the end of the last. */
static struct sq_bytes
lines(struct sq_bytes *rest, size_t n)
{
	const unsigned char *start = rest->p, *at = start, *end = start;

	for (; n > 0; n--) {
		end = memchr(at, '\n', (size_t)(rest->p + rest->len - at));
		if (end == NULL)
			exit(1);
		at = end + 1;
	}
	*rest = (struct sq_bytes){at, rest->len - (size_t)(at - start)};
	return (struct sq_bytes){start, (size_t)(end - start)};
}

static int64_t
number(struct sq_bytes text)
{
	int64_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n = n * 10 + (text.p[i] - '0');
	return n;
}

static void
answer(struct sq_bytes text, struct sq_buf *out)
{
	struct sq_bytes what = lines(&text, 1), of_keys = lines(&text, 1);
	struct sq_bytes said = lines(&text, (size_t)number(of_keys)), id = lines(&text, 1),
			time = lines(&text, 1);
	struct sq_webhook_keys keys;
	struct sq_buf err = {0};

	if (sq_webhook_keys_read(said, &keys, &err) != SQ_OK) {
		sq_buf_printf(out, "!%.*s", (int)sq_buf_len(&err), (char *)sq_buf_data(&err));
	} else if (*what.p == 'S') {
		sq_webhook_sign(&keys, id, number(time), text, out);
	} else {
		int64_t now_s = number(lines(&text, 1));
		struct sq_bytes signatures = lines(&text, 1);
		bool good = sq_webhook_verify(&keys, id, time, signatures, text, now_s);

		sq_buf_printf(out, "%s", good ? "good" : "bad");
	}
	sq_webhook_keys_fini(&keys);
	sq_buf_fini(&err);
}

int
main(void)
{
	return asked_by_pipes(answer);
}
