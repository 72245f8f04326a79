/* The client that the declared messages go to: tells the state machine of
 * sidecar/declared/taker.h what clients do and what time it is, hands on whom it chooses,
 * and says it where the choice may be wrong: in the log, in /readyz, as a gauge. */
#ifndef SQ_SIDECAR_DECLARED_RECEIVER_H
#define SQ_SIDECAR_DECLARED_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "sidecar/declared/taker.h"

struct sq_receiver;
struct sq_holds;
struct sq_hold;

/* 'chosen' is called from the functions below and from the loop, whenever another
 * session consumes; NULL: none. */
struct sq_receiver *
sq_receiver_new(struct sq_holds *, void (*chosen)(void *owner, struct sq_hold *), void *owner);
void sq_receiver_free(struct sq_receiver **);

/* What the annotations say: whether anything is declared, and the globs of
 * sqmqos.io/client-id, which must stay until the next call. */
void sq_receiver_set(struct sq_receiver *, bool wanted, char *const *globs, size_t n);

/* --- from clients; the receiver may be NULL (at the end of the program) --- */

/* Its CONNECT was taken. */
void sq_receiver_opened(struct sq_receiver *, struct sq_taker_client *, struct sq_hold *);
void sq_receiver_did(struct sq_receiver *, struct sq_taker_client *, enum sq_taker_flag);
void sq_receiver_left(struct sq_receiver *, struct sq_taker_client *);

/* A line for people, where several clients are there and no name says which one
 * is meant. */
void sq_receiver_note(const struct sq_receiver *, struct sq_buf *);

#endif
