/* The bearer token for the broker, read from a file that is renewed by others (a projected
 * ServiceAccount token), and never logged.  On the loop's thread. */
#ifndef SQ_NET_CONN_BEARER_H
#define SQ_NET_CONN_BEARER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/block.h"
#include "core/buf.h"
#include "core/err.h"

enum { SQ_BEARER_MAX = 16384 }; /* bytes */

struct sq_bearer;

/* Reads 'file' (NULL or empty: no token).  NULL with a line in 'err' if the file is unreadable or
 * has no token. */
struct sq_bearer *sq_bearer_open(const char *file, struct sq_buf *err);
void sq_bearer_free(struct sq_bearer **);
/* Reads the file again if it has changed.  SQ_EIO with a line in 'err': the file is unreadable, and
 * the last token stays.  At most one stat() a call. */
int sq_bearer_refresh(struct sq_bearer *, struct sq_buf *err) SQ_MUST_CHECK;
/* "Bearer ...", the value of the header, with a reference for the caller; NULL: no token. */
struct sq_block *sq_bearer_header(const struct sq_bearer *);
/* Gives the reference back instead of sq_block_unref(); the last one wipes the token. */
void sq_bearer_release(struct sq_block **header);

#endif
