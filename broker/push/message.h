/* The request that a message, or a batch of them, becomes: headers and body.  Pure.  Thread: any. */
#ifndef SQ_BROKER_PUSH_MESSAGE_H
#define SQ_BROKER_PUSH_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "broker/subscriber/taker.h"
#include "core/buf.h"
#include "core/err.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/declaration/push.h"
#include "proto/webhook/webhook.h"

enum { SQ_PUSH_ID_TEXT = 27 }; /* of a message's id, base32 as in the API, with a NUL */

/* What goes out.  A zeroed struct is an empty one. */
struct sq_push_message {
	struct sq_buf url; /* ends with a NUL */
	/* "name: value" lines, each with a NUL behind it, for sq_out_request.headers. */
	struct sq_buf headers;
	struct sq_bytes body; /* of the message's payload, or of what follows */
	struct sq_buf text;
	struct sq_buf ids; /* of a batch: the id of each event, each with a NUL behind it */

	/* The rest is of the functions below. */
	struct sq_ce event;
	struct sq_buf source;
};

struct sq_push_message_cfg {
	const struct sq_declared_push *push;
	enum sq_push_validate validate; /* in place of the push's */
	const char *space, *queue, *install;
	const struct sq_webhook_keys *keys; /* NULL: not signed */
	const char *authorization;          /* "Bearer …", "Basic …"; NULL: none */
	const char *auth_value;             /* of push->auth.header; NULL: none */
	int64_t now_s;                      /* since 1970: webhook-timestamp */
};

/* Makes the request of messages: one, or up to batch.max.  But for webhook-timestamp, its signature and
 * sqmqos-attempt it is the same over all attempts of the same messages, and so are its ids: that of a
 * message, or one made of those of a batch's.  Templates are filled by the first message.  SQ_EINVAL or
 * SQ_ENOTFOUND, with a line in 'why': message 'culprit' can't be mapped (a template of URL or header has
 * nothing, or too much). */
int sq_push_message_make(const struct sq_push_message_cfg *, const struct sq_taken *, size_t n,
    struct sq_push_message *out, size_t *culprit, struct sq_buf *why) SQ_MUST_CHECK;
/* The same of an event that is none of a queue's: of `sqmqos push test`. */
int sq_push_message_test(const struct sq_push_message_cfg *, const char *id,
    struct sq_push_message *out, struct sq_buf *why) SQ_MUST_CHECK;
/* Empties it, wiped, and keeps its memory. */
void sq_push_message_reset(struct sq_push_message *);
void sq_push_message_fini(struct sq_push_message *);

/* Writes a message's id as text. */
void sq_push_id_text(const unsigned char id[16], char out[SQ_PUSH_ID_TEXT]);

/* The reply in an answer, as a message that is published: a CloudEvent in any form but a batch, or any
 * body, whose content type is the message's.  'topic' is given; what an event asks of us by extensions
 * is ignored.  It has the correlation data of the message 'to' which it replies, and its QoS, at least 1
 * and at most 2.  SQ_ENOTFOUND: neither an event nor a body; SQ_EINVAL, with a line in 'why': what says
 * that it is an event is none; SQ_ETOOBIG, with a line: it has more than 'max' bytes. */
struct sq_push_answer_view {
	struct sq_bytes headers; /* "name\0value\0", names in lower case */
	struct sq_bytes body;
};
int sq_push_reply(const struct sq_push_answer_view *, const char *topic, const struct sq_taken *to,
    size_t max, struct sq_msg *out, struct sq_buf *why) SQ_MUST_CHECK;

#endif
