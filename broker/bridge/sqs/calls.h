/* Calls of SQS in JSON (AWS JSON 1.0): what is asked, and what the answers say.  Pure.  Thread: any. */
#ifndef SQ_BROKER_BRIDGE_SQS_CALLS_H
#define SQ_BROKER_BRIDGE_SQS_CALLS_H

#include "broker/bridge/sqs/text.h"
#include "core/buf.h"
#include "core/err.h"
#include "proto/json/json.h"

enum sq_sqs_action {
	SQ_SQS_SEND,
	SQ_SQS_RECEIVE,
	SQ_SQS_DELETE,
	SQ_SQS_VISIBILITY,
	SQ_SQS_QUEUE_URL,
};

/* The header X-Amz-Target. */
const char *sq_sqs_target(enum sq_sqs_action);

/* --- what is asked; each appends --- */

/* {"QueueUrl":"...","Entries":[ ... ]}: of SEND, DELETE and VISIBILITY. */
void sq_sqs_put_begin(struct sq_buf *, const char *queue_url);
/* The next entry, "i" its Id; 'members' of a message (map_out.h). */
void sq_sqs_put_message(struct sq_buf *, unsigned i, struct sq_bytes members);
void sq_sqs_put_delete(struct sq_buf *, unsigned i, struct sq_bytes handle);
void
sq_sqs_put_visibility(struct sq_buf *, unsigned i, struct sq_bytes handle, unsigned visibility_s);
void sq_sqs_put_end(struct sq_buf *);
void sq_sqs_put_receive(
    struct sq_buf *, const char *queue_url, unsigned n, unsigned wait_s, unsigned visibility_s);
void sq_sqs_put_queue_url(struct sq_buf *, const char *name, const char *account);

/* --- what has become of a call --- */

enum sq_sqs_fault {
	SQ_SQS_DONE,
	SQ_SQS_THROTTLED,   /* too often, or too much is in flight */
	SQ_SQS_CREDENTIALS, /* expired, or unknown: others may do */
	SQ_SQS_DENIED,
	SQ_SQS_MISSING, /* the queue */
	SQ_SQS_LARGE,   /* the batch as a whole */
	SQ_SQS_GONE,    /* the handle of a message is no longer good */
	SQ_SQS_MESSAGE, /* the message itself is refused */
	SQ_SQS_REFUSED, /* another fault of ours: of the configuration, it seems */
	SQ_SQS_AWAY,    /* it was never sent */
	SQ_SQS_UNSURE,  /* a fault of theirs, or no answer of SQS: it may be done all the same */
};

enum { SQ_SQS_CODE_MAX = 80 };

/* Of an answer, or of an entry of one. */
struct sq_sqs_said {
	enum sq_sqs_fault fault;
	bool named;                 /* an entry that was said to have failed */
	char code[SQ_SQS_CODE_MAX]; /* "QueueDoesNotExist"; letters, digits and '.' */
};

/* What an answer of HTTP says. */
void sq_sqs_read_fault(unsigned status, struct sq_bytes answer, struct sq_sqs_said *out);
/* What became of each of the 'n' entries of a batch, by their Ids; of one that is named neither as done
 * nor as failed it is UNSURE.  SQ_EINVAL: that is no answer. */
int sq_sqs_read_batch(
    struct sq_bytes answer, unsigned n, struct sq_sqs_said out[SQ_SQS_BATCH_MAX]) SQ_MUST_CHECK;
/* The URL of a queue, NUL-terminated, in 'out'. */
int sq_sqs_read_queue_url(struct sq_bytes answer, struct sq_buf *out) SQ_MUST_CHECK;

/* --- messages --- */

enum { SQ_SQS_TOKENS_MAX = 8192 }; /* values of an answer */

/* A message of an answer: indices of tokens, 0: not there.  'id', 'handle' and 'body' are there. */
struct sq_sqs_received {
	uint32_t id, handle, body, md5, system, attributes;
};

/* An answer that is read; a zeroed struct is an empty one.  Good as long as the answer. */
struct sq_sqs_messages {
	struct sq_json_tokens tokens;
	struct sq_sqs_received v[SQ_SQS_BATCH_MAX];
	unsigned n;
};

/* SQ_EINVAL: that is no answer, or has more than it may. */
int sq_sqs_read_messages(struct sq_bytes answer, struct sq_sqs_messages *) SQ_MUST_CHECK;
void sq_sqs_messages_fini(struct sq_sqs_messages *);
/* Whether the body is that of which the peer says the MD5, as hex digits; true where it says none. */
bool sq_sqs_body_whole(struct sq_bytes body, struct sq_bytes md5);

#endif
