/* Fuzzes what a server of SQS answers (broker/bridge/sqs): faults, batches, and messages, each of which
 * becomes one that is well-formed, or a letter.  The first byte says what is read, and by which rule. */
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/sqs/map_in.h"
#include "proto/mqtt/props.h"

enum { PACKET = 4096 };

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
check_arrival(const struct sq_sqs_arrival *a)
{
	const unsigned char *image = a->arrived.msg.image;

	must(image != NULL && sq_image_check(image, sq_image_size(image)) == SQ_OK);
	must(a->arrived.key.len <= SQ_BRIDGE_KEY_MAX);
	must(!a->arrived.too_large || a->arrived.unmappable != NULL);
	if (a->arrived.unmappable == NULL)
		must(sq_image_size(image) <= PACKET &&
		    sq_mqtt_props_check(sq_image_props(image)) == SQ_OK);
}

static void
check_messages(unsigned rule, struct sq_bytes answer)
{
	const struct sq_bridge_cfg cfg = {.record = {.name = (char[]){"b"}},
	    .format = rule & 1 ? SQ_BRIDGE_FORMAT_CLOUDEVENTS : SQ_BRIDGE_FORMAT_RAW};
	const struct sq_bridge_in in = {
	    .to = rule & 2 ? (char[]){"a/{header:x|y}"} : (char[]){"{topic|other}"},
	    .qos = 1,
	    .unwrap = rule / 4 % 3};
	const struct sq_sqs_in map = {.cfg = &cfg,
	    .rule = &in,
	    .space = "s",
	    .queue = "q",
	    .max_packet = PACKET,
	    .wall_ms = 1};
	struct sq_sqs_messages m = {0};

	if (sq_sqs_read_messages(answer, &m) == SQ_OK) {
		must(m.n <= SQ_SQS_BATCH_MAX);
		for (unsigned i = 0; i < m.n; i++) {
			struct sq_sqs_arrival a = {0};

			sq_sqs_map_in(&map, &m, &m.v[i], &a);
			check_arrival(&a);
			sq_sqs_arrival_fini(&a);
		}
	}
	sq_sqs_messages_fini(&m);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_sqs_said said[SQ_SQS_BATCH_MAX];
	struct sq_buf url = {0};
	struct sq_bytes answer;
	unsigned what;

	if (size == 0)
		return 0;
	what = data[0];
	answer = (struct sq_bytes){data + 1, size - 1};
	sq_sqs_read_fault(400 + what, answer, said);
	must(strlen(said->code) < SQ_SQS_CODE_MAX);
	(void)sq_sqs_read_batch(answer, what % SQ_SQS_BATCH_MAX + 1, said);
	for (unsigned i = 0; i <= what % SQ_SQS_BATCH_MAX; i++)
		must(strlen(said[i].code) < SQ_SQS_CODE_MAX);
	if (sq_sqs_read_queue_url(answer, &url) == SQ_OK)
		must(sq_buf_len(&url) == strlen((const char *)sq_buf_data(&url)) + 1);
	sq_buf_fini(&url);
	check_messages(what / SQ_SQS_BATCH_MAX, answer);
	return 0;
}
