/* Fuzzes broker/bridge/amqp/map_in.h: the table of headers as it comes from a peer, decoded as librabbitmq
 * does, becomes a message, which is well-formed and goes out again. */
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/map_in.h"
#include "broker/bridge/amqp/map_out.h"
#include "proto/mqtt/props.h"
#include "proto/topic/topic.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* What has come in is a message, and can be sent, or is refused with a reason. */
static void
check_out(const struct sq_msg *msg)
{
	static struct sq_amqp_out *out;
	const struct sq_bridge_out rule = {.exchange = (char *)"e"};
	const struct sq_offered offered = {.msg = msg, .origin = "o", .hops = "h"};
	struct sq_buf why = {0};

	if (out == NULL)
		out = sq_amqp_out_new();
	if (sq_amqp_map_out(out, &offered, &rule, "s", "q", 131072, 1, &why) != SQ_OK)
		must(sq_buf_len(&why) > 0);
	else
		must(out->key.len <= SQ_AMQP_SHORT_MAX);
	sq_buf_fini(&why);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_bridge_cfg cfg = {.space = (char *)"s", .dedup = SQ_BRIDGE_DEDUP_MESSAGE_ID};
	const struct sq_bridge_in rule = {
	    .to = (char *)"in/{key:/|none}/{header:a|none}", .queue = (char *)"q"};
	const size_t tail = size < 40 ? size : 40, head = size - tail;
	amqp_basic_properties_t props = {._flags = AMQP_BASIC_HEADERS_FLAG |
		AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
		AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
		AMQP_BASIC_EXPIRATION_FLAG};
	const amqp_bytes_t text = {.len = tail, .bytes = (void *)(uintptr_t)(data + head)};
	const struct sq_amqp_delivery from = {
	    .key = {data + head, tail}, .props = &props, .body = {data, head}};
	struct sq_amqp_in in = {0};
	struct sq_buf why = {0};
	amqp_pool_t pool;
	size_t at = 0;

	props.content_type = props.reply_to = props.message_id = props.correlation_id =
	    props.expiration = text;
	init_amqp_pool(&pool, 4096);
	if (head <= 4096 && /* librabbitmq's own decoder recurses */
	    amqp_decode_table((amqp_bytes_t){head, (void *)(uintptr_t)data}, &pool, &props.headers,
		&at) == AMQP_STATUS_OK) {
		if (sq_amqp_map_in(&from, &cfg, &rule, 1 << 20, &in, &why) == SQ_OK) {
			must(sq_image_check(in.msg.image, sq_image_size(in.msg.image)) == SQ_OK);
			must(sq_mqtt_props_check(sq_image_props(in.msg.image)) == SQ_OK);
			must(sq_topic_name_check(sq_image_topic(in.msg.image), NULL) == SQ_OK);
			check_out(&in.msg);
		} else {
			must(sq_buf_len(&why) > 0 && in.msg.image == NULL);
		}
	}
	sq_amqp_in_fini(&in);
	sq_buf_fini(&why);
	empty_amqp_pool(&pool);
	return 0;
}
