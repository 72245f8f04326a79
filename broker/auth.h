/* Who is asking: the bearer token of a request.
 *
 * Today a file of tokens, one per line, that all stand for one identity; a
 * verifier of signed tokens fits behind the same calls.  One object per worker,
 * so nothing here locks. */
#ifndef SQ_BROKER_AUTH_H
#define SQ_BROKER_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

struct sq_auth;

struct sq_identity {
	uint64_t id; /* 0: nobody was asked for a token */
};

static inline bool
sq_identity_equal(const struct sq_identity *a, const struct sq_identity *b)
{
	return a->id == b->id;
}

/* Reads 'token_file'; NULL or empty: every request passes.  NULL with a line
 * in 'err' when the file can't be read or has no token. */
struct sq_auth *sq_auth_new(const char *token_file, struct sq_buf *err);
void sq_auth_free(struct sq_auth **ap);
/* Reads the file again if it has changed; what can't be read leaves the last
 * good tokens.  Several lines make a change of token seamless: add the new one,
 * roll it out, take the old one away. */
void sq_auth_refresh(struct sq_auth *);
/* Checks the value of an authorization header, empty for none.  SQ_EDENIED,
 * without a hint why. */
int sq_auth_check(
    const struct sq_auth *, struct sq_bytes header, struct sq_identity *out) SQ_MUST_CHECK;

#endif
