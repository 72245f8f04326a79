/* Authentication of requests: passes a request's credential to broker/auth, and the request
 * with the identity to its service. */
#ifndef SQ_BROKER_FRONT_DOOR_ASK_H
#define SQ_BROKER_FRONT_DOOR_ASK_H

#include <h2o.h>
#include <stdint.h>

#include "core/msg.h"

struct sq_conn;
struct sq_door_part;
struct sq_service;

/* Authenticates a request of that service, at once or later, and hands it over, or has the service
 * refuse it.  Thread: the connection's. */
void sq_ask_start(struct sq_conn *, h2o_req_t *, struct sq_service *);
/* Judges the credential of a request of a plain service before it has come whole; a good one makes
 * the connection known. */
void sq_ask_early(struct sq_conn *, struct sq_service *, struct sq_bytes credential);
/* The value of the request's authorization header; empty: there is none. */
struct sq_bytes sq_ask_header(const h2o_req_t *);
/* At intervals, checks files of tokens and keys, and ends holds whose basis is gone; called in each
 * tick.  Thread: the worker's. */
void sq_ask_tick(struct sq_door_part *, uint64_t now_ms);

#endif
