/* The start of pulls: what the store has of leases and of settled requests. */
#ifndef SQ_BROKER_SUBSCRIBER_PULLS_LOAD_H
#define SQ_BROKER_SUBSCRIBER_PULLS_LOAD_H

#include <stdint.h>

struct sq_pull;
struct sq_pulls;
struct sq_record_key;

struct sq_pulls_find {
	struct sq_pull *(*pull)(void *arg, uint64_t queue); /* of the number of a group; or NULL */
	void (*orphan)(
	    void *arg, const struct sq_record_key *); /* a record of a queue that is none */
	void *arg;
};

/* Reads the key of leases, and gives leases and settled requests to their pulls.  Once, when queues are
 * open and pulls are made, before the engine is ready.  SQ_EINVAL: a record does not read; or the
 * engine's error. */
int sq_pulls_load(struct sq_pulls *, const struct sq_pulls_find *, uint64_t now_ms);

#endif
