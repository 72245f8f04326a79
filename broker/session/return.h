/* What becomes of items that a session has, when nobody will say anything of them: the client is
 * gone, the session ends, or the broker does.
 *
 * They go back from the last on, because a queue puts each before those that came back from the
 * same place. */
#ifndef SQ_BROKER_SESSION_RETURN_H
#define SQ_BROKER_SESSION_RETURN_H

#include <stdbool.h>

#include "broker/engine/item.h"

struct sq_session;
struct sq_slot;
struct sq_txn;

enum sq_return {
	SQ_RETURN_GROUPS, /* the client is gone: items of groups go back, but for those in a QoS 2
			   * handshake */
	SQ_RETURN_ALL,    /* the session ends: everything goes */
	SQ_RETURN_CLOSE,  /* the broker ends: what is in the store waits there */
};

/* How a delivery that is out and not finished is settled.  One of QoS 2 may have reached the
 * client, so nobody else may get it (MQTT 5.0 §4.8.2): from a group, or of QoS 3, it is a dead
 * letter.  Another one of the session's own queue is the queue's again, which ends with the
 * session.  'broke': the client has gone without a word, and the delivery counts an attempt. */
enum sq_settle_how sq_return_how(const struct sq_slot *, enum sq_return, bool broke);

/* Gives back deliveries that are open, in 'txn'; NULL: in one of its own.  Nothing is pending. */
void sq_return_open(struct sq_session *, enum sq_return, struct sq_txn *txn);
/* Gives back what is pending: that of groups (SQ_RETURN_GROUPS), or all. */
void sq_return_pending(struct sq_session *, enum sq_return);

#endif
