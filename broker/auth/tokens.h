/* The verifier of the tokens of a file (tokens_file.h): each an identity of its own, which
 * may name the spaces of its line.
 *
 * The file is read again when it has changed; a bad file leaves the last good one in use.  A line
 * that is gone ends the identity that rests on it. */
#ifndef SQ_BROKER_AUTH_TOKENS_H
#define SQ_BROKER_AUTH_TOKENS_H

#include "broker/auth/verifier.h"

/* NULL with a line in 'err': the file is bad. */
struct sq_verifier *sq_tokens_verifier(const char *file, struct sq_buf *err);

#endif
