/* broker/bridge/sqs/calls: what is asked, and what answers say. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "broker/bridge/sqs/calls.h"

static void
expect_text(struct sq_buf *b, const char *want)
{
	cr_expect(sq_bytes_are(sq_buf_bytes(b), want), "%.*s", (int)sq_buf_len(b),
	    (const char *)sq_buf_data(b));
	sq_buf_fini(b);
}

Test(sqs_calls, requests_are_json)
{
	struct sq_buf b = {0};

	cr_expect_str_eq(sq_sqs_target(SQ_SQS_SEND), "AmazonSQS.SendMessageBatch");
	sq_sqs_put_begin(&b, "http://h/1/q");
	sq_sqs_put_message(&b, 0, sq_bytes_of("\"MessageBody\":\"x\""));
	sq_sqs_put_message(&b, 1, sq_bytes_of("\"MessageBody\":\"y\""));
	sq_sqs_put_end(&b);
	expect_text(&b,
	    "{\"QueueUrl\":\"http://h/1/q\",\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"x\"},"
	    "{\"Id\":\"1\",\"MessageBody\":\"y\"}]}");
	sq_sqs_put_begin(&b, "u");
	sq_sqs_put_delete(&b, 0, sq_bytes_of("a\"b"));
	sq_sqs_put_visibility(&b, 1, sq_bytes_of("c"), 30);
	sq_sqs_put_end(&b);
	expect_text(&b,
	    "{\"QueueUrl\":\"u\",\"Entries\":[{\"Id\":\"0\",\"ReceiptHandle\":\"a\\\"b\"},"
	    "{\"Id\":\"1\",\"ReceiptHandle\":\"c\",\"VisibilityTimeout\":30}]}");
	sq_sqs_put_queue_url(&b, "q", "123456789012");
	expect_text(&b, "{\"QueueName\":\"q\",\"QueueOwnerAWSAccountId\":\"123456789012\"}");
}

static const struct {
	unsigned status;
	const char *body;
	enum sq_sqs_fault fault;
	const char *code;
} faults[] = {
    {200, "{}", SQ_SQS_DONE, ""},
    {400, "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\"}", SQ_SQS_MISSING,
	"QueueDoesNotExist"},
    {400, "{\"__type\":\"AWS.SimpleQueueService.NonExistentQueue\"}", SQ_SQS_MISSING,
	"AWS.SimpleQueueService.NonExistentQueue"},
    {400, "{\"__type\":\"com.amazonaws.sqs#RequestThrottled\"}", SQ_SQS_THROTTLED,
	"RequestThrottled"},
    {400, "{\"__type\":\"OverLimit\"}", SQ_SQS_THROTTLED, "OverLimit"},
    {400, "{\"__type\":\"com.amazon.coral.service#ExpiredTokenException\"}", SQ_SQS_CREDENTIALS,
	"ExpiredTokenException"},
    {403, "{\"__type\":\"InvalidSignatureException\"}", SQ_SQS_CREDENTIALS,
	"InvalidSignatureException"},
    {403, "{\"__type\":\"AccessDeniedException:http://x\"}", SQ_SQS_DENIED,
	"AccessDeniedException"},
    {403, "<html>", SQ_SQS_DENIED, "HTTP 403"},
    {400, "{\"__type\":\"BatchRequestTooLong\"}", SQ_SQS_LARGE, "BatchRequestTooLong"},
    {400, "{\"__type\":\"InvalidMessageContents\"}", SQ_SQS_MESSAGE, "InvalidMessageContents"},
    {400, "{\"__type\":\"New\\nThing\\u0000\"}", SQ_SQS_REFUSED, "NewThing"},
    {404, "not found", SQ_SQS_REFUSED, "HTTP 404"},
    {302, "", SQ_SQS_UNSURE, "HTTP 302"},
    {429, "", SQ_SQS_THROTTLED, "HTTP 429"},
    {500, "{\"__type\":\"InternalFailure\"}", SQ_SQS_UNSURE, "InternalFailure"},
    {503, "busy", SQ_SQS_THROTTLED, "HTTP 503"},
};

Test(sqs_calls, faults_are_known_by_their_codes)
{
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		struct sq_sqs_said said;

		sq_sqs_read_fault(faults[i].status, sq_bytes_of(faults[i].body), &said);
		cr_expect_eq((int)said.fault, (int)faults[i].fault, "%zu: %d", i, (int)said.fault);
		cr_expect_str_eq(said.code, faults[i].code);
	}
}

Test(sqs_calls, a_code_has_a_bound)
{
	char body[400];
	struct sq_sqs_said said;

	(void)snprintf(body, sizeof body, "{\"__type\":\"%0300d\"}", 1);
	sq_sqs_read_fault(400, sq_bytes_of(body), &said);
	cr_expect_eq(strlen(said.code), (size_t)SQ_SQS_CODE_MAX - 1);
}

Test(sqs_calls, each_entry_of_a_batch_has_its_outcome)
{
	struct sq_sqs_said said[SQ_SQS_BATCH_MAX];

	cr_assert_eq(
	    sq_sqs_read_batch(
		sq_bytes_of(
		    "{\"Successful\":[{\"Id\":\"3\",\"MD5OfMessageBody\":\"x\"},{\"Id\":\"0\"}],"
		    "\"Failed\":[{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"InvalidThing\"},"
		    "{\"Id\":\"4\",\"SenderFault\":false,\"Code\":\"InternalError\"},"
		    "{\"Id\":\"5\",\"SenderFault\":true,\"Code\":\"RequestThrottled\"}]}"),
		6, said),
	    SQ_OK);
	cr_expect_eq((int)said[0].fault, (int)SQ_SQS_DONE);
	cr_expect(said[1].fault == SQ_SQS_REFUSED && said[1].named);
	cr_expect_str_eq(said[1].code, "InvalidThing");
	cr_expect(said[2].fault == SQ_SQS_UNSURE && !said[2].named, "nothing was said of it");
	cr_expect_eq((int)said[3].fault, (int)SQ_SQS_DONE);
	cr_expect(said[4].fault == SQ_SQS_UNSURE && said[4].named);
	cr_expect_eq((int)said[5].fault, (int)SQ_SQS_THROTTLED);
}

Test(sqs_calls, what_is_no_answer_to_a_batch_is_none)
{
	static const char *const bad[] = {"", "[]", "{", "{\"Successful\":{}}",
	    "{\"Successful\":[1]}", "{\"Successful\":[{}]}", "{\"Successful\":[{\"Id\":\"2\"}]}",
	    "{\"Successful\":[{\"Id\":0}]}", "{\"Successful\":[],\"Successful\":[]}",
	    "{\"Failed\":[{\"Id\":\"x\"}]}"};
	struct sq_sqs_said said[SQ_SQS_BATCH_MAX];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cr_expect_eq(
		    sq_sqs_read_batch(sq_bytes_of(bad[i]), 2, said), SQ_EINVAL, "%s", bad[i]);
		cr_expect_eq((int)said[1].fault, (int)SQ_SQS_UNSURE);
	}
	cr_expect_eq(sq_sqs_read_batch(sq_bytes_of("{\"Failed\":null}"), 2, said), SQ_OK);
}

Test(sqs_calls, messages_are_read)
{
	struct sq_sqs_messages m = {0};
	struct sq_buf many = {0};

	cr_expect_eq(sq_sqs_read_messages(sq_bytes_of("{}"), &m), SQ_OK);
	cr_expect_eq(m.n, 0U);
	cr_expect_eq(
	    sq_sqs_read_messages(
		sq_bytes_of(
		    "{\"Messages\":[{\"MessageId\":\"a\",\"ReceiptHandle\":\"b\",\"Body\":\"c\","
		    "\"MD5OfBody\":null,\"Attributes\":null,\"MessageAttributes\":{}}]}"),
		&m),
	    SQ_OK);
	cr_expect(m.n == 1 && m.v[0].md5 == 0 && m.v[0].system == 0 && m.v[0].attributes != 0);
	cr_expect_eq(
	    sq_sqs_read_messages(sq_bytes_of("{\"Messages\":[{\"MessageId\":\"a\"}]}"), &m),
	    SQ_EINVAL);
	sq_buf_printf(&many, "{\"Messages\":[");
	for (int i = 0; i < 11; i++)
		sq_buf_printf(&many,
		    "%s{\"MessageId\":\"a\",\"ReceiptHandle\":\"b\",\"Body\":\"c\"}",
		    i > 0 ? "," : "");
	sq_buf_printf(&many, "]}");
	cr_expect_eq(
	    sq_sqs_read_messages(sq_buf_bytes(&many), &m), SQ_EINVAL, "more than were asked for");
	sq_buf_fini(&many);
	sq_sqs_messages_fini(&m);
}

Test(sqs_calls, a_damaged_body_is_seen)
{
	cr_expect(
	    sq_sqs_body_whole(sq_bytes_of("x"), sq_bytes_of("9dd4e461268c8034f5c8564e155c67a6")));
	cr_expect(sq_sqs_body_whole(sq_bytes_of("x"), (struct sq_bytes){0}));
	cr_expect_not(
	    sq_sqs_body_whole(sq_bytes_of("y"), sq_bytes_of("9dd4e461268c8034f5c8564e155c67a6")));
	cr_expect_not(sq_sqs_body_whole(sq_bytes_of("x"), sq_bytes_of("9d")));
}
