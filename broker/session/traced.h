/* Spans of what a session does with messages that are sampled: it takes them in from its client
 * ("receive"), takes them out of queues ("queue"), and delivers them ("deliver", "attempt").  Asked
 * only while sq_spans_on().  On the session's worker. */
#ifndef SQ_BROKER_SESSION_TRACED_H
#define SQ_BROKER_SESSION_TRACED_H

#include "core/spans.h"
#include "proto/link/frame.h"

struct sq_item;
struct sq_queue_ref;
struct sq_session;
struct sq_slot;
struct sq_traced_message;

/* Messages of a batch that are admitted and not committed. */
struct sq_traced_batch {
	struct sq_traced_message *v;
	unsigned n;
};

/* A message is admitted, with this code for its publisher; that began at 'began_us' of
 * sq_clock_us(). */
void sq_traced_admitted(struct sq_traced_batch *, const struct sq_session *,
    const unsigned char *image, const struct sq_origin *, uint8_t code, uint64_t began_us);
/* The batch is committed, or it failed; records the spans and frees them. */
void sq_traced_end(struct sq_traced_batch *, bool committed);

/* An item leaves its queue to be sent.  That it waited is known of items that were put since the
 * broker's start, and told of their first delivery. */
void sq_traced_taken(struct sq_session *, const struct sq_item *, const struct sq_queue_ref *from);
/* An item of QoS 0 was sent. */
void sq_traced_sent(struct sq_session *, const struct sq_item *, const struct sq_queue_ref *from);
/* The slot's item is sent, now or again: 'began' of its delivery. */
void sq_traced_sends(struct sq_session *, struct sq_slot *);
/* The delivery that sq_traced_sends() began has this end; 'why' NULL: it is the client's, with an
 * MQTT 5 reason code. */
void sq_traced_settled(struct sq_session *, struct sq_slot *, uint8_t reason, const char *why);

#endif
