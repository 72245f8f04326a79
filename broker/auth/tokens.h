/* The verifier of a file of bearer tokens, one per line, that all stand for one identity
 * that may name any space.
 *
 * The file is read again when it has changed; what can't be read leaves the last good
 * tokens.  Several lines make a change of token seamless: add the new one, roll it out,
 * take the old one away. */
#ifndef SQ_BROKER_AUTH_TOKENS_H
#define SQ_BROKER_AUTH_TOKENS_H

#include "broker/auth/verifier.h"

/* NULL with a line in 'err' when the file can't be read or has no token. */
struct sq_verifier *
sq_tokens_verifier(const char *token_file, struct sq_auth *, struct sq_buf *err);

#endif
