/* The messages of a broker's answer (docs/http.md): an object each, whose payload is the publisher's bytes. */
#ifndef SQ_CLI_API_MESSAGE_H
#define SQ_CLI_API_MESSAGE_H

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

struct sq_api_message {
	struct sq_bytes object; /* as it came: a view of the answer */
	/* Texts; "" where there is none. */
	char *lease, *id, *topic, *type, *key, *order_key, *attempt;
	struct sq_buf payload;
};

/* Takes the messages of an answer apart, and calls 'each' with one after the other, until it returns
 * another number than 0, which is then returned.  SQ_EINVAL: the answer is none of messages; 'err' has
 * a line. */
int sq_api_messages(struct sq_bytes answer, int (*each)(void *arg, const struct sq_api_message *),
    void *arg, struct sq_buf *err) SQ_MUST_CHECK;
/* Appends "TOPIC PAYLOAD" and a line feed, safe for terminals. */
void sq_api_message_text(struct sq_buf *out, const struct sq_api_message *);
/* Appends the object in a line. */
void sq_api_message_json(struct sq_buf *out, const struct sq_api_message *);

#endif
