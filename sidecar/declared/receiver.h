/* The receiver: the client that gets the declared messages.  Feeds the state machine of
 * sidecar/declared/taker.h with events of clients and with the time, passes its choice on, and
 * reports a doubtful choice in the log, in /readyz and as a gauge.  On the loop's thread. */
#ifndef SQ_SIDECAR_DECLARED_RECEIVER_H
#define SQ_SIDECAR_DECLARED_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "sidecar/declared/taker.h"

struct sq_receiver;
struct sq_holds;
struct sq_hold;

/* 'chosen' is called from the functions below and from the loop whenever another hold becomes the
 * receiver's; NULL: none is. */
struct sq_receiver *
sq_receiver_new(struct sq_holds *, void (*chosen)(void *owner, struct sq_hold *), void *owner);
void sq_receiver_free(struct sq_receiver **);

/* Applies the annotations: 'wanted' if anything is declared, and the 'n' globs of
 * sqmqos.io/client-id, which must stay until the next call. */
void sq_receiver_set(struct sq_receiver *, bool wanted, char *const *globs, size_t n);

/* --- from clients; the receiver may be NULL (at the end of the program) --- */

/* The client's CONNECT was accepted. */
void sq_receiver_opened(struct sq_receiver *, struct sq_taker_client *, struct sq_hold *);
void sq_receiver_did(struct sq_receiver *, struct sq_taker_client *, enum sq_taker_flag);
void sq_receiver_left(struct sq_receiver *, struct sq_taker_client *);

/* Appends a line for people if there are several clients and no name selects one of them. */
void sq_receiver_note(const struct sq_receiver *, struct sq_buf *);

#endif
