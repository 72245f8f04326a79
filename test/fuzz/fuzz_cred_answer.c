/* Fuzzes net/cred's reading of what services answer: a byte that says which, and the answer.  What comes out
 * can be signed with, and there is a reason, of ASCII, exactly where there is none. */
#include <stdlib.h>
#include <string.h>

#include "net/cred/cred_priv.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
check(const struct sq_cred_value *v)
{
	must(sq_cred_visible(sq_bytes_of(v->key_id), SQ_CRED_TEXT_MAX));
	must(sq_cred_visible(sq_bytes_of(v->secret), SQ_CRED_TEXT_MAX));
	must(sq_cred_visible(sq_bytes_of(v->token), SQ_CRED_TEXT_MAX));
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_buf why = {0}, code = {0};
	struct sq_cred_kept *kept;
	struct sq_bytes text;

	if (size == 0)
		return 0;
	text = (struct sq_bytes){data + 1, size - 1};
	kept = sq_cred_answer_read((enum sq_cred_form)(data[0] % 3), text, &why);
	must((kept == NULL) == (sq_buf_len(&why) > 0));
	if (kept != NULL)
		check(&kept->value);
	sq_cred_kept_unref(kept);
	sq_cred_answer_code(text, &code);
	must(sq_buf_len(&code) <= 64 + 3);
	for (size_t i = 0; i < sq_buf_len(&code); i++)
		must(sq_buf_data(&code)[i] >= ' ' && sq_buf_data(&code)[i] <= '~');
	sq_buf_fini(&why);
	sq_buf_fini(&code);
	return 0;
}
