/* Who asks: the way of a request's credential to broker/auth and back.  A part of the front
 * (front_priv.h). */
#ifndef SQ_BROKER_FRONT_LINK_ASK_H
#define SQ_BROKER_FRONT_LINK_ASK_H

#include <h2o.h>
#include <stdint.h>

#include "broker/auth/auth.h"
#include "broker/auth/identity/digest.h"

struct sq_conn;
struct sq_front_worker;

/* By which token a link's identity was proven last. */
struct sq_proof {
	unsigned char token[SQ_DIGEST_SIZE]; /* digest of the header */
	struct sq_basis basis;               /* see sq_auth_holds() */
	uint64_t epoch;                      /* of broker/auth, when that was */
};

/* Finds out who asks, then goes on (sq_front_go()), or refuses. */
void sq_ask_start(struct sq_conn *, h2o_req_t *);
/* Each tick: now and then files of tokens and keys, and the links that rested on what is
 * gone, which end. */
void sq_ask_tick(struct sq_front_worker *, uint64_t now_ms);

#endif
