/* A session's life between two attachments, and its end.
 *
 * Its queue opens before the session is used, and ends behind its last record. */
#ifndef SQ_BROKER_SESSION_LIFE_H
#define SQ_BROKER_SESSION_LIFE_H

#include "broker/session/session.h"

/* It is in that state from now on, and so are its parts in groups. */
void sq_session_enter(struct sq_session *, enum sq_session_state);
/* Opens its queue; a durable one that is new is made by 'txn'. */
void sq_session_open(struct sq_session *, struct sq_txn *txn);
/* The expiry that the broker grants, in seconds. */
uint32_t sq_session_expiry_s(const struct sq_session *, uint32_t wanted_s);
/* Ends it for good: will, bindings, records, everything unfinished, in 'txn' (NULL: one of
 * its own).  Its queue is ending then, where it is not empty.  Freed when its consumers and
 * what is running have ended. */
void sq_session_end(struct sq_session *, enum sq_ending_why, struct sq_txn *txn);
/* The broker ends: what is stored of it stays, and its client is not gone. */
void sq_session_close(struct sq_session *);
/* The attachment has ended: parked calls are refused with 'why'. */
void sq_session_unattach(struct sq_session *, enum sq_verdict why);
/* The link is gone. */
void sq_session_link_lost(struct sq_session *);
void sq_session_detach(struct sq_session *, struct sq_call *);
void sq_session_timer(struct sq_session *, struct sq_heap_node *);

#endif
