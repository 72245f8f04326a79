/* Deliveries of one session at the sidecar (docs/link.md, "State: a delivery at
 * the sidecar") and its credit.
 *
 *   deliver -> write to the client -> PUBACK, PUBREC, PUBCOMP -> settlement
 *   attached -> rebind by (packet id, queue, origin) -> settle again
 *
 * Pure.  Entries lie in one open-addressed table keyed by packet id, so a
 * delivery costs no allocation; payloads are not kept.  One inbox serves one
 * MQTT connection: a new one starts with an empty inbox, and learns what is
 * open from the answer to its attach. */
#ifndef SQ_PROTO_LINK_INBOX_H
#define SQ_PROTO_LINK_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "proto/link/frame.h"

struct sq_inbox;

/* The window: messages and bytes (image sizes) on their way or unsettled. */
struct sq_inbox *sq_inbox_new(uint64_t window_msgs, uint64_t window_bytes, uint16_t receive_max);
void sq_inbox_free(struct sq_inbox **);

/* --- attach --- */

/* Fills the receive maximum and the open ids of a PUT; '*ids' has
 * out->n_open entries in the order of first sending and is the caller's to
 * free(); NULL when there are none. */
void sq_inbox_attach(const struct sq_inbox *, struct sq_attach *out, struct sq_open_id **ids);
/* The PUT was answered: settlements on their way are void, deliveries that the client has finished
 * are settled again, and the window is granted anew. */
void sq_inbox_attached(struct sq_inbox *, const struct sq_attached *);

/* --- deliveries --- */

enum sq_inbox_verdict {
	SQ_INBOX_WRITE, /* new: write it to the client, or sq_inbox_discard() it */
	SQ_INBOX_KNOWN, /* the client has it already */
};

/* A delivery under this id is about to come: has the processor fetch its place. */
void sq_inbox_expect(const struct sq_inbox *, uint16_t packet_id);
/* A QoS 1 or 2 delivery of 'size' image bytes. */
enum sq_inbox_verdict sq_inbox_deliver(
    struct sq_inbox *, const struct sq_target *, const struct sq_origin *, uint32_t size);
/* Finishes a delivery that was not written (too large for the client) with 'reason'. */
void sq_inbox_discard(struct sq_inbox *, uint16_t packet_id, uint8_t reason);
/* Counts a QoS 0 delivery that came. */
void sq_inbox_qos0(struct sq_inbox *, uint32_t size);
/* Counts QoS 0 deliveries that have left for the client: they give credit again. */
void sq_inbox_written(struct sq_inbox *, uint64_t msgs, uint64_t bytes);

/* --- the client's answers --- */

/* Each returns 0, or SQ_EINVAL and changes nothing: the client breaks the protocol (§4.3), because
 * the packet cannot answer this delivery now.  A packet is no error for an unknown id, for an id
 * whose state an older connection of the client may have left (orphan, expected), and for a
 * finished one. */
int sq_inbox_puback(struct sq_inbox *, uint16_t packet_id, uint8_t reason) SQ_MUST_CHECK;
/* May queue a PUBREL at once. */
int sq_inbox_pubrec(struct sq_inbox *, uint16_t packet_id, uint8_t reason) SQ_MUST_CHECK;
int sq_inbox_pubcomp(struct sq_inbox *, uint16_t packet_id) SQ_MUST_CHECK;

struct sq_inbox_pubrel {
	uint16_t packet_id;
	uint8_t reason; /* SUCCESS, or PACKET_ID_NOT_FOUND where the id of a PUBREC was unknown */
};

/* The next PUBREL to write to the client; false: none. */
bool sq_inbox_pubrel(struct sq_inbox *, struct sq_inbox_pubrel *out);

/* --- settlements --- */

enum { SQ_INBOX_FLYING_MAX = 2 };

/* Settlements on their way: the body, and the packet ids that it settles. */
struct sq_inbox_flight {
	struct sq_buf body;
	uint16_t *ids; /* packet ids, one for each delivery id in the body */
	uint32_t n;
	uint64_t attach; /* number of the attach to which it belongs */
};

/* Whether settlements are due: a delivery is settled, half of the window is used up, or they are
 * asked for. */
bool sq_inbox_due(const struct sq_inbox *);
/* Whether something waits for what is due: a PUBREL or a dead letter for a settlement, or the
 * broker, which has sent half of what it may.  What else is due may be gathered (docs/link.md,
 * "Gathering"). */
bool sq_inbox_pressing(const struct sq_inbox *);
/* Has Settlements taken, even without content: their answer brings others along that the broker
 * withholds. */
void sq_inbox_ask(struct sq_inbox *);
/* The broker sends no more than 'n' unfinished deliveries, perhaps of one of several queues. */
void sq_inbox_limit(struct sq_inbox *, uint32_t n);
/* While 'held', no more credit is granted; an attach does not change that. */
void sq_inbox_hold_credit(struct sq_inbox *, bool held);
/* Takes all settlements and credit that are due.  False: none, or too many flights are open. */
bool sq_inbox_take(struct sq_inbox *, struct sq_inbox_flight *out);
/* Ends a flight and frees its memory; 'ok': by 204.  Without 'ok' an attach must follow. */
void sq_inbox_done(struct sq_inbox *, struct sq_inbox_flight *, bool ok);
/* Ends a flight whose settlements go again under the same delivery ids (429, 503, a reset
 * stream). */
void sq_inbox_again(struct sq_inbox *, struct sq_inbox_flight *);
/* Whether the broker has confirmed all settlements. */
bool sq_inbox_flushed(const struct sq_inbox *);
/* Number of unfinished deliveries, for tests and metrics. */
size_t sq_inbox_open(const struct sq_inbox *);
/* Frees memory that an empty inbox does not need. */
void sq_inbox_trim(struct sq_inbox *);

#endif
