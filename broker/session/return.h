/* Return of a session's unfinished items when the client is gone, the session ends, or the broker
 * ends.
 *
 * A queue puts an item that comes back at its old place, so its order holds in whatever order items
 * go back.  Dead letters are put in the order of their packet ids.  On the session's worker. */
#ifndef SQ_BROKER_SESSION_RETURN_H
#define SQ_BROKER_SESSION_RETURN_H

#include <stdbool.h>

#include "broker/engine/item.h"

struct sq_session;
struct sq_slot;
struct sq_txn;

enum sq_return {
	SQ_RETURN_GROUPS, /* the client is gone: items of groups go back, except those in a QoS 2
	                   * handshake */
	SQ_RETURN_ALL,    /* the session ends: everything goes back */
	SQ_RETURN_CLOSE,  /* the broker ends: stored items stay in the store */
};

/* The settlement of a delivery that was sent and has no end.  One of QoS 2 may have reached the
 * client, so no other client may get it (MQTT 5.0 §4.8.2): from a group, or of QoS 3, it becomes a
 * dead letter.  A delivery of the session's own queue goes back to that queue, which ends with the
 * session.  'broke': the client's connection broke, and the delivery counts an attempt. */
enum sq_settle_how sq_return_how(const struct sq_slot *, enum sq_return, bool broke);

/* Gives back open deliveries, in 'txn' (NULL: in a transaction of its own).  Nothing is pending. */
void sq_return_open(struct sq_session *, enum sq_return, struct sq_txn *txn);
/* Gives back pending items: those of groups (SQ_RETURN_GROUPS), or all. */
void sq_return_pending(struct sq_session *, enum sq_return);

#endif
