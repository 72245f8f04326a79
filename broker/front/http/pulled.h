/* Messages that a queue has handed out, as answers have them (docs/http.md, "Receive").  Pure. */
#ifndef SQ_BROKER_FRONT_HTTP_PULLED_H
#define SQ_BROKER_FRONT_HTTP_PULLED_H

#include <stddef.h>

#include "broker/port/queue.h"
#include "core/buf.h"

/* Appends a message as a JSON object. */
void sq_http_pulled_json(const struct sq_pulled *, struct sq_buf *out);
/* Appends a dead letter of the space as a JSON object: its own queue and number, then where, why and when
 * the message died, and the message as it was. */
void sq_http_pulled_letter(const struct sq_pulled *, const char *space, struct sq_buf *out);
/* Appends a message as a CloudEvent: the one that it is, or one about it. */
void sq_http_pulled_event(const struct sq_pulled *, struct sq_buf *out);

/* The media type of the payload as the body of an answer: the message's, if a header can have it. */
struct sq_bytes sq_http_pulled_type(const struct sq_pulled *);
/* Hands on the message without its payload as headers, those of a publish where there are such.  The
 * texts are good for the time of put().  A byte that no header can have is '?'. */
void sq_http_pulled_headers(const struct sq_pulled *,
    void (*put)(void *arg, const char *name, struct sq_bytes value), void *arg);
/* The same of what its publisher has said of a message: QoS, tags, properties and the like. */
void sq_http_pulled_said(const struct sq_msg *,
    void (*put)(void *arg, const char *name, struct sq_bytes value), void *arg);

#endif
