/* The verifier of the tokens of a file (tokens_file.h): each an identity of its own, which
 * may name the spaces of its line.
 *
 * The file is read again when it has changed; what can't be taken leaves the last good one.
 * A line that is gone ends what rests on it. */
#ifndef SQ_BROKER_AUTH_TOKENS_H
#define SQ_BROKER_AUTH_TOKENS_H

#include "broker/auth/verifier.h"

/* NULL with a line in 'err' when the file can't be taken. */
struct sq_verifier *sq_tokens_verifier(const char *file, struct sq_buf *err);

#endif
