/* A pending request: one that is answered later, and may be gone before, as h2o frees a request
 * that was reset, or whose connection is lost.
 *
 *   sq_pending_begin() ... sq_pending_request(): the request, or NULL: answer it ... sq_pending_end()
 *
 * It is embedded in the struct that waits, as a call, which outlives its request; a guard in the
 * request's pool cuts the tie.  The connection's memory stays until the end.  Thread: the
 * connection's. */
#ifndef SQ_BROKER_FRONT_DOOR_PENDING_H
#define SQ_BROKER_FRONT_DOOR_PENDING_H

#include "broker/front/door/service.h"

struct sq_ledger_entry;
struct sq_pending_guard;
struct sq_presence;

struct sq_pending_req {
	struct sq_conn *conn;
	struct sq_pending_guard *guard; /* in the request's pool; NULL once that is gone */
	struct sq_ledger_entry *entry;  /* of whom it counts; NULL: of nobody */
	struct sq_presence *presence;   /* of a request that waits; or NULL */
	/* The request is gone before its answer: the owner's, set after the begin; or NULL.  It calls
	 * nothing of this: h2o is at work. */
	void (*gone)(struct sq_pending_req *);
	bool work; /* the broker's: the door is not idle */
	bool waits;
};

/* Begins a request that the broker is to answer: it counts in its connection's running ones, and for
 * 'who' (NULL: for nobody), and the door is not idle. */
void sq_pending_begin(
    struct sq_pending_req *, struct sq_conn *, h2o_req_t *, const struct sq_identity *who);
/* The same of a request that waits in the broker until something happens: the door is idle all the
 * same.  It counts in sq_conn_waiting(), too; the 'presence', which outlives it, is begun, and says
 * whether the peer is there. */
void sq_pending_wait(struct sq_pending_req *, struct sq_conn *, h2o_req_t *,
    const struct sq_identity *who, struct sq_presence *presence);
/* The door's own: begins a question of who asks, which counts in its connection's running ones;
 * 'req' NULL: before the request has come whole. */
void sq_pending_ask(struct sq_pending_req *, struct sq_conn *, h2o_req_t *);
/* The request, to be answered now; NULL: it is gone, and the answer is dropped.  Once; the request
 * is tied no more. */
h2o_req_t *sq_pending_request(struct sq_pending_req *);
/* Ends it, after the answer has been given: counts it no more, and has h2o go on with the connection,
 * which may be freed. */
void sq_pending_end(struct sq_pending_req *);

#endif
