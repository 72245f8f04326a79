/* The text of a tokens file, read as a table: whose token has which hash.  Pure.
 *
 *   # comment
 *   NAME SPACE[,SPACE...] SHA256:HEX
 *
 * A name is of letters, digits, '.', '_' and '-'; its lines, a token each, have the same
 * spaces.  What is hashed is the token as it is shown, without "Bearer ". */
#ifndef SQ_BROKER_AUTH_TOKENS_TOKENS_FILE_H
#define SQ_BROKER_AUTH_TOKENS_TOKENS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "broker/auth/identity/digest.h"
#include "broker/auth/identity/identity.h"
#include "core/buf.h"
#include "core/msg.h"

enum {
	SQ_TOKENS_SIZE_MAX = 8 << 20, /* bytes of a file */
	SQ_TOKEN_NAME_MAX = 128,      /* bytes of a name */
};

struct sq_tokens;

/* A line. */
struct sq_token {
	const struct sq_identity *identity; /* the table's */
	uint64_t basis;                     /* changes with all that the line says */
};

/* The table, or NULL with "line N: what is wrong" in 'err', which says nothing of what the
 * line has.  A text of comments alone is a table without tokens; an empty one is an error, as
 * it may be one that is being written. */
struct sq_tokens *sq_tokens_parse(struct sq_bytes text, struct sq_buf *err);
void sq_tokens_free(struct sq_tokens **);
size_t sq_tokens_count(const struct sq_tokens *);
/* The line of the token with that SHA-256; NULL: none. */
const struct sq_token *
sq_tokens_find(const struct sq_tokens *, const unsigned char digest[SQ_DIGEST_SIZE]);
/* The identity of that name, "token:NAME"; NULL: no line has it. */
const struct sq_identity *sq_tokens_named(const struct sq_tokens *, const char *name);
/* Whether a line of that basis is there. */
bool sq_tokens_have(const struct sq_tokens *, uint64_t basis);

/* What a name and a space of a line must be like; also for who makes lines. */
bool sq_tokens_name(const char *);
bool sq_tokens_space(const char *);

#endif
