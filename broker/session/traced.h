/* Spans of what a session does with messages that are sampled: it takes them out of queues ("queue"),
 * and delivers them ("deliver", "attempt"); what its client sends is in broker/publish/traced.h.
 * Asked only of those of which sq_traced_maybe().  On the session's worker. */
#ifndef SQ_BROKER_SESSION_TRACED_H
#define SQ_BROKER_SESSION_TRACED_H

#include "core/spans.h"
#include "proto/link/frame.h"

struct sq_item;
struct sq_queue_ref;
struct sq_session;
struct sq_slot;

/* Names the session's client in a span. */
void sq_traced_client(struct sq_span *, const struct sq_session *);

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
