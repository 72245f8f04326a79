/* What the sidecar says of deliveries (docs/link.md, "a delivery at the broker"),
 * and what becomes of them when nobody will say anything. */
#ifndef SQ_BROKER_SESSION_SETTLE_H
#define SQ_BROKER_SESSION_SETTLE_H

struct sq_call;
struct sq_session;
struct sq_txn;

void sq_settle_call(struct sq_session *, struct sq_call *);
/* What becomes of unfinished deliveries. */
enum sq_return {
	SQ_RETURN_GROUPS, /* the client is gone: what came from groups and isn't in a QoS 2
			   * handshake goes back */
	SQ_RETURN_ALL,    /* so is the session: everything goes */
	SQ_RETURN_CLOSE,  /* the broker is: what is in the store waits there */
};
/* In 'txn', or, if it is NULL, in one of its own. */
void sq_settle_return(struct sq_session *, enum sq_return, struct sq_txn *txn);
/* What was not sent yet goes back to its queue: of groups (SQ_RETURN_GROUPS) or all. */
void sq_settle_return_pending(struct sq_session *, enum sq_return);

#endif
