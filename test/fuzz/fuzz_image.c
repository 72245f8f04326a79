/* Fuzzes sq_image_check(): what it accepts has parts that lie inside the image
 * and add up to it, and comes out of sq_msg_new() byte for byte. */
#include <stdlib.h>
#include <string.h>

#include "core/msg.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_bytes topic, props, payload;
	struct sq_msg m;

	if (sq_image_check(data, size) != 0)
		return 0;
	topic = sq_image_topic(data);
	props = sq_image_props(data);
	payload = sq_image_payload(data);
	if (sq_image_size(data) > size || topic.len == 0 ||
	    SQ_MSG_HEADER + topic.len + props.len + payload.len != sq_image_size(data))
		abort();
	m = sq_msg_new(sq_image_qos(data), sq_image_retain(data), topic, props,
	    sq_image_expiry(data), payload);
	if (sq_image_size(m.image) != sq_image_size(data) ||
	    memcmp(m.image, data, sq_image_size(data)) != 0)
		abort();
	sq_msg_unref(&m);
	return 0;
}
