/* The last good keys of a server, on the broker's volume: a server that is away while the
 * broker starts changes nothing. */
#ifndef SQ_BROKER_AUTH_KEY_CACHE_H
#define SQ_BROKER_AUTH_KEY_CACHE_H

#include "core/buf.h"
#include "core/err.h"

/* Replaces the file 'name' in 'dir', made when missing, in one step.  An error with a
 * line in 'err'; the last file is still there. */
int sq_key_cache_save(const char *dir, const char *name, const char *issuer,
    const struct sq_buf *jwks, struct sq_buf *err) SQ_MUST_CHECK;
/* Reads the file: the issuer, NUL-terminated, and the set.  SQ_ENOTFOUND: there is none.  Any other
 * error has a line in 'err': the file cannot be read, or is damaged. */
int sq_key_cache_load(const char *dir, const char *name, struct sq_buf *issuer, struct sq_buf *jwks,
    struct sq_buf *err) SQ_MUST_CHECK;

#endif
