/* Servers of keys: a cluster's API server, which also names the issuer of its tokens, or the URL of a
 * key set.  One or two requests by sq_out, of which none blocks. */
#ifndef SQ_BROKER_AUTH_KEY_FETCH_H
#define SQ_BROKER_AUTH_KEY_FETCH_H

#include "broker/auth/auth.h"
#include "core/buf.h"
#include "core/err.h"

enum { SQ_ISSUER_MAX = 1024 }; /* bytes of an issuer's name */

struct sq_key_fetch;
struct sq_out;

/* NULL with a line in 'err'. */
struct sq_key_fetch *sq_key_fetch_api(const struct sq_auth_cfg *, struct sq_buf *err);
struct sq_key_fetch *sq_key_fetch_url(const struct sq_auth_issuer *, struct sq_buf *err);
/* No request is out. */
void sq_key_fetch_free(struct sq_key_fetch **);

/* Sends the first request; 'came' is called once it has ended, on sq_out's thread, where it must not
 * block.  An error with a line in 'err': none is out. */
int sq_key_fetch_begin(struct sq_key_fetch *, struct sq_out *, void (*came)(void *arg), void *arg,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Takes up what came.  SQ_EAGAIN: another request is out, and 'came' is called again.  SQ_OK: appends
 * the issuer, NUL-terminated, and the text of its key set.  An error with a line in 'err'. */
int sq_key_fetch_go_on(struct sq_key_fetch *, struct sq_buf *issuer, struct sq_buf *jwks,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Ends the request that is out soon; 'came' is called.  The caller is certain that it was not, yet. */
void sq_key_fetch_cancel(struct sq_key_fetch *);

#endif
