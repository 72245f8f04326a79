/* Threads that act as sidecars on a broker with real workers: each actor is one session of
 * one sidecar, used by one thread, and waits for each of its calls. */
#ifndef SQ_TEST_SUPPORT_BROKER_ACTOR_H
#define SQ_TEST_SUPPORT_BROKER_ACTOR_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/engine/engine.h"
#include "fake_front.h"

#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

/* The broker that all of them speak to; NULL: there is none just now. */
extern _Atomic(struct sq_broker *) actor_broker;

/* With the memory engine, and limits that are met within a short run. */
struct sq_broker_cfg actor_broker_cfg(void);

/* One session of one sidecar; used by one thread. */
struct actor {
	const char *key;
	uint64_t instance, ordinal, epoch, incarnation, run;
	uint64_t next[SQ_LANES];
	uint32_t attempt;
	struct sq_outlet *link;
	unsigned seed;
	uint64_t granted;
	uint64_t expect; /* of the one that counts */
};

unsigned actor_pick(struct actor *, unsigned n);
/* Posts a body, which is freed, and waits; the answered call is the caller's. */
struct fake_call *actor_call(struct actor *, enum sq_call_kind, struct sq_buf *body);
/* Frees it; returns its status. */
unsigned actor_finish(struct fake_call *);
/* A new link; the old one is lost. */
void actor_relink(struct actor *);
/* Its link has gone, as all have when a broker stops. */
void actor_unlink(struct actor *);
void actor_attach(struct actor *, bool reconnect, uint8_t flags);
/* Adds a message that says its number. */
void actor_entry(struct sq_buf *entries, const char *topic, uint8_t qos, bool retain, uint16_t id,
    uint64_t number);
/* Posts the entries in 'entries' under the next numbers; returns the call. */
struct fake_call *actor_batch(struct actor *, uint8_t lane, uint16_t n, struct sq_buf *entries);

#endif
