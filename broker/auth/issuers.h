/* The verifier of signed tokens: those who issue them, and their keys.
 *
 * Keys come from files, looked at again each second, or from servers (a cluster's API
 * server, URLs), each asked by a thread of its own: every few minutes, and when a token
 * names a key that is not known, at most once in ten seconds; such a token waits for the
 * answer.  What a server said last is kept on the broker's volume. */
#ifndef SQ_BROKER_AUTH_ISSUERS_H
#define SQ_BROKER_AUTH_ISSUERS_H

#include "broker/auth/verifier.h"

enum {
	SQ_ISSUERS_MAX = 32,
	SQ_ISSUERS_WAITING = 256, /* tokens of unknown keys that wait, of all issuers */
};

/* NULL with a line in 'err', as sq_auth_new() has it. */
struct sq_verifier *sq_issuers_verifier(const struct sq_auth_cfg *, struct sq_buf *err);

#endif
