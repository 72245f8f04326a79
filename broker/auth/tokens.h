/* A file of bearer tokens, one per line, that all stand for one identity.  One
 * object per worker, so nothing here locks. */
#ifndef SQ_BROKER_AUTH_TOKENS_H
#define SQ_BROKER_AUTH_TOKENS_H

#include "broker/auth/identity.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

struct sq_tokens;

/* Reads 'token_file'; NULL or empty: every request passes.  NULL with a line
 * in 'err' when the file can't be read or has no token. */
struct sq_tokens *sq_tokens_new(const char *token_file, struct sq_buf *err);
void sq_tokens_free(struct sq_tokens **ap);
/* Reads the file again if it has changed; what can't be read leaves the last
 * good tokens.  Several lines make a change of token seamless: add the new one,
 * roll it out, take the old one away. */
void sq_tokens_refresh(struct sq_tokens *);
/* Checks the value of an authorization header, empty for none.  SQ_EDENIED,
 * without a hint why. */
int sq_tokens_check(
    const struct sq_tokens *, struct sq_bytes header, struct sq_identity *out) SQ_MUST_CHECK;

#endif
