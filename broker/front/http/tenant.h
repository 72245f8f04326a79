/* The space that a request is about. */
#ifndef SQ_BROKER_FRONT_HTTP_TENANT_H
#define SQ_BROKER_FRONT_HTTP_TENANT_H

#include "broker/front/http/problem.h"
#include "proto/link/key.h"

struct sq_identity;

/* Writes the space that sqmqos-space names ('named'; empty: nothing), or the caller's: "" is its own
 * one.  SQ_EINVAL: see 'fault'.  Pure. */
int sq_http_tenant(struct sq_bytes named, const struct sq_identity *who,
    char out[SQ_KEY_PART_MAX + 1], struct sq_http_fault *fault) SQ_MUST_CHECK;

#endif
