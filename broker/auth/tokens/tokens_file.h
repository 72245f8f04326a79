/* The text of a tokens file, read as a table from hashes of tokens to names.  Pure.
 *
 *   # comment
 *   NAME SPACE[,SPACE...] SHA256:HEX
 *
 * A name has letters, digits, '.', '_' and '-'; all its lines, one for each token, have the same
 * spaces.  The hash is of the token as a caller shows it, without "Bearer ". */
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
	uint64_t basis;                     /* a hash of the whole line */
};

/* The table, or NULL with "line N: reason" in 'err', which has no text of the line.  A text of
 * comments alone is a table without tokens.  An empty text is an error: it may be a file in the
 * middle of a write. */
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

/* Whether a name and a space fit into a line; also for the writer of lines. */
bool sq_tokens_name(const char *);
bool sq_tokens_space(const char *);

#endif
