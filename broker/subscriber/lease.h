/* The text of a lease: which message of which queue, by which handing out, and a proof that it was
 * made here for that identity.
 *
 *   base64url of: u64 queue, u64 seq, u32 attempt, u32 number, u32 boot, 8 bytes of HMAC-SHA256 over
 *   these and the identity
 *
 * Thread: any, of a prover one at a time. */
#ifndef SQ_BROKER_SUBSCRIBER_LEASE_H
#define SQ_BROKER_SUBSCRIBER_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/port/queue.h"
#include "core/msg.h"

struct sq_identity;
struct sq_lease_prover; /* a key, made ready: that takes as long as several proofs */

enum {
	SQ_LEASE_KEY = 32,    /* bytes of the HMAC's key */
	SQ_LEASE_LENGTH = 48, /* of a text */
};

struct sq_lease {
	uint64_t queue, seq;
	uint32_t attempt;
	uint32_t number; /* unique in its queue and boot */
	uint32_t boot;   /* of the log: see struct sq_engine */
};

/* Has a copy of the key, which is wiped at the end. */
struct sq_lease_prover *sq_lease_prover_new(const unsigned char key[SQ_LEASE_KEY]);
void sq_lease_prover_free(struct sq_lease_prover **);

/* Writes the text, with a NUL. */
void sq_lease_write(struct sq_lease_prover *, const struct sq_identity *, const struct sq_lease *,
    char out[SQ_LEASE_TEXT_MAX]);
/* Reads a text.  False: it is none, or not of that key and identity. */
bool sq_lease_read(struct sq_lease_prover *, const struct sq_identity *, struct sq_bytes text,
    struct sq_lease *out);
/* The queue of a lease's text, as it says; 0: it is none.  Proves nothing. */
uint64_t sq_lease_queue(struct sq_bytes text);

#endif
