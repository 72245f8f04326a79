/* What comes first on a connection, before h2o sees it: heads of HTTP/1.1, and frames of
 * HTTP/2, cut anywhere. */
#include <assert.h>
#include <stdint.h>

#include "broker/front/door/head.h"
#include "broker/front/door/toll.h"

enum { FRAME_HEAD = 9 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
input_heads(const char *p, size_t size)
{
	size_t used = 0, again = 0;
	enum sq_head found = sq_head_scan(p, size, &used);

	if (found != SQ_HEAD_GOOD && found != SQ_HEAD_BAD)
		return;
	assert(used > 0 && used <= size);
	assert(sq_head_scan(p, used, &again) == found && again == used);
	assert(sq_head_scan(p, used - 1, &again) == SQ_HEAD_MORE);
}

/* Bytes of the whole frames at the beginning. */
static size_t
input_whole(const uint8_t *p, size_t len)
{
	size_t at = 0;

	while (len - at >= FRAME_HEAD) {
		size_t n = FRAME_HEAD +
		    ((size_t)p[at] << 16 | (size_t)p[at + 1] << 8 | (size_t)p[at + 2]);

		if (n > len - at)
			break;
		at += n;
	}
	return at;
}

static void
input_frames(const uint8_t *p, size_t size, size_t cut)
{
	struct sq_toll whole, parts;
	size_t at = input_whole(p, cut);

	sq_toll_init(&whole, 0);
	sq_toll_take(&whole, p, size);
	sq_toll_init(&parts, 0);
	sq_toll_take(&parts, p, cut);
	if (sq_toll_head_too_large(&parts))
		return;
	sq_toll_take(&parts, p + at, size - at);
	assert(whole.left == parts.left && whole.head == parts.head &&
	    whole.fields.n == parts.fields.n);
	assert(whole.left <= SQ_TOLL_BURST);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	input_heads((const char *)data, size);
	input_frames(data + 1, size - 1, data[0] % size);
	return 0;
}
