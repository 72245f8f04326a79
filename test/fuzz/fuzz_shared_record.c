/* Fuzzes the reading of a record of the shared log: what is read has the bytes that it says, what is not
 * has a line that says why, and what is sealed is read. */
#include <stdlib.h>
#include <string.h>

#include "store/shared/record.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_buf why = {0}, own = {0};
	struct sq_shared_record r;

	if (sq_shared_record_read((struct sq_bytes){data, size}, &r, &why) != SQ_OK) {
		if (sq_buf_len(&why) == 0)
			abort();
	} else if (r.entries.p != data + SQ_SHARED_HEADER ||
	    r.entries.len != size - SQ_SHARED_HEADER || r.chain == 0) {
		abort();
	}
	if (size > SQ_SHARED_HEADER) { /* what stands in the header is overwritten */
		uint64_t chain;

		sq_buf_append(&own, data, size);
		chain = sq_shared_record_seal(&own, data[0], data[1], data[2], data[3]);
		if (sq_shared_record_read(sq_buf_bytes(&own), &r, &why) != SQ_OK ||
		    r.chain != chain)
			abort();
	}
	sq_buf_fini(&own);
	sq_buf_fini(&why);
	return 0;
}
