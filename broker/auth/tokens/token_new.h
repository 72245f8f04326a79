/* A new token, and its line for auth.tokens-file (tokens_file.h). */
#ifndef SQ_BROKER_AUTH_TOKENS_TOKEN_NEW_H
#define SQ_BROKER_AUTH_TOKENS_TOKEN_NEW_H

#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

/* Appends two lines to 'out': a token of 256 random bits, which is not kept anywhere, and the
 * line that lets it in as 'name' of those spaces.  SQ_EINVAL with the reason in 'err'.  The
 * caller wipes 'out'. */
int sq_token_new(const char *name, char *const *spaces, size_t n, struct sq_buf *out,
    struct sq_buf *err) SQ_MUST_CHECK;

#endif
