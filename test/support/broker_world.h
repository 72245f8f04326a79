/* A broker on fake workers, links and calls, and peers that speak to it as a
 * sidecar does, by the bodies of docs/link.md.  For tests of the broker proper. */
#ifndef SQ_TEST_SUPPORT_BROKER_WORLD_H
#define SQ_TEST_SUPPORT_BROKER_WORLD_H

#include <criterion/criterion.h>

#include "broker/engine/engine.h"
#include "broker/metrics/metrics.h"
#include "fake_front.h"
#include "fake_worker.h"

struct world {
	struct sq_broker_cfg cfg;
	struct sq_broker *broker;
	struct sq_outlet *links[2];
	void (*stopping)(void); /* called over and over while world_stop() waits; or NULL */
};

/* Fills the defaults: the memory engine, and limits that a test does not reach. */
void world_init(struct world *);
/* Makes the broker on 'n' workers, and two links. */
void world_start(struct world *, unsigned n);
/* Stops and frees all, and checks that nothing is left over.  A broker that does not stop within a minute
 * ends the test. */
void world_stop(struct world *);
/* Runs what is due; the test then acts as worker 0. */
void world_run(void);
/* Lets time pass, with the ticks that fall into it. */
void world_pass(struct world *, uint64_t ms);
void world_close_link(struct world *, unsigned i);
/* Other connections than before, which no tenant has yet. */
void world_relink(struct world *);
int64_t world_metric(enum sq_broker_metric);

/* A session of a sidecar. */
struct peer {
	struct world *world;
	const char *key;
	unsigned link; /* index into the world's */
	uint64_t instance, ordinal;
	uint32_t attempt;
	/* For the next PUT. */
	uint8_t flags;
	uint32_t expiry_s;
	uint16_t receive_max;
	const char *will;       /* its payload */
	const char *will_topic; /* NULL: "will" */
	uint8_t will_qos;
	uint32_t will_delay_s;
	const struct sq_open_id *open;
	uint16_t n_open;
	/* From its answer. */
	uint64_t epoch, incarnation;
	bool present, renewed;
	uint64_t last[SQ_LANES];
	uint16_t held[16], n_held;
	struct sq_open_id listed[16];
	uint16_t n_listed;
	char note[SQ_NOTE_TEXT_MAX + 1]; /* on the entry of the last peer_sub() */
	/* Lanes. */
	uint64_t run[SQ_LANES], next[SQ_LANES];
	uint32_t mark; /* of batches that follow */
};

/* "space~work~client" is durable and keeps for an hour, with a pod it is transient.
 * Its instance is drawn from a counter. */
struct peer peer_new(struct world *, const char *key);

/* --- attach --- */

struct fake_call *peer_put(struct peer *); /* next attempt; may be unanswered */
/* Takes the answer in and frees the call; returns its status. */
unsigned peer_attached(struct peer *, struct fake_call **);
unsigned peer_attach(struct peer *); /* both, and runs in between */
/* A new connection of the client: ordinal, attach, credit of 1000 messages. */
void peer_connect(struct peer *);
/* Another sidecar's view of the same client. */
struct peer peer_other(const struct peer *);

/* --- up --- */

struct entry {
	const char *topic, *payload; /* no topic: a release */
	uint8_t qos;
	bool retain;
	uint16_t id;
	uint32_t expiry_s;        /* 0: none */
	uint32_t payload_len;     /* instead of 'payload': so many bytes */
	const char *const *props; /* user properties: name, value, .. NULL; or NULL */
};

/* The message of an entry, in a block of its own. */
struct sq_msg entry_message(const struct entry *);
/* Posts entries under numbers from 'first'. */
struct fake_call *peer_batch(struct peer *, unsigned lane, uint64_t run, uint64_t first,
    uint64_t upto, const struct entry *, uint16_t n);
/* Posts them under the next numbers. */
struct fake_call *peer_post(struct peer *, unsigned lane, const struct entry *, uint16_t n);
/* Posts one and returns its outcome. */
uint8_t peer_send(struct peer *, const struct entry *);
uint8_t peer_publish(struct peer *, const char *topic, const char *payload, uint8_t qos);
uint8_t peer_retain(struct peer *, const char *topic, const char *payload, uint8_t qos);
/* The i-th outcome of an answered batch. */
uint8_t call_outcome(const struct fake_call *, unsigned i);

/* --- subscriptions --- */

/* Posts one entry. */
struct fake_call *peer_sub_post(struct peer *, const struct sq_sub *);
/* The same behind numbers of both lanes, with a mark. */
struct fake_call *
peer_ask(struct peer *, uint32_t mark, uint64_t after_0, uint64_t after_1, const struct sq_sub *);
/* Posts one entry without a mark; returns its reason code. */
uint8_t peer_sub(struct peer *, const struct sq_sub *);
uint8_t peer_subscribe(struct peer *, const char *filter, uint8_t options);
uint8_t peer_unsubscribe(struct peer *, const char *filter);
struct sq_bytes text(const char *);

/* --- down --- */

/* The next delivery to the peer's epoch; NULL: none. */
struct fake_delivery *peer_next(struct peer *);
/* The next thing for it is the answer to the request of 'mark', with one code. */
void peer_expect_answer(struct peer *, uint32_t mark, uint8_t code);
/* The next thing for it is a delivery with this payload; it is returned. */
struct fake_delivery *peer_expect(struct peer *, const char *payload);
void peer_expect_nothing(struct peer *);
/* The reason of a detached frame for 'epoch' on the peer's link; 0: none. */
uint8_t peer_detached_reason(struct peer *, uint64_t epoch);
/* Posts settlements; returns the status. */
unsigned peer_credit(struct peer *, uint64_t msgs, uint64_t bytes);
unsigned peer_settle(struct peer *, enum sq_settle_kind, uint64_t delivery, uint16_t n);
struct fake_call *
peer_settle_post(struct peer *, enum sq_settle_kind, uint64_t delivery, uint16_t n);

/* --- detach --- */

struct fake_call *peer_detach_post(struct peer *, uint32_t expiry_s, bool will);
unsigned peer_detach(struct peer *, uint32_t expiry_s, bool will);
/* The same, quiet (SQ_DETACH_QUIET) and without the will. */
unsigned peer_disconnect(struct peer *, uint32_t expiry_s);

/* The value of a user property of a delivery, as text until the next call; NULL: none. */
const char *delivery_prop(const struct fake_delivery *, const char *name);

/* Runs, checks that the call was answered so, and frees it. */
void call_expect(struct fake_call **, unsigned status);
void call_expect_verdict(struct fake_call **, enum sq_verdict);
void call_expect_denied(struct fake_call **, enum sq_denied);

#endif
