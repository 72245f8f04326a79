/* CloudEvents 1.0.2: an event out of HTTP's binary form, JSON's structured form, or a message that
 * is one by the MQTT binding, and into each of them.
 *
 *      HTTP headers, body  ──▶ ┌──────────────┐ ──▶ user properties, content type, payload
 *      application/…+json  ──▶ │ struct sq_ce │ ──▶ application/cloudevents+json
 *      message (MQTT 5)    ──▶ └──────────────┘ ──▶ HTTP headers, body
 *
 * The data goes through byte for byte.  Attributes are kept as text (the standard's canonical
 * string encoding), in the order in which they came; what an event says to a broker of ours
 * (extensions sqmqostopic and so on) comes out apart, and is no property of the message.
 *
 * Pure: no clock, no socket.  Thread: any, one at a time per event. */
#ifndef SQ_PROTO_CLOUDEVENTS_CLOUDEVENTS_H
#define SQ_PROTO_CLOUDEVENTS_CLOUDEVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"
#include "proto/json/json.h"

enum {
	SQ_CE_ATTRIBUTES_MAX = 64, /* of an event */
	SQ_CE_SHOWN_MAX = 64,      /* bytes of an attribute's name in an error */
};

/* The media type of an event as a whole, and of several. */
#define SQ_CE_TYPE_JSON "application/cloudevents+json"
#define SQ_CE_TYPE_BATCH "application/cloudevents-batch+json"
#define SQ_CE_HEADER_PREFIX "ce-"

/* Why an input is no event. */
struct sq_ce_error {
	bool malformed;                      /* it is no JSON at all, as 'offset' says */
	size_t offset;                       /* of malformed JSON: the byte that is wrong */
	char attribute[SQ_CE_SHOWN_MAX + 1]; /* which one, its name cut; "": the event as a whole */
	const char *why;                     /* static; the rule, for people */
};

/* What an event asks of a broker of ours: texts of its extensions, views as below; empty: not there. */
struct sq_ce_asked {
	struct sq_bytes topic;     /* sqmqostopic */
	struct sq_bytes ttl;       /* sqmqosttl, as in the header sqmqos-ttl */
	struct sq_bytes delay;     /* sqmqosdelay */
	struct sq_bytes tags;      /* sqmqostags, with commas between them */
	struct sq_bytes order_key; /* sqmqosorderkey, else partitionkey; a property, too */
};

/* An event.  A zeroed struct is an empty one.  Once a reader returned 0 the views are good until the
 * next call of a reader, sq_ce_reset() or sq_ce_fini(), and as long as the reader's input. */
struct sq_ce {
	struct sq_bytes id, source, type; /* never empty */
	struct sq_bytes subject;          /* empty: none */
	struct sq_bytes content_type;     /* of the data; empty: not said */
	struct sq_bytes payload;          /* the data; .p is NULL where there is none */
	struct sq_ce_asked asked;
	int64_t expires_ms; /* expirytime, since 1970; INT64_MAX: none */

	/* The rest is of the functions below. */
	struct sq_buf attributes; /* all, as user properties of MQTT 5 */
	struct sq_buf text;       /* a value without its encoding */
	struct sq_buf data;       /* decoded data */
	unsigned n;
};

/* Makes it empty, and keeps its memory for the next event. */
void sq_ce_reset(struct sq_ce *);
void sq_ce_fini(struct sq_ce *);

/* ---- readers.  SQ_EINVAL, with '*err': the input is no event, which is then empty. */

/* Binary form of HTTP (HTTP binding §3.1): takes a header of a request into an empty event, where
 * its name, in lower case, begins with "ce-"; others are passed over. */
int sq_ce_header(struct sq_ce *, struct sq_bytes name, struct sq_bytes value,
    struct sq_ce_error *err) SQ_MUST_CHECK;
/* After the last header: 'content_type' is the request's (empty: none), 'body' the data. */
int sq_ce_binary(struct sq_ce *, struct sq_bytes content_type, struct sq_bytes body,
    struct sq_ce_error *err) SQ_MUST_CHECK;

/* Structured form (JSON format §3): one event.  What is JSON data stays as it is in 'json'. */
int sq_ce_structured(struct sq_ce *, struct sq_bytes json, struct sq_ce_error *err) SQ_MUST_CHECK;

/* Several (JSON format §4): 'tokens' are read with a depth of 1, the elements of token 0 are
 * the events; sq_ce_structured() reads sq_json_raw() of each, and says of each what is wrong.
 * SQ_ETOOBIG: more than there are tokens for. */
int sq_ce_batch(
    struct sq_json_tokens *tokens, struct sq_bytes json, struct sq_ce_error *err) SQ_MUST_CHECK;

/* A message that is an event (MQTT binding §3): has the four required attributes as user
 * properties, or is the structured form.  User properties that can't be attributes are passed over,
 * of several of one name the first is taken.  'props' is the property block of an image.
 * SQ_ENOTFOUND: it is none. */
int sq_ce_message(struct sq_ce *, struct sq_bytes props, struct sq_bytes payload) SQ_MUST_CHECK;

/* As sq_ce_message(), for one to whom the message is handed out: SQ_ENOTFOUND, too, where it has an
 * attribute that the broker alone says, as sq_ce_json_told() does. */
int sq_ce_handed(struct sq_ce *, struct sq_bytes props, struct sq_bytes payload) SQ_MUST_CHECK;

/* What an event about a message that is none says. */
struct sq_ce_about {
	struct sq_bytes id, source, type; /* good ones, each of at most 65,535 bytes */
	/* Empty: none.  What can't be an attribute is left out. */
	struct sq_bytes subject, order_key, content_type, traceparent, tracestate;
	uint64_t time_ms; /* since 1970; 0: not said */
	struct sq_bytes payload;
};
/* Makes it the event. */
void sq_ce_about(struct sq_ce *, const struct sq_ce_about *);

/* ---- writers; each appends. */

/* The user properties of the message (MQTT binding §3.1.3): all attributes but the content type and
 * what is asked of us. */
void sq_ce_props(const struct sq_ce *, struct sq_buf *out);
/* One event in JSON.  Data of a JSON type that is JSON is a value, text a string, else base64. */
void sq_ce_json(const struct sq_ce *, struct sq_buf *out);
/* The same with what the broker says of the message, as extensions. */
struct sq_ce_told {
	struct sq_bytes topic; /* sqmqostopic */
	uint32_t attempt;      /* sqmqosattempt; 0: not said */
	const char *lease;     /* sqmqoslease; NULL: none */
};
void sq_ce_json_told(const struct sq_ce *, const struct sq_ce_told *, struct sq_buf *out);
/* Takes the next attribute off '*rest', which is sq_ce_attributes() at first, without the content
 * type.  False: there are no more. */
struct sq_bytes sq_ce_attributes(const struct sq_ce *);
bool sq_ce_next(struct sq_bytes *rest, struct sq_bytes *name, struct sq_bytes *value);
/* The name of the first attribute that begins with "sqmqos" and is no extension of ours, as one that
 * is misspelt; empty: there is none. */
struct sq_bytes sq_ce_stray(const struct sq_ce *);
/* A value as that of a header (HTTP binding §3.1.3.2). */
void sq_ce_header_value(struct sq_buf *out, struct sq_bytes value);
/* What is unique to the event: its source and its id, with a space between them, which no source
 * has. */
void sq_ce_key(const struct sq_ce *, struct sq_buf *out);
/* The topic of a template, whose {ce.type}, {ce.source} and {ce.subject} become the event's; what a
 * level can't have becomes '_', and so does an attribute that is not there.  SQ_ETOOBIG, with
 * nothing appended: longer than a topic may be. */
int sq_ce_topic(const struct sq_ce *, const char *tmpl, struct sq_buf *out) SQ_MUST_CHECK;

/* ---- checks */

/* Whether a template is one: SQ_EINVAL, with '*why', a static sentence. */
int sq_ce_topic_check(const char *tmpl, const char **why) SQ_MUST_CHECK;

enum sq_ce_form {
	SQ_CE_OTHER,      /* no media type of CloudEvents: an event only by its headers */
	SQ_CE_STRUCTURED, /* SQ_CE_TYPE_JSON */
	SQ_CE_BATCH,      /* SQ_CE_TYPE_BATCH */
	SQ_CE_UNKNOWN,    /* another format of CloudEvents */
};

/* The form that a content type says. */
enum sq_ce_form sq_ce_form(struct sq_bytes content_type);

#endif
