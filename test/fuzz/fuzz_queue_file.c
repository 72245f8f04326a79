/* Any text as a file of subscribers.dir: it is refused with a place, or declares queues that are good. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "broker/config/queue_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a record has of a push, which may name files, reads as the same. */
static void
kept(const struct sq_declaration *d)
{
	struct sq_declaration again;
	struct sq_buf push = {0}, err = {0};

	sq_declaration_copy(&again, d);
	sq_declaration_write_push(d, &push);
	if (sq_buf_len(&push) > 0) {
		assert(sq_declaration_read_push(&again, sq_bytes_of("{\"push\":null}"), &err) ==
		    SQ_OK);
		assert(!sq_declaration_equal(d, &again));
		assert(sq_declaration_read_push(&again, sq_buf_bytes(&push), &err) == SQ_OK);
	}
	assert(sq_declaration_equal(d, &again));
	sq_declaration_fini(&again);
	sq_buf_fini(&push);
	sq_buf_fini(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_file_queues q = {0};
	struct sq_buf err = {0};

	if (sq_queue_file_read("f.yaml", (struct sq_bytes){data, size}, &q, &err) == SQ_OK) {
		for (size_t i = 0; i < q.n; i++) {
			assert(sq_queue_name_good(sq_bytes_of(q.v[i].name)));
			assert(sq_declaration_check(&q.v[i].decl, &err) == SQ_OK);
			kept(&q.v[i].decl);
		}
	} else {
		assert(sq_buf_len(&err) > 7 && memcmp(sq_buf_data(&err), "f.yaml:", 7) == 0);
	}
	sq_file_queues_fini(&q);
	sq_buf_fini(&err);
	return 0;
}
