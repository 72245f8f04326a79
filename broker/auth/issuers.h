/* The verifier of signed tokens: issuers and their keys.
 *
 * Keys come from files, which are checked each second, or from servers (a cluster's API server,
 * URLs), which share a thread.  It asks each server every few minutes, and when a token names an unknown
 * key, at most once in ten seconds; the token waits for the answer.  The last keys of a server are kept
 * on the broker's volume. */
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
