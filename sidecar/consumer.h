/* The client that the declared messages go to: tells the state machine of
 * sidecar/taker.h what clients do and what time it is, hands on whom it chooses,
 * and says it where the choice may be wrong: in the log, in /readyz, as a gauge. */
#ifndef SQ_SIDECAR_CONSUMER_H
#define SQ_SIDECAR_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "sidecar/taker.h"

struct sq_consumer;
struct sq_hub;
struct sq_session;

/* 'chosen' is called from the functions below and from the loop, whenever another
 * session consumes; NULL: none. */
struct sq_consumer *
sq_consumer_new(struct sq_hub *, void (*chosen)(void *owner, struct sq_session *), void *owner);
void sq_consumer_free(struct sq_consumer **);

/* What the annotations say: whether anything is declared, and the globs of
 * sqmqos.io/client-id, which must stay until the next call. */
void sq_consumer_set(struct sq_consumer *, bool wanted, char *const *globs, size_t n);

/* --- from clients; the consumer may be NULL (at the end of the program) --- */

/* Its CONNECT was taken. */
void sq_consumer_opened(struct sq_consumer *, struct sq_taker_client *, struct sq_session *);
void sq_consumer_did(struct sq_consumer *, struct sq_taker_client *, enum sq_taker_flag);
void sq_consumer_left(struct sq_consumer *, struct sq_taker_client *);

/* A line for people, where several clients are there and no name says which one
 * is meant. */
void sq_consumer_note(const struct sq_consumer *, struct sq_buf *);

#endif
