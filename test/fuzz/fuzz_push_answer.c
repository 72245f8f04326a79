/* Fuzzes broker/push/answer.h: a value of Retry-After, then three ids, each with a NUL behind it, and the
 * body of an answer to a batch of them. */
#include <stdlib.h>
#include <string.h>

#include "broker/push/answer.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { IDS = 3 };

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
failed(void *arg, size_t i)
{
	bool *marks = arg;

	must(i < IDS);
	marks[i] = true;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const unsigned char *at = data, *ids = NULL;
	const struct sq_declared_push push = {.batch.max = IDS};
	struct sq_out_request r = {.end = SQ_OUT_ANSWERED, .status = 200};
	bool marks[IDS] = {false};
	struct sq_bytes body;
	uint64_t ms = 0;
	int rc;

	for (size_t i = 0; i <= IDS; i++) {
		const unsigned char *end = memchr(at, 0, size - (size_t)(at - data));

		if (end == NULL)
			return 0;
		if (i == 0 &&
		    sq_push_retry_after((struct sq_bytes){at, (size_t)(end - at)}, 1000000, &ms) ==
			SQ_OK)
			must(ms <= (uint64_t)UINT32_MAX * 1000);
		at = end + 1;
		ids = i == 0 ? at : ids;
	}
	body = (struct sq_bytes){at, size - (size_t)(at - data)};
	rc = sq_push_failures(body, (struct sq_bytes){ids, (size_t)(at - ids)}, IDS, failed, marks);
	must(rc == SQ_OK || rc == SQ_EINVAL || rc == SQ_ENOTFOUND);
	must(rc != SQ_ENOTFOUND || (!marks[0] && !marks[1] && !marks[2]));
	sq_buf_append(&r.answer, body.p, body.len);
	/* Whoever names failures is asked which. */
	if (sq_push_judge(&push, &r, 0).verdict != SQ_PUSH_PARTLY)
		must(rc != SQ_OK);
	sq_out_request_fini(&r);
	return 0;
}
