/* Any method and target: the HTTP API must come to a verdict. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "broker/front/http/route.h"
#include "core/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = {
	    "GET", "PUT", "POST", "HEAD", "OPTIONS", "DELETE", "X"};
	struct sq_bytes target = {data, size};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		struct sq_http_route r;
		struct sq_http_fault fault = {0};
		struct sq_buf out = {0};
		int rc = sq_http_route_find(sq_bytes_of(methods[i]), target, &r, &fault);

		assert((rc == SQ_OK) == (sq_buf_len(&fault.detail) == 0));
		assert(rc != SQ_OK || r.resource < SQ_HTTP_RESOURCE_COUNT);
		if (r.topic != NULL) {
			assert(strlen(r.topic) <= size);
			assert(sq_utf8_valid(r.topic, strlen(r.topic)));
		}
		if (rc != SQ_OK) {
			sq_http_fault_write(&fault, "1", NULL, &out);
			assert(sq_utf8_valid(sq_buf_data(&out), sq_buf_len(&out)));
		}
		sq_buf_fini(&out);
		sq_http_fault_fini(&fault);
		sq_http_route_fini(&r);
	}
	return 0;
}
