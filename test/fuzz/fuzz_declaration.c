/* Any text as a queue's declaration: it is refused with a reason, or what is written of it reads as
 * the same. */
#include <assert.h>
#include <stdint.h>

#include "core/utf8.h"
#include "proto/declaration/declaration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_declaration d, again;
	struct sq_buf err = {0}, out = {0};

	sq_declaration_init(&d);
	if (sq_declaration_read_json(&d, (struct sq_bytes){data, size}, &err) == SQ_OK) {
		sq_declaration_init(&again);
		sq_buf_u8(&out, '{');
		sq_declaration_write_json(&d, &out);
		sq_buf_u8(&out, '}');
		assert(sq_declaration_read_json(&again, sq_buf_bytes(&out), &err) == SQ_OK);
		assert(sq_declaration_equal(&d, &again));
		sq_declaration_fini(&again);
	} else {
		assert(sq_buf_len(&err) > 0);
		assert(sq_utf8_valid(sq_buf_data(&err), sq_buf_len(&err)));
	}
	sq_declaration_fini(&d);
	sq_buf_fini(&err);
	sq_buf_fini(&out);
	return 0;
}
