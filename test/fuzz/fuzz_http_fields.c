/* Any headers, as lines "name: value", and after an empty line a body: they are refused, or make a
 * message that is one. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "broker/front/http/fields.h"
#include "core/utf8.h"
#include "proto/mqtt/props.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADERS_MAX = 100 };

/* Takes a line; false: an empty one, or the end. */
static bool
line_next(struct sq_bytes *rest, struct sq_http_header *out)
{
	const unsigned char *lf = rest->len > 0 ? memchr(rest->p, '\n', rest->len) : NULL;
	size_t n = lf != NULL ? (size_t)(lf - rest->p) : rest->len, used = n + (lf != NULL);
	const unsigned char *colon = n > 0 ? memchr(rest->p, ':', n) : NULL;
	size_t name = colon != NULL ? (size_t)(colon - rest->p) : n;

	out->name = (struct sq_bytes){rest->p, name};
	out->value = colon != NULL ? (struct sq_bytes){colon + 1, n - name - 1}
				   : (struct sq_bytes){0};
	if (used > 0) {
		rest->p += used;
		rest->len -= used;
	}
	return n > 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_bytes rest = {data, size};
	struct sq_http_header headers[HEADERS_MAX];
	struct sq_http_fields f = {0};
	struct sq_http_fault fault = {0};
	size_t n = 0;

	while (n < HEADERS_MAX && line_next(&rest, &headers[n]))
		n++;
	if (sq_http_fields_read(headers, n, 1000, &f, &fault) == SQ_OK) {
		struct sq_msg m = sq_http_fields_message(&f, sq_bytes_of("t"), rest);

		assert(sq_image_check(m.image, sq_image_size(m.image)) == SQ_OK);
		assert(sq_mqtt_props_check(sq_image_props(m.image)) == SQ_OK);
		sq_msg_unref(&m);
	} else {
		assert(sq_buf_len(&fault.detail) > 0);
		assert(sq_utf8_valid(sq_buf_data(&fault.detail), sq_buf_len(&fault.detail)));
	}
	sq_http_fields_fini(&f);
	sq_http_fault_fini(&fault);
	return 0;
}
