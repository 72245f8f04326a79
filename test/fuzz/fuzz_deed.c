/* Fuzzes sq_deed_request_read(): the first byte is the path, the rest the body.  What is taken has
 * texts in UTF-8 and numbers above 0, within their bounds; what is refused has a reason. */
#include <stdlib.h>
#include <string.h>

#include "broker/front/deeds/request.h"
#include "core/mem.h"
#include "core/utf8.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
check_text(const char *text)
{
	if (text != NULL && (*text == '\0' || !sq_utf8_valid(text, strlen(text))))
		abort();
}

static void
check(const struct sq_deed *d)
{
	check_text(d->name);
	check_text(d->space);
	if (d->most == 0 || (d->name == NULL && (d->kind != SQ_DEED_REDRIVE || d->space == NULL)))
		abort();
	if (d->letters == NULL)
		return;
	if (d->n_letters == 0 || d->n_letters > SQ_DEED_LETTERS_MAX)
		abort();
	for (size_t i = 0; i < d->n_letters; i++) {
		if (d->letters[i] == 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const char *const paths[] = {
	    SQ_DEEDS_PATH "sessions/remove",
	    SQ_DEEDS_PATH "queues/purge",
	    SQ_DEEDS_PATH "dead-letters/redrive",
	    SQ_DEEDS_PATH,
	};
	static struct sq_deed_request request;
	struct sq_deed deed = {0};
	struct sq_buf why = {0};
	unsigned status;

	if (size == 0)
		return 0;
	status = sq_deed_request_read(&request, paths[data[0] % SQ_ARRAY_LEN(paths)],
	    (struct sq_bytes){data + 1, size - 1}, &deed, &why);
	if (status == 200)
		check(&deed);
	else if ((status != 400 && status != 404) || sq_buf_len(&why) == 0)
		abort();
	sq_deed_request_fini(&request);
	sq_buf_fini(&why);
	return 0;
}
