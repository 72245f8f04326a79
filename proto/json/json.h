/* JSON (RFC 8259) of a complete text, read into byte ranges: no tree, no copy, and a number or an
 * object goes on byte for byte as it came.
 *
 * The reader takes what the standard takes and nothing else: the grammar of numbers and escapes,
 * surrogates in pairs, well-formed UTF-8, no control characters in strings, nothing behind the
 * value, no byte order mark.  Two members of one name pass it; sq_json_members() refuses them where
 * the name is asked for.
 *
 * Pure: no allocation but into the caller's buffers.  Thread: any. */
#ifndef SQ_PROTO_JSON_JSON_H
#define SQ_PROTO_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

enum { SQ_JSON_DEPTH_MAX = 64 };    /* containers around a value */
#define SQ_JSON_TEXT_MAX UINT32_MAX /* bytes of a text */

enum sq_json_type {
	SQ_JSON_OBJECT,
	SQ_JSON_ARRAY,
	SQ_JSON_STRING,
	SQ_JSON_NUMBER,
	SQ_JSON_TRUE,
	SQ_JSON_FALSE,
	SQ_JSON_NULL,
};

/* A value, or the name of a member. */
struct sq_json_token {
	uint32_t start, end; /* offsets in the text; a string's are within its quotes */
	uint32_t next;       /* index of the token behind this one and all within it */
	uint8_t type;        /* enum sq_json_type */
	bool escaped;        /* of a string: has a backslash */
};

/* Tokens in the order of the text: a container before what it holds, a member's name (a string)
 * before its value.  The first token is the whole value. */
struct sq_json_tokens {
	struct sq_json_token *at; /* the caller's, 'room' of them */
	uint32_t room, n;
	unsigned depth;       /* keep only values within at most so many containers; the rest is
			       * checked all the same */
	unsigned deepest;     /* set by sq_json_read(): the most containers within each other */
	struct sq_bytes text; /* set by sq_json_read(); views point into it */
};

struct sq_json_error {
	size_t offset;   /* of the byte where the text is wrong, or its length: it ends too early */
	const char *why; /* static; what is wrong, for people */
};

/* Reads a text into tokens; 'at', 'room' and 'depth' are set before, a room of 0 only checks.
 * 0; SQ_EINVAL: no JSON; SQ_ETOOBIG: more containers within each other, values or bytes than
 * the bounds.  After an error '*err' says what and where, and the tokens are not to be used. */
int sq_json_read(
    struct sq_json_tokens *, struct sq_bytes text, struct sq_json_error *err) SQ_MUST_CHECK;

/* The bytes of a token; a string's are those between its quotes, escapes as they are. */
static inline struct sq_bytes
sq_json_raw(const struct sq_json_tokens *t, uint32_t i)
{
	return (struct sq_bytes){t->text.p + t->at[i].start, t->at[i].end - t->at[i].start};
}

/* Walks what a container holds, in the order of the text; of an object names and values in turns.
 * 0: there is nothing (more). */
static inline uint32_t
sq_json_first(const struct sq_json_tokens *t, uint32_t container)
{
	return container + 1 < t->at[container].next ? container + 1 : 0;
}

static inline uint32_t
sq_json_next(const struct sq_json_tokens *t, uint32_t container, uint32_t i)
{
	return t->at[i].next < t->at[container].next ? t->at[i].next : 0;
}

/* Finds members of an object: found[k] is the token of the value of names[k], 0: there is none.
 * SQ_EINVAL, with '*err': the object has two of that name. */
int sq_json_members(const struct sq_json_tokens *, uint32_t object, const char *const *names,
    size_t n, uint32_t *found, struct sq_json_error *err) SQ_MUST_CHECK;

/* Whether a string, without its escapes, is 'text'. */
bool sq_json_equals(const struct sq_json_tokens *, uint32_t i, struct sq_bytes text);

/* Appends a string without its escapes: UTF-8, in which U+0000 may be. */
void sq_json_unescape(const struct sq_json_tokens *, uint32_t i, struct sq_buf *out);

#endif
