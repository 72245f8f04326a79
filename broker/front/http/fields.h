/* The headers of a publish, and the message that they make of a topic and a body (docs/http.md,
 * "Headers of a publish").
 *
 * Strict: a header whose name starts with "sqmqos-" and that is not known, one that stands twice, and
 * a value that does not read are problems.  Options that the broker carries out become the user
 * properties that an MQTT publisher would write (proto/props/names.h); the broker judges their values
 * as it judges a client's.  Pure: the time comes in as an argument. */
#ifndef SQ_BROKER_FRONT_HTTP_FIELDS_H
#define SQ_BROKER_FRONT_HTTP_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/front/http/problem.h"
#include "core/buf.h"
#include "core/msg.h"

enum {
	SQ_HTTP_KEY_MAX = 256,       /* bytes of an idempotency key, or of an order key */
	SQ_HTTP_ASSURED = 3,         /* QoS 3: an image of QoS 2 and a user property */
	SQ_HTTP_HEADERS_MAX = 32768, /* bytes of the headers of a request */
};

struct sq_http_header {
	struct sq_bytes name; /* in lower case */
	struct sq_bytes value;
};

struct sq_http_fields {
	unsigned qos;   /* 0 to SQ_HTTP_ASSURED */
	int64_t now_ms; /* the time, since 1970 */
	bool qos_given, retain, require_match;
	uint32_t expiry_s; /* SQ_MSG_NO_EXPIRY: none */
	uint32_t delay_s;  /* 0: none */
	/* Views into the headers; empty: none. */
	struct sq_bytes space, content_type, response_topic, receipt;
	struct sq_buf key, correlation; /* empty: none */
	struct sq_buf user; /* encoded user properties: tags, an order key, the sender's own */
};

/* Reads the headers at the time 'now_ms' (since 1970).  SQ_EINVAL: see 'fault'.  'out' is zeroed
 * before; end it by sq_http_fields_fini() either way.  The headers outlive it. */
int sq_http_fields_read(const struct sq_http_header *, size_t n, int64_t now_ms,
    struct sq_http_fields *out, struct sq_http_fault *fault) SQ_MUST_CHECK;
/* Reads a value as that of the header 'name', one of those whose values stand for themselves; a
 * fault shows it as 'shown'.  Both are static. */
int sq_http_fields_ask(struct sq_http_fields *, const char *name, const char *shown,
    struct sq_bytes value, struct sq_http_fault *fault) SQ_MUST_CHECK;
/* Reads the headers of a request that publishes nothing by itself: of ours it may have sqmqos-space
 * alone, which becomes '*space' (empty: none). */
int sq_http_fields_space(const struct sq_http_header *, size_t n, struct sq_bytes *space,
    struct sq_http_fault *fault) SQ_MUST_CHECK;
/* Appends a tag, or a user property of the sender's own; 'shown' as above. */
int sq_http_fields_tag(struct sq_http_fields *, const char *shown, struct sq_bytes tag,
    struct sq_http_fault *fault) SQ_MUST_CHECK;
int sq_http_fields_user(struct sq_http_fields *, const char *shown, struct sq_bytes name,
    struct sq_bytes value, struct sq_http_fault *fault) SQ_MUST_CHECK;
/* What a fault calls the fields that depend on each other. */
struct sq_http_field_names {
	const char *key, *qos, *receipt;
};
/* Checks what fields say together, and decides on the QoS where none is given. */
int sq_http_fields_agree(struct sq_http_fields *, const struct sq_http_field_names *,
    struct sq_http_fault *fault) SQ_MUST_CHECK;
/* Makes the message, with one reference.  The topic has at most 65,535 bytes, and all together less
 * than 4 GiB. */
struct sq_msg sq_http_fields_message(
    const struct sq_http_fields *, struct sq_bytes topic, struct sq_bytes payload);
void sq_http_fields_fini(struct sq_http_fields *);

#endif
