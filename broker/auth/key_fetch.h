/* Servers of keys: a cluster's API server, which also names the issuer of its tokens, or the URL of a
 * key set.  Fetching blocks, so each server has a thread of its own. */
#ifndef SQ_BROKER_AUTH_KEY_FETCH_H
#define SQ_BROKER_AUTH_KEY_FETCH_H

#include "broker/auth/auth.h"
#include "core/buf.h"
#include "core/err.h"

enum { SQ_ISSUER_MAX = 1024 }; /* bytes of an issuer's name */

struct sq_key_fetch;

/* NULL with a line in 'err'. */
struct sq_key_fetch *sq_key_fetch_api(const struct sq_auth_cfg *, struct sq_buf *err);
struct sq_key_fetch *sq_key_fetch_url(const struct sq_auth_issuer *, struct sq_buf *err);
void sq_key_fetch_free(struct sq_key_fetch **);

/* Appends the issuer, NUL-terminated, and the text of its key set.  An error with a line
 * in 'err'; SQ_ECLOSED once stopped. */
int sq_key_fetch_run(struct sq_key_fetch *, struct sq_buf *issuer, struct sq_buf *jwks,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Thread: any. */
void sq_key_fetch_stop(struct sq_key_fetch *);

#endif
