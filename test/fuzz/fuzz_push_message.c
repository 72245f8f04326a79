/* Fuzzes broker/push/message.h: an answer, headers with a NUL behind each part and an empty one, then its
 * body, becomes a reply; and that is pushed in each format. */
#include <stdlib.h>
#include <string.h>

#include "broker/push/message.h"
#include "proto/headers/headers.h"
#include "proto/json/json.h"
#include "proto/mqtt/props.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { MAX = 100000 };

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* What goes out is lines of headers without anything that ends one, and reads as the event that it is. */
static void
check_request(const struct sq_push_message *m, enum sq_push_format format)
{
	struct sq_bytes rest = {sq_buf_data(&m->headers), sq_buf_len(&m->headers)}, name, value,
			type = {0};
	struct sq_ce again = {0};
	struct sq_ce_error err;

	while (sq_headers_next(&rest, &name, &value)) {
		must(name.len > 0 && value.len > 0);
		for (size_t i = 0; i < value.len; i++)
			must(value.p[i] >= 0x20 && value.p[i] != 0x7f);
		if (sq_bytes_are(name, "content-type"))
			type = value;
		if (format != SQ_PUSH_RAW)
			must(sq_ce_header(&again, name, value, &err) == SQ_OK);
	}
	must(type.len > 0 && m->body.p != NULL);
	if (format != SQ_PUSH_RAW && sq_ce_form(type) == SQ_CE_STRUCTURED)
		must(sq_ce_structured(&again, m->body, &err) == SQ_OK);
	else if (format != SQ_PUSH_RAW)
		must(sq_ce_binary(&again, type, m->body, &err) == SQ_OK);
	if (format != SQ_PUSH_RAW)
		must(again.id.len == m->event.id.len &&
		    memcmp(again.id.p, m->event.id.p, again.id.len) == 0);
	sq_ce_fini(&again);
}

static void
check_push(const struct sq_msg *msg)
{
	struct sq_declared_push push = {.url = (char *)"https://x.example/{topic}", .batch.max = 1};
	const struct sq_push_message_cfg cfg = {
	    .push = &push, .space = "s", .queue = "q", .install = "i", .now_s = 1};
	const struct sq_taken taken[] = {{.msg = msg, .qos = 1}, {.msg = msg, .qos = 1}};
	struct sq_push_message m = {0};
	struct sq_json_tokens none = {0};
	struct sq_json_error err;
	struct sq_buf why = {0};
	size_t culprit;

	for (int format = SQ_PUSH_BINARY; format <= SQ_PUSH_RAW; format++) {
		push.format = (enum sq_push_format)format;
		must(sq_push_message_make(&cfg, taken, 1, &m, &culprit, &why) == SQ_OK);
		check_request(&m, push.format);
	}
	push.batch.max = 2;
	must(sq_push_message_make(&cfg, taken, 2, &m, &culprit, &why) == SQ_OK);
	must(sq_json_read(&none, m.body, &err) == SQ_OK);
	sq_push_message_fini(&m);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const unsigned char *end = memmem(data, size, "\0\0", 2);
	size_t head = end != NULL ? (size_t)(end - data) + 1 : 0;
	const struct sq_push_answer_view view = {
	    {data, head}, {end != NULL ? end + 2 : data, size - head - (end != NULL)}};
	struct sq_msg asked = sq_msg_new(0, false, sq_bytes_of("a"), (struct sq_bytes){0},
			  SQ_MSG_NO_EXPIRY, (struct sq_bytes){0}),
		      reply = {0};
	const struct sq_taken to = {.msg = &asked};
	struct sq_buf why = {0};
	int rc = sq_push_reply(&view, "re/ply", &to, MAX, &reply, &why);

	must((rc == SQ_OK) == (reply.image != NULL));
	must((rc == SQ_EINVAL || rc == SQ_ETOOBIG) == (sq_buf_len(&why) > 0));
	if (rc == SQ_OK) {
		must(sq_image_size(reply.image) <= MAX &&
		    sq_image_check(reply.image, sq_image_size(reply.image)) == SQ_OK &&
		    sq_mqtt_props_check(sq_image_props(reply.image)) == SQ_OK);
		check_push(&reply);
		sq_msg_unref(&reply);
	}
	sq_msg_unref(&asked);
	sq_buf_fini(&why);
	return 0;
}
