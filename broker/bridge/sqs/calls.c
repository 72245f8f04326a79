/* See broker/bridge/sqs/calls.h. */
#include "broker/bridge/sqs/calls.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "proto/json/write.h"

enum {
	BATCH_TOKENS = 512, /* values of the answer to a batch */
	FAULT_TOKENS = 64,
	MD5_DIGITS = 32,
};

static const char *const targets[] = {
    [SQ_SQS_SEND] = "AmazonSQS.SendMessageBatch",
    [SQ_SQS_RECEIVE] = "AmazonSQS.ReceiveMessage",
    [SQ_SQS_DELETE] = "AmazonSQS.DeleteMessageBatch",
    [SQ_SQS_VISIBILITY] = "AmazonSQS.ChangeMessageVisibilityBatch",
    [SQ_SQS_QUEUE_URL] = "AmazonSQS.GetQueueUrl",
};

const char *
sq_sqs_target(enum sq_sqs_action action)
{
	return targets[action];
}

/* --- what is asked --- */

void
sq_sqs_put_begin(struct sq_buf *out, const char *queue_url)
{
	sq_json_put_raw(out, "{\"QueueUrl\":");
	sq_json_put_string(out, sq_bytes_of(queue_url));
	sq_json_put_raw(out, ",\"Entries\":[");
}

static void
put_id(struct sq_buf *out, unsigned i)
{
	sq_buf_printf(out, "%s{\"Id\":\"%u\",", i > 0 ? "," : "", i);
}

static void
put_handle(struct sq_buf *out, struct sq_bytes handle)
{
	sq_json_put_raw(out, "\"ReceiptHandle\":");
	sq_json_put_string(out, handle);
}

void
sq_sqs_put_message(struct sq_buf *out, unsigned i, struct sq_bytes members)
{
	put_id(out, i);
	sq_buf_append(out, members.p, members.len);
	sq_buf_u8(out, '}');
}

void
sq_sqs_put_delete(struct sq_buf *out, unsigned i, struct sq_bytes handle)
{
	put_id(out, i);
	put_handle(out, handle);
	sq_buf_u8(out, '}');
}

void
sq_sqs_put_visibility(struct sq_buf *out, unsigned i, struct sq_bytes handle, unsigned visibility_s)
{
	put_id(out, i);
	put_handle(out, handle);
	sq_buf_printf(out, ",\"VisibilityTimeout\":%u}", visibility_s);
}

void
sq_sqs_put_end(struct sq_buf *out)
{
	sq_json_put_raw(out, "]}");
}

void
sq_sqs_put_receive(
    struct sq_buf *out, const char *queue_url, unsigned n, unsigned wait_s, unsigned visibility_s)
{
	sq_json_put_raw(out, "{\"QueueUrl\":");
	sq_json_put_string(out, sq_bytes_of(queue_url));
	sq_buf_printf(out,
	    ",\"MaxNumberOfMessages\":%u,\"WaitTimeSeconds\":%u,\"VisibilityTimeout\":%u,"
	    "\"AttributeNames\":[\"All\"],\"MessageAttributeNames\":[\"All\"]}",
	    n, wait_s, visibility_s);
}

void
sq_sqs_put_queue_url(struct sq_buf *out, const char *name, const char *account)
{
	sq_json_put_raw(out, "{\"QueueName\":");
	sq_json_put_string(out, sq_bytes_of(name));
	if (account != NULL) {
		sq_json_put_raw(out, ",\"QueueOwnerAWSAccountId\":");
		sq_json_put_string(out, sq_bytes_of(account));
	}
	sq_buf_u8(out, '}');
}

/* --- faults --- */

/* What SQS calls its faults, in its two ways: of JSON, and of the older protocol, which stands in a
 * header and in entries.  What is here neither is REFUSED or UNSURE. */
static const struct {
	const char *code;
	enum sq_sqs_fault fault;
} codes[] = {
    {"AccessDenied", SQ_SQS_DENIED},
    {"AccessDeniedException", SQ_SQS_DENIED},
    {"BatchRequestTooLong", SQ_SQS_LARGE},
    {"ExpiredToken", SQ_SQS_CREDENTIALS},
    {"ExpiredTokenException", SQ_SQS_CREDENTIALS},
    {"IncompleteSignature", SQ_SQS_CREDENTIALS},
    {"IncompleteSignatureException", SQ_SQS_CREDENTIALS},
    {"InvalidAttributeValue", SQ_SQS_MESSAGE},
    {"InvalidClientTokenId", SQ_SQS_CREDENTIALS},
    {"InvalidMessageContents", SQ_SQS_MESSAGE},
    {"InvalidParameterValue", SQ_SQS_MESSAGE},
    {"InvalidParameterValueException", SQ_SQS_MESSAGE},
    {"InvalidSecurity", SQ_SQS_CREDENTIALS},
    {"InvalidSignatureException", SQ_SQS_CREDENTIALS},
    {"KmsThrottled", SQ_SQS_THROTTLED},
    {"MissingAuthenticationToken", SQ_SQS_CREDENTIALS},
    {"MissingAuthenticationTokenException", SQ_SQS_CREDENTIALS},
    {"NonExistentQueue", SQ_SQS_MISSING},
    {"NotAuthorized", SQ_SQS_DENIED},
    {"OptInRequired", SQ_SQS_DENIED},
    {"OverLimit", SQ_SQS_THROTTLED},
    {"QueueDeletedRecently", SQ_SQS_MISSING},
    {"QueueDoesNotExist", SQ_SQS_MISSING},
    {"ReceiptHandleIsInvalid", SQ_SQS_GONE},
    {"MessageNotInflight", SQ_SQS_GONE},
    {"RequestExpired", SQ_SQS_CREDENTIALS},
    {"RequestThrottled", SQ_SQS_THROTTLED},
    {"ServiceUnavailable", SQ_SQS_THROTTLED},
    {"SignatureDoesNotMatch", SQ_SQS_CREDENTIALS},
    {"Throttling", SQ_SQS_THROTTLED},
    {"ThrottlingException", SQ_SQS_THROTTLED},
    {"TooManyRequestsException", SQ_SQS_THROTTLED},
    {"UnrecognizedClientException", SQ_SQS_CREDENTIALS},
};

/* Keeps a code, without what stands before it ("com.amazonaws.sqs#", "AWS.SimpleQueueService."). */
static void
fault_code(struct sq_bytes text, struct sq_sqs_said *out)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = text.p[i];

		if (c == '#') {
			n = 0;
			continue;
		}
		if (c == ';' || c == ':')
			break;
		if (n + 1 < sizeof out->code &&
		    ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '.'))
			out->code[n++] = (char)c;
	}
	out->code[n] = '\0';
}

static enum sq_sqs_fault
fault_of(const struct sq_sqs_said *said, bool ours)
{
	const char *code = said->code;
	static const char old[] = "AWS.SimpleQueueService.";

	if (strncmp(code, old, sizeof old - 1) == 0)
		code += sizeof old - 1;
	for (size_t i = 0; i < SQ_ARRAY_LEN(codes); i++)
		if (strcasecmp(codes[i].code, code) == 0)
			return codes[i].fault;
	return ours ? SQ_SQS_REFUSED : SQ_SQS_UNSURE;
}

/* The string that a member of an object has, in 'out'; empty: none. */
static void
member_string(const struct sq_json_tokens *t, uint32_t object, const char *name, struct sq_buf *out)
{
	struct sq_json_error err;
	uint32_t at;

	sq_buf_drain(out, sq_buf_len(out));
	if (sq_json_members(t, object, &name, 1, &at, &err) == SQ_OK && at != 0 &&
	    t->at[at].type == SQ_JSON_STRING)
		sq_json_unescape(t, at, out);
}

void
sq_sqs_read_fault(unsigned status, struct sq_bytes answer, struct sq_sqs_said *out)
{
	struct sq_json_token room[FAULT_TOKENS];
	struct sq_json_tokens t = {.at = room, .room = FAULT_TOKENS, .depth = 1};
	struct sq_json_error err;
	struct sq_buf text = {0};

	*out = (struct sq_sqs_said){.fault = SQ_SQS_DONE};
	if (status == 200)
		return;
	if (sq_json_read(&t, answer, &err) == SQ_OK && t.at[0].type == SQ_JSON_OBJECT) {
		member_string(&t, 0, "__type", &text);
		fault_code(sq_buf_bytes(&text), out);
	}
	sq_buf_fini(&text);
	if (out->code[0] == '\0')
		(void)snprintf(out->code, sizeof out->code, "HTTP %u", status);
	out->fault = fault_of(out, status >= 400 && status < 500);
	if (out->fault == SQ_SQS_REFUSED && (status == 429 || status == 408))
		out->fault = SQ_SQS_THROTTLED;
	if (out->fault == SQ_SQS_REFUSED && status == 403)
		out->fault = SQ_SQS_DENIED;
	if (out->fault == SQ_SQS_UNSURE && status == 503)
		out->fault = SQ_SQS_THROTTLED;
}

/* --- batches --- */

/* The entry that an Id names; 'n': none. */
static unsigned
batch_entry(const struct sq_json_tokens *t, uint32_t id, unsigned n)
{
	char text[12];

	if (id == 0 || t->at[id].type != SQ_JSON_STRING)
		return n;
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(text, sizeof text, "%u", i);
		if (sq_json_equals(t, id, sq_bytes_of(text)))
			return i;
	}
	return n;
}

static void
batch_failed(const struct sq_json_tokens *t, const uint32_t found[3], struct sq_sqs_said *out)
{
	bool ours = found[1] != 0 && t->at[found[1]].type == SQ_JSON_TRUE;
	struct sq_buf code = {0};

	if (found[2] != 0 && t->at[found[2]].type == SQ_JSON_STRING)
		sq_json_unescape(t, found[2], &code);
	fault_code(sq_buf_bytes(&code), out);
	sq_buf_fini(&code);
	out->fault = fault_of(out, ours);
	out->named = true;
}

/* Takes up a list of entries; false: it is none. */
static bool
batch_list(const struct sq_json_tokens *t, uint32_t list, bool good, unsigned n,
    struct sq_sqs_said out[SQ_SQS_BATCH_MAX])
{
	static const char *const names[] = {"Id", "SenderFault", "Code"};
	struct sq_json_error err;
	uint32_t found[3];

	if (list == 0 || t->at[list].type == SQ_JSON_NULL)
		return true;
	if (t->at[list].type != SQ_JSON_ARRAY)
		return false;
	for (uint32_t i = sq_json_first(t, list); i != 0; i = sq_json_next(t, list, i)) {
		unsigned entry;

		if (t->at[i].type != SQ_JSON_OBJECT ||
		    sq_json_members(t, i, names, 3, found, &err) != SQ_OK)
			return false;
		entry = batch_entry(t, found[0], n);
		if (entry == n)
			return false;
		if (good)
			out[entry] = (struct sq_sqs_said){.fault = SQ_SQS_DONE};
		else
			batch_failed(t, found, &out[entry]);
	}
	return true;
}

int
sq_sqs_read_batch(struct sq_bytes answer, unsigned n, struct sq_sqs_said out[SQ_SQS_BATCH_MAX])
{
	static const char *const names[] = {"Successful", "Failed"};
	struct sq_json_token room[BATCH_TOKENS];
	struct sq_json_tokens t = {.at = room, .room = BATCH_TOKENS, .depth = 3};
	struct sq_json_error err;
	uint32_t found[2];

	for (unsigned i = 0; i < n; i++)
		out[i] = (struct sq_sqs_said){.fault = SQ_SQS_UNSURE, .code = "no answer"};
	if (sq_json_read(&t, answer, &err) != SQ_OK || t.at[0].type != SQ_JSON_OBJECT ||
	    sq_json_members(&t, 0, names, 2, found, &err) != SQ_OK)
		return SQ_EINVAL;
	/* Nothing is done that the rest says failed. */
	return batch_list(&t, found[0], true, n, out) && batch_list(&t, found[1], false, n, out)
	    ? SQ_OK
	    : SQ_EINVAL;
}

int
sq_sqs_read_queue_url(struct sq_bytes answer, struct sq_buf *out)
{
	struct sq_json_token room[FAULT_TOKENS];
	struct sq_json_tokens t = {.at = room, .room = FAULT_TOKENS, .depth = 1};
	struct sq_json_error err;

	if (sq_json_read(&t, answer, &err) != SQ_OK || t.at[0].type != SQ_JSON_OBJECT)
		return SQ_EINVAL;
	member_string(&t, 0, "QueueUrl", out);
	if (!sq_sqs_text_good(sq_buf_bytes(out)))
		return SQ_EINVAL;
	sq_buf_u8(out, '\0');
	return SQ_OK;
}

/* --- messages --- */

static bool
received_is(const struct sq_json_tokens *t, uint32_t i, enum sq_json_type type, bool needed)
{
	return i == 0 ? !needed
		      : t->at[i].type == type || (!needed && t->at[i].type == SQ_JSON_NULL);
}

static bool
received_read(const struct sq_json_tokens *t, uint32_t message, struct sq_sqs_received *out)
{
	static const char *const names[] = {
	    "MessageId", "ReceiptHandle", "Body", "MD5OfBody", "Attributes", "MessageAttributes"};
	struct sq_json_error err;
	uint32_t f[6];

	if (t->at[message].type != SQ_JSON_OBJECT ||
	    sq_json_members(t, message, names, 6, f, &err) != SQ_OK)
		return false;
	for (unsigned i = 0; i < 6; i++) {
		if (!received_is(t, f[i], i < 4 ? SQ_JSON_STRING : SQ_JSON_OBJECT, i < 3))
			return false;
		if (f[i] != 0 && t->at[f[i]].type == SQ_JSON_NULL)
			f[i] = 0;
	}
	*out = (struct sq_sqs_received){f[0], f[1], f[2], f[3], f[4], f[5]};
	return true;
}

int
sq_sqs_read_messages(struct sq_bytes answer, struct sq_sqs_messages *m)
{
	static const char *const names[] = {"Messages"};
	struct sq_json_tokens *t = &m->tokens;
	struct sq_json_error err;
	uint32_t list;

	m->n = 0;
	if (t->at == NULL)
		t->at = sq_xmalloc(SQ_SQS_TOKENS_MAX * sizeof *t->at);
	t->room = SQ_SQS_TOKENS_MAX;
	t->depth = 5; /* the answer, its messages, one, its attributes, one */
	if (sq_json_read(t, answer, &err) != SQ_OK || t->at[0].type != SQ_JSON_OBJECT ||
	    sq_json_members(t, 0, names, 1, &list, &err) != SQ_OK)
		return SQ_EINVAL;
	if (list == 0 || t->at[list].type == SQ_JSON_NULL)
		return SQ_OK;
	if (t->at[list].type != SQ_JSON_ARRAY)
		return SQ_EINVAL;
	for (uint32_t i = sq_json_first(t, list); i != 0; i = sq_json_next(t, list, i))
		if (m->n == SQ_SQS_BATCH_MAX || !received_read(t, i, &m->v[m->n++]))
			return SQ_EINVAL;
	return SQ_OK;
}

void
sq_sqs_messages_fini(struct sq_sqs_messages *m)
{
	free(m->tokens.at);
	*m = (struct sq_sqs_messages){0};
}

bool
sq_sqs_body_whole(struct sq_bytes body, struct sq_bytes md5)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	char hex[MD5_DIGITS + 1];

	/* Where only approved hashes are allowed there is none. */
	if (md5.len == 0 || EVP_Digest(body.p, body.len, md, NULL, EVP_md5(), NULL) != 1)
		return true;
	for (unsigned i = 0; i < MD5_DIGITS / 2; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", md[i]);
	return md5.len == MD5_DIGITS && strncasecmp((const char *)md5.p, hex, MD5_DIGITS) == 0;
}
