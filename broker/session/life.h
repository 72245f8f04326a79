/* A session's life between two attachments, and its end.
 *
 * The session's queue opens before the session is used, and ends after the session's last record.
 * On the session's worker. */
#ifndef SQ_BROKER_SESSION_LIFE_H
#define SQ_BROKER_SESSION_LIFE_H

#include "broker/session/session.h"

/* Sets the state of the session and of its members in groups. */
void sq_session_enter(struct sq_session *, enum sq_session_state);
/* Opens the session's queue.  'txn' makes the queue of a new durable session; else NULL. */
void sq_session_open(struct sq_session *, struct sq_txn *txn);
/* Sets the session expiry that the broker grants for the wanted one. */
void sq_session_set_expiry(struct sq_session *, uint32_t wanted_s);
/* Set and stop the timer of the grace or the expiry. */
void sq_session_set_timer(struct sq_session *, uint64_t due_ms);
void sq_session_stop_timer(struct sq_session *);
/* Ends the session for good, in 'txn' (NULL: in a transaction of its own): publishes the will, ends
 * bindings, deletes records, settles unfinished deliveries.  A queue that is not empty is deleted
 * in the background.  The session is freed when its consumers and transactions have ended. */
void sq_session_end(struct sq_session *, enum sq_ending_why, struct sq_txn *txn);
/* Ends the session in 'txn', as above, with the attachment that it may have: its sidecar is told
 * 'reason', of MQTT, with static text for people, and a PUT that waits is refused with 'why'. */
void sq_session_evict(
    struct sq_session *, uint8_t reason, const char *text, enum sq_verdict why, struct sq_txn *txn);
/* Closes the session because the broker ends: records stay, and no will is published. */
void sq_session_close(struct sq_session *);
/* Ends the attachment; calls that wait are refused with 'why'. */
void sq_session_unattach(struct sq_session *, enum sq_verdict why);
/* The link is lost: the session's grace begins. */
void sq_session_link_lost(struct sq_session *);
void sq_session_detach(struct sq_session *, struct sq_call *);
void sq_session_timer(struct sq_session *, struct sq_heap_node *);

#endif
