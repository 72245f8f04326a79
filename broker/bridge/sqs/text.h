/* Texts as SQS has them.  Pure.  Thread: any. */
#ifndef SQ_BROKER_BRIDGE_SQS_TEXT_H
#define SQ_BROKER_BRIDGE_SQS_TEXT_H

#include <stdbool.h>

#include "core/msg.h"

/* What is there of a message only on its way through SQS. */
#define SQ_SQS_TYPE "content-type"
#define SQ_SQS_TAGS "sqmqos-tags"             /* ["red","blue"] */
#define SQ_SQS_PROPERTIES "sqmqos-properties" /* {"name":"value","twice":["1","2"]} */
#define SQ_SQS_ENCODING "sqmqos-encoding"     /* of the body: one of these */
#define SQ_SQS_BASE64 "base64"
#define SQ_SQS_EMPTY "empty" /* nothing, though no body can be so */
/* Among the properties, beside SQ_CARRY_PAYLOAD_FORMAT. */
#define SQ_SQS_EXPIRES "sqmqos-expires" /* RFC 3339 */

enum {
	SQ_SQS_GROUP_MAX = 128,       /* bytes of a MessageGroupId, or of an id of deduplication */
	SQ_SQS_BATCH_MAX = 10,        /* entries of a call */
	SQ_SQS_MESSAGE_MAX = 1 << 20, /* bytes of a message */
};

/* Whether it may be a body or a value: not empty, UTF-8, of characters that XML 1.0 has. */
bool sq_sqs_text_good(struct sq_bytes);
/* Writes it as the id of a group: as it is, if it is one (letters, digits and punctuation of ASCII), else
 * "h-" and a hash. */
void sq_sqs_group(struct sq_bytes, char out[SQ_SQS_GROUP_MAX + 1]);

#endif
