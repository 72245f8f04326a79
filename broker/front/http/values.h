/* Values of headers: durations, keys and the like, read strictly.  Pure. */
#ifndef SQ_BROKER_FRONT_HTTP_VALUES_H
#define SQ_BROKER_FRONT_HTTP_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

/* The text without spaces and tabs at both ends (RFC 9110, OWS). */
struct sq_bytes sq_http_trim(struct sq_bytes);
/* Takes the next item off a list with commas, trimmed; empty ones are passed over (RFC 9110,
 * 5.6.1).  False: the end. */
bool sq_http_list_next(struct sq_bytes *list, struct sq_bytes *item);

/* Reads 250ms, 30s, 5m, 24h or a whole number of seconds as milliseconds; at most 10,000 days. */
int sq_http_duration(struct sq_bytes text, uint64_t *ms) SQ_MUST_CHECK;
/* Reads a whole number of at most 'max'. */
int sq_http_number(struct sq_bytes text, uint64_t max, uint64_t *out) SQ_MUST_CHECK;
/* Reads "true" or "false". */
int sq_http_bool(struct sq_bytes text, bool *out) SQ_MUST_CHECK;
/* Appends what a string of a structured field says (RFC 8941, 3.3.3), or the bare text where it does
 * not begin with a quote.  SQ_EINVAL: a string that is none, with 'out' as it was. */
int sq_http_string(struct sq_bytes text, struct sq_buf *out) SQ_MUST_CHECK;
/* Appends the bytes of ":base64:" (RFC 8941, 3.3.5), or the text as it is. */
int sq_http_binary(struct sq_bytes text, struct sq_buf *out) SQ_MUST_CHECK;
/* Whether a header Accept has application/json or a range that it is in (RFC 9110, 12.5.1). */
bool sq_http_accepts(struct sq_bytes accept);
/* Whether it names that type itself. */
bool sq_http_accepts_type(struct sq_bytes accept, const char *type);

enum {
	SQ_HTTP_ID_SIZE = 16, /* bytes of a message's id */
	SQ_HTTP_ID_TEXT = 27, /* in base32, and a NUL */
};

/* Writes a message's id as text (core/base32.h). */
void sq_http_id(const unsigned char id[SQ_HTTP_ID_SIZE], char out[SQ_HTTP_ID_TEXT]);

#endif
