/* A transaction of a session for which no call waits, for example of a message that expires.
 *
 * The caller keeps a pointer, NULL at first; each function gets its address.  On the session's
 * worker. */
#ifndef SQ_BROKER_SESSION_BACKGROUND_TXN_H
#define SQ_BROKER_SESSION_BACKGROUND_TXN_H

struct sq_background_txn;
struct sq_session;
struct sq_txn;

/* The transaction to put changes into.  The first use makes it, and pins the session until the
 * commit is done. */
struct sq_txn *sq_background_txn(struct sq_session *, struct sq_background_txn **);
/* Commits the transaction, if there is one, and nulls the pointer.  After a failed commit an attach
 * that waits for the session's transactions fails; other callers hear nothing. */
void sq_background_commit(struct sq_background_txn **);

#endif
