/* Any method and target: the router of the front must come to a verdict. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "broker/front/link/route.h"
#include "proto/link/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = {"GET", "PUT", "POST"};
	struct sq_bytes target = {data, size};
	struct sq_route r;
	struct sq_key key;

	for (size_t i = 0; i < 3; i++) {
		struct sq_bytes method = {(const unsigned char *)methods[i], strlen(methods[i])};
		unsigned status = sq_route_find(method, target, &r);

		assert(status == 0 || status == 400 || status == 404 || status == 405);
		assert((status == 0) == (r.detail == NULL));
		assert((status == 405) == (r.allow != NULL));
		if (status == 0 && r.kind != SQ_ROUTE_DELIVERIES) {
			assert(r.key.p >= data && r.key.p + r.key.len <= data + size);
			if (sq_key_decode(r.key, &key) == SQ_OK)
				assert(key.space[0] != '\0' && key.client[0] != '\0');
		}
	}
	return 0;
}
