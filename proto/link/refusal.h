/* Reasons of refusals to clients: the one table of words for notes on the link, metrics, logs and
 * docs.
 *
 * The numbers travel (docs/link.md, "Notes"): a row is never moved or taken out. */
#ifndef SQ_PROTO_LINK_REFUSAL_H
#define SQ_PROTO_LINK_REFUSAL_H

#include <stdint.h>

/* X(symbol, number, name, meaning, in a few words) */
#define SQ_REFUSALS(X) \
	X(NONE, 0, "none", "nothing was refused") \
	X(PROPERTY, 1, "property", "a user property that asks for what can't be had") \
	X(TOPIC, 2, "topic", "a topic name or filter that is not one, or not for apps") \
	X(DENIED, 3, "denied", "the app may not do that") \
	X(QUOTA, 4, "quota", "more than a session, client or space may have") \
	X(QUEUE_FULL, 5, "queue-full", "a queue that the message goes to is full") \
	X(STORE_FULL, 6, "store-full", "the broker's store takes no more at the moment") \
	X(DEAD_LETTERS_FULL, 7, "dead-letters-full", "the space's dead letters are full") \
	X(UNMATCHED, 8, "unmatched", "a QoS 3 message that nothing matches") \
	X(SESSIONS_FULL, 9, "sessions-full", "the broker has as many sessions as it may") \
	X(OTHER, 10, "other", "anything else") \
	X(MEMORY, 11, "memory", "the broker or the sidecar has no memory left for it")

#define SQ_REFUSAL_ENUM(symbol, number, name, text) SQ_REFUSAL_##symbol = number,
enum sq_refusal { SQ_REFUSALS(SQ_REFUSAL_ENUM) SQ_REFUSAL_COUNT };
#undef SQ_REFUSAL_ENUM

/* A row of a program's table of metrics for each reason, in their order (core/metrics.h). */
#define SQ_REFUSAL_METRIC(X, symbol, name) \
	X(REFUSED_BY_##symbol, "sqmqos_refused_total", "reason=\"" name "\"", SQ_COUNTER, \
	    "What clients were refused, by reason.")
#define SQ_REFUSAL_METRICS(X) \
	SQ_REFUSAL_METRIC(X, PROPERTY, "property") \
	SQ_REFUSAL_METRIC(X, TOPIC, "topic") \
	SQ_REFUSAL_METRIC(X, DENIED, "denied") \
	SQ_REFUSAL_METRIC(X, QUOTA, "quota") \
	SQ_REFUSAL_METRIC(X, QUEUE_FULL, "queue-full") \
	SQ_REFUSAL_METRIC(X, STORE_FULL, "store-full") \
	SQ_REFUSAL_METRIC(X, DEAD_LETTERS_FULL, "dead-letters-full") \
	SQ_REFUSAL_METRIC(X, UNMATCHED, "unmatched") \
	SQ_REFUSAL_METRIC(X, SESSIONS_FULL, "sessions-full") \
	SQ_REFUSAL_METRIC(X, OTHER, "other") \
	SQ_REFUSAL_METRIC(X, MEMORY, "memory")

/* The refusal that a reason code means by itself. */
enum sq_refusal sq_refusal_of_code(uint8_t code);
/* The name; a number that this program does not know is "other". */
const char *sq_refusal_name(unsigned refusal);

#endif
