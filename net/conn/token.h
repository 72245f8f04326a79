/* The bearer token that opens the broker: read from a file that others renew (a projected
 * ServiceAccount token), never logged. */
#ifndef SQ_NET_TOKEN_H
#define SQ_NET_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/block.h"
#include "core/buf.h"
#include "core/err.h"

enum { SQ_TOKEN_MAX = 16384 }; /* bytes */

struct sq_token;

/* 'file' may be NULL or empty: no token.  NULL with a line in 'err' when the file
 * can't be read or holds no token. */
struct sq_token *sq_token_open(const char *file, struct sq_buf *err);
void sq_token_free(struct sq_token **);
/* Reads the file again if it has changed since; a file that is unreadable now leaves
 * the last token in use: SQ_EIO with a line in 'err'.  At most one stat() a call. */
int sq_token_refresh(struct sq_token *, struct sq_buf *err) SQ_MUST_CHECK;
/* "Bearer ..." as the header has it, or NULL; one more reference goes to the caller. */
struct sq_block *sq_token_header(const struct sq_token *);
/* Gives the reference back, in place of sq_block_unref(): the last one wipes the token. */
void sq_token_release(struct sq_block **header);

#endif
